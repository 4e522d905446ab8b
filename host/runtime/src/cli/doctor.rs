//! `krt doctor`: what is there to build nodes and to run versions with, what is missing, and what to do. Changes nothing.

mod bus;
mod tools;

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueEnum as _;
use serde_json::{Value, json};

use super::build::Language;
use super::cluster::Place;
use super::nats::NatsArgs;
use super::plan::runtime_id;
use super::{Globals, Output, logging, print};
use crate::cluster::inspect::{Finding, Verdict, inspect};

/// Say what is there to build nodes and to run versions with, and what is missing
///
/// Looks at the tools that `krt build` starts and at those that run a node's unit tests; what krt brings itself (pinned
/// pieces of a language's toolchain, in the cache) is not among them: the first build installs it. Looks at the cluster of
/// the kubeconfig and at NATS, as the commands that work on them do: whether they answer, know versions, and let you. Only at
/// languages or only at the cluster, when those are named.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  krt doctor                           everything
  krt doctor --lang rust --lang python these languages
  krt doctor -n team-a --nats nats://nats.bus:4222   the cluster and NATS, for what works on team-a
  krt doctor --output json             for scripts

Exit codes: 0 all that was asked for is there, 1 something is missing or too old, 2 wrong usage.")]
pub(super) struct Args {
    /// Only this language; may be given several times
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    lang: Vec<Language>,
    #[command(flatten)]
    place: Place,
    /// The runtime (tenant) whose packages are looked for on NATS [default: the namespace's name]
    #[arg(long, value_name = "ID", value_parser = runtime_id, help_heading = "NATS")]
    runtime_id: Option<String>,
    #[command(flatten)]
    nats: NatsArgs,
}

const NO_CLUSTER: &str = "no cluster was looked at: there is no kubeconfig ($KUBECONFIG, ~/.kube/config, --kubeconfig)";

/// What is behind a connection, or why nothing was looked at.
enum Looked {
    At(Vec<Finding>),
    Not(String),
}

pub(super) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let (is_lang, is_place) = (!args.lang.is_empty(), args.place.is_given());
    let mut languages = match (is_lang, is_place) {
        (true, _) => args.lang.clone(),
        (false, false) => Language::value_variants().to_vec(),
        (false, true) => Vec::new(),
    };
    languages.sort();
    languages.dedup();
    let reports: Vec<tools::Report> = languages.into_iter().map(tools::report).collect();
    let remote = if is_place || !is_lang { Some(connections(&args, globals)?) } else { None };
    match globals.output {
        Output::Json => {
            let (cluster, nats) = remote.as_ref().map_or((Value::Null, Value::Null), |(a, b)| (a.json(), b.json()));
            print::json(&json!({ "languages": reports, "cluster": cluster, "nats": nats }))?;
        }
        Output::Text => {
            let mut text = String::new();
            for report in &reports {
                // Writing to a String does not fail.
                let _ = write!(text, "{}\n{}", report.language, tools::lines(report));
            }
            if let Some((cluster, nats)) = &remote {
                let _ = write!(text, "Cluster\n{}NATS\n{}", cluster.lines(), nats.lines());
            }
            print::out(&text)?;
        }
    }
    let remote_ok = remote.is_none_or(|(cluster, nats)| cluster.is_ok() && nats.is_ok());
    Ok(if remote_ok && reports.iter().all(|it| it.ok) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The cluster and NATS.
fn connections(args: &Args, globals: &Globals) -> anyhow::Result<(Looked, Looked)> {
    logging::install(globals, false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting a thread")?;
    Ok(runtime.block_on(async {
        let (cluster, namespace) = match args.place.connect().await {
            Ok((connection, namespace)) => (Looked::At(inspect(&connection, &namespace).await), Some(namespace)),
            Err(error) if error.is_nowhere() && !args.place.is_given() => (Looked::Not(NO_CLUSTER.to_owned()), None),
            Err(error) => (Looked::At(vec![Finding::wrong("API server", error.to_string(), "")]), None),
        };
        let runtime_id = args.runtime_id.clone().or(namespace);
        let nats = match args.nats.options("krt doctor") {
            None => Looked::Not("no NATS was looked at: say --nats URL, or set KRT_NATS_URL".to_owned()),
            Some(_) if args.nats.is_auto() => {
                Looked::Not("no NATS was looked at: auto is a server of its own".to_owned())
            }
            Some(options) => Looked::At(bus::inspect(&options, runtime_id.as_deref()).await),
        };
        (cluster, nats)
    }))
}

impl Looked {
    /// Whether nothing is wrong, as far as could be found out.
    fn is_ok(&self) -> bool {
        match self {
            Self::At(findings) => findings.iter().all(|it| it.verdict != Verdict::Wrong),
            Self::Not(_) => true,
        }
    }

    fn lines(&self) -> String {
        let findings = match self {
            Self::At(findings) => findings,
            Self::Not(why) => return format!("  --  {why}\n"),
        };
        let row = |it: &Finding| {
            let mark = match it.verdict {
                Verdict::Good => "ok",
                Verdict::Unknown => "--",
                Verdict::Wrong => "!!",
            };
            vec![mark.to_owned(), it.what.to_owned(), it.found.clone(), it.help.clone()]
        };
        print::columns(&findings.iter().map(row).collect::<Vec<_>>())
    }

    fn json(&self) -> Value {
        let findings = match self {
            Self::At(findings) => findings.as_slice(),
            Self::Not(_) => return Value::Null,
        };
        let one = |it: &Finding| {
            let state = match it.verdict {
                Verdict::Good => "good",
                Verdict::Unknown => "unknown",
                Verdict::Wrong => "wrong",
            };
            json!({ "what": it.what, "state": state, "found": it.found, "help": it.help })
        };
        json!({ "ok": self.is_ok(), "findings": findings.iter().map(one).collect::<Vec<_>>() })
    }
}
