//! The stores on real servers: the contract on the current and the oldest version, what only a server has, and that what
//! the clients of other languages write is what nodes read, and the other way round.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::{kv, stream};
use bytes::Bytes;
use e2e::nats::{CURRENT, Cluster, OLDEST, Server};
use futures::StreamExt as _;
use krt_host::store::contract::Make;
use krt_host::store::nats::{NatsStores, Refusals};
use krt_host::store::{StoreError, Stores};
use tokio::io::AsyncReadExt as _;

/// Buckets as the original's control plane makes them, with its client's defaults: since that client is nats.go, the
/// streams beneath are made, and not by async-nats' own hand.
async fn make_buckets(client: &async_nats::Client, key_value: &[String], objects: &[String], like: stream::Config) {
    let context = async_nats::jetstream::new(client.clone());
    let like = stream::Config { discard: stream::DiscardPolicy::New, allow_rollup: true, ..like };
    for bucket in key_value {
        let config = stream::Config {
            name: format!("KV_{bucket}"),
            subjects: vec![format!("$KV.{bucket}.>")],
            max_messages_per_subject: 1,
            deny_delete: true,
            ..like.clone()
        };
        context.create_stream(config).await.expect("a bucket is made");
    }
    for bucket in objects {
        let config = stream::Config {
            name: format!("OBJ_{bucket}"),
            subjects: vec![format!("$O.{bucket}.C.>"), format!("$O.{bucket}.M.>")],
            ..like.clone()
        };
        context.create_stream(config).await.expect("a store is made");
    }
}

/// One replica; replicas answer for the leader.
fn direct() -> stream::Config {
    stream::Config { allow_direct: true, ..stream::Config::default() }
}

/// As servers and clients made buckets before there was that.
fn plain() -> stream::Config {
    stream::Config::default()
}

/// Stores on a server of their own.
fn on_a_server(version: &str, like: fn() -> stream::Config) -> Option<Make> {
    let server = Arc::new(Server::configured(version, "")?);
    Some(Make::new(move |names| {
        let url = server.url();
        async move {
            let client = async_nats::connect(url).await.expect("a connection");
            make_buckets(&client, &names.key_value, &names.objects, like()).await;
            NatsStores::new(client, Refusals::default()) as Arc<dyn Stores>
        }
    }))
}

mod on_the_current_server {
    krt_host::store_contract!(super::on_a_server(super::CURRENT, super::direct));
}

mod on_the_oldest_server {
    krt_host::store_contract!(super::on_a_server(super::OLDEST, super::plain));
}

/// A server with the key-value bucket `kv` and the object store `obj`, and a client.
async fn served() -> Option<(Server, async_nats::Client)> {
    let server = Server::start()?;
    let client = async_nats::connect(server.url()).await.expect("a connection");
    make_buckets(&client, &["kv".to_owned()], &["obj".to_owned()], direct()).await;
    Some((server, client))
}

#[tokio::test]
async fn settings_are_shared_with_other_clients_both_ways() {
    let Some((_server, client)) = served().await else { return };
    let theirs = async_nats::jetstream::new(client.clone()).get_key_value("kv").await.unwrap();
    let ours = NatsStores::new(client, Refusals::default()).key_value("kv").await.unwrap();
    theirs.put("a/b", "theirs".into()).await.unwrap();
    assert_eq!(ours.get("a/b".into()).await, Ok(Some("theirs".into())));
    ours.put("a/b".into(), "ours".into()).await.unwrap();
    assert_eq!(theirs.get("a/b").await.unwrap().as_deref(), Some(&b"ours"[..]));
    ours.delete("a/b".into()).await.unwrap();
    assert_eq!(theirs.get("a/b").await.unwrap(), None);
    theirs.put("a/b", "again".into()).await.unwrap();
    theirs.delete("a/b").await.unwrap();
    assert_eq!(ours.get("a/b".into()).await, Ok(None));
    theirs.put("a/b", "again".into()).await.unwrap();
    theirs.purge("a/b").await.unwrap();
    assert_eq!(ours.get("a/b".into()).await, Ok(None));
    assert_eq!(theirs.history("a/b").await.unwrap().count().await, 1, "one message a key, as the bucket says");
}

