//! Calls over gRPC to `krt run` as a process of its own, three wasm nodes in line, at growing concurrency.

use std::time::Duration;

use e2e::load::{self, Load, Message};
use e2e::running::Running;

use crate::guests::Guests;
use crate::process::Usage;
use crate::table::Table;

/// Runs all levels.
///
/// # Errors
/// The version does not start, or a call failed or got another call's answer.
pub(crate) fn run(guests: &Guests) -> anyhow::Result<Table> {
    let server = Running::start(&guests.version, &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut table = Table::new(
        "gRPC → 3 wasm nodes → answer, 1 KiB, load generator on the same cores",
        &["in flight", "calls/s", "p50", "p99", "server CPU a call (µs)", "ratio to 10"],
    );
    let load = |in_flight, seconds| Load {
        address: server.grpc.clone(),
        path: "/main.Entrypoint/Echo".to_owned(),
        in_flight,
        message: Message::Blob(1024),
        duration: Duration::from_secs(seconds),
    };
    runtime.block_on(load::run(&load(100, 2)))?;
    let mut base = None;
    for in_flight in [1, 10, 100, 200, 1000] {
        let before = Usage::of(server.pid())?;
        let outcome = runtime.block_on(load::run(&load(in_flight, 5)))?;
        let after = Usage::of(server.pid())?;
        let cpu = (after.cpu - before.cpu).as_secs_f64() * 1e6 / outcome.calls as f64;
        if in_flight == 10 {
            base = Some(cpu);
        }
        table.row(&[
            in_flight.to_string(),
            format!("{:.0}", outcome.rate()),
            format!("{:.2} ms", outcome.quantile(0.5).as_secs_f64() * 1e3),
            format!("{:.2} ms", outcome.quantile(0.99).as_secs_f64() * 1e3),
            format!("{cpu:.0}"),
            base.map_or_else(|| "-".to_owned(), |base| format!("{:.2}", cpu / base)),
        ]);
    }
    Ok(table)
}
