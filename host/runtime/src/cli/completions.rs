//! `krt completions`: completion scripts for shells.

use std::process::ExitCode;

use clap::CommandFactory as _;

use super::{Cli, Globals, print};

/// Print the completion script of a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  krt completions bash > /etc/bash_completion.d/krt
  krt completions zsh > \"${fpath[1]}/_krt\"
  krt completions fish > ~/.config/fish/completions/krt.fish")]
pub(super) struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

pub(super) fn run(args: Args, _globals: &Globals) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "krt", &mut script);
    print::out(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
