//! What a guest says, as log lines that cannot be mistaken for anybody else's, and no more of them than a node may write.

use std::sync::atomic::{AtomicU64, Ordering};

use super::bindings::krt::node::logging::Level;
use super::node::Identity;
use crate::telemetry::{Admission, Allowance, clean, cut};

/// An empty line is not free.
const LINE: usize = 32;

/// The log of one node: all its instances write through it.
pub(super) struct GuestLog {
    workflow: String,
    node: String,
    line: usize,
    allowance: Allowance,
    /// Lines that were beyond it, ever.
    excess: AtomicU64,
}

impl GuestLog {
    pub(super) fn new(identity: &Identity, line: usize, per_second: usize) -> Self {
        let Identity { workflow, node, .. } = identity;
        Self {
            workflow: workflow.clone(),
            node: node.clone(),
            line,
            allowance: Allowance::new(per_second),
            excess: AtomicU64::new(0),
        }
    }

    /// The longest line in bytes.
    pub(super) fn line_limit(&self) -> usize {
        self.line
    }

    /// How many of the guest's lines were dropped since the node started.
    pub(super) fn excess(&self) -> u64 {
        self.excess.load(Ordering::Relaxed)
    }

    /// One line, or the count of it.
    pub(super) fn write(&self, level: Level, request_id: &str, text: &str, fields: &[(String, String)]) {
        if !is_kept(level) {
            return;
        }
        let text = cut(text, self.line);
        let fields = render(fields, self.line);
        let Admission { admitted, dropped } = self.allowance.admit(LINE + text.len() + fields.len());
        self.tell_dropped(request_id, dropped);
        if admitted {
            self.emit(level, request_id, &clean(text), &clean(&fields));
        } else {
            self.excess.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What killed an instance. The host says it, but the guest decides how often: it comes out of the same allowance.
    pub(super) fn fault(&self, request_id: &str, text: &str, backtrace: &str) {
        let text = cut(text, self.line);
        let Admission { admitted, dropped } = self.allowance.admit(LINE + text.len() + backtrace.len());
        self.tell_dropped(request_id, dropped);
        if admitted {
            let Self { workflow, node, .. } = self;
            let (text, backtrace) = (clean(text), clean(backtrace));
            if backtrace.is_empty() {
                tracing::error!(%workflow, %node, %request_id, "{text}");
            } else {
                tracing::error!(%workflow, %node, %request_id, %backtrace, "{text}");
            }
        }
    }

    fn tell_dropped(&self, request_id: &str, dropped: usize) {
        if dropped > 0 {
            self.emit(Level::Warn, request_id, &format!("{dropped} log lines of this node were dropped: too many"), "");
        }
    }

    fn emit(&self, level: Level, request_id: &str, text: &str, fields: &str) {
        let Self { workflow, node, .. } = self;
        macro_rules! event {
            ($level:ident) => {
                if fields.is_empty() {
                    tracing::$level!(target: "krt::guest", %workflow, %node, %request_id, "{text}")
                } else {
                    tracing::$level!(target: "krt::guest", %workflow, %node, %request_id, %fields, "{text}")
                }
            };
        }
        match level {
            Level::Trace => event!(trace),
            Level::Debug => event!(debug),
            Level::Info => event!(info),
            Level::Warn => event!(warn),
            Level::Error => event!(error),
        }
    }
}

impl Drop for GuestLog {
    fn drop(&mut self) {
        let dropped = self.allowance.dropped();
        self.tell_dropped("", dropped);
    }
}

/// The lowest level that anybody listens to.
pub(super) fn min_level() -> Level {
    match tracing::level_filters::LevelFilter::current().into_level() {
        Some(tracing::Level::TRACE) => Level::Trace,
        Some(tracing::Level::DEBUG) => Level::Debug,
        Some(tracing::Level::INFO) => Level::Info,
        Some(tracing::Level::WARN) => Level::Warn,
        Some(tracing::Level::ERROR) | None => Level::Error,
    }
}

fn is_kept(level: Level) -> bool {
    level as u8 >= min_level() as u8
}

fn render(fields: &[(String, String)], limit: usize) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        if text.len() >= limit {
            break;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(cut(name, limit));
        text.push('=');
        text.push_str(cut(value, limit - text.len().min(limit)));
    }
    text
}
