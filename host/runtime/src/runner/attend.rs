//! One delivery, from the first look at it to its settlement.

use std::any::Any;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use super::Runner;
use super::dead_letter::{self, Cause};
use super::instruments::Instruments;
use crate::bus::{Delivery, FOR, PublishError, SettleError};
use crate::message::{DecodeError, Message};
use crate::node::NodeError;
use crate::outbox::{Origin, Outbox};

/// Bytes of the text in an ERROR envelope. It ends in a gRPC status, whose receivers take some kilobytes of it.
const ERROR_TEXT: usize = 4 * 1024;

/// Deliveries beyond a message's attempts after which it counts as one that kills whoever has it. The bus counts deliveries, not
/// attempts: what a drain gives back, and what waited in a host that died, was delivered and never tried.
const UNTRIED: u32 = 5;

/// A runner at work.
pub(super) struct Attendant {
    pub(super) runner: Runner,
    pub(super) instruments: Instruments,
    pub(super) stop: CancellationToken,
}

/// What became of a delivery before it is settled.
enum Outcome {
    /// The node has had it.
    Handled(Result<(), NodeError>),
    /// A dead letter that another reader of the subject is to have again: this one had it, and must not twice.
    ForAnother,
    /// Its bytes are not an envelope.
    Malformed(DecodeError),
    /// Delivered more often than it may be: whoever had it before died with it.
    Exhausted,
}

/// How a delivery is settled.
enum Settled {
    Ack,
    Nack(Duration),
}

/// Closes the outbox however a handling ends, also when it is abandoned: whoever still holds it sends no more.
struct Over<'a>(&'a Outbox);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A delivery that the node has had, and that is not settled yet.
pub(super) struct Unsettled {
    delivery: Delivery,
    outbox: Option<Outbox>,
    outcome: Outcome,
}

impl Unsettled {
    /// Whether something it sent still waits for the bus's word: then the node may go on meanwhile.
    pub(super) fn waits(&self) -> bool {
        self.outbox.as_ref().is_some_and(Outbox::waits)
    }
}

impl Attendant {
    /// Hands a delivery to the node. None: the drain's grace ended first, and it went back to the bus.
    pub(super) async fn attend(&self, delivery: Delivery) -> Option<Unsettled> {
        if delivery.attempt > 1 {
            self.instruments.redeliveries.inc();
        }
        self.instruments.in_hand.inc();
        let worked = self.keep(&delivery, self.work(&delivery)).await;
        self.instruments.in_hand.dec();
        match worked {
            Some((outbox, outcome)) => Some(Unsettled { delivery, outbox, outcome }),
            None => {
                self.give_back(delivery).await;
                None
            }
        }
    }

    /// Waits until the bus has what follows from the handling, and settles.
    pub(super) async fn finish(&self, unsettled: Unsettled) {
        let Unsettled { delivery, outbox, outcome } = unsettled;
        let settle = async {
            let outcome = self.accepted(outbox.as_ref(), outcome).await;
            self.settle(&delivery, outbox.as_ref(), outcome).await
        };
        let told = match self.keep(&delivery, settle).await {
            Some(Settled::Ack) => delivery.ack().await,
            Some(Settled::Nack(delay)) => delivery.nack(delay).await,
            None => return self.give_back(delivery).await,
        };
        self.told(told);
    }

    /// [`Self::finish`] in a task of its own, as soon as there is a place for it.
    pub(super) async fn finish_aside(
        self: Arc<Self>,
        handled: Unsettled,
        places: &Arc<Semaphore>,
        tasks: &TaskTracker,
    ) {
        // The semaphore is never closed.
        let place = places.clone().acquire_owned().await;
        tasks.spawn(async move {
            self.finish(handled).await;
            drop(place);
        });
    }

    /// Abandoned in a drain: somebody else may have it at once.
    async fn give_back(&self, delivery: Delivery) {
        self.told(delivery.nack(Duration::ZERO).await);
    }

    fn told(&self, result: Result<(), SettleError>) {
        if let Err(error) = result {
            tracing::warn!(workflow = self.runner.workflow, node = self.runner.node_name, %error, "not settled");
        }
    }

