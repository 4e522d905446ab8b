//! `krt call`: calls a method of a running version. What it is called and what it takes is asked of the server.
//!
//! Answers go to standard output, one JSON a line; everything else to standard error.

mod load;
mod method;
mod reflection;
mod server;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::io::{ErrorKind, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use prost_reflect::MethodDescriptor;

use super::{Globals, Output};
use crate::entrypoint::json::{self, JsonError};
use crate::entrypoint::text;
use server::Server;

/// Bytes of a request read from a file or standard input: more than any gRPC server takes by default.
const MAX_INPUT: u64 = 64 << 20;
/// Characters of an offending line that are shown around the caret.
const SHOWN: usize = 60;

/// Call a method of a running version and print its answer
///
/// Methods and messages are asked of the server (gRPC reflection, v1 or v1alpha), so any gRPC server will do. Without
/// METHOD, or with --list, prints the methods there are and a request to start from. Exits 1 if a call fails.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  krt call                                         list the methods, with a request to start from
  krt call Classificator '{\"text\": \"hello\"}'       call one, the package and service left out
  krt call main.Entrypoint/Classificator --data @request.json
  generate-request | krt call Classificator --data -
  krt call Classificator '{}' --count 10000 --concurrency 100 --quiet
  krt call Classificator '{}' --to example.org:443 --tls --header 'x-team: a' --timeout 5s")]
pub(super) struct Args {
    /// `Method`, `Service/Method`, `package.Service/Method` or `package.Service.Method`
    method: Option<String>,
    /// The request as JSON; `{}` if left out
    json: Option<String>,
    /// Where the entrypoint's gRPC listens
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9000")]
    to: String,
    /// The request as JSON: `@FILE`, `-` for standard input, or the JSON itself
    #[arg(long, value_name = "JSON", conflicts_with = "json")]
    data: Option<String>,
    /// List the methods, with a request to start from
    #[arg(long)]
    list: bool,
    /// Make this many calls, and summarise their latency on standard error
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// Have this many calls in flight
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    concurrency: u32,
    /// Print no answers, only failures and the summary
    #[arg(short, long)]
    quiet: bool,
    /// Deadline of each call, such as 500ms or 5s; the server's own if left out
    #[arg(long, value_name = "TIME", value_parser = timeout)]
    timeout: Option<Duration>,
    /// Metadata to send along; may be repeated
    #[arg(long = "header", value_name = "NAME:VALUE")]
    headers: Vec<String>,
    /// Without TLS (the default)
    #[arg(long, conflicts_with_all = ["tls", "ca"])]
    plaintext: bool,
    /// With TLS; the system's certificate authorities are trusted
    #[arg(long)]
    tls: bool,
    /// With TLS; the certificate authorities in this PEM file are trusted
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

pub(super) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    // One thread: a caller has little to do, and every hand-over between threads would count as latency.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(call(args, globals)) {
        // Whoever read the answers has seen enough, as `head` does.
        Err(error) if error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe) => {
            Ok(ExitCode::SUCCESS)
        }
        outcome => outcome,
    }
}

async fn call(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let ca = args.ca.as_deref().map(|path| read(path).map(|bytes| (path, bytes))).transpose()?;
    let options = server::Options { tls: args.tls, ca: ca.as_ref().map(|(_, pem)| &pem[..]), headers: &args.headers };
    let server = Server::connect(&args.to, &options).await?;
    let pool = reflection::describe(&server).await?;
    let Some(name) = args.method.as_deref().filter(|_| !args.list) else {
        return list(&method::all(&pool), globals);
    };
    let method = method::find(&method::all(&pool), name)?;
    let text = match (&args.json, &args.data) {
        (Some(json), _) => json.clone().into_bytes(),
        (None, Some(data)) => input(data)?,
        (None, None) => b"{}".to_vec(),
    };
    let input = method.input();
    let request = json::parse(&input, &text)
        .map_err(|error| anyhow::anyhow!("the request is not a {}\n{}", input.full_name(), point(&text, &error)))?;
    let shown = !args.quiet;
    let load = load::Load {
        server,
        request: Bytes::from(request),
        timeout: args.timeout,
        count: args.count,
        concurrency: args.concurrency,
        // Answers on the terminal and a bar below them would fight for its last line.
        progress: globals.output == Output::Text
            && std::io::stderr().is_terminal()
            && !(shown && std::io::stdout().is_terminal()),
        shown,
        method,
    };
    let summary = load.run().await?;
    summary.failures(globals.output);
    if args.count > 1 {
        summary.print(globals.output);
    }
    Ok(if summary.succeeded() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn list(methods: &[MethodDescriptor], globals: &Globals) -> anyhow::Result<ExitCode> {
    let mut text = String::new();
    if globals.output == Output::Json {
        let described: Vec<_> = methods
            .iter()
            .map(|method| {
                let template: serde_json::Value = serde_json::from_str(&json::template(&method.input()))?;
                Ok(serde_json::json!({
                    "method": method::path(method).trim_start_matches('/'),
                    "input": method.input().full_name(),
                    "output": method.output().full_name(),
                    "template": template,
                }))
            })
            .collect::<serde_json::Result<_>>()?;
        let _ = writeln!(text, "{}", serde_json::Value::from(described));
    } else {
        for method in methods {
            let path = method::path(method);
            let (input, output) = (method.input(), method.output());
            let _ = writeln!(
                text,
                "{}: {} -> {}\n  krt call {} '{}'",
                path.trim_start_matches('/'),
                input.full_name(),
                output.full_name(),
                method.name(),
                json::template(&input).replace('\'', "'\\''"),
            );
        }
    }
    load::put(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn input(data: &str) -> anyhow::Result<Vec<u8>> {
    match data.strip_prefix('@') {
        Some(path) => read(Path::new(path)),
        None if data == "-" => limited(std::io::stdin().lock()).context("standard input cannot be read"),
        None => Ok(data.as_bytes().to_vec()),
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let file = std::fs::File::open(path).and_then(limited);
    file.with_context(|| format!("{} cannot be read", path.display()))
}

fn limited(from: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_INPUT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_INPUT {
        return Err(std::io::Error::other(format!("it has more than {MAX_INPUT} bytes")));
    }
    Ok(bytes)
}

/// The offending line with a caret beneath it, and what would be right.
fn point(text: &[u8], error: &JsonError) -> String {
    let JsonError { line, column, message, help } = error;
    let mut shown = format!("  {message}\n");
    let lossy = String::from_utf8_lossy(text);
    if let Some(text) = line.checked_sub(1).and_then(|at| lossy.lines().nth(at)) {
        // serde_json counts bytes.
        let before = text.bytes().take(column.saturating_sub(1)).filter(|b| !(0x80..0xc0).contains(b)).count();
        let from = before.saturating_sub(SHOWN);
        let window: String =
            text.chars().skip(from).take(2 * SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let _ = writeln!(shown, "  at line {line}, column {column}:\n  | {window}\n  | {:>1$}", '^', before - from + 1);
    }
    shown + "  help: " + help
}

fn timeout(text: &str) -> Result<Duration, String> {
    let duration = text::duration(text).filter(|d| !d.is_zero());
    duration.ok_or_else(|| "a number above 0 and one of ms, s, m, h: for example 500ms or 5s".to_owned())
}
