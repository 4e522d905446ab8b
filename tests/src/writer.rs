//! The platform's writer on NATS, behaving as the original's: it takes documents of every runtime by core requests, gunzips
//! what begins like gzip, and answers whether it saved. Keeps documents in place of a database.

use std::io::Read as _;
use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use serde_json::{Value, json};

/// A writer that runs until it is dropped.
pub struct Writer {
    saved: Arc<Mutex<Vec<Saved>>>,
    task: tokio::task::JoinHandle<()>,
}

/// What was saved.
#[derive(Debug, Clone, PartialEq)]
pub struct Saved {
    /// The token after the subject's prefix.
    pub runtime: String,
    /// The collection.
    pub collection: String,
    /// The document.
    pub document: Value,
    /// Whether it came compressed.
    pub compressed: bool,
}

impl Writer {
    /// Listens; returns once the server knows it.
    ///
    /// # Panics
    /// When NATS is not there.
    pub async fn start(client: async_nats::Client) -> Self {
        let mut requests = client.subscribe("mongo_writer_data.*").await.expect("a subscription");
        client.flush().await.expect("the server answers");
        let saved = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn({
            let saved = saved.clone();
            async move {
                while let Some(request) = requests.next().await {
                    let Some(reply) = request.reply else { continue };
                    let runtime = request.subject.rsplit('.').next().unwrap_or_default().to_owned();
                    let success = match read(&request.payload) {
                        Some((collection, document, compressed)) => {
                            saved.lock().expect("not poisoned").push(Saved {
                                runtime,
                                collection,
                                document,
                                compressed,
                            });
                            true
                        }
                        None => false,
                    };
                    let answer = json!({ "success": success }).to_string();
                    client.publish(reply, answer.into()).await.expect("the connection is there");
                }
            }
        });
        Self { saved, task }
    }

    /// What was saved so far, in order.
    ///
    /// # Panics
    /// When it died.
    pub fn saved(&self) -> Vec<Saved> {
        self.saved.lock().expect("not poisoned").clone()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Collection, document, and whether they were compressed; none for what a database would not take.
fn read(payload: &[u8]) -> Option<(String, Value, bool)> {
    let compressed = payload.starts_with(&[0x1f, 0x8b]);
    let mut plain = Vec::new();
    if compressed {
        flate2::read::GzDecoder::new(payload).read_to_end(&mut plain).ok()?;
    } else {
        plain.extend_from_slice(payload);
    }
    let mut body: Value = serde_json::from_slice(&plain).ok()?;
    let collection = body["coll"].as_str().filter(|name| !name.is_empty())?.to_owned();
    let document = body["doc"].take();
    // An index of the test's: the second of a name is refused.
    (document.is_object() && document["_id"] != "taken").then_some((collection, document, compressed))
}