    async fn work(&self, delivery: &Delivery) -> (Option<Outbox>, Outcome) {
        if delivery.headers.get(FOR).is_some_and(|node| node != self.runner.node_name) {
            return (None, Outcome::ForAnother);
        }
        match Message::decode(delivery.payload.clone()) {
            Err(error) => (None, Outcome::Malformed(error)),
            Ok(message) => {
                let outbox = self.outbox(delivery, &message);
                let outcome = if delivery.attempt > self.runner.retry.attempts.saturating_add(UNTRIED) {
                    Outcome::Exhausted
                } else {
                    Outcome::Handled(self.handle(message, &outbox).await)
                };
                (Some(outbox), outcome)
            }
        }
    }

    /// Waits until what the node sent is accepted: only then is a message handled.
    async fn accepted(&self, outbox: Option<&Outbox>, outcome: Outcome) -> Outcome {
        let handled = match outcome {
            Outcome::Handled(handled) => handled,
            outcome => return outcome,
        };
        let result = match handled {
            // What else failed sends all of it again: there is nothing to wait for.
            Ok(()) | Err(NodeError::Rejected(_)) => match outbox {
                Some(outbox) => outbox.accepted().await.map_err(NodeError::Publish).and(handled),
                None => handled,
            },
            failed => failed,
        };
        self.instruments.count(&result);
        Outcome::Handled(result)
    }

    /// The one place that knows what follows from how a handling ended.
    async fn settle(&self, delivery: &Delivery, outbox: Option<&Outbox>, outcome: Outcome) -> Settled {
        let retry = &self.runner.retry;
        let published = match outcome {
            Outcome::Handled(Ok(())) | Outcome::ForAnother => return Settled::Ack,
            // The message is at fault. Errors are data: this one goes where outputs go (contract, trap 5).
            Outcome::Handled(Err(NodeError::Rejected(cause))) => self.tell(delivery, outbox, &cause).await,
            // The world or the node is at fault: again, each time later, until the last attempt.
            Outcome::Handled(Err(error)) if delivery.attempt < retry.attempts => {
                return self.again(delivery, outbox, &error);
            }
            Outcome::Handled(Err(error)) => self.give_up(delivery, outbox, &error).await,
            Outcome::Exhausted => {
                let reason = format!("not one of its {} deliveries came to an end", delivery.attempt - 1);
                self.give_up(delivery, outbox, &NodeError::Transient(reason)).await
            }
            // There is nobody to tell: the request's id is in the envelope.
            Outcome::Malformed(error) => {
                self.instruments.malformed.inc();
                self.bury(delivery, None, &NodeError::Rejected(error.to_string())).await
            }
        };
        match published {
            Ok(()) => Settled::Ack,
            Err(error) => self.again(delivery, outbox, &NodeError::Publish(error)),
        }
    }

    /// Hands the message to the node.
    async fn handle(&self, message: Message, outbox: &Outbox) -> Result<(), NodeError> {
        let times = self.runner.times.as_ref().map(|times| (times, message.from_node.clone()));
        let started = Instant::now();
        let handled = {
            let _over = Over(outbox);
            self.call(message, outbox.clone()).await
        };
        let elapsed = started.elapsed();
        self.instruments.elapsed.observe(elapsed.as_secs_f64());
        if let Some((times, from_node)) = times {
            times.save(&from_node, elapsed, handled.is_ok());
        }
        handled
    }

    async fn call(&self, message: Message, outbox: Outbox) -> Result<(), NodeError> {
        let Runner { node, timeout, workflow, node_name, .. } = &self.runner;
        let span = tracing::debug_span!("message", workflow, node = node_name, request_id = message.request_id);
        // Called within the future, so that a panic on the way to one is caught, too.
        let handling = async move { node.handle(message, outbox).await };
        let mut handling = pin!(AssertUnwindSafe(handling.instrument(span)).catch_unwind());
        let ended = match (first_poll(handling.as_mut()).await, *timeout) {
            (Poll::Ready(ended), _) => ended,
            (Poll::Pending, None) => handling.await,
            (Poll::Pending, Some(limit)) => match tokio::time::timeout(limit, handling).await {
                Ok(ended) => ended,
                Err(_) => return Err(NodeError::TimedOut(limit)),
            },
        };
        ended.unwrap_or_else(|panic| Err(NodeError::Trapped { message: panic_text(&*panic), backtrace: String::new() }))
    }

