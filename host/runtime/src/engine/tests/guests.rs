//! Guests, and the world around them: a bus that remembers, stores that answer or wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::BoxFuture;
use krt::topology::Wasm;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::bus::{Acceptance, Bus, Consumer, Deliveries, DeliveryId, Publication, SubscribeError};
use crate::engine::{Component, Configuration, Engine, EngineOptions, Identity, Limits, NodeOptions, WasmNode};
use crate::message::{Message, MessageType, Payload};
use crate::node::{Node, NodeError};
use crate::outbox::{Origin, Outbox, OutboxOptions};
use crate::store::{KeyValue, ObjectStore, StoreError};
use crate::telemetry::{Dropped, Measurements, Metrics, Point};

/// The contract as it stands in the repository.
pub(super) fn contract() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/krt-node.wit")).unwrap()
}

/// A component of the world `node` in `wit`, made of a core module in the text format.
pub(super) fn component(module: &str, wit: &str) -> Vec<u8> {
    let mut module = wat::parse_str(module).unwrap();
    let mut resolve = Resolve::default();
    let package = resolve.push_str("krt-node.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some("node"));
    let world = world.or_else(|_| resolve.select_world(&[package], Some("krt:node/node@0.1.1"))).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

/// The guest of `hostile.wat`.
pub(super) fn hostile() -> Vec<u8> {
    hostile_with_init("")
}

/// The same, doing something more in `init`.
pub(super) fn hostile_with_init(init: &str) -> Vec<u8> {
    component(&include_str!("hostile.wat").replace("(;INIT;)", init), &contract())
}

/// An engine small enough for many at once.
pub(super) fn engine() -> Engine {
    Engine::new(EngineOptions { max_instances: 16, ..EngineOptions::default() }).unwrap()
}

/// Remembers what was published.
#[derive(Default)]
pub(super) struct MemoryBus(Mutex<Vec<Publication>>);

impl Bus for MemoryBus {
    fn publish(&self, publication: Publication) -> Acceptance {
        self.0.lock().unwrap().push(publication);
        Acceptance::Ready(Ok(()))
    }

    fn subscribe(&self, _: Consumer) -> BoxFuture<'static, Result<Deliveries, SubscribeError>> {
        Box::pin(async { Err(SubscribeError::Unavailable("nothing to read".into())) })
    }

    fn max_payload(&self) -> usize {
        1 << 20
    }
}

/// Keys with values; `wait` never answers.
#[derive(Default)]
pub(super) struct Keys(pub(super) Mutex<HashMap<String, String>>);

impl KeyValue for Keys {
    fn get(&self, key: String) -> BoxFuture<'static, Result<Option<String>, StoreError>> {
        if key == "wait" {
            return Box::pin(std::future::pending());
        }
        let value = self.0.lock().unwrap().get(&key).cloned();
        Box::pin(async { Ok(value) })
    }

    fn put(&self, key: String, value: String) -> BoxFuture<'static, Result<(), StoreError>> {
        self.0.lock().unwrap().insert(key, value);
        Box::pin(async { Ok(()) })
    }

    fn delete(&self, key: String) -> BoxFuture<'static, Result<(), StoreError>> {
        self.0.lock().unwrap().remove(&key);
        Box::pin(async { Ok(()) })
    }
}

/// Objects by name.
#[derive(Default)]
pub(super) struct Objects(pub(super) HashMap<String, Bytes>);

impl ObjectStore for Objects {
    fn get(&self, name: String, limit: usize) -> BoxFuture<'static, Result<Bytes, StoreError>> {
        let found = match self.0.get(&name) {
            Some(data) if data.len() > limit => Err(StoreError::TooLarge { limit }),
            Some(data) => Ok(data.clone()),
            None => Err(StoreError::NotFound(name)),
        };
        Box::pin(async { found })
    }

    fn save(&self, _: String, _: Bytes) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }

    fn list(&self) -> BoxFuture<'static, Result<Vec<String>, StoreError>> {
        let mut names: Vec<_> = self.0.keys().cloned().collect();
        names.sort();
        Box::pin(async { Ok(names) })
    }

    fn delete(&self, _: String) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
}

/// Takes points and forgets them.
pub(super) struct NoSink;

impl Measurements for NoSink {
    fn save(&self, _: Point) -> Result<(), Dropped> {
        Ok(())
    }
}

/// A bucket with these entries.
pub(super) fn keys(entries: &[(&str, &str)]) -> Arc<Keys> {
    let entries = entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Arc::new(Keys(Mutex::new(entries.collect())))
}

