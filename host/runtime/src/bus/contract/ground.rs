//! What the behaviours stand on: a plan with two streams, readers that wait for events, and short words for both.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use krt::names::{self, Names};
use krt::plan::{DeliveryMode, Durable, Plan, Stream};
use krt::topology::Retry;

use super::{Make, Provisioned, Tuning};
use crate::bus::{Acceptance, Bus, Consumer, Deliveries, Delivery, Headers, Publication, SubscribeError};

/// Long enough for a loaded machine; what does not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Long enough to see what should not come, short enough for a suite.
pub(super) const SILENCE: Duration = Duration::from_millis(150);

/// An ack wait that no behaviour outlasts.
pub(super) const LONG: Duration = Duration::from_secs(60);

/// An ack wait to be waited for.
pub(super) const SHORT: Duration = Duration::from_millis(400);

/// A subject and the node that reads it: `("etl", "store")`, `("etl.repairs", "store")`.
pub(super) type Reader<'a> = (&'a str, &'a str);

/// A provisioned bus. Stream 1 and 2 have the nodes `etl`, `store` and `exit` each.
pub(super) struct Ground {
    pub(super) bus: Arc<dyn Bus>,
    pub(super) plan: Plan,
    provisioned: Provisioned,
}

/// Deliveries, awaited with patience.
pub(super) struct Reading(Deliveries);

