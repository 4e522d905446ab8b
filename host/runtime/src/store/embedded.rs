//! Key-value buckets and object stores in memory, for `krt run` and tests. Nothing survives the process.
//!
//! Every bucket is bounded: what a node stores cannot take the host's memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::future::{BoxFuture, ready};
use krt::plan::Plan;

use super::{KeyValue, MAX_LISTING, ObjectStore, StoreError, Stores, check_key, check_object_name};

/// Bounds of each bucket, in bytes of names and contents.
#[derive(Debug, Clone)]
pub struct StoreLimits {
    /// One value. Default 1 MiB: NATS takes no larger message.
    pub value: usize,
    /// One key-value bucket. Default 64 MiB.
    pub key_value: usize,
    /// One object store. Default 512 MiB.
    pub object_store: usize,
}

/// All buckets of a process.
pub struct EmbeddedStores {
    limits: StoreLimits,
    buckets: Mutex<Buckets>,
}

#[derive(Default)]
struct Buckets {
    key_value: HashMap<String, Arc<Bucket<String>>>,
    objects: HashMap<String, Arc<Bucket<Bytes>>>,
}

/// A bounded, sorted map.
struct Bucket<V> {
    entries: Mutex<Entries<V>>,
    entry_limit: usize,
    limit: usize,
}

struct Entries<V> {
    map: BTreeMap<String, V>,
    bytes: usize,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self { value: 1 << 20, key_value: 64 << 20, object_store: 512 << 20 }
    }
}

impl EmbeddedStores {
    /// No buckets, default limits.
    pub fn new() -> Arc<Self> {
        Self::with_limits(StoreLimits::default())
    }

    /// No buckets.
    pub fn with_limits(limits: StoreLimits) -> Arc<Self> {
        Arc::new(Self { limits, buckets: Mutex::default() })
    }

    /// Makes the buckets that the plan names and that are not there. What is there stays, with its contents.
    pub fn apply(&self, plan: &Plan) {
        let StoreLimits { value, key_value, object_store } = self.limits;
        let mut buckets = self.lock();
        for name in &plan.key_value_buckets {
            buckets.key_value.entry(name.clone()).or_insert_with(|| Bucket::new(value, key_value));
        }
        for name in &plan.object_stores {
            buckets.objects.entry(name.clone()).or_insert_with(|| Bucket::new(object_store, object_store));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stores for EmbeddedStores {
    fn key_value(&self, bucket: &str) -> BoxFuture<'static, Result<Arc<dyn KeyValue>, StoreError>> {
        let found = self.lock().key_value.get(bucket).cloned().map(|found| found as Arc<dyn KeyValue>);
        answer(found.ok_or_else(|| StoreError::NoBucket(bucket.to_owned())))
    }

    fn object_store(&self, bucket: &str) -> BoxFuture<'static, Result<Arc<dyn ObjectStore>, StoreError>> {
        let found = self.lock().objects.get(bucket).cloned().map(|found| found as Arc<dyn ObjectStore>);
        answer(found.ok_or_else(|| StoreError::NoBucket(bucket.to_owned())))
    }
}

impl KeyValue for Bucket<String> {
    fn get(&self, key: String) -> BoxFuture<'static, Result<Option<String>, StoreError>> {
        answer(check_key(&key).map(|()| self.lock().map.get(&key).cloned()))
    }

    fn put(&self, key: String, value: String) -> BoxFuture<'static, Result<(), StoreError>> {
        answer(check_key(&key).and_then(|()| self.insert(key, value)))
    }

    fn delete(&self, key: String) -> BoxFuture<'static, Result<(), StoreError>> {
        answer(check_key(&key).map(|()| drop(self.remove(&key))))
    }
}

impl ObjectStore for Bucket<Bytes> {
    fn get(&self, name: String, limit: usize) -> BoxFuture<'static, Result<Bytes, StoreError>> {
        answer(check_object_name(&name).and_then(|()| match self.lock().map.get(&name) {
            None => Err(StoreError::NotFound(name)),
            Some(data) if data.len() > limit => Err(StoreError::TooLarge { limit }),
            Some(data) => Ok(data.clone()),
        }))
    }

    fn save(&self, name: String, data: Bytes) -> BoxFuture<'static, Result<(), StoreError>> {
        answer(check_object_name(&name).and_then(|()| self.insert(name, data)))
    }

    fn list(&self) -> BoxFuture<'static, Result<Vec<String>, StoreError>> {
        let entries = self.lock();
        let bytes: usize = entries.map.keys().map(String::len).sum();
        answer(if bytes > MAX_LISTING {
            Err(StoreError::TooLarge { limit: MAX_LISTING })
        } else {
            Ok(entries.map.keys().cloned().collect())
        })
    }

    fn delete(&self, name: String) -> BoxFuture<'static, Result<(), StoreError>> {
        let removed = check_object_name(&name).and_then(|()| match self.remove(&name) {
            None => Err(StoreError::NotFound(name)),
            Some(_) => Ok(()),
        });
        answer(removed)
    }
}

