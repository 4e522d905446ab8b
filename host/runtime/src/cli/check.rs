//! `krt check`: says what is wrong with a version.

use std::path::PathBuf;
use std::process::ExitCode;

use krt::problem::Problem;
use krt::topology::{NodeKind, Topology};

use super::judge::{Depth, Judged, judge};
use super::{Globals, Output, print};

/// Check a version and say what is wrong with it
///
/// Judges the manifest and what it names: the sources of nodes, the .proto and the method of each workflow, and whether the
/// messages that nodes say they take and send fit along every edge.
/// All problems are told at once, each with file, line, column and what to do.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  krt check .                          the version in this folder
  krt check classificator-v1.krt       an archive
  krt check my/krt.yml --output json   for scripts

Exit codes: 0 without errors (there may be warnings), 1 with errors, 2 wrong usage.")]
pub(super) struct Args {
    /// A folder with a krt.yml, a krt.yml, or a .krt archive
    path: PathBuf,
}

#[derive(serde::Serialize)]
struct Report<'p> {
    problems: &'p [Problem],
}

pub(super) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let judged = judge(&args.path, Depth::Package);
    match globals.output {
        Output::Json => print::json(&Report { problems: &judged.problems })?,
        Output::Text => {
            judged.print_problems(globals);
            if let Some(topology) = &judged.topology {
                print::out(&summary(topology, &judged))?;
            }
        }
    }
    Ok(if judged.has_errors() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn summary(topology: &Topology, judged: &Judged) -> String {
    let nodes = || topology.workflows.iter().flat_map(|workflow| &workflow.nodes);
    let wasm = nodes().filter(|node| matches!(node.kind, NodeKind::Wasm(_))).count();
    let verdict = if judged.problems.is_empty() { "no problems" } else { "no errors" };
    format!(
        "{}: {verdict} ({}, {}, {wasm} of them wasm)\n",
        topology.version,
        counted(topology.workflows.len(), "workflow"),
        counted(nodes().count(), "node"),
    )
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
