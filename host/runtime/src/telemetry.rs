//! Metrics, readiness, and the measurements that nodes take. Logs go through `tracing`; `cli` decides where to.
//!
//! Label values come from the manifest alone, so their number is bounded.

mod allowance;
mod influx;
mod line;
mod measurements;
mod post;
mod text;
mod times;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

pub use self::allowance::{Admission, Allowance};
pub use self::influx::{GaugesAndInflux, InfluxLimits, InfluxMeasurements, InfluxTask};
pub use self::measurements::GaugeMeasurements;
pub use self::post::InvalidUri;
pub use self::text::{clean, cut};
pub use self::times::Times;

/// 50 µs to 30 s, roughly times three: a warm wasm node is at the one end, a time-out at the other.
const BUCKETS: [f64; 13] = [50e-6, 150e-6, 500e-6, 1.5e-3, 5e-3, 15e-3, 50e-3, 0.15, 0.5, 1.5, 5.0, 15.0, 30.0];

/// Which node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct NodeLabels {
    /// Workflow name.
    pub workflow: String,
    /// Node name.
    pub node: String,
}

/// Which node, and how its handler ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabels {
    /// Workflow name.
    pub workflow: String,
    /// Node name.
    pub node: String,
    /// `ok`, `rejected`, `transient`, `trapped`, `timed_out`, `limit_exceeded`, `publish` or `malformed`.
    pub outcome: &'static str,
}

/// Which method, and how its call ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallLabels {
    /// RPC method.
    pub method: String,
    /// gRPC status code name, `OK` included.
    pub status: &'static str,
}

/// Gauges with labels that are not known beforehand.
type Gauges = Family<Vec<(String, String)>, Gauge<f64, AtomicU64>>;

/// All metrics of a process. Cheap to share; recording takes no lock beyond the family's.
pub struct Metrics {
    registry: Registry,
    /// Messages handled, by outcome.
    pub messages: Family<OutcomeLabels, Counter>,
    /// Seconds from delivery to the end of the handler.
    pub elapsed: Family<NodeLabels, Histogram, fn() -> Histogram>,
    /// Deliveries that were not the first attempt.
    pub redeliveries: Family<NodeLabels, Counter>,
    /// Messages that a node has in hand.
    pub in_hand: Family<NodeLabels, Gauge>,
    /// Messages that ended as dead letters.
    pub dead_letters: Family<NodeLabels, Counter>,
    /// Instances that were replaced: trapped, timed out or grown too large.
    pub replaced_instances: Family<NodeLabels, Counter>,
    /// Calls answered, by status.
    pub calls: Family<CallLabels, Counter>,
    /// Seconds from call to answer, by method (the status is empty).
    pub call_seconds: Family<CallLabels, Histogram, fn() -> Histogram>,
    /// Calls waiting for their answer.
    pub in_flight: Gauge,
    /// Points that a database of measurements never got.
    pub measurements_dropped: Counter,
    /// What nodes measure.
    measurements: Gauges,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("krt");
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        let metrics = Self {
            messages: Family::default(),
            elapsed: Family::new_with_constructor(histogram),
            redeliveries: Family::default(),
            in_hand: Family::default(),
            dead_letters: Family::default(),
            replaced_instances: Family::default(),
            calls: Family::default(),
            call_seconds: Family::new_with_constructor(histogram),
            in_flight: Gauge::default(),
            measurements_dropped: Counter::default(),
            measurements: Family::default(),
            registry: Registry::default(),
        };
        registry.register("node_messages", "Messages handled, by outcome", metrics.messages.clone());
        registry.register("node_elapsed_seconds", "Time in the handler", metrics.elapsed.clone());
        registry.register("node_in_hand", "Messages that a node has in hand", metrics.in_hand.clone());
        registry.register("node_redeliveries", "Deliveries after the first", metrics.redeliveries.clone());
        registry.register("node_dead_letters", "Messages given up", metrics.dead_letters.clone());
        registry.register("node_replaced_instances", "Instances replaced", metrics.replaced_instances.clone());
        registry.register("calls", "Calls answered, by status", metrics.calls.clone());
        registry.register("call_seconds", "Time from call to answer", metrics.call_seconds.clone());
        registry.register("calls_in_flight", "Calls waiting for their answer", metrics.in_flight.clone());
        registry.register("measurement", "Last values that nodes measured", metrics.measurements.clone());
        let dropped = metrics.measurements_dropped.clone();
        registry.register("measurements_dropped", "Points that InfluxDB never got", dropped);
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// The OpenMetrics text that `/metrics` serves.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

/// One point of a time series, taken by a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Name of the measurement.
    pub name: String,
    /// At least one.
    pub fields: Vec<(String, FieldValue)>,
    /// The node's own tags; `version`, `workflow` and `node` are among them when it reaches a sink.
    pub tags: Vec<(String, String)>,
    /// Nanoseconds since the Unix epoch; none = now.
    pub time: Option<i64>,
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue {
    /// Finite.
    Float(f64),
    /// Signed.
    Signed(i64),
    /// Unsigned.
    Unsigned(u64),
    /// Boolean.
    Boolean(bool),
    /// Text.
    Text(String),
}

/// Where points go. Taking one never waits.
pub trait Measurements: Send + Sync + 'static {
    /// Takes a point.
    ///
    /// # Errors
    /// Dropped: the buffer is full.
    fn save(&self, point: Point) -> Result<(), Dropped>;

