//! The ports to documents that outlive a version: who writes them, who reads them, and what both refuse. Predictions are
//! documents of one collection. Adapters beneath; nothing here knows what a guest is.

pub mod embedded;
pub mod mongo;
pub mod nats;
mod predictions;
mod query;

use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::{Map, Value};

pub use self::predictions::{Prediction, Problem};

/// Bytes of a document as JSON. MongoDB takes 16 MiB of its own format.
pub const MAX_DOCUMENT: usize = 4 << 20;

/// Bytes of a query as JSON.
pub const MAX_QUERY: usize = 64 << 10;

/// Bytes, and documents, that one query may find.
pub const MAX_FOUND: usize = 16 << 20;
/// See [`MAX_FOUND`].
pub const MAX_FOUND_DOCUMENTS: usize = 10_000;

/// Bytes of a collection's name: MongoDB's own limit for database and collection together is 255.
const MAX_COLLECTION: usize = 120;

/// Bytes of JSON that are read where they arrive.
const LARGE: usize = 64 << 10;

/// What runs code in the database, wherever it stands in a query.
const RUNS_CODE: [&str; 3] = ["$where", "$function", "$accumulator"];

/// Saves documents.
pub trait Writer: Send + Sync + 'static {
    /// Saves a JSON object; saved when it returns.
    fn save(&self, collection: String, document: String) -> BoxFuture<'static, Result<(), DataError>>;
}

/// Finds documents.
pub trait Reader: Send + Sync + 'static {
    /// All documents that match, as JSON, in at most `limit` bytes.
    fn find(
        &self,
        collection: String,
        query: Map<String, Value>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<String>, DataError>>;
}

/// What a node has of a database: both ways, one, or none.
#[derive(Clone, Default)]
pub struct Database {
    /// Who saves.
    pub writer: Option<Arc<dyn Writer>>,
    /// Who finds.
    pub reader: Option<Arc<dyn Reader>>,
}

/// Why a document was not saved or found; the variant decides what the node is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// Not by this host: nobody writes, or reads.
    #[error("{0}")]
    NotConfigured(String),
    /// Never: not a collection, document or query.
    #[error("{0}")]
    Invalid(String),
    /// Larger than anybody takes.
    #[error("larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// Not permitted.
    #[error("denied: {0}")]
    Denied(String),
    /// Later: whoever writes or reads is away.
    #[error("the database is away: {0}")]
    Unavailable(String),
    /// Whoever writes or reads is there, and says no.
    #[error("the database refused: {0}")]
    Refused(String),
}

impl Database {
    /// Saves `document`, a JSON object, in `collection`.
    ///
    /// # Errors
    /// See [`DataError`].
    pub async fn save(&self, collection: String, document: String) -> Result<(), DataError> {
        check_collection(&collection)?;
        let writer = self.writer()?;
        let document = aside(document.len(), move || {
            object("the document", &document, MAX_DOCUMENT)?;
            Ok(document)
        })
        .await?;
        writer.save(collection, document).await
    }

    /// The documents in `collection` that match `query`, a JSON object, in at most `limit` bytes.
    ///
    /// # Errors
    /// See [`DataError`].
    pub async fn find(&self, collection: String, query: &str, limit: usize) -> Result<Vec<String>, DataError> {
        check_collection(&collection)?;
        let query = object("the query", query, MAX_QUERY)?;
        refuse_code(&query)?;
        let none = "this host reads no database: give it the URI of a MongoDB (KRT_MONGO_URI)";
        let reader = self.reader.as_ref().ok_or_else(|| DataError::NotConfigured(none.to_owned()))?;
        reader.find(collection, query, limit.min(MAX_FOUND)).await
    }

    /// Saves a prediction of a node of `version`.
    ///
    /// # Errors
    /// See [`DataError`].
    pub async fn predict(&self, prediction: &Prediction, version: &str, version_id: &str) -> Result<(), DataError> {
        let document = prediction.document(version, version_id)?;
        let writer = self.writer()?;
        writer.save(predictions::COLLECTION.to_owned(), document).await
    }

    fn writer(&self) -> Result<&Arc<dyn Writer>, DataError> {
        let none = "this host writes to no database: run the version on NATS, with the platform's writer behind it";
        self.writer.as_ref().ok_or_else(|| DataError::NotConfigured(none.to_owned()))
    }
}

/// Does what takes a millisecond or more beside the threads that serve others.
async fn aside<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T, DataError> + Send + 'static,
) -> Result<T, DataError> {
    if bytes <= LARGE {
        return work();
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(DataError::Unavailable("the host is shutting down".to_owned())))
}

fn check_collection(name: &str) -> Result<(), DataError> {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty()
        || name.len() > MAX_COLLECTION
        || name.starts_with("system.")
        || name.split('.').any(str::is_empty)
        || !name.chars().all(known)
    {
        let shown: String = name.chars().take(64).collect();
        return Err(DataError::Invalid(format!(
            "{shown:?} is not a collection: 1 to {MAX_COLLECTION} letters, digits and -_., no dot at either end or beside \
             another, not beginning with \"system.\""
        )));
    }
    Ok(())
}

/// A JSON object; nesting is bounded by the parser.
fn object(what: &str, text: &str, limit: usize) -> Result<Map<String, Value>, DataError> {
    if text.len() > limit {
        return Err(DataError::TooLarge { limit });
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(DataError::Invalid(format!("{what} is not a JSON object"))),
        Err(error) => Err(DataError::Invalid(format!("{what} is not JSON: {error}"))),
    }
}

fn refuse_code(query: &Map<String, Value>) -> Result<(), DataError> {
    query.iter().try_for_each(|(key, value)| {
        if RUNS_CODE.contains(&key.as_str()) {
            return Err(DataError::Invalid(format!("{key} would run code in the database")));
        }
        refuse_code_within(value)
    })
}

fn refuse_code_within(value: &Value) -> Result<(), DataError> {
    match value {
        Value::Object(map) => refuse_code(map),
        Value::Array(values) => values.iter().try_for_each(refuse_code_within),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
