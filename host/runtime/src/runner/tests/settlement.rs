//! Every row of the settlement table.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::appending;
use super::flow::{ACK_WAIT, DEAD, Flow, STREAM, text};
use crate::bus::embedded::DeadLetter;
use crate::bus::{Consumer, FOR, PublishError};
use crate::message::{Message, MessageType};
use crate::node::{AsyncFnNode, FnNode, Node, NodeError};
use crate::outbox::OutputType;

/// A node that fails each time with what `error` makes.
fn failing(error: impl Fn() -> NodeError + Send + Sync + 'static) -> Arc<dyn Node> {
    FnNode::new(move |_, _| Err(error()))
}

fn dead(flow: &Flow) -> Vec<DeadLetter> {
    flow.bus.inner.dead_letters()
}

#[tokio::test(start_paused = true)]
async fn a_rejected_message_becomes_an_error_on_the_default_subject_and_is_not_tried_again() {
    let flow = Flow::new(&[("etl", &["entrypoint"]), ("exit", &["etl"])]);
    let mut outputs = flow.watch("etl").await;
    flow.run("etl", failing(|| NodeError::Rejected("no luck".into())));
    flow.request("r1", "a").await;
    let error = flow.next(&mut outputs).await;
    let wanted = Message {
        request_id: "r1".into(),
        from_node: "etl".into(),
        message_type: MessageType::Error,
        payload: None,
        error: "error in node \"etl\" executing handler for node \"entrypoint\": no luck".into(),
    };
    assert_eq!(error, wanted);
    flow.settled("entrypoint", "etl").await;
    flow.silent(&mut outputs).await;
    assert_eq!((flow.count("rejected", "etl"), dead(&flow).len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_error_is_data_to_the_node_that_reads_it() {
    let flow = Flow::new(&[("etl", &["entrypoint"]), ("exit", &["etl"])]);
    let mut outputs = flow.watch("exit").await;
    flow.run("etl", failing(|| NodeError::Rejected("no luck".into())));
    let (tell, mut told) = mpsc::unbounded_channel();
    flow.run(
        "exit",
        FnNode::new(move |message, outbox| {
            tell.send(message.clone()).expect("the test listens");
            outbox.relay(OutputType::Ok, None).map_err(|e| NodeError::Rejected(e.to_string()))
        }),
    );
    flow.request("r1", "a").await;
    assert!(told.recv().await.unwrap().is_error());
    let relayed = flow.next(&mut outputs).await;
    assert_eq!((relayed.message_type, relayed.payload), (MessageType::Ok, None));
}

#[tokio::test(start_paused = true)]
async fn what_fails_for_the_world_s_sake_comes_again_on_the_schedule_and_then_succeeds() {
    let flow = Flow::new(&[("etl", &["entrypoint"])]);
    let mut outputs = flow.watch("etl").await;
    let (tell, mut told) = mpsc::unbounded_channel();
    flow.run(
        "etl",
        FnNode::new(move |_, outbox| {
            let attempt = outbox.origin().attempt;
            tell.send((attempt, Instant::now())).expect("the test listens");
            if attempt < 3 {
                return Err(NodeError::Transient("away".into()));
            }
            outbox.relay(OutputType::Ok, None).map_err(|e| NodeError::Rejected(e.to_string()))
        }),
    );
    flow.request("r1", "a").await;
    assert_eq!(text(&flow.next(&mut outputs).await), "a");
    let (first, second, third) = (told.recv().await.unwrap(), told.recv().await.unwrap(), told.recv().await.unwrap());
    assert_eq!((first.0, second.0, third.0), (1, 2, 3));
    let near = |elapsed: Duration, wanted: u64| elapsed.as_millis().abs_diff(wanted.into()) <= 2;
    assert!(near(second.1 - first.1, 100), "{:?}", second.1 - first.1);
    assert!(near(third.1 - second.1, 200), "{:?}", third.1 - second.1);
    flow.settled("entrypoint", "etl").await;
    assert_eq!((flow.count("transient", "etl"), flow.count("ok", "etl"), dead(&flow).len()), (2, 1, 0));
    assert_eq!(flow.metric("krt_node_redeliveries_total{workflow=\"w\",node=\"etl\"} "), 2);
}

#[tokio::test(start_paused = true)]
async fn what_fails_at_every_attempt_ends_as_a_dead_letter_and_an_error() {
    type Make = fn() -> NodeError;
    let failures: [(&str, Make, &str); 4] = [
        ("transient", || NodeError::Transient("away".into()), "away"),
        (
            "trapped",
            || NodeError::Trapped { message: "unreachable".into(), backtrace: "f\ng\n".into() },
            "the node trapped: unreachable",
        ),
        ("timed_out", || NodeError::TimedOut(Duration::from_secs(1)), "the handler was still running after 1s"),
        ("limit_exceeded", || NodeError::LimitExceeded("memory".into()), "the node exceeded its limit: memory"),
    ];
    for (outcome, make, reason) in failures {
        let flow = Flow::new(&[("etl", &["entrypoint"])]);
        let mut outputs = flow.watch("etl").await;
        flow.run("etl", failing(make));
        flow.request("r1", "a").await;
        let error = flow.next(&mut outputs).await;
        let wanted = format!("error in node \"etl\" executing handler for node \"entrypoint\": {reason}");
        assert_eq!((error.message_type, &*error.error, &*error.request_id), (MessageType::Error, &*wanted, "r1"));
        flow.settled("entrypoint", "etl").await;
        flow.silent(&mut outputs).await;
        assert_eq!(flow.count(outcome, "etl"), 3);
        let [letter] = &dead(&flow)[..] else { panic!("one dead letter for {outcome}") };
        assert_eq!(&*letter.subject, DEAD);
        assert_eq!(text(&Message::decode(letter.payload.clone()).unwrap()), "a");
        let header = |name| letter.headers.get(name);
        assert_eq!(header("krt-reason"), Some(reason));
        assert_eq!((header("krt-workflow"), header("krt-node")), (Some("w"), Some("etl")));
        assert_eq!((header("krt-attempt"), header("krt-request-id")), (Some("3"), Some("r1")));
        assert_eq!(header("krt-subject"), Some("kre_v1_M.entrypoint"));
        assert_eq!(header("krt-backtrace"), (outcome == "trapped").then_some("f;g"));
        assert_eq!(flow.metric("krt_node_dead_letters_total{workflow=\"w\",node=\"etl\"} "), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_trap_of_that_message_alone() {
    let flow = Flow::new(&[("etl", &["entrypoint"])]);
    let mut outputs = flow.watch("etl").await;
    flow.run(
        "etl",
        FnNode::new(|message, outbox| match text(&message).as_str() {
            "poison" => panic!("no {}", "luck"),
            _ => outbox.relay(OutputType::Ok, None).map_err(|e| NodeError::Rejected(e.to_string())),
        }),
    );
    flow.request("r1", "poison").await;
    flow.request("r2", "a").await;
    assert_eq!(flow.next(&mut outputs).await.request_id, "r2");
    let error = flow.next(&mut outputs).await;
    assert_eq!(error.request_id, "r1");
    assert!(error.error.ends_with("the node trapped: panicked: no luck"), "{}", error.error);
    assert_eq!((flow.count("trapped", "etl"), dead(&flow).len()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_interrupted_after_its_time_and_can_send_no_more() {
    let flow = Flow::new(&[("etl", &["entrypoint"])]);
    let mut outputs = flow.watch("etl").await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let node = AsyncFnNode::new(move |_, outbox| {
        let tell = tell.clone();
        async move {
            tell.send(outbox.clone()).expect("the test listens");
            std::future::pending().await
        }
    });
    flow.run_with("etl", node, |runner| {
        runner.timeout = Some(Duration::from_secs(2));
        runner.retry.attempts = 1;
    });
    flow.request("r1", "a").await;
    let since = Instant::now();
    let error = flow.next(&mut outputs).await;
    assert!(error.error.ends_with("the handler was still running after 2s"), "{}", error.error);
    assert!(since.elapsed() >= Duration::from_secs(2) && since.elapsed() < Duration::from_millis(2100));
    let outbox = told.recv().await.unwrap();
    assert!(outbox.origin().deadline.is_some());
    assert!(outbox.relay(OutputType::Ok, None).is_err(), "the delivery is over");
    flow.silent(&mut outputs).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_is_not_acknowledged_before_its_outputs_are_accepted() {
    let refusals = Arc::new(AtomicU32::new(2));
    let left = refusals.clone();
    let full = move |p: &crate::bus::Publication| {
        let own = &*p.subject == "kre_v1_M.etl";
        (own && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok())
            .then_some(PublishError::Full)
    };
    let flow = Flow::on(&[("etl", &["entrypoint"]), ("exit", &["etl"])], full, || false);
    let mut outputs = flow.watch("etl").await;
    flow.run("etl", appending("etl"));
    flow.request("r1", "a").await;
    assert_eq!(text(&flow.next(&mut outputs).await), "a>etl");
    flow.settled("entrypoint", "etl").await;
    assert_eq!((flow.count("publish", "etl"), flow.count("ok", "etl")), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn an_output_that_is_never_accepted_ends_as_a_dead_letter_too() {
    let refuse = |p: &crate::bus::Publication| {
        (&*p.subject == "kre_v1_M.etl.c").then(|| PublishError::NoStream(p.subject.to_string()))
    };
    let flow = Flow::on(&[("etl", &["entrypoint"])], refuse, || false);
    let mut outputs = flow.watch("etl").await;
    flow.run(
        "etl",
        FnNode::new(|_, outbox| {
            outbox.relay(OutputType::Ok, Some("c")).expect("taken over");
            Err(NodeError::Rejected("hides the failed output".into()))
        }),
    );
    flow.request("r1", "a").await;
    let error = flow.next(&mut outputs).await.error;
    assert!(error.contains("an output could not be published: no stream"), "{error}");
    assert_eq!((flow.count("publish", "etl"), dead(&flow).len()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_message_for_one_reader_of_a_subject_is_not_handled_by_the_others() {
    let flow = Flow::new(&[("etl", &["entrypoint"]), ("audit", &["entrypoint"])]);
    let (mut etl, mut audit) = (flow.watch("etl").await, flow.watch("audit").await);
    flow.run("etl", appending("etl"));
    flow.run("audit", appending("audit"));
    flow.publish_with("entrypoint", "r1", "a", vec![(FOR, "audit".to_owned())]).await;
    assert_eq!(text(&flow.next(&mut audit).await), "a>audit");
    flow.settled("entrypoint", "etl").await;
    flow.silent(&mut etl).await;
    assert_eq!(dead(&flow).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_envelope_that_cannot_be_read_is_a_dead_letter_at_once() {
    let flow = Flow::new(&[("etl", &["entrypoint"])]);
    let mut outputs = flow.watch("etl").await;
    flow.run("etl", appending("etl"));
    for bytes in [&b"\xff\xff"[..], &[0x1f, 0x8b, 1], &[0x0a]] {
        flow.publish_bytes("entrypoint", Bytes::copy_from_slice(bytes)).await;
    }
    flow.request("r1", "a").await;
    assert_eq!(flow.next(&mut outputs).await.request_id, "r1");
    flow.settled("entrypoint", "etl").await;
    flow.silent(&mut outputs).await;
    let letters = dead(&flow);
    assert_eq!(
        letters.iter().map(|l| &l.payload[..]).collect::<Vec<_>>(),
        [&b"\xff\xff"[..], &[0x1f, 0x8b, 1], &[0x0a]]
    );
    assert!(letters[1].headers.get("krt-reason").unwrap().contains("gzip"));
    assert_eq!(letters[0].headers.get("krt-request-id"), None);
    assert_eq!((flow.count("malformed", "etl"), flow.count("ok", "etl")), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_host_died_each_time_is_given_up_unhandled() {
    let flow = Flow::new(&[("etl", &["entrypoint"])]);
    let mut outputs = flow.watch("etl").await;
    flow.request("r1", "poison").await;
    // Its three attempts, and five more: some of them may only have waited in a host that was told to end.
    for attempt in 1..=8 {
        let consumer = Consumer::Durable { stream: STREAM.into(), name: "kre_v1_M-entrypoint-etl".into(), prefetch: 1 };
        let mut host = crate::bus::Bus::subscribe(&*flow.bus, consumer).await.unwrap();
        let delivery = futures::StreamExt::next(&mut host).await.unwrap().unwrap();
        assert_eq!(delivery.attempt, attempt);
    }
    let handled = Arc::new(AtomicBool::new(false));
    let seen = handled.clone();
    flow.run(
        "etl",
        FnNode::new(move |_, _| {
            seen.store(true, Ordering::SeqCst);
            Ok(())
        }),
    );
    let since = Instant::now();
    let error = flow.next(&mut outputs).await;
    assert!(since.elapsed() <= ACK_WAIT + Duration::from_millis(10));
    assert!(error.error.ends_with("not one of its 8 deliveries came to an end"), "{}", error.error);
    flow.settled("entrypoint", "etl").await;
    assert!(!handled.load(Ordering::SeqCst));
    assert_eq!(dead(&flow)[0].headers.get("krt-attempt"), Some("9"));
}

#[tokio::test(start_paused = true)]
async fn what_was_given_back_untried_is_tried_though_its_attempts_are_used_up() {
    let flow = Flow::new(&[("etl", &["entrypoint"])]);
    let mut outputs = flow.watch("etl").await;
    flow.request("r1", "a").await;
    let consumer = Consumer::Durable { stream: STREAM.into(), name: "kre_v1_M-entrypoint-etl".into(), prefetch: 1 };
    let mut draining = crate::bus::Bus::subscribe(&*flow.bus, consumer).await.unwrap();
    let delivery = futures::StreamExt::next(&mut draining).await.unwrap().unwrap();
    delivery.nack(Duration::ZERO).await.unwrap();
    drop(draining);
    flow.run_with("etl", appending("etl"), |runner| runner.retry.attempts = 1);
    assert_eq!(text(&flow.next(&mut outputs).await), "a>etl");
    assert_eq!(dead(&flow).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_ran_twice_for_one_delivery_sends_each_output_once() {
    let flow = Flow::new(&[("etl", &["entrypoint"]), ("exit", &["etl"])]);
    let mut outputs = flow.watch("etl").await;
    flow.run(
        "etl",
        FnNode::new(|_, outbox| {
            for text in ["first", "second"] {
                outbox.send(super::flow::payload(text), OutputType::Ok, None).expect("sent");
            }
            match outbox.origin().attempt {
                1 => Err(NodeError::Trapped { message: "between publish and ack".into(), backtrace: String::new() }),
                _ => outbox
                    .send(super::flow::payload("third"), OutputType::Ok, None)
                    .map_err(|e| NodeError::Rejected(e.to_string())),
            }
        }),
    );
    flow.request("r1", "a").await;
    let mut got = Vec::new();
    for _ in 0..3 {
        got.push(text(&flow.next(&mut outputs).await));
    }
    assert_eq!(got, ["first", "second", "third"]);
    flow.silent(&mut outputs).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_is_kept_until_the_bus_has_its_dead_letter_and_its_error() {
    for refused in [DEAD, "kre_v1_M.etl"] {
        let refusals = Arc::new(AtomicU32::new(3));
        let left = refusals.clone();
        let away = move |p: &crate::bus::Publication| {
            let own = &*p.subject == refused;
            (own && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok())
                .then(|| PublishError::Unavailable("away".into()))
        };
        let flow = Flow::on(&[("etl", &["entrypoint"])], away, || false);
        let mut outputs = flow.watch("etl").await;
        flow.run_with("etl", failing(|| NodeError::Transient("away".into())), |runner| runner.retry.attempts = 1);
        flow.request("r1", "a").await;
        assert_eq!(flow.next(&mut outputs).await.message_type, MessageType::Error);
        flow.settled("entrypoint", "etl").await;
        flow.silent(&mut outputs).await;
        assert_eq!(refusals.load(Ordering::SeqCst), 0);
        assert_eq!(dead(&flow).len(), 1, "once, though it was given up more than once");
    }
}

#[tokio::test(start_paused = true)]
async fn long_texts_and_backtraces_are_cut_to_what_a_bus_and_a_caller_take() {
    let flow = Flow::new(&[("etl", &["entrypoint"])]);
    let mut outputs = flow.watch("etl").await;
    let long = || NodeError::Trapped { message: "ä\n".repeat(1 << 20), backtrace: "frame\n".repeat(1 << 18) };
    flow.run_with("etl", failing(long), |runner| runner.retry.attempts = 1);
    flow.request(&"r".repeat(100_000), "a").await;
    let error = flow.next(&mut outputs).await;
    assert!(error.error.len() <= 4096, "{}", error.error.len());
    assert_eq!(error.request_id.len(), 100_000, "verbatim (contract, trap 17)");
    let letters = dead(&flow);
    assert!(letters[0].headers.size() <= crate::bus::HEADER_ROOM);
    assert!(letters[0].headers.0.iter().all(|(_, value)| !value.chars().any(char::is_control)));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_larger_than_the_bus_takes_goes_without_its_bytes() {
    let id = crate::bus::DeliveryId { stream: STREAM.into(), sequence: 7 };
    let payload = Bytes::from(vec![1; 101]);
    let delivery = crate::bus::Delivery::new(id, "s".into(), payload, 5, Box::new(Nobody));
    let cause =
        crate::runner::dead_letter::Cause { workflow: "w", node: "etl", request_id: None, reason: "r", backtrace: "" };
    let whole = crate::runner::dead_letter::publication(&DEAD.into(), &delivery, &cause, 101);
    assert_eq!((whole.payload.len(), whole.id.as_deref()), (101, Some("kre_v1_M/7/etl/dead")));
    let omitted = crate::runner::dead_letter::publication(&DEAD.into(), &delivery, &cause, 100);
    assert_eq!((omitted.payload.len(), omitted.headers.get("krt-omitted-bytes")), (0, Some("101")));
}

struct Nobody;

impl crate::bus::Settle for Nobody {
    fn ack(self: Box<Self>) -> crate::bus::Settlement {
        crate::bus::Settlement::Ready(Ok(()))
    }

    fn nack(self: Box<Self>, _: Duration) -> crate::bus::Settlement {
        crate::bus::Settlement::Ready(Ok(()))
    }

    fn progress(&self) -> futures::future::BoxFuture<'_, Result<(), crate::bus::SettleError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
