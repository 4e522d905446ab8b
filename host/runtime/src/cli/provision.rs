//! `krt provision` and `krt deprovision`: make what a version needs on NATS, or remove it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use krt::plan::{Plan, plan};
use serde_json::json;

use super::judge::{Depth, judge};
use super::nats::NatsArgs;
use super::{Globals, Output, logging, print};
use crate::bus::nats::provision::{self, ApplyOptions, Change, Done, ProvisionError, RemoveOptions};

/// Make what a version needs on NATS: streams, durables, buckets
///
/// Safe to run again, and by several at once: says of each thing whether it was created, updated or as planned. A change
/// that would destroy data is refused with all that would be lost, and nothing is changed. Bounds that are not given stay
/// as they are.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  krt provision . --nats nats://localhost:4222
  krt provision demo.krt --nats tls://n0:4222,tls://n1:4222 --nats-creds team.creds --runtime-id team-a --replicas 3")]
pub(super) struct Args {
    #[command(flatten)]
    version: Version,
    #[command(flatten)]
    nats: NatsArgs,
    /// Copies of streams and buckets in a cluster
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: Option<u8>,
    /// Do what destroys data, too
    #[arg(long)]
    force: bool,
    /// Bytes that the stream of a workflow holds at most; then publications wait, and fail
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    max_bytes: Option<u64>,
    /// Messages that the stream of a workflow holds at most; then publications wait, and fail
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_messages: Option<u64>,
    /// Messages that wait for one node at most; then those that send to it wait, and the others do not
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_messages_per_subject: Option<u64>,
    /// Age in seconds at which messages are dropped, read or not
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    max_age: Option<u64>,
}

/// Remove what a version has on NATS
///
/// Streams with their durables, and object stores. Configuration values stay, as on the original platform, which never
/// deletes them; dead letters stay while there are any.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  krt deprovision . --nats nats://localhost:4222
  krt deprovision . --nats nats://localhost:4222 --key-value --dead-letters   leave nothing")]
pub(super) struct RemoveArgs {
    #[command(flatten)]
    version: Version,
    #[command(flatten)]
    nats: NatsArgs,
    /// Remove the configuration buckets with their values, too
    #[arg(long)]
    key_value: bool,
    /// Remove dead letters, too
    #[arg(long)]
    dead_letters: bool,
}

/// Which version, and how long to wait for the server.
#[derive(Debug, clap::Args)]
struct Version {
    /// A folder with a krt.yml, a krt.yml, or a .krt archive
    path: PathBuf,
    /// The runtime (tenant) that the names begin with
    #[arg(long, value_name = "ID", default_value = "kre", value_parser = super::plan::runtime_id)]
    runtime_id: String,
    /// Seconds to wait for NATS
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = super::positive_seconds)]
    wait: f64,
}

impl Version {
    fn wait(&self) -> Duration {
        Duration::from_secs_f64(self.wait)
    }
}

pub(super) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    logging::install(globals, false);
    let Some(plan) = planned(&args.version.path, &args.version.runtime_id, globals) else {
        return Ok(ExitCode::FAILURE);
    };
    let options = ApplyOptions {
        replicas: args.replicas.map(usize::from),
        force: args.force,
        max_bytes: args.max_bytes,
        max_messages: args.max_messages,
        max_messages_per_subject: args.max_messages_per_subject,
        max_age: args.max_age.map(Duration::from_secs),
        patience: args.version.wait(),
        ..ApplyOptions::default()
    };
    let changes = block_on(async {
        let nats = args.nats.connect("krt provision", args.version.wait()).await?;
        anyhow::Ok(provision::apply(&nats, &plan, &options).await.map_err(explained)?)
    })?;
    tell(&changes, globals)
}

pub(super) fn remove(args: RemoveArgs, globals: &Globals) -> anyhow::Result<ExitCode> {
    logging::install(globals, false);
    let Some(plan) = planned(&args.version.path, &args.version.runtime_id, globals) else {
        return Ok(ExitCode::FAILURE);
    };
    let options = RemoveOptions { key_value: args.key_value, dead_letters: args.dead_letters };
    let changes = block_on(async {
        let nats = args.nats.connect("krt deprovision", args.version.wait()).await?;
        anyhow::Ok(provision::remove(&nats, &plan, &options).await?)
    })?;
    tell(&changes, globals)
}

/// What to do about it, where there is something.
pub(super) fn explained(error: ProvisionError) -> anyhow::Error {
    match &error {
        ProvisionError::WouldDestroy(losses) => {
            let lines: String =
                losses.iter().map(|loss| format!("\n  {} {} {}", loss.kind, loss.name, loss.why)).collect();
            anyhow::anyhow!(
                "nothing was changed, since data would be lost:{lines}\nlet the nodes finish, or lose it with \
                 `krt provision --force`"
            )
        }
        _ => error.into(),
    }
}

fn planned(path: &Path, runtime_id: &str, globals: &Globals) -> Option<Plan> {
    let judged = judge(path, Depth::Manifest);
    judged.print_problems(globals);
    judged.topology.map(|topology| plan(&topology, runtime_id))
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting a thread")?;
    runtime.block_on(work)
}

fn tell(changes: &[Change], globals: &Globals) -> anyhow::Result<ExitCode> {
    match globals.output {
        Output::Json => print::json(&json!({ "changes": changes }))?,
        Output::Text => {
            let row =
                |change: &Change| vec![word(change.done).to_owned(), change.kind.to_string(), change.name.clone()];
            print::out(&print::columns(&changes.iter().map(row).collect::<Vec<_>>()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn word(done: Done) -> &'static str {
    match done {
        Done::Created => "created",
        Done::Updated => "updated",
        Done::Recreated => "recreated",
        Done::Unchanged => "unchanged",
        Done::Removed => "removed",
        Done::Kept => "kept",
        Done::Absent => "absent",
    }
}