/// A plan whose stream 1 has these readers. Its names have never been used before.
pub(super) fn plan(readers: &[Reader<'_>], ack_wait: Duration) -> Plan {
    let names = Names::new(format!("r{}", uuid::Uuid::new_v4().simple()), "v1");
    let streams: Vec<Stream> = ["First", "Second"]
        .map(|method| {
            let name = names.stream(method);
            let mut subjects = vec![names::entrypoint_subject(&name)];
            for node in ["etl", "store", "exit"] {
                let subject = names::node_subject(&name, node);
                subjects.extend([format!("{subject}.*"), subject]);
            }
            subjects.sort();
            Stream { name, subjects }
        })
        .into();
    let dead = names.dead_letters();
    let mut plan = Plan {
        runtime_id: names.runtime_id().to_owned(),
        version: names.version().to_owned(),
        streams,
        durables: Vec::new(),
        key_value_buckets: Vec::new(),
        object_stores: Vec::new(),
        dead_letters: Stream { subjects: vec![format!("{dead}.>")], name: dead },
    };
    for reader in readers {
        add(&mut plan, 1, *reader, ack_wait);
    }
    plan
}

/// Adds a durable to stream `stream` (1 or 2) of a plan.
pub(super) fn add(plan: &mut Plan, stream: usize, (subject, node): Reader<'_>, ack_wait: Duration) {
    let stream = plan.streams[stream - 1].name.clone();
    let filter_subject = format!("{stream}.{subject}");
    plan.durables.push(Durable {
        name: names::durable(&filter_subject, node),
        stream,
        filter_subject,
        workflow: "w".to_owned(),
        node: node.to_owned(),
        delivery: DeliveryMode::Pull,
        deliver_group: None,
        ack_wait,
        attempts: Some(2),
        handling: Duration::ZERO,
        retry: Retry::default(),
    });
}

impl Ground {
    /// A bus with these readers on stream 1, and an ack wait that nothing outlasts.
    pub(super) async fn new(make: &Make, readers: &[Reader<'_>]) -> Self {
        Self::with(make, plan(readers, LONG), Tuning::default()).await
    }

    /// One whose unsettled messages come again soon.
    pub(super) async fn hasty(make: &Make, readers: &[Reader<'_>]) -> Self {
        Self::with(make, plan(readers, SHORT), Tuning::default()).await
    }

    pub(super) async fn with(make: &Make, plan: Plan, tuning: Tuning) -> Self {
        let provisioned = make.provision(plan.clone(), tuning).await;
        Self { bus: provisioned.bus.clone(), plan, provisioned }
    }

    pub(super) async fn apply(&self, plan: Plan) {
        (self.provisioned.apply)(plan).await;
    }

    /// The name of stream 1 or 2.
    pub(super) fn stream(&self, stream: usize) -> &str {
        &self.plan.streams[stream - 1].name
    }

    /// A publication on a subject of stream 1, given without the stream's name.
    pub(super) fn message(&self, subject: &str, text: &str) -> Publication {
        self.message_on(1, subject, text)
    }

    pub(super) fn message_on(&self, stream: usize, subject: &str, text: &str) -> Publication {
        Publication {
            subject: format!("{}.{subject}", self.stream(stream)).into(),
            id: None,
            payload: Bytes::copy_from_slice(text.as_bytes()),
            headers: Headers::default(),
        }
    }

    /// Publishes on stream 1 and waits for the bus to accept.
    pub(super) async fn publish(&self, subject: &str, text: &str) {
        self.accept(self.message(subject, text)).await;
    }

    pub(super) async fn publish_with_id(&self, subject: &str, id: &str, text: &str) {
        self.accept(Publication { id: Some(id.to_owned()), ..self.message(subject, text) }).await;
    }

    pub(super) async fn accept(&self, publication: Publication) {
        let subject = publication.subject.clone();
        soon(self.bus.publish(publication)).await.unwrap_or_else(|e| panic!("{subject} is not accepted: {e}"));
    }

    /// Binds to the durable by which `node` reads `subject` of stream 1.
    pub(super) async fn read(&self, subject: &str, node: &str) -> Reading {
        self.read_on(1, subject, node).await
    }

    pub(super) async fn read_on(&self, stream: usize, subject: &str, node: &str) -> Reading {
        self.bind(self.durable(stream, subject, node)).await.expect("the plan has this durable")
    }

    pub(super) fn durable(&self, stream: usize, subject: &str, node: &str) -> Consumer {
        let stream = self.stream(stream).to_owned();
        let name = names::durable(&format!("{stream}.{subject}"), node);
        Consumer::Durable { stream, name, prefetch: 1 }
    }

    /// An ephemeral consumer of a subject of stream 1.
    pub(super) async fn watch(&self, subject: &str) -> Reading {
        let stream = self.stream(1).to_owned();
        let filter_subject = format!("{stream}.{subject}");
        self.bind(Consumer::Ephemeral { stream, filter_subject }).await.expect("the plan has this stream")
    }

    pub(super) async fn bind(&self, consumer: Consumer) -> Result<Reading, SubscribeError> {
        soon(self.bus.subscribe(consumer)).await.map(Reading)
    }
}

impl Reading {
    /// The next delivery.
    pub(super) async fn next(&mut self) -> Delivery {
        soon(self.0.next()).await.expect("the consumer is there").expect("the consumer works")
    }

    /// The next delivery's text; it is acknowledged.
    pub(super) async fn text(&mut self) -> String {
        let delivery = self.next().await;
        let text = text(&delivery);
        ack(delivery).await;
        text
    }

    /// As many texts; all are acknowledged.
    pub(super) async fn texts(&mut self, number: usize) -> Vec<String> {
        let mut texts = Vec::new();
        for _ in 0..number {
            texts.push(self.text().await);
        }
        texts
    }

    /// What comes within `time`, unsettled.
    pub(super) async fn within(&mut self, time: Duration) -> Option<Delivery> {
        let next = tokio::time::timeout(time, self.0.next()).await.ok()?;
        Some(next.expect("the consumer is there").expect("the consumer works"))
    }

    /// Nothing comes.
    pub(super) async fn silent(&mut self) {
        if let Some(delivery) = self.within(SILENCE).await {
            panic!("nothing was to come, and there is {delivery:?}");
        }
    }
}

pub(super) fn text(delivery: &Delivery) -> String {
    String::from_utf8_lossy(&delivery.payload).into_owned()
}

pub(super) async fn ack(delivery: Delivery) {
    soon(delivery.ack()).await.expect("the bus takes the acknowledgement");
}

/// The future's output, within patience.
pub(super) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("nothing happened within {PATIENCE:?}"))
}

/// Whether the bus has not said yes or no within a moment; then the acceptance is still to be awaited.
pub(super) async fn still_waits(acceptance: &mut Acceptance) -> bool {
    tokio::time::timeout(SILENCE, acceptance).await.is_err()
}
