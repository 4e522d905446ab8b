//! What a guest may try, and what becomes of it: the message ends as it should, the node goes on.

use std::time::{Duration, Instant};

use super::guests::{Subject, eventually, with_number};
use crate::engine::standing::Pace;
use crate::node::NodeError;

async fn still_alive_after(subject: &Subject) {
    subject.sent();
    still_alive(subject).await;
}

async fn still_alive(subject: &Subject) {
    assert_eq!(subject.ask("echo").await, [b"echo"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_handled() {
    let subject = Subject::new(|_| {}).await;
    assert_eq!(subject.ask("echo").await, [b"echo"]);
    assert_eq!(subject.ask("relayed").await, [b"relayed"]);
    assert!(!subject.engine.0.lanes.is_used());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_loop_ends_at_the_timeout() {
    let subject = Subject::new(|o| o.wasm.timeout = Duration::from_millis(150)).await;
    let start = Instant::now();
    assert_eq!(subject.handle("l").await, Err(NodeError::TimedOut(Duration::from_millis(150))));
    assert!(start.elapsed() >= Duration::from_millis(150), "{:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_millis(600), "{:?}", start.elapsed());
    still_alive(&subject).await;
    assert_eq!(subject.replaced(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_bomb_ends_at_the_limit() {
    let subject = Subject::new(|_| {}).await;
    let error = subject.handle("m").await.unwrap_err();
    let NodeError::LimitExceeded(text) = &error else { panic!("{error:?}") };
    assert!(text.starts_with("memory: 64 KiB more, with 63.94 MiB in use, is over the limit of 64 MiB"), "{text}");
    still_alive(&subject).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_growth_that_the_guest_lives_with_is_no_failure() {
    let subject = Subject::new(|_| {}).await;
    assert_eq!(subject.handle("M").await, Ok(()));
    // A trap of a later message is not blamed on it.
    assert!(matches!(subject.handle("t").await, Err(NodeError::Trapped { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_recursion_traps_with_a_backtrace() {
    let subject = Subject::new(|_| {}).await;
    let error = subject.handle("d").await.unwrap_err();
    let NodeError::Trapped { message, backtrace } = &error else { panic!("{error:?}") };
    assert!(message.contains("recursed too deeply"), "{message}");
    assert!(backtrace.contains("dive"), "{backtrace}");
    still_alive(&subject).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_on_every_message_costs_an_instance_each_time() {
    let subject = Subject::new(|_| {}).await;
    for _ in 0..20 {
        assert!(matches!(subject.handle("t").await, Err(NodeError::Trapped { .. })));
    }
    still_alive(&subject).await;
    assert_eq!(subject.replaced(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_two_gib_is_refused_before_it_is_copied() {
    let subject = Subject::new(|o| o.wasm.memory = 3 << 30).await;
    let start = Instant::now();
    let error = subject.handle(with_number(b'h', 32 << 10)).await.unwrap_err();
    assert_eq!(
        error,
        NodeError::LimitExceeded("data passed to the host in one call: more than 65 MiB".into()),
        "wasmtime's words for exhausted hostcall fuel may have changed"
    );
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    still_alive(&subject).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_larger_than_the_bus_takes_is_an_error_the_guest_sees() {
    let subject = Subject::new(|o| o.wasm.memory = 256 << 20).await;
    // 65 MiB: under what a host call may pass, over what anybody decompresses.
    assert_eq!(subject.handle(with_number(b'h', 65 * 16 - 1)).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_sleeps_in_a_host_call_is_woken_by_the_timeout() {
    let subject = Subject::new(|o| o.wasm.timeout = Duration::from_millis(100)).await;
    let start = Instant::now();
    assert_eq!(subject.handle("w").await, Err(NodeError::TimedOut(Duration::from_millis(100))));
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    // It waited; no thread was needed for that.
    assert!(!subject.engine.0.lanes.is_used());
    still_alive(&subject).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_computation_moves_to_the_slow_lane_and_comes_back() {
    let subject = Subject::new(|_| {}).await;
    let payload = with_number(b's', 50);
    assert_eq!(subject.ask(payload.clone()).await, [&payload[..]]);
    assert!(subject.engine.0.lanes.is_used());
    assert_eq!(subject.replaced(), 0);
    still_alive(&subject).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_heavy_messages_starts_them_aside_until_they_are_light() {
    let subject = Subject::new(|_| {}).await;
    for _ in 0..8 {
        assert_eq!(subject.node.pace(), Pace::Inline);
        subject.handle(with_number(b's', 20)).await.unwrap();
    }
    assert_eq!(subject.node.pace(), Pace::Slow);
    still_alive_after(&subject).await;
    assert_eq!(subject.node.pace(), Pace::Inline);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_kills_its_instances_works_aside_until_it_behaves() {
    let subject = Subject::new(|_| {}).await;
    for _ in 0..4 {
        assert!(subject.handle("t").await.is_err());
    }
    assert_eq!(subject.node.pace(), Pace::Suspect);
    for _ in 0..10 {
        still_alive(&subject).await;
    }
    assert_eq!(subject.node.pace(), Pace::Inline);
}

#[tokio::test]
async fn an_endless_loop_leaves_the_thread_it_began_on_to_others() {
    // One thread for all: were the loop to stay on it, nothing below would run.
    let subject = Subject::new(|o| {
        o.wasm.concurrency = 2;
        o.wasm.timeout = Duration::from_millis(500);
    })
    .await;
    let start = Instant::now();
    let looping = subject.handle("l");
    let others = async {
        for _ in 0..50 {
            still_alive(&subject).await;
            tokio::task::yield_now().await;
        }
        start.elapsed()
    };
    let (looped, others) = tokio::join!(looping, others);
    assert_eq!(looped, Err(NodeError::TimedOut(Duration::from_millis(500))));
    assert!(others < Duration::from_millis(400), "{others:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_have_a_cap() {
    let subject = Subject::new(|_| {}).await;
    assert_eq!(subject.ask("o").await.len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_abandoned_costs_its_instance_and_no_more() {
    let subject = Subject::new(|_| {}).await;
    let abandoned = tokio::time::timeout(Duration::from_millis(20), subject.handle("w")).await;
    assert!(abandoned.is_err());
    still_alive(&subject).await;
    let abandoned = tokio::time::timeout(Duration::from_millis(20), subject.handle("l")).await;
    assert!(abandoned.is_err());
    still_alive(&subject).await;
    assert_eq!(subject.replaced(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_rests_when_no_guest_runs() {
    let subject = Subject::new(|_| {}).await;
    still_alive(&subject).await;
    eventually("the clock rests", || subject.engine.0.ticker.is_parked()).await;
    // And it wakes: a loop is still interrupted.
    let payload = with_number(b's', 50);
    assert_eq!(subject.ask(payload.clone()).await, [&payload[..]]);
    assert!(subject.engine.0.lanes.is_used());
}
