//! `krt host`: runs nodes of a version in this process, on a NATS that others share.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use krt::topology::Topology;
use serde_json::json;

use super::data::DataArgs;
use super::door::listen;
use super::judge::{Depth, Judged, judge, judge_package};
use super::nats::NatsArgs;
use super::remote::{RemoteArgs, opened};
use super::run::stop_on_signals;
use super::told::Told;
use super::variables::Variables;
use super::{Globals, Output, logging, print};
use crate::artifact::{Package, Reference};
use crate::engine::{Engine, EngineOptions};
use crate::entrypoint::Probes;
use crate::runtime::ahead::{self, CompiledRef};
use crate::runtime::{Backend, Host, NodeParts, Placement};
use crate::telemetry::{Health, Metrics};

/// Run nodes of a version on NATS: what a pod of a node runs
///
/// Which nodes: those named with --node; else the one that the environment of the original's runners tells of
/// (KRT_WORKFLOW_NAME, KRT_NODE_NAME, KRT_HANDLER_PATH, KRT_NATS_STREAM, KRT_NATS_INPUTS, KRT_NATS_OUTPUT and the buckets);
/// else all that are components. What they read and write must have been provisioned (`krt provision`). As many of these
/// as wanted may run side by side. Waits for a NATS that is away, not ready meanwhile. Ends with SIGINT or SIGTERM: what is
/// in hand is finished within the grace period, the rest goes back to the bus.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  krt host . --nats nats://localhost:4222               all component nodes of the version
  krt host . --nats localhost:4222 --node classify/etl  one of them
  krt host nats://packages_kre/SHA256 --nats a:4222     a package that krt push stored
  krt host                                              as the environment says")]
pub(super) struct Args {
    /// The version's package: a folder with a krt.yml, the krt.yml itself, a .krt archive, or a reference from krt push
    #[arg(env = "KRT_BASE_PATH", default_value = ".")]
    path: PathBuf,
    /// A node to run (repeatable)
    #[arg(long = "node", value_name = "WORKFLOW/NODE", env = "KRT_NODES", value_delimiter = ',')]
    nodes: Vec<String>,
    #[command(flatten)]
    nats: NatsArgs,
    /// The runtime (tenant) whose names are used on the bus
    #[arg(long, value_name = "ID", env = "KRT_RUNTIME_ID", default_value = "kre")]
    runtime_id: String,
    #[command(flatten)]
    variables: Variables,
    #[command(flatten)]
    data: DataArgs,
    /// A component that krt compile compiled and stored, with its digest (repeatable); others are compiled here
    #[arg(long, value_name = "REF", env = "KRT_COMPILED", value_delimiter = ',')]
    compiled: Vec<CompiledRef>,
    #[command(flatten)]
    remote: RemoteArgs,
    /// Where the web listens (probes, metrics); port 0 picks a free one
    #[arg(long, value_name = "HOST:PORT", env = "KRT_WEB_ADDR", default_value = "127.0.0.1:8080")]
    web_addr: String,
    /// Seconds that a drain may take before what is in hand is abandoned
    #[arg(long, value_name = "SECONDS", env = "KRT_GRACE", default_value_t = 20.0, value_parser = super::positive_seconds)]
    grace: f64,
}

pub(super) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    logging::install(globals, false);
    let started = Instant::now();
    let reference = args.remote.reference(&args.path)?;
    let version = match &reference {
        Some(_) => None,
        None => match version(&args, globals, judge(&args.path, Depth::Manifest))? {
            None => return Ok(ExitCode::FAILURE),
            version => version,
        },
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting threads")?;
    runtime.block_on(serve(args, globals, reference, version, started))
}

/// What is to be run of a package, or none when it has errors, which are told.
fn version(args: &Args, globals: &Globals, judged: Judged) -> anyhow::Result<Option<Version>> {
    judged.print_problems(globals);
    let (Some(package), Some(topology)) = (judged.package, judged.topology) else { return Ok(None) };
    let places = placements(args, &topology, |name| std::env::var(name).ok())?;
    let variables = args.variables.values(&topology)?;
    Ok(Some(Version { package, places, variables }))
}

