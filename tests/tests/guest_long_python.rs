//! A node in Python that works for a long time. The toolchain leaks what a node sends: instances are replaced between
//! messages, and no message is lost by it.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get is a failure of the test")]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::BoxFuture;
use krt::topology::Wasm;
use krt_host::bus::{Acceptance, Bus, Consumer, Deliveries, DeliveryId, Publication, SubscribeError};
use krt_host::engine::{Configuration, Engine, EngineOptions, Identity, Limits, NodeOptions, WasmNode};
use krt_host::message::{Message, MessageType, Payload};
use krt_host::node::{Node, NodeError};
use krt_host::outbox::{Origin, Outbox, OutboxOptions};
use krt_host::store::{KeyValue, StoreError};
use krt_host::telemetry::{Dropped, Measurements, Metrics, NodeLabels, Point};
use prost::Message as _;

/// Messages of 1 KiB and of 64 KiB. Each leaks as many bytes: either way memory would grow past what is kept of it.
const SMALL: u32 = 200_000;
const LARGE: u32 = 3_000;

/// What a handler may do that the bindings of the toolchain, or the stack of a component, do not stand; and what comes of
/// it.
const ODD: [(&str, &str); 12] = [
    ("recursion", "RecursionError: maximum recursion depth exceeded"),
    ("shy", "RecursionError: maximum recursion depth exceeded"),
    ("surrogate in a text", "UnicodeEncodeError: 'utf-8' codec can't encode character"),
    ("surrogate in an error", "ValueError: \\ud800"),
    ("kinds of bytes", "ObjectStoreError: the manifest declares no object store for this node"),
    ("no bytes", "TypeError: an object is bytes, not int"),
    ("numbers", "OverflowError: int too large to convert to float"),
    ("time", "ValueError: 9223372036854775808 is out of the range of times"),
    ("exit", "SystemExit: 3"),
    ("interrupt", "KeyboardInterrupt"),
    ("group", "BaseExceptionGroup: several (1 sub-exception)"),
    ("memory", "MemoryError"),
];

#[tokio::test]
async fn a_node_in_python_goes_on_while_its_instances_are_replaced() {
    if std::process::Command::new("python3").arg("--version").output().is_err() {
        e2e::skipped("there is no python3");
        return;
    }
    let version = e2e::built("tests/guests/long/python");
    let host = Host::new(&std::fs::read(version.path().join("bin/node.wasm")).unwrap()).await;
    for (what, comes) in ODD {
        let email = Email { subject: what.into(), ..Email::default() };
        let (result, sent) = host.handle("odd", &email).await;
        let Err(NodeError::Rejected(text)) = result else { panic!("{what}: {result:?}") };
        assert!(text.starts_with(comes) && sent.is_empty(), "{what}: {text}");
    }
    // Memory is taken once and not given back: the last one wore its instance.
    assert!(host.replaced() <= 1, "an instance ended");
    let mut spent = Vec::new();
    for (way, count, size) in [
        ("plain", SMALL, 1 << 10),
        ("awaiting", SMALL / 20, 1 << 10),
        ("relaying", SMALL / 20, 1 << 10),
        ("failing", SMALL / 100, 1 << 10),
        ("plain", LARGE, 64 << 10),
    ] {
        let start = Instant::now();
        for number in 0..count {
            host.ask(way, number, size).await;
        }
        spent.push((way, size, start.elapsed() / count));
    }
    println!("a message, the host's part of this build included: {spent:?}");
    // 200 MB and 200 MB were leaked, and an instance is replaced at 179 MiB.
    let replaced = host.replaced();
    assert!((2..10).contains(&replaced), "{replaced} instances were replaced");
}

/// A host of the one node.
struct Host {
    node: Arc<WasmNode>,
    metrics: Arc<Metrics>,
    sent: Arc<Sent>,
    outbox: Arc<OutboxOptions>,
}

/// As in long.proto.
#[derive(Clone, PartialEq, prost::Message)]
struct Email {
    #[prost(uint32, tag = "1")]
    number: u32,
    #[prost(string, tag = "2")]
    subject: String,
    #[prost(string, repeated, tag = "3")]
    labels: Vec<String>,
    #[prost(bytes, tag = "4")]
    body: Vec<u8>,
}

