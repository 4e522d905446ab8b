//! Guests in JavaScript for a long time, under both engines: hundreds of thousands of messages on every road through the SDK,
//! without a trap and without memory that grows.

use std::time::Instant;

use bytes::Bytes;
use e2e::{javascript, lone::Lone};
use krt_host::node::NodeError;

const TYPE_URL: &str = "type.googleapis.com/mails.Mail";

/// A mail of some `size` bytes, in the order of its fields.
fn mail(size: usize) -> Bytes {
    let mut bytes = Vec::new();
    let mut text = |field: u8, text: &str| {
        bytes.push(field << 3 | 2);
        let mut length = text.len();
        while length > 0x7f {
            bytes.push(length as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend(text.as_bytes());
    };
    text(1, "mail-000001");
    text(2, "someone@example.org");
    text(3, "ünï@example.org");
    text(4, "a subject, and 漢字");
    text(5, &"The quick brown fox jumps over the lazy dog. ".repeat(size / 45 + 1)[..size]);
    text(6, "inbox");
    bytes.into()
}

/// Hands the node `count` messages on all roads, most of them on the one that all nodes take. Checks every answer.
async fn work(node: &Lone, count: usize) {
    let mails = [mail(40), mail(41), mail(42), mail(903)];
    let large = mail(100_000);
    for n in 0..count {
        let mail = &mails[n % 4];
        let (from, sent) = match n % 40 {
            0 => ("later", 1),
            1 => ("everything", 2),
            2..=5 => ("fails", 0),
            6 => ("other", 1),
            _ => ("mails", 1),
        };
        let mail = if n % 2_000 == 7 { &large } else { mail };
        let outcome = node.handle(from, TYPE_URL, mail).await;
        match (from, outcome) {
            ("fails", Err(NodeError::Rejected(_) | NodeError::Transient(_))) => {}
            (_, Ok(())) => {}
            (_, outcome) => panic!("message {n} from {from}: {outcome:?}"),
        }
        let outputs = node.sent();
        assert_eq!(outputs.len(), sent, "message {n} from {from}");
        if from == "mails" {
            let data = &outputs[0].payload.as_ref().expect("a payload").data;
            assert!(data.len() >= mail.len() + "sorted".len() && data.ends_with(b"sorted"), "message {n}");
        }
    }
}

async fn holds_out(engine: &str, count: usize, memory: u64) {
    if !javascript::is_there() {
        return;
    }
    let component = javascript::component("tests/guests/long/js", engine, "bin/sorter.wasm");
    let wasm = krt::topology::Wasm { memory, ..Default::default() };
    let node = Lone::start(&component, wasm, javascript::machine_code()).await.expect("init goes well");
    let start = Instant::now();
    work(&node, count).await;
    println!("{engine}: {count} messages in {:.1?}", start.elapsed());
    assert_eq!(node.replaced(), 0, "its memory grew until it was replaced");
}

#[tokio::test]
async fn a_guest_on_quickjs_takes_two_hundred_thousand_messages_without_growing() {
    // It begins with some 4 MiB and is replaced at 70 %: more than some 40 bytes a message would be seen.
    holds_out("quickjs", 200_000, 16 << 20).await;
}

#[tokio::test]
async fn a_guest_on_spidermonkey_takes_twenty_thousand_messages_without_being_replaced() {
    // Its heap grows to some 90 MiB before it is collected for the first time.
    holds_out("spidermonkey", 20_000, 192 << 20).await;
}
