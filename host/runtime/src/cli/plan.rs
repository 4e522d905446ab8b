//! `krt plan`: prints what a version needs on the bus.

use std::path::PathBuf;
use std::process::ExitCode;

use krt::plan::{DeliveryMode, Durable, Plan, Stream, plan};

use super::judge::{Depth, judge};
use super::{Globals, Output, print};

/// Print what a version needs on the bus
///
/// Every stream with its subjects, every durable with its stream, filter subject and way of delivery, every bucket: by
/// the exact names that runners use. Judges the manifest only; sources and protos need not be there.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  krt plan .                                    for people, in the runtime `kre`
  krt plan . --runtime-id team-a --output json  for scripts")]
pub(super) struct Args {
    /// A folder with a krt.yml, a krt.yml, or a .krt archive
    path: PathBuf,
    /// The runtime (tenant) that the names begin with
    #[arg(long, value_name = "ID", default_value = "kre", value_parser = runtime_id)]
    runtime_id: String,
}

pub(super) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let judged = judge(&args.path, Depth::Manifest);
    judged.print_problems(globals);
    let Some(topology) = &judged.topology else { return Ok(ExitCode::FAILURE) };
    let plan = plan(topology, &args.runtime_id);
    match globals.output {
        Output::Json => print::json(&plan)?,
        Output::Text => print::out(&text(&plan))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// It stands in names of streams and buckets, where NATS takes neither dots nor wildcards nor spaces.
pub(super) fn runtime_id(text: &str) -> Result<String, &'static str> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    // The longest that leaves room for the other parts of a name of 255 bytes.
    if text.is_empty() || text.len() > 64 || !text.chars().all(is_fine) {
        return Err("letters, digits, `-` and `_`, at most 64 of them");
    }
    Ok(text.to_owned())
}

fn text(plan: &Plan) -> String {
    let mut text = format!("version {} in runtime {}\n", plan.version, plan.runtime_id);
    let mut section = |title: &str, head: &[&str], rows: Vec<Vec<String>>| {
        if rows.is_empty() {
            return;
        }
        let head = (!head.is_empty()).then(|| head.iter().map(|&title| title.to_owned()).collect());
        let rows: Vec<_> = head.into_iter().chain(rows).collect();
        text.push_str(&format!("\n{title}\n{}", print::columns(&rows)));
    };
    section("streams", &["NAME", "SUBJECTS"], plan.streams.iter().flat_map(stream).collect());
    let head = ["NAME", "STREAM", "FILTER SUBJECT", "DELIVERY", "ACK WAIT", "ATTEMPTS"];
    section("durables", &head, plan.durables.iter().map(durable).collect());
    let names = |names: &[String]| names.iter().map(|name| vec![name.clone()]).collect();
    section("key-value buckets", &[], names(&plan.key_value_buckets));
    section("object stores", &[], names(&plan.object_stores));
    section("dead letters", &["NAME", "SUBJECTS"], stream(&plan.dead_letters));
    text
}

/// One row a subject, the name on the first.
fn stream(stream: &Stream) -> Vec<Vec<String>> {
    let names = std::iter::once(stream.name.as_str()).chain(std::iter::repeat(""));
    names.zip(&stream.subjects).map(|(name, subject)| vec![name.to_owned(), subject.clone()]).collect()
}

fn durable(durable: &Durable) -> Vec<String> {
    let delivery = match (durable.delivery, &durable.deliver_group) {
        (DeliveryMode::Pull, _) => "pull".to_owned(),
        (DeliveryMode::Push, None) => "push".to_owned(),
        (DeliveryMode::Push, Some(group)) if *group == durable.name => "push, group of this name".to_owned(),
        (DeliveryMode::Push, Some(group)) => format!("push, group {group}"),
    };
    vec![
        durable.name.clone(),
        durable.stream.clone(),
        durable.filter_subject.clone(),
        delivery,
        format!("{} s", durable.ack_wait.as_secs_f64()),
        durable.attempts.map_or_else(|| "unlimited".to_owned(), |attempts| attempts.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_runtime_id_that_would_break_names_is_wrong_usage() {
        for id in ["", "a.b", "a*", ">", "a b", "é", &"a".repeat(65)] {
            assert!(super::runtime_id(id).is_err(), "{id}");
        }
        assert_eq!(super::runtime_id("Team_a-1").as_deref(), Ok("Team_a-1"));
    }
}
