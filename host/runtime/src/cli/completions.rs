//! `krt completions`: completion scripts for shells.

use std::process::ExitCode;

use clap::CommandFactory as _;

use super::{Cli, Globals};

/// Print the completion script of a shell
///
/// Example: krt completions bash > /etc/bash_completion.d/krt
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

pub(super) fn run(args: Args, _globals: &Globals) -> anyhow::Result<ExitCode> {
    clap_complete::generate(args.shell, &mut Cli::command(), "krt", &mut std::io::stdout());
    Ok(ExitCode::SUCCESS)
}
