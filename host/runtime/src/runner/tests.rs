//! Flows of closure nodes over the embedded bus, in paused time: every row of the settlement table, and the drain.

mod drain;
mod flow;
mod settlement;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use self::flow::{Flow, text};
use crate::message::MessageType;
use crate::node::{AsyncFnNode, FnNode, Node, NodeError};
use crate::outbox::OutputType;

/// A node that sends its name after what it got: `a` becomes `a>etl`.
fn appending(name: &'static str) -> Arc<dyn Node> {
    FnNode::new(move |message, outbox| {
        let payload = flow::payload(&format!("{}>{name}", text(&message)));
        outbox.send(payload, OutputType::Ok, None).map_err(|e| NodeError::Rejected(e.to_string()))
    })
}

#[tokio::test(start_paused = true)]
async fn a_request_goes_through_nodes_in_line() {
    let flow = Flow::new(&[("etl", &["entrypoint"]), ("model", &["etl"]), ("exit", &["model"])]);
    let mut replies = flow.watch("exit").await;
    for name in ["etl", "model", "exit"] {
        flow.run(name, appending(name));
    }
    flow.request("r1", "a").await;
    let reply = flow.next(&mut replies).await;
    assert_eq!((text(&reply), &*reply.request_id, &*reply.from_node), ("a>etl>model>exit".into(), "r1", "exit"));
    assert_eq!(reply.message_type, MessageType::Ok);
    flow.settled("entrypoint", "etl").await;
    assert_eq!(flow.count("ok", "model"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_came_before_the_runner_is_handled_in_order() {
    let flow = Flow::new(&[("etl", &["entrypoint"])]);
    let mut outputs = flow.watch("etl").await;
    for n in 0..300 {
        flow.request(&n.to_string(), "a").await;
    }
    flow.run("etl", appending("etl"));
    for n in 0..300 {
        assert_eq!(flow.next(&mut outputs).await.request_id, n.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_s_outputs_reach_all_that_read_it_and_branches_that_meet_are_two_deliveries() {
    let flow =
        Flow::new(&[("etl", &["entrypoint"]), ("left", &["etl"]), ("right", &["etl"]), ("exit", &["left", "right"])]);
    let mut replies = flow.watch("exit").await;
    for name in ["etl", "left", "right", "exit"] {
        flow.run(name, appending(name));
    }
    flow.request("r1", "a").await;
    let mut got = [text(&flow.next(&mut replies).await), text(&flow.next(&mut replies).await)];
    got.sort();
    assert_eq!(got, ["a>etl>left>exit", "a>etl>right>exit"]);
}

#[tokio::test(start_paused = true)]
async fn a_channel_reaches_those_alone_that_read_it() {
    let flow = Flow::new(&[("etl", &["entrypoint"]), ("repairs", &["etl.repairs"]), ("rest", &["etl"])]);
    let (mut repaired, mut rest) = (flow.watch("repairs").await, flow.watch("rest").await);
    flow.run(
        "etl",
        FnNode::new(|message, outbox| {
            let channel = (text(&message) == "broken").then_some("repairs");
            outbox.relay(OutputType::Ok, channel).map_err(|e| NodeError::Rejected(e.to_string()))
        }),
    );
    let (tell, mut channels) = mpsc::unbounded_channel();
    flow.run(
        "repairs",
        FnNode::new(move |_, outbox| {
            tell.send(outbox.origin().channel().map(str::to_owned)).expect("the test listens");
            outbox.relay(OutputType::Ok, None).map_err(|e| NodeError::Rejected(e.to_string()))
        }),
    );
    flow.run("rest", appending("rest"));
    flow.request("r1", "broken").await;
    flow.request("r2", "whole").await;
    assert_eq!(flow.next(&mut repaired).await.request_id, "r1");
    assert_eq!(flow.next(&mut rest).await.request_id, "r2");
    assert_eq!(channels.recv().await.unwrap().as_deref(), Some("repairs"));
    flow.silent(&mut repaired).await;
    flow.silent(&mut rest).await;
}

#[tokio::test(start_paused = true)]
async fn early_replies_go_out_before_the_handler_is_done() {
    let flow = Flow::new(&[("etl", &["entrypoint"])]);
    let mut outputs = flow.watch("etl").await;
    flow.run(
        "etl",
        AsyncFnNode::new(|_, outbox| async move {
            outbox.relay(OutputType::EarlyReply, None).expect("sent");
            tokio::time::sleep(Duration::from_secs(3)).await;
            outbox.relay(OutputType::Ok, None).expect("sent");
            Ok(())
        }),
    );
    flow.request("r1", "a").await;
    let since = tokio::time::Instant::now();
    assert_eq!(flow.next(&mut outputs).await.message_type, MessageType::EarlyReply);
    assert!(since.elapsed() < Duration::from_secs(1));
    assert_eq!(flow.next(&mut outputs).await.message_type, MessageType::Ok);
}

#[tokio::test(start_paused = true)]
async fn as_many_messages_are_in_hand_as_the_concurrency_says_and_no_more() {
    for concurrency in [1_usize, 4] {
        let flow = Flow::new(&[("etl", &["entrypoint"]), ("exit", &["etl", "entrypoint"])]);
        let (now, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let most_seen = most.clone();
        let node = AsyncFnNode::new(move |_, _| {
            let (now, most) = (now.clone(), most.clone());
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(10)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            }
        });
        for n in 0..20 {
            flow.request(&n.to_string(), "a").await;
            flow.publish("etl", &n.to_string(), "a").await;
        }
        flow.run_with("exit", node, |runner| runner.concurrency = concurrency);
        flow.settled("entrypoint", "exit").await;
        flow.settled("etl", "exit").await;
        assert_eq!(most_seen.load(Ordering::SeqCst) as usize, concurrency);
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_consumer_does_not_starve_the_other() {
    let flow = Flow::new(&[("etl", &["entrypoint"]), ("exit", &["entrypoint", "etl"])]);
    for n in 0..100 {
        flow.request(&format!("entrypoint {n}"), "a").await;
    }
    for n in 0..10 {
        flow.publish("etl", &format!("etl {n}"), "a").await;
    }
    let (tell, mut order) = mpsc::unbounded_channel();
    flow.run(
        "exit",
        FnNode::new(move |message, _| {
            tell.send(message.request_id).expect("the test listens");
            Ok(())
        }),
    );
    let mut first = Vec::new();
    for _ in 0..20 {
        first.push(order.recv().await.unwrap());
    }
    assert_eq!(first.iter().filter(|id| id.starts_with("etl")).count(), 10, "{first:?}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_longer_than_the_ack_wait_keeps_its_message() {
    let flow = Flow::new(&[("etl", &["entrypoint"])]);
    let calls = Arc::new(AtomicU32::new(0));
    let counted = calls.clone();
    flow.run(
        "etl",
        AsyncFnNode::new(move |_, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            async move {
                tokio::time::sleep(flow::ACK_WAIT * 4).await;
                Ok(())
            }
        }),
    );
    flow.request("r1", "a").await;
    flow.settled("entrypoint", "etl").await;
    tokio::time::sleep(flow::ACK_WAIT * 3).await;
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}
