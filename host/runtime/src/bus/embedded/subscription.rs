//! What a subscriber holds: the two kinds of deliveries, their settlement, and a publication that waits for room.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::Stored;
use super::durable::{Key, Taken};
use super::stream::Stream;
use crate::bus::{Delivery, DeliveryId, PublishError, Settle, SettleError, Settlement, SubscribeError};

/// A subscriber of a durable. Takes one message at a time, so that none lies with it while another one is idle.
pub(super) struct Durable {
    pub(super) stream: Arc<Stream>,
    pub(super) durable: usize,
    pub(super) seat: usize,
}

/// A consumer of its own.
pub(super) struct Ephemeral {
    pub(super) stream: Arc<Stream>,
    pub(super) topic: usize,
    pub(super) number: u64,
}

/// A publication in the queue; dropped it is withdrawn.
pub(super) struct Waiting {
    pub(super) stream: Arc<Stream>,
    pub(super) topic: usize,
    pub(super) ticket: u64,
    pub(super) until: Instant,
    pub(super) sleep: Option<Pin<Box<Sleep>>>,
    pub(super) over: bool,
}

struct Held {
    stream: Arc<Stream>,
    durable: usize,
    key: Key,
    attempt: u32,
}

/// Counts as acknowledged from the start.
struct Settled;

type Item = Option<Result<Delivery, SubscribeError>>;

impl futures::Stream for Durable {
    type Item = Result<Delivery, SubscribeError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Item> {
        // A backlog is handed out without the scheduler, but not for ever.
        let turn = ready!(tokio::task::coop::poll_proceed(context));
        let Self { stream, durable, seat } = &*self;
        let Some(Taken { key, message, attempt, .. }) = stream.take(*durable, *seat, context) else {
            return Poll::Pending;
        };
        turn.made_progress();
        let held = Held { stream: stream.clone(), durable: *durable, key, attempt };
        Poll::Ready(Some(Ok(deliver(stream, &message, attempt, Box::new(held)))))
    }
}

impl Drop for Durable {
    fn drop(&mut self) {
        self.stream.leave(self.durable, self.seat);
    }
}

impl futures::Stream for Ephemeral {
    type Item = Result<Delivery, SubscribeError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Item> {
        let turn = ready!(tokio::task::coop::poll_proceed(context));
        let message = ready!(self.stream.poll_ephemeral(self.topic, self.number, context));
        turn.made_progress();
        Poll::Ready(message.map(|message| Ok(deliver(&self.stream, &message, 1, Box::new(Settled)))))
    }
}

impl Drop for Ephemeral {
    fn drop(&mut self) {
        self.stream.remove_ephemeral(self.topic, self.number);
    }
}

impl Future for Waiting {
    type Output = Result<(), PublishError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.stream.admitted(this.topic, this.ticket, context.waker()) {
            this.over = true;
            return Poll::Ready(Ok(()));
        }
        let until = this.until;
        let sleep = this.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        ready!(sleep.as_mut().poll(context));
        this.over = true;
        // Accepted between the two looks at it, it is accepted.
        let refused = this.stream.withdraw(this.topic, this.ticket);
        Poll::Ready(if refused { Err(PublishError::Full) } else { Ok(()) })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.over {
            self.stream.withdraw(self.topic, self.ticket);
        }
    }
}

impl Settle for Held {
    fn ack(self: Box<Self>) -> Settlement {
        self.stream.ack(self.durable, self.key);
        Settlement::Ready(Ok(()))
    }

    fn nack(self: Box<Self>, delay: Duration) -> Settlement {
        self.stream.nack(self.durable, self.key, self.attempt, delay);
        Settlement::Ready(Ok(()))
    }

    fn progress(&self) -> futures::future::BoxFuture<'_, Result<(), SettleError>> {
        self.stream.progress(self.durable, self.key, self.attempt);
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Settle for Settled {
    fn ack(self: Box<Self>) -> Settlement {
        Settlement::Ready(Ok(()))
    }

    fn nack(self: Box<Self>, _: Duration) -> Settlement {
        Settlement::Ready(Ok(()))
    }

    fn progress(&self) -> futures::future::BoxFuture<'_, Result<(), SettleError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

fn deliver(stream: &Arc<Stream>, message: &Stored, attempt: u32, settle: Box<dyn Settle>) -> Delivery {
    let id = DeliveryId { stream: stream.name().clone(), sequence: message.sequence };
    let delivery = Delivery::new(id, message.subject.clone(), message.payload.clone(), attempt, settle);
    Delivery { headers: message.headers.clone(), ..delivery }
}
