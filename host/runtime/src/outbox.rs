//! What one delivery may send, and the ids by which a repeated delivery's outputs are recognised.
//!
//! Outputs are published as they are sent, so that an early reply is early; [`Outbox::accepted`] waits for the bus.
//! Never settles the delivery, and never looks into a payload.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use crate::bus::{Acceptance, Bus, DeliveryId, Headers, Publication, PublishError};
use crate::message::{MessageType, Outgoing, Payload};

/// Outputs that one delivery may send unless told otherwise.
pub const DEFAULT_MAX_OUTPUTS: u32 = 10_000;

/// The kinds of message a handler may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputType {
    /// An ordinary output.
    Ok,
    /// An answer for the caller; the handler goes on.
    EarlyReply,
    /// An answer for the caller; the handler stops.
    EarlyExit,
}

/// Why an output was not taken over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The delivery is over: called after the handler returned.
    #[error("no message is in hand")]
    NoMessage,
    /// Larger than the bus takes, even compressed.
    #[error("the message is larger than the bus takes: {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// Not one subject token.
    #[error("{0:?} is not a channel: one token, without '.', '*', '>', space or control characters")]
    InvalidChannel(String),
    /// No message name in it.
    #[error("the type URL {0:?} has no message name")]
    InvalidTypeUrl(String),
    /// More outputs than one delivery may send.
    #[error("this delivery already sent {limit} messages")]
    TooMany {
        /// The limit.
        limit: u32,
    },
}

/// What all outboxes of a node share.
pub struct OutboxOptions {
    /// Where outputs go.
    pub bus: Arc<dyn Bus>,
    /// The node's name: `from_node` of all it sends.
    pub node: String,
    /// The node's default subject.
    pub subject: Arc<str>,
    /// Outputs that one delivery may send.
    pub max_outputs: u32,
}

/// The outputs of one delivery. Cheap to clone; owned, since a store's data must be `'static`.
#[derive(Clone)]
pub struct Outbox(Arc<Inner>);

/// The delivery that an outbox belongs to.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Names the delivery, whatever the attempt.
    pub delivery: DeliveryId,
    /// The subject it came on.
    pub subject: Arc<str>,
    /// 1 the first time.
    pub attempt: u32,
    /// The request that all outputs belong to.
    pub request_id: String,
    /// The payload in hand, for `relay`.
    pub payload: Option<Payload>,
    /// W3C `traceparent` of the span in hand.
    pub traceparent: Option<String>,
    /// When the handler will be interrupted.
    pub deadline: Option<Instant>,
}

struct Inner {
    options: Arc<OutboxOptions>,
    origin: Origin,
    sent: AtomicU32,
    closed: AtomicBool,
    waiting: Mutex<Waiting>,
}

/// Publications that the bus has not answered yet, and the first failure of those it has.
#[derive(Default)]
struct Waiting {
    pending: Vec<Acceptance>,
    failed: Option<PublishError>,
}

impl Origin {
    /// The channel of the origin node that the message came on; none for its default output.
    pub fn channel(&self) -> Option<&str> {
        // `<stream>.<node>` or `<stream>.<node>.<channel>`; a stream's name may itself contain dots.
        let node = self.subject.strip_prefix(&*self.delivery.stream)?.strip_prefix('.')?;
        node.split_once('.').map(|(_, channel)| channel)
    }
}

impl Outbox {
    /// The outbox of one delivery.
    pub fn new(options: Arc<OutboxOptions>, origin: Origin) -> Self {
        Self(Arc::new(Inner {
            options,
            origin,
            sent: AtomicU32::new(0),
            closed: AtomicBool::new(false),
            waiting: Mutex::default(),
        }))
    }

    /// The delivery it belongs to.
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// Largest envelope in bytes that the bus takes.
    pub fn max_payload(&self) -> usize {
        self.0.options.bus.max_payload()
    }

