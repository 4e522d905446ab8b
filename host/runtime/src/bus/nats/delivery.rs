//! A JetStream message as a delivery, and the words by which it is settled. Settling is fire and forget: what does not
//! arrive means that the message comes again, and its outputs are known by their ids.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, Subject};
use bytes::Bytes;
use futures::future::BoxFuture;

use super::headers;
use crate::bus::{Delivery, DeliveryId, Settle, SettleError, Settlement};
use crate::nats::{Nats, Outbound};

/// Done.
const ACK: &[u8] = b"+ACK";
/// Again, at once or with a delay behind it.
const NAK: &[u8] = b"-NAK";
/// Still in hand.
const PROGRESS: &[u8] = b"+WPI";

/// What a message's reply subject says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// How often it was delivered, this time included.
    pub(super) attempt: u32,
    /// Its position in the stream.
    pub(super) sequence: u64,
}

/// Names that the deliveries of one consumer share.
pub(super) struct Origin {
    stream: Arc<str>,
    /// The subject of the message before: mostly that of the next one.
    subject: Arc<str>,
}

impl Origin {
    pub(super) fn new(stream: &str) -> Self {
        Self { stream: stream.into(), subject: "".into() }
    }

    /// The delivery of a message at `place`. An ephemeral consumer's has been acknowledged already.
    pub(super) fn delivery(&mut self, message: Message, place: Place, nats: &Nats, settled: bool) -> Delivery {
        if *self.subject != *message.subject {
            self.subject = message.subject.as_str().into();
        }
        let id = DeliveryId { stream: self.stream.clone(), sequence: place.sequence };
        let settle: Box<dyn Settle> = match message.reply {
            Some(reply) if !settled => Box::new(Unsettled { nats: nats.clone(), reply }),
            _ => Box::new(Settled),
        };
        let headers = headers::incoming(message.headers.as_ref());
        let mut delivery = Delivery::new(id, self.subject.clone(), message.payload, place.attempt, settle);
        delivery.headers = headers;
        delivery
    }
}

/// What the reply subject of a message from a consumer says; none for what is not from one.
///
/// `$JS.ACK.<stream>.<consumer>.<attempt>.<sequence>.<…>.<…>.<…>`, with two tokens more before the stream on servers that
/// name their domain and account there.
pub(super) fn place(message: &Message) -> Option<Place> {
    let reply = message.reply.as_ref()?.strip_prefix("$JS.ACK.")?;
    let tokens = reply.bytes().filter(|byte| *byte == b'.').count() + 1;
    let skip = match tokens {
        7 => 2,
        9.. => 4,
        _ => return None,
    };
    let mut rest = reply.split('.').skip(skip);
    let attempt: u64 = rest.next()?.parse().ok()?;
    let sequence = rest.next()?.parse().ok()?;
    Some(Place { attempt: u32::try_from(attempt).unwrap_or(u32::MAX), sequence })
}

/// Says that a message is done.
pub(super) fn ack(nats: &Nats, reply: &Subject) -> Result<(), SettleError> {
    say(nats, reply, Bytes::from_static(ACK))
}

/// Gives a message back, to be delivered again after `delay`.
pub(super) fn nack(nats: &Nats, reply: &Subject, delay: Duration) -> Result<(), SettleError> {
    if delay.is_zero() {
        return say(nats, reply, Bytes::from_static(NAK));
    }
    // The server counts in signed nanoseconds.
    let nanos = i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX);
    say(nats, reply, format!("-NAK {{\"delay\":{nanos}}}").into())
}

/// Says that a message is still in hand.
pub(super) fn progress(nats: &Nats, reply: &Subject) -> Result<(), SettleError> {
    say(nats, reply, Bytes::from_static(PROGRESS))
}

fn say(nats: &Nats, reply: &Subject, payload: Bytes) -> Result<(), SettleError> {
    let message = Outbound { subject: reply.clone(), reply: None, payload, headers: None };
    nats.send(message).map_err(|error| SettleError(format!("{error:?}")))
}

struct Unsettled {
    nats: Nats,
    reply: Subject,
}

impl Settle for Unsettled {
    fn ack(self: Box<Self>) -> Settlement {
        Settlement::Ready(ack(&self.nats, &self.reply))
    }

    fn nack(self: Box<Self>, delay: Duration) -> Settlement {
        Settlement::Ready(nack(&self.nats, &self.reply, delay))
    }

    fn progress(&self) -> BoxFuture<'_, Result<(), SettleError>> {
        Box::pin(std::future::ready(progress(&self.nats, &self.reply)))
    }
}

/// Counts as acknowledged from the start.
struct Settled;

impl Settle for Settled {
    fn ack(self: Box<Self>) -> Settlement {
        Settlement::Ready(Ok(()))
    }

    fn nack(self: Box<Self>, _: Duration) -> Settlement {
        Settlement::Ready(Ok(()))
    }

    fn progress(&self) -> BoxFuture<'_, Result<(), SettleError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_reply(reply: &str) -> Option<Place> {
        place(&Message {
            subject: "s.a".into(),
            reply: Some(reply.into()),
            payload: Bytes::new(),
            headers: None,
            status: None,
            description: None,
            length: 0,
        })
    }

    #[test]
    fn both_forms_of_a_reply_subject_are_read() {
        let expected = Some(Place { attempt: 2, sequence: 17 });
        assert_eq!(with_reply("$JS.ACK.stream.durable.2.17.3.1700000000000000000.4"), expected);
        assert_eq!(with_reply("$JS.ACK.hub.AbCd.stream.durable.2.17.3.1700000000000000000.4"), expected);
        assert_eq!(with_reply("$JS.ACK._.AbCd.stream.durable.2.17.3.1700000000000000000.4.xyz"), expected);
    }

    #[test]
    fn what_is_not_from_a_consumer_has_no_place() {
        for reply in
            ["", "_INBOX.a.b", "$JS.ACK.", "$JS.ACK.s.c.2.17", "$JS.ACK.s.c.x.17.3.1.4", "$JS.ACK.s.c.2.-1.3.1.4"]
        {
            assert_eq!(with_reply(reply), None, "{reply}");
        }
    }
}
