//! One node's metrics, looked up once: a look-up by labels would cost more than a message. Never decides anything.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use crate::node::NodeError;
use crate::telemetry::{Admission, Allowance, Metrics, NodeLabels, OutcomeLabels};

/// Lines a second about messages that failed. Whoever sends them decides how many there are: what is beyond this is
/// counted, and stands in the metrics and the dead letters.
const LINES: usize = 20;

pub(super) struct Instruments {
    labels: NodeLabels,
    lines: Allowance,
    pub(super) elapsed: Histogram,
    pub(super) redeliveries: Counter,
    pub(super) in_hand: Gauge,
    pub(super) dead_letters: Counter,
    pub(super) malformed: Counter,
    ok: Counter,
    rejected: Counter,
    transient: Counter,
    trapped: Counter,
    timed_out: Counter,
    limit_exceeded: Counter,
    publish: Counter,
}

impl Instruments {
    pub(super) fn new(metrics: &Metrics, workflow: &str, node: &str) -> Self {
        let labels = NodeLabels { workflow: workflow.to_owned(), node: node.to_owned() };
        let outcome = |outcome| {
            let NodeLabels { workflow, node } = labels.clone();
            metrics.messages.get_or_create_owned(&OutcomeLabels { workflow, node, outcome })
        };
        Self {
            lines: Allowance::new(LINES),
            elapsed: metrics.elapsed.get_or_create_owned(&labels),
            in_hand: metrics.in_hand.get_or_create_owned(&labels),
            redeliveries: metrics.redeliveries.get_or_create_owned(&labels),
            dead_letters: metrics.dead_letters.get_or_create_owned(&labels),
            malformed: outcome("malformed"),
            ok: outcome("ok"),
            rejected: outcome("rejected"),
            transient: outcome("transient"),
            trapped: outcome("trapped"),
            timed_out: outcome("timed_out"),
            limit_exceeded: outcome("limit_exceeded"),
            publish: outcome("publish"),
            labels,
        }
    }

    /// Whether another line about a failed message may be written.
    pub(super) fn may_tell(&self) -> bool {
        let Admission { admitted, dropped } = self.lines.admit(1);
        if dropped > 0 {
            let NodeLabels { workflow, node } = &self.labels;
            tracing::warn!(workflow, node, "{dropped} lines about failed messages were left out: too many");
        }
        admitted
    }

    /// Counts how a handling ended.
    pub(super) fn count(&self, result: &Result<(), NodeError>) {
        let counter = match result {
            Ok(()) => &self.ok,
            Err(NodeError::Rejected(_)) => &self.rejected,
            Err(NodeError::Transient(_)) => &self.transient,
            Err(NodeError::Trapped { .. }) => &self.trapped,
            Err(NodeError::TimedOut(_)) => &self.timed_out,
            Err(NodeError::LimitExceeded(_)) => &self.limit_exceeded,
            Err(NodeError::Publish(_)) => &self.publish,
        };
        counter.inc();
    }
}