    /// Where the time of every message goes, if this has a place for it.
    fn times(&self) -> Option<Arc<dyn Measurements>> {
        None
    }
}

/// The point was dropped: the buffer is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the buffer for measurements is full")]
pub struct Dropped;

/// What the probes answer. Shared by all parts of a process; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Health(watch::Sender<Readiness>);

/// One part of a process that must be ready before the whole is. Dropped, it no longer counts.
#[derive(Debug)]
pub struct Part {
    health: Health,
    name: Arc<str>,
    id: u64,
}

#[derive(Debug, Default)]
struct Readiness {
    ready: bool,
    next: u64,
    waiting: Vec<(u64, Arc<str>)>,
}

impl Readiness {
    fn is_ready(&self) -> bool {
        self.ready && self.waiting.is_empty()
    }
}

impl Health {
    /// Ready for calls as far as the whole is concerned, or no longer. Its parts have their own word.
    pub fn set_ready(&self, ready: bool) {
        self.0.send_if_modified(|state| std::mem::replace(&mut state.ready, ready) != ready);
    }

    /// Whether calls can be answered: the whole is ready and so is each part.
    pub fn is_ready(&self) -> bool {
        self.0.borrow().is_ready()
    }

    /// A part that is not ready yet.
    pub fn part(&self, name: impl Into<Arc<str>>) -> Part {
        let name = name.into();
        let mut id = 0;
        self.0.send_modify(|state| {
            id = state.next;
            state.next += 1;
            state.waiting.push((id, name.clone()));
        });
        Part { health: self.clone(), name, id }
    }

    /// The parts that are not ready, by name.
    pub fn waiting_for(&self) -> Vec<Arc<str>> {
        self.0.borrow().waiting.iter().map(|(_, name)| name.clone()).collect()
    }

    /// Waits until [`Self::is_ready`] says `ready`.
    pub async fn until(&self, ready: bool) {
        // The sender is `self`: the channel cannot close meanwhile.
        let _ = self.0.subscribe().wait_for(|state| state.is_ready() == ready).await;
    }
}

impl Part {
    /// Ready, or not yet, or no longer.
    pub fn set_ready(&self, ready: bool) {
        self.health.0.send_if_modified(|state| {
            let known = state.waiting.iter().position(|(id, _)| *id == self.id);
            match (ready, known) {
                (true, Some(index)) => drop(state.waiting.remove(index)),
                (false, None) => state.waiting.push((self.id, self.name.clone())),
                _ => return false,
            }
            true
        });
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.set_ready(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_the_whole_and_every_part() {
        let health = Health::default();
        let part = health.part("replies");
        health.set_ready(true);
        assert!(!health.is_ready());
        assert_eq!(health.waiting_for(), ["replies".into()]);
        part.set_ready(true);
        assert!(health.is_ready());
        health.set_ready(false);
        assert!(!health.is_ready());
    }

    #[test]
    fn a_dropped_part_no_longer_counts() {
        let health = Health::default();
        health.set_ready(true);
        drop(health.part("gone"));
        assert!(health.is_ready());
    }

    #[tokio::test]
    async fn waiting_for_readiness_ends_with_the_last_part() {
        let health = Health::default();
        let part = health.part("replies");
        health.set_ready(true);
        let waiting = tokio::spawn({
            let health = health.clone();
            async move { health.until(true).await }
        });
        part.set_ready(true);
        waiting.await.unwrap();
    }
}