    /// Sends `payload` on the node's subject, or on one of its channels. Taken over, not yet accepted by the bus.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was sent.
    pub fn send(&self, payload: Payload, output: OutputType, channel: Option<&str>) -> Result<(), SendError> {
        let name = payload.message_name();
        if name.is_empty() || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(SendError::InvalidTypeUrl(payload.type_url));
        }
        self.put(Some(&payload), output, channel)
    }

    /// Sends the payload in hand on. With none in hand (an ERROR was received) sends none, as the original does.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was sent.
    pub fn relay(&self, output: OutputType, channel: Option<&str>) -> Result<(), SendError> {
        self.put(self.0.origin.payload.as_ref(), output, channel)
    }

    /// Sends the ERROR envelope of this delivery: to the default subject, never to a channel. The runner's alone.
    ///
    /// # Errors
    /// Larger than the bus takes.
    pub fn send_error(&self, text: &str) -> Result<(), SendError> {
        let bytes = self.encode(MessageType::Error, None, text)?;
        self.publish(self.0.options.subject.clone(), None, bytes);
        Ok(())
    }

    /// Takes no more outputs: the handler has returned or was abandoned.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
    }

    /// How many outputs the handler sent.
    pub fn sent(&self) -> u32 {
        self.0.sent.load(Ordering::Relaxed)
    }

    /// Whether anything sent so far still waits for the bus's word.
    pub fn waits(&self) -> bool {
        !self.waiting().pending.is_empty()
    }

    /// Waits until the bus has accepted everything sent so far.
    ///
    /// # Errors
    /// The first publication that was not accepted.
    pub async fn accepted(&self) -> Result<(), PublishError> {
        let Waiting { pending, mut failed } = std::mem::take(&mut *self.waiting());
        for acceptance in pending {
            if let Err(error) = acceptance.await {
                failed.get_or_insert(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn put(&self, payload: Option<&Payload>, output: OutputType, channel: Option<&str>) -> Result<(), SendError> {
        let Inner { options, sent, closed, .. } = &*self.0;
        if closed.load(Ordering::Acquire) {
            return Err(SendError::NoMessage);
        }
        let subject = match channel {
            None => options.subject.clone(),
            Some(channel) if is_token(channel) => format!("{}.{channel}", options.subject).into(),
            Some(channel) => return Err(SendError::InvalidChannel(channel.to_owned())),
        };
        let index = sent.load(Ordering::Relaxed);
        if index >= options.max_outputs {
            return Err(SendError::TooMany { limit: options.max_outputs });
        }
        let bytes = self.encode(output.into(), payload, "")?;
        // A handler has one message in hand and one thread: nobody else counts meanwhile.
        sent.store(index + 1, Ordering::Relaxed);
        self.publish(subject, Some(index), bytes);
        Ok(())
    }

    fn encode(&self, message_type: MessageType, payload: Option<&Payload>, error: &str) -> Result<Bytes, SendError> {
        let Inner { options, origin, .. } = &*self.0;
        let envelope =
            Outgoing { request_id: &origin.request_id, from_node: &options.node, message_type, payload, error };
        envelope.encode(self.max_payload()).map_err(|e| SendError::TooLarge { limit: e.limit as u64 })
    }

    /// Output number `n`, or the ERROR envelope.
    fn publish(&self, subject: Arc<str>, n: Option<u32>, payload: Bytes) {
        let Inner { options, origin, .. } = &*self.0;
        let id = match n {
            Some(n) => output_id(&origin.delivery, &options.node, Decimal::new(n.into()).as_str()),
            None => output_id(&origin.delivery, &options.node, "error"),
        };
        let headers = Headers(origin.traceparent.iter().map(|t| ("traceparent", t.clone())).collect());
        match options.bus.publish(Publication { subject, id: Some(id), payload, headers }) {
            Acceptance::Ready(Ok(())) => {}
            Acceptance::Ready(Err(error)) => {
                self.waiting().failed.get_or_insert(error);
            }
            pending => self.waiting().pending.push(pending),
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<OutputType> for MessageType {
    fn from(output: OutputType) -> Self {
        match output {
            OutputType::Ok => Self::Ok,
            OutputType::EarlyReply => Self::EarlyReply,
            OutputType::EarlyExit => Self::EarlyExit,
        }
    }
}

/// `<stream>/<sequence>/<node>/<what>`: the de-duplication id of something that is published for a delivery. It names
/// the delivery, not the request: two branches of one request that meet at a node are two deliveries.
pub(crate) fn output_id(delivery: &DeliveryId, node: &str, what: &str) -> String {
    let sequence = Decimal::new(delivery.sequence);
    [&*delivery.stream, "/", sequence.as_str(), "/", node, "/", what].concat()
}

/// A number's digits without an allocation: two of them stand in every output's id.
struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    fn new(mut number: u64) -> Self {
        let mut digits = [b'0'; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return Self { digits, start };
            }
        }
    }

    fn as_str(&self) -> &str {
        // ASCII digits are UTF-8.
        std::str::from_utf8(&self.digits[self.start..]).unwrap_or_default()
    }
}

/// Whether `channel` is one subject token.
pub fn is_token(channel: &str) -> bool {
    !channel.is_empty() && !channel.chars().any(|c| matches!(c, '.' | '*' | '>') || c.is_whitespace() || c.is_control())
}
