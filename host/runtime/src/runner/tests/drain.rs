//! The end of a runner, and consumers that are lost on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::appending;
use super::flow::{Flow, text};
use crate::node::{AsyncFnNode, Node};
use crate::outbox::{OutputType, SendError};

/// A node that takes `time` for a message and tells when it begins one.
fn slow(time: Duration) -> (Arc<dyn Node>, mpsc::UnboundedReceiver<String>) {
    let (tell, told) = mpsc::unbounded_channel();
    let node = AsyncFnNode::new(move |message, outbox| {
        tell.send(message.request_id.clone()).expect("the test listens");
        async move {
            tokio::time::sleep(time).await;
            outbox.relay(OutputType::Ok, None).expect("sent");
            Ok(())
        }
    });
    (node, told)
}

#[tokio::test(start_paused = true)]
async fn a_drain_finishes_what_is_in_hand_and_takes_nothing_more() {
    for concurrency in [1, 2] {
        let flow = Flow::new(&[("etl", &["entrypoint"])]);
        let mut outputs = flow.watch("etl").await;
        let (node, mut begun) = slow(Duration::from_secs(3));
        let run = flow.run_with("etl", node, |runner| runner.concurrency = concurrency);
        for n in 0..6 {
            flow.request(&n.to_string(), "a").await;
        }
        for _ in 0..concurrency {
            begun.recv().await.unwrap();
        }
        let since = Instant::now();
        flow.stop.cancel();
        run.await.unwrap();
        assert!(since.elapsed() <= Duration::from_secs(3), "{:?}", since.elapsed());
        assert_eq!(flow.pending("entrypoint", "etl"), 6 - concurrency);
        for _ in 0..concurrency {
            flow.next(&mut outputs).await;
        }
        assert!(begun.recv().await.is_none(), "nothing more was begun");
    }
}

#[tokio::test(start_paused = true)]
async fn what_outlasts_the_grace_period_is_given_back_and_comes_at_once_to_another() {
    for concurrency in [1, 3] {
        let flow = Flow::new(&[("etl", &["entrypoint"])]);
        let mut outputs = flow.watch("etl").await;
        let (node, mut begun) = slow(Duration::from_secs(3600));
        let run = flow.run_with("etl", node, |runner| runner.concurrency = concurrency);
        flow.request("r1", "a").await;
        begun.recv().await.unwrap();
        let since = Instant::now();
        flow.stop.cancel();
        run.await.unwrap();
        assert!(since.elapsed() >= Duration::from_secs(5) && since.elapsed() < Duration::from_millis(5010));
        let flow = Flow { stop: CancellationToken::new(), ..flow };
        let since = Instant::now();
        flow.run("etl", appending("etl"));
        assert_eq!(text(&flow.next(&mut outputs).await), "a>etl");
        assert!(since.elapsed() < Duration::from_millis(10), "not only after the ack wait");
    }
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_handler_sends_no_more() {
    let flow = Flow::new(&[("etl", &["entrypoint"])]);
    let (tell, mut told) = mpsc::unbounded_channel();
    let node = AsyncFnNode::new(move |_, outbox| {
        tell.send(outbox).expect("the test listens");
        std::future::pending()
    });
    let run = flow.run("etl", node);
    flow.request("r1", "a").await;
    let outbox = told.recv().await.unwrap();
    flow.stop.cancel();
    run.await.unwrap();
    assert_eq!(outbox.relay(OutputType::Ok, None), Err(SendError::NoMessage));
}

#[tokio::test(start_paused = true)]
async fn an_idle_runner_ends_at_once() {
    for concurrency in [1, 8] {
        let flow = Flow::new(&[("etl", &["entrypoint"]), ("exit", &["etl", "entrypoint"])]);
        let run = flow.run_with("exit", appending("exit"), |runner| runner.concurrency = concurrency);
        tokio::task::yield_now().await;
        let since = Instant::now();
        flow.stop.cancel();
        run.await.unwrap();
        assert_eq!(since.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_during_a_backlog_is_heard() {
    let flow = Flow::new(&[("etl", &["entrypoint"])]);
    for n in 0..1000 {
        flow.request(&n.to_string(), "a").await;
    }
    let handled = Arc::new(AtomicU32::new(0));
    let (counted, stop) = (handled.clone(), flow.stop.clone());
    let node = crate::node::FnNode::new(move |_, _| {
        if counted.fetch_add(1, Ordering::SeqCst) + 1 == 10 {
            stop.cancel();
        }
        Ok(())
    });
    flow.run("etl", node).await.unwrap();
    assert_eq!(handled.load(Ordering::SeqCst), 10);
    assert_eq!(flow.pending("entrypoint", "etl"), 990);
}

#[tokio::test(start_paused = true)]
async fn a_lost_consumer_is_bound_again_with_growing_pauses() {
    let tries = Arc::new(AtomicU32::new(0));
    let counted = tries.clone();
    let flow = Flow::on(&[("etl", &["entrypoint"])], |_| None, move || counted.fetch_add(1, Ordering::SeqCst) < 4);
    let mut outputs = flow.watch("etl").await;
    flow.health.set_ready(true);
    let since = Instant::now();
    flow.run("etl", appending("etl"));
    assert!(!flow.health.is_ready(), "a node that hears nothing is not ready");
    flow.request("r1", "a").await;
    assert_eq!(text(&flow.next(&mut outputs).await), "a>etl");
    assert_eq!(tries.load(Ordering::SeqCst), 5);
    flow.health.until(true).await;
    // 100 + 200 + 400 + 800 ms, each rounded up to the timer's millisecond.
    let elapsed = since.elapsed().as_millis();
    assert!((1500..1510).contains(&elapsed), "{elapsed} ms");
}
