//! `krt pack`: makes a .krt archive.

use std::process::ExitCode;

use super::Globals;

/// Pack a version into a .krt archive
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_args: Args, _globals: &Globals) -> anyhow::Result<ExitCode> {
    anyhow::bail!("krt pack is not there yet")
}
