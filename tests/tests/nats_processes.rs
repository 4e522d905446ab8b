//! `krt host` and `krt entrypoint` as processes on a real server: what a version is made of in a cluster.

use std::process::Command;
use std::time::{Duration, Instant};

use e2e::krt_binary;
use e2e::load::{self, Load, Message};
use e2e::nats::Server;
use e2e::process::Process;
use e2e::web;
use serde_json::Value;

const WEB: [&str; 2] = ["--web-addr", "127.0.0.1:0"];

fn provision(path: &str, url: &str) {
    let output = Command::new(krt_binary()).args(["provision", path, "--nats", url]).output().expect("krt starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn host(path: &str, url: &str) -> Process {
    Process::start(&[&["host", path, "--nats", url], &WEB[..]].concat(), &[])
}

fn entrypoint(path: &str, url: &str) -> Process {
    Process::start(&[&["entrypoint", path, "--nats", url, "--grpc-addr", "127.0.0.1:0"], &WEB[..]].concat(), &[])
}

fn address(event: &Value, key: &str) -> String {
    event[key].as_str().unwrap_or_else(|| panic!("no {key} in {event}")).to_owned()
}

fn load(address: &str, in_flight: usize, seconds: u64) -> Load {
    Load {
        address: address.to_owned(),
        path: "/main.Entrypoint/Echo".to_owned(),
        in_flight,
        message: Message::Blob(200),
        duration: Duration::from_secs(seconds),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_s_process_is_told_by_the_environment_of_the_original_s_runners() {
    let Some(server) = Server::start() else { return };
    let version = e2e::built("tests/guests/line");
    let path = version.path().to_string_lossy().into_owned();
    let url = server.url();
    provision(&path, &url);
    let mut hosts = Vec::new();
    for (node, input) in [("first", "entrypoint"), ("middle", "first"), ("last", "middle")] {
        let (input, output) = (format!("kre_line_Echo.{input}"), format!("kre_line_Echo.{node}"));
        let bucket = format!("key-store_kre_line_line_{node}");
        let environment = [
            ("KRT_BASE_PATH", path.as_str()),
            ("KRT_RUNTIME_ID", "kre"),
            ("KRT_VERSION", "line"),
            ("KRT_VERSION_ID", "0123456789abcdef01234567"),
            ("KRT_WORKFLOW_NAME", "line"),
            ("KRT_NODE_NAME", node),
            ("KRT_HANDLER_PATH", "bin/echo.wasm"),
            ("KRT_NATS_SERVER", &url),
            ("KRT_NATS_STREAM", "kre_line_Echo"),
            ("KRT_NATS_INPUTS", &input),
            ("KRT_NATS_OUTPUT", &output),
            ("KRT_NATS_KEY_VALUE_STORE_PROJECT", "key-store_kre_line"),
            ("KRT_NATS_KEY_VALUE_STORE_WORKFLOW", "key-store_kre_line_line"),
            ("KRT_NATS_KEY_VALUE_STORE_NODE", &bucket),
        ];
        let mut process = Process::start(&[&["host"], &WEB[..]].concat(), &environment);
        assert_eq!(process.events().ready()["nodes"], serde_json::json!([format!("line/{node}")]));
        hosts.push(process);
    }
    let subjects = version.path().join("nats_subject.json");
    let given = serde_json::json!({ "Echo": {
        "stream": "kre_line_Echo", "input_subject": "kre_line_Echo.last", "output_subject": "kre_line_Echo.entrypoint",
    } });
    std::fs::write(&subjects, given.to_string()).expect("written");
    let subjects = subjects.to_string_lossy().into_owned();
    let environment = [
        ("KRT_BASE_PATH", path.as_str()),
        ("KRT_NATS_SERVER", &url),
        ("KRT_NATS_SUBJECTS_FILE", &subjects),
        ("KRT_REQUEST_TIMEOUT", "5"),
        ("KRT_GRPC_ADDR", "127.0.0.1:0"),
        ("KRT_WEB_ADDR", "127.0.0.1:0"),
    ];
    let mut front = Process::start(&["entrypoint"], &environment);
    let grpc = address(&front.events().ready(), "grpc");
    let outcome = load::run(&load(&grpc, 50, 1)).await.expect("every call is answered");
    assert!(outcome.calls >= 50);
    for process in hosts.into_iter().chain([front]) {
        assert!(process.stop().success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_are_there_before_nats_answer_probes_and_are_ready_once_it_is_there() {
    let Some(mut server) = Server::start() else { return };
    let version = e2e::built("tests/guests/line");
    let path = version.path().to_string_lossy().into_owned();
    let url = server.url();
    provision(&path, &url);
    server.kill();
    let web = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address");
    let web = web.to_string();
    let mut nodes = Process::start(&["host", &path, "--nats", &url, "--web-addr", &web], &[]);
    let mut front = entrypoint(&path, &url);
    // It listens before it is connected: the first answer there is says so.
    let text = loop {
        if tokio::net::TcpStream::connect(&web).await.is_ok() {
            break web::get(&web, "/ready").await;
        }
        tokio::task::yield_now().await;
    };
    assert!(text.starts_with("HTTP/1.1 503") && text.contains("NATS"), "{text}");
    server.restart();
    let grpc = address(&front.events().ready(), "grpc");
    nodes.events().ready();
    assert!(web::get(&web, "/ready").await.starts_with("HTTP/1.1 200"));
    assert!(load::run(&load(&grpc, 10, 1)).await.expect("every call is answered").calls >= 10);
    assert!(nodes.stop().success() && front.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_host_held_is_handled_by_another_within_the_ack_wait() {
    let Some(server) = Server::start() else { return };
    let version = e2e::built("tests/guests/hostile");
    let path = version.path().to_string_lossy().into_owned();
    let url = server.url();
    provision(&path, &url);
    let mut front = entrypoint(&path, &url);
    let grpc = address(&front.events().ready(), "grpc");
    let mut first = host(&path, &url);
    let web = address(&first.events().ready(), "web");
    // One message is in hand, for longer than this test lasts.
    let started = Instant::now();
    let asked = {
        let grpc = grpc.clone();
        tokio::spawn(async move { load::ask(&grpc, "/hostile.Entrypoint/Calm", "sleep 3000".into()).await })
    };
    let in_hand = "krt_node_in_hand{workflow=\"calm\",node=\"neighbour\"} 1";
    while !web::get(&web, "/metrics").await.contains(in_hand) {
        assert!(started.elapsed() < Duration::from_secs(3), "the message is not in hand");
        tokio::task::yield_now().await;
    }
    let mut second = host(&path, &url);
    second.events().ready();
    first.kill();
    let answer = asked.await.expect("no panic").expect("the connection lasts");
    let elapsed = started.elapsed();
    assert_eq!(answer, Ok("slept".into()), "after {elapsed:?}");
    // The ack wait, and the handling itself.
    assert!(elapsed < krt::plan::ACK_WAIT + Duration::from_secs(8), "{elapsed:?}");
    assert!(second.stop().success() && front.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_of_every_host_under_load_loses_nothing_and_delays_nothing_by_a_second() {
    let Some(server) = Server::start() else { return };
    // Compiled before the clock runs: the compiler of the test beside would take the time of these calls.
    drop(e2e::built("tests/guests/hostile"));
    let version = e2e::built("tests/guests/line");
    let path = version.path().to_string_lossy().into_owned();
    let url = server.url();
    provision(&path, &url);
    let mut front = entrypoint(&path, &url);
    let grpc = address(&front.events().ready(), "grpc");
    let mut hosts = [host(&path, &url), host(&path, &url)];
    for host in &mut hosts {
        host.events().ready();
    }
    let calls = tokio::spawn(async move { load::run(&load(&grpc, 20, 6)).await });
    let (path, url) = (path.clone(), url.clone());
    let rolled = tokio::task::spawn_blocking(move || {
        // Each successor is ready before its predecessor is told to end.
        hosts.map(|old| {
            let mut new = host(&path, &url);
            new.events().ready();
            assert!(old.stop().success());
            new
        })
    });
    let hosts = rolled.await.expect("no panic");
    let outcome = calls.await.expect("no panic").expect("every call is answered with its own payload");
    let slowest = Duration::from_micros(outcome.latency.max());
    assert!(slowest < Duration::from_secs(1), "a call took {slowest:?}");
    for process in hosts.into_iter().chain([front]) {
        assert!(process.stop().success());
    }
}
