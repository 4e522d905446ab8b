//! One subscriber of one consumer: asks for messages ahead of their need, as many as the subscriber takes within a
//! moment, and gives back what it does not take. One short lock a message, no timer and no task of its own.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use async_nats::{Message, StatusCode, Subject, Subscriber};
use futures::Stream;
use futures::future::BoxFuture;
use serde::de::IgnoredAny;

use super::delivery::{self, Origin, Place, place};
use super::window::Window;
use crate::bus::{Delivery, SubscribeError};
use crate::nats::{ApiError, Nats, Outbound};

/// How long a request stays open while messages come. So long, at most, is what was given back kept from its next reader.
const OPEN: Duration = Duration::from_millis(250);

/// How long one stays open at most while none comes: it doubles to here. A request that got lost, with the leader it was
/// made to, is noticed a moment after.
const OPEN_MAX: Duration = Duration::from_secs(2);

/// An answer to a request may take this long beyond the request's end.
const LATE: Duration = Duration::from_millis(500);

/// A message that has waited here for so long goes back: somebody else may have time for it.
const STALE: Duration = Duration::from_secs(1);

/// Pause before the next request when the server refused one.
const REST: Duration = Duration::from_millis(250);

/// Bytes that one request may bring, at least: prefetching must not fill the memory.
const REQUEST_BYTES: usize = 8 << 20;

/// Deliveries of a consumer of one's own that are acknowledged with one word, at most: the rest of what arrived together.
const TOGETHER: u32 = 256;

/// What a subscriber is bound to.
pub(super) struct Bound {
    pub(super) nats: Nats,
    pub(super) stream: String,
    pub(super) consumer: String,
    /// Whether it is this subscriber's alone: then deliveries count as acknowledged, one word acknowledges all before it, and
    /// it goes with the subscriber.
    pub(super) own: bool,
    pub(super) prefetch: usize,
    pub(super) ack_wait: Duration,
}

/// The subscriber's end.
pub(super) struct Seat {
    shared: Arc<Shared>,
    origin: Origin,
    checking: Option<BoxFuture<'static, Result<(), ApiError>>>,
    taken: Taken,
    ended: bool,
}

/// What was handed out of a consumer of one's own and is not acknowledged yet.
#[derive(Default)]
struct Taken {
    count: u32,
    /// The latest by place in the stream, and where its acknowledgement goes: one that came again may be older than others.
    latest: Option<(u64, Subject)>,
}

/// What the subscriber and the bus's housekeeping share.
pub(super) struct Shared {
    bound: Bound,
    next: Subject,
    inbox: Subject,
    state: Mutex<State>,
}

struct State {
    /// None once closed.
    subscriber: Option<Subscriber>,
    /// Taken out of the subscriber by housekeeping, with the time it was seen first and touched last.
    early: VecDeque<Early>,
    window: Window,
    /// Asked for and not handed out yet.
    under_way: usize,
    /// How long the next request of an idle subscriber stays open.
    open: Duration,
    /// When all requests made so far are over.
    open_until: Instant,
    /// No request before it.
    not_before: Option<Instant>,
    /// Why nothing more will come.
    ends: Option<String>,
    waker: Option<Waker>,
}

struct Early {
    message: Message,
    seen: Instant,
    touched: Instant,
}

/// What a look at the consumer brought.
enum Next {
    Message(Message, Place),
    /// The server says that nobody answers there: is the consumer gone, or its leader?
    Doubtful,
    Gone,
    /// For now, and why.
    Closed(String),
}

impl Seat {
    /// A subscriber that listens on `inbox`.
    pub(super) fn new(bound: Bound, inbox: Subject, subscriber: Subscriber) -> Self {
        let now = Instant::now();
        let state = State {
            subscriber: Some(subscriber),
            early: VecDeque::new(),
            window: Window::new(bound.prefetch, now),
            under_way: 0,
            open: OPEN,
            open_until: now,
            not_before: None,
            ends: None,
            waker: None,
        };
        let next = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", bound.stream, bound.consumer).into();
        let origin = Origin::new(&bound.stream);
        let shared = Arc::new(Shared { bound, next, inbox, state: Mutex::new(state) });
        Self { shared, origin, checking: None, taken: Taken::default(), ended: false }
    }

