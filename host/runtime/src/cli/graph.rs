//! `krt graph`: draws a version's workflows.

use std::process::ExitCode;

use super::Globals;

/// Draw the workflows of a version
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_args: Args, _globals: &Globals) -> anyhow::Result<ExitCode> {
    anyhow::bail!("krt graph is not there yet")
}
