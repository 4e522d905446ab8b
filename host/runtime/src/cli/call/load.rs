//! One call or many, and what became of them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Write as _;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use hdrhistogram::Histogram;
use http::uri::PathAndQuery;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use prost_reflect::MethodDescriptor;
use tokio::task::LocalSet;
use tokio::time::Instant;
use tonic::Status;

use super::super::Output;
use super::method;
use super::server::Server;
use crate::entrypoint::{code_name, json};

/// Different failures that are shown; the rest is counted.
const SHOWN_FAILURES: usize = 10;
/// Longest latency that is told apart, in microseconds: an hour.
const MAX_LATENCY: u64 = 3_600_000_000;

/// What is to be done.
pub(super) struct Load {
    pub(super) server: Server,
    pub(super) method: MethodDescriptor,
    pub(super) request: Bytes,
    pub(super) timeout: Option<Duration>,
    pub(super) count: u64,
    pub(super) concurrency: u32,
    /// Whether answers are printed.
    pub(super) shown: bool,
    /// Whether a bar is shown.
    pub(super) progress: bool,
}

/// What became of it.
pub(super) struct Summary {
    pub(super) latency: Histogram<u64>,
    pub(super) by_status: BTreeMap<&'static str, u64>,
    pub(super) failures: BTreeMap<(&'static str, String), u64>,
    more_failures: u64,
    took: Duration,
    interrupted: bool,
}

/// What all callers share; they are on one thread.
struct Shared {
    load: Load,
    path: PathAndQuery,
    bar: ProgressBar,
    begun: std::cell::Cell<u64>,
    summary: std::cell::RefCell<Summary>,
}

impl Load {
    /// Makes the calls, until they are done or the user interrupts.
    pub(super) async fn run(self) -> anyhow::Result<Summary> {
        let path = method::path(&self.method).parse().context("the method's name cannot be called over HTTP")?;
        let summary = Summary {
            latency: Histogram::new_with_bounds(1, MAX_LATENCY, 3)?,
            by_status: BTreeMap::new(),
            failures: BTreeMap::new(),
            more_failures: 0,
            took: Duration::ZERO,
            interrupted: false,
        };
        let callers = u64::from(self.concurrency).min(self.count);
        let bar = bar(self.progress && self.count > 1, self.count);
        let summary = std::cell::RefCell::new(summary);
        let shared = Rc::new(Shared { load: self, path, bar, begun: std::cell::Cell::new(0), summary });
        let begin = Instant::now();
        let local = LocalSet::new();
        let tasks: Vec<_> = (0..callers).map(|_| local.spawn_local(shared.clone().caller())).collect();
        let calling = async {
            for task in tasks {
                task.await??;
            }
            anyhow::Ok(())
        };
        let interrupted = tokio::select! {
            done = local.run_until(calling) => { done?; false }
            _ = tokio::signal::ctrl_c() => true,
        };
        drop(local);
        shared.bar.finish_and_clear();
        let shared = Rc::into_inner(shared).context("a caller is still at work")?;
        Ok(Summary { took: begin.elapsed(), interrupted, ..shared.summary.into_inner() })
    }
}

impl Shared {
    async fn caller(self: Rc<Self>) -> anyhow::Result<()> {
        let Load { server, request, timeout, count, shown, method, .. } = &self.load;
        let output = method.output();
        while self.begun.get() < *count {
            self.begun.set(self.begun.get() + 1);
            let begin = Instant::now();
            let answer = server.call(self.path.clone(), request.clone(), *timeout).await;
            let took = begin.elapsed();
            let answer = match answer {
                Ok(bytes) if *shown => json::print(&output, &bytes).map(Some).map_err(Status::internal),
                Ok(_) => Ok(None),
                Err(status) => Err(status),
            };
            self.summary.borrow_mut().count(took, answer.as_ref().err());
            self.bar.inc(1);
            if let Ok(Some(text)) = answer {
                put(&(text + "\n"))?;
            }
        }
        Ok(())
    }
}

impl Summary {
    /// Whether every call was answered.
    pub(super) fn succeeded(&self) -> bool {
        !self.interrupted && self.failures.is_empty() && self.more_failures == 0
    }

    /// Says on standard error which calls failed and how.
    pub(super) fn failures(&self, output: Output) {
        for ((status, message), count) in &self.failures {
            match output {
                Output::Json => {
                    let failure = serde_json::json!({ "status": status, "message": message, "calls": count });
                    eprintln!("{failure}");
                }
                Output::Text if *count == 1 => eprintln!("error: {status}: {message}"),
                Output::Text => eprintln!("error: {status}: {message} ({count} calls)"),
            }
        }
        if self.more_failures > 0 && output == Output::Text {
            eprintln!("error: {} calls failed in other ways", self.more_failures);
        }
    }

    /// Says on standard error how long calls took.
    pub(super) fn print(&self, output: Output) {
        let calls = self.latency.len();
        let seconds = self.took.as_secs_f64();
        #[allow(clippy::cast_precision_loss, reason = "a rate is printed with three digits")]
        let rate = if seconds > 0.0 { calls as f64 / seconds } else { 0.0 };
        #[allow(clippy::cast_precision_loss, reason = "a latency of an hour has 32 bits of microseconds")]
        let millis = |quantile: f64| self.latency.value_at_quantile(quantile) as f64 / 1e3;
        let (p50, p90, p99, max) = (millis(0.5), millis(0.9), millis(0.99), millis(1.0));
        if output == Output::Json {
            let summary = serde_json::json!({
                "calls": calls,
                "seconds": seconds,
                "calls_per_second": rate,
                "latency_ms": { "p50": p50, "p90": p90, "p99": p99, "max": max },
                "by_status": self.by_status,
                "interrupted": self.interrupted,
            });
            return eprintln!("{summary}");
        }
        let statuses: Vec<_> = self.by_status.iter().map(|(status, count)| format!("{status} {count}")).collect();
        let interrupted = if self.interrupted { ", interrupted" } else { "" };
        eprintln!("{calls} calls in {seconds:.2} s, {rate:.0} calls/s ({}){interrupted}", statuses.join(", "));
        eprintln!("latency: p50 {p50:.3} ms, p90 {p90:.3} ms, p99 {p99:.3} ms, max {max:.3} ms");
    }

    fn count(&mut self, took: Duration, failure: Option<&Status>) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(MAX_LATENCY);
        self.latency.saturating_record(micros);
        let status = failure.map_or("OK", |failure| code_name(failure.code()));
        *self.by_status.entry(status).or_default() += 1;
        let Some(failure) = failure else { return };
        let key = (status, failure.message().to_owned());
        let full = self.failures.len() >= SHOWN_FAILURES;
        match self.failures.entry(key) {
            Entry::Occupied(mut known) => *known.get_mut() += 1,
            Entry::Vacant(_) if full => self.more_failures += 1,
            Entry::Vacant(new) => drop(new.insert(1)),
        }
    }
}

/// Writes to standard output. Unlike `println!` does not panic when nobody reads it any more.
pub(super) fn put(text: &str) -> anyhow::Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("the answer cannot be written")
}

fn bar(shown: bool, count: u64) -> ProgressBar {
    let target = if shown { ProgressDrawTarget::stderr_with_hz(5) } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(count), target);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} calls, {per_sec}, {eta} left") {
        bar.set_style(style);
    }
    bar
}