    /// Awaits work on a delivery, with signs of life while it takes long; none if a drain's grace ends before it.
    async fn keep<T>(&self, delivery: &Delivery, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        // Most handlings end here, and arm no timer.
        if let Poll::Ready(done) = first_poll(work.as_mut()).await {
            return Some(done);
        }
        let Runner { ack_wait, grace, workflow, node_name: node, .. } = &self.runner;
        let every = (*ack_wait / 3).max(Duration::from_millis(1));
        let mut life = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
        life.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut abandoned = pin!(async {
            self.stop.cancelled().await;
            tokio::time::sleep(*grace).await;
        });
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                () = &mut abandoned => {
                    let sequence = delivery.id.sequence;
                    tracing::warn!(workflow, node, sequence, "the grace period is over: left to redelivery");
                    return None;
                }
                _ = life.tick() => if let Err(error) = delivery.progress().await {
                    tracing::debug!(workflow, node, %error, "no sign of life");
                },
            }
        }
    }

    fn outbox(&self, delivery: &Delivery, message: &Message) -> Outbox {
        let origin = Origin {
            delivery: delivery.id.clone(),
            subject: delivery.subject.clone(),
            attempt: delivery.attempt,
            request_id: message.request_id.clone(),
            payload: message.payload.clone(),
            traceparent: delivery.headers.get("traceparent").map(str::to_owned),
            deadline: self.runner.timeout.map(|limit| Instant::now() + limit),
        };
        Outbox::new(self.runner.outbox.clone(), origin)
    }

    fn again(&self, delivery: &Delivery, outbox: Option<&Outbox>, error: &NodeError) -> Settled {
        let Runner { workflow, node_name: node, retry, .. } = &self.runner;
        let delay = retry.delay_after(delivery.attempt);
        let (request_id, attempt, error) = (request_id(outbox), delivery.attempt, error.to_string());
        if self.instruments.may_tell() {
            tracing::warn!(workflow, node, request_id, attempt, ?delay, error = ?cut(&error), "comes again");
        }
        Settled::Nack(delay)
    }

    /// A dead letter and the ERROR envelope.
    async fn give_up(
        &self,
        delivery: &Delivery,
        outbox: Option<&Outbox>,
        error: &NodeError,
    ) -> Result<(), PublishError> {
        self.bury(delivery, outbox, error).await?;
        self.tell(delivery, outbox, &error.to_string()).await
    }

    /// Sends the ERROR envelope.
    async fn tell(&self, delivery: &Delivery, outbox: Option<&Outbox>, cause: &str) -> Result<(), PublishError> {
        let Some(outbox) = outbox else { return Ok(()) };
        let Runner { workflow, node_name: node, .. } = &self.runner;
        // Read once more, instead of keeping a copy of the name for each message that does not fail.
        let from = Message::decode(delivery.payload.clone()).map(|m| m.from_node).unwrap_or_default();
        let text = format!("error in node {node:?} executing handler for node {from:?}: {cause}");
        let (text, request_id) = (cut(&text), request_id(Some(outbox)));
        // An error that is data is the node's own business; of one that is not, a line stands here already.
        tracing::debug!(workflow, node, request_id, error = ?text, "an error goes out");
        if let Err(error) = outbox.send_error(text) {
            // A request id that fills the limit by itself. Nothing smaller can be said, and waiting would not help.
            tracing::error!(workflow, node, %error, "the ERROR envelope cannot be sent");
        }
        outbox.accepted().await
    }

    /// Publishes the dead letter.
    async fn bury(&self, delivery: &Delivery, outbox: Option<&Outbox>, error: &NodeError) -> Result<(), PublishError> {
        let Runner { bus, workflow, node_name: node, dead_letters, .. } = &self.runner;
        let backtrace = match error {
            NodeError::Trapped { backtrace, .. } => backtrace,
            _ => "",
        };
        let (request_id, reason) = (request_id(outbox), error.to_string());
        let cause = Cause { workflow, node, request_id, reason: &reason, backtrace };
        bus.publish(dead_letter::publication(dead_letters, delivery, &cause, bus.max_payload())).await?;
        self.instruments.dead_letters.inc();
        if self.instruments.may_tell() {
            tracing::error!(workflow, node, request_id, attempt = delivery.attempt, reason = ?cut(&reason), "given up");
        }
        Ok(())
    }
}

/// Polls once, so that what is ready needs nothing around it.
async fn first_poll<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

fn request_id(outbox: Option<&Outbox>) -> Option<&str> {
    outbox.map(|outbox| cut(&outbox.origin().request_id))
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(ERROR_TEXT)]
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("without a text"))
}
