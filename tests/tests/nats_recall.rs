//! What dead readers of a push durable held comes back, on the oldest server and on the current one. Readers are plain
//! subscriptions, as those of the original's runners are in the end.

use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::Info;
use async_nats::{Client, Subscriber};
use e2e::nats::{CURRENT, OLDEST, Server};
use futures::StreamExt as _;
use krt::plan::{NATIVE_ACK_WAIT, Plan, plan};
use krt_host::bus::nats::provision::{ApplyOptions, apply};
use krt_host::bus::nats::recall::{is_bound, recall};
use krt_host::nats::{Nats, NatsOptions, connect};
use tokio_util::sync::CancellationToken;

const MANIFEST: &str = "\
krtVersion: v2
version: v1
description: One native node
entrypoint:
  proto: public_input.proto
workflows:
  - name: flow
    entrypoint: Go
    exitpoint: only
    nodes:
      - {name: only, image: konstellation/kre-go, src: bin/only, subscriptions: [entrypoint]}
";
const STREAM: &str = "kre_v1_Go";
const SUBJECT: &str = "kre_v1_Go.entrypoint";
const DURABLE: &str = "kre_v1_Go-entrypoint-only";
/// As `recall` is called when nobody lives.
const AT_ONCE: Duration = Duration::from_millis(1);
const SOON: Duration = Duration::from_secs(20);

struct Ground {
    server: Server,
    nats: Nats,
    plan: Plan,
}

impl Ground {
    async fn on(version: &str) -> Option<Self> {
        let server = Server::configured(version, "")?;
        let options = NatsOptions { urls: vec![server.url()], ..NatsOptions::default() };
        let nats = connect(&options, None).await.expect("connected");
        let topology = krt::check::check("krt.yml", MANIFEST.as_bytes(), None).topology.expect("a manifest");
        let plan = plan(&topology, "kre");
        apply(&nats, &plan, &ApplyOptions::default()).await.expect("applied");
        Some(Self { server, nats, plan })
    }

    async fn publish(&self, range: std::ops::Range<u32>) {
        for n in range {
            let stored = self.nats.jetstream().publish(SUBJECT, n.to_string().into()).await.expect("sent");
            stored.await.expect("stored");
        }
    }

    /// A reader with a connection of its own, which dies with it.
    async fn reader(&self) -> Reader {
        let client = async_nats::connect(self.server.url()).await.expect("connected");
        let deliveries = client.queue_subscribe(format!("_INBOX.krt.{DURABLE}"), DURABLE.into()).await.expect("bound");
        client.flush().await.expect("flushed");
        Reader { client, deliveries }
    }

    async fn consumer(&self) -> Info {
        let stream = self.nats.jetstream().get_stream(STREAM).await.expect("a stream");
        stream.consumer_info(DURABLE).await.expect("a durable")
    }

    async fn ack_wait(&self) -> Duration {
        self.consumer().await.config.ack_wait
    }

    async fn recall(&self, ack_wait: Duration) -> u64 {
        recall(&self.nats, STREAM, DURABLE, ack_wait, &CancellationToken::new()).await.expect("recalled")
    }

    async fn is_bound(&self) -> bool {
        is_bound(&self.nats, STREAM, DURABLE).await.expect("known")
    }
}

struct Reader {
    client: Client,
    deliveries: Subscriber,
}

impl Reader {
    /// The next messages, not acknowledged.
    async fn hold(&mut self, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        while texts.len() < count {
            let next = tokio::time::timeout(SOON, self.deliveries.next()).await;
            texts.push(text(&next.expect("in time").expect("a message")));
        }
        texts
    }

    /// The next messages, acknowledged.
    async fn take(&mut self, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        while texts.len() < count {
            let next = tokio::time::timeout(SOON, self.deliveries.next()).await;
            let message = next.expect("in time").expect("a message");
            texts.push(text(&message));
            let reply = message.reply.expect("to be acknowledged");
            self.client.publish(reply, "+ACK".into()).await.expect("sent");
        }
        self.client.flush().await.expect("flushed");
        texts
    }

    async fn die(self) {
        drop(self.deliveries);
        self.client.drain().await.expect("drained");
    }
}

