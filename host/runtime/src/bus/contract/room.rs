//! Duplicates and bounds: ids, sizes, and what happens when there is no room.

use std::time::Duration;

use bytes::Bytes;

use super::ground::{Ground, LONG, add, plan, soon, still_waits};
use super::{Make, Tuning};
use crate::bus::{HEADER_ROOM, Headers, Publication, PublishError};

/// A handler that ran twice for one delivery.
pub async fn a_known_id_is_accepted_and_dropped(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    let mut store = ground.read("etl", "store").await;
    ground.publish_with_id("etl", "x/1/etl/0", "first").await;
    ground.publish_with_id("etl", "x/1/etl/0", "second").await;
    ground.publish_with_id("etl", "x/1/etl/1", "third").await;
    assert_eq!(store.texts(2).await, ["first", "third"]);
    store.silent().await;
    ground.publish_with_id("etl", "x/1/etl/0", "after its acknowledgement").await;
    store.silent().await;
}

/// The id is the stream's affair, not the subject's.
pub async fn an_id_is_known_on_all_subjects_of_its_stream(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store"), ("exit", "store")]).await;
    ground.publish_with_id("etl", "same", "first").await;
    ground.publish_with_id("exit", "same", "second").await;
    assert_eq!(ground.read("etl", "store").await.text().await, "first");
    ground.read("exit", "store").await.silent().await;
}

/// Two workflows never take each other's messages for duplicates.
pub async fn ids_are_per_stream(make: Make) {
    let mut both = plan(&[("etl", "store")], LONG);
    add(&mut both, 2, ("etl", "store"), LONG);
    let ground = Ground::with(&make, both, Tuning::default()).await;
    for stream in [1, 2] {
        let message = ground.message_on(stream, "etl", &stream.to_string());
        ground.accept(Publication { id: Some("same".to_owned()), ..message }).await;
    }
    assert_eq!(ground.read_on(1, "etl", "store").await.text().await, "1");
    assert_eq!(ground.read_on(2, "etl", "store").await.text().await, "2");
}

/// Native runners set none.
pub async fn messages_without_an_id_are_never_duplicates(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    ground.publish("etl", "same").await;
    ground.publish("etl", "same").await;
    assert_eq!(ground.read("etl", "store").await.texts(2).await, ["same", "same"]);
}

/// Known is what was accepted, not what was kept.
pub async fn an_id_is_known_even_if_nobody_read_its_message(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    ground.publish_with_id("exit", "same", "for nobody").await;
    ground.publish_with_id("etl", "same", "a duplicate").await;
    ground.read("etl", "store").await.silent().await;
}

/// The memory for ids is bounded.
pub async fn an_id_is_free_again_after_the_window(make: Make) {
    let window = Duration::from_millis(500);
    let tuning = Tuning { duplicate_window: window, ..Tuning::default() };
    let ground = Ground::with(&make, plan(&[("etl", "store")], LONG), tuning).await;
    let mut store = ground.read("etl", "store").await;
    ground.publish_with_id("etl", "same", "first").await;
    assert_eq!(store.text().await, "first");
    // A server looks at the clock now and then: the id is free some time after the window, not to the millisecond.
    let got = soon(async {
        loop {
            if let Some(delivery) = store.within(window).await {
                return delivery;
            }
            ground.publish_with_id("etl", "same", "again").await;
        }
    });
    assert_eq!(&got.await.payload[..], b"again");
}

/// The boundary belongs to those that fit.
pub async fn a_payload_of_exactly_the_limit_passes(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    let largest = ground.bus.max_payload();
    let id = Some("a/long/id/".repeat(10));
    ground.accept(Publication { id, payload: vec![7; largest].into(), ..ground.message("etl", "") }).await;
    assert_eq!(ground.read("etl", "store").await.next().await.payload.len(), largest);
}

/// Contract, trap 26: a server closes the connection on an excess.
pub async fn a_payload_above_the_limit_is_a_typed_error_and_the_bus_stays_usable(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    let mut store = ground.read("etl", "store").await;
    let limit = ground.bus.max_payload();
    let payload: Bytes = vec![7; limit + 1].into();
    let refused = soon(ground.bus.publish(Publication { payload, ..ground.message("etl", "") })).await;
    assert_eq!(refused, Err(PublishError::TooLarge { size: limit + 1, limit }));
    ground.publish("etl", "small").await;
    assert_eq!(store.text().await, "small");
}

/// A dead letter has the original bytes, whatever their size, and says why.
pub async fn headers_up_to_their_room_fit_beside_the_largest_payload(make: Make) {
    let ground = Ground::new(&make, &[("etl", "store")]).await;
    // What remains is for the id.
    let headers = Headers(vec![("krt-backtrace", "x".repeat(HEADER_ROOM - 512))]);
    let payload: Bytes = vec![7; ground.bus.max_payload()].into();
    let id = Some("a/long/id/".repeat(10));
    ground.accept(Publication { id, headers: headers.clone(), payload, ..ground.message("etl", "") }).await;
    assert_eq!(ground.read("etl", "store").await.next().await.headers.get("krt-backtrace"), Some(&*headers.0[0].1));
}

/// Back-pressure: a fast node waits for a slow one.
pub async fn a_full_subject_holds_a_publication_back_until_there_is_room(make: Make) {
    let tuning = Tuning { max_pending: Some(2), publish_wait: LONG, ..Tuning::default() };
    let ground = Ground::with(&make, plan(&[("etl", "store")], LONG), tuning).await;
    ground.publish("etl", "a").await;
    ground.publish("etl", "b").await;
    let mut waiting = ground.bus.publish(ground.message("etl", "c"));
    assert!(still_waits(&mut waiting).await);
    let mut store = ground.read("etl", "store").await;
    assert_eq!(store.text().await, "a");
    soon(waiting).await.expect("accepted when there is room");
    assert_eq!(store.texts(2).await, ["b", "c"]);
}

/// Bounded waiting, and nothing of it arrives later.
pub async fn a_full_subject_refuses_after_the_publish_wait(make: Make) {
    let tuning = Tuning { max_pending: Some(1), publish_wait: Duration::from_millis(200), ..Tuning::default() };
    let ground = Ground::with(&make, plan(&[("etl", "store")], LONG), tuning).await;
    ground.publish("etl", "a").await;
    assert_eq!(soon(ground.bus.publish(ground.message("etl", "b"))).await, Err(PublishError::Full));
    let mut store = ground.read("etl", "store").await;
    assert_eq!(store.text().await, "a");
    store.silent().await;
    ground.publish("etl", "c").await;
    assert_eq!(store.text().await, "c");
}

/// One workflow's slow node is that workflow's trouble.
pub async fn a_full_stream_does_not_hold_up_another(make: Make) {
    let mut both = plan(&[("etl", "store")], LONG);
    add(&mut both, 2, ("etl", "store"), LONG);
    let tuning = Tuning { max_pending: Some(1), publish_wait: LONG, ..Tuning::default() };
    let ground = Ground::with(&make, both, tuning).await;
    ground.publish("etl", "a").await;
    let mut waiting = ground.bus.publish(ground.message("etl", "b"));
    assert!(still_waits(&mut waiting).await);
    ground.accept(ground.message_on(2, "etl", "elsewhere")).await;
    assert_eq!(ground.read_on(2, "etl", "store").await.text().await, "elsewhere");
}
