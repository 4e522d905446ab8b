//! A bus on a real server with one small plan: a node `etl` whose outputs `store` reads. Asserts nothing but that the
//! ground is laid.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use krt::plan::{DeliveryMode, Durable, Plan, Stream};
use krt::topology::Retry;
use krt_host::bus::nats::provision::{ApplyOptions, apply};
use krt_host::bus::nats::{NatsBus, NatsBusOptions};
use krt_host::bus::{Acceptance, Bus as _, Consumer, Deliveries, Delivery, Headers, Publication};
use krt_host::nats::{Nats, NatsOptions, connect_when_there};

/// The stream of the plan.
pub const STREAM: &str = "kre_v1_Go";
/// The subject that is read.
pub const SUBJECT: &str = "kre_v1_Go.etl";
/// The durable that reads it.
pub const DURABLE: &str = "kre_v1_Go-etl-store";
/// What does not happen within this time does not happen.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A connection, a bus on it, and the plan that was applied.
pub struct Ground {
    /// The connection.
    pub nats: Nats,
    /// The bus.
    pub bus: Arc<NatsBus>,
    /// The plan.
    pub plan: Plan,
}

/// The plan, with this ack wait.
pub fn plan(ack_wait: Duration) -> Plan {
    let subjects = ["entrypoint", "etl", "etl.*", "store", "store.*"].map(|name| format!("{STREAM}.{name}"));
    Plan {
        runtime_id: "kre".to_owned(),
        version: "v1".to_owned(),
        streams: vec![Stream { name: STREAM.to_owned(), subjects: subjects.into() }],
        durables: vec![durable("store", ack_wait)],
        key_value_buckets: vec!["key-store_kre_v1".to_owned()],
        object_stores: Vec::new(),
        dead_letters: Stream { name: "kre_v1_dead".to_owned(), subjects: vec!["kre_v1_dead.>".to_owned()] },
    }
}

/// A pull durable by which `node` reads [`SUBJECT`].
pub fn durable(node: &str, ack_wait: Duration) -> Durable {
    Durable {
        name: format!("{STREAM}-etl-{node}"),
        stream: STREAM.to_owned(),
        filter_subject: SUBJECT.to_owned(),
        workflow: "go".to_owned(),
        node: node.to_owned(),
        delivery: DeliveryMode::Pull,
        deliver_group: None,
        ack_wait,
        attempts: Some(5),
        handling: Duration::ZERO,
        retry: Retry::default(),
    }
}

/// How to reach the servers at these URLs, joined by commas.
pub fn options(urls: &str) -> NatsOptions {
    NatsOptions { urls: urls.split(',').map(str::to_owned).collect(), ..NatsOptions::default() }
}

/// A message on [`SUBJECT`].
pub fn message(id: &str) -> Publication {
    Publication {
        subject: SUBJECT.into(),
        id: Some(id.to_owned()),
        payload: Bytes::copy_from_slice(id.as_bytes()),
        headers: Headers::default(),
    }
}

impl Ground {
    /// On the servers at these URLs, with an ack wait that no test outlasts.
    ///
    /// # Panics
    /// When it cannot be laid.
    pub async fn on(urls: &str, replicas: usize) -> Self {
        Self::with(urls, replicas, plan(PATIENCE), NatsBusOptions::default()).await
    }

    /// With this plan and these waiting times.
    ///
    /// # Panics
    /// When it cannot be laid.
    pub async fn with(urls: &str, replicas: usize, plan: Plan, waits: NatsBusOptions) -> Self {
        let nats = connect_when_there(&options(urls), None).await.expect("the server is there");
        let applied = ApplyOptions { replicas: Some(replicas), ..ApplyOptions::default() };
        apply(&nats, &plan, &applied).await.expect("the plan is applied");
        let bus = NatsBus::new(nats.clone(), waits).await.expect("a bus");
        Self { nats, bus, plan }
    }

    /// Another process's connection to the same.
    ///
    /// # Panics
    /// When it cannot be had.
    pub async fn another(&self, urls: &str) -> Self {
        let nats = connect_when_there(&options(urls), None).await.expect("the server is there");
        let bus = NatsBus::new(nats.clone(), NatsBusOptions::default()).await.expect("a bus");
        Self { nats, bus, plan: self.plan.clone() }
    }

    /// Publishes a message whose id is its text.
    pub fn publish(&self, id: &str) -> Acceptance {
        self.bus.publish(message(id))
    }

    /// Publishes and waits for the bus to accept.
    ///
    /// # Panics
    /// When it does not.
    pub async fn accept(&self, id: &str) {
        self.publish(id).await.unwrap_or_else(|error| panic!("{id} is not accepted: {error}"));
    }

    /// Reads [`DURABLE`].
    ///
    /// # Panics
    /// When it cannot be read.
    pub async fn read(&self, prefetch: usize) -> Deliveries {
        self.bus.subscribe(reader(prefetch)).await.expect("the durable is there")
    }
}

/// [`DURABLE`], as a consumer.
pub fn reader(prefetch: usize) -> Consumer {
    Consumer::Durable { stream: STREAM.to_owned(), name: DURABLE.to_owned(), prefetch }
}

/// The next delivery.
///
/// # Panics
/// When there is none.
pub async fn next(deliveries: &mut Deliveries) -> Delivery {
    let next = tokio::time::timeout(PATIENCE, deliveries.next()).await;
    next.expect("a delivery comes").expect("the consumer is there").expect("the consumer works")
}

/// A delivery's text.
pub fn text(delivery: &Delivery) -> String {
    String::from_utf8_lossy(&delivery.payload).into_owned()
}

/// Takes and acknowledges until as many different messages have come; how often each came.
///
/// # Panics
/// When they do not come.
pub async fn take(deliveries: &mut Deliveries, number: usize) -> BTreeMap<String, usize> {
    let mut seen = BTreeMap::new();
    while seen.len() < number {
        let delivery = next(deliveries).await;
        *seen.entry(text(&delivery)).or_default() += 1;
        // If this is not told, it comes again.
        let _ = delivery.ack().await;
    }
    seen
}
