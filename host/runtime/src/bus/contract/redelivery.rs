//! What settles a message, and when it comes again.

use std::time::{Duration, Instant};

use super::ground::{Ground, LONG, SHORT, ack, plan, soon, text};
use super::{Make, Tuning};
use crate::bus::{Headers, Publication};

/// Not even after the ack wait.
pub async fn an_acknowledged_message_does_not_come_again(make: Make) {
    let ground = Ground::hasty(&make, &[("etl", "store")]).await;
    let mut store = ground.read("etl", "store").await;
    ground.publish("etl", "once").await;
    assert_eq!(store.text().await, "once");
    assert!(store.within(SHORT * 2).await.is_none());
}

/// Each durable has its own word.
pub async fn acknowledging_in_one_durable_leaves_it_in_the_other(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store"), ("etl", "exit")]).await;
    ground.publish("etl", "for both").await;
    assert_eq!(ground.read("etl", "store").await.text().await, "for both");
    assert_eq!(ground.read("etl", "exit").await.text().await, "for both");
}

/// A host that hangs.
pub async fn an_unsettled_delivery_comes_again_after_the_ack_wait(make: Make) {
    let ground = Ground::hasty(&make, &[("etl", "store")]).await;
    let mut store = ground.read("etl", "store").await;
    ground.publish("etl", "again").await;
    let held = store.next().await;
    let since = Instant::now();
    let again = store.next().await;
    // The ack wait began a little before the delivery was here.
    assert!(since.elapsed() >= SHORT / 2, "after {:?}", since.elapsed());
    assert_eq!((text(&again).as_str(), again.attempt), ("again", 2));
    assert_eq!(held.id, again.id);
    ack(again).await;
}

/// A handler that was abandoned.
pub async fn a_dropped_delivery_comes_again_after_the_ack_wait(make: Make) {
    let ground = Ground::hasty(&make, &[("etl", "store")]).await;
    let mut store = ground.read("etl", "store").await;
    ground.publish("etl", "again").await;
    drop(store.next().await);
    let again = store.next().await;
    assert_eq!((text(&again).as_str(), again.attempt), ("again", 2));
    ack(again).await;
}

/// So that a handler cannot tell but by the attempt.
pub async fn a_redelivery_is_the_same_message_with_a_higher_attempt(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    let mut store = ground.read("etl", "store").await;
    let headers = Headers(vec![("traceparent", "00-1-2-01".to_owned())]);
    ground.accept(Publication { headers, ..ground.message("etl", "again") }).await;
    let first = store.next().await;
    let seen = (first.id.clone(), first.subject.clone(), first.payload.clone(), first.headers.clone());
    assert_eq!(first.attempt, 1);
    soon(first.nack(Duration::ZERO)).await.expect("taken");
    let second = store.next().await;
    assert_eq!(second.attempt, 2);
    soon(second.nack(Duration::ZERO)).await.expect("taken");
    let third = store.next().await;
    assert_eq!(third.attempt, 3);
    assert_eq!((third.id.clone(), third.subject.clone(), third.payload.clone(), third.headers.clone()), seen);
    ack(third).await;
}

/// One node's failures are not the other's.
pub async fn attempts_are_counted_for_each_durable_by_itself(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store"), ("etl", "exit")]).await;
    let mut store = ground.read("etl", "store").await;
    ground.publish("etl", "again").await;
    soon(store.next().await.nack(Duration::ZERO)).await.expect("taken");
    let again = store.next().await;
    assert_eq!(again.attempt, 2);
    ack(again).await;
    assert_eq!(ground.read("etl", "exit").await.next().await.attempt, 1);
}

/// A drain gives back what it cannot finish.
pub async fn a_nack_without_delay_comes_again_at_once(make: Make) {
    // Were it to wait for the ack wait, it would outlast this behaviour's patience.
    let ground = Ground::with(&make, plan(&[("etl", "store")], LONG), Tuning::default()).await;
    let mut store = ground.read("etl", "store").await;
    ground.publish("etl", "again").await;
    soon(store.next().await.nack(Duration::ZERO)).await.expect("taken");
    let again = store.next().await;
    assert_eq!(again.attempt, 2);
    ack(again).await;
}

/// The back-off.
pub async fn a_nack_with_delay_comes_again_after_it(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    let mut store = ground.read("etl", "store").await;
    ground.publish("etl", "again").await;
    let delivery = store.next().await;
    let since = Instant::now();
    soon(delivery.nack(Duration::from_millis(300))).await.expect("taken");
    let again = store.next().await;
    assert!(since.elapsed() >= Duration::from_millis(280), "after {:?}", since.elapsed());
    assert_eq!(again.attempt, 2);
    ack(again).await;
}

/// A handler that takes long is not doubled.
pub async fn progress_starts_the_ack_wait_anew(make: Make) {
    let wait = Duration::from_millis(600);
    let ground = Ground::with(&make, plan(&[("etl", "store")], wait), Tuning::default()).await;
    let mut store = ground.read("etl", "store").await;
    ground.publish("etl", "long").await;
    let held = store.next().await;
    let since = Instant::now();
    while since.elapsed() < wait * 3 {
        soon(held.progress()).await.expect("taken");
        let early = store.within(wait / 12).await;
        assert!(early.is_none(), "{early:?} after {:?}", since.elapsed());
    }
    // And it ends: without progress the message comes.
    let again = store.next().await;
    assert_eq!(again.attempt, 2);
    ack(again).await;
}

/// A replica died with a message in hand.
pub async fn a_redelivery_goes_to_a_living_subscriber(make: Make) {
    let ground = Ground::hasty(&make, &[("etl", "store")]).await;
    let mut dying = ground.read("etl", "store").await;
    ground.publish("etl", "again").await;
    let held = dying.next().await;
    let mut living = ground.read("etl", "store").await;
    drop(dying);
    drop(held);
    let again = living.next().await;
    assert_eq!((text(&again).as_str(), again.attempt), ("again", 2));
    ack(again).await;
}

/// One poison message does not stop a node.
pub async fn a_message_that_waits_for_redelivery_does_not_hold_up_its_successors(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    let mut store = ground.read("etl", "store").await;
    for text in ["a", "b", "c"] {
        ground.publish("etl", text).await;
    }
    let delivery = store.next().await;
    assert_eq!(text(&delivery), "a");
    soon(delivery.nack(Duration::from_millis(500))).await.expect("taken");
    assert_eq!(store.texts(3).await, ["b", "c", "a"]);
}

/// Giving up is the runner's to do, and to say: a bus that stops delivering would hide the message from everybody.
pub async fn a_message_comes_again_beyond_the_attempts_of_its_plan(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    assert_eq!(ground.plan.durables[0].attempts, Some(2));
    let mut store = ground.read("etl", "store").await;
    ground.publish("etl", "again").await;
    for attempt in 1..=4 {
        let delivery = store.next().await;
        assert_eq!(delivery.attempt, attempt);
        soon(delivery.nack(Duration::ZERO)).await.expect("taken");
    }
    ack(store.next().await).await;
}

/// It was done after all; once more would be for nothing.
pub async fn a_late_acknowledgement_still_counts(make: Make) {
    let ground = Ground::hasty(&make, &[("etl", "store")]).await;
    let mut store = ground.read("etl", "store").await;
    ground.publish("etl", "slow").await;
    let late = store.next().await;
    let again = store.next().await;
    assert_eq!(again.attempt, 2);
    drop(again);
    ack(late).await;
    assert!(store.within(SHORT * 2).await.is_none());
}
