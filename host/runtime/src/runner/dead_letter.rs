//! The message that nobody could handle, as it is kept: its original bytes, and headers that say why. Never publishes.

use std::sync::Arc;

use bytes::Bytes;

use crate::bus::{Delivery, Headers, Publication};
use crate::outbox::output_id;

/// Bytes of a header value, the backtrace's apart. All together stay within [`crate::bus::HEADER_ROOM`].
const VALUE: usize = 1024;

/// Bytes of a backtrace that are kept: its innermost frames.
const BACKTRACE: usize = 6 * 1024;

/// What a dead letter says besides its bytes.
pub(super) struct Cause<'a> {
    pub(super) workflow: &'a str,
    pub(super) node: &'a str,
    /// None when the envelope could not be read.
    pub(super) request_id: Option<&'a str>,
    pub(super) reason: &'a str,
    /// Innermost frame first; empty when there is none.
    pub(super) backtrace: &'a str,
}

/// The publication on `subject`. Its id is the delivery's: given up twice, it is kept once.
pub(super) fn publication(subject: &Arc<str>, delivery: &Delivery, cause: &Cause<'_>, limit: usize) -> Publication {
    let mut headers = vec![
        ("krt-reason", value(cause.reason, VALUE)),
        ("krt-workflow", value(cause.workflow, VALUE)),
        ("krt-node", value(cause.node, VALUE)),
        ("krt-attempt", delivery.attempt.to_string()),
        ("krt-subject", value(&delivery.subject, VALUE)),
        ("krt-sequence", delivery.id.sequence.to_string()),
    ];
    headers.extend(cause.request_id.map(|id| ("krt-request-id", value(id, VALUE))));
    headers.extend(delivery.headers.get("traceparent").map(|trace| ("traceparent", value(trace, VALUE))));
    if !cause.backtrace.is_empty() {
        headers.push(("krt-backtrace", value(cause.backtrace, BACKTRACE)));
    }
    let mut payload = delivery.payload.clone();
    if payload.len() > limit {
        // A native runner leaves no room for headers. The letter without its bytes is better than none.
        headers.push(("krt-omitted-bytes", payload.len().to_string()));
        payload = Bytes::new();
    }
    let id = Some(output_id(&delivery.id, cause.node, "dead"));
    Publication { subject: subject.clone(), id, payload, headers: Headers(headers) }
}

/// At most `limit` bytes, on one line, as a header must be.
fn value(text: &str, limit: usize) -> String {
    let mut value = String::with_capacity(text.len().min(limit));
    for c in text.trim_end().chars() {
        let c = match c {
            '\n' => ';',
            c if c.is_control() => ' ',
            c => c,
        };
        if value.len() + c.len_utf8() > limit {
            break;
        }
        value.push(c);
    }
    value
}
