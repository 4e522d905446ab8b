//! The embedded bus against the contract, and what is its own: bounds, cost, paused time.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use krt::plan::{DeliveryMode, Durable, Plan, Stream};
use krt::topology::Retry;
use tokio::time::Instant;

use super::{EmbeddedBus, EmbeddedBusOptions};
use crate::bus::contract::{Make, Provisioned};
use crate::bus::{Acceptance, Bus as _, Consumer, Deliveries, Delivery, Headers, Publication, PublishError};

mod contract {
    crate::bus_contract!(super::make());
}

const ACK_WAIT: Duration = Duration::from_secs(30);

fn make() -> Make {
    Make::new(|plan, tuning| async move {
        let defaults = EmbeddedBusOptions::default();
        let bus = EmbeddedBus::new(EmbeddedBusOptions {
            duplicate_window: tuning.duplicate_window,
            max_pending: tuning.max_pending.unwrap_or(defaults.max_pending),
            publish_wait: tuning.publish_wait,
            ..defaults
        });
        bus.apply(&plan);
        let same = Arc::clone(&bus);
        Provisioned {
            bus,
            apply: Box::new(move |plan| {
                same.apply(&plan);
                Box::pin(std::future::ready(()))
            }),
        }
    })
}

/// A bus whose stream `s` has the subjects `s.a` and `s.b`, each read by the durable of the same letter.
fn bus(options: EmbeddedBusOptions) -> Arc<EmbeddedBus> {
    let durable = |letter: &str| Durable {
        name: letter.into(),
        stream: "s".into(),
        filter_subject: format!("s.{letter}"),
        workflow: "w".into(),
        node: letter.into(),
        delivery: DeliveryMode::Pull,
        deliver_group: None,
        ack_wait: ACK_WAIT,
        attempts: None,
        handling: Duration::ZERO,
        retry: Retry::default(),
    };
    let bus = EmbeddedBus::new(options);
    bus.apply(&Plan {
        runtime_id: "r".into(),
        version: "v".into(),
        streams: vec![Stream { name: "s".into(), subjects: vec!["s.*".into()] }],
        durables: vec![durable("a"), durable("b")],
        key_value_buckets: vec![],
        object_stores: vec![],
        dead_letters: Stream { name: "dead".into(), subjects: vec!["dead.>".into()] },
    });
    bus
}

fn message(subject: &str, text: impl Into<String>) -> Publication {
    let payload = text.into().into_bytes().into();
    Publication { subject: subject.into(), id: None, payload, headers: Headers::default() }
}

fn publish(bus: &EmbeddedBus, subject: &str, text: impl Into<String>) {
    let Acceptance::Ready(Ok(())) = bus.publish(message(subject, text)) else { panic!("accepted at once") };
}

async fn read(bus: &EmbeddedBus, durable: &str) -> Deliveries {
    let consumer = Consumer::Durable { stream: "s".into(), name: durable.into(), prefetch: 1 };
    bus.subscribe(consumer).await.unwrap()
}

async fn next(deliveries: &mut Deliveries) -> Delivery {
    deliveries.next().await.unwrap().unwrap()
}

fn text(delivery: &Delivery) -> &str {
    std::str::from_utf8(&delivery.payload).unwrap()
}

#[tokio::test(start_paused = true)]
async fn ack_waits_and_delays_follow_the_runtime_s_clock() {
    let bus = bus(EmbeddedBusOptions::default());
    let mut a = read(&bus, "a").await;
    publish(&bus, "s.a", "x");
    let since = Instant::now();
    drop(next(&mut a).await);
    let second = next(&mut a).await;
    assert_eq!(since.elapsed().as_secs(), 30);
    second.nack(Duration::from_secs(3600)).await.unwrap();
    let third = next(&mut a).await;
    assert_eq!(since.elapsed().as_secs(), 3630);
    assert_eq!(third.attempt, 3);
}

