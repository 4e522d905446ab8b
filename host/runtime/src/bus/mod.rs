//! The port to the bus: publish, subscribe, settle. Adapters: `embedded` here, NATS JetStream beside it; what both must
//! do is [`contract`].
//!
//! Provisioning is not part of the port: a [`krt::plan::Plan`] is applied to an adapter before anything runs.

#[macro_use]
pub mod contract;
pub mod embedded;
pub mod nats;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

/// Bytes of headers, names and values, that a publication may have beside its payload.
///
/// NATS counts headers and payload together (contract, trap 26); an adapter deducts this from the server's limit. Enough
/// for an id, a trace context, and the reason and backtrace of a dead letter.
pub const HEADER_ROOM: usize = 16 << 10;

/// The header of a message that only one reader of its subject is to handle: that node's name. A dead letter that is
/// driven again bears it; the others have handled the message already.
pub const FOR: &str = "krt-for";

/// A bus with JetStream's interest semantics.
///
/// # Guarantees
/// * A message accepted on a subject is delivered at least once to every durable that filters that subject and existed
///   when it was accepted, until acknowledged. A subject that no consumer filters accepts and drops.
/// * A second publication with the same id on a stream within the duplicate window is accepted and dropped.
/// * Deliveries of one durable are handed out in the order of acceptance; a redelivery may come later than its successors.
///
/// # Assumptions
/// The plan has been applied: streams and durables exist.
pub trait Bus: Send + Sync + 'static {
    /// Starts publishing at once; the result says when, and whether, the bus has accepted. Never blocks.
    fn publish(&self, publication: Publication) -> Acceptance;

    /// Binds to a consumer.
    fn subscribe(&self, consumer: Consumer) -> BoxFuture<'static, Result<Deliveries, SubscribeError>>;

    /// Largest payload in bytes that a publication may have, room for krt's headers already deducted.
    fn max_payload(&self) -> usize;
}

/// What a consumer hands out. Ends when the consumer is gone; an error says why.
pub type Deliveries = BoxStream<'static, Result<Delivery, SubscribeError>>;

/// One message to be published.
#[derive(Debug, Clone)]
pub struct Publication {
    /// Full subject.
    pub subject: Arc<str>,
    /// De-duplication id (`Nats-Msg-Id`), unique in the stream; none = never a duplicate.
    pub id: Option<String>,
    /// The envelope's bytes.
    pub payload: Bytes,
    /// Headers beside the id.
    pub headers: Headers,
}

/// Headers of a message. Few: kept as a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(&'static str, String)>);

impl Headers {
    /// The first value of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| *n == name).map(|(_, value)| &**value)
    }

    /// Bytes of names and values.
    pub fn size(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

/// What to bind to.
#[derive(Debug, Clone)]
pub enum Consumer {
    /// A durable that the plan made; competing subscribers share its messages.
    Durable {
        /// Stream name.
        stream: String,
        /// Durable name.
        name: String,
        /// Deliveries that may be under way to this subscriber beyond those it holds. At least 1.
        prefetch: usize,
    },
    /// A consumer of this subscriber's own, from now on; gone with it. Its deliveries count as acknowledged.
    Ephemeral {
        /// Stream name.
        stream: String,
        /// The one subject it reads.
        filter_subject: String,
    },
}

/// One attempt at one message. Dropped unsettled it comes again after the ack wait.
pub struct Delivery {
    /// Which message of which stream: names the delivery whatever the attempt.
    pub id: DeliveryId,
    /// The subject it was published on.
    pub subject: Arc<str>,
    /// The envelope's bytes.
    pub payload: Bytes,
    /// Headers beside the id.
    pub headers: Headers,
    /// 1 the first time.
    pub attempt: u32,
    settle: Box<dyn Settle>,
}

/// The identity of a stored message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeliveryId {
    /// Stream name.
    pub stream: Arc<str>,
    /// Position in the stream, from 1.
    pub sequence: u64,
}

