//! A node in Python that works for a long time. The toolchain leaks what a node sends: instances are replaced between
//! messages, and no message is lost by it.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get is a failure of the test")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use e2e::lone::Lone;
use krt::topology::Wasm;
use krt_host::message::Message;
use krt_host::node::NodeError;
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
    let wasm = Wasm { timeout: Duration::from_secs(30), ..Wasm::default() };
    let component = std::fs::read(version.path().join("bin/node.wasm")).unwrap();
    // `krt build` left its machine code there.
    let node = Lone::start(&component, wasm, cache()).await.unwrap();
    for (what, comes) in ODD {
        let email = Email { subject: what.into(), ..Email::default() };
        let (result, sent) = handle(&node, "odd", &email).await;
        let Err(NodeError::Rejected(text)) = result else { panic!("{what}: {result:?}") };
        assert!(text.starts_with(comes) && sent.is_empty(), "{what}: {text}");
    }
    // Memory is taken once and not given back: the last one wore its instance.
    assert!(node.replaced() <= 1, "an instance ended");
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
            ask(&node, way, number, size).await;
        }
        spent.push((way, size, start.elapsed() / count));
    }
    println!("a message, the host's part of this build included: {spent:?}");
    // 200 MB and 200 MB were leaked, and an instance is replaced at 179 MiB.
    let replaced = node.replaced();
    assert!((2..10).contains(&replaced), "{replaced} instances were replaced");
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

/// One message handled in one way; whatever comes of it is what has to.
async fn ask(node: &Lone, way: &str, number: u32, size: usize) {
    let text = "lorem ipsum ".repeat(size / 24);
    let body = vec![7; size - text.len()];
    let email = Email { number, subject: text, labels: vec!["first".into()], body };
    let (result, mut sent) = handle(node, way, &email).await;
    if way == "failing" {
        assert_eq!(result, Err(NodeError::Rejected(format!("ValueError: number {number}"))));
        assert!(sent.is_empty());
        return;
    }
    assert_eq!((result, sent.len()), (Ok(()), 1), "{way} {number}");
    let answer = Email::decode(sent.remove(0).payload.unwrap().data).unwrap();
    let mut expected = email;
    if way != "relaying" {
        expected.subject = expected.subject.to_uppercase();
        expected.labels.push("python".into());
    }
    assert!(answer == expected, "{way} {number} has another answer");
}

/// One message, and what was sent.
async fn handle(node: &Lone, way: &str, email: &Email) -> (Result<(), NodeError>, Vec<Message>) {
    let result = node.handle(way, "type.googleapis.com/long.Email", &email.encode_to_vec().into()).await;
    (result, node.sent())
}

/// Where krt keeps what it can make again.
fn cache() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
    folder("KRT_CACHE_DIR")
        .or_else(|| folder("XDG_CACHE_HOME").map(|path| path.join("krt")))
        .or_else(|| folder("HOME").map(|path| path.join(".cache/krt")))
}
