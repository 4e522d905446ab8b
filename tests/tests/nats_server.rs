//! What only a server has: it restarts, hangs, changes its leader, forgets. Each ends in a typed error or in recovery, and
//! nothing that was accepted is lost.

use std::time::{Duration, Instant};

use e2e::bus::{self, DURABLE, Ground, PATIENCE, STREAM, SUBJECT, next, take, text};
use e2e::nats::{CURRENT, Cluster, Server};
use futures::StreamExt as _;
use krt_host::bus::nats::NatsBusOptions;
use krt_host::bus::nats::provision::{ApplyOptions, Done, apply};
use krt_host::bus::{Bus as _, Consumer, Deliveries, HEADER_ROOM, PublishError, SubscribeError};
use krt_host::nats::{ConnectError, connect};
use krt_host::telemetry::Health;

/// Publishes as many messages, `under_way` at once; the ids of those that were not accepted.
async fn publish_all(ground: &Ground, number: usize, under_way: usize) -> Vec<(String, PublishError)> {
    let publish = |n: usize| {
        let id = format!("{n:05}");
        let acceptance = ground.publish(&id);
        async move { acceptance.await.err().map(|error| (id, error)) }
    };
    futures::stream::iter(0..number)
        .map(publish)
        .buffer_unordered(under_way)
        .filter_map(std::future::ready)
        .collect()
        .await
}

