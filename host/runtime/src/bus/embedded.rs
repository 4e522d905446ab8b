//! The bus in one process, for `krt run` and tests: JetStream's interest semantics in memory.
//!
//! Nothing survives the process. A message costs one short lock a step, whatever the backlog, and never a timer of its own.

mod duplicates;
mod durable;
mod routes;
mod stream;
mod subscription;
#[cfg(test)]
mod tests;
mod wakers;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use krt::plan::Plan;
use tokio::time::Instant;

use self::routes::Routes;
use self::stream::{Entry, Stream};
use super::{Acceptance, Bus, Consumer, Deliveries, HEADER_ROOM, Headers, Publication, PublishError, SubscribeError};

/// Bounds and windows of an embedded bus.
#[derive(Debug, Clone)]
pub struct EmbeddedBusOptions {
    /// Largest payload in bytes. Default 1 MiB, as in NATS. Headers have [`HEADER_ROOM`] besides.
    pub max_payload: usize,
    /// Messages that may be pending in one durable; then publications to it wait, as many again. Also what one
    /// ephemeral consumer keeps before it loses the oldest. Default 100 000.
    pub max_pending: usize,
    /// Bytes likewise. Default 256 MiB.
    pub max_pending_bytes: usize,
    /// How long a publication waits for room before it is refused. Default 5 s: longer than a slow node's message.
    pub publish_wait: Duration,
    /// How long a stream knows an id again. Default 2 min, as in NATS; must cover the redelivery schedule.
    pub duplicate_window: Duration,
    /// Ids that a stream remembers at most. Default 2^20 (about 60 MiB): 2 min at 8 000 messages a second, half a
    /// minute at 35 000; the default schedule of redeliveries ends after 1.5 s.
    pub duplicate_limit: usize,
    /// Dead letters kept; then the oldest goes. Default 10 000.
    pub dead_letter_limit: usize,
    /// Bytes of dead letters kept. Default 64 MiB.
    pub dead_letter_bytes: usize,
}

/// The bus. Shared by everything in the process.
pub struct EmbeddedBus {
    options: EmbeddedBusOptions,
    routes: RwLock<Routes>,
    dead_letters: RwLock<Vec<Arc<Stream>>>,
}

/// A message that nobody could handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Position in its stream, from 1.
    pub sequence: u64,
    /// The subject it was put on.
    pub subject: Arc<str>,
    /// The original bytes.
    pub payload: Bytes,
    /// Why, where, and which request.
    pub headers: Headers,
}

/// A message as long as somebody needs it.
struct Stored {
    sequence: u64,
    subject: Arc<str>,
    payload: Bytes,
    headers: Headers,
    /// Bytes it counts for.
    size: usize,
}

impl Default for EmbeddedBusOptions {
    fn default() -> Self {
        Self {
            max_payload: 1 << 20,
            max_pending: 100_000,
            max_pending_bytes: 256 << 20,
            publish_wait: Duration::from_secs(5),
            duplicate_window: Duration::from_secs(120),
            duplicate_limit: 1 << 20,
            dead_letter_limit: 10_000,
            dead_letter_bytes: 64 << 20,
        }
    }
}

impl EmbeddedBus {
    /// A bus without streams.
    pub fn new(options: EmbeddedBusOptions) -> Arc<Self> {
        Arc::new(Self { options, routes: RwLock::default(), dead_letters: RwLock::default() })
    }

