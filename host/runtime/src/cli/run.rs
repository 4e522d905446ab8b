//! `krt run`: runs a version in this process, until a signal.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use krt::plan::plan;
use krt::problem::Problem;
use krt::proto::Proto;
use krt::topology::Topology;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::data::DataArgs;
use super::door::Door;
use super::judge::{Depth, judge};
use super::native::{NativeArgs, Told};
use super::nats::NatsArgs;
use super::provision::explained;
use super::stats::StatsArgs;
use super::variables::Variables;
use super::{Globals, Output, graph, logging, print};
use crate::artifact::Package;
use crate::bus::embedded::EmbeddedBusOptions;
use crate::bus::nats::provision::{self, ApplyOptions};
use crate::engine::{Engine, EngineOptions};
use crate::runtime::{self, Backend, RunOptions, Swapper};
use crate::telemetry::{Health, Metrics};

/// Run a version on this machine: all nodes in this process, on an embedded bus or on NATS
///
/// With --nats, what the version needs there is made first, as by `krt provision`. PATH is a folder with a krt.yml, the krt.yml itself, or a .krt archive. Ends with SIGINT (Ctrl-C) or SIGTERM: calls
/// in flight are answered first, within the grace period.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  krt run .                                  run the version in this folder
  krt run demo.krt --requests                print a line for every request
  krt run . --grpc-addr 127.0.0.1:0 --output json
                                             free ports; the first line says which
  krt run . --config API_URL=http://localhost:8000
                                             a value for a configuration variable
  krt run . --nats nats://localhost:4222     on a NATS server with JetStream
  krt run . --nats auto --runner 'konstellation/kre-py=python3 main.py' --runner 'konstellation/kre-go={src}'
                                             with Python and Go nodes beside components, on a server of its own")]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    flags: Flags,
}

// Not a comment of documentation: it would be the help of what it is part of.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Flags {
    /// The version
    #[arg(default_value = ".")]
    pub(super) path: PathBuf,
    #[command(flatten)]
    pub(super) door: Door,
    /// The runtime (tenant) whose names are used on the bus
    #[arg(long, value_name = "ID", default_value = "kre", value_parser = super::plan::runtime_id)]
    runtime_id: String,
    #[command(flatten)]
    variables: Variables,
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    native: NativeArgs,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    stats: StatsArgs,
}

/// Who is told how nodes are exchanged.
pub(super) type Swaps = Box<dyn FnOnce(Swapper) + Send>;

pub(super) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    logging::install(globals, args.flags.door.requests);
    run_with(args.flags, globals, None)
}