/// Options of a node that is called `hostile`, with tight limits.
pub(super) fn options(change: impl FnOnce(&mut NodeOptions)) -> NodeOptions {
    let mut options = NodeOptions {
        identity: Identity {
            runtime_id: "kre".into(),
            version: "v1".into(),
            version_id: "1".into(),
            workflow: "flow".into(),
            node: "hostile".into(),
        },
        wasm: Wasm { memory: 64 << 20, timeout: Duration::from_secs(20), ..Wasm::default() },
        replicas: 1,
        environment: Vec::new(),
        package: None,
        max_payload: 1 << 20,
        configuration: Configuration {
            node: keys(&[("everywhere", "node"), ("in node", "node")]),
            workflow: keys(&[("everywhere", "workflow"), ("in workflow", "workflow")]),
            project: keys(&[("everywhere", "project"), ("in project", "project")]),
        },
        object_store: None,
        database: Default::default(),
        measurements: Arc::new(NoSink),
        metrics: Arc::new(Metrics::default()),
        limits: Limits::default(),
    };
    change(&mut options);
    options
}

/// A node under test, and what it sent.
pub(super) struct Subject {
    pub(super) node: Arc<WasmNode>,
    pub(super) engine: Engine,
    pub(super) metrics: Arc<Metrics>,
    bus: Arc<MemoryBus>,
    outbox: Arc<OutboxOptions>,
}

impl Subject {
    pub(super) async fn new(change: impl FnOnce(&mut NodeOptions)) -> Self {
        let engine = engine();
        let component = engine.load("hostile.wasm", &hostile()).unwrap();
        Self::of(engine, component, change).await
    }

    pub(super) async fn of(engine: Engine, component: Component, change: impl FnOnce(&mut NodeOptions)) -> Self {
        let options = options(change);
        let metrics = options.metrics.clone();
        let node = engine.node(&component, options).await.unwrap();
        let bus = Arc::new(MemoryBus::default());
        let outbox = Arc::new(OutboxOptions {
            bus: bus.clone(),
            node: "hostile".into(),
            subject: "stream.hostile".into(),
            max_outputs: 100,
        });
        Self { node, engine, metrics, bus, outbox }
    }

    /// Handles one message with this payload.
    pub(super) fn handle(&self, data: impl Into<Bytes>) -> BoxFuture<'_, Result<(), NodeError>> {
        self.handle_on("stream.etl", data)
    }

    pub(super) fn handle_on(&self, subject: &str, data: impl Into<Bytes>) -> BoxFuture<'_, Result<(), NodeError>> {
        let payload = Payload { type_url: "type.googleapis.com/demo.Request".into(), data: data.into() };
        let message = Message {
            request_id: "request-1".into(),
            from_node: "etl".into(),
            message_type: MessageType::Ok,
            payload: Some(payload.clone()),
            error: String::new(),
        };
        let origin = Origin {
            delivery: DeliveryId { stream: "stream".into(), sequence: 1 },
            subject: subject.into(),
            attempt: 2,
            request_id: "request-1".into(),
            payload: Some(payload),
            traceparent: None,
            deadline: None,
        };
        self.node.handle(message, Outbox::new(self.outbox.clone(), origin))
    }

    /// Handles one message, and hands out the payloads of what it sent.
    pub(super) async fn ask(&self, data: impl Into<Bytes>) -> Vec<Vec<u8>> {
        self.handle(data).await.unwrap();
        self.sent()
    }

    /// The payloads sent since last asked.
    pub(super) fn sent(&self) -> Vec<Vec<u8>> {
        let sent = std::mem::take(&mut *self.bus.0.lock().unwrap());
        sent.into_iter().map(|p| Message::decode(p.payload).unwrap().payload.unwrap_or_default().data.into()).collect()
    }

    /// How many instances were replaced.
    pub(super) fn replaced(&self) -> u64 {
        let labels = crate::telemetry::NodeLabels { workflow: "flow".into(), node: "hostile".into() };
        self.metrics.replaced_instances.get_or_create(&labels).get()
    }
}

/// A payload: what to do, and with which number.
pub(super) fn with_number(what: u8, number: u32) -> Vec<u8> {
    [&[what][..], &number.to_le_bytes()].concat()
}

/// Waits until `reached`, which something in the background brings about; fails after five seconds.
pub(super) async fn eventually(what: &str, reached: impl Fn() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < Duration::from_secs(5), "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