    /// For housekeeping.
    pub(super) fn shared(&self) -> Weak<Shared> {
        Arc::downgrade(&self.shared)
    }

    fn gone(&mut self) -> Poll<Option<Result<Delivery, SubscribeError>>> {
        self.ended = true;
        let Bound { stream, consumer, .. } = &self.shared.bound;
        Poll::Ready(Some(Err(SubscribeError::NoConsumer { stream: stream.clone(), consumer: consumer.clone() })))
    }
}

impl Stream for Seat {
    type Item = Result<Delivery, SubscribeError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        loop {
            if let Some(checking) = &mut self.checking {
                let checked = ready!(checking.as_mut().poll(context));
                self.checking = None;
                match checked {
                    Err(error) if error.is_no_consumer() => return self.gone(),
                    // It is there, or nobody knows: asked again after a rest.
                    _ => self.shared.rest(),
                }
            }
            let Poll::Ready(next) = self.shared.poll(context) else {
                let Self { shared, taken, .. } = &mut *self;
                taken.acknowledge(&shared.bound.nats);
                return Poll::Pending;
            };
            match next {
                Next::Message(message, place) => {
                    let Self { shared, origin, taken, .. } = &mut *self;
                    let Bound { nats, own, .. } = &shared.bound;
                    if *own && let Some(reply) = &message.reply {
                        taken.add(place.sequence, reply, nats);
                    }
                    return Poll::Ready(Some(Ok(origin.delivery(message, place, nats, *own))));
                }
                Next::Doubtful => {
                    let Bound { nats, stream, consumer, .. } = &self.shared.bound;
                    let (nats, subject) = (nats.clone(), format!("CONSUMER.INFO.{stream}.{consumer}"));
                    self.checking =
                        Some(Box::pin(async move { nats.api::<_, IgnoredAny>(&subject, &()).await.map(drop) }));
                }
                Next::Gone => return self.gone(),
                Next::Closed(why) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(SubscribeError::Unavailable(why))));
                }
            }
        }
    }
}

impl Taken {
    fn add(&mut self, sequence: u64, reply: &Subject, nats: &Nats) {
        self.count += 1;
        if self.latest.as_ref().is_none_or(|(latest, _)| *latest < sequence) {
            self.latest = Some((sequence, reply.clone()));
        }
        if self.count >= TOGETHER {
            self.acknowledge(nats);
        }
    }

    fn acknowledge(&mut self, nats: &Nats) {
        if let Some((_, reply)) = std::mem::take(self).latest {
            // If this is not told, the messages come twice to a reader that knows what it waits for.
            let _ = delivery::ack(nats, &reply);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Bound { nats, stream, consumer, own, .. } = &self.shared.bound;
        let mut state = self.shared.lock();
        let Some(mut subscriber) = state.subscriber.take() else { return };
        let early = std::mem::take(&mut state.early);
        if *own {
            let subject = format!("$JS.API.CONSUMER.DELETE.{stream}.{consumer}").into();
            // It goes by itself after a while if this is not told.
            let _ = nats.send(Outbound { subject, reply: None, payload: bytes::Bytes::new(), headers: None });
            return;
        }
        let now = Instant::now();
        // A request of an idle subscriber is open for longer, and next to certain to bring nothing more.
        let left = state.open_until.saturating_duration_since(now);
        let open = state.under_way > early.len() && left <= OPEN * 2;
        let delay = if open { left } else { Duration::ZERO };
        let mut arrived: Vec<Message> = early.into_iter().map(|early| early.message).collect();
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(message)) = Pin::new(&mut subscriber).poll_next(&mut context) {
            arrived.push(message);
        }
        arrived.iter().for_each(|message| give_back(nats, message, delay));
        if open {
            // The server may be sending to this subscriber as we speak: nobody else would hear of it.
            let (until, nats) = (state.open_until + OPEN, nats.clone());
            nats.clone().before_close(hear_out(nats, subscriber, until));
        }
    }
}

