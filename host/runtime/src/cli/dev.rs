//! `krt dev`: runs a version and builds its nodes anew when their sources change. The node that runs is exchanged only for
//! one that was built and initialised.

mod watch;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::watch::Watch;
use super::build::{Builder, Built, How};
use super::{Globals, Output, logging, print, run};
use crate::runtime::Swapper;

/// Run a version and rebuild its nodes while their sources change
///
/// As `krt run`, after `krt build`. When a file of a node's source folder changes, that node is built and takes the place of
/// the one that runs, without a request being dropped; a change elsewhere in the version, as of a .proto, builds all
/// nodes. When a build fails, what the compiler says is shown and the old node stays. What a node keeps in memory is new
/// with it; configuration, objects and documents stay as long as the process.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  krt dev                                    the version in this folder, on 127.0.0.1:9000 and :8080
  krt dev shop --requests                    with a line for every request
  krt dev . --grpc-addr 127.0.0.1:0 --output json
                                             for scripts: one event a line, `ready`, `swapped`, `build-failed`

A change of krt.yml itself takes effect with the next start.")]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    run: run::Flags,
}

pub(super) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    logging::install(globals, args.run.door.requests);
    let Some(builder) = Builder::new(&args.run.path, &args.how, &[], globals)? else {
        return Ok(ExitCode::FAILURE);
    };
    // Watched before it is built: a change meanwhile is not missed.
    let watch = Watch::start(builder.root())?;
    let globals = *globals;
    let built = builder.build(|_| true, &globals)?;
    tell_failures(&built, globals);
    if built.failures().next().is_some() {
        return Ok(ExitCode::FAILURE);
    }
    let swaps: run::Swaps = Box::new(move |swapper| {
        let threads = tokio::runtime::Handle::current();
        threads.clone().spawn_blocking(move || {
            if let Err(error) = rebuild(&builder, watch, &swapper, &threads, globals) {
                tracing::error!("sources are not watched any more: {error:#}");
            }
        });
    });
    run::run_with(args.run, &globals, Some(swaps))
}

/// Builds what changes and exchanges it, until the process ends.
fn rebuild(
    builder: &Builder,
    mut watch: Watch,
    swapper: &Swapper,
    threads: &tokio::runtime::Handle,
    globals: Globals,
) -> anyhow::Result<()> {
    let sources = builder.sources();
    while let Some(changed) = watch.changed()? {
        if changed.iter().any(|path| is_manifest(path)) {
            tell(globals, "restart krt dev to have the change of krt.yml", &json!({"event": "manifest-changed"}));
        }
        let dirty = dirty(&changed, &sources);
        if dirty.is_empty() {
            continue;
        }
        let started = Instant::now();
        let built = match builder.build(|source| dirty.contains(source), &globals) {
            Ok(built) => built,
            Err(error) => {
                let event = json!({"event": "build-failed", "message": format!("{error:#}")});
                tell(globals, &format!("error: {error:#}\nthe nodes that run stay"), &event);
                continue;
            }
        };
        let building = started.elapsed();
        tell_failures(&built, globals);
        for src in built.changed() {
            match threads.block_on(swapper.swap(&src)) {
                Ok(swapping) => tell_swap(&src, building, swapping, globals),
                Err(error) => {
                    let event = json!({"event": "swap-failed", "src": src, "message": format!("{error:#}")});
                    tell(globals, &format!("error: {error:#}\nthe old {src} stays"), &event);
                }
            }
        }
    }
    Ok(())
}

fn is_manifest(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "krt.yml" || name == "krt.yaml")
}

/// The source folders that changes are about: those they are in, or all.
fn dirty(changed: &BTreeSet<PathBuf>, sources: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut dirty = BTreeSet::new();
    for path in changed.iter().filter(|path| !is_manifest(path)) {
        let mut of = sources.iter().filter(|source| path.starts_with(source)).peekable();
        // What lies in no node's folder may be anybody's: messages, a library of the version's own.
        let all = of.peek().is_none();
        dirty.extend(of.cloned());
        if all {
            dirty.extend(sources.iter().cloned());
        }
    }
    dirty
}

fn tell_failures(built: &Built, globals: Globals) {
    for (nodes, command, message) in built.failures() {
        let nodes_text = nodes.join(", ");
        let text = format!("{message}\nerror: could not build {nodes_text}; the command was: {command}");
        tell(globals, &text, &json!({"event": "build-failed", "nodes": nodes, "command": command, "message": message}));
    }
}

fn tell_swap(src: &str, building: Duration, swapping: Duration, globals: Globals) {
    let (build, swap) = (building.as_secs_f64(), swapping.as_secs_f64());
    let text = format!("swapped {src}: built in {build:.1} s, exchanged in {:.0} ms", swap * 1e3);
    tell(globals, &text, &json!({"event": "swapped", "src": src, "build_seconds": build, "swap_seconds": swap}));
}

/// For people on standard error, beside the log; for scripts as an event on standard output.
fn tell(globals: Globals, text: &str, event: &Value) {
    match globals.output {
        Output::Text => print::error(&format!("{text}\n")),
        Output::Json => {
            // Nobody can be told when that fails.
            let _ = print::out(&format!("{event}\n"));
        }
    }
}
