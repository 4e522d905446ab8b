//! What a node written in Rust may not do, and what the standard library of it may: with a real guest in the real
//! engine. How limits hold against every trick is tested with hand-written guests, in `engine`.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get is a failure of the test")]

use std::io::Write;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use e2e::guests;
use futures::future::BoxFuture;
use krt::topology::Wasm;
use krt_host::bus::{Acceptance, Bus, Consumer, Deliveries, DeliveryId, Publication, SubscribeError};
use krt_host::engine::{Component, Configuration, Engine, EngineOptions, Identity, Limits, NodeOptions, WasmNode};
use krt_host::message::{Message, MessageType, Payload};
use krt_host::node::{Node, NodeError};
use krt_host::outbox::{Origin, Outbox, OutboxOptions};
use krt_host::store::{KeyValue, StoreError};
use krt_host::telemetry::{Dropped, Measurements, Metrics, Point};
use tracing_subscriber::fmt::MakeWriter;

#[tokio::test]
async fn a_guest_sees_the_variables_it_was_given_and_no_others() {
    let guest = Guest::new(|o| o.environment = vec![("COLOUR".into(), "blue".into())]).await;
    assert_eq!(guest.ask("env COLOUR").await, "blue");
    assert_eq!(guest.ask("env PATH").await, "unset");
    assert_eq!(guest.ask("all-env").await, "COLOUR=blue");
}