impl Shared {
    /// The stream that it reads.
    pub(super) fn stream(&self) -> &str {
        &self.bound.stream
    }

    /// The next message, as far as the subscriber waits for one; asks for more when it is time.
    fn poll(&self, context: &mut Context<'_>) -> Poll<Next> {
        let state = &mut *self.lock();
        loop {
            let closed = || Poll::Ready(Next::Closed("the connection is closed".to_owned()));
            let Some(subscriber) = &mut state.subscriber else { return closed() };
            let message = match state.early.pop_front() {
                Some(early) => early.message,
                None => match Pin::new(subscriber).poll_next(context) {
                    Poll::Ready(Some(message)) => message,
                    Poll::Ready(None) => return closed(),
                    Poll::Pending => {
                        if let Some(text) = state.ends.take() {
                            return Poll::Ready(Next::Closed(text));
                        }
                        match &mut state.waker {
                            Some(waker) => waker.clone_from(context.waker()),
                            None => state.waker = Some(context.waker().clone()),
                        }
                        if state.under_way <= state.window.size() / 2 {
                            self.request(state);
                        }
                        return Poll::Pending;
                    }
                },
            };
            if let Some(status) = message.status {
                match self.status(state, status, &message) {
                    None => continue,
                    Some(next) => return Poll::Ready(next),
                }
            }
            // What is not from a consumer was sent here by somebody who guessed the inbox.
            let Some(place) = place(&message) else { continue };
            state.under_way = state.under_way.saturating_sub(1);
            state.open = OPEN;
            state.window.took(Instant::now);
            let size = state.window.size();
            if size > 1 && state.under_way <= size / 2 {
                self.request(state);
            }
            return Poll::Ready(Next::Message(message, place));
        }
    }

    /// Asks for what the window has room for.
    fn request(&self, state: &mut State) {
        let now = Instant::now();
        if state.not_before.is_some_and(|time| now < time) {
            return;
        }
        state.not_before = None;
        let Bound { nats, .. } = &self.bound;
        let size = state.window.size();
        let batch = size.saturating_sub(state.under_way).max(1);
        let open = if size > 1 { OPEN } else { state.open };
        let bytes = REQUEST_BYTES.max(nats.client().max_payload().saturating_mul(2));
        let payload = format!("{{\"batch\":{batch},\"max_bytes\":{bytes},\"expires\":{}}}", open.as_nanos()).into();
        let (subject, reply) = (self.next.clone(), Some(self.inbox.clone()));
        if nats.send(Outbound { subject, reply, payload, headers: None }).is_err() {
            state.not_before = Some(now + REST);
            return;
        }
        state.under_way += batch;
        state.open_until = state.open_until.max(now + open);
    }

    /// What the server says instead of a message.
    fn status(&self, state: &mut State, status: StatusCode, message: &Message) -> Option<Next> {
        let text = message.description.as_deref().unwrap_or_default().to_lowercase();
        match status {
            StatusCode::IDLE_HEARTBEAT => None,
            StatusCode::NO_RESPONDERS => {
                state.under_way = 0;
                Some(Next::Doubtful)
            }
            StatusCode::REQUEST_TERMINATED if text.contains("consumer deleted") || text.contains("push based") => {
                Some(Next::Gone)
            }
            _ => {
                let left = message.headers.as_ref().and_then(|headers| headers.get("Nats-Pending-Messages"));
                let left = left.and_then(|left| left.as_str().parse::<usize>().ok());
                state.under_way = left.map_or(0, |left| state.under_way.saturating_sub(left));
                let ordinary = matches!(status, StatusCode::TIMEOUT | StatusCode::NOT_FOUND)
                    || text.contains("maxbytes")
                    || text.contains("batch completed");
                if !ordinary {
                    tracing::debug!(%status, text, consumer = self.bound.consumer, "a request was refused");
                    state.not_before = Some(Instant::now() + REST);
                } else if state.under_way == 0 && status == StatusCode::TIMEOUT {
                    // Nothing came for a while: asked for less, and less often.
                    state.window.collapse(Instant::now());
                    state.open = (state.open * 2).min(OPEN_MAX);
                }
                None
            }
        }
    }