#[tokio::test]
async fn a_value_that_another_client_wrote_and_that_is_no_text_is_a_typed_error() {
    let Some((_server, client)) = served().await else { return };
    let theirs = async_nats::jetstream::new(client.clone()).get_key_value("kv").await.unwrap();
    let ours = NatsStores::new(client, Refusals::default()).key_value("kv").await.unwrap();
    theirs.put("a", Bytes::from_static(b"\xff\xfe")).await.unwrap();
    assert!(matches!(ours.get("a".into()).await, Err(StoreError::Unreadable(_))));
}

#[tokio::test]
async fn objects_are_shared_with_other_clients_both_ways() {
    let Some((_server, client)) = served().await else { return };
    let theirs = async_nats::jetstream::new(client.clone()).get_object_store("obj").await.unwrap();
    let ours = NatsStores::new(client, Refusals::default()).object_store("obj").await.unwrap();
    let large: Bytes = (0..700_000_u32).map(|n| (n % 251) as u8).collect();
    for data in [Bytes::new(), Bytes::from_static(b"small"), large] {
        theirs.put("theirs/1", &mut &data[..]).await.unwrap();
        assert!(ours.get("theirs/1".into(), 1 << 20).await.unwrap() == data, "{} bytes of theirs", data.len());
        ours.save("ours/1".into(), data.clone()).await.unwrap();
        let mut read = Vec::new();
        theirs.get("ours/1").await.unwrap().read_to_end(&mut read).await.unwrap();
        assert!(read == data, "{} bytes of ours", data.len());
    }
    ours.delete("theirs/1".into()).await.unwrap();
    assert!(theirs.get("theirs/1").await.is_err());
    theirs.delete("ours/1").await.unwrap();
    assert_eq!(ours.get("ours/1".into(), 1).await, Err(StoreError::NotFound("ours/1".into())));
    assert_eq!(ours.list().await, Ok(vec![]));
}

#[tokio::test]
async fn a_store_holds_no_chunks_of_objects_that_were_replaced_deleted_or_abandoned() {
    let Some((_server, client)) = served().await else { return };
    let context = async_nats::jetstream::new(client.clone());
    let ours = NatsStores::new(client, Refusals::default()).object_store("obj").await.unwrap();
    let data = Bytes::from(vec![1; 1 << 20]);
    ours.save("a".into(), data.clone()).await.unwrap();
    ours.save("a".into(), Bytes::from_static(b"one chunk")).await.unwrap();
    ours.save("b".into(), data.clone()).await.unwrap();
    ours.delete("b".into()).await.unwrap();
    // A guest that is killed in the middle of a save leaves its future unfinished. Eight chunks are under way at once: of
    // sixty-four, the first are stored long before the last are sent.
    let mut abandoned = ours.save("c".into(), Bytes::from(vec![1; 8 << 20]));
    let mut stream = context.get_stream("OBJ_obj").await.unwrap();
    let messages =
        async |stream: &mut async_nats::jetstream::stream::Stream| stream.info().await.unwrap().state.messages;
    while messages(&mut stream).await <= 3 {
        assert!(futures::poll!(&mut abandoned).is_pending(), "sixty-four chunks take longer");
    }
    drop(abandoned);
    // One chunk and its entry, and the entry that says that b is deleted.
    let begun = Instant::now();
    while messages(&mut stream).await != 3 {
        assert!(begun.elapsed() < Duration::from_secs(10), "chunks stay: {:?}", stream.cached_info().state);
    }
    assert_eq!(ours.get("c".into(), 1 << 20).await, Err(StoreError::NotFound("c".into())));
}

#[tokio::test]
async fn neither_reading_nor_listing_leaves_consumers_behind() {
    let Some((_server, client)) = served().await else { return };
    let mut stream = async_nats::jetstream::new(client.clone()).get_stream("OBJ_obj").await.unwrap();
    let ours = NatsStores::new(client, Refusals::default()).object_store("obj").await.unwrap();
    ours.save("a".into(), Bytes::from(vec![1; 300 << 10])).await.unwrap();
    for _ in 0..20 {
        ours.get("a".into(), 1 << 20).await.unwrap();
        ours.list().await.unwrap();
    }
    let begun = Instant::now();
    while stream.info().await.unwrap().state.consumer_count > 0 {
        // An abandoned consumer of a client's goes after five seconds: these are removed.
        assert!(begun.elapsed() < Duration::from_secs(3), "consumers stay");
    }
}

