//! Arguments, exit codes, printing: the only place with `println!`, exit codes and the environment.
//!
//! One file a subcommand. Exit codes: 0 done, 1 it failed (with a message on standard error), 2 wrong usage.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is where krt prints")]

mod build;
mod cache;
mod call;
mod check;
mod cluster;
mod compile;
mod completions;
mod data;
mod dev;
mod dlq;
mod doctor;
mod door;
mod entrypoint;
mod fetch;
mod graph;
mod host;
mod judge;
mod logging;
mod native;
mod nats;
mod new;
mod operator;
mod pack;
mod plan;
mod pods;
mod print;
mod provision;
mod push;
mod remote;
mod render;
mod run;
mod secret;
mod stats;
mod told;
mod variables;
mod version;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// Run KRT v2 versions: workflows of WebAssembly nodes behind a gRPC entrypoint.
#[derive(Debug, Parser)]
#[command(name = "krt", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 done, 1 it failed (standard error says why), 2 wrong usage.")]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// What every subcommand understands.
#[derive(Debug, Clone, Copy, clap::Args)]
struct Globals {
    /// How results are printed: for people, or as JSON for scripts
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    output: Output,
    /// When to use colour: on terminals, always or never (NO_COLOR is respected)
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: Color,
    /// Log more: -v for debug, -vv for trace
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::Args),
    Check(check::Args),
    Build(build::Args),
    Run(Box<run::Args>),
    Dev(Box<dev::Args>),
    Call(call::Args),
    Pack(pack::Args),
    Graph(graph::Args),
    Plan(plan::Args),
    Provision(provision::Args),
    Deprovision(provision::RemoveArgs),
    Push(push::Args),
    Fetch(fetch::Args),
    Compile(compile::Args),
    Render(Box<render::Args>),
    Host(host::Args),
    Entrypoint(entrypoint::Args),
    Operator(Box<operator::Args>),
    Deploy(version::DeployArgs),
    Start(version::StartArgs),
    Stop(version::StopArgs),
    Publish(version::PublishArgs),
    Unpublish(version::UnpublishArgs),
    Rollback(version::RollbackArgs),
    Status(version::StatusArgs),
    Logs(version::LogsArgs),
    Delete(version::DeleteArgs),
    Config(version::ConfigArgs),
    Dlq(dlq::Args),
    Doctor(Box<doctor::Args>),
    Cache(cache::Args),
    Completions(completions::Args),
}

/// Parses the arguments of this process and does what they say.
pub fn main() -> ExitCode {
    // Clients that leave the choice to the process ask for it; nobody else sets one.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    let Cli { globals, command } = cli;
    let result = match command {
        Command::New(args) => new::run(args, &globals),
        Command::Check(args) => check::run(args, &globals),
        Command::Build(args) => build::run(args, &globals),
        Command::Run(args) => run::run(*args, &globals),
        Command::Dev(args) => dev::run(*args, &globals),
        Command::Call(args) => call::run(args, &globals),
        Command::Pack(args) => pack::run(args, &globals),
        Command::Graph(args) => graph::run(args, &globals),
        Command::Plan(args) => plan::run(args, &globals),
        Command::Provision(args) => provision::run(args, &globals),
        Command::Deprovision(args) => provision::remove(args, &globals),
        Command::Push(args) => push::run(args, &globals),
        Command::Compile(args) => compile::run(args, &globals),
        Command::Fetch(args) => fetch::run(args, &globals),
        Command::Render(args) => render::run(*args, &globals),
        Command::Host(args) => host::run(args, &globals),
        Command::Operator(args) => operator::run(*args, &globals),
        Command::Deploy(args) => version::deploy(args, &globals),
        Command::Start(args) => version::start(args, &globals),
        Command::Stop(args) => version::stop(args, &globals),
        Command::Publish(args) => version::publish(args, &globals),
        Command::Unpublish(args) => version::unpublish(args, &globals),
        Command::Rollback(args) => version::rollback(args, &globals),
        Command::Status(args) => version::status(args, &globals),
        Command::Logs(args) => version::logs(args, &globals),
        Command::Delete(args) => version::delete(args, &globals),
        Command::Config(args) => version::config(args, &globals),
        Command::Dlq(args) => dlq::run(args, &globals),
        Command::Entrypoint(args) => entrypoint::run(args, &globals),
        Command::Doctor(args) => doctor::run(*args, &globals),
        Command::Cache(args) => cache::run(args, &globals),
        Command::Completions(args) => completions::run(args, &globals),
    };
    result.unwrap_or_else(|error| {
        print::error(&format!("error: {error:#}\n"));
        ExitCode::FAILURE
    })
}

impl Globals {
    /// Whether to colour what goes to a stream that `is_terminal`.
    fn colour(&self, is_terminal: bool) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => is_terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        }
    }
}

/// A time in seconds from the command line: more than nothing, at most a day.
fn positive_seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 86_400.0 => Ok(seconds),
        _ => Err("expected seconds, more than 0 and at most 86400".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent_and_every_subcommand_has_help_with_examples() {
        let mut cli = super::Cli::command();
        cli.clone().debug_assert();
        for command in cli.get_subcommands_mut() {
            let help = command.render_long_help().to_string();
            assert!(help.contains("Example"), "krt {} shows no example:\n{help}", command.get_name());
        }
    }
}