    fn rest(&self) {
        self.lock().not_before = Some(Instant::now() + REST);
    }

    /// Housekeeping, a few times a second: what waits too long goes back, what got lost is asked for again.
    pub(super) fn tick(&self, now: Instant) {
        let state = &mut *self.lock();
        let Some(subscriber) = &mut state.subscriber else { return };
        // With the subscriber's own waker: its wake-up is not lost if it waits after all.
        let waker = state.waker.clone();
        let mut context = Context::from_waker(waker.as_ref().unwrap_or(Waker::noop()));
        while let Poll::Ready(Some(message)) = Pin::new(&mut *subscriber).poll_next(&mut context) {
            state.early.push_back(Early { message, seen: now, touched: now });
        }
        let mut wake = !state.early.is_empty();
        if state.early.is_empty() && state.under_way > 0 && now > state.open_until + LATE {
            state.under_way = 0;
            wake = true;
        }
        if state.not_before.is_some_and(|time| now >= time) {
            state.not_before = None;
            wake = true;
        }
        self.give_back_stale(state, now);
        if wake && let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The connection is another: requests made on the old one are gone.
    pub(super) fn reconnected(&self) {
        let mut state = self.lock();
        state.under_way = state.early.len();
        state.not_before = None;
        let waker = state.waker.clone();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The server said something of this connection's doings.
    pub(super) fn server_said(&self, text: &str) {
        if crate::nats::forbids(text, &self.next) {
            self.end(text);
        }
    }

    /// What is here is still handed out; then it ends, and says why.
    pub(super) fn end(&self, why: &str) {
        let mut state = self.lock();
        state.ends = Some(why.to_owned());
        let waker = state.waker.clone();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// A subscriber that does not come for its messages is busy. Each goes back for it but once, since that costs it an
    /// attempt; one that was given back before is kept alive here.
    fn give_back_stale(&self, state: &mut State, now: Instant) {
        let Bound { nats, ack_wait, own, .. } = &self.bound;
        let stale = STALE.min(*ack_wait / 3);
        if *own || state.early.front().is_none_or(|early| now.saturating_duration_since(early.seen) < stale) {
            return;
        }
        let delay = state.open_until.saturating_duration_since(now).min(STALE);
        let before = state.early.len();
        state.early.retain_mut(|early| {
            let (Some(place), Some(reply)) = (place(&early.message), &early.message.reply) else { return true };
            if now.saturating_duration_since(early.seen) < stale {
                return true;
            }
            if place.attempt == 1 && delivery::nack(nats, reply, delay).is_ok() {
                return false;
            }
            if now.saturating_duration_since(early.touched) >= *ack_wait / 3 {
                // If this is not told, the message comes again, perhaps elsewhere.
                let _ = delivery::progress(nats, reply);
                early.touched = now;
            }
            true
        });
        let given = before - state.early.len();
        if given > 0 {
            state.under_way = state.under_way.saturating_sub(given);
            state.window.collapse(now);
            tracing::debug!(consumer = self.bound.consumer, given, "given back: the node is busy");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn give_back(nats: &Nats, message: &Message, delay: Duration) {
    if let (Some(reply), Some(_)) = (&message.reply, place(message)) {
        // If this is not told, it comes again after the ack wait.
        let _ = delivery::nack(nats, reply, delay);
    }
}

/// Listens until the last request is over, and gives back what comes.
async fn hear_out(nats: Nats, mut subscriber: Subscriber, until: Instant) {
    use futures::StreamExt as _;

    let end = tokio::time::sleep_until(until.into());
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => return,
            message = subscriber.next() => match message {
                None => return,
                Some(message) => give_back(&nats, &message, until.saturating_duration_since(Instant::now())),
            },
        }
    }
}
