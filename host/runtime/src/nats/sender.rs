//! Sending in the order of calls without waiting: straight to the client while it has room, else by way of a bounded queue
//! that a task empties. Never drops what it took.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::client::Client;
use async_nats::{PublishError, PublishErrorKind};
use futures::{FutureExt as _, Sink};
use tokio::sync::{Notify, watch};

pub(crate) use async_nats::message::OutboundMessage as Outbound;

/// Messages that wait while the client has no room: a connection that is away for seconds under full load.
const MESSAGES: usize = 1 << 16;

/// Their bytes.
const BYTES: usize = 128 << 20;

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotSent {
    /// Larger than the server takes, headers included.
    TooLarge,
    /// As many wait as may.
    Crowded,
    /// The connection is closed for good.
    Closed,
}

/// The way out of one connection.
pub(super) struct Sender {
    queue: Arc<Queue>,
    pump: tokio::task::AbortHandle,
}

struct Queue {
    state: Mutex<State>,
    wake: Notify,
    /// Whether nothing waits here.
    idle: watch::Sender<bool>,
}

struct State {
    client: Client,
    waiting: VecDeque<Outbound>,
    bytes: usize,
}

impl Sender {
    pub(super) fn new(client: Client) -> Self {
        let queue = Arc::new(Queue {
            state: Mutex::new(State { client: client.clone(), waiting: VecDeque::new(), bytes: 0 }),
            wake: Notify::new(),
            idle: watch::Sender::new(true),
        });
        let pump = tokio::spawn(pump(queue.clone(), client)).abort_handle();
        Self { queue, pump }
    }

    pub(super) fn send(&self, message: Outbound) -> Result<(), NotSent> {
        let mut state = self.queue.lock();
        if state.waiting.is_empty() {
            // Not subject to the task's budget: when that is used up the client only seems to have no room.
            let ready = tokio::task::unconstrained(poll_fn(|context| Pin::new(&mut state.client).poll_ready(context)));
            match ready.now_or_never() {
                Some(Ok(())) => return Pin::new(&mut state.client).start_send(message).map_err(|e| not_sent(&e)),
                Some(Err(error)) => return Err(not_sent(&error)),
                None => {}
            }
        }
        let size = size(&message);
        if state.waiting.len() >= MESSAGES || state.bytes.saturating_add(size) > BYTES {
            return Err(NotSent::Crowded);
        }
        if size > state.client.max_payload() {
            return Err(NotSent::TooLarge);
        }
        state.bytes += size;
        state.waiting.push_back(message);
        if state.waiting.len() == 1 {
            self.queue.idle.send_replace(false);
            self.queue.wake.notify_one();
        }
        Ok(())
    }

    /// Waits until the client has all that was sent before.
    pub(super) async fn idle(&self) {
        // The sender is here: the channel does not close meanwhile.
        let _ = self.queue.idle.subscribe().wait_for(|idle| *idle).await;
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands over what waits, first come first served: the queue is empty only when the client has its last message.
async fn pump(queue: Arc<Queue>, mut client: Client) {
    loop {
        queue.wake.notified().await;
        loop {
            let room = poll_fn(|context| Pin::new(&mut client).poll_ready(context)).await;
            let mut state = queue.lock();
            let Some(message) = state.waiting.pop_front() else {
                queue.idle.send_replace(true);
                break;
            };
            state.bytes -= size(&message);
            let sent = room.and_then(|()| Pin::new(&mut client).start_send(message));
            if let Err(error) = sent {
                // Whoever waits for an answer to it waits in vain, and for a bounded time.
                tracing::debug!(%error, "a message was not sent");
            }
        }
    }
}

/// About the bytes on the wire, headers included; never fewer than the server counts.
fn size(message: &Outbound) -> usize {
    let headers = message.headers.iter().flat_map(|headers| headers.iter());
    let line = |name: &str, value: &str| name.len() + value.len() + ": \r\n".len();
    let lines = headers.flat_map(|(name, values)| values.iter().map(move |value| line(name.as_ref(), value.as_str())));
    message.payload.len() + lines.sum::<usize>() + "NATS/1.0\r\n\r\n".len()
}

fn not_sent(error: &PublishError) -> NotSent {
    match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => NotSent::TooLarge,
        _ => NotSent::Closed,
    }
}
