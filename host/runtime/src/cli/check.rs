//! `krt check`: says what is wrong with a version.

use std::process::ExitCode;

use super::Globals;

/// Check a version and say what is wrong with it
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_args: Args, _globals: &Globals) -> anyhow::Result<ExitCode> {
    anyhow::bail!("krt check is not there yet")
}
