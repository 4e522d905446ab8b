//! How messages are handed out: order, sequences, sharing, and consumers that live as long as their subscriber.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::Make;
use super::ground::{Ground, LONG, ack, add, plan, soon, text};
use crate::bus::{Headers, Publication};

/// The defect D-1 of the original: what came before the node started was lost.
pub async fn messages_published_before_anyone_binds_wait_in_the_durable(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    for text in ["a", "b", "c"] {
        ground.publish("etl", text).await;
    }
    assert_eq!(ground.read("etl", "store").await.texts(3).await, ["a", "b", "c"]);
}

/// Publications are started without awaiting the one before.
pub async fn deliveries_come_in_the_order_of_acceptance(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    let mut store = ground.read("etl", "store").await;
    let wanted: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    let acceptances: Vec<_> = wanted.iter().map(|text| ground.bus.publish(ground.message("etl", text))).collect();
    for acceptance in acceptances {
        soon(acceptance).await.expect("accepted");
    }
    assert_eq!(store.texts(200).await, wanted);
}

/// The ids of outputs are made of them.
pub async fn sequences_rise_by_the_message_across_the_subjects_of_a_stream(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store"), ("exit", "store")]).await;
    ground.publish("etl", "1").await;
    ground.publish("exit", "2").await;
    ground.publish("etl", "3").await;
    let mut etl = ground.read("etl", "store").await;
    let mut exit = ground.read("exit", "store").await;
    let sequences = [etl.next().await.id.sequence, exit.next().await.id.sequence, etl.next().await.id.sequence];
    assert_eq!(sequences, [1, 2, 3]);
}

/// So a sequence names a message only together with its stream.
pub async fn sequences_are_per_stream(make: Make) {
    let mut both = plan(&[("etl", "store")], LONG);
    add(&mut both, 2, ("etl", "store"), LONG);
    let ground = Ground::with(&make, both, super::Tuning::default()).await;
    ground.publish("etl", "first").await;
    ground.accept(ground.message_on(2, "etl", "second")).await;
    let first = ground.read_on(1, "etl", "store").await.next().await;
    let second = ground.read_on(2, "etl", "store").await.next().await;
    assert_eq!((first.id.sequence, second.id.sequence), (1, 1));
    assert_ne!(first.id, second.id);
    assert_eq!((text(&first).as_str(), text(&second).as_str()), ("first", "second"));
}

/// Trace context travels there.
pub async fn headers_arrive_with_the_message(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
    let headers = Headers(vec![("traceparent", trace.clone())]);
    ground.accept(Publication { headers, ..ground.message("etl", "traced") }).await;
    let delivery = ground.read("etl", "store").await.next().await;
    assert_eq!(delivery.headers.get("traceparent"), Some(&*trace));
}

/// No payload is a payload.
pub async fn an_empty_payload_arrives_empty(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    ground.publish("etl", "").await;
    assert!(ground.read("etl", "store").await.next().await.payload.is_empty());
}

/// The bus does not look into a payload.
pub async fn bytes_arrive_as_they_were_whatever_they_are(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    let bytes: Bytes = (0..=255_u8).cycle().take(70_000).collect();
    ground.accept(Publication { payload: bytes.clone(), ..ground.message("etl", "") }).await;
    assert_eq!(ground.read("etl", "store").await.next().await.payload, bytes);
}

/// Replicas of a node.
pub async fn competing_subscribers_share_and_each_message_goes_to_one(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    let (mut one, mut two) = (ground.read("etl", "store").await, ground.read("etl", "store").await);
    let wanted: BTreeSet<String> = (0..40).map(|n| format!("{n:02}")).collect();
    for text in &wanted {
        ground.publish("etl", text).await;
    }
    let mut got = Vec::new();
    while got.len() < wanted.len() {
        let delivery = soon(async {
            tokio::select! { one = one.next() => one, two = two.next() => two }
        })
        .await;
        got.push(text(&delivery));
        ack(delivery).await;
    }
    assert_eq!(got.into_iter().collect::<BTreeSet<_>>(), wanted, "each once");
    one.silent().await;
    two.silent().await;
}

