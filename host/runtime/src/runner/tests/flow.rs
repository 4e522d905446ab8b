//! A workflow on an embedded bus: what the flow tests stand on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use krt::names;
use krt::plan::{DeliveryMode, Durable, Plan, Stream};
use krt::topology::Retry;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::bus::embedded::{EmbeddedBus, EmbeddedBusOptions};
use crate::bus::{Acceptance, Bus, Consumer, Deliveries, Headers, Publication, PublishError, SubscribeError};
use crate::message::{Message, MessageType, Payload};
use crate::node::Node;
use crate::outbox::{DEFAULT_MAX_OUTPUTS, OutboxOptions};
use crate::runner::Runner;
use crate::telemetry::{Health, Metrics};

pub(super) const STREAM: &str = "kre_v1_M";
pub(super) const DEAD: &str = "dead-letters_kre_v1.w.node";
pub(super) const ACK_WAIT: Duration = Duration::from_secs(30);

pub(super) struct Flow {
    pub(super) bus: Arc<Moody>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) health: Health,
    pub(super) stop: CancellationToken,
    pub(super) plan: Plan,
}

type Refusal = dyn Fn(&Publication) -> Option<PublishError> + Send + Sync;

/// An embedded bus that refuses what it is told to.
pub(super) struct Moody {
    pub(super) inner: Arc<EmbeddedBus>,
    refuses: Box<Refusal>,
    loses: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Bus for Moody {
    fn publish(&self, publication: Publication) -> Acceptance {
        match (self.refuses)(&publication) {
            Some(error) => Acceptance::Ready(Err(error)),
            None => self.inner.publish(publication),
        }
    }

    fn subscribe(&self, consumer: Consumer) -> BoxFuture<'static, Result<Deliveries, SubscribeError>> {
        if (self.loses)() {
            let gone = SubscribeError::Unavailable("moody".into());
            return Box::pin(std::future::ready(Err(gone)));
        }
        self.inner.subscribe(consumer)
    }

    fn max_payload(&self) -> usize {
        self.inner.max_payload()
    }
}

impl Flow {
    /// Nodes with what they read, as a manifest says it.
    pub(super) fn new(nodes: &[(&str, &[&str])]) -> Self {
        Self::on(nodes, |_| None, || false)
    }

    pub(super) fn on(
        nodes: &[(&str, &[&str])],
        refuses: impl Fn(&Publication) -> Option<PublishError> + Send + Sync + 'static,
        loses: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        let plan = plan(nodes);
        let inner = EmbeddedBus::new(EmbeddedBusOptions::default());
        inner.apply(&plan);
        let bus = Arc::new(Moody { inner, refuses: Box::new(refuses), loses: Box::new(loses) });
        Self { bus, metrics: Arc::default(), health: Health::default(), stop: CancellationToken::new(), plan }
    }

    pub(super) fn run(&self, name: &str, node: Arc<dyn Node>) -> JoinHandle<()> {
        self.run_with(name, node, |_| {})
    }

    pub(super) fn run_with(&self, name: &str, node: Arc<dyn Node>, with: impl FnOnce(&mut Runner)) -> JoinHandle<()> {
        let consumer = |durable: &Durable| Consumer::Durable {
            stream: durable.stream.clone(),
            name: durable.name.clone(),
            prefetch: 1,
        };
        let outbox = OutboxOptions {
            bus: self.bus.clone(),
            node: name.to_owned(),
            subject: format!("{STREAM}.{name}").into(),
            max_outputs: DEFAULT_MAX_OUTPUTS,
        };
        let mut runner = Runner {
            node,
            bus: self.bus.clone(),
            outbox: Arc::new(outbox),
            consumers: self.plan.durables.iter().filter(|d| d.node == name).map(consumer).collect(),
            workflow: "w".into(),
            node_name: name.to_owned(),
            concurrency: 1,
            retry: Retry { attempts: 3, ..Retry::default() },
            timeout: None,
            ack_wait: ACK_WAIT,
            dead_letters: DEAD.into(),
            grace: Duration::from_secs(5),
            ready: Arc::new(self.health.part("the subscriptions")),
            metrics: self.metrics.clone(),
            times: None,
        };
        with(&mut runner);
        tokio::spawn(runner.run(self.stop.clone()))
    }

    /// A request as the entrypoint sends it.
    pub(super) async fn request(&self, request_id: &str, text: &str) {
        self.publish("entrypoint", request_id, text).await;
    }

