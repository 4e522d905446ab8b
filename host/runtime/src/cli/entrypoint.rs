//! `krt entrypoint`: serves a version's methods over gRPC, on a NATS that its nodes share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail};
use krt::proto::Proto;
use krt::topology::Topology;
use serde_json::json;
use tokio::net::TcpListener;

use super::door::Door;
use super::judge::{Depth, Judged, judge, judge_package};
use super::nats::NatsArgs;
use super::remote::{RemoteArgs, opened};
use super::run::{no_proto, stop_on_signals};
use super::{Globals, Output, logging, print};
use crate::artifact::{self, Reference};
use crate::entrypoint::{Entrypoint, EntrypointOptions, MethodRoute, Probes};
use crate::runtime::Backend;
use crate::telemetry::{Health, Metrics};

/// Bytes of the file with subjects: a thousand methods make 200 KiB.
const MAX_SUBJECTS: usize = 1 << 20;

/// Serve a version's methods over gRPC, on NATS: what a pod of the entrypoint runs
///
/// Needs the package's krt.yml and .proto; its nodes run elsewhere (`krt host`, or the original's runners). As many of these
/// as wanted may run side by side: each hears its own calls' answers. Waits for a NATS that is away, not ready meanwhile.
/// Ends with SIGINT or SIGTERM: calls in flight are answered first, within the grace period.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  krt entrypoint . --nats nats://localhost:4222
  krt entrypoint . --nats a:4222,b:4222,c:4222 --nats-creds team.creds --grpc-addr 0.0.0.0:9000")]
pub(super) struct Args {
    /// The version's package: a folder with a krt.yml, the krt.yml itself, a .krt archive, or a reference from krt push
    #[arg(env = "KRT_BASE_PATH", default_value = ".")]
    path: PathBuf,
    #[command(flatten)]
    nats: NatsArgs,
    /// The runtime (tenant) whose names are used on the bus
    #[arg(long, value_name = "ID", env = "KRT_RUNTIME_ID", default_value = "kre")]
    runtime_id: String,
    /// JSON file with stream, input_subject and output_subject of each method, in place of the manifest's names
    #[arg(long, value_name = "FILE", env = "KRT_NATS_SUBJECTS_FILE")]
    subjects: Option<PathBuf>,
    #[command(flatten)]
    door: Door,
    #[command(flatten)]
    remote: RemoteArgs,
}

/// A package with what is served of it.
struct Version {
    topology: Topology,
    proto: Proto,
    methods: Vec<MethodRoute>,
}

/// What the original's platform writes for a method (contract, 4.5).
#[derive(Debug, serde::Deserialize)]
struct Subjects {
    stream: String,
    /// Where answers appear.
    input_subject: String,
    /// Where requests go.
    output_subject: String,
}

pub(super) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    logging::install(globals, args.door.requests);
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

/// What is served of a package, or none when it has errors, which are told.
fn version(args: &Args, globals: &Globals, judged: Judged) -> anyhow::Result<Option<Version>> {
    judged.print_problems(globals);
    let (Some(package), Some(topology)) = (judged.package, judged.topology) else { return Ok(None) };
    let proto = Proto::load(&package, &topology.proto).map_err(|problems| no_proto(&topology, &problems))?;
    let mut methods = MethodRoute::all(&topology, &args.runtime_id, &proto)?;
    if let Some(path) = &args.subjects {
        let bytes = artifact::read_file(path, MAX_SUBJECTS).with_context(|| format!("reading {}", path.display()))?;
        let given = serde_json::from_slice(&bytes).with_context(|| format!("{} is not as expected", path.display()))?;
        rename(&mut methods, given)?;
    }
    Ok(Some(Version { topology, proto, methods }))
}

async fn serve(
    args: Args,
    globals: &Globals,
    reference: Option<Reference>,
    version: Option<Version>,
    started: Instant,
) -> anyhow::Result<ExitCode> {
    let (grpc, web) = args.door.listen().await?;
    let (grpc_addr, web_addr) = (grpc.local_addr()?, web.local_addr()?);
    let stop = stop_on_signals()?;
    let (metrics, health) = (Arc::new(Metrics::default()), Health::default());
    let (limits, tls) = (args.door.limits(), args.door.tls()?);
    let name = format!("{} krt entrypoint", args.runtime_id);
    let connected = health.part("NATS");
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
        anyhow::Ok((Backend::on_nats(nats, &args.runtime_id).await?, version))
    };
    // Probes are answered while NATS is awaited and the package is fetched; then the entrypoint takes over on the same port.
    let web = web.into_std()?;
    let probes = Probes::serve(TcpListener::from_std(web.try_clone()?)?, health.clone(), metrics.clone());
    let (backend, version) = tokio::select! {
        started = starting => started?,
        () = stop.cancelled() => return Ok(ExitCode::SUCCESS),
    };
    let Some(Version { topology, proto, methods }) = version else { return Ok(ExitCode::FAILURE) };
    probes.close().await;
    let web = TcpListener::from_std(web)?;
    let entrypoint = Entrypoint::new(EntrypointOptions {
        proto,
        topology: Arc::new(topology),
        methods,
        bus: backend.bus.clone(),
        metrics,
        health: health.clone(),
        limits,
        tls,
    })?;
    health.set_ready(true);
    let ready = || {
        let text = match globals.output {
            Output::Json => {
                format!("{}\n", json!({"event": "ready", "grpc": grpc_addr.to_string(), "web": web_addr.to_string()}))
            }
            Output::Text => format!(
                "  gRPC  {grpc_addr}\n  web   http://{web_addr}/\n\nready after {:.1} s; Ctrl-C drains and ends\n",
                started.elapsed().as_secs_f64()
            ),
        };
        if let Err(error) = print::out(&text) {
            tracing::warn!("standard output is of no use: {error:#}");
        }
    };
    let serving = entrypoint.serve(grpc, web, stop);
    tokio::pin!(serving);
    tokio::select! {
        () = &mut serving => {}
        () = health.until(true) => {
            ready();
            serving.await;
        }
    }
    backend.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Takes the names from the platform's file. Each method of the version must be in it; what else is in it is not ours.
fn rename(methods: &mut [MethodRoute], mut given: BTreeMap<String, Subjects>) -> anyhow::Result<()> {
    for route in methods {
        let name = route.method.name();
        let Some(Subjects { stream, input_subject, output_subject }) = given.remove(name) else {
            bail!("the file with subjects has no method {name:?}, which workflow {:?} answers", route.workflow);
        };
        if [&stream, &input_subject, &output_subject].into_iter().any(|name| name.is_empty() || name.contains(' ')) {
            bail!("the file with subjects has an empty name, or one with a space in it, for method {name:?}");
        }
        route.stream = stream;
        route.reply_subject = input_subject;
        route.request_subject = output_subject;
    }
    Ok(())
}
