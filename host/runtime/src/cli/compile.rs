//! `krt compile`: compiles a version's components once, for all hosts that run them.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde_json::json;

use super::judge::{Depth, judge, judge_package};
use super::nats::NatsArgs;
use super::plan::runtime_id;
use super::remote::{RemoteArgs, opened};
use super::{Globals, Output, logging, print};
use crate::engine::{Engine, EngineOptions};
use crate::runtime::ahead::{self, Outcome, Shelf};

/// Compile a version's components beforehand, into an object store on NATS
///
/// Prints, for each component, where it is and its digest: what krt host takes by --compiled, which compares the digest
/// before it believes the store. A host whose engine is another, or whose processor lacks something, compiles for itself.
/// Who runs nodes need not be able to write to that store.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  krt compile nats://packages_kre/SHA256 --nats nats://localhost:4222
  krt compile . --nats localhost:4222 --runtime-id team-a --output json")]
pub(super) struct Args {
    /// A folder with a krt.yml, a krt.yml, a .krt archive, or a reference from krt push
    path: PathBuf,
    /// The runtime (tenant) that the object store belongs to
    #[arg(long, value_name = "ID", default_value = "kre", value_parser = runtime_id)]
    runtime_id: String,
    /// Copies of the object store in a cluster of NATS, if it has to be made
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: u8,
    /// Give up rather than use more memory than this, in MiB
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    memory: Option<u64>,
    /// Seconds to wait for NATS
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, value_parser = super::positive_seconds)]
    wait: f64,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    nats: NatsArgs,
}

pub(super) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    logging::install(globals, false);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting threads")?;
    runtime.block_on(compile(args, globals))
}

async fn compile(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let nats = args.nats.connect("krt compile", Duration::from_secs_f64(args.wait)).await?;
    let judged = match args.remote.reference(&args.path)? {
        Some(reference) => {
            let package = opened(&reference, Some(&nats), &args.remote.options()?).await?;
            judge_package(package, Depth::Package)
        }
        None => judge(&args.path, Depth::Package),
    };
    judged.print_problems(globals);
    let has_errors = judged.has_errors();
    let (Some(package), Some(topology)) = (judged.package, judged.topology) else { return Ok(ExitCode::FAILURE) };
    if has_errors {
        return Ok(ExitCode::FAILURE);
    }
    // Somewhere to take what was compiled from, whether or not this machine keeps it.
    let there = tempfile::tempdir().context("a temporary folder")?;
    let cache = super::cache::folder().unwrap_or_else(|| there.path().join("components"));
    let engine = Engine::new(EngineOptions { cache: Some(cache), ..EngineOptions::default() })?;
    if let Some(mebibytes) = args.memory {
        limit_memory(mebibytes << 20)?;
    }
    let shelf = Shelf { nats: &nats, runtime_id: &args.runtime_id, replicas: usize::from(args.replicas) };
    let Outcome { compiled, rejected } = ahead::compile(&engine, &package, &topology, shelf).await?;
    nats.close().await;
    match globals.output {
        Output::Json => {
            let compiled = compiled.iter().map(|it| json!({"src": it.src, "ref": it.reference.to_string()}));
            let rejected = rejected.iter().map(|it| json!({"src": it.src, "error": it.why}));
            print::json(&compiled.chain(rejected).collect::<Vec<_>>())?;
        }
        Output::Text => {
            let rows: Vec<_> = compiled.iter().map(|it| vec![it.src.clone(), it.reference.to_string()]).collect();
            print::out(&print::columns(&rows))?;
            rejected.iter().for_each(|it| print::error(&format!("error: {}\n", it.why)));
        }
    }
    Ok(if rejected.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Has the kernel give this process no more than `more` bytes from now on. What the engine has reserved for instances, of which
/// compiling needs none, does not count.
fn limit_memory(more: u64) -> anyhow::Result<()> {
    let status = std::fs::read_to_string("/proc/self/status").context("reading this process's status")?;
    let data = status.lines().find_map(|line| line.strip_prefix("VmData:")?.trim().strip_suffix(" kB")?.parse().ok());
    let Some(now) = data.map(|kib: u64| kib << 10) else {
        bail!("the system does not say how much memory this process has")
    };
    let limit = Some(now.saturating_add(more));
    setrlimit(Resource::Data, Rlimit { current: limit, maximum: limit }).context("limiting this process's memory")
}