/// The error that ends a subscription.
async fn end(deliveries: &mut Deliveries) -> SubscribeError {
    let ended = tokio::time::timeout(PATIENCE, async {
        loop {
            match deliveries.next().await.expect("an error comes before the end") {
                Ok(delivery) => drop(delivery),
                Err(error) => return error,
            }
        }
    });
    let error = ended.await.expect("it ends");
    assert!(deliveries.next().await.is_none(), "nothing comes after the error");
    error
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_comes_back_loses_and_doubles_nothing() {
    let Some(mut server) = Server::start() else { return };
    let ground = Ground::with(&server.url(), 1, bus::plan(Duration::from_secs(2)), NatsBusOptions::default()).await;
    let mut store = ground.read(64).await;
    let published = async {
        let refused = publish_all(&ground, 3000, 200).await;
        assert_eq!(refused, [], "each is accepted after all");
    };
    let taken = async {
        // In the midst of it.
        let mut seen = take(&mut store, 500).await;
        tokio::task::block_in_place(|| server.restart());
        while seen.len() < 3000 {
            seen.extend(take(&mut store, 1).await);
        }
        seen
    };
    let (seen, ()) = futures::join!(taken, published);
    assert_eq!(seen.len(), 3000);
    // Known by their ids: whatever was sent twice is stored once.
    let mut messages = async_nats::jetstream::new(ground.nats.client().clone());
    messages.set_timeout(PATIENCE);
    let mut stream = messages.get_stream(STREAM).await.expect("the stream is there");
    assert_eq!(stream.info().await.expect("its state").state.last_sequence, 3000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_servers_whose_leader_is_killed_lose_and_double_nothing() {
    let Some(mut cluster) = Cluster::start() else { return };
    let ground = Ground::with(&cluster.urls(), 3, bus::plan(Duration::from_secs(2)), NatsBusOptions::default()).await;
    let jetstream = async_nats::jetstream::new(ground.nats.client().clone());
    let mut store = ground.read(64).await;
    let mut stream = jetstream.get_stream(STREAM).await.expect("the stream is there");
    let leader = stream.info().await.expect("its state").cluster.clone().and_then(|cluster| cluster.leader);
    let leader: usize = leader.and_then(|name| name.strip_prefix('n')?.parse().ok()).expect("a leader");
    let published = async {
        let refused = publish_all(&ground, 2000, 100).await;
        assert_eq!(refused, [], "each is accepted after all");
    };
    let taken = async {
        let mut seen = take(&mut store, 300).await;
        cluster.servers[leader].kill();
        let rest = async {
            while seen.len() < 2000 {
                seen.extend(take(&mut store, 1).await);
            }
        };
        tokio::time::timeout(PATIENCE, rest).await.expect("two of three are enough");
        seen
    };
    let (seen, ()) = futures::join!(taken, published);
    assert_eq!(seen.len(), 2000);
    let stream = stream.info().await.expect("its state");
    assert_eq!(stream.state.last_sequence, 2000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_is_away_until_it_goes_on() {
    let Some(server) = Server::start() else { return };
    let (ack_timeout, outage_wait) = (Duration::from_millis(500), Duration::from_secs(1));
    let waits = NatsBusOptions { ack_timeout, outage_wait, ..NatsBusOptions::default() };
    let ground = Ground::with(&server.url(), 1, bus::plan(PATIENCE), waits).await;
    let mut store = ground.read(1).await;
    ground.accept("before").await;
    server.freeze();
    let since = Instant::now();
    let refused = ground.publish("meanwhile").await;
    assert!(matches!(refused, Err(PublishError::Unavailable(_))), "{refused:?}");
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    server.thaw();
    // The runner's second try, under the same id.
    while let Err(error) = ground.publish("meanwhile").await {
        assert!(error.is_transient() && since.elapsed() < PATIENCE, "{error}");
    }
    ground.accept("after").await;
    let seen = take(&mut store, 3).await;
    assert!(seen.values().all(|times| *times == 1), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_follows_the_connection() {
    let Some(mut server) = Server::start() else { return };
    let health = Health::default();
    health.set_ready(true);
    let nats = connect(&bus::options(&server.url()), Some(health.part("NATS"))).await.expect("connected");
    assert!(health.is_ready() && nats.is_connected());
    server.kill();
    tokio::time::timeout(PATIENCE, health.until(false)).await.expect("no longer ready");
    assert_eq!(health.waiting_for(), ["NATS".into()]);
    tokio::task::block_in_place(|| server.restart());
    tokio::time::timeout(PATIENCE, health.until(true)).await.expect("ready again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_deleted_under_us_is_a_typed_error_and_can_be_made_again() {
    let Some(server) = Server::start() else { return };
    let ground = Ground::on(&server.url(), 1).await;
    let mut store = ground.read(8).await;
    let mut own = watch(&ground).await;
    ground.accept("before").await;
    assert_eq!(text(&next(&mut store).await), "before");
    assert_eq!(text(&next(&mut own).await), "before");
    let jetstream = async_nats::jetstream::new(ground.nats.client().clone());
    jetstream.delete_stream(STREAM).await.expect("deleted");
    assert_eq!(ground.publish("meanwhile").await, Err(PublishError::NoStream(SUBJECT.to_owned())));
    assert!(matches!(end(&mut store).await, SubscribeError::NoConsumer { .. }));
    assert!(matches!(end(&mut own).await, SubscribeError::NoConsumer { .. }));
    apply(&ground.nats, &ground.plan, &ApplyOptions::default()).await.expect("applied");
    ground.accept("after").await;
    assert_eq!(text(&next(&mut ground.read(8).await).await), "after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_durable_deleted_under_us_ends_its_reader_with_a_typed_error() {
    let Some(server) = Server::start() else { return };
    let ground = Ground::on(&server.url(), 1).await;
    let mut store = ground.read(8).await;
    ground.accept("before").await;
    assert_eq!(text(&next(&mut store).await), "before");
    let jetstream = async_nats::jetstream::new(ground.nats.client().clone());
    jetstream.delete_consumer_from_stream(DURABLE, STREAM).await.expect("deleted");
    assert!(matches!(end(&mut store).await, SubscribeError::NoConsumer { .. }));
    assert!(matches!(ground.bus.subscribe(bus::reader(8)).await.err(), Some(SubscribeError::NoConsumer { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_its_own_binds_again_after_the_server_forgot_it() {
    let Some(mut server) = Server::start() else { return };
    let ground = Ground::on(&server.url(), 1).await;
    let mut own = watch(&ground).await;
    ground.accept("before").await;
    assert_eq!(text(&next(&mut own).await), "before");
    tokio::task::block_in_place(|| server.restart());
    assert!(matches!(end(&mut own).await, SubscribeError::NoConsumer { .. }));
    let mut own = watch(&ground).await;
    ground.accept("after").await;
    assert_eq!(text(&next(&mut own).await), "after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_changed_with_a_restart_is_the_new_one() {
    let configuration = |limit: usize| format!("max_payload: {limit}\n");
    let Some(mut server) = Server::configured(CURRENT, &configuration(256 << 10)) else { return };
    let ground = Ground::on(&server.url(), 1).await;
    assert_eq!(ground.bus.max_payload(), (256 << 10) - HEADER_ROOM);
    std::fs::write(server.folder().join("server.conf"), configuration(128 << 10)).expect("written");
    let mut connections = ground.nats.connections();
    tokio::task::block_in_place(|| server.restart());
    connections.changed().await.expect("connected again");
    let limit = (128 << 10) - HEADER_ROOM;
    assert_eq!(ground.bus.max_payload(), limit);
    let large = krt_host::bus::Publication { payload: vec![7; limit + 1].into(), ..bus::message("large") };
    assert_eq!(ground.bus.publish(large).await, Err(PublishError::TooLarge { size: limit + 1, limit }));
    let fits = krt_host::bus::Publication { payload: vec![7; limit].into(), ..bus::message("fits") };
    assert_eq!(ground.bus.publish(fits).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_busy_reader_has_not_taken_goes_to_another_within_moments() {
    let Some(server) = Server::start() else { return };
    let ground = Ground::on(&server.url(), 1).await;
    let mut busy = ground.read(256).await;
    assert_eq!(publish_all(&ground, 5000, 500).await, []);
    // Quick so far: it is given many at once. And then it is busy with one for good.
    take(&mut busy, 1000).await;
    let held = next(&mut busy).await;
    let another = ground.another(&server.url()).await;
    let since = Instant::now();
    let seen = take(&mut another.read(256).await, 3999).await;
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
    assert!(!seen.contains_key(&text(&held)), "what is in hand stays there");
    assert!(held.ack().await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_closes_under_load_delays_nothing_beyond_a_second() {
    let Some(server) = Server::start() else { return };
    let ground = Ground::on(&server.url(), 1).await;
    let another = ground.another(&server.url()).await;
    let mut closing = another.read(256).await;
    let mut staying = ground.read(256).await;
    // All is there beforehand: what comes late was kept back.
    assert_eq!(publish_all(&ground, 8000, 300).await, []);
    let closing = async {
        let seen = take(&mut closing, 1500).await;
        drop(closing);
        seen
    };
    let staying = async {
        let seen = take(&mut staying, 1500).await;
        (seen, staying)
    };
    let (mut seen, (rest, mut staying)) = futures::join!(closing, staying);
    seen.extend(rest);
    let mut longest = Duration::ZERO;
    while seen.len() < 8000 {
        let since = Instant::now();
        seen.extend(take(&mut staying, 1).await);
        longest = longest.max(since.elapsed());
    }
    assert!(longest < Duration::from_secs(1), "one came {longest:?} after the one before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_before_the_close_does_not_come_again() {
    let Some(server) = Server::start() else { return };
    let plan = bus::plan(Duration::from_millis(500));
    let ground = Ground::with(&server.url(), 1, plan, NatsBusOptions::default()).await;
    let another = ground.another(&server.url()).await;
    assert_eq!(publish_all(&ground, 1000, 100).await, []);
    take(&mut another.read(64).await, 1000).await;
    another.nats.close().await;
    drop(another);
    let again = tokio::time::timeout(Duration::from_millis(1500), ground.read(64).await.next()).await;
    assert!(again.is_err(), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_applied_by_many_at_once_is_applied() {
    let Some(server) = Server::start() else { return };
    let nats = connect(&bus::options(&server.url()), None).await.expect("connected");
    let mut plan = bus::plan(PATIENCE);
    plan.durables.extend((0..20).map(|n| bus::durable(&format!("reader-{n}"), PATIENCE)));
    let options = ApplyOptions::default();
    let applied = futures::future::join_all((0..8).map(|_| apply(&nats, &plan, &options))).await;
    for changes in applied {
        assert_eq!(changes.expect("applied").len(), 24);
    }
    let again = apply(&nats, &plan, &options).await.expect("applied");
    assert!(again.iter().all(|change| change.done == Done::Unchanged), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_jetstream_says_so_and_is_waited_for() {
    let Some(binary) = e2e::nats::binary(CURRENT) else { return };
    let server = Server::of(&binary, "", &[]);
    let error = connect(&bus::options(&server.url()), None).await.expect_err("of no use");
    assert!(matches!(&error, ConnectError::NoJetStream { .. }) && error.is_transient(), "{error}");
}

async fn watch(ground: &Ground) -> Deliveries {
    let consumer = Consumer::Ephemeral { stream: STREAM.to_owned(), filter_subject: SUBJECT.to_owned() };
    ground.bus.subscribe(consumer).await.expect("the stream is there")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_bus_handed_out_ends_with_it() {
    let Some(server) = Server::start() else { return };
    let ground = Ground::on(&server.url(), 1).await;
    let mut store = ground.read(8).await;
    server.freeze();
    let waiting = ground.publish("waiting");
    drop(ground.bus);
    let refused = tokio::time::timeout(Duration::from_secs(3), waiting).await.expect("it does not wait for ever");
    assert!(matches!(refused, Err(PublishError::Unavailable(_))), "{refused:?}");
    assert!(matches!(end(&mut store).await, SubscribeError::Unavailable(_)));
    server.thaw();
}
