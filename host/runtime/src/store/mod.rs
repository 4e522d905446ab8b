//! The ports to what outlives a message: key-value buckets and object stores. Adapters beneath.

pub mod embedded;

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
/// Keys consist of letters, digits and `-/_=.`, do not begin or end with `.`, and are not empty (contract, trap 23).
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
    /// All names, sorted.
    fn list(&self) -> BoxFuture<'static, Result<Vec<String>, StoreError>>;
    /// Removes.
    fn delete(&self, name: String) -> BoxFuture<'static, Result<(), StoreError>>;
}

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
    /// Not permitted.
    #[error("denied: {0}")]
    Denied(String),
    /// Later: the store is away.
    #[error("the store is away: {0}")]
    Unavailable(String),
}
