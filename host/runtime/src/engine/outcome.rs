//! What an error of wasmtime means: the one place that knows wasmtime's errors. Never logs.

use std::time::Duration;

use wasmtime::component::ResourceTableError;
use wasmtime::{Trap, WasmBacktrace};

use super::limits::{Bytes, Refused};
use crate::node::NodeError;
use crate::telemetry::cut;

/// Bytes of a trap's message and of its backtrace: both may stand on names that the guest chose.
const MAX_TEXT: usize = 8 << 10;

/// Raised by the epoch callback.
#[derive(Debug, thiserror::Error)]
#[error("the time for this message is over")]
pub(super) struct OutOfTime;

/// What else is known about the instance that failed.
pub(super) struct Circumstances {
    pub(super) timeout: Duration,
    pub(super) refused: Option<Refused>,
    /// Bytes that one host call may pass.
    pub(super) call_limit: usize,
}

/// What `error` means for the message in hand.
pub(super) fn fault(error: &wasmtime::Error, known: &Circumstances) -> NodeError {
    if error.is::<OutOfTime>() {
        return NodeError::TimedOut(known.timeout);
    }
    let cause = error.root_cause();
    let text = cause.to_string();
    // A private type of wasmtime's; a test notices when its words change.
    if text.contains("fuel allocated for hostcalls") {
        let limit = Bytes(known.call_limit);
        return NodeError::LimitExceeded(format!("data passed to the host in one call: more than {limit}"));
    }
    if text.contains("handle limit exceeded") || matches!(cause.downcast_ref(), Some(ResourceTableError::Full)) {
        return NodeError::LimitExceeded("handles: more resources held at a time than an instance may".into());
    }
    let message = cut(&text, MAX_TEXT).to_owned();
    if let Some(refused) = known.refused {
        return NodeError::LimitExceeded(format!("{refused} (it then trapped: {message})"));
    }
    let message = match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => format!("{message}: the guest recursed too deeply"),
        _ => message,
    };
    let backtrace = error.downcast_ref::<WasmBacktrace>().map_or_else(String::new, ToString::to_string);
    NodeError::Trapped { message, backtrace: cut(&backtrace, MAX_TEXT).to_owned() }
}