impl Host {
    async fn new(component: &[u8]) -> Self {
        // `krt build` left its machine code there.
        let engine = Engine::new(EngineOptions { cache: cache(), ..EngineOptions::default() }).unwrap();
        let component = engine.load("node", component).unwrap();
        let metrics = Arc::new(Metrics::default());
        let options = NodeOptions {
            identity: Identity { workflow: "long".into(), node: "node".into(), ..Identity::default() },
            wasm: Wasm { timeout: Duration::from_secs(30), ..Wasm::default() },
            replicas: 1,
            environment: Vec::new(),
            package: None,
            max_payload: 1 << 20,
            configuration: Configuration {
                node: Arc::new(Nothing),
                workflow: Arc::new(Nothing),
                project: Arc::new(Nothing),
            },
            object_store: None,
            database: Default::default(),
            measurements: Arc::new(Nothing),
            metrics: metrics.clone(),
            limits: Limits::default(),
        };
        let node = engine.node(&component, options).await.unwrap();
        let sent = Arc::new(Sent::default());
        let outbox = Arc::new(OutboxOptions {
            bus: sent.clone(),
            node: "node".into(),
            subject: "stream.node".into(),
            max_outputs: 10,
        });
        Self { node, metrics, sent, outbox }
    }

    /// One message handled in one way; whatever comes of it is what has to.
    async fn ask(&self, way: &str, number: u32, size: usize) {
        let text = "lorem ipsum ".repeat(size / 24);
        let body = vec![7; size - text.len()];
        let email = Email { number, subject: text, labels: vec!["first".into()], body };
        let (result, mut sent) = self.handle(way, &email).await;
        if way == "failing" {
            assert_eq!(result, Err(NodeError::Rejected(format!("ValueError: number {number}"))));
            assert!(sent.is_empty());
            return;
        }
        assert_eq!((result, sent.len()), (Ok(()), 1), "{way} {number}");
        let answer = Message::decode(sent.remove(0)).unwrap();
        assert!(answer.request_id.ends_with(&format!("{number:012}")), "{answer:?}");
        let answer = Email::decode(answer.payload.unwrap().data).unwrap();
        let mut expected = email;
        if way != "relaying" {
            expected.subject = expected.subject.to_uppercase();
            expected.labels.push("python".into());
        }
        assert!(answer == expected, "{way} {number} has another answer");
    }

    /// One message, and what was sent.
    async fn handle(&self, way: &str, email: &Email) -> (Result<(), NodeError>, Vec<Bytes>) {
        let number = email.number;
        let payload = Payload { type_url: "type.googleapis.com/long.Email".into(), data: email.encode_to_vec().into() };
        let request_id = format!("00000000-0000-4000-8000-{number:012}");
        let message = Message {
            request_id: request_id.clone(),
            from_node: way.into(),
            message_type: MessageType::Ok,
            payload: Some(payload.clone()),
            error: String::new(),
        };
        let origin = Origin {
            delivery: DeliveryId { stream: "stream".into(), sequence: number.into() },
            subject: "stream.entrypoint".into(),
            attempt: 1,
            request_id,
            payload: Some(payload),
            traceparent: None,
            deadline: None,
        };
        let result = self.node.handle(message, Outbox::new(self.outbox.clone(), origin)).await;
        (result, std::mem::take(&mut *self.sent.0.lock().unwrap()))
    }

    fn replaced(&self) -> u64 {
        let labels = NodeLabels { workflow: "long".into(), node: "node".into() };
        self.metrics.replaced_instances.get_or_create(&labels).get()
    }
}

/// Where krt keeps what it can make again.
fn cache() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
    folder("KRT_CACHE_DIR")
        .or_else(|| folder("XDG_CACHE_HOME").map(|path| path.join("krt")))
        .or_else(|| folder("HOME").map(|path| path.join(".cache/krt")))
}

/// A bus that keeps what is published until it is looked at.
#[derive(Default)]
struct Sent(Mutex<Vec<Bytes>>);

impl Bus for Sent {
    fn publish(&self, publication: Publication) -> Acceptance {
        self.0.lock().unwrap().push(publication.payload);
        Acceptance::Ready(Ok(()))
    }

    fn subscribe(&self, _: Consumer) -> BoxFuture<'static, Result<Deliveries, SubscribeError>> {
        Box::pin(async { Err(SubscribeError::Unavailable("nothing to read".into())) })
    }

    fn max_payload(&self) -> usize {
        1 << 20
    }
}

/// A store without entries, a sink without memory.
struct Nothing;

impl KeyValue for Nothing {
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

impl Measurements for Nothing {
    fn save(&self, _: Point) -> Result<(), Dropped> {
        Ok(())
    }
}
