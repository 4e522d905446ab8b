//! One node's loop: delivery → node → settle. The one place that settles a message.
//!
//! A message is acknowledged only after the bus has accepted everything that follows from it. Never looks into a payload,
//! never knows what a node is made of.

mod attend;
mod dead_letter;
mod instruments;
mod intake;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use krt::topology::Retry;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::attend::Attendant;
use self::instruments::Instruments;
use self::intake::Intake;
use crate::bus::{Bus, Consumer};
use crate::node::Node;
use crate::outbox::OutboxOptions;
use crate::telemetry::{Metrics, Part, Times};

/// How long a drain waits for what is in hand, unless told otherwise: two thirds of the 30 s that Kubernetes gives a pod.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(20);

/// Messages of a node that were handled and wait for the bus's word, so that a bus with a round trip of a millisecond
/// does not hold a node of microseconds. More of them, and the node waits for the bus.
const UNSETTLED: usize = 1024;

/// A node and all it needs to be run.
pub struct Runner {
    /// What handles messages.
    pub node: Arc<dyn Node>,
    /// Where they come from, and where dead letters go.
    pub bus: Arc<dyn Bus>,
    /// How outputs go out.
    pub outbox: Arc<OutboxOptions>,
    /// One a subscription of the node.
    pub consumers: Vec<Consumer>,
    /// Workflow name, for logs and metrics.
    pub workflow: String,
    /// Node name.
    pub node_name: String,
    /// Messages in hand at once, over all consumers. At least 1.
    pub concurrency: usize,
    /// How often and how soon a message comes again.
    pub retry: Retry,
    /// Wall clock for one handling; none when the node keeps its own.
    pub timeout: Option<Duration>,
    /// The durables' ack wait: a handling that takes a third of it begins to signal progress.
    pub ack_wait: Duration,
    /// The subject for messages that nobody could handle.
    pub dead_letters: Arc<str>,
    /// How long a drain waits for what is in hand before it leaves it to redelivery.
    pub grace: Duration,
    /// Says whether all consumers are bound.
    pub ready: Arc<Part>,
    /// Where counts and times go.
    pub metrics: Arc<Metrics>,
    /// Where the time of each single message goes.
    pub times: Option<Times>,
}

impl Runner {
    /// Runs until `stop`; returns after the drain: it takes nothing more, finishes what is in hand within the grace
    /// period, and gives the rest back to the bus to be delivered again at once.
    ///
    /// # Assumptions
    /// A node that keeps its thread busy yields to the scheduler now and then; otherwise neither progress nor the end of
    /// the grace period reach it.
    pub async fn run(self, stop: CancellationToken) {
        let concurrency = self.concurrency.max(1);
        let mut intake = Intake::new(&self, stop.clone());
        let instruments = Instruments::new(&self.metrics, &self.workflow, &self.node_name);
        let attendant = Attendant { runner: self, instruments, stop };
        let (attendant, tasks) = (Arc::new(attendant), TaskTracker::new());
        let unsettled = Arc::new(Semaphore::new(UNSETTLED));
        if concurrency == 1 {
            // In this very task: a message costs no task and no wake-up of its own, unless the bus is slower than the node.
            while let Some(delivery) = intake.next().await {
                let Some(handled) = attendant.attend(delivery).await else { continue };
                if handled.waits() {
                    attendant.clone().finish_aside(handled, &unsettled, &tasks).await;
                } else {
                    attendant.finish(handled).await;
                }
            }
        } else {
            attend_many(&attendant, &mut intake, concurrency, &unsettled, &tasks).await;
        }
        tasks.close();
        tasks.wait().await;
    }
}

/// A task a message: handlers that compute run on as many threads as there are.
async fn attend_many(
    attendant: &Arc<Attendant>,
    intake: &mut Intake,
    concurrency: usize,
    unsettled: &Arc<Semaphore>,
    tasks: &TaskTracker,
) {
    let free = Arc::new(Semaphore::new(concurrency));
    // The semaphores are never closed.
    while let (Ok(hand), Ok(place)) = (free.clone().acquire_owned().await, unsettled.clone().acquire_owned().await) {
        let Some(delivery) = intake.next().await else { break };
        let attendant = attendant.clone();
        tasks.spawn(async move {
            let handled = attendant.attend(delivery).await;
            // The bus may take its time with the outputs: the node goes on.
            drop(hand);
            if let Some(handled) = handled {
                attendant.finish(handled).await;
            }
            drop(place);
        });
    }
}