    /// Makes what the plan names and is not there. What is there stays, with its messages.
    pub fn apply(&self, plan: &Plan) {
        let mut routes = self.write();
        for (planned, log) in plan.streams.iter().map(|s| (s, false)).chain([(&plan.dead_letters, true)]) {
            let stream = match routes.stream(&planned.name) {
                Some(stream) => stream.clone(),
                None => {
                    let stream = Stream::new(&planned.name, self.options.clone(), log);
                    routes.add(stream.clone());
                    if log {
                        self.dead_letters.write().unwrap_or_else(PoisonError::into_inner).push(stream.clone());
                    }
                    stream
                }
            };
            for subject in &planned.subjects {
                routes.own(&stream, subject);
            }
        }
        for durable in &plan.durables {
            let stream = routes.stream(&durable.stream).cloned();
            match stream.and_then(|stream| Some((routes.read(&stream, &durable.filter_subject)?, stream))) {
                Some((topic, stream)) => stream.add_durable(&durable.name, topic, durable.ack_wait),
                None => tracing::error!(
                    durable = durable.name,
                    stream = durable.stream,
                    subject = durable.filter_subject,
                    "the plan has a durable whose stream does not have its subject"
                ),
            }
        }
    }

    /// The dead letters that are still kept, oldest first.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        let streams = self.dead_letters.read().unwrap_or_else(PoisonError::into_inner);
        let kept = streams.iter().flat_map(|stream| stream.kept());
        kept.map(|message| DeadLetter {
            sequence: message.sequence,
            subject: message.subject.clone(),
            payload: message.payload.clone(),
            headers: message.headers.clone(),
        })
        .collect()
    }

    /// Messages of a durable that nobody has acknowledged; none if there is no such durable.
    pub fn pending(&self, stream: &str, durable: &str) -> Option<usize> {
        self.read().stream(stream)?.pending(durable)
    }

    fn read(&self) -> RwLockReadGuard<'_, Routes> {
        self.routes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Routes> {
        self.routes.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, publication: &Publication) -> Result<(), PublishError> {
        let too_large = |size, limit| if size > limit { Err(PublishError::TooLarge { size, limit }) } else { Ok(()) };
        too_large(publication.payload.len(), self.options.max_payload)?;
        too_large(publication.headers.size(), HEADER_ROOM)
    }
}

impl Bus for EmbeddedBus {
    fn publish(&self, publication: Publication) -> Acceptance {
        if let Err(error) = self.check(&publication) {
            return Acceptance::Ready(Err(error));
        }
        let Some(route) = self.read().find(&publication.subject) else {
            return Acceptance::Ready(Err(PublishError::NoStream(publication.subject.to_string())));
        };
        match (route.stream.publish(route.topic, publication), route.topic) {
            (Entry::Waits(ticket), Some(topic)) => {
                let until = Instant::now() + self.options.publish_wait;
                let stream = route.stream;
                Acceptance::Pending(Box::pin(subscription::Waiting {
                    stream,
                    topic,
                    ticket,
                    until,
                    sleep: None,
                    over: false,
                }))
            }
            (Entry::Refused, _) => Acceptance::Ready(Err(PublishError::Full)),
            _ => Acceptance::Ready(Ok(())),
        }
    }

    fn subscribe(&self, consumer: Consumer) -> BoxFuture<'static, Result<Deliveries, SubscribeError>> {
        let (stream_name, name) = match &consumer {
            Consumer::Durable { stream, name, .. } => (stream.clone(), name.clone()),
            Consumer::Ephemeral { stream, filter_subject } => (stream.clone(), filter_subject.clone()),
        };
        let stream = self.read().stream(&stream_name).cloned();
        let topic = match (&consumer, &stream) {
            (Consumer::Ephemeral { filter_subject, .. }, Some(stream)) => self.write().read(stream, filter_subject),
            _ => None,
        };
        Box::pin(async move {
            let bound: Option<Deliveries> = stream.and_then(|stream| match consumer {
                Consumer::Durable { name, .. } => {
                    let (durable, seat) = stream.sit(&name)?;
                    Some(Box::pin(subscription::Durable { stream, durable, seat }) as Deliveries)
                }
                Consumer::Ephemeral { .. } => {
                    let topic = topic?;
                    let number = stream.add_ephemeral(topic);
                    Some(Box::pin(subscription::Ephemeral { stream, topic, number }) as Deliveries)
                }
            });
            bound.ok_or(SubscribeError::NoConsumer { stream: stream_name, consumer: name })
        })
    }

    fn max_payload(&self) -> usize {
        self.options.max_payload
    }
}
