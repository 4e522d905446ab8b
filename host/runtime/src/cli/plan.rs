//! `krt plan`: prints what a version needs on the bus.

use std::process::ExitCode;

use super::Globals;

/// Print what a version needs on the bus
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_args: Args, _globals: &Globals) -> anyhow::Result<ExitCode> {
    anyhow::bail!("krt plan is not there yet")
}
