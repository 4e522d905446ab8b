//! A key-value bucket: a stream with one subject a key, whose last message is the value. Text in and out.

use async_nats::HeaderMap;
use bytes::Bytes;
use futures::future::BoxFuture;

use super::Bucket;
use crate::store::{KeyValue, StoreError, check_key};

/// Says what a message does to its key; without it, the message is a value.
const OPERATION: &str = "KV-Operation";
const DELETE: &str = "DEL";

/// Why the server itself put a marker in place of a value: it expired, or was removed.
const MARKER: &str = "Nats-Marker-Reason";

pub(super) struct NatsKeyValue(pub(super) Bucket);

impl NatsKeyValue {
    fn subject(&self, key: &str) -> Result<String, StoreError> {
        check_key(key)?;
        Ok(format!("$KV.{}.{key}", self.0.name))
    }
}

impl KeyValue for NatsKeyValue {
    fn get(&self, key: String) -> BoxFuture<'static, Result<Option<String>, StoreError>> {
        let (bucket, subject) = (self.0.clone(), self.subject(&key));
        Box::pin(async move {
            let Some((headers, value)) = bucket.last(&subject?).await? else { return Ok(None) };
            if headers.get(OPERATION).is_some() || headers.get(MARKER).is_some() {
                return Ok(None);
            }
            let text = String::from_utf8(value.into());
            text.map(Some).map_err(|_| StoreError::Unreadable(format!("the value of {key:?} is not UTF-8 text")))
        })
    }

    fn put(&self, key: String, value: String) -> BoxFuture<'static, Result<(), StoreError>> {
        let (bucket, subject) = (self.0.clone(), self.subject(&key));
        Box::pin(async move { bucket.store(&subject?, HeaderMap::new(), value.into()).await })
    }

    fn delete(&self, key: String) -> BoxFuture<'static, Result<(), StoreError>> {
        let (bucket, subject) = (self.0.clone(), self.subject(&key));
        Box::pin(async move {
            let mut headers = HeaderMap::new();
            headers.insert(OPERATION, DELETE);
            bucket.store(&subject?, headers, Bytes::new()).await
        })
    }
}
