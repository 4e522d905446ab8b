//! A hostile node in a live version, beside a well-behaved one: each attack ends as its limit says, the message ends as the
//! settlement table says, and the neighbour answers.

use std::process::Stdio;

use bytes::Bytes;
use e2e::load::{self, Status};
use e2e::running::Running;
use e2e::web;

/// gRPC's INTERNAL: a node's error.
const INTERNAL: u32 = 13;

/// The version's folder lives as long as the version: its nodes read files of it.
struct Attacked(Running, #[allow(dead_code)] tempfile::TempDir);

impl Attacked {
    fn start() -> Self {
        let version = e2e::built("tests/guests/hostile");
        // What a hostile node makes the host say is of no use here.
        Self(Running::start_with(version.path(), &[], Stdio::null()), version)
    }

    async fn ask(&self, method: &str, command: &str) -> Result<Bytes, Status> {
        let message = Bytes::copy_from_slice(command.as_bytes());
        load::ask(&self.0.grpc, &format!("/hostile.Entrypoint/{method}"), message).await.expect("the server is there")
    }

    /// The text of the error that the attack ends with.
    async fn fails(&self, method: &str, command: &str) -> String {
        let status = self.ask(method, command).await.expect_err("an attack has no answer");
        assert_eq!(status.code, INTERNAL, "{status:?}");
        status.text
    }

    async fn neighbour_answers(&self) {
        assert_eq!(self.ask("Calm", "echo well").await, Ok(Bytes::from_static(b"well")));
    }

    /// A counter of node `node`.
    async fn count(&self, metric: &str, node: &str) -> u64 {
        let text = web::get(&self.0.web, "/metrics").await;
        let label = format!("node=\"{node}\"");
        let line = text.lines().find(|line| line.starts_with(metric) && line.contains(&label));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
    }
}

#[tokio::test]
async fn each_attack_ends_by_its_own_limit_as_a_dead_letter_and_an_error_for_its_caller_alone() {
    let attacked = Attacked::start();
    let attacks = [
        ("Attack", "loop", "1s"),
        ("Attack", "allocate 1000000000", "memory"),
        ("Attack", "recurse", "recursed%20too%20deeply"),
        ("Attack", "panic at once", "unreachable"),
        ("Attack", "sleep 60000", "1s"),
        ("Attack", "exit", "exit"),
        // As long as a list can be in a guest of 32 bits: its allocator keeps the rest of the 2 GiB.
        ("Greedy", "huge 2147400000", "more%20than"),
    ];
    for (method, command, words) in attacks {
        let node = if method == "Attack" { "attacker" } else { "hoarder" };
        let before = attacked.count("krt_node_dead_letters_total", node).await;
        let text = attacked.fails(method, command).await;
        assert!(text.contains(words), "{command}: {text}");
        assert_eq!(attacked.count("krt_node_dead_letters_total", node).await, before + 1, "{command}");
        attacked.neighbour_answers().await;
        // Acknowledged, not delivered again, and the node goes on.
        assert_eq!(attacked.ask(method, "echo alive").await, Ok(Bytes::from_static(b"alive")), "after {command}");
        assert_eq!(attacked.count("krt_node_redeliveries_total", node).await, 0, "{command}");
    }
    assert_eq!(attacked.count("krt_node_dead_letters_total", "neighbour").await, 0);
    assert!(attacked.0.stop().success());
}

#[tokio::test]
async fn a_node_that_only_says_too_much_is_answered_and_so_is_its_neighbour() {
    let attacked = Attacked::start();
    // Of the node with the time-out of every day: the attacker's is a second, and the machine may be busy with other tests.
    assert_eq!(attacked.ask("Greedy", "flood").await, Ok(Bytes::from_static(b"flooded")));
    attacked.neighbour_answers().await;
    assert_eq!(attacked.count("krt_node_dead_letters_total", "hoarder").await, 0);
    assert!(attacked.0.stop().success());
}

#[tokio::test]
async fn a_drain_answers_what_is_in_flight_and_refuses_what_comes_after() {
    let attacked = Attacked::start();
    let address = attacked.0.grpc.clone();
    let slow = |n: u32| {
        let message = Bytes::from(format!("sleep {}", 200 + n));
        let address = address.clone();
        tokio::spawn(async move { load::ask(&address, "/hostile.Entrypoint/Calm", message).await })
    };
    let calls: Vec<_> = (0..8).map(slow).collect();
    // All are with the server before it is told to end.
    while !web::get(&attacked.0.web, "/metrics").await.contains("\nkrt_calls_in_flight 8\n") {
        tokio::task::yield_now().await;
    }
    let stopping = tokio::task::spawn_blocking(move || attacked.0.stop());
    for call in calls {
        let answer = call.await.expect("no panic").expect("the connection lasts");
        assert_eq!(answer, Ok(Bytes::from_static(b"slept")));
    }
    assert!(stopping.await.expect("no panic").success());
    assert!(load::ask(&address, "/hostile.Entrypoint/Calm", Bytes::from_static(b"echo late")).await.is_err());
}

#[test]
fn a_version_is_served_over_tls_and_called_with_the_authority_s_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let made =
        rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("a certificate");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (certificate, key) = (path("cert.pem"), path("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let version = e2e::built("tests/guests/line");
    let running = Running::start(version.path(), &["--tls-cert", &certificate, "--tls-key", &key]);
    let (code, answer, errors) = running.call(&["Echo", "{}", "--ca", &certificate]);
    assert_eq!(code, 0, "{answer}{errors}");
    let (code, _, errors) = running.call(&["Echo", "{}"]);
    assert_eq!(code, 1, "without TLS there is no call");
    assert!(errors.contains("TLS") || errors.contains("tls"), "{errors}");
    let (code, _, errors) = running.call(&["Echo", "{}", "--tls"]);
    assert_eq!(code, 1, "an authority that nobody knows is not trusted");
    assert!(errors.to_lowercase().contains("certificate"), "{errors}");
    assert!(running.stop().success());
}
