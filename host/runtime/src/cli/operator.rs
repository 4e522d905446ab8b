//! `krt operator`: makes of every `Version` in a cluster what it says.

mod packages;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;

use self::packages::{Child, Stored};

use super::cluster::ClusterArgs;
use super::door::listen;
use super::nats::NatsArgs;
use super::pods::{PodArgs, without_secret};
use super::remote::RemoteArgs;
use super::render::public_key;
use super::run::stop_on_signals;
use super::{Globals, Output, logging, print};
use crate::artifact::Reference;
use crate::cluster::client::connect;
use crate::cluster::reconcile::lease::LeaseOptions;
use crate::cluster::reconcile::{OperatorOptions, run as operate};
use crate::cluster::render::Options;
use crate::entrypoint::Probes;
use crate::telemetry::{Health, Metrics};

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
    /// MiB that compiling a package's components may use
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    compile_memory: u64,
    #[command(flatten)]
    remote: RemoteArgs,
    /// NATS as pods reach it, without secrets [default: as the operator does]
    #[arg(long, value_name = "URL", value_delimiter = ',', value_parser = without_secret, help_heading = "NATS and databases of pods")]
    nats_url: Vec<String>,
    #[command(flatten)]
    pods: PodArgs,
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
    let reached = if args.nats_url.is_empty() { without_secrets(&nats.urls)? } else { args.nats_url.clone() };
    let child = Child {
        replicas: args.replicas.map_or(1, usize::from),
        memory: args.compile_memory,
        environment: args.nats.environment().into_iter().chain(args.remote.environment()).collect(),
    };
    let stored = Stored::new(nats.clone(), args.remote.options()?, child)?;
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
        packages: Arc::new(stored),
        nats,
        replicas: args.replicas.map(usize::from),
        place: Arc::new(placing(&args, reached)?),
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

/// What the pods of a version are made with, its configuration apart.
fn placing(
    args: &Args,
    reached: Vec<String>,
) -> anyhow::Result<impl Fn(&str, Reference) -> Options + Send + Sync + 'static> {
    let (pods, plain_http) = (args.pods.clone(), args.remote.plain_http());
    let verify_key = args.remote.verify_key().map(public_key).transpose()?;
    Ok(move |namespace: &str, package: Reference| {
        let mut options = pods.options(namespace, package, &reached);
        options.plain_http = plain_http;
        options.verify_key.clone_from(&verify_key);
        options
    })
}