#[tokio::test]
async fn an_entry_that_lies_about_its_object_or_is_a_link_is_a_typed_error() {
    let Some((_server, client)) = served().await else { return };
    let context = async_nats::jetstream::new(client.clone());
    let theirs = context.get_object_store("obj").await.unwrap();
    let ours = NatsStores::new(client, Refusals::default()).object_store("obj").await.unwrap();
    let info = theirs.put("real", &mut &b"bytes"[..]).await.unwrap();
    theirs.add_link("link", &info).await.unwrap();
    assert!(matches!(ours.get("link".into(), 9).await, Err(StoreError::Denied(_))));
    // The name in the subject is `lie` in base64.
    let subject = "$O.obj.M.bGll";
    let lies = [
        (r#"{"name":"lie","bucket":"obj","nuid":"none","size":5,"chunks":1}"#.to_owned(), "chunks that are not there"),
        (format!(r#"{{"name":"lie","bucket":"obj","nuid":"{}","size":4,"chunks":1}}"#, info.nuid), "another size"),
        (
            format!(
                r#"{{"name":"lie","bucket":"obj","nuid":"{}","size":5,"chunks":1,"digest":"SHA-256=x"}}"#,
                info.nuid
            ),
            "another digest",
        ),
        (format!(r#"{{"name":"lie","bucket":"obj","nuid":"{}","size":5,"chunks":9000}}"#, info.nuid), "more chunks"),
        ("not JSON".to_owned(), "no entry"),
    ];
    for (lie, what) in lies {
        context.publish(subject, lie.into()).await.unwrap().await.unwrap();
        let read = ours.get("lie".into(), 9).await;
        assert!(matches!(read, Err(StoreError::Unreadable(_))), "{what}: {read:?}");
    }
    let lie = format!(r#"{{"name":"lie","bucket":"obj","nuid":"{}","size":1,"chunks":1}}"#, info.nuid);
    context.publish(subject, lie.into()).await.unwrap().await.unwrap();
    assert_eq!(ours.get("lie".into(), 4).await, Err(StoreError::TooLarge { limit: 4 }), "more bytes than it says");
}

#[tokio::test]
async fn a_bucket_that_goes_away_is_a_typed_error_of_every_operation() {
    let Some((_server, client)) = served().await else { return };
    let context = async_nats::jetstream::new(client.clone());
    let stores = NatsStores::new(client, Refusals::default());
    let (settings, objects) = (stores.key_value("kv").await.unwrap(), stores.object_store("obj").await.unwrap());
    context.delete_key_value("kv").await.unwrap();
    context.delete_object_store("obj").await.unwrap();
    let no_bucket = |e: Option<StoreError>| assert!(matches!(e, Some(StoreError::NoBucket(_))), "{e:?}");
    no_bucket(settings.get("a".into()).await.err());
    no_bucket(settings.put("a".into(), "1".into()).await.err());
    no_bucket(settings.delete("a".into()).await.err());
    no_bucket(objects.get("a".into(), 1).await.err());
    no_bucket(objects.save("a".into(), Bytes::from_static(b"1")).await.err());
    no_bucket(objects.delete("a".into()).await.err());
    no_bucket(objects.list().await.err());
}

#[tokio::test]
async fn a_full_bucket_and_a_value_over_its_bound_are_typed_errors() {
    let Some((_server, client)) = served().await else { return };
    let context = async_nats::jetstream::new(client.clone());
    let config =
        kv::Config { bucket: "tight".to_owned(), max_value_size: 100, max_bytes: 1000, ..kv::Config::default() };
    context.create_key_value(config).await.unwrap();
    let ours = NatsStores::new(client, Refusals::default()).key_value("tight").await.unwrap();
    assert_eq!(ours.put("a".into(), "x".repeat(200)).await, Err(StoreError::TooLarge { limit: 100 }));
    let mut refused = Ok(());
    for n in 0..20 {
        refused = refused.and(ours.put(format!("k{n}"), "x".repeat(90)).await);
    }
    assert_eq!(refused, Err(StoreError::TooLarge { limit: 1000 }));
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_within_seconds_and_serves_again_when_it_is_back() {
    let Some((mut server, client)) = served().await else { return };
    let stores = NatsStores::new(client, Refusals::default());
    let (settings, objects) = (stores.key_value("kv").await.unwrap(), stores.object_store("obj").await.unwrap());
    settings.put("a".into(), "1".into()).await.unwrap();
    server.freeze();
    let begun = Instant::now();
    let (value, list, bucket) = tokio::join!(settings.get("a".into()), objects.list(), stores.key_value("kv"));
    for error in [value.err(), list.err(), bucket.err()] {
        assert!(matches!(error, Some(StoreError::Unavailable(_))), "{error:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    server.thaw();
    server.restart();
    let back = async {
        loop {
            match settings.get("a".into()).await {
                Ok(value) => break value,
                Err(error) => assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}"),
            }
        }
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(30), back).await.unwrap(), Some("1".into()));
}

#[tokio::test]
async fn a_server_without_jetstream_is_unavailable() {
    let Some(binary) = e2e::nats::binary(CURRENT) else { return };
    let server = Server::of(&binary, "", &[]);
    let client = async_nats::connect(server.url()).await.unwrap();
    let stores = NatsStores::new(client, Refusals::default());
    assert!(matches!(stores.key_value("kv").await.err(), Some(StoreError::Unavailable(_))));
    assert!(matches!(stores.object_store("obj").await.err(), Some(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn what_the_server_does_not_permit_is_denied_at_once() {
    let users = r#"authorization { users = [
        { user: all, password: p },
        { user: reader, password: p, permissions: { publish: {
            deny: ["$KV.>", "$O.>", "$JS.API.STREAM.PURGE.>", "$JS.API.CONSUMER.>"] } } },
        { user: nobody, password: p, permissions: { publish: { deny: ["$JS.>"] } } },
    ] }"#;
    for version in [CURRENT, OLDEST] {
        let Some(server) = Server::configured(version, users) else { return };
        let connect = async |user: &str| {
            let (words, refusals) = tokio::sync::broadcast::channel::<Arc<str>>(16);
            let options = async_nats::ConnectOptions::with_user_and_password(user.into(), "p".into());
            let heard = options.event_callback(move |event| {
                // Nobody may be waiting.
                let _ = words.send(event.to_string().into());
                std::future::ready(())
            });
            (heard.connect(server.url()).await.unwrap(), Refusals::from(refusals))
        };
        let (admin, _) = connect("all").await;
        make_buckets(&admin, &["kv".to_owned()], &["obj".to_owned()], direct()).await;
        let (client, refusals) = connect("reader").await;
        let stores = NatsStores::new(client, refusals);
        let begun = Instant::now();
        let (settings, objects) = (stores.key_value("kv").await.unwrap(), stores.object_store("obj").await.unwrap());
        let denied = |e: Option<StoreError>| assert!(matches!(e, Some(StoreError::Denied(_))), "{version}: {e:?}");
        assert_eq!(settings.get("a".into()).await, Ok(None));
        denied(settings.put("a".into(), "1".into()).await.err());
        denied(settings.delete("a".into()).await.err());
        denied(objects.save("a".into(), Bytes::from_static(b"1")).await.err());
        denied(objects.list().await.err());
        let (client, refusals) = connect("nobody").await;
        let stores = NatsStores::new(client, refusals);
        denied(stores.key_value("kv").await.err());
        denied(stores.object_store("obj").await.err());
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_replicated_bucket_is_read_as_it_was_last_written_whoever_was_asked() {
    let Some(cluster) = Cluster::start() else { return };
    let client = async_nats::connect(cluster.urls().split(',').collect::<Vec<_>>()).await.unwrap();
    let context = async_nats::jetstream::new(client.clone());
    // The servers are up; JetStream has a leader a little later, and says so by making a bucket.
    let made = async {
        let config = kv::Config { bucket: "first".to_owned(), num_replicas: 3, ..kv::Config::default() };
        while context.create_key_value(config.clone()).await.is_err() {}
    };
    tokio::time::timeout(Duration::from_secs(30), made).await.unwrap();
    make_buckets(&client, &["kv".to_owned()], &["obj".to_owned()], stream::Config { num_replicas: 3, ..direct() })
        .await;
    let stores = NatsStores::new(client, Refusals::default());
    let (settings, objects) = (stores.key_value("kv").await.unwrap(), stores.object_store("obj").await.unwrap());
    for count in 0..200 {
        settings.put("count".into(), count.to_string()).await.unwrap();
        assert_eq!(settings.get("count".into()).await, Ok(Some(count.to_string())));
    }
    for version in 0..20_u8 {
        let data = Bytes::from(vec![version; 300 << 10]);
        objects.save("model".into(), data.clone()).await.unwrap();
        assert!(objects.get("model".into(), 1 << 20).await.unwrap() == data, "version {version}");
    }
}