#[tokio::test]
async fn a_guest_reads_the_package_and_nothing_beside_it() {
    let parent = tempfile::tempdir().unwrap();
    let package = parent.path().join("package");
    std::fs::create_dir(&package).unwrap();
    std::fs::write(package.join("model.txt"), "weights").unwrap();
    std::fs::write(parent.path().join("secret.txt"), "secret").unwrap();
    std::os::unix::fs::symlink(parent.path().join("secret.txt"), package.join("link.txt")).unwrap();
    let guest = Guest::new(|o| o.package = Some(package.clone())).await;
    assert_eq!(guest.ask("read /krt-files/model.txt").await, "weights");
    for way_out in ["/krt-files/../secret.txt", "/krt-files/link.txt", "/etc/passwd", "/proc/self/environ"] {
        let answer = guest.ask(&format!("read {way_out}")).await;
        assert!(answer.starts_with("refused: "), "{way_out}: {answer}");
    }
    for change in ["write /krt-files/model.txt", "write /krt-files/new.txt", "remove /krt-files/model.txt"] {
        let answer = guest.ask(change).await;
        assert!(answer.starts_with("refused: "), "{change}: {answer}");
    }
    assert_eq!(std::fs::read_to_string(package.join("model.txt")).unwrap(), "weights");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_reaches_no_network_unless_it_is_granted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let (granted, denied) = (listener.local_addr().unwrap(), other.local_addr().unwrap());
    let guest = Guest::new(|_| {}).await;
    for tried in [format!("connect {granted}"), "listen 127.0.0.1:0".into(), "resolve localhost:80".into()] {
        let answer = guest.ask(&tried).await;
        assert!(answer.starts_with("refused: "), "{tried}: {answer}");
    }
    let guest = Guest::new(|o| o.wasm.allow.tcp = vec![granted.to_string()]).await;
    assert_eq!(guest.ask(&format!("connect {granted}")).await, "connected");
    let beyond = [
        format!("connect {denied}"),
        "listen 127.0.0.1:0".into(),
        "resolve localhost:80".into(),
        format!("send-datagram {granted}"),
    ];
    for tried in beyond {
        let answer = guest.ask(&tried).await;
        assert!(answer.starts_with("refused: "), "{tried}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_by_name_lets_a_guest_look_it_up_and_connect_to_it_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let (granted, denied) = (listener.local_addr().unwrap().port(), other.local_addr().unwrap().port());
    let guest = Guest::new(|o| o.wasm.allow.tcp = vec![format!("localhost:{granted}")]).await;
    assert_eq!(guest.ask(&format!("connect localhost:{granted}")).await, "connected");
    assert!(guest.ask(&format!("connect localhost:{denied}")).await.starts_with("refused: "));
}

#[tokio::test]
async fn what_a_guest_prints_stands_in_the_log_with_its_request() {
    let log = Log::default();
    let guest = Guest::new(|_| {}).await;
    let here = log.here();
    assert_eq!(guest.ask("print a line").await, "printed");
    drop(here);
    let text = log.text();
    let line = |what: &str| text.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}: {text}"));
    for (what, level) in [("printed a line", "INFO"), ("complained a line", "WARN"), ("half a line", "INFO")] {
        assert!(line(what).contains(level), "{text}");
        assert!(line(what).contains("workflow=flow node=hostile request_id=request-1"), "{text}");
    }
}

#[tokio::test]
async fn a_panic_is_logged_with_its_words_and_place_and_the_node_goes_on() {
    let log = Log::default();
    let guest = Guest::new(|_| {}).await;
    let here = log.here();
    let error = guest.send("panic no such luck").await.unwrap_err();
    drop(here);
    let NodeError::Trapped { backtrace, .. } = &error else { panic!("{error:?}") };
    assert!(backtrace.contains("hostile"), "{backtrace}");
    assert!(log.text().contains("no such luck"), "{}", log.text());
    assert!(log.text().contains("src/lib.rs:"), "{}", log.text());
    assert_eq!(guest.ask("echo on").await, "on");
}

#[tokio::test]
async fn a_sleeping_guest_keeps_no_thread_and_is_woken_by_the_timeout() {
    // One thread for all.
    let guest = Guest::new(|o| {
        o.wasm.concurrency = 2;
        o.wasm.timeout = Duration::from_millis(400);
    })
    .await;
    let start = Instant::now();
    let (slept, echoed) = tokio::join!(guest.send("sleep 100"), async {
        guest.ask("echo meanwhile").await;
        start.elapsed()
    });
    assert_eq!(slept, Ok(()));
    assert!(echoed < Duration::from_millis(90), "{echoed:?}");
    let start = Instant::now();
    assert_eq!(guest.send("sleep 60000").await, Err(NodeError::TimedOut(Duration::from_millis(400))));
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_much_ends_its_message_and_no_more() {
    let package = tempfile::tempdir().unwrap();
    std::fs::write(package.path().join("file"), "x").unwrap();
    let guest = Guest::new(|o| o.package = Some(package.path().into())).await;
    let limit = |error: NodeError, what: &str| match error {
        NodeError::LimitExceeded(text) => assert!(text.starts_with(what), "{text}"),
        error => panic!("{error:?}"),
    };
    limit(guest.send("allocate 2000000000").await.unwrap_err(), "memory: ");
    limit(guest.send("hoard /krt-files/file").await.unwrap_err(), "handles: ");
    assert!(matches!(guest.send("recurse").await, Err(NodeError::Trapped { .. })));
    assert!(matches!(guest.send("exit").await, Err(NodeError::Trapped { .. })));
    assert!(guest.ask("thread").await.starts_with("refused: "));
    assert!(matches!(guest.send("dance").await, Err(NodeError::Rejected(text)) if text.contains("dance")));
    assert_eq!(guest.ask("echo on").await, "on");
}

/// A node made of the guest, and what it sent.
struct Guest {
    node: Arc<WasmNode>,
    bus: Arc<Sent>,
    outbox: Arc<OutboxOptions>,
}

impl Guest {
    async fn new(change: impl FnOnce(&mut NodeOptions)) -> Self {
        let mut options = NodeOptions {
            identity: Identity { workflow: "flow".into(), node: "hostile".into(), ..Identity::default() },
            wasm: Wasm { memory: 64 << 20, ..Wasm::default() },
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
            metrics: Arc::new(Metrics::default()),
            limits: Limits::default(),
        };
        change(&mut options);
        let (engine, component) = engine();
        let node = engine.node(component, options).await.unwrap();
        let bus = Arc::new(Sent::default());
        let outbox = Arc::new(OutboxOptions {
            bus: bus.clone(),
            node: "hostile".into(),
            subject: "stream.hostile".into(),
            max_outputs: 10,
        });
        Self { node, bus, outbox }
    }

    async fn send(&self, command: &str) -> Result<(), NodeError> {
        let type_url = "type.googleapis.com/hostile.Command".into();
        let payload = Payload { type_url, data: Bytes::copy_from_slice(command.as_bytes()) };
        let message = Message {
            request_id: "request-1".into(),
            from_node: "entrypoint".into(),
            message_type: MessageType::Ok,
            payload: Some(payload.clone()),
            error: String::new(),
        };
        let origin = Origin {
            delivery: DeliveryId { stream: "stream".into(), sequence: 1 },
            subject: "stream.entrypoint".into(),
            attempt: 1,
            request_id: "request-1".into(),
            payload: Some(payload),
            traceparent: None,
            deadline: None,
        };
        self.node.handle(message, Outbox::new(self.outbox.clone(), origin)).await
    }

    async fn ask(&self, command: &str) -> String {
        self.send(command).await.unwrap_or_else(|error| panic!("{command}: {error:?}"));
        let sent = self.bus.0.lock().unwrap().pop().expect("an answer");
        String::from_utf8(Message::decode(sent).unwrap().payload.unwrap().data.into()).unwrap()
    }
}

/// One engine and one component for all tests of this file: the guest is built and compiled once.
fn engine() -> &'static (Engine, Component) {
    static ENGINE: OnceLock<(Engine, Component)> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let engine = Engine::new(EngineOptions { max_instances: 64, ..EngineOptions::default() }).unwrap();
        let component = engine.load("hostile.wasm", &guests::built("hostile")).unwrap();
        (engine, component)
    })
}

/// A bus that keeps what is published.
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

/// A log that can be read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Until the guard is dropped, this thread logs here.
    fn here(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(self.clone());
        tracing::subscriber::set_default(subscriber.finish())
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