/// As `krt run`; with `swaps`, which is told once how nodes are exchanged, they can be.
pub(super) fn run_with(args: Flags, globals: &Globals, swaps: Option<Swaps>) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let judged = judge(&args.path, Depth::Package);
    judged.print_problems(globals);
    let (Some(package), Some(topology)) = (judged.package, judged.topology) else {
        return Ok(ExitCode::FAILURE);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting threads")?;
    runtime.block_on(async {
        let (nats, server) = args.native.server(&args.nats, args.door.max_message as usize).await?;
        let served = serve(Flags { nats, ..args }, globals, package, topology, (started, swaps)).await;
        if let Some(server) = server {
            server.stop().await;
        }
        served
    })?;
    // A compiler that krt dev still waits for is not waited for.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

async fn serve(
    args: Flags,
    globals: &Globals,
    package: Package,
    topology: Topology,
    (started, swaps): (Instant, Option<Swaps>),
) -> anyhow::Result<()> {
    let variables = args.variables.values(&topology)?;
    let proto = Proto::load(&package, &topology.proto).map_err(|problems| no_proto(&topology, &problems))?;
    // Bound first: a port in use is said before seconds are spent on compiling.
    let (grpc, web) = args.door.listen().await?;
    let stop = stop_on_signals()?;
    let (influx_uri, mongo_uri) = args.data.uris();
    let told = Told {
        influx_uri,
        mongo_uri,
        runtime_id: &args.runtime_id,
        variables: &variables,
        grace: args.door.limits().grace,
    };
    if args.nats.is_given() {
        args.native.check(&package, &topology, &told)?;
    }
    let metrics = Arc::new(Metrics::default());
    let engine = Engine::new(EngineOptions { cache: super::cache::folder(), ..EngineOptions::default() })?;
    let health = Health::default();
    let mut backend = tokio::select! {
        backend = backend(&args, &topology, &health) => backend?,
        () = stop.cancelled() => return Ok(()),
    };
    args.data.read_from(&args.runtime_id, &mut backend).await?;
    let native = match &backend.nats {
        Some(nats) => args.native.options(&package, &topology, &told, (&args.nats, nats))?,
        None => None,
    };
    let stop = args.stats.tell(&engine, globals, stop);
    let measuring = args.data.measuring(&args.runtime_id, &metrics)?;
    let options = RunOptions {
        runtime_id: args.runtime_id.clone(),
        variables,
        engine,
        backend,
        native,
        limits: args.door.limits(),
        tls: args.door.tls()?,
        measurements: measuring.measurements.clone(),
        metrics,
        health,
        swappable: swaps.is_some(),
    };
    let (grpc_addr, web_addr) = (grpc.local_addr()?, web.local_addr()?);
    let topology = Arc::new(topology);
    let start = runtime::start(&package, topology.clone(), proto, options);
    let version = tokio::select! {
        version = start => version?,
        () = stop.cancelled() => return Ok(()),
    };
    if let (Some(swaps), Some(swapper)) = (swaps, version.swapper()) {
        swaps(swapper);
    }
    let ready = || announce(&topology, globals, grpc_addr, web_addr, started);
    let served = version.serve(grpc, web, stop, ready).await;
    measuring.end().await;
    served
}

/// Bus and stores with what the version needs there.
async fn backend(args: &Flags, topology: &Topology, health: &Health) -> anyhow::Result<Backend> {
    let plan = plan(topology, &args.runtime_id);
    let name = format!("krt run {}", topology.version);
    match args.nats.connect_to_serve(&name, health.part("NATS")).await? {
        None => {
            let options =
                EmbeddedBusOptions { max_payload: args.door.max_message as usize, ..EmbeddedBusOptions::default() };
            Ok(Backend::embedded(&plan, options))
        }
        Some(nats) => {
            provision::apply(&nats, &plan, &ApplyOptions::default()).await.map_err(explained)?;
            Backend::on_nats(nats, &args.runtime_id).await
        }
    }
}

/// The check has told all about a proto that is there; what is left is one that is not declared and not there.
pub(super) fn no_proto(topology: &Topology, problems: &[Problem]) -> anyhow::Error {
    let first = problems.first().map_or("it cannot be read", |problem| problem.message.as_str());
    anyhow::anyhow!("the version cannot be called without its .proto {:?}: {first}", topology.proto)
}

/// Says that calls can be answered, and where: one JSON line for scripts, a picture for people.
fn announce(topology: &Topology, globals: &Globals, grpc: SocketAddr, web: SocketAddr, started: Instant) {
    let text = match globals.output {
        Output::Json => format!("{}\n", json!({"event": "ready", "grpc": grpc.to_string(), "web": web.to_string()})),
        Output::Text => {
            let method = topology.workflows.first().map_or("METHOD", |workflow| &workflow.method);
            format!(
                "{}\n  gRPC  {grpc}   try: krt call {method} '{{}}' --to {grpc}\n  web   http://{web}/\n\n\
                 ready after {:.1} s; Ctrl-C drains and ends\n",
                graph::text(topology),
                started.elapsed().as_secs_f64()
            )
        }
    };
    if let Err(error) = print::out(&text) {
        tracing::warn!("standard output is of no use: {error:#}");
    }
}

/// Cancelled by SIGINT or SIGTERM. A second signal ends the process at once: nobody waits for a drain twice.
pub(super) fn stop_on_signals() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};

    let stop = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt()).context("watching for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("watching for signals")?;
    let token = stop.clone();
    tokio::spawn(async move {
        for signals in 0.. {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if signals > 0 {
                // 128 + SIGINT, as shells expect of a process that a signal ended.
                std::process::exit(130);
            }
            tracing::info!("draining: calls in flight are answered, new ones refused; once more to end at once");
            token.cancel();
        }
    });
    Ok(stop)
}
