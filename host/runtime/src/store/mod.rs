//! The ports to what outlives a message: key-value buckets and object stores. Adapters beneath.

pub mod contract;
pub mod embedded;
pub mod nats;

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;

/// Opens buckets by name; the plan made them.
pub trait Stores: Send + Sync + 'static {
    /// A key-value bucket.
    fn key_value(&self, bucket: &str) -> BoxFuture<'static, Result<Arc<dyn KeyValue>, StoreError>>;
    /// An object store.
    fn object_store(&self, bucket: &str) -> BoxFuture<'static, Result<Arc<dyn ObjectStore>, StoreError>>;
}

/// A key-value bucket: text by key, history of one.
///
/// Keys consist of letters, digits and `-/_=.`, do not begin or end with `.`, have no two in a row, and are not empty
/// (contract, trap 23).
pub trait KeyValue: Send + Sync + 'static {
    /// The value, or none.
    fn get(&self, key: String) -> BoxFuture<'static, Result<Option<String>, StoreError>>;
    /// Sets or replaces.
    fn put(&self, key: String, value: String) -> BoxFuture<'static, Result<(), StoreError>>;
    /// Removes; fine when there was none.
    fn delete(&self, key: String) -> BoxFuture<'static, Result<(), StoreError>>;
}

/// An object store: bytes by name.
pub trait ObjectStore: Send + Sync + 'static {
    /// The whole object, refused when it has more than `limit` bytes.
    fn get(&self, name: String, limit: usize) -> BoxFuture<'static, Result<Bytes, StoreError>>;
    /// Creates or replaces.
    fn save(&self, name: String, data: Bytes) -> BoxFuture<'static, Result<(), StoreError>>;
    /// All names, sorted; refused when they have more than [`MAX_LISTING`] bytes.
    fn list(&self) -> BoxFuture<'static, Result<Vec<String>, StoreError>>;
    /// Removes.
    fn delete(&self, name: String) -> BoxFuture<'static, Result<(), StoreError>>;
}

/// Bytes of a key or an object's name: NATS puts it into a subject, and subjects of some kilobytes are refused.
pub const MAX_NAME: usize = 1024;

/// Bytes of all names that a listing gives: some tens of thousands of names.
pub const MAX_LISTING: usize = 4 << 20;

/// Why a store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No such bucket: the plan was not applied.
    #[error("there is no bucket {0:?}")]
    NoBucket(String),
    /// No such object.
    #[error("there is no object {0:?}")]
    NotFound(String),
    /// Not a key or name that the store can hold.
    #[error("{0}")]
    InvalidName(String),
    /// Larger than the store or the caller takes.
    #[error("larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// There is something, and it is not what the store can give: not text, damaged.
    #[error("{0}")]
    Unreadable(String),
    /// Not permitted.
    #[error("denied: {0}")]
    Denied(String),
    /// Later: the store is away.
    #[error("the store is away: {0}")]
    Unavailable(String),
}

/// Whether a bucket can hold `key`, for adapters.
///
/// # Errors
/// [`StoreError::InvalidName`], which says what a key consists of.
pub fn check_key(key: &str) -> Result<(), StoreError> {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '/' | '_' | '=' | '.');
    // A key is some tokens of a subject, and tokens are not empty.
    if key.len() > MAX_NAME || key.split('.').any(str::is_empty) || !key.chars().all(known) {
        return Err(StoreError::InvalidName(format!(
            "{:?} is not a key: at most {MAX_NAME} letters, digits and -/_=. without a dot at either end or beside \
             another",
            excerpt(key)
        )));
    }
    Ok(())
}

/// Whether an object store can hold `name`, for adapters.
///
/// # Errors
/// [`StoreError::InvalidName`], which says what a name consists of.
pub fn check_object_name(name: &str) -> Result<(), StoreError> {
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(StoreError::InvalidName(format!(
            "{:?} is not an object's name: 1 to {MAX_NAME} bytes without control characters",
            excerpt(name)
        )));
    }
    Ok(())
}

/// What of a hostile name goes into a message.
fn excerpt(name: &str) -> String {
    name.chars().take(64).collect()
}
