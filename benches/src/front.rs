//! Calls over gRPC through three wasm nodes on a real NATS server (file storage): `krt entrypoint` and `krt host` as processes of
//! their own, the load generator on the same cores.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::load::{self, Load, Message};
use e2e::nats::Server;
use e2e::offered::{self, Offered};
use e2e::process::Process;

use crate::guests::Guests;
use crate::table::Table;

const PATH: &str = "/main.Entrypoint/Echo";

/// Runs all levels.
///
/// # Errors
/// No server, or a call failed or got another call's answer.
pub(crate) fn run(guests: &Guests) -> anyhow::Result<Table> {
    let server = Server::start().context("there is no nats-server")?;
    let (path, url) = (guests.version.to_string_lossy().into_owned(), server.url());
    let provisioned = Command::new(e2e::krt_binary()).args(["provision", &path, "--nats", &url]).status()?;
    ensure!(provisioned.success(), "krt provision failed");
    let mut host = Process::start(&["host", &path, "--nats", &url, "--web-addr", "127.0.0.1:0"], &[]);
    host.events().ready();
    let arguments = ["entrypoint", &path, "--nats", &url, "--grpc-addr", "127.0.0.1:0", "--web-addr", "127.0.0.1:0"];
    let mut front = Process::start(&arguments, &[]);
    let ready = front.events().ready();
    let address = ready["grpc"].as_str().context("an address")?.to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut table = Table::new(
        "gRPC → 3 wasm nodes → answer on nats-server (file storage), 1 KiB, processes of their own",
        &["load", "calls/s", "p50", "p99", "p99.9"],
    );
    let mut row = |name: String, outcome: &load::Outcome| {
        let ms = |quantile| format!("{:.2} ms", outcome.quantile(quantile).as_secs_f64() * 1e3);
        table.row(&[name, format!("{:.0}", outcome.rate()), ms(0.5), ms(0.99), ms(0.999)]);
    };
    let closed = |in_flight, seconds| Load {
        address: address.clone(),
        path: PATH.to_owned(),
        in_flight,
        message: Message::Blob(1024),
        duration: Duration::from_secs(seconds),
    };
    runtime.block_on(load::run(&closed(100, 2)))?;
    for in_flight in [1, 200, 1000] {
        let outcome = runtime.block_on(load::run(&closed(in_flight, 6)))?;
        row(format!("{in_flight} in flight"), &outcome);
    }
    for rate in [500, 1000, 2000, 4000] {
        let offered = Offered {
            address: address.clone(),
            path: PATH.to_owned(),
            rate,
            size: 1024,
            duration: Duration::from_secs(6),
        };
        row(format!("{rate}/s offered"), &runtime.block_on(offered::run(&offered))?);
    }
    ensure!(host.stop().success() && front.stop().success(), "a process did not end well");
    Ok(table)
}
