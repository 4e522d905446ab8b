//! A Go guest for a long time: Go's own collector runs within the component, and must neither end while the host writes
//! into it, nor let its memory grow.

use std::process::Command;
use std::time::Instant;

use bytes::Bytes;
use e2e::lone::Lone;
use e2e::mails::{MAIL, Mail, mail};
use krt::topology::Wasm;
use krt_host::node::NodeError;
use prost::Message as _;

/// Messages of the long run.
const MESSAGES: usize = 200_000;

/// What the guest may have. It is replaced at 70 % of it, and has some 10 MiB: it may not even keep 70 bytes a message.
const MEMORY: u64 = 32 << 20;

/// See mail.proto.
#[derive(Clone, PartialEq, prost::Message)]
struct State {
    #[prost(uint32, tag = "1")]
    collections: u32,
    #[prost(uint64, tag = "2")]
    bytes: u64,
}

#[tokio::test]
async fn hundreds_of_thousands_of_messages_do_not_fill_a_go_guests_memory() {
    if Command::new("go").arg("version").output().is_err() {
        return e2e::skipped("nodes in Go: there is no go");
    }
    let version = e2e::built("tests/guests/long/go");
    let component = std::fs::read(version.path().join("bin/sorter.wasm")).expect("a component");
    let node = Lone::start(&component, Wasm { memory: MEMORY, ..Wasm::default() }, None).await.expect("it starts");
    let (small, large) = (mail(750), mail(64 << 10));
    let bytes = |mail: &Mail| Bytes::from(mail.encode_to_vec());
    let (small_bytes, large_bytes) = (bytes(&small), bytes(&large));
    let started = Instant::now();
    for n in 0..MESSAGES {
        let (from, mail, data) = match n % 64 {
            13 => ("everything", &small, &small_bytes),
            26 => ("together", &small, &small_bytes),
            39 => ("fails", &small, &small_bytes.slice(..small_bytes.len() - n % 4)),
            52 => ("mails", &large, &large_bytes),
            _ => ("mails", &small, &small_bytes),
        };
        let handled = node.handle(from, MAIL, data).await;
        let sent = node.sent();
        match (from, handled) {
            ("fails", Err(NodeError::Rejected(_) | NodeError::Transient(_))) => assert_eq!(sent.len(), 0),
            ("mails", Ok(())) => {
                let mut wanted = mail.clone();
                wanted.subject = "THE ENGINE".into();
                wanted.labels.push("sorted".into());
                let data = sent.into_iter().next().and_then(|message| message.payload).expect("a payload").data;
                assert_eq!(Mail::decode(data).expect("a mail"), wanted, "message {n}");
            }
            ("everything", Ok(())) => assert_eq!(sent.len(), 2),
            ("together", Ok(())) => assert_eq!(sent.len(), 8),
            (_, other) => panic!("message {n} of {from}: {other:?}"),
        }
    }
    let each = started.elapsed() / u32::try_from(MESSAGES).expect("a number");
    node.handle("state", MAIL, &small_bytes).await.expect("it says how it is");
    let data = node.sent().remove(0).payload.expect("a payload").data;
    let state = State::decode(data).expect("a state");
    println!("{MESSAGES} messages, {each:?} each, {} collections, {} bytes", state.collections, state.bytes);
    assert_eq!(node.replaced(), 0, "its memory grew, or it trapped");
    assert!(state.collections > 100, "only {} collections: they were not tried", state.collections);
}
