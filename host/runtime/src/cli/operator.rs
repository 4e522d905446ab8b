//! `krt operator`: makes of every `Version` in a cluster what it says.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::future::BoxFuture;
use krt::problem::Problem;
use krt::topology::{NodeKind, Topology};
use serde_json::json;

use super::cluster::ClusterArgs;
use super::door::listen;
use super::nats::NatsArgs;
use super::render::{key_ref, without_secret};
use super::run::stop_on_signals;
use super::{Globals, Output, logging, print};
use crate::artifact::remote::{self, FetchOptions, RemoteError};
use crate::artifact::{Package, Reference};
use crate::cluster::client::connect;
use crate::cluster::reconcile::lease::LeaseOptions;
use crate::cluster::reconcile::{OperatorOptions, PackageError, Packages, run as operate};
use crate::cluster::render::{KeyRef, Options};
use crate::engine::{Engine, EngineOptions};
use crate::entrypoint::Probes;
use crate::nats::NatsOptions;
use crate::telemetry::{Health, Metrics};

/// Bytes of a component, as `krt host` takes them.
const MAX_COMPONENT: usize = 256 << 20;

/// Run the operator: versions on a cluster become what their resources say
///
/// Works on every Version of the cluster, or of the namespaces that are named. Of several operators with one Lease one works
/// and the others wait. Ends with SIGINT or SIGTERM, giving the Lease back; ends with an error when the Lease is lost.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  krt operator --nats nats://nats.bus:4222                         on the whole cluster
  krt operator -n team-a -n team-b --nats nats://nats.bus:4222     on two namespaces
  krt operator --nats localhost:4222 --nats-url nats://nats:4222   which pods reach by another name")]
pub(super) struct Args {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// A namespace to work on (repeatable) [default: all]
    #[arg(short, long = "namespace", value_name = "NAME", env = "KRT_NAMESPACES", value_delimiter = ',')]
    namespaces: Vec<String>,
    /// The runtime (tenant) whose names are used on the bus [default: each namespace's name]
    #[arg(long, value_name = "ID", value_parser = super::plan::runtime_id)]
    runtime_id: Option<String>,
    #[command(flatten)]
    nats: NatsArgs,
    /// Copies of streams and buckets in a cluster of NATS
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: Option<u8>,
    /// Where the web listens (probes, metrics); port 0 picks a free one
    #[arg(long, value_name = "HOST:PORT", env = "KRT_WEB_ADDR", default_value = "127.0.0.1:8080")]
    web_addr: String,
    /// Name of the Lease by which several operators take turns
    #[arg(long, value_name = "NAME", default_value = "krt-operator", help_heading = "Lease")]
    lease: String,
    /// Its namespace [default: that of the context, or the pod's own]
    #[arg(long, value_name = "NAME", env = "POD_NAMESPACE", help_heading = "Lease")]
    lease_namespace: Option<String>,
    /// Seconds after which another takes over when this one does not renew it
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=3600), help_heading = "Lease")]
    lease_seconds: u16,
    /// Who this one is, among operators [default: made up]
    #[arg(long, value_name = "NAME", env = "POD_NAME", help_heading = "Lease")]
    identity: Option<String>,
    #[command(flatten)]
    pods: Pods,
}

/// What pods of versions are made with.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Pods of versions")]
struct Pods {
    /// krt's image
    #[arg(long, value_name = "IMAGE", default_value = super::render::default_image())]
    image: String,
    /// When images are pulled: Always, IfNotPresent or Never
    #[arg(long, value_name = "POLICY", value_parser = ["Always", "IfNotPresent", "Never"])]
    pull_policy: Option<String>,
    /// Secret by which images are pulled (repeatable)
    #[arg(long, value_name = "SECRET")]
    pull_secret: Vec<String>,
    /// User id that native nodes run as, for images whose user is not a number
    #[arg(long, value_name = "UID", value_parser = clap::value_parser!(i64).range(1..=2_147_483_647))]
    native_user: Option<i64>,
    /// NATS as pods reach it, without secrets [default: as the operator does]
    #[arg(long, value_name = "URL", value_delimiter = ',', value_parser = without_secret)]
    nats_url: Vec<String>,
    /// Secret with a .creds file for krt's own pods
    #[arg(long, value_name = "SECRET/KEY", value_parser = key_ref)]
    nats_creds_secret: Option<KeyRef>,
    /// Secret with the authorities (PEM) of the server's certificate
    #[arg(long, value_name = "SECRET/KEY", value_parser = key_ref)]
    nats_ca_secret: Option<KeyRef>,
    /// Secret with the URL, user included, that krt's own pods get
    #[arg(long, value_name = "SECRET/KEY", value_parser = key_ref, conflicts_with = "nats_creds_secret")]
    nats_url_secret: Option<KeyRef>,
    /// Secret with the URL, user included, that runners of the original get
    #[arg(long, value_name = "SECRET/KEY", value_parser = key_ref)]
    nats_native_secret: Option<KeyRef>,
    /// Pods of each entrypoint
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    entrypoint_replicas: u32,
    /// Seconds that a call may take when the caller sets no deadline
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = super::positive_seconds)]
    request_timeout: f64,
    /// Namespace whose pods may read metrics (repeatable)
    #[arg(long, value_name = "NAME")]
    metrics_from: Vec<String>,
}

