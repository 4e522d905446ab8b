//! Waits until a version has become what is wanted, and tells what happens meanwhile: each node with a line of its own, in
//! place on a terminal, whenever it changes elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::show;
use crate::cli::{Globals, Output, print};
use crate::cluster::crd::{Phase, Version};
use crate::cluster::versions::{Next, Versions, has_settled, is_current, refusal};

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// It is what its resource says.
    Settled,
    /// It is gone.
    Gone,
    /// The operator knows that it is not to be published.
    NotAskedFor,
}

/// Waits for `patience`; not at all when there is none. Lines go to standard error, the end to standard output.
pub(super) async fn wait(
    versions: &Versions,
    name: &str,
    goal: Goal,
    patience: Option<Duration>,
    globals: &Globals,
) -> anyhow::Result<ExitCode> {
    let Some(patience) = patience else { return Ok(ExitCode::SUCCESS) };
    let shown = globals.output == Output::Text && goal != Goal::NotAskedFor;
    let mut progress = Progress::new(shown);
    let (mut last, mut reached, mut refused) = (None, false, None);
    let see = |version: Option<&Version>| {
        let Some(version) = version else {
            reached = goal == Goal::Gone;
            return Next::Enough;
        };
        last = Some(version.clone());
        progress.show(rows(version));
        reached = match goal {
            Goal::Settled => has_settled(version),
            Goal::NotAskedFor => {
                is_current(version) && version.status.as_ref().is_some_and(|it| it.publish_requested.is_none())
            }
            Goal::Gone => false,
        };
        refused = if goal == Goal::Settled { refusal(version) } else { None };
        if reached || refused.is_some() { Next::Enough } else { Next::Watch }
    };
    let followed = tokio::time::timeout(patience, versions.follow(name, see)).await;
    progress.finish();
    if let Ok(followed) = followed {
        followed?;
    }
    if goal == Goal::NotAskedFor && reached {
        return Ok(ExitCode::SUCCESS);
    }
    if let (Output::Json, Some(version)) = (globals.output, &last) {
        print::json(&show::json(version))?;
    }
    if reached {
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(why) = refused {
        bail!("{name}: {why}");
    }
    let Some(last) = last else { bail!("{name} was removed meanwhile") };
    let seconds = patience.as_secs();
    match last.status.as_ref().filter(|_| is_current(&last)) {
        Some(status) if goal == Goal::Gone => {
            bail!("{name} is not gone after {seconds} s: {:?}, {}", status.phase, status.message)
        }
        Some(status) => bail!("{name} has not come to it within {seconds} s: {:?}, {}", status.phase, status.message),
        None => bail!("{name}: no operator has looked at it within {seconds} s: is one running?"),
    }
}

/// What is shown of a version.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    /// What it is about: the version, or `workflow/node`.
    name: String,
    /// How far it is.
    state: String,
    /// What is wrong or awaited; may be long.
    why: String,
    /// Nothing is awaited of it.
    done: bool,
}

/// The version itself, then its nodes.
fn rows(version: &Version) -> Vec<Row> {
    let name = version.metadata.name.clone().unwrap_or_default();
    let Some(status) = &version.status else {
        return vec![Row { name, state: "waiting".to_owned(), why: "for the operator".to_owned(), done: false }];
    };
    let state = format!("{:?}  {}", status.phase, status.ready).trim_end().to_owned();
    let done = matches!(status.phase, Phase::Started | Phase::Published | Phase::Stopped) && is_current(version);
    let mut rows = vec![Row { name, state, why: status.message.clone(), done }];
    rows.extend(status.nodes.iter().map(|node| {
        let state = format!("{}/{}", node.ready, node.replicas);
        let why = node.reason.clone().unwrap_or_default();
        Row { name: show::node(node), state, why, done: node.ready >= node.replicas }
    }));
    rows
}

/// Where the rows go.
enum Progress {
    Nowhere,
    /// Lines, of what has changed.
    Lines {
        started: Instant,
        said: BTreeMap<String, String>,
    },
    /// In place.
    Terminal {
        all: MultiProgress,
        bars: BTreeMap<String, ProgressBar>,
    },
}

