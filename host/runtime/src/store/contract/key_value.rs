//! What a key-value bucket must do.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests, which another macro names: the names say it, a panic is how they fail"
)]

use super::Make;
use crate::store::StoreError;

pub async fn a_value_is_read_back_replaced_and_removed(make: Make) {
    let ground = make.ground().await;
    let bucket = ground.key_value(1).await;
    assert_eq!(bucket.get("a".into()).await, Ok(None));
    bucket.put("a".into(), "1".into()).await.unwrap();
    bucket.put("a".into(), "2".into()).await.unwrap();
    assert_eq!(bucket.get("a".into()).await, Ok(Some("2".into())));
    bucket.delete("a".into()).await.unwrap();
    assert_eq!(bucket.get("a".into()).await, Ok(None));
    bucket.delete("a".into()).await.expect("fine when there was none");
    bucket.put("a".into(), "3".into()).await.unwrap();
    assert_eq!(bucket.get("a".into()).await, Ok(Some("3".into())));
}

pub async fn empty_text_is_a_value(make: Make) {
    let ground = make.ground().await;
    let bucket = ground.key_value(1).await;
    bucket.put("a".into(), String::new()).await.unwrap();
    assert_eq!(bucket.get("a".into()).await, Ok(Some(String::new())));
}

pub async fn any_text_comes_back_as_it_was(make: Make) {
    let ground = make.ground().await;
    let bucket = ground.key_value(1).await;
    for text in ["a\0b\r\n\u{85}", "ключ 🔑", "{\"a\": [1]}", &"x".repeat(64 << 10)] {
        bucket.put("a".into(), text.into()).await.unwrap();
        assert_eq!(bucket.get("a".into()).await, Ok(Some(text.into())));
    }
}

pub async fn buckets_do_not_share_keys(make: Make) {
    let ground = make.ground().await;
    let (one, two) = (ground.key_value(1).await, ground.key_value(2).await);
    one.put("a".into(), "1".into()).await.unwrap();
    assert_eq!(two.get("a".into()).await, Ok(None));
    two.delete("a".into()).await.unwrap();
    assert_eq!(one.get("a".into()).await, Ok(Some("1".into())));
}

pub async fn what_was_written_is_read_by_all_who_open_the_bucket(make: Make) {
    let ground = make.ground().await;
    let (one, other) = (ground.key_value(1).await, ground.key_value(1).await);
    one.put("a".into(), "1".into()).await.unwrap();
    assert_eq!(other.get("a".into()).await, Ok(Some("1".into())));
}

pub async fn a_node_reads_what_it_has_just_written(make: Make) {
    let ground = make.ground().await;
    let bucket = ground.key_value(1).await;
    for count in 0..100 {
        bucket.put("count".into(), count.to_string()).await.unwrap();
        assert_eq!(bucket.get("count".into()).await, Ok(Some(count.to_string())));
    }
}

pub async fn a_key_that_nats_would_not_hold_is_refused_by_every_operation(make: Make) {
    let ground = make.ground().await;
    let bucket = ground.key_value(1).await;
    for key in ["", ".", ".a", "a.", "a..b", "a b", "ä", "a*", "a>", "a\n", "a\0", "a:b", &"k".repeat(1025)] {
        let invalid = |e: Option<StoreError>| matches!(e, Some(StoreError::InvalidName(_)));
        assert!(invalid(bucket.get(key.into()).await.err()), "{key:?}");
        assert!(invalid(bucket.put(key.into(), String::new()).await.err()), "{key:?}");
        assert!(invalid(bucket.delete(key.into()).await.err()), "{key:?}");
    }
    for key in ["a", "a.b", "A-1/_=.x", "=", &"k".repeat(1024)] {
        bucket.put(key.into(), "v".into()).await.unwrap_or_else(|e| panic!("{key:?}: {e}"));
        assert_eq!(bucket.get(key.into()).await, Ok(Some("v".into())), "{key:?}");
    }
}

pub async fn a_value_that_is_too_large_is_a_typed_error_and_the_bucket_stays_usable(make: Make) {
    let ground = make.ground().await;
    let bucket = ground.key_value(1).await;
    bucket.put("a".into(), "1".into()).await.unwrap();
    let refused = bucket.put("a".into(), "x".repeat(2 << 20)).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
    assert_eq!(bucket.get("a".into()).await, Ok(Some("1".into())));
}

pub async fn a_bucket_that_is_not_there_is_a_typed_error(make: Make) {
    let ground = make.ground().await;
    // An object store is no key-value bucket; the last ones could not be anybody's name.
    for name in ["nobody-made-this", &ground.names.objects[0], "", "a.b", "*", ">", "a b"] {
        let error = ground.stores.key_value(name).await.err();
        assert!(matches!(error, Some(StoreError::NoBucket(_))), "{name:?}: {error:?}");
    }
}
