//! One call, whoever made it: admission, envelope, publication, answer, count.
//!
//! Never decodes a payload, and knows neither HTTP nor JSON.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Notify;
use tokio::time::Instant;
use tonic::{Code, Status};

use super::Limits;
use super::routes::{Counted, Route, code_name};
use super::text::bounded;
use crate::bus::{Acceptance, Bus, Headers, Publication, PublishError};
use crate::message::{Message, MessageType, Payload};

/// A deadline further away than this is this far away: what a caller writes is not arithmetic's problem.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// All calls of an entrypoint.
pub(super) struct Calls {
    bus: Arc<dyn Bus>,
    limits: Limits,
    gauge: Gauge,
    in_flight: AtomicUsize,
    buffered: AtomicUsize,
    draining: AtomicBool,
    idle: Notify,
}

/// A call's place among those in flight; counts the call when it ends, however it ends.
pub(super) struct Admitted<'a> {
    calls: &'a Calls,
    counted: &'a Counted,
    started: Instant,
    buffered: usize,
    outcome: Code,
}

impl Calls {
    /// No calls yet.
    pub(super) fn new(bus: Arc<dyn Bus>, limits: Limits, gauge: Gauge) -> Self {
        let (in_flight, buffered) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { bus, limits, gauge, in_flight, buffered, draining: AtomicBool::new(false), idle: Notify::new() }
    }

    /// Takes a call in, or refuses it at once: nothing queues here.
    pub(super) fn admit<'a>(&'a self, counted: &'a Counted) -> Result<Admitted<'a>, Status> {
        let max = self.limits.max_in_flight;
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.gauge.inc();
        let mut admitted =
            Admitted { calls: self, counted, started: Instant::now(), buffered: 0, outcome: Code::Cancelled };
        if before >= max {
            admitted.end(Code::ResourceExhausted);
            return Err(Status::resource_exhausted(format!("{max} calls are in flight; no more are taken")));
        }
        Ok(admitted)
    }

    /// When a call that begins now must have ended; `asked` is the caller's own wish.
    pub(super) fn deadline(&self, asked: Option<Duration>) -> Instant {
        Instant::now() + asked.unwrap_or(self.limits.default_timeout).min(LONGEST)
    }

    /// Publishes `request` and waits for its answer. Bounding it in time is the front end's part, as reading the
    /// request counts, too.
    pub(super) async fn call(&self, route: &Route, request: Bytes, trace: Option<String>) -> Result<Bytes, Status> {
        let Ok(mut expected) = route.replies.expect() else {
            return Err(Status::unavailable("answers cannot be received: the bus is away"));
        };
        let request_id = expected.id.to_string();
        let payload = self.envelope(route, request_id.clone(), request).await?;
        let headers = Headers(trace.map(|trace| ("traceparent", trace)).into_iter().collect());
        let subject = route.subject.clone();
        let accepted = self.bus.publish(Publication { subject, id: Some(request_id), payload, headers });
        let answer = match accepted {
            Acceptance::Ready(result) => {
                result.map_err(refused)?;
                expected.answer().await
            }
            // The answer may be here before the bus's word on the request is; then that no longer matters.
            pending => tokio::select! {
                biased;
                answer = expected.answer() => answer,
                result = pending => {
                    result.map_err(refused)?;
                    expected.answer().await
                }
            },
        };
        match answer {
            Ok(message) => judge(route, message),
            Err(_) => Err(Status::unavailable("the answer was lost: the bus went away or the entrypoint shut down")),
        }
    }

    /// Takes no new calls that could be made elsewhere.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether the drain has begun.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Calls in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Waits until no call is in flight.
    pub(super) async fn idle(&self) {
        loop {
            let notified = self.idle.notified();
            if self.in_flight() == 0 {
                return;
            }
            notified.await;
        }
    }

    async fn envelope(&self, route: &Route, request_id: String, data: Bytes) -> Result<Bytes, Status> {
        let limit = self.bus.max_payload();
        let size = data.len();
        let message = Message {
            request_id,
            from_node: krt::names::ENTRYPOINT.to_owned(),
            message_type: MessageType::Ok,
            payload: Some(Payload { type_url: route.type_url.clone(), data }),
            error: String::new(),
        };
        let encoded = if size <= limit {
            message.encode(limit)
        } else {
            // It will be compressed, which takes milliseconds a megabyte: not on a thread that serves others.
            let encoding = tokio::task::spawn_blocking(move || message.encode(limit));
            encoding.await.map_err(|_| Status::internal("the request could not be compressed"))?
        };
        encoded.map_err(|e| Status::resource_exhausted(format!("the request is too large: {e}")))
    }
}

impl Admitted<'_> {
    /// Takes `bytes` more of the memory that all calls share.
    pub(super) fn reserve(&mut self, bytes: usize) -> Result<(), Status> {
        let max = self.calls.limits.max_buffered;
        let before = self.calls.buffered.fetch_add(bytes, Ordering::Relaxed);
        self.buffered += bytes;
        if before.saturating_add(bytes) > max {
            return Err(Status::resource_exhausted(format!(
                "the requests in flight have {max} bytes; no more are taken"
            )));
        }
        Ok(())
    }

    /// How the call ended, for the count.
    pub(super) fn end(&mut self, outcome: Code) {
        self.outcome = outcome;
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.calls.buffered.fetch_sub(self.buffered, Ordering::Relaxed);
        self.calls.gauge.dec();
        let elapsed = self.started.elapsed();
        self.counted.record(self.outcome, elapsed);
        // One line a request, for whoever asks for this target; costs a comparison when nobody does.
        tracing::info!(
            target: "krt::request",
            method = self.counted.method(),
            status = code_name(self.outcome),
            microseconds = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
        );
        if self.calls.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.calls.idle.notify_waiters();
        }
    }
}

fn refused(error: PublishError) -> Status {
    match error {
        PublishError::TooLarge { .. } => Status::resource_exhausted(format!("the request is too large: {error}")),
        PublishError::Full => {
            Status::resource_exhausted("the workflow has more requests waiting than its stream takes")
        }
        PublishError::NoStream(_) => Status::internal(format!("the version is not set up on the bus: {error}")),
        PublishError::Unavailable(_) => Status::unavailable(error.to_string()),
    }
}

/// The answer's bytes, or why it is none. The id has been compared already.
fn judge(route: &Route, message: Message) -> Result<Bytes, Status> {
    if message.is_error() {
        let text = if message.error.is_empty() { "the node failed without a text" } else { &message.error };
        return Err(Status::internal(bounded(text)));
    }
    let expected = &route.output_name;
    match message.payload {
        Some(payload) if payload.message_name() == expected => Ok(payload.data),
        Some(payload) => {
            let got = bounded(payload.message_name());
            let node = bounded(&message.from_node);
            Err(Status::internal(format!("node {node:?} answered with a {got}; the method's answer is a {expected}")))
        }
        None => Err(Status::internal(format!("the answer has no payload; the method's answer is a {expected}"))),
    }
}