fn text(message: &async_nats::Message) -> String {
    String::from_utf8_lossy(&message.payload).into_owned()
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

async fn what_the_only_reader_held_comes_back_at_once_and_in_order(version: &str) {
    let Some(ground) = Ground::on(version).await else { return };
    let mut dead = ground.reader().await;
    while !ground.is_bound().await {}
    ground.publish(0..20).await;
    assert_eq!(dead.hold(20).await, numbers(0..20));
    dead.die().await;
    while ground.is_bound().await {}
    // What arrives while nobody reads must not overtake.
    ground.publish(20..25).await;
    let started = Instant::now();
    assert_eq!(ground.recall(AT_ONCE).await, 20);
    assert_eq!(ground.ack_wait().await, NATIVE_ACK_WAIT, "a runner binds only to this value");
    let mut alive = ground.reader().await;
    assert_eq!(alive.take(25).await, numbers(0..25));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    // Nothing is left to recall, nothing comes twice.
    ground.publish(25..26).await;
    assert_eq!(alive.take(1).await, numbers(25..26));
    while ground.consumer().await.num_ack_pending > 0 {}
    assert_eq!(ground.recall(AT_ONCE).await, 0);
}

async fn beside_a_living_reader_only_what_was_held_too_long_comes_back(version: &str) {
    let Some(ground) = Ground::on(version).await else { return };
    let mut dead = ground.reader().await;
    ground.publish(0..10).await;
    assert_eq!(dead.hold(10).await, numbers(0..10));
    let mut alive = ground.reader().await;
    dead.die().await;
    let ack_wait = Duration::from_secs(2);
    let recalled = tokio::spawn({
        let nats = ground.nats.clone();
        async move { recall(&nats, STREAM, DURABLE, ack_wait, &CancellationToken::new()).await }
    });
    // Held by the living meanwhile, and for less than the ack wait.
    while ground.ack_wait().await != ack_wait {}
    ground.publish(10..13).await;
    let first: Vec<String> = alive.take(13).await;
    let mut sorted: Vec<u32> = first.iter().map(|text| text.parse().expect("a number")).collect();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..13).collect::<Vec<_>>(), "each once");
    assert_eq!(recalled.await.expect("no panic").expect("recalled"), 10);
    assert_eq!(ground.ack_wait().await, NATIVE_ACK_WAIT);
}

async fn an_interrupted_recall_is_mended_by_the_next_and_by_applying_the_plan(version: &str) {
    let Some(ground) = Ground::on(version).await else { return };
    for mend_by_plan in [false, true] {
        let mut dead = ground.reader().await;
        ground.publish(0..1).await;
        dead.hold(1).await;
        let (nats, never) = (ground.nats.clone(), CancellationToken::new());
        let recall = async move { recall(&nats, STREAM, DURABLE, Duration::from_secs(60), &never).await };
        let recalling = tokio::spawn(recall);
        while ground.ack_wait().await == NATIVE_ACK_WAIT {}
        recalling.abort();
        dead.die().await;
        while ground.is_bound().await {}
        if mend_by_plan {
            apply(&ground.nats, &ground.plan, &ApplyOptions::default()).await.expect("applied");
        } else {
            assert_eq!(ground.recall(AT_ONCE).await, 1);
            ground.reader().await.take(1).await;
        }
        assert_eq!(ground.ack_wait().await, NATIVE_ACK_WAIT, "by the plan: {mend_by_plan}");
    }
}

macro_rules! on_each_server {
    ($($check:ident),* $(,)?) => {
        mod on_the_oldest_server {
            $(#[tokio::test]
            async fn $check() {
                super::$check(super::OLDEST).await;
            })*
        }

        mod on_the_current_server {
            $(#[tokio::test]
            async fn $check() {
                super::$check(super::CURRENT).await;
            })*
        }
    };
}

on_each_server!(
    what_the_only_reader_held_comes_back_at_once_and_in_order,
    beside_a_living_reader_only_what_was_held_too_long_comes_back,
    an_interrupted_recall_is_mended_by_the_next_and_by_applying_the_plan,
);