impl Progress {
    fn new(shown: bool) -> Self {
        if !shown {
            Self::Nowhere
        } else if std::io::stderr().is_terminal() {
            Self::Terminal { all: MultiProgress::new(), bars: BTreeMap::new() }
        } else {
            Self::Lines { started: Instant::now(), said: BTreeMap::new() }
        }
    }

    fn show(&mut self, rows: Vec<Row>) {
        match self {
            Self::Nowhere => {}
            Self::Lines { started, said } => print::error(&changed(&rows, said, started.elapsed())),
            Self::Terminal { all, bars } => {
                // Nodes that are no more: of another package.
                bars.retain(|name, bar| {
                    let stays = rows.iter().any(|row| row.name == *name);
                    if !stays {
                        bar.finish_and_clear();
                    }
                    stays
                });
                for (at, (row, text)) in rows.iter().zip(drawn(&rows)).enumerate() {
                    let bar = bars.entry(row.name.clone()).or_insert_with(|| added(all, at == 0));
                    bar.set_message(text);
                }
            }
        }
    }

    /// Leaves what was shown last where it is. What is said next begins below it.
    fn finish(&mut self) {
        if let Self::Terminal { bars, .. } = self {
            for bar in bars.values() {
                bar.abandon();
            }
            if !bars.is_empty() {
                print::error("\n");
            }
        }
    }
}

/// As on a terminal, which cuts them at its width: how far each is comes first, and names have one place.
fn drawn(rows: &[Row]) -> Vec<String> {
    let width = rows.iter().map(|row| row.state.chars().count()).max().unwrap_or(0);
    let line = |Row { name, state, why, done }: &Row| {
        let mark = if *done { "✓" } else { " " };
        format!("{mark} {state:width$}  {name}  {why}").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A row of its own at the end; only the first one turns and says the time.
fn added(all: &MultiProgress, is_first: bool) -> ProgressBar {
    let bar = all.add(ProgressBar::new_spinner());
    let template = if is_first { "{spinner} {elapsed:>4}  {wide_msg}" } else { "        {wide_msg}" };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    if is_first {
        bar.enable_steady_tick(Duration::from_millis(100));
    }
    bar
}

/// A line for each row that was not said so before.
fn changed(rows: &[Row], said: &mut BTreeMap<String, String>, elapsed: Duration) -> String {
    let mut text = String::new();
    for row in rows {
        let line = format!("{}  {}", row.state, row.why).trim_end().to_owned();
        if said.get(&row.name) != Some(&line) {
            text.push_str(&format!("{:6.1} s  {}  {line}\n", elapsed.as_secs_f64(), row.name));
            said.insert(row.name.clone(), line);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn version(ready: i32) -> Version {
        let node = |name: &str, workflow: Option<&str>, ready: i32| json!({ "name": name, "workflow": workflow, "deployment": name, "replicas": 2, "ready": ready });
        let version = json!({
            "apiVersion": "krt.konstellation.io/v1alpha1", "kind": "Version", "metadata": { "name": "v1" },
            "spec": { "package": { "ref": "nats://a/b" }, "state": "Started" },
            "status": { "phase": "Starting", "ready": "1/3",
                        "nodes": [node("entrypoint", None, 2), node("etl", Some("go"), ready)] },
        });
        serde_json::from_value(version).unwrap()
    }

    #[test]
    fn each_node_is_told_when_it_changes_and_only_then() {
        let (mut said, second) = (BTreeMap::new(), Duration::from_secs(1));
        let first = changed(&rows(&version(0)), &mut said, second);
        assert_eq!(first, "   1.0 s  v1  Starting  1/3\n   1.0 s  entrypoint  2/2\n   1.0 s  go/etl  0/2\n");
        assert_eq!(changed(&rows(&version(0)), &mut said, second), "");
        assert_eq!(changed(&rows(&version(1)), &mut said, second), "   1.0 s  go/etl  1/2\n");
        assert_eq!(rows(&version(1)).iter().map(|row| row.done).collect::<Vec<_>>(), [false, true, false]);
        assert!(rows(&version(2)).last().unwrap().done);
    }

    #[test]
    fn on_a_narrow_terminal_names_are_cut_before_what_is_known_of_them() {
        let all = drawn(&rows(&version(1)));
        assert_eq!(all, ["  Starting  1/3  v1", "✓ 2/2            entrypoint", "  1/2            go/etl"]);
    }
}
