//! `krt call`: calls a method through reflection.

use std::process::ExitCode;

use super::Globals;

/// Call a method and print the answer
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_args: Args, _globals: &Globals) -> anyhow::Result<ExitCode> {
    anyhow::bail!("krt call is not there yet")
}
