//! Why an import said no. Each enum mirrors the variant of the same name in `wit/krt-node.wit`.

/// Why a message was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Called from `init`: there is no message to answer.
    #[error("no message is in hand")]
    NoMessage,
    /// The envelope is larger than the bus takes, even compressed.
    #[error("the message is larger than the {limit} bytes that the bus takes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// Not one subject token.
    #[error("{0:?} is not a channel: one token, without '.', '*', '>', space or control characters")]
    InvalidChannel(String),
    /// The type URL has no message name.
    #[error("the type URL {0:?} has no message name")]
    InvalidTypeUrl(String),
    /// This delivery already sent as many messages as one may.
    #[error("this delivery already sent {limit} messages, as many as it may")]
    TooMany {
        /// The limit.
        limit: u32,
    },
    /// The bus cannot be reached, after the host's own retries.
    #[error("the bus cannot be reached: {0}")]
    Unavailable(String),
    /// Something else.
    #[error("{0}")]
    Other(String),
}

/// Why a setting was not read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// Not a key the store can hold.
    #[error("invalid key: {0}")]
    InvalidKey(String),
    /// The value is larger than the store takes.
    #[error("the value is larger than the {limit} bytes that the store takes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The node may not.
    #[error("denied: {0}")]
    Denied(String),
    /// The store cannot be reached.
    #[error("the configuration cannot be reached: {0}")]
    Unavailable(String),
    /// Something else.
    #[error("{0}")]
    Other(String),
}

/// Why an object was not read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectStoreError {
    /// The manifest declares no object store for this node.
    #[error("the manifest declares no object store for this node")]
    NotDeclared,
    /// No object has this name.
    #[error("there is no such object")]
    NotFound,
    /// Not a name the store can hold, or not a regular expression.
    #[error("invalid name or pattern: {0}")]
    InvalidName(String),
    /// Larger than the store takes, or than this node's memory limit allows.
    #[error("the object is larger than the {limit} bytes that are allowed")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The node may not.
    #[error("denied: {0}")]
    Denied(String),
    /// The store cannot be reached.
    #[error("the object store cannot be reached: {0}")]
    Unavailable(String),
    /// Something else.
    #[error("{0}")]
    Other(String),
}

/// Why a point was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MeasurementError {
    /// No name, no field, or a number that is not finite.
    #[error("invalid measurement: {0}")]
    Invalid(String),
    /// The host's buffer is full; the point was dropped.
    #[error("the measurement was dropped: the host's buffer is full")]
    Dropped,
    /// Something else.
    #[error("{0}")]
    Other(String),
}

/// Why a prediction was not saved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PredictionError {
    /// What goes with it is not JSON, or a label is too long.
    #[error("invalid prediction: {0}")]
    Invalid(String),
    /// Larger than the database takes.
    #[error("larger than the {limit} bytes that are allowed")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The node may not.
    #[error("denied: {0}")]
    Denied(String),
    /// This host has no database, or only one way into it.
    #[error("{0}")]
    NotConfigured(String),
    /// The database cannot be reached.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// Something else.
    #[error("{0}")]
    Other(String),
}

/// Why a document was not saved, or none were found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// Not a collection, document or query that the database takes.
    #[error("invalid request to the database: {0}")]
    Invalid(String),
    /// Larger than the database takes, or more than fits.
    #[error("larger than the {limit} bytes that are allowed")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The node may not.
    #[error("denied: {0}")]
    Denied(String),
    /// This host has no database, or only one way into it.
    #[error("{0}")]
    NotConfigured(String),
    /// The database cannot be reached.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// Something else.
    #[error("{0}")]
    Other(String),
}

/// Why a payload is not the message that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    /// The payload is another message.
    #[error("the payload is a {found:?}, not a {expected:?}")]
    WrongType {
        /// Full name of the message that was asked for.
        expected: String,
        /// Full name of the message that is there.
        found: String,
    },
    /// The bytes are not the message that the type URL says.
    #[error("the payload is not a valid {expected:?}")]
    Malformed {
        /// Full name of the message.
        expected: String,
        /// What is wrong with the bytes.
        #[source]
        source: prost::DecodeError,
    },
    /// There is no payload: the message reports an error of the node that sent it.
    #[error("the message has no payload, a {expected:?} was expected")]
    NoPayload {
        /// Full name of the message that was asked for.
        expected: String,
    },
}

/// The path is not one of a file in the package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a path inside the package: relative, without '..'")]
pub struct PathError(pub String);

/// Tells errors that say "away just now": `?` turns these into a transient failure.
pub(crate) struct Unavailable;

impl Unavailable {
    pub(crate) fn is(error: &(dyn std::error::Error + 'static)) -> bool {
        matches!(error.downcast_ref(), Some(SendError::Unavailable(_)))
            || matches!(error.downcast_ref(), Some(ConfigurationError::Unavailable(_)))
            || matches!(error.downcast_ref(), Some(ObjectStoreError::Unavailable(_)))
            || matches!(error.downcast_ref(), Some(PredictionError::Unavailable(_)))
            || matches!(error.downcast_ref(), Some(DatabaseError::Unavailable(_)))
    }
}
