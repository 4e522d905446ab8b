//! What somebody else may put on the bus: each ends as the settlement table says, and the next call is answered.

use std::io::Write as _;

use async_nats::jetstream;
use e2e::command::krt;
use e2e::load;
use e2e::nats::Server;
use e2e::running::Running;
use krt_host::message::{Message, MessageType, Payload};

const REQUESTS: &str = "kre_line_Echo.entrypoint";
const ANSWERS: &str = "kre_line_Echo.last";

/// 256 MiB of zeros in 256 KiB.
fn bomb() -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), 256 << 20), &mut packer).expect("packed");
    packer.finish().expect("packed")
}

fn envelope(request_id: &str, message_type: MessageType) -> Vec<u8> {
    let payload = Payload { type_url: "type.googleapis.com/main.Blob".to_owned(), data: "hi".into() };
    let message = Message {
        request_id: request_id.to_owned(),
        from_node: "entrypoint".to_owned(),
        message_type,
        payload: Some(payload),
        error: String::new(),
    };
    message.encode(1 << 20).expect("it fits").to_vec()
}

async fn answered(running: &Running) {
    let message = load::blob(7, 64);
    let answer = load::ask(&running.grpc, "/main.Entrypoint/Echo", message.clone()).await.expect("the server is there");
    assert_eq!(answer, Ok(message));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_no_envelope_becomes_a_dead_letter_and_nothing_else() {
    let Some(server) = Server::start() else { return };
    let version = e2e::built("tests/guests/line");
    let running = Running::start(version.path(), &["--nats", &server.url()]);
    let context = jetstream::new(async_nats::connect(server.url()).await.expect("connected"));
    let mut cut_off = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    cut_off.write_all(&envelope("r", MessageType::Ok)).expect("packed");
    let mut cut_off = cut_off.finish().expect("packed");
    cut_off.truncate(cut_off.len() / 2);
    let garbage: [(&str, Vec<u8>); 5] = [
        ("bytes that are no protobuf", vec![0xff; 64]),
        ("one byte", vec![0x0a]),
        ("the magic of gzip alone", vec![0x1f, 0x8b]),
        ("a gzip that is cut off", cut_off),
        ("a gzip bomb", bomb()),
    ];
    for (what, bytes) in &garbage {
        let accepted = context.publish(REQUESTS, bytes.clone().into()).await.expect("sent");
        accepted.await.unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    // A node takes them in order: an answer to this call means that all before it are settled.
    answered(&running).await;
    let ran = krt(version.path(), ["dlq", "ls", ".", "--nats", &server.url(), "--output", "json"]).await;
    let letters = ran.json()["dead_letters"].as_array().expect("a list").clone();
    assert_eq!(letters.len(), garbage.len(), "{letters:#?}");
    for (letter, (what, _)) in letters.iter().zip(&garbage) {
        assert_eq!((&letter["node"], &letter["attempt"]), (&"first".into(), &1.into()), "{what}: {letter}");
        assert_eq!(letter["request_id"], serde_json::Value::Null, "{what}");
    }
    assert!(running.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_empty_envelope_an_unknown_type_and_foreign_answers_disturb_no_call() {
    let Some(server) = Server::start() else { return };
    let version = e2e::built("tests/guests/line");
    let running = Running::start(version.path(), &["--nats", &server.url()]);
    let context = jetstream::new(async_nats::connect(server.url()).await.expect("connected"));
    // Protobuf's empty message, and a message type of tomorrow: both are envelopes, and go through the workflow.
    let mut tomorrow = envelope("5b0b1e5e-7b0c-4c56-9a53-6f1b1f3d2a10", MessageType::Undefined);
    tomorrow.extend([0x28, 99]);
    for bytes in [Vec::new(), tomorrow] {
        context.publish(REQUESTS, bytes.into()).await.expect("sent").await.expect("accepted");
    }
    // Answers to requests that nobody made, or that cannot be read.
    let foreign = envelope("00000000-0000-4000-8000-000000000000", MessageType::Ok);
    for bytes in [foreign, envelope("", MessageType::Error), envelope("é", MessageType::EarlyReply), vec![0xff; 9]] {
        context.publish(ANSWERS, bytes.into()).await.expect("sent").await.expect("accepted");
    }
    answered(&running).await;
    assert!(running.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_request_over_the_limit_is_refused_and_the_connection_stays() {
    let Some(server) = Server::start() else { return };
    let version = e2e::built("tests/guests/line");
    let running = Running::start(version.path(), &["--nats", &server.url(), "--max-message", "8388608"]);
    // Of random bytes: nothing that compressing would help.
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(2 << 20)
    .collect();
    let mut message = vec![0x0a, 0x80, 0x80, 0x80, 0x01];
    message.extend(noise);
    let status = load::ask(&running.grpc, "/main.Entrypoint/Echo", message.into()).await.expect("the server is there");
    assert_eq!(status.map_err(|status| status.code), Err(8), "RESOURCE_EXHAUSTED");
    let (code, _, errors) = running.call(&["Echo", "{}", "--count", "100", "--quiet", "--timeout", "5s"]);
    assert_eq!(code, 0, "{errors}");
    assert!(running.stop().success());
}