/// What to run, as flags, environment and manifest say, in this order.
fn placements(
    args: &Args,
    topology: &Topology,
    variable: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<Vec<Placement>> {
    if args.nodes.is_empty()
        && let Some(told) = Told::from(variable)?
    {
        return Ok(vec![told.placement(topology, &args.runtime_id)?]);
    }
    let mut places = Placement::all(topology, &args.runtime_id);
    // Replicas are processes here.
    places.iter_mut().for_each(|place| place.replicas = 1);
    if args.nodes.is_empty() {
        if places.is_empty() {
            bail!("version {:?} has no node that is a component", topology.version);
        }
        return Ok(places);
    }
    let mut wanted = Vec::new();
    for name in &args.nodes {
        let is = |place: &&Placement| {
            name.split_once('/') == Some((place.identity.workflow.as_str(), place.identity.node.as_str()))
        };
        match places.iter().find(is) {
            Some(place) => wanted.push(place.clone()),
            None => {
                let known = places.iter().map(|p| format!("{}/{}", p.identity.workflow, p.identity.node));
                let known = known.collect::<Vec<_>>().join(", ");
                bail!("{name:?} is no component node of version {:?}; it has {known}", topology.version);
            }
        }
    }
    Ok(wanted)
}

/// What is to be run.
struct Version {
    package: Package,
    places: Vec<Placement>,
    variables: Vec<(String, String)>,
}

async fn serve(
    args: Args,
    globals: &Globals,
    reference: Option<Reference>,
    version: Option<Version>,
    started: Instant,
) -> anyhow::Result<ExitCode> {
    let web = listen(&args.web_addr, "--web-addr").await?;
    let stop = stop_on_signals()?;
    let (metrics, health) = (Arc::new(Metrics::default()), Health::default());
    let engine = Engine::new(EngineOptions { cache: super::cache::folder(), ..EngineOptions::default() })?;
    let address = web.local_addr()?;
    let measuring = args.data.measuring(&args.runtime_id, &metrics)?;
    let connected = health.part("NATS");
    // Probes are answered while NATS is awaited, the package is fetched and components are compiled, too.
    let probes = Probes::serve(web, health.clone(), metrics.clone());
    let name = format!("{} krt host", args.runtime_id);
    let starting = async {
        let nats = args.nats.clone().server().connect_to_serve(&name, connected).await?;
        let nats = nats.context("where is NATS? Say --nats URL, or set KRT_NATS_SERVER")?;
        let version = match (reference, version) {
            (Some(reference), _) => {
                let package = opened(&reference, Some(&nats), &args.remote.options()?).await?;
                self::version(&args, globals, judge_package(package, Depth::Manifest))?
            }
            (None, version) => version,
        };
        let Some(Version { package, places, variables }) = version else { return anyhow::Ok(None) };
        for compiled in &args.compiled {
            match ahead::adopt(&engine, &nats, compiled).await {
                Ok(()) => tracing::info!(%compiled, "taken as it was compiled beforehand"),
                Err(error) => tracing::warn!(%compiled, %error, "not taken; the component is compiled here"),
            }
        }
        let mut backend = Backend::on_nats(nats, &args.runtime_id).await?;
        args.data.read_from(&args.runtime_id, &mut backend).await?;
        let parts = NodeParts {
            backend,
            engine,
            variables,
            measurements: measuring.measurements.clone(),
            metrics: metrics.clone(),
            health: health.clone(),
            grace: Duration::from_secs_f64(args.grace),
            places: None,
        };
        Ok(Some((Host::start(parts, &places, &package).await?, places)))
    };
    let host = tokio::select! {
        started = starting => started?,
        () = stop.cancelled() => return Ok(ExitCode::SUCCESS),
    };
    let Some((host, places)) = host else { return Ok(ExitCode::FAILURE) };
    let ready = || {
        let nodes = places.iter().map(|p| format!("{}/{}", p.identity.workflow, p.identity.node));
        let nodes: Vec<_> = nodes.collect();
        let text = match globals.output {
            Output::Json => format!("{}\n", json!({"event": "ready", "web": address.to_string(), "nodes": nodes})),
            Output::Text => format!(
                "nodes {}\n  web   http://{address}/\n\nready after {:.1} s; Ctrl-C drains and ends\n",
                nodes.join(", "),
                started.elapsed().as_secs_f64()
            ),
        };
        if let Err(error) = print::out(&text) {
            tracing::warn!("standard output is of no use: {error:#}");
        }
    };
    let served = host.serve(probes, stop, ready).await;
    measuring.end().await;
    served.map(|()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn topology() -> Topology {
        let manifest = "\
krtVersion: v2
version: v1
description: Two nodes
workflows:
  - name: w
    entrypoint: Ask
    exitpoint: last
    nodes:
      - { name: first, src: bin/first.wasm, subscriptions: [entrypoint], replicas: 4 }
      - { name: last, src: bin/last.wasm, subscriptions: [first] }
";
        krt::check::check("krt.yml", manifest.as_bytes(), None).topology.expect("a valid manifest")
    }

    fn chosen(arguments: &[&str]) -> anyhow::Result<Vec<String>> {
        let arguments = ["krt", ".", "--nats", "localhost"].iter().chain(arguments);
        let places = placements(&Cli::parse_from(arguments).args, &topology(), |_| None)?;
        assert!(places.iter().all(|place| place.replicas == 1), "replicas are processes");
        Ok(places.into_iter().map(|place| place.identity.node).collect())
    }

    #[test]
    fn all_component_nodes_are_run_unless_some_are_named() {
        assert_eq!(chosen(&[]).unwrap(), ["first", "last"]);
        assert_eq!(chosen(&["--node", "w/last"]).unwrap(), ["last"]);
        assert_eq!(chosen(&["--node", "w/last,w/first"]).unwrap(), ["last", "first"]);
    }

    #[test]
    fn a_node_that_is_not_there_is_refused_with_those_that_are() {
        let error = chosen(&["--node", "last"]).unwrap_err().to_string();
        assert!(error.contains("w/first, w/last"), "{error}");
    }
}
