//! What the host answers a guest, and what stands in the log.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tracing_subscriber::fmt::MakeWriter;

use super::guests::{Objects, Subject, with_number};
use crate::engine::standing::Pace;
use crate::node::NodeError;

/// A log that can be read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Until the guard is dropped, this thread logs here.
    fn here(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
        tracing::subscriber::set_default(subscriber.with_writer(self.clone()).finish())
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

#[tokio::test]
async fn configuration_without_a_scope_looks_upward() {
    let subject = Subject::new(|_| {}).await;
    assert_eq!(subject.ask("veverywhere").await, [b"node"]);
    assert_eq!(subject.ask("vin workflow").await, [b"workflow"]);
    assert_eq!(subject.ask("vin project").await, [b"project"]);
    assert_eq!(subject.ask("vnowhere").await, [b"-"]);
}

#[tokio::test]
async fn objects_are_got_and_listed_and_errors_are_values() {
    let objects = [("small", "abc".into()), ("large", Bytes::from(vec![0; 1 << 20]))];
    let objects: HashMap<_, _> = objects.into_iter().map(|(name, data)| (name.to_owned(), data)).collect();
    let subject = Subject::new(|o| {
        o.object_store = Some(Arc::new(Objects(objects)));
        o.wasm.memory = 1 << 20;
    })
    .await;
    assert_eq!(subject.ask("psmall").await, [b"abc"]);
    assert_eq!(subject.ask("pmissing").await, [[1]], "not-found");
    assert_eq!(subject.ask("plarge").await, [[3]], "too-large: more than the memory that is left");
    assert_eq!(subject.ask("i^s").await, [b"1"]);
    assert_eq!(subject.ask("i").await, [b"2"]);
    assert_eq!(subject.ask("i(").await, [[2]], "invalid-name: not a regular expression");
    assert_eq!(subject.ask("i((a{999}){999}){999}").await, [[2]], "invalid-name: too large when compiled");
}

#[tokio::test]
async fn without_a_declared_store_every_answer_is_that() {
    let subject = Subject::new(|_| {}).await;
    assert_eq!(subject.ask("psmall").await, [[0]]);
    assert_eq!(subject.ask("i").await, [[0]]);
}

#[tokio::test]
async fn a_guest_can_ask_what_it_has_in_hand() {
    let subject = Subject::new(|_| {}).await;
    assert_eq!(subject.ask("u").await, [b"-"]);
    subject.handle_on("stream.etl.repairs", "u").await.unwrap();
    assert_eq!(subject.sent(), [b"repairs"]);
    let answer = subject.ask("a").await.remove(0);
    assert_eq!(answer[0], 2, "the attempt");
    let left = u64::from_le_bytes(answer[1..9].try_into().unwrap());
    assert!((19_000..=20_000).contains(&left), "{left} ms left");
    assert_eq!(&answer[9..], b"hostile");
}

#[tokio::test]
async fn a_log_line_says_whose_it_is_and_cannot_pretend_to_be_another() {
    let log = Log::default();
    let subject = Subject::new(|_| {}).await;
    let guard = log.here();
    subject.handle("n").await.unwrap();
    drop(guard);
    let text = log.text();
    assert!(text.contains("INFO krt::guest: one\n    | \\u{1b}[31mtwo"), "{text}");
    assert!(text.contains("workflow=flow node=hostile request_id=request-1"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[tokio::test]
async fn a_log_flood_is_cut_and_counted() {
    let log = Log::default();
    let subject = Subject::new(|o| o.limits.log_bytes_per_second = 10_000).await;
    let guard = log.here();
    let start = std::time::Instant::now();
    subject.handle(with_number(b'f', 100_000)).await.unwrap();
    let seconds = start.elapsed().as_secs() as usize + 1;
    drop(subject);
    drop(guard);
    let text = log.text();
    let lines = text.lines().filter(|line| line.contains("a line that says nothing")).count();
    // 64 bytes and what a line costs beside them.
    assert!((100..=105 * seconds).contains(&lines), "{lines} lines in {seconds} s");
    assert!(text.contains("log lines of this node were dropped"), "{text}");
}

#[tokio::test]
async fn a_node_that_floods_the_log_works_aside_and_one_that_is_talkative_does_not() {
    // Lines that nobody listens to are no flood.
    let log = Log::default();
    let _guard = log.here();
    let subject = Subject::new(|o| o.limits.log_bytes_per_second = 0).await;
    for _ in 0..4 {
        subject.handle(with_number(b'f', 100)).await.unwrap();
    }
    assert_eq!(subject.node.pace(), Pace::Inline);
    for _ in 0..4 {
        subject.handle(with_number(b'f', 10_000)).await.unwrap();
    }
    assert_eq!(subject.node.pace(), Pace::Suspect);
}

#[tokio::test]
async fn a_trap_is_logged_with_the_request_and_the_backtrace() {
    let log = Log::default();
    let subject = Subject::new(|_| {}).await;
    let guard = log.here();
    assert!(matches!(subject.handle("t").await, Err(NodeError::Trapped { .. })));
    drop(guard);
    let text = log.text();
    assert!(text.contains("the guest trapped: wasm trap: wasm `unreachable` instruction executed"), "{text}");
    assert!(text.contains("workflow=flow node=hostile request_id=request-1"), "{text}");
    assert!(text.contains("handle"), "{text}");
}