/// A replica with a message in hand holds it; the next goes to the other.
pub async fn an_idle_subscriber_is_not_kept_waiting_by_a_busy_one(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    let (mut busy, mut idle) = (ground.read("etl", "store").await, ground.read("etl", "store").await);
    ground.publish("etl", "first").await;
    let held = busy.next().await;
    let waiting = tokio::spawn(async move { idle.text().await });
    ground.publish("etl", "second").await;
    assert_eq!(soon(waiting).await.expect("the reader does not panic"), "second");
    ack(held).await;
}

/// A replica that stops takes nothing with it.
pub async fn messages_left_by_a_closed_subscriber_stay_with_the_durable(make: Make) {
    let ground = Ground::hasty(&make, &[("etl", "store")]).await;
    let mut first = ground.read("etl", "store").await;
    for text in ["a", "b", "c"] {
        ground.publish("etl", text).await;
    }
    assert_eq!(first.text().await, "a");
    drop(first);
    ground.publish("etl", "d").await;
    let mut got = ground.read("etl", "store").await.texts(3).await;
    // What was on its way to the one that closed may come after its successors.
    got.sort();
    assert_eq!(got, ["b", "c", "d"]);
}

/// The entrypoint's replies.
pub async fn an_ephemeral_consumer_sees_only_what_comes_after_it(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    ground.publish("etl", "before").await;
    let mut own = ground.watch("etl").await;
    ground.publish("etl", "after").await;
    assert_eq!(own.text().await, "after");
    own.silent().await;
}

/// Replicas of the entrypoint each see all replies.
pub async fn ephemeral_consumers_each_get_every_message(make: Make) {
    let ground = Ground::new(&make, &[]).await;
    let (mut one, mut two) = (ground.watch("exit").await, ground.watch("exit").await);
    ground.publish("exit", "a").await;
    ground.publish("exit", "b").await;
    assert_eq!(one.texts(2).await, ["a", "b"]);
    assert_eq!(two.texts(2).await, ["a", "b"]);
}

/// A tap beside a node.
pub async fn an_ephemeral_consumer_takes_nothing_from_a_durable(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    let mut own = ground.watch("etl").await;
    ground.publish("etl", "for both").await;
    assert_eq!(own.text().await, "for both");
    assert_eq!(ground.read("etl", "store").await.text().await, "for both");
}

/// Contract, trap 18.
pub async fn an_ephemeral_consumer_that_is_gone_keeps_nothing_back(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    let own = ground.watch("etl").await;
    ground.publish("etl", "a").await;
    drop(own);
    ground.publish("etl", "b").await;
    assert_eq!(ground.read("etl", "store").await.texts(2).await, ["a", "b"]);
    let mut again = ground.watch("etl").await;
    ground.publish("etl", "c").await;
    assert_eq!(again.text().await, "c");
}

/// Its deliveries count as acknowledged: dropped or not, none comes twice.
pub async fn an_ephemeral_consumer_needs_no_acknowledgement(make: Make) {
    let ground = Ground::hasty(&make, &[]).await;
    let mut own = ground.watch("exit").await;
    ground.publish("exit", "a").await;
    drop(own.next().await);
    assert!(own.within(super::ground::SHORT * 2).await.is_none());
    ground.publish("exit", "b").await;
    assert_eq!(own.text().await, "b");
}

/// Many nodes publish on one stream.
pub async fn publishers_at_once_lose_nothing_and_double_nothing(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    let mut store = ground.read("etl", "store").await;
    let publishers: Vec<_> = (0..8)
        .map(|publisher| {
            let bus = ground.bus.clone();
            let messages: Vec<_> = (0..50).map(|n| ground.message("etl", &format!("{publisher}/{n:02}"))).collect();
            tokio::spawn(async move {
                for message in messages {
                    bus.publish(message).await.expect("accepted");
                }
            })
        })
        .collect();
    let mut got = store.texts(400).await;
    for publisher in publishers {
        soon(publisher).await.expect("the publisher does not panic");
    }
    for publisher in 0..8 {
        let own: Vec<_> = got.iter().filter(|text| text.starts_with(&format!("{publisher}/"))).cloned().collect();
        assert!(own.is_sorted(), "each publisher's own order is kept: {own:?}");
    }
    got.sort();
    got.dedup();
    assert_eq!(got.len(), 400);
    store.silent().await;
}
