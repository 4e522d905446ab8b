//! Documents in memory, for `krt run` and tests: writer and reader in one. Nothing survives the process, and what nodes
//! save cannot take the host's memory.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use serde_json::{Map, Value, json};

use super::query::Query;
use super::{DataError, Database, MAX_FOUND_DOCUMENTS, Reader, Writer, aside};

/// Bytes that all documents may take, as parsed, and what each value costs beside its text.
const MAX_BYTES: usize = 128 << 20;
const VALUE: usize = 64;

/// See the module.
#[derive(Clone)]
pub struct EmbeddedData(Arc<Inner>);

struct Inner {
    documents: Mutex<Documents>,
    limit: usize,
}

#[derive(Default)]
struct Documents {
    collections: HashMap<String, Collection>,
    bytes: usize,
    saved: u64,
}

#[derive(Default)]
struct Collection {
    documents: Vec<Value>,
    ids: HashSet<String>,
}

impl EmbeddedData {
    /// An empty database, both ways.
    pub fn database() -> Database {
        Self::with_limit(MAX_BYTES)
    }

    fn with_limit(limit: usize) -> Database {
        let data = Arc::new(Self(Arc::new(Inner { documents: Mutex::default(), limit })));
        Database { writer: Some(data.clone()), reader: Some(data) }
    }
}

impl Inner {
    fn insert(&self, collection: String, document: &str) -> Result<(), DataError> {
        let mut value: Map<String, Value> =
            serde_json::from_str(document).map_err(|error| DataError::Invalid(error.to_string()))?;
        let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        let saved = documents.saved + 1;
        let id = value.entry("_id").or_insert_with(|| json!({"$oid": format!("{saved:024x}")})).to_string();
        let value = Value::Object(value);
        let bytes = documents.bytes + weight(&value) + id.len();
        if bytes > self.limit {
            return Err(DataError::TooLarge { limit: self.limit });
        }
        let stored = documents.collections.entry(collection).or_default();
        if !stored.ids.insert(id) {
            return Err(DataError::Refused("there is a document with this _id".to_owned()));
        }
        stored.documents.push(value);
        documents.bytes = bytes;
        documents.saved = saved;
        Ok(())
    }

    fn matching(&self, collection: &str, query: &Map<String, Value>, limit: usize) -> Result<Vec<String>, DataError> {
        let query = Query::read(query)?;
        let documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut found, mut bytes) = (Vec::new(), 0);
        for document in documents.collections.get(collection).iter().flat_map(|stored| &stored.documents) {
            if query.matches(document) {
                let text = document.to_string();
                bytes += text.len();
                if bytes > limit || found.len() == MAX_FOUND_DOCUMENTS {
                    return Err(DataError::TooLarge { limit });
                }
                found.push(text);
            }
        }
        Ok(found)
    }
}

/// What a value takes, about. Nesting is bounded by the parser.
fn weight(value: &Value) -> usize {
    VALUE
        + match value {
            Value::String(text) => text.len(),
            Value::Array(values) => values.iter().map(weight).sum(),
            Value::Object(map) => map.iter().map(|(key, value)| VALUE + key.len() + weight(value)).sum(),
            _ => 0,
        }
}

impl Writer for EmbeddedData {
    fn save(&self, collection: String, document: String) -> BoxFuture<'static, Result<(), DataError>> {
        let inner = self.0.clone();
        Box::pin(async move { aside(document.len(), move || inner.insert(collection, &document)).await })
    }
}

impl Reader for EmbeddedData {
    fn find(
        &self,
        collection: String,
        query: Map<String, Value>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<String>, DataError>> {
        let inner = self.0.clone();
        Box::pin(async move {
            // Every document is looked at.
            aside(usize::MAX, move || inner.matching(&collection, &query, limit)).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLENTY: usize = 1 << 20;

    async fn find(database: &Database, query: &str) -> Result<Vec<Value>, DataError> {
        let found = database.find("mails".into(), query, PLENTY).await?;
        Ok(found.iter().map(|text| serde_json::from_str(text).unwrap()).collect())
    }

    #[tokio::test]
    async fn what_was_saved_is_found_in_order_with_an_id() {
        let database = EmbeddedData::database();
        assert_eq!(find(&database, "{}").await, Ok(vec![]));
        for n in 0..3 {
            database.save("mails".into(), json!({"n": n, "kind": "spam"}).to_string()).await.unwrap();
        }
        database.save("others".into(), json!({"n": 9}).to_string()).await.unwrap();
        let found = find(&database, r#"{"n": {"$gte": 1}}"#).await.unwrap();
        assert_eq!(found.iter().map(|document| document["n"].as_i64().unwrap()).collect::<Vec<_>>(), [1, 2]);
        let id = json!({"_id": found[1]["_id"]}).to_string();
        assert_eq!(find(&database, &id).await.unwrap(), [found[1].clone()]);
    }

    #[tokio::test]
    async fn an_id_of_ones_own_is_kept_and_refused_the_second_time() {
        let database = EmbeddedData::database();
        database.save("mails".into(), r#"{"_id": "one"}"#.into()).await.unwrap();
        let again = database.save("mails".into(), r#"{"_id": "one", "n": 2}"#.into()).await;
        assert!(matches!(again, Err(DataError::Refused(_))), "{again:?}");
        assert_eq!(find(&database, "{}").await, Ok(vec![json!({"_id": "one"})]));
    }

    #[tokio::test]
    async fn the_database_and_what_is_found_are_bounded() {
        let database = EmbeddedData::with_limit(4000);
        let document = || json!({"text": "x".repeat(1000)}).to_string();
        database.save("mails".into(), document()).await.unwrap();
        database.save("mails".into(), document()).await.unwrap();
        assert_eq!(database.save("mails".into(), document()).await, Err(DataError::TooLarge { limit: 4000 }));
        assert_eq!(database.find("mails".into(), "{}", 1500).await, Err(DataError::TooLarge { limit: 1500 }));
        assert_eq!(database.find("mails".into(), "{}", 3000).await.unwrap().len(), 2);
    }
}