pub(super) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    logging::install(globals, false);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // Most of its time it waits; more threads would only be more stacks.
        .worker_threads(2)
        .enable_all()
        .build()
        .context("starting threads")?;
    runtime.block_on(serve(args, globals))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(args: Args, globals: &Globals) -> anyhow::Result<()> {
    let Some(nats) = args.nats.options("krt operator") else {
        bail!("where is NATS? Say --nats URL, or set KRT_NATS_URL")
    };
    let pods = args.pods.clone();
    let reached = if pods.nats_url.is_empty() { without_secrets(&nats.urls)? } else { pods.nats_url.clone() };
    let connection = connect(&args.cluster.options()).await?;
    let web = listen(&args.web_addr, "--web-addr").await?;
    let address = web.local_addr()?;
    let stop = stop_on_signals()?;
    let (metrics, health) = (Arc::new(Metrics::default()), Health::default());
    let working = health.part("turn");
    health.set_ready(true);
    let probes = Probes::serve(web, health, metrics);
    let identity = args.identity.clone().unwrap_or_else(|| format!("krt-{}", uuid::Uuid::new_v4().simple()));
    let options = OperatorOptions {
        namespaces: args.namespaces.clone(),
        runtime_id: args.runtime_id.clone(),
        packages: Arc::new(Stored { nats: nats.clone() }),
        nats,
        replicas: args.replicas.map(usize::from),
        place: Arc::new(move |namespace, package| place(&pods, &reached, namespace, package)),
        lease: Some(LeaseOptions {
            name: args.lease.clone(),
            namespace: args.lease_namespace.clone().unwrap_or(connection.namespace),
            holder: identity.clone(),
            duration: Duration::from_secs(args.lease_seconds.into()),
        }),
        instance: identity.clone(),
    };
    let text = match globals.output {
        Output::Json => format!("{}\n", json!({ "event": "ready", "web": address.to_string(), "identity": identity })),
        Output::Text => format!("operator {identity} at {}\n  web  http://{address}/\n", connection.server),
    };
    print::out(&text)?;
    let operated = operate(connection.client, options, working, stop).await;
    probes.close().await;
    Ok(operated?)
}

fn without_secrets(urls: &[String]) -> anyhow::Result<Vec<String>> {
    urls.iter()
        .map(|url| {
            without_secret(url)
                .map_err(|_| anyhow::anyhow!("NATS is named with a secret: say by --nats-url how pods reach it"))
        })
        .collect()
}

fn place(pods: &Pods, reached: &[String], namespace: &str, package: Reference) -> Options {
    let mut options = Options::new(namespace.to_owned(), package, pods.image.clone(), reached.to_vec());
    options.images.pull_policy.clone_from(&pods.pull_policy);
    options.images.pull_secrets.clone_from(&pods.pull_secret);
    options.images.native_user = pods.native_user;
    options.nats.credentials.clone_from(&pods.nats_creds_secret);
    options.nats.authorities.clone_from(&pods.nats_ca_secret);
    options.nats.own_url.clone_from(&pods.nats_url_secret);
    options.nats.native_url.clone_from(&pods.nats_native_secret);
    options.entrypoint_replicas = pods.entrypoint_replicas;
    options.request_timeout = Duration::from_secs_f64(pods.request_timeout);
    options.metrics_from.clone_from(&pods.metrics_from);
    options
}

/// Packages as `krt push` stores them.
struct Stored {
    nats: NatsOptions,
}

impl Packages for Stored {
    fn read(&self, reference: Reference) -> BoxFuture<'static, Result<Package, PackageError>> {
        let nats = self.nats.clone();
        Box::pin(async move {
            let connection = match &reference {
                Reference::Nats { .. } => {
                    let connected = crate::nats::connect(&nats, None).await;
                    Some(connected.map_err(|error| PackageError::Away(error.to_string()))?)
                }
                Reference::Oci(_) => None,
            };
            let opened = remote::open(&reference, connection.as_ref(), &FetchOptions::default()).await;
            opened.map_err(|error| match error {
                // Not there yet, not allowed yet, no room: what others can mend is tried again.
                RemoteError::NotFound(_) | RemoteError::Denied(_) | RemoteError::Away(_) | RemoteError::Disk(_) => {
                    PackageError::Away(error.to_string())
                }
                error => PackageError::Refused(error.to_string()),
            })
        })
    }

    fn judge(&self, package: &Package, topology: &Topology) -> Vec<Problem> {
        let rejected = |src: &str, why: String| {
            Problem::about_file(
                src,
                "bad-component",
                why,
                "build the component again (krt build), and push the package",
            )
        };
        let nodes = topology.workflows.iter().flat_map(|workflow| &workflow.nodes);
        let mut sources: Vec<&str> =
            nodes.filter(|node| matches!(node.kind, NodeKind::Wasm(_))).map(|node| node.src.as_str()).collect();
        sources.sort_unstable();
        sources.dedup();
        if sources.is_empty() {
            return Vec::new();
        }
        let engine = match Engine::new(EngineOptions { cache: super::cache::folder(), ..EngineOptions::default() }) {
            Ok(engine) => engine,
            // Pods will say it of themselves.
            Err(error) => {
                tracing::warn!(%error, "components are not judged");
                return Vec::new();
            }
        };
        let judge = |src: &&str| {
            let bytes = match package.read(src, MAX_COMPONENT) {
                Ok(bytes) => bytes,
                Err(error) => return Some(rejected(src, error.to_string())),
            };
            engine.load(src, &bytes).err().map(|error| rejected(src, error.to_string()))
        };
        sources.iter().filter_map(judge).collect()
    }
}
