//! Calls through three wasm nodes in line, by a load generator that checks that every answer is its call's own.

use std::time::Duration;

use e2e::load::{self, Load, Message};
use e2e::running::Running;

fn load(running: &Running, in_flight: usize, seconds: u64) -> Load {
    Load {
        address: running.grpc.clone(),
        path: "/main.Entrypoint/Echo".to_owned(),
        in_flight,
        message: Message::Blob(1024),
        duration: Duration::from_secs(seconds),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_thousand_calls_at_once_each_get_their_own_answer() {
    let version = e2e::built("tests/guests/line");
    let running = Running::start(version.path(), &[]);
    let outcome = load::run(&load(&running, 1000, 3)).await.expect("every call is answered with its own payload");
    assert!(outcome.calls >= 1000, "only {} calls were answered", outcome.calls);
    assert!(running.stop().success());
}
