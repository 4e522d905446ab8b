//! One component by itself: an engine, a node of it, messages handed to it one after the other, and what it sent. For what a
//! whole version would take too long for. Asserts nothing about the answers.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::future::BoxFuture;
use krt::topology::Wasm;
use krt_host::bus::{Acceptance, Bus, Consumer, Deliveries, DeliveryId, Publication, SubscribeError};
use krt_host::engine::{Configuration, Engine, EngineOptions, Identity, Limits, NodeOptions, StartError, WasmNode};
use krt_host::message::{Message, MessageType, Payload};
use krt_host::node::{Node as _, NodeError};
use krt_host::outbox::{DEFAULT_MAX_OUTPUTS, Origin, Outbox, OutboxOptions};
use krt_host::store::KeyValue;
use krt_host::store::StoreError;
use krt_host::telemetry::{Dropped, Measurements, Metrics, NodeLabels, Point};

/// A node of one instance.
pub struct Lone {
    node: Arc<WasmNode>,
    metrics: Arc<Metrics>,
    bus: Arc<Sent>,
    outbox: Arc<OutboxOptions>,
    stream: Arc<str>,
    /// Of the node that it was last handed a message of.
    subject: Mutex<Arc<str>>,
}

/// Keeps what was published.
#[derive(Default)]
struct Sent(Mutex<Vec<Publication>>);

/// Has no keys, and takes none.
struct NoKeys;

/// Takes measurements and forgets them.
struct Nowhere;

/// What a node by itself is made with.
pub struct Parts {
    wasm: Wasm,
    metrics: Arc<Metrics>,
}

impl Parts {
    /// With these settings.
    pub fn new(wasm: Wasm) -> Self {
        Self { wasm, metrics: Arc::new(Metrics::default()) }
    }

    /// As the engine takes them: stores without a key, measurements that nobody keeps.
    pub fn options(&self) -> NodeOptions {
        let keys: Arc<dyn KeyValue> = Arc::new(NoKeys);
        NodeOptions {
            identity: Identity {
                runtime_id: "lone".to_owned(),
                version: "lone".to_owned(),
                version_id: "lone".to_owned(),
                workflow: "lone".to_owned(),
                node: "lone".to_owned(),
            },
            wasm: self.wasm.clone(),
            replicas: 1,
            environment: Vec::new(),
            package: None,
            max_payload: 1 << 20,
            configuration: Configuration { node: keys.clone(), workflow: keys.clone(), project: keys },
            object_store: None,
            database: Default::default(),
            measurements: Arc::new(Nowhere),
            metrics: self.metrics.clone(),
            limits: Limits::default(),
        }
    }
}

impl Lone {
    /// Loads a component and starts a node of it. `cache`: where the engine keeps machine code.
    ///
    /// # Errors
    /// Its `init` failed.
    ///
    /// # Panics
    /// When it is not a node's component.
    pub async fn start(component: &[u8], wasm: Wasm, cache: Option<std::path::PathBuf>) -> Result<Self, StartError> {
        let engine = Engine::new(EngineOptions { cache, max_instances: 16 }).expect("an engine starts");
        let component = engine.load("node.wasm", component).expect("a component");
        let parts = Parts::new(wasm);
        let metrics = parts.metrics.clone();
        let node = engine.node(&component, parts.options()).await?;
        let bus = Arc::new(Sent::default());
        let outbox = Arc::new(OutboxOptions {
            bus: bus.clone(),
            node: "lone".to_owned(),
            subject: "lone.lone".into(),
            max_outputs: DEFAULT_MAX_OUTPUTS,
        });
        let stream: Arc<str> = "lone".into();
        Ok(Self { node, metrics, bus, outbox, subject: Mutex::new(stream.clone()), stream })
    }

    /// Hands it one message of `from`.
    ///
    /// # Errors
    /// What the node made of it.
    pub async fn handle(&self, from: &str, type_url: &str, data: &Bytes) -> Result<(), NodeError> {
        let payload = Payload { type_url: type_url.to_owned(), data: data.clone() };
        let message = Message {
            request_id: "6f1c0d0e-3f0b-4f4e-9d5b-0a1b2c3d4e5f".to_owned(),
            from_node: from.to_owned(),
            message_type: MessageType::Ok,
            payload: Some(payload.clone()),
            error: String::new(),
        };
        let origin = Origin {
            delivery: DeliveryId { stream: self.stream.clone(), sequence: 1 },
            subject: self.subject(from),
            attempt: 1,
            request_id: message.request_id.clone(),
            payload: Some(payload),
            traceparent: None,
            deadline: None,
        };
        self.node.handle(message, Outbox::new(self.outbox.clone(), origin)).await
    }

    /// As a consumer has it at hand: benchmarks are not to pay for it with each message.
    fn subject(&self, from: &str) -> Arc<str> {
        let mut last = self.subject.lock().unwrap_or_else(PoisonError::into_inner);
        if last.strip_prefix("lone.") != Some(from) {
            *last = format!("lone.{from}").into();
        }
        last.clone()
    }

    /// What it sent since last asked.
    ///
    /// # Panics
    /// When it is not an envelope.
    pub fn sent(&self) -> Vec<Message> {
        let sent = std::mem::take(&mut *self.bus.0.lock().unwrap_or_else(PoisonError::into_inner));
        sent.into_iter().map(|publication| Message::decode(publication.payload).expect("an envelope")).collect()
    }

    /// Forgets what it sent since last asked: how many.
    pub fn forget(&self) -> usize {
        let mut sent = self.bus.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = sent.len();
        sent.clear();
        count
    }

    /// How many instances were replaced.
    pub fn replaced(&self) -> u64 {
        let labels = NodeLabels { workflow: "lone".to_owned(), node: "lone".to_owned() };
        self.metrics.replaced_instances.get_or_create(&labels).get()
    }
}

impl Bus for Sent {
    fn publish(&self, publication: Publication) -> Acceptance {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(publication);
        Acceptance::Ready(Ok(()))
    }

    fn subscribe(&self, _: Consumer) -> BoxFuture<'static, Result<Deliveries, SubscribeError>> {
        Box::pin(async { Err(SubscribeError::Unavailable("nothing to read".into())) })
    }

    fn max_payload(&self) -> usize {
        1 << 20
    }
}

impl KeyValue for NoKeys {
    fn get(&self, _: String) -> BoxFuture<'static, Result<Option<String>, StoreError>> {
        Box::pin(async { Ok(None) })
    }

    fn put(&self, _: String, _: String) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }

    fn delete(&self, _: String) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
}

impl Measurements for Nowhere {
    fn save(&self, _point: Point) -> Result<(), Dropped> {
        Ok(())
    }
}
