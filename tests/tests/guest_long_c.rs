//! A C guest for a long time: what the SDK gave is taken back after every message, whatever road the message took.

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

/// What the guest may have. It begins with 1.1 MiB and is replaced at 70 %: ten bytes of each message would be too many.
const MEMORY: u64 = 5 << 20;

#[tokio::test]
async fn hundreds_of_thousands_of_messages_do_not_fill_a_c_guests_memory() {
    if Command::new("python3").arg("--version").output().is_err() {
        return e2e::skipped("nodes in C: there is no python3 to bring their compiler");
    }
    let version = e2e::built("tests/guests/long/c");
    let component = std::fs::read(version.path().join("bin/sorter.wasm")).expect("a component");
    let node = Lone::start(&component, Wasm { memory: MEMORY, ..Wasm::default() }, None).await.expect("it starts");
    let (small, large) = (mail(750), mail(64 << 10));
    let bytes = |mail: &Mail| Bytes::from(mail.encode_to_vec());
    let (small_bytes, large_bytes) = (bytes(&small), bytes(&large));
    let started = Instant::now();
    for n in 0..MESSAGES {
        let (from, mail, data) = match n % 64 {
            13 => ("everything", &small, small_bytes.clone()),
            // Cut off: what was read of it is taken back, too.
            26 => ("fails", &small, small_bytes.slice(..small_bytes.len() - 1 - n % 4)),
            39 => ("relay", &small, small_bytes.clone()),
            52 => ("mails", &large, large_bytes.clone()),
            _ => ("mails", &small, small_bytes.clone()),
        };
        let handled = node.handle(from, MAIL, &data).await;
        let mut sent = node.sent();
        match (from, handled) {
            ("fails", Err(NodeError::Rejected(text))) => assert!(text.contains("not a valid"), "{text}"),
            ("everything", Ok(())) => assert_eq!(sent.len(), 2),
            ("relay", Ok(())) => assert_eq!(sent.len(), 1),
            ("mails", Ok(())) => {
                let mut wanted = mail.clone();
                wanted.subject = "THE ENGINE".into();
                wanted.labels.push("sorted".into());
                let data = sent.remove(0).payload.expect("a payload").data;
                assert_eq!(Mail::decode(data).expect("a mail"), wanted, "message {n}");
            }
            (_, other) => panic!("message {n} of {from}: {other:?}"),
        }
    }
    let each = started.elapsed() / u32::try_from(MESSAGES).expect("a number");
    println!("{MESSAGES} messages, {each:?} each");
    assert_eq!(node.replaced(), 0, "its memory grew, or it trapped");
    let asserted = node.handle("asserts", MAIL, &small_bytes).await;
    assert!(matches!(asserted, Err(NodeError::Trapped { .. })), "an assert that does not hold: {asserted:?}");
}
