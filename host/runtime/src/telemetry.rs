//! Metrics, readiness, and the measurements that nodes take. Logs go through `tracing`; `cli` decides where to.
//!
//! Label values come from the manifest alone, so their number is bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

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

/// All metrics of a process. Cheap to share; recording takes no lock beyond the family's.
pub struct Metrics {
    registry: Registry,
    /// Messages handled, by outcome.
    pub messages: Family<OutcomeLabels, Counter>,
    /// Seconds from delivery to the end of the handler.
    pub elapsed: Family<NodeLabels, Histogram, fn() -> Histogram>,
    /// Deliveries that were not the first attempt.
    pub redeliveries: Family<NodeLabels, Counter>,
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
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("krt");
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        let metrics = Self {
            messages: Family::default(),
            elapsed: Family::new_with_constructor(histogram),
            redeliveries: Family::default(),
            dead_letters: Family::default(),
            replaced_instances: Family::default(),
            calls: Family::default(),
            call_seconds: Family::new_with_constructor(histogram),
            in_flight: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register("node_messages", "Messages handled, by outcome", metrics.messages.clone());
        registry.register("node_elapsed_seconds", "Time in the handler", metrics.elapsed.clone());
        registry.register("node_redeliveries", "Deliveries after the first", metrics.redeliveries.clone());
        registry.register("node_dead_letters", "Messages given up", metrics.dead_letters.clone());
        registry.register("node_replaced_instances", "Instances replaced", metrics.replaced_instances.clone());
        registry.register("calls", "Calls answered, by status", metrics.calls.clone());
        registry.register("call_seconds", "Time from call to answer", metrics.call_seconds.clone());
        registry.register("calls_in_flight", "Calls waiting for their answer", metrics.in_flight.clone());
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
}

/// The point was dropped: the buffer is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the buffer for measurements is full")]
pub struct Dropped;

/// What the probes answer. Shared by all parts of a process.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<HealthState>);

#[derive(Debug, Default)]
struct HealthState {
    ready: AtomicBool,
}

impl Health {
    /// Ready for calls, or no longer.
    pub fn set_ready(&self, ready: bool) {
        self.0.ready.store(ready, Ordering::Release);
    }

    /// Whether calls can be answered.
    pub fn is_ready(&self) -> bool {
        self.0.ready.load(Ordering::Acquire)
    }
}
