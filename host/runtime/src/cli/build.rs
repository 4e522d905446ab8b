//! `krt build`: makes the components of a version's nodes.

use std::process::ExitCode;

use super::Globals;

/// Build the components of a version's nodes
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_args: Args, _globals: &Globals) -> anyhow::Result<ExitCode> {
    anyhow::bail!("krt build is not there yet")
}