/// How an adapter learns what became of a delivery.
pub trait Settle: Send + Sync {
    /// It is done and must not come again.
    fn ack(self: Box<Self>) -> Settlement;
    /// It comes again after `delay`.
    fn nack(self: Box<Self>, delay: Duration) -> Settlement;
    /// It is still in hand: the ack wait starts anew.
    fn progress(&self) -> BoxFuture<'_, Result<(), SettleError>>;
}

/// The bus's word on a settlement: already known, or to be awaited. The bus is told whether it is awaited or not.
pub enum Settlement {
    /// Known at once; costs no allocation.
    Ready(Result<(), SettleError>),
    /// Under way.
    Pending(BoxFuture<'static, Result<(), SettleError>>),
}

/// The bus could not be told. The delivery comes again after the ack wait.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the bus did not take the acknowledgement: {0}")]
pub struct SettleError(pub String);

/// Why a publication was not accepted; the variant decides whether it is worth another try.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Never: larger than the bus takes.
    #[error("the message has {size} bytes; the bus takes {limit}")]
    TooLarge {
        /// Bytes of the publication.
        size: usize,
        /// Bytes that the bus takes.
        limit: usize,
    },
    /// Never as things stand: no stream has this subject.
    #[error("no stream has the subject {0:?}")]
    NoStream(String),
    /// Later: the stream is full and stayed so for as long as the bus waits.
    #[error("the stream is full")]
    Full,
    /// Later: the bus is away.
    #[error("the bus is away: {0}")]
    Unavailable(String),
}

/// Why a consumer hands nothing out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// The plan was not applied, or somebody deleted it.
    #[error("the bus has no consumer {consumer:?} on stream {stream:?}")]
    NoConsumer {
        /// Stream name.
        stream: String,
        /// Durable name or filter subject.
        consumer: String,
    },
    /// Later: the bus is away.
    #[error("the bus is away: {0}")]
    Unavailable(String),
}

/// The bus's word on a publication: already known, or to be awaited.
#[must_use = "a message is safe only once the bus has accepted it"]
pub enum Acceptance {
    /// Known at once; the embedded bus's usual case, which costs no allocation.
    Ready(Result<(), PublishError>),
    /// Under way.
    Pending(BoxFuture<'static, Result<(), PublishError>>),
}

impl Future for Acceptance {
    type Output = Result<(), PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Ready(result) => Poll::Ready(result.clone()),
            Self::Pending(future) => future.as_mut().poll(cx),
        }
    }
}

impl Future for Settlement {
    type Output = Result<(), SettleError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Ready(result) => Poll::Ready(result.clone()),
            Self::Pending(future) => future.as_mut().poll(cx),
        }
    }
}

impl PublishError {
    /// Whether a later try may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Full | Self::Unavailable(_))
    }
}

impl Delivery {
    /// Made by adapters.
    pub fn new(id: DeliveryId, subject: Arc<str>, payload: Bytes, attempt: u32, settle: Box<dyn Settle>) -> Self {
        Self { id, subject, payload, headers: Headers::default(), attempt, settle }
    }

    /// Settles it: done.
    ///
    /// # Errors
    /// The bus could not be told; the message comes again.
    pub fn ack(self) -> Settlement {
        self.settle.ack()
    }

    /// Settles it: again after `delay`.
    ///
    /// # Errors
    /// The bus could not be told; the message comes again after the ack wait.
    pub fn nack(self, delay: Duration) -> Settlement {
        self.settle.nack(delay)
    }

    /// Still in hand.
    ///
    /// # Errors
    /// The bus could not be told.
    pub fn progress(&self) -> BoxFuture<'_, Result<(), SettleError>> {
        self.settle.progress()
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("id", &self.id)
            .field("subject", &self.subject)
            .field("attempt", &self.attempt)
            .field("bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}
