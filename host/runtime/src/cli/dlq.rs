//! `krt dlq`: the messages of a version that nobody could handle.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use krt::plan::plan;
use serde_json::json;

use super::judge::{Depth, judge};
use super::nats::NatsArgs;
use super::{Globals, Output, logging, print};
use crate::bus::nats::dead_letters::{DeadLetter, DeadLetterError, DeadLetters, Which};
use crate::message::Message;
use crate::runtime::Backend;

/// How long a server that is away is waited for.
const WAIT: Duration = Duration::from_secs(10);

/// Characters of a reason in a table.
const REASON: usize = 72;

/// Dead letters: list, show, drive again or purge the messages that nobody could handle
///
/// A message becomes a dead letter when every attempt at it failed by a trap, a time-out, a limit or a failure that the
/// node called transient, or when its bytes are no envelope. The stream is bounded: the oldest make room.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  krt dlq ls . --nats localhost:4222
  krt dlq show . 17 --nats localhost:4222
  krt dlq redrive . --workflow classify --node etl --nats localhost:4222
  krt dlq purge . --all --nats localhost:4222")]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List dead letters, the oldest first
    #[command(after_help = "Example:\n  krt dlq ls . --node etl --limit 20 --output json")]
    Ls {
        #[command(flatten)]
        version: Version,
        #[command(flatten)]
        which: Chosen,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// From this number on
        #[arg(long, value_name = "SEQUENCE", default_value_t = 1)]
        from: u64,
    },
    /// Show one with its reason, backtrace and envelope
    #[command(after_help = "Example:\n  krt dlq show . 17")]
    Show {
        #[command(flatten)]
        version: Version,
        /// Its number in `krt dlq ls`
        sequence: u64,
    },
    /// Publish dead letters again, for the node that gave them up alone, and remove them from the list
    ///
    /// Other component nodes that read the same subject let them pass. A native runner that reads it handles them again:
    /// it does not look at headers.
    #[command(after_help = "Examples:\n  krt dlq redrive . 17 18\n  krt dlq redrive . --all")]
    Redrive {
        #[command(flatten)]
        version: Version,
        /// Their numbers in `krt dlq ls`
        sequences: Vec<u64>,
        #[command(flatten)]
        which: Chosen,
        /// All of the version, or all that --workflow and --node choose
        #[arg(long, conflicts_with = "sequences")]
        all: bool,
    },
    /// Remove dead letters for good
    #[command(after_help = "Examples:\n  krt dlq purge . 17\n  krt dlq purge . --node etl --all")]
    Purge {
        #[command(flatten)]
        version: Version,
        /// Their numbers in `krt dlq ls`
        sequences: Vec<u64>,
        #[command(flatten)]
        which: Chosen,
        /// All of the version, or all that --workflow and --node choose
        #[arg(long, conflicts_with = "sequences")]
        all: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Version {
    /// The version: a folder with a krt.yml, the krt.yml itself, or a .krt archive
    #[arg(env = "KRT_BASE_PATH")]
    path: PathBuf,
    /// The runtime (tenant) that it runs in
    #[arg(long, value_name = "ID", env = "KRT_RUNTIME_ID", default_value = "kre", value_parser = super::plan::runtime_id)]
    runtime_id: String,
    #[command(flatten)]
    nats: NatsArgs,
}

#[derive(Debug, clap::Args)]
struct Chosen {
    /// Only those of this workflow
    #[arg(long, value_name = "NAME")]
    workflow: Option<String>,
    /// Only those that this node gave up
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
}

pub(super) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    logging::install(globals, false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting a thread")?;
    runtime.block_on(act(args.action, globals))
}

async fn act(action: Action, globals: &Globals) -> anyhow::Result<ExitCode> {
    match action {
        Action::Ls { version, which, limit, from } => {
            let Some((letters, _)) = version.open(globals).await? else { return Ok(ExitCode::FAILURE) };
            list(&letters, &which.which()?, from, limit, globals).await?;
        }
        Action::Show { version, sequence } => {
            let Some((letters, _)) = version.open(globals).await? else { return Ok(ExitCode::FAILURE) };
            show(&letters.one(sequence).await?, globals)?;
        }
        Action::Redrive { version, sequences, which, all } => {
            let which = some(&sequences, &which, all)?;
            let Some((letters, backend)) = version.open(globals).await? else { return Ok(ExitCode::FAILURE) };
            let done = redrive(&letters, &backend, &sequences, &which).await;
            backend.close().await;
            tell("redriven", done?, globals)?;
        }
        Action::Purge { version, sequences, which, all } => {
            let which = some(&sequences, &which, all)?;
            let Some((letters, _)) = version.open(globals).await? else { return Ok(ExitCode::FAILURE) };
            let count = match sequences.as_slice() {
                [] => letters.purge(&which).await?,
                sequences => {
                    for sequence in sequences {
                        letters.one(*sequence).await?;
                        letters.remove(*sequence).await?;
                    }
                    sequences.len() as u64
                }
            };
            tell("purged", count, globals)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Version {
    /// Its dead letters, and the bus that they came from. None: the manifest is not one, as has been said.
    async fn open(&self, globals: &Globals) -> anyhow::Result<Option<(DeadLetters, Backend)>> {
        let judged = judge(&self.path, Depth::Manifest);
        judged.print_problems(globals);
        let Some(topology) = &judged.topology else { return Ok(None) };
        let plan = plan(topology, &self.runtime_id);
        let nats = self.nats.clone().server().connect("krt dlq", WAIT).await?;
        Ok(Some((
            DeadLetters::new(nats.clone(), plan.dead_letters.name),
            Backend::on_nats(nats, &self.runtime_id).await?,
        )))
    }
}

impl Chosen {
    fn which(&self) -> anyhow::Result<Which> {
        for name in [&self.workflow, &self.node].into_iter().flatten() {
            // It becomes a token of a subject.
            if name.is_empty() || name.chars().any(|c| matches!(c, '.' | '*' | '>') || c.is_whitespace()) {
                bail!("{name:?} is not the name of a workflow or node");
            }
        }
        Ok(Which { workflow: self.workflow.clone(), node: self.node.clone() })
    }
}

/// Nothing is driven or purged that was not asked for.
fn some(sequences: &[u64], which: &Chosen, all: bool) -> anyhow::Result<Which> {
    if sequences.is_empty() && !all && which.workflow.is_none() && which.node.is_none() {
        bail!("which? Give their numbers, --workflow, --node, or --all");
    }
    if !sequences.is_empty() && (which.workflow.is_some() || which.node.is_some()) {
        bail!("give either numbers, or --workflow and --node");
    }
    which.which()
}

async fn list(letters: &DeadLetters, which: &Which, from: u64, limit: u32, globals: &Globals) -> anyhow::Result<()> {
    let (mut found, mut from) = (Vec::new(), from);
    while found.len() < limit as usize
        && let Some(letter) = letters.next(from, which).await?
    {
        from = letter.sequence + 1;
        found.push(letter);
    }
    if globals.output == Output::Json {
        return print::json(&json!({ "dead_letters": found }));
    }
    if found.is_empty() {
        return print::out("no dead letters\n");
    }
    let head = ["NUMBER", "TIME", "WORKFLOW/NODE", "ATTEMPT", "REQUEST", "REASON"].map(str::to_owned).to_vec();
    let row = |letter: &DeadLetter| {
        vec![
            letter.sequence.to_string(),
            letter.time.get(..19).unwrap_or(&letter.time).to_owned(),
            format!("{}/{}", letter.workflow, letter.node),
            letter.attempt.to_string(),
            letter.request_id.clone().unwrap_or_else(|| "-".to_owned()),
            letter.reason.chars().take(REASON).collect(),
        ]
    };
    print::out(&print::columns(&std::iter::once(head).chain(found.iter().map(row)).collect::<Vec<_>>()))
}

fn show(letter: &DeadLetter, globals: &Globals) -> anyhow::Result<()> {
    let envelope = Message::decode(letter.payload.clone());
    let payload = envelope.as_ref().ok().and_then(|message| message.payload.as_ref());
    let type_name = payload.map(|payload| payload.message_name().to_owned());
    let from = envelope.as_ref().ok().map(|message| message.from_node.clone());
    if globals.output == Output::Json {
        let mut value = serde_json::to_value(letter)?;
        value["bytes"] = letter.payload.len().into();
        value["from_node"] = json!(from);
        value["payload_type"] = json!(type_name);
        value["payload_bytes"] = json!(payload.map(|payload| payload.data.len()));
        return print::json(&value);
    }
    let mut rows = vec![
        ["number", &letter.sequence.to_string()].map(str::to_owned).to_vec(),
        ["time", &letter.time].map(str::to_owned).to_vec(),
        ["given up by", &format!("{}/{}", letter.workflow, letter.node)].map(str::to_owned).to_vec(),
        ["attempt", &letter.attempt.to_string()].map(str::to_owned).to_vec(),
        ["request", letter.request_id.as_deref().unwrap_or("-")].map(str::to_owned).to_vec(),
        ["subject", &letter.subject].map(str::to_owned).to_vec(),
        ["reason", &letter.reason].map(str::to_owned).to_vec(),
    ];
    match (&envelope, letter.omitted_bytes) {
        (_, Some(bytes)) => rows.push(vec!["bytes".to_owned(), format!("{bytes}, lost: no room beside the headers")]),
        (Err(error), None) => {
            rows.push(vec!["bytes".to_owned(), format!("{}, no envelope: {error}", letter.payload.len())]);
        }
        (Ok(_), None) => {
            let what = type_name.map_or_else(String::new, |name| format!(", a {name}"));
            let origin = from.filter(|name| !name.is_empty()).map_or_else(String::new, |from| format!(", from {from}"));
            rows.push(vec!["bytes".to_owned(), format!("{}{what}{origin}", letter.payload.len())]);
        }
    }
    let mut text = print::columns(&rows);
    if !letter.backtrace.is_empty() {
        text.push_str("  backtrace\n");
        for frame in letter.backtrace.split(';') {
            text.push_str(&format!("    {}\n", frame.trim()));
        }
    }
    print::out(&text)
}

async fn redrive(
    letters: &DeadLetters,
    backend: &Backend,
    sequences: &[u64],
    which: &Which,
) -> Result<u64, DeadLetterError> {
    let mut count = 0;
    for sequence in sequences {
        letters.redrive(&*backend.bus, &letters.one(*sequence).await?).await?;
        count += 1;
    }
    if sequences.is_empty() {
        // What fails again meanwhile comes to stand behind these: the last of now is the last.
        let mut from = 1;
        let mut found = Vec::new();
        while let Some(letter) = letters.next(from, which).await? {
            from = letter.sequence + 1;
            found.push(letter);
        }
        for letter in found {
            letters.redrive(&*backend.bus, &letter).await?;
            count += 1;
        }
    }
    Ok(count)
}

fn tell(done: &str, count: u64, globals: &Globals) -> anyhow::Result<()> {
    match globals.output {
        Output::Json => print::json(&json!({ done: count })),
        Output::Text => print::out(&format!("{done} {count}\n")),
    }
}
