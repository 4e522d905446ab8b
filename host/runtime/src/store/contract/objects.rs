//! What an object store must do.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests, which another macro names: the names say it, a panic is how they fail"
)]

use bytes::Bytes;

use super::Make;
use crate::store::StoreError;

const PLENTY: usize = 16 << 20;

pub async fn an_object_is_read_back_listed_and_removed(make: Make) {
    let ground = make.ground().await;
    let store = ground.objects(1).await;
    assert_eq!(store.list().await, Ok(vec![]));
    store.save("b".into(), Bytes::from_static(b"12345")).await.unwrap();
    assert_eq!(store.get("b".into(), PLENTY).await, Ok(Bytes::from_static(b"12345")));
    assert_eq!(store.list().await, Ok(vec!["b".into()]));
    store.delete("b".into()).await.unwrap();
    assert_eq!(store.list().await, Ok(vec![]));
    assert_eq!(store.get("b".into(), PLENTY).await, Err(StoreError::NotFound("b".into())));
    store.save("b".into(), Bytes::from_static(b"6")).await.unwrap();
    assert_eq!(store.get("b".into(), PLENTY).await, Ok(Bytes::from_static(b"6")));
}

pub async fn an_empty_object_is_an_object(make: Make) {
    let ground = make.ground().await;
    let store = ground.objects(1).await;
    store.save("a".into(), Bytes::new()).await.unwrap();
    assert_eq!(store.get("a".into(), 0).await, Ok(Bytes::new()));
    assert_eq!(store.list().await, Ok(vec!["a".into()]));
}

pub async fn an_object_of_many_chunks_comes_back_as_it_was(make: Make) {
    let ground = make.ground().await;
    let store = ground.objects(1).await;
    for size in [128 << 10, (128 << 10) + 1, (1 << 20) - 1, (4 << 20) - 5] {
        let data = pattern(size, 7);
        store.save("a".into(), data.clone()).await.unwrap();
        assert!(store.get("a".into(), size).await.unwrap() == data, "{size} bytes");
    }
}

pub async fn a_replaced_object_is_the_new_one_whole(make: Make) {
    let ground = make.ground().await;
    let store = ground.objects(1).await;
    store.save("a".into(), pattern(300 << 10, 1)).await.unwrap();
    store.save("a".into(), Bytes::from_static(b"small")).await.unwrap();
    assert_eq!(store.get("a".into(), PLENTY).await, Ok(Bytes::from_static(b"small")));
    assert_eq!(store.list().await, Ok(vec!["a".into()]));
}

pub async fn an_object_above_the_limit_is_refused_and_one_of_exactly_the_limit_is_not(make: Make) {
    let ground = make.ground().await;
    let store = ground.objects(1).await;
    for size in [5, 200 << 10] {
        store.save("a".into(), pattern(size, 3)).await.unwrap();
        let refused = store.get("a".into(), size - 1).await;
        assert_eq!(refused, Err(StoreError::TooLarge { limit: size - 1 }));
        assert_eq!(store.get("a".into(), size).await.map(|data| data.len()), Ok(size));
    }
}

pub async fn an_object_that_is_not_there_is_a_typed_error(make: Make) {
    let ground = make.ground().await;
    let store = ground.objects(1).await;
    assert_eq!(store.get("a".into(), PLENTY).await, Err(StoreError::NotFound("a".into())));
    assert_eq!(store.delete("a".into()).await, Err(StoreError::NotFound("a".into())));
    store.save("a".into(), Bytes::new()).await.unwrap();
    store.delete("a".into()).await.unwrap();
    assert_eq!(store.delete("a".into()).await, Err(StoreError::NotFound("a".into())));
}

pub async fn names_are_listed_in_the_order_of_their_bytes(make: Make) {
    let ground = make.ground().await;
    let store = ground.objects(1).await;
    let mut names: Vec<String> = (0..300).map(|n| format!("n{n}")).collect();
    names.extend(["Z".into(), "ä".into(), "a/b".into()]);
    let saves = names.iter().map(|name| store.save(name.clone(), Bytes::from_static(b"x")));
    futures::future::try_join_all(saves).await.unwrap();
    names.sort_unstable();
    assert_eq!(store.list().await, Ok(names));
}

pub async fn a_name_may_be_any_text_without_control_characters(make: Make) {
    let ground = make.ground().await;
    let store = ground.objects(1).await;
    let names = [".", "..", "*", ">", "a b", "a.b", "./../x", "ключ🔑", "\"", "%2e", " ", &"n".repeat(1024)];
    for name in names {
        store
            .save(name.into(), Bytes::copy_from_slice(name.as_bytes()))
            .await
            .unwrap_or_else(|e| panic!("{name:?}: {e}"));
    }
    for name in names {
        assert_eq!(store.get(name.into(), PLENTY).await.as_deref(), Ok(name.as_bytes()), "{name:?}");
    }
    assert_eq!(store.list().await.unwrap().len(), names.len());
}

pub async fn a_name_that_cannot_be_held_is_refused_by_every_operation(make: Make) {
    let ground = make.ground().await;
    let store = ground.objects(1).await;
    for name in ["", "a\0b", "a\n", "\u{7f}", "\u{85}", &"n".repeat(1025)] {
        let invalid = |e: Option<StoreError>| matches!(e, Some(StoreError::InvalidName(_)));
        assert!(invalid(store.save(name.into(), Bytes::new()).await.err()), "{name:?}");
        assert!(invalid(store.get(name.into(), PLENTY).await.err()), "{name:?}");
        assert!(invalid(store.delete(name.into()).await.err()), "{name:?}");
    }
}

pub async fn a_reader_never_sees_half_an_object(make: Make) {
    let ground = make.ground().await;
    let store = ground.objects(1).await;
    let size = 300 << 10;
    store.save("a".into(), pattern(size, 0)).await.unwrap();
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for version in 1..=20 {
                store.save("a".into(), pattern(size, version)).await.unwrap();
            }
        })
    };
    while !writer.is_finished() {
        let data = store.get("a".into(), PLENTY).await.expect("there is always one");
        assert!(data == pattern(size, data[0]), "bytes of two versions, or of {}", data.len());
    }
    writer.await.unwrap();
    assert!(store.get("a".into(), PLENTY).await.unwrap() == pattern(size, 20));
}

pub async fn stores_do_not_share_names(make: Make) {
    let ground = make.ground().await;
    let (one, two) = (ground.objects(1).await, ground.objects(2).await);
    one.save("a".into(), Bytes::from_static(b"1")).await.unwrap();
    assert_eq!(two.get("a".into(), PLENTY).await, Err(StoreError::NotFound("a".into())));
    assert_eq!(two.list().await, Ok(vec![]));
    assert_eq!(ground.objects(1).await.get("a".into(), PLENTY).await, Ok(Bytes::from_static(b"1")));
}

pub async fn a_store_that_is_not_there_is_a_typed_error(make: Make) {
    let ground = make.ground().await;
    for name in ["nobody-made-this", &ground.names.key_value[0], "", "a.b", "*", ">", "a b"] {
        let error = ground.stores.object_store(name).await.err();
        assert!(matches!(error, Some(StoreError::NoBucket(_))), "{name:?}: {error:?}");
    }
}

/// Bytes that tell their version: the first, and all after it.
fn pattern(size: usize, version: u8) -> Bytes {
    (0..size).map(|at| version.wrapping_add((at % 251) as u8)).collect()
}