    pub(super) async fn publish(&self, from: &str, request_id: &str, text: &str) {
        self.publish_with(from, request_id, text, Vec::new()).await;
    }

    pub(super) async fn publish_with(
        &self,
        from: &str,
        request_id: &str,
        text: &str,
        headers: Vec<(&'static str, String)>,
    ) {
        let message = Message {
            request_id: request_id.into(),
            from_node: from.into(),
            message_type: MessageType::Ok,
            payload: Some(payload(text)),
            error: String::new(),
        };
        self.put(from, message.encode(1 << 20).unwrap(), Headers(headers)).await;
    }

    pub(super) async fn publish_bytes(&self, from: &str, payload: Bytes) {
        self.put(from, payload, Headers::default()).await;
    }

    async fn put(&self, from: &str, payload: Bytes, headers: Headers) {
        let subject = format!("{STREAM}.{from}").into();
        self.bus.inner.publish(Publication { subject, id: None, payload, headers }).await.unwrap();
    }

    /// What a node sends to its default subject, from now on.
    pub(super) async fn watch(&self, node: &str) -> Deliveries {
        let filter_subject = format!("{STREAM}.{node}");
        self.bus.inner.subscribe(Consumer::Ephemeral { stream: STREAM.into(), filter_subject }).await.unwrap()
    }

    pub(super) async fn next(&self, deliveries: &mut Deliveries) -> Message {
        let next = tokio::time::timeout(Duration::from_secs(600), deliveries.next()).await.expect("a message comes");
        Message::decode(next.unwrap().unwrap().payload).unwrap()
    }

    /// Nothing comes, however long one waits.
    pub(super) async fn silent(&self, deliveries: &mut Deliveries) {
        let next = tokio::time::timeout(Duration::from_secs(600), deliveries.next()).await;
        assert!(next.is_err(), "{next:?}");
    }

    /// Waits until `node` has settled all it read from `from`.
    pub(super) async fn settled(&self, from: &str, node: &str) {
        let until = tokio::time::Instant::now() + Duration::from_secs(3600);
        while self.pending(from, node) > 0 {
            assert!(tokio::time::Instant::now() < until, "{node} does not settle");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub(super) fn pending(&self, from: &str, node: &str) -> usize {
        let durable = names::durable(&format!("{STREAM}.{from}"), node);
        self.bus.inner.pending(STREAM, &durable).unwrap()
    }

    /// How often `node`'s handling ended so.
    pub(super) fn count(&self, outcome: &str, node: &str) -> u64 {
        self.metric(&format!("krt_node_messages_total{{workflow=\"w\",node=\"{node}\",outcome=\"{outcome}\"}} "))
    }

    pub(super) fn metric(&self, start: &str) -> u64 {
        let text = self.metrics.encode();
        let line = text.lines().find_map(|line| line.strip_prefix(start));
        line.unwrap_or_else(|| panic!("no {start:?} in {text}")).parse().unwrap()
    }
}

pub(super) fn payload(text: &str) -> Payload {
    Payload { type_url: "type.googleapis.com/T".into(), data: Bytes::copy_from_slice(text.as_bytes()) }
}

pub(super) fn text(message: &Message) -> String {
    message.payload.as_ref().map(|p| String::from_utf8_lossy(&p.data).into_owned()).unwrap_or_default()
}

fn plan(nodes: &[(&str, &[&str])]) -> Plan {
    let mut subjects = vec![names::entrypoint_subject(STREAM)];
    let mut durables = Vec::new();
    for (node, reads) in nodes {
        let subject = names::node_subject(STREAM, node);
        subjects.extend([format!("{subject}.*"), subject]);
        for from in *reads {
            let filter_subject = format!("{STREAM}.{from}");
            durables.push(Durable {
                name: names::durable(&filter_subject, node),
                stream: STREAM.into(),
                filter_subject,
                workflow: "w".into(),
                node: (*node).to_owned(),
                delivery: DeliveryMode::Pull,
                deliver_group: None,
                ack_wait: ACK_WAIT,
                attempts: Some(3),
                handling: Duration::ZERO,
                retry: Retry::default(),
            });
        }
    }
    Plan {
        runtime_id: "kre".into(),
        version: "v1".into(),
        streams: vec![Stream { name: STREAM.into(), subjects }],
        durables,
        key_value_buckets: vec![],
        object_stores: vec![],
        dead_letters: Stream { name: "dead-letters_kre_v1".into(), subjects: vec!["dead-letters_kre_v1.>".into()] },
    }
}
