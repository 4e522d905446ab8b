//! The life of instances: how long, how many, and what follows one.

use std::time::Duration;

use krt::topology::InstanceMode;

use super::guests::{Subject, engine, eventually, hostile_with_init, keys, with_number};
use crate::node::NodeError;

/// 48 MiB of the 64 that a test node may have.
const MOST: u32 = 48 * 16;

#[tokio::test(flavor = "multi_thread")]
async fn a_reused_instance_remembers() {
    let subject = Subject::new(|_| {}).await;
    for count in 1..=3 {
        assert_eq!(subject.ask("c").await, [[count]]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_instance_remembers_nothing() {
    let subject = Subject::new(|o| o.wasm.instance = InstanceMode::Fresh).await;
    for _ in 0..3 {
        assert_eq!(subject.ask("c").await, [[1]]);
    }
    assert!(matches!(subject.handle("t").await, Err(NodeError::Trapped { .. })));
    assert!(matches!(subject.handle("m").await, Err(NodeError::LimitExceeded(_))));
    let payload = with_number(b's', 50);
    assert_eq!(subject.ask(payload.clone()).await, [&payload[..]]);
    assert_eq!(subject.replaced(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_of_an_instance_is_as_new_for_the_next() {
    let subject = Subject::new(|o| o.wasm.instance = InstanceMode::Fresh).await;
    // More messages than the pool has places: each is used again.
    for _ in 0..100 {
        assert_eq!(subject.ask("y").await, [[0, 0]]);
    }
    let subject = Subject::new(|_| {}).await;
    assert_eq!(subject.ask("y").await, [[0, 0]]);
    assert_eq!(subject.ask("y").await, [[7, 8]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_the_guest_declares_costs_no_instance() {
    let subject = Subject::new(|_| {}).await;
    assert_eq!(subject.handle("j").await, Err(NodeError::Rejected("bad data".into())));
    assert_eq!(subject.handle("k").await, Err(NodeError::Transient("away for now".into())));
    assert_eq!(subject.ask("c").await, [[3]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_messages_are_in_hand_as_there_are_instances() {
    let subject = Subject::new(|o| {
        o.replicas = 2;
        o.wasm.concurrency = 2;
        o.wasm.timeout = Duration::from_millis(300);
    })
    .await;
    let mut waiting: Vec<_> = (0..4).map(|_| subject.handle("w")).collect();
    let all = async { futures::future::join_all(waiting.iter_mut()).await };
    let fifth = async {
        tokio::task::yield_now().await;
        subject.handle("echo").await
    };
    let (all, fifth) = tokio::join!(all, fifth);
    assert_eq!(all, vec![Err(NodeError::TimedOut(Duration::from_millis(300))); 4]);
    // It had to wait for one of them, and then had its own time.
    assert!(matches!(fifth, Ok(()) | Err(NodeError::Transient(_))), "{fifth:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_has_grown_is_exchanged_between_messages() {
    let subject = Subject::new(|_| {}).await;
    assert_eq!(subject.ask("c").await, [[1]]);
    subject.handle(with_number(b'g', MOST)).await.unwrap();
    eventually("the successor has come", || subject.replaced() == 1).await;
    let mut old = 0;
    while subject.ask("c").await != [[1]] {
        old += 1;
        assert!(old < 1000, "the old one still serves");
        tokio::task::yield_now().await;
    }
    // The successor is not worn: nothing more is replaced.
    for _ in 0..10 {
        subject.handle("echo").await.unwrap();
    }
    assert_eq!(subject.replaced(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_was_born_large_is_not_exchanged_for_that() {
    let engine = engine();
    let large = hostile_with_init(&format!("(drop (memory.grow (i32.const {MOST})))"));
    let component = engine.load("node.wasm", &large).unwrap();
    let subject = Subject::of(engine, component, |_| {}).await;
    for _ in 0..10 {
        subject.handle("echo").await.unwrap();
    }
    assert_eq!(subject.replaced(), 0);
    subject.sent();
    assert_eq!(subject.ask("c").await, [[11]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worn_instance_that_dies_first_leaves_its_place_to_its_successor() {
    let subject = Subject::new(|_| {}).await;
    for _ in 0..5 {
        subject.handle(with_number(b'g', MOST)).await.unwrap();
        assert!(matches!(subject.handle("t").await, Err(NodeError::Trapped { .. })));
    }
    // However they met, there is one instance again, and it works.
    assert_eq!(subject.ask("echo").await, [b"echo"]);
    eventually("one each", || subject.replaced() >= 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_that_fails_is_tried_again_until_it_does_not() {
    // Its init is rejected as long as the key is missing.
    let init = r#"(call $get (i32.const 1700) (i32.const 4) (i32.const 1) (i32.const 0) (i32.const 512))
        (if (i32.eqz (i32.load8_u (i32.const 520))) (then
          (return (call $failure (i32.const 0) (i32.const 1600) (i32.const 16)))))"#;
    let source = include_str!("hostile.wat")
        .replace("(;INIT;)", init)
        .replace("(data (i32.const 1600)", "(data (i32.const 1700) \"boot\")\n(data (i32.const 1600)");
    let engine = engine();
    let component = engine.load("node.wasm", &super::guests::component(&source, &super::guests::contract())).unwrap();
    let bucket = keys(&[("boot", "yes")]);
    let subject = Subject::of(engine, component, |o| {
        o.configuration.node = bucket.clone();
        o.wasm.timeout = Duration::from_millis(200);
    })
    .await;
    bucket.0.lock().unwrap().clear();
    assert!(matches!(subject.handle("t").await, Err(NodeError::Trapped { .. })));
    assert_eq!(
        subject.handle("echo").await,
        Err(NodeError::Transient("no instance is ready: init rejected: rejected by init".into()))
    );
    bucket.0.lock().unwrap().insert("boot".into(), "yes".into());
    let mut tries = 0;
    while subject.handle("echo").await.is_err() {
        tries += 1;
        assert!(tries < 20);
    }
    assert_eq!(subject.replaced(), 1);
}
