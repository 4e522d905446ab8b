//! Messages as a handler meets them. Never touches the host.

use prost::Message;
use prost::Name;

use crate::error::UnpackError;

/// What a type URL starts with, as every other runner writes it.
const TYPE_URL_PREFIX: &str = "type.googleapis.com/";

/// A protobuf message with its name: `google.protobuf.Any`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Any {
    /// `type.googleapis.com/<full protobuf name>`.
    pub type_url: String,
    /// The serialised message.
    pub value: Vec<u8>,
}

/// What kind of message was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// No type, or one that this contract does not know.
    Undefined,
    /// An ordinary output of the origin node.
    Ok,
    /// The origin node failed.
    Error,
    /// An answer for the caller, sent before the origin node is done.
    EarlyReply,
    /// An answer for the caller, after which the origin node stops.
    EarlyExit,
}

/// The kinds of message that a handler may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputType {
    /// An ordinary output.
    Ok,
    /// An answer for the caller; the handler goes on.
    EarlyReply,
    /// An answer for the caller; the handler stops.
    EarlyExit,
}

/// One received message of any kind, for handlers that want more than one protobuf type: errors, early answers, or
/// whatever comes.
///
/// ```
/// use krt_node::{Context, Incoming, Result};
///
/// /// An exitpoint that hands every answer on to the caller, early ones too.
/// fn answer(ctx: &Context, incoming: Incoming) -> Result {
///     if let Some(text) = incoming.error() {
///         log::warn!("{} failed: {text}", ctx.from_node());
///     }
///     Ok(ctx.send_any(incoming.into_any()?)?)
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    pub(crate) message_type: MessageType,
    pub(crate) payload: Option<Any>,
    pub(crate) error: Option<String>,
}

impl Any {
    /// Packs a message. Its bytes are written once, here.
    pub fn pack<T: Message + Name>(message: &T) -> Self {
        // Once a message: `format!` would cost several times this.
        Self { type_url: [TYPE_URL_PREFIX, &T::full_name()].concat(), value: message.encode_to_vec() }
    }

    /// The full protobuf name: what follows the last `/` of the type URL.
    pub fn message_name(&self) -> &str {
        self.type_url.rsplit('/').next().unwrap_or_default()
    }

    /// Whether it is a `T`, by its name.
    pub fn is<T: Name>(&self) -> bool {
        self.message_name() == T::full_name()
    }

    /// Unpacks it.
    ///
    /// # Errors
    /// It is another message (the error names both), or its bytes are not a `T`.
    pub fn unpack<T: Message + Name + Default>(&self) -> Result<T, UnpackError> {
        let expected = T::full_name();
        if self.message_name() != expected {
            return Err(UnpackError::WrongType { expected, found: self.message_name().to_owned() });
        }
        T::decode(self.value.as_slice()).map_err(|source| UnpackError::Malformed { expected, source })
    }
}

impl MessageType {
    /// Whether it is an early reply or an early exit.
    pub fn is_early(self) -> bool {
        matches!(self, Self::EarlyReply | Self::EarlyExit)
    }
}

impl Incoming {
    /// Its kind.
    pub fn message_type(&self) -> MessageType {
        self.message_type
    }

    /// The text of the origin node's error, if this message reports one.
    pub fn error(&self) -> Option<&str> {
        match &self.error {
            Some(text) => Some(text),
            // Type ERROR with an empty text is an error, too.
            None if self.message_type == MessageType::Error => Some(""),
            None => None,
        }
    }

    /// The payload; none on errors.
    pub fn payload(&self) -> Option<&Any> {
        self.payload.as_ref()
    }

    /// Full protobuf name of the payload; empty without one.
    pub fn message_name(&self) -> &str {
        self.payload.as_ref().map_or("", Any::message_name)
    }

    /// Whether the payload is a `T`, by its name.
    pub fn is<T: Name>(&self) -> bool {
        self.payload.as_ref().is_some_and(Any::is::<T>)
    }

    /// Unpacks the payload.
    ///
    /// # Errors
    /// There is none, it is another message, or its bytes are not a `T`.
    pub fn unpack<T: Message + Name + Default>(&self) -> Result<T, UnpackError> {
        match &self.payload {
            Some(any) => any.unpack(),
            None => Err(UnpackError::NoPayload { expected: T::full_name() }),
        }
    }

    /// The payload, without a copy.
    ///
    /// # Errors
    /// There is none.
    pub fn into_any(self) -> Result<Any, UnpackError> {
        self.payload.ok_or_else(|| UnpackError::NoPayload { expected: "google.protobuf.Any".to_owned() })
    }
}
