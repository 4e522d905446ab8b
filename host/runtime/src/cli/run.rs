//! `krt run`: runs a version in this process.

use std::process::ExitCode;

use super::Globals;

/// Run a version on this machine
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_args: Args, _globals: &Globals) -> anyhow::Result<ExitCode> {
    anyhow::bail!("krt run is not there yet")
}
