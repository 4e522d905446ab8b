//! Which message reaches which consumer, and what a plan does.

use super::ground::{Ground, LONG, ack, add, plan, soon};
use super::{Make, Tuning};
use crate::bus::{Consumer, PublishError, SubscribeError};

/// The plainest case.
pub async fn a_message_reaches_the_durable_that_reads_its_subject(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    let mut store = ground.read("etl", "store").await;
    ground.publish("etl", "hello").await;
    let delivery = store.next().await;
    assert_eq!(&delivery.payload[..], b"hello");
    assert_eq!(*delivery.subject, format!("{}.etl", ground.stream(1)));
    assert_eq!(&*delivery.id.stream, ground.stream(1));
    assert_eq!(delivery.attempt, 1);
    ack(delivery).await;
}

/// Two nodes that read one node each see all of it.
pub async fn every_durable_of_a_subject_gets_every_message(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store"), ("etl", "exit")]).await;
    for text in ["a", "b", "c"] {
        ground.publish("etl", text).await;
    }
    assert_eq!(ground.read("etl", "store").await.texts(3).await, ["a", "b", "c"]);
    assert_eq!(ground.read("etl", "exit").await.texts(3).await, ["a", "b", "c"]);
}

/// Contract, trap 9.
pub async fn a_bare_subject_does_not_include_its_channels(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store"), ("etl.repairs", "exit")]).await;
    let mut store = ground.read("etl", "store").await;
    ground.publish("etl.repairs", "to the channel").await;
    ground.publish("etl", "to the bare subject").await;
    assert_eq!(store.text().await, "to the bare subject");
    store.silent().await;
}

/// Contract, trap 9, the other way.
pub async fn a_channel_does_not_include_the_bare_subject(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store"), ("etl.repairs", "exit")]).await;
    let mut repairs = ground.read("etl.repairs", "exit").await;
    ground.publish("etl", "to the bare subject").await;
    ground.publish("etl.other", "to another channel").await;
    ground.publish("etl.repairs", "to the channel").await;
    assert_eq!(repairs.text().await, "to the channel");
    repairs.silent().await;
}

/// A stream has `<node>.*`, and a star is one token.
pub async fn a_channel_of_two_tokens_belongs_to_no_stream(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    let message = ground.message("etl.a.b", "lost");
    let subject = message.subject.to_string();
    assert_eq!(soon(ground.bus.publish(message)).await, Err(PublishError::NoStream(subject)));
    ground.publish("etl", "still usable").await;
}

/// Not silence, as from core NATS.
pub async fn a_subject_of_no_stream_is_a_typed_error(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    for subject in ["stranger", "entrypoint.channel"] {
        let message = ground.message(subject, "lost");
        let subject = message.subject.to_string();
        assert_eq!(soon(ground.bus.publish(message)).await, Err(PublishError::NoStream(subject)));
    }
}

/// A wildcard is for reading.
pub async fn a_subject_with_a_wildcard_is_not_accepted(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    for subject in ["etl.*", "*", ">", "etl.>", "etl."] {
        assert!(soon(ground.bus.publish(ground.message(subject, "lost"))).await.is_err(), "{subject}");
    }
    ground.publish("etl", "still usable").await;
    assert_eq!(ground.read("etl", "store").await.text().await, "still usable");
}

/// Interest retention.
pub async fn a_subject_that_nobody_reads_accepts_and_drops(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    ground.publish("exit", "for nobody").await;
    ground.publish("exit.channel", "for nobody").await;
    let mut later = ground.watch("exit").await;
    later.silent().await;
}

/// A node must not wait for ever on a durable that is not there.
pub async fn an_unknown_durable_is_a_typed_error(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    let consumer = ground.durable(1, "etl", "stranger");
    let error = ground.bind(consumer).await.err();
    assert!(matches!(error, Some(SubscribeError::NoConsumer { .. })), "{error:?}");
}

/// Durables belong to their stream.
pub async fn a_durable_of_another_stream_is_a_typed_error(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    let Consumer::Durable { name, prefetch, .. } = ground.durable(1, "etl", "store") else { unreachable!() };
    let consumer = Consumer::Durable { stream: ground.stream(2).to_owned(), name, prefetch };
    let error = ground.bind(consumer).await.err();
    assert!(matches!(error, Some(SubscribeError::NoConsumer { .. })), "{error:?}");
}

/// For both kinds of consumer.
pub async fn an_unknown_stream_is_a_typed_error(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    let stream = format!("{}-not", ground.stream(1));
    let filter_subject = format!("{stream}.etl");
    for consumer in [
        Consumer::Durable { stream: stream.clone(), name: "etl-store".to_owned(), prefetch: 1 },
        Consumer::Ephemeral { stream: stream.clone(), filter_subject },
    ] {
        let error = ground.bind(consumer).await.err();
        assert!(matches!(error, Some(SubscribeError::NoConsumer { .. })), "{error:?}");
    }
}

/// A control plane applies whenever it starts (contract, trap 3).
pub async fn applying_a_plan_again_keeps_messages_and_what_was_acknowledged(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    ground.publish("etl", "done").await;
    ground.publish("etl", "waiting").await;
    assert_eq!(ground.read("etl", "store").await.text().await, "done");
    let mut reordered = ground.plan.clone();
    reordered.streams.iter_mut().for_each(|stream| stream.subjects.reverse());
    ground.apply(reordered).await;
    let mut store = ground.read("etl", "store").await;
    assert_eq!(store.text().await, "waiting");
    store.silent().await;
}

/// Kept for those that existed when the message was accepted.
pub async fn a_durable_added_later_sees_only_later_messages(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    ground.publish("etl", "before").await;
    let mut larger = ground.plan.clone();
    add(&mut larger, 1, ("etl", "exit"), LONG);
    ground.apply(larger).await;
    ground.publish("etl", "after").await;
    assert_eq!(ground.read("etl", "exit").await.text().await, "after");
    assert_eq!(ground.read("etl", "store").await.texts(2).await, ["before", "after"]);
}

/// Reconciliation does not interrupt anybody.
pub async fn a_subscriber_survives_the_plan_applied_again(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    let mut store = ground.read("etl", "store").await;
    ground.publish("etl", "before").await;
    let held = store.next().await;
    ground.apply(ground.plan.clone()).await;
    ack(held).await;
    ground.publish("etl", "after").await;
    assert_eq!(store.text().await, "after");
}

/// The runner's last resort must not depend on a reader.
pub async fn dead_letters_are_accepted_though_nobody_reads_them(make: Make) {
    let plan = plan(&[("etl", "store")], LONG);
    let ground = Ground::with(&make, plan, Tuning::default()).await;
    let subject = format!("{}.w.store", ground.plan.dead_letters.name);
    let letter = crate::bus::Publication { subject: subject.into(), ..ground.message("etl", "given up") };
    ground.accept(letter).await;
}
