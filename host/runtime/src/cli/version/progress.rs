//! Waits until a version has become what is wanted, and tells what happens meanwhile.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;

use super::show;
use crate::cli::{Globals, Output, print};
use crate::cluster::crd::Version;
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
    let started = Instant::now();
    let (mut last, mut said, mut reached, mut refused) = (None, String::new(), false, None);
    let see = |version: Option<&Version>| {
        let Some(version) = version else {
            reached = goal == Goal::Gone;
            return Next::Enough;
        };
        last = Some(version.clone());
        let line = line(version, started.elapsed());
        if globals.output == Output::Text && goal != Goal::NotAskedFor && line.1 != said {
            print::error(&line.0);
            said = line.1;
        }
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
    match last.as_ref().and_then(|version| version.status.as_ref()) {
        Some(status) => {
            bail!("{name} has not come to it within {} s: {:?}, {}", patience.as_secs(), status.phase, status.message)
        }
        None if last.is_some() => {
            bail!("{name}: no operator has looked at it within {} s: is one running?", patience.as_secs())
        }
        None => bail!("{name} was removed meanwhile"),
    }
}

/// A line, with and without the time.
fn line(version: &Version, elapsed: Duration) -> (String, String) {
    let name = version.metadata.name.as_deref().unwrap_or_default();
    let Some(status) = &version.status else {
        let text = format!("{name}  waiting for the operator");
        return (format!("{:6.1} s  {text}\n", elapsed.as_secs_f64()), text);
    };
    let text = [name, &format!("{:?}", status.phase), &status.ready, &status.message].map(str::to_owned).join("  ");
    let text = text.trim_end().to_owned();
    (format!("{:6.1} s  {text}\n", elapsed.as_secs_f64()), text)
}