impl<V: AsRef<[u8]>> Bucket<V> {
    fn new(entry_limit: usize, limit: usize) -> Arc<Self> {
        Arc::new(Self { entries: Mutex::new(Entries { map: BTreeMap::new(), bytes: 0 }), entry_limit, limit })
    }

    fn insert(&self, name: String, value: V) -> Result<(), StoreError> {
        let size = value.as_ref().len();
        if size > self.entry_limit {
            return Err(StoreError::TooLarge { limit: self.entry_limit });
        }
        let mut entries = self.lock();
        let before = entries.map.get(&name).map_or(0, |old| name.len() + old.as_ref().len());
        let bytes = entries.bytes - before + name.len() + size;
        if bytes > self.limit {
            return Err(StoreError::TooLarge { limit: self.limit });
        }
        entries.bytes = bytes;
        entries.map.insert(name, value);
        Ok(())
    }

    fn remove(&self, name: &str) -> Option<V> {
        let mut entries = self.lock();
        let value = entries.map.remove(name)?;
        entries.bytes -= name.len() + value.as_ref().len();
        Some(value)
    }

    fn lock(&self) -> MutexGuard<'_, Entries<V>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answer<T: Send + 'static>(result: Result<T, StoreError>) -> BoxFuture<'static, Result<T, StoreError>> {
    Box::pin(ready(result))
}

#[cfg(test)]
mod tests {
    use krt::plan::Stream;

    use super::*;

    fn stores(limits: StoreLimits) -> Arc<EmbeddedStores> {
        let stores = EmbeddedStores::with_limits(limits);
        stores.apply(&plan());
        stores
    }

    fn plan() -> Plan {
        Plan {
            runtime_id: "kre".into(),
            version: "v1".into(),
            streams: vec![],
            durables: vec![],
            key_value_buckets: vec!["project".into(), "node".into()],
            object_stores: vec!["models".into()],
            dead_letters: Stream { name: "dead".into(), subjects: vec![] },
        }
    }

    mod contract {
        use std::sync::Arc;

        use super::super::EmbeddedStores;
        use crate::store::Stores;
        use crate::store::contract::Make;

        fn embedded() -> Make {
            Make::new(|names| async move {
                let stores = EmbeddedStores::new();
                let mut plan = super::plan();
                plan.key_value_buckets = names.key_value.into();
                plan.object_stores = names.objects.into();
                stores.apply(&plan);
                stores as Arc<dyn Stores>
            })
        }

        crate::store_contract!(embedded());
    }

    #[tokio::test]
    async fn the_plan_applied_again_keeps_what_is_stored() {
        let stores = stores(StoreLimits::default());
        stores.key_value("node").await.unwrap().put("a".into(), "1".into()).await.unwrap();
        stores.apply(&plan());
        assert_eq!(stores.key_value("node").await.unwrap().get("a".into()).await, Ok(Some("1".into())));
    }

    #[tokio::test]
    async fn a_bucket_stays_within_its_bytes_and_takes_again_what_was_freed() {
        let stores = stores(StoreLimits { value: 6, key_value: 10, object_store: 10 });
        let node = stores.key_value("node").await.unwrap();
        assert_eq!(node.put("k".into(), "1234567".into()).await, Err(StoreError::TooLarge { limit: 6 }));
        node.put("k".into(), "123456".into()).await.unwrap();
        assert_eq!(node.put("l".into(), "123".into()).await, Err(StoreError::TooLarge { limit: 10 }));
        node.put("k".into(), "1".into()).await.unwrap();
        node.put("l".into(), "123".into()).await.unwrap();
        node.delete("l".into()).await.unwrap();
        node.put("m".into(), "123456".into()).await.unwrap();
        let models = stores.object_store("models").await.unwrap();
        models.save("o".into(), Bytes::from_static(b"123456789")).await.unwrap();
        let refused = models.save("p".into(), Bytes::from_static(b"1")).await;
        assert_eq!(refused, Err(StoreError::TooLarge { limit: 10 }));
    }
}