#[tokio::test(start_paused = true)]
async fn redeliveries_come_when_they_are_due_whatever_was_armed_before() {
    let bus = bus(EmbeddedBusOptions::default());
    let mut a = read(&bus, "a").await;
    for text in ["held", "late", "soon"] {
        publish(&bus, "s.a", text);
    }
    let held = next(&mut a).await;
    next(&mut a).await.nack(Duration::from_secs(20)).await.unwrap();
    next(&mut a).await.nack(Duration::from_secs(10)).await.unwrap();
    let since = Instant::now();
    let mut got = Vec::new();
    for _ in 0..3 {
        let delivery = next(&mut a).await;
        got.push((text(&delivery).to_owned(), since.elapsed().as_secs()));
        delivery.ack().await.unwrap();
    }
    assert_eq!(got, [("soon".into(), 10), ("late".into(), 20), ("held".into(), 30)]);
    held.ack().await.unwrap();
    assert_eq!(bus.pending("s", "a"), Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_nack_that_comes_too_late_does_not_disturb_the_attempt_in_hand() {
    let bus = bus(EmbeddedBusOptions::default());
    let mut a = read(&bus, "a").await;
    publish(&bus, "s.a", "x");
    let late = next(&mut a).await;
    let current = next(&mut a).await;
    assert_eq!(current.attempt, 2);
    late.nack(Duration::ZERO).await.unwrap();
    let since = Instant::now();
    let again = next(&mut a).await;
    assert_eq!((again.attempt, since.elapsed().as_secs()), (3, 30));
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_inputs_fill_its_stream_still_sends_its_outputs() {
    let bus = bus(EmbeddedBusOptions { max_pending: 2, ..EmbeddedBusOptions::default() });
    publish(&bus, "s.a", "1");
    publish(&bus, "s.a", "2");
    assert!(matches!(bus.publish(message("s.a", "3")), Acceptance::Pending(_)));
    publish(&bus, "s.b", "output");
}

#[tokio::test(start_paused = true)]
async fn publications_that_wait_are_bounded_and_accepted_in_order() {
    let options = EmbeddedBusOptions { max_pending: 2, ..EmbeddedBusOptions::default() };
    let bus = bus(options);
    publish(&bus, "s.a", "1");
    publish(&bus, "s.a", "2");
    let (third, fourth) = (bus.publish(message("s.a", "3")), bus.publish(message("s.a", "4")));
    let refused = bus.publish(message("s.a", "5"));
    assert!(matches!(refused, Acceptance::Ready(Err(PublishError::Full))));
    let mut a = read(&bus, "a").await;
    for n in 1..=4 {
        let delivery = next(&mut a).await;
        assert_eq!(text(&delivery), n.to_string());
        delivery.ack().await.unwrap();
    }
    third.await.unwrap();
    fourth.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_publication_that_nobody_awaits_any_more_is_withdrawn() {
    let options = EmbeddedBusOptions { max_pending: 1, ..EmbeddedBusOptions::default() };
    let bus = bus(options);
    publish(&bus, "s.a", "1");
    drop(bus.publish(message("s.a", "withdrawn")));
    let kept = bus.publish(message("s.a", "2"));
    let mut a = read(&bus, "a").await;
    next(&mut a).await.ack().await.unwrap();
    kept.await.unwrap();
    assert_eq!(text(&next(&mut a).await), "2");
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_after_the_publish_wait_counted_from_the_publication() {
    let options = EmbeddedBusOptions { max_pending: 1, ..EmbeddedBusOptions::default() };
    let bus = bus(options);
    publish(&bus, "s.a", "1");
    let since = Instant::now();
    let waiting = [bus.publish(message("s.a", "2")), bus.publish(message("s.a", "3"))];
    tokio::time::sleep(Duration::from_secs(4)).await;
    for waiting in waiting {
        // Room for two: neither the message in the durable nor those in the queue have gone.
        let result = tokio::time::timeout(Duration::from_secs(60), waiting).await;
        assert_eq!(result.map_err(|_| ()), Ok(Err(PublishError::Full)));
    }
    assert_eq!(since.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn bytes_count_as_well_as_messages_and_one_message_always_fits() {
    let options = EmbeddedBusOptions { max_pending_bytes: 10, ..EmbeddedBusOptions::default() };
    let bus = bus(options);
    publish(&bus, "s.a", "larger than ten bytes");
    assert!(matches!(bus.publish(message("s.a", "x")), Acceptance::Pending(_)));
    let mut a = read(&bus, "a").await;
    next(&mut a).await.ack().await.unwrap();
    publish(&bus, "s.a", "12345");
    publish(&bus, "s.a", "12345");
    assert!(matches!(bus.publish(message("s.a", "x")), Acceptance::Pending(_)));
}

#[tokio::test(start_paused = true)]
async fn a_small_publication_does_not_overtake_a_large_one_that_waits() {
    let options = EmbeddedBusOptions { max_pending_bytes: 10, ..EmbeddedBusOptions::default() };
    let bus = bus(options);
    publish(&bus, "s.a", "12345678");
    let large = bus.publish(message("s.a", "large"));
    let small = bus.publish(message("s.a", "s"));
    assert!(matches!((&large, &small), (Acceptance::Pending(_), Acceptance::Pending(_))));
    let mut a = read(&bus, "a").await;
    next(&mut a).await.ack().await.unwrap();
    large.await.unwrap();
    small.await.unwrap();
    assert_eq!([text(&next(&mut a).await), text(&next(&mut a).await)], ["large", "s"]);
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_is_known_even_when_there_is_no_room() {
    let options = EmbeddedBusOptions { max_pending: 1, ..EmbeddedBusOptions::default() };
    let bus = bus(options);
    let same = || Publication { id: Some("same".into()), ..message("s.a", "1") };
    assert!(matches!(bus.publish(same()), Acceptance::Ready(Ok(()))));
    assert!(matches!(bus.publish(same()), Acceptance::Ready(Ok(()))));
    assert_eq!(bus.pending("s", "a"), Some(1));
}

#[tokio::test(start_paused = true)]
async fn an_id_is_known_for_the_window_and_as_long_as_the_number_allows() {
    let options = EmbeddedBusOptions { duplicate_limit: 3, ..EmbeddedBusOptions::default() };
    let bus = bus(options);
    let with_id = |id: &str| {
        publish_with_id(&bus, id);
        bus.pending("s", "a").unwrap()
    };
    assert_eq!(["1", "2", "3", "1", "2", "3"].map(with_id), [1, 2, 3, 3, 3, 3]);
    assert_eq!(["4", "2", "1"].map(with_id), [4, 4, 5], "the oldest is forgotten for the fourth");
    tokio::time::advance(Duration::from_millis(119_999)).await;
    assert_eq!(with_id("4"), 5);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(with_id("4"), 6);
}

fn publish_with_id(bus: &EmbeddedBus, id: &str) {
    let Acceptance::Ready(Ok(())) = bus.publish(Publication { id: Some(id.into()), ..message("s.a", "x") }) else {
        panic!("accepted at once")
    };
}

#[tokio::test(start_paused = true)]
async fn dead_letters_are_kept_up_to_their_bounds_the_newest_last() {
    let options = EmbeddedBusOptions { dead_letter_limit: 3, dead_letter_bytes: 8, ..EmbeddedBusOptions::default() };
    let bus = bus(options);
    let texts = || -> Vec<String> {
        let letters = bus.dead_letters();
        letters.iter().map(|letter| String::from_utf8_lossy(&letter.payload).into_owned()).collect()
    };
    for n in 0..5 {
        publish(&bus, "dead.w.n", n.to_string());
    }
    assert_eq!(texts(), ["2", "3", "4"]);
    publish(&bus, "dead.w.n", "1234567");
    assert_eq!(texts(), ["4", "1234567"]);
    assert_eq!(bus.dead_letters()[1].sequence, 6);
    publish(&bus, "dead.w.n", "larger than all of them");
    assert!(texts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_slow_ephemeral_reader_loses_its_oldest_messages_and_holds_nobody_up() {
    let bus = bus(EmbeddedBusOptions { max_pending: 3, ..EmbeddedBusOptions::default() });
    let own = Consumer::Ephemeral { stream: "s".into(), filter_subject: "s.c".into() };
    let mut own = bus.subscribe(own).await.unwrap();
    for n in 0..10 {
        publish(&bus, "s.c", n.to_string());
    }
    for n in 7..10 {
        assert_eq!(text(&next(&mut own).await), n.to_string());
    }
}

#[tokio::test]
async fn a_message_costs_the_same_behind_a_hundred_thousand() {
    let bus = bus(EmbeddedBusOptions { max_pending: 1_000_000, ..EmbeddedBusOptions::default() });
    let mut a = read(&bus, "a").await;
    // All in hand at once, then settled in the order that is worst for a queue of ack waits: the oldest last.
    let cost = async |a: &mut Deliveries, number: usize| {
        let since = std::time::Instant::now();
        for _ in 0..number {
            publish(&bus, "s.a", "x");
        }
        let mut held = Vec::new();
        for _ in 0..number {
            held.push(next(a).await);
        }
        for delivery in held.into_iter().rev() {
            delivery.progress().await.unwrap();
            delivery.ack().await.unwrap();
        }
        since.elapsed() / number as u32
    };
    cost(&mut a, 1000).await;
    let few = cost(&mut a, 1000).await;
    let many = cost(&mut a, 100_000).await;
    assert_eq!(bus.pending("s", "a"), Some(0));
    // Quadratic cost would be a hundred times as much; ten leaves room for caches and neighbours.
    assert!(many < few * 10 + Duration::from_micros(5), "{few:?} a message of 1000, {many:?} of 100 000");
}

#[tokio::test(start_paused = true)]
async fn signs_of_life_without_number_take_no_memory_and_the_wait_is_the_last_one_s() {
    let bus = bus(EmbeddedBusOptions::default());
    let mut a = read(&bus, "a").await;
    publish(&bus, "s.a", "x");
    let held = next(&mut a).await;
    for _ in 0..10_000 {
        held.progress().await.unwrap();
    }
    tokio::time::advance(Duration::from_secs(29)).await;
    held.progress().await.unwrap();
    let since = Instant::now();
    next(&mut a).await;
    assert_eq!(since.elapsed().as_secs(), 30);
}

#[test]
fn a_bus_whose_first_runtime_is_gone_still_redelivers() {
    let bus = bus(EmbeddedBusOptions::default());
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    publish(&bus, "s.a", "x");
    runtime().block_on(async { drop(next(&mut read(&bus, "a").await).await) });
    runtime().block_on(async {
        let mut a = read(&bus, "a").await;
        publish(&bus, "s.a", "y");
        next(&mut a).await.nack(Duration::from_secs(1)).await.unwrap();
        let again = next(&mut a).await;
        assert_eq!((text(&again), again.attempt), ("y", 2));
    });
}

#[tokio::test(start_paused = true)]
async fn a_plan_whose_durable_reads_elsewhere_moves_it_with_its_messages() {
    let bus = bus(EmbeddedBusOptions::default());
    publish(&bus, "s.a", "before");
    let mut plan = Plan {
        runtime_id: "r".into(),
        version: "v".into(),
        streams: vec![],
        durables: vec![],
        key_value_buckets: vec![],
        object_stores: vec![],
        dead_letters: Stream { name: "dead".into(), subjects: vec![] },
    };
    plan.durables.push(Durable {
        name: "a".into(),
        stream: "s".into(),
        filter_subject: "s.c".into(),
        workflow: "w".into(),
        node: "a".into(),
        delivery: DeliveryMode::Pull,
        deliver_group: None,
        ack_wait: ACK_WAIT,
        attempts: None,
        handling: Duration::ZERO,
        retry: Retry::default(),
    });
    bus.apply(&plan);
    publish(&bus, "s.a", "no longer read");
    publish(&bus, "s.c", "after");
    let mut a = read(&bus, "a").await;
    assert_eq!([text(&next(&mut a).await), text(&next(&mut a).await)], ["before", "after"]);
    assert_eq!(bus.pending("s", "a"), Some(2));
}
