//! All consumers of a node as one source, fair between them; binds again, with back-off, to what is lost.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::Runner;
use crate::bus::{Bus, Consumer, Deliveries, Delivery, SubscribeError};
use crate::telemetry::Part;

/// First pause before another try to bind; it doubles.
const BACKOFF: Duration = Duration::from_millis(100);

/// Longest pause: a bus that is back is noticed within it.
const BACKOFF_MAX: Duration = Duration::from_secs(10);

pub(super) struct Intake {
    sources: Vec<Source>,
    /// Whose turn it is to be looked at first.
    turn: usize,
    /// Every source is bound, as last told.
    bound: bool,
    ready: Arc<Part>,
    stop: CancellationToken,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
}

struct Source {
    bus: Arc<dyn Bus>,
    consumer: Consumer,
    node: String,
    state: State,
    failures: u32,
}

enum State {
    Binding(BoxFuture<'static, Result<Deliveries, SubscribeError>>),
    Bound(Deliveries),
    Resting(Pin<Box<Sleep>>),
}

impl Intake {
    pub(super) fn new(runner: &Runner, stop: CancellationToken) -> Self {
        let source = |consumer: &Consumer| Source {
            bus: runner.bus.clone(),
            consumer: consumer.clone(),
            node: runner.node_name.clone(),
            state: State::Binding(runner.bus.subscribe(consumer.clone())),
            failures: 0,
        };
        let sources = runner.consumers.iter().map(source).collect();
        let ready = runner.ready.clone();
        Self { sources, turn: 0, bound: false, ready, stopped: Box::pin(stop.clone().cancelled_owned()), stop }
    }

    /// The next delivery; none once stopped. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Delivery> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Delivery>> {
        if self.stop.is_cancelled() {
            return Poll::Ready(None);
        }
        let number = self.sources.len();
        for offset in 0..number {
            let index = (self.turn + offset) % number;
            if let Poll::Ready(delivery) = self.sources[index].poll(context) {
                self.turn = (index + 1) % number;
                return Poll::Ready(Some(delivery));
            }
        }
        let bound = self.sources.iter().all(|source| matches!(source.state, State::Bound(_)));
        if std::mem::replace(&mut self.bound, bound) != bound {
            self.ready.set_ready(bound);
        }
        // Only now: a busy node does not pay for this registration a message.
        self.stopped.as_mut().poll(context).map(|()| None)
    }
}

impl Source {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Delivery> {
        loop {
            match &mut self.state {
                State::Bound(deliveries) => match ready!(deliveries.as_mut().poll_next(context)) {
                    Some(Ok(delivery)) => {
                        self.failures = 0;
                        return Poll::Ready(delivery);
                    }
                    Some(Err(error)) => self.rest(&error.to_string()),
                    None => self.rest("the consumer ended"),
                },
                State::Binding(binding) => match ready!(binding.as_mut().poll(context)) {
                    Ok(deliveries) => {
                        if self.failures > 0 {
                            tracing::info!(node = self.node, consumer = ?self.consumer, "bound again");
                        }
                        self.state = State::Bound(deliveries);
                    }
                    Err(error) => self.rest(&error.to_string()),
                },
                State::Resting(rest) => {
                    ready!(rest.as_mut().poll(context));
                    self.state = State::Binding(self.bus.subscribe(self.consumer.clone()));
                }
            }
        }
    }

    /// Failures are forgotten with a delivery, not with binding: a consumer bound and lost in turns is not hammered.
    fn rest(&mut self, error: &str) {
        let pause = BACKOFF.saturating_mul(1 << self.failures.min(16)).min(BACKOFF_MAX);
        self.failures += 1;
        tracing::warn!(node = self.node, consumer = ?self.consumer, error, ?pause, "lost a consumer; bound again after a pause");
        self.state = State::Resting(Box::pin(tokio::time::sleep(pause)));
    }
}
