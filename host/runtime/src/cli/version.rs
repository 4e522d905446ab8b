//! `krt deploy`, `start`, `stop`, `publish`, `unpublish`, `rollback`, `status`, `logs`, `delete`, `config`: versions on a
//! cluster. They change the resource, and show what the operator makes of it.

mod delete;
mod progress;
mod show;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;

pub(super) use self::delete::{DeleteArgs, run as delete};
use self::progress::{Goal, wait};
use super::cluster::Place;
use super::variables::assignment;
use super::{Globals, Output, logging, print};
use crate::artifact::Reference;
use crate::cluster::crd::{ConfigEntry, KeyRef, Phase, State, ValueSource, Version};
use crate::cluster::logs::{LogLine, LogOptions, logs as read_logs};
use crate::cluster::versions::{Next, Versions};

/// Which version, and how long to wait for it.
#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// The version
    #[arg(id = "name", value_name = "VERSION")]
    version: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    waiting: Waiting,
}

/// How long to wait.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Waiting {
    /// Seconds to wait until it is so
    #[arg(long, value_name = "SECONDS", default_value_t = 300.0, value_parser = super::positive_seconds)]
    timeout: f64,
    /// Do not wait until it is so
    #[arg(long)]
    no_wait: bool,
}

/// Deploy a package that was pushed: make a version of it, or exchange the package of one that is stopped
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  krt deploy v2 nats://packages_team-a/0123…             as krt push prints it; stopped
  krt deploy v2 nats://packages_team-a/0123… --start --config LEVEL=info
  krt deploy v2 oci://registry.example/v@sha256:0123… --publish --config-secret API_KEY=mail/key")]
pub(super) struct DeployArgs {
    /// The version, as its manifest names it
    #[arg(id = "name", value_name = "VERSION")]
    version: String,
    /// Where the package is, as `krt push` prints it
    package: Reference,
    /// Start it
    #[arg(long, conflicts_with = "publish")]
    start: bool,
    /// Start and publish it
    #[arg(long)]
    publish: bool,
    #[command(flatten)]
    values: Values,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    waiting: Waiting,
}

/// Values of configuration variables.
#[derive(Debug, clap::Args)]
pub(super) struct Values {
    /// A value for a configuration variable, in plain sight (repeatable)
    #[arg(long = "config", value_name = "NAME=VALUE", value_parser = assignment)]
    config: Vec<(String, String)>,
    /// A configuration variable whose value is in a Secret (repeatable)
    #[arg(long, value_name = "NAME=SECRET/KEY", value_parser = super::render::reference)]
    config_secret: Vec<(String, crate::cluster::render::KeyRef)>,
    /// A configuration variable whose value is in a ConfigMap (repeatable)
    #[arg(long, value_name = "NAME=MAP/KEY", value_parser = super::render::reference)]
    config_map: Vec<(String, crate::cluster::render::KeyRef)>,
}

/// Start a version: it answers on the Service of its name
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  krt start v2 -n team-a")]
pub(super) struct StartArgs {
    #[command(flatten)]
    target: Target,
}

/// Stop a version: what it has in hand is finished first
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  krt stop v1 -n team-a")]
pub(super) struct StopArgs {
    #[command(flatten)]
    target: Target,
}

/// Publish a version: active-entrypoint leads to it once it is ready
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  krt publish v2 -n team-a")]
pub(super) struct PublishArgs {
    #[command(flatten)]
    target: Target,
}

/// Unpublish a version: it stays started; the one that was published before it, if it still wants to be, is again
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  krt unpublish v2 -n team-a")]
pub(super) struct UnpublishArgs {
    #[command(flatten)]
    target: Target,
}

/// Publish the version again that was published before
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  krt rollback -n team-a                                  the one that was displaced last
  krt rollback v1 -n team-a                               this one")]
pub(super) struct RollbackArgs {
    /// The version [default: the one that was displaced last]
    #[arg(id = "name", value_name = "VERSION")]
    version: Option<String>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    waiting: Waiting,
}

/// Show versions: what is wanted, what is there, what is wrong
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  krt status -n team-a                                    all versions
  krt status v2 -n team-a                                 one, with its nodes
  krt status v2 -w                                        whenever it changes")]
pub(super) struct StatusArgs {
    /// The version [default: all]
    #[arg(id = "name", value_name = "VERSION")]
    version: Option<String>,
    /// Show it whenever it changes
    #[arg(short, long, requires = "name")]
    watch: bool,
    #[command(flatten)]
    place: Place,
}

/// Show what the pods of a version log
///
/// Pod after pod; with -f as lines come, of pods that are started meanwhile, too, until the version is deleted.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  krt logs v2 -n team-a
  krt logs v2 -f --node etl --tail 100
  krt logs v2 --previous                                  of what has crashed
  krt logs v2 --request 4f7c…                             lines that name a request")]
pub(super) struct LogsArgs {
    /// The version
    #[arg(id = "name", value_name = "VERSION")]
    version: String,
    /// Go on with what is logged from now on
    #[arg(short, long)]
    follow: bool,
    /// Only of this node: its name, WORKFLOW/NODE or `entrypoint`
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// Only lines that name this request
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// Lines of the past for each container
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    tail: Option<i64>,
    /// Only what was logged within these seconds
    #[arg(long, value_name = "SECONDS", value_parser = super::positive_seconds)]
    since: Option<f64>,
    /// Of containers that were started again: what the one before logged
    #[arg(long, conflicts_with = "follow")]
    previous: bool,
    #[command(flatten)]
    place: Place,
}

/// Set values of a version's configuration variables: its pods are exchanged one after the other
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  krt config set v2 LEVEL=debug -n team-a")]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    action: ConfigAction,
}

#[derive(Debug, clap::Subcommand)]
enum ConfigAction {
    /// Set values; the others stay
    #[command(
        after_help = "Example:\n  krt config set v2 LEVEL=debug\n  krt config set v2 --config-secret API_KEY=mail/key"
    )]
    Set {
        /// The version
        #[arg(id = "name", value_name = "VERSION")]
        version: String,
        /// A value
        #[arg(value_name = "NAME=VALUE", value_parser = assignment)]
        values: Vec<(String, String)>,
        #[command(flatten)]
        more: Values,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        waiting: Waiting,
    },
}

impl Values {
    fn entries(&self) -> Vec<ConfigEntry> {
        let plain = |(name, value): &(String, String)| ConfigEntry {
            name: name.clone(),
            value: Some(value.clone()),
            value_from: None,
        };
        let key = |key: &crate::cluster::render::KeyRef| Some(KeyRef { name: key.name.clone(), key: key.key.clone() });
        let from = |name: &String, source| ConfigEntry { name: name.clone(), value: None, value_from: Some(source) };
        let mut entries: Vec<ConfigEntry> = self.config.iter().map(plain).collect();
        for (name, it) in &self.config_secret {
            entries.push(from(name, ValueSource { secret_key_ref: key(it), ..ValueSource::default() }));
        }
        for (name, it) in &self.config_map {
            entries.push(from(name, ValueSource { config_map_key_ref: key(it), ..ValueSource::default() }));
        }
        entries
    }
}

impl Waiting {
    fn patience(self) -> Option<Duration> {
        (!self.no_wait).then(|| Duration::from_secs_f64(self.timeout))
    }
}

pub(super) fn deploy(args: DeployArgs, globals: &Globals) -> anyhow::Result<ExitCode> {
    if !args.package.is_pinned() {
        bail!("{} may come to mean another package: add its @sha256:DIGEST, which krt push prints", args.package);
    }
    let state = match (args.publish, args.start) {
        (true, _) => State::Published,
        (false, true) => State::Started,
        (false, false) => State::Stopped,
    };
    block_on(globals, async {
        let versions = args.place.versions().await?;
        versions.deploy(&args.version, &args.package.to_string(), state, &args.values.entries()).await?;
        wait(&versions, &args.version, Goal::Settled, args.waiting.patience(), globals).await
    })
}

pub(super) fn start(args: StartArgs, globals: &Globals) -> anyhow::Result<ExitCode> {
    want(&args.target, State::Started, globals)
}

pub(super) fn stop(args: StopArgs, globals: &Globals) -> anyhow::Result<ExitCode> {
    want(&args.target, State::Stopped, globals)
}

pub(super) fn publish(args: PublishArgs, globals: &Globals) -> anyhow::Result<ExitCode> {
    block_on(globals, async {
        let versions = args.target.place.versions().await?;
        publish_one(&versions, &args.target.version, args.target.waiting, globals).await
    })
}

pub(super) fn unpublish(args: UnpublishArgs, globals: &Globals) -> anyhow::Result<ExitCode> {
    want(&args.target, State::Started, globals)
}

pub(super) fn rollback(args: RollbackArgs, globals: &Globals) -> anyhow::Result<ExitCode> {
    block_on(globals, async {
        let versions = args.place.versions().await?;
        let name = match args.version {
            Some(name) => name,
            None => {
                let all = versions.list().await?;
                let last = displaced(&all).max_by_key(|version| asked_for(version));
                let name = last.and_then(|version| version.metadata.name.clone());
                name.context("no version was displaced: name the one to publish")?
            }
        };
        publish_one(&versions, &name, args.waiting, globals).await
    })
}

pub(super) fn status(args: StatusArgs, globals: &Globals) -> anyhow::Result<ExitCode> {
    block_on(globals, async {
        let versions = args.place.versions().await?;
        let Some(name) = &args.version else {
            let all = versions.list().await?;
            match globals.output {
                Output::Json => print::json(&all.iter().map(show::json).collect::<Vec<_>>())?,
                Output::Text => print::out(&show::table(&all))?,
            }
            return Ok(ExitCode::SUCCESS);
        };
        let version = versions.get(name).await?;
        if !args.watch {
            match globals.output {
                Output::Json => print::json(&show::json(&version))?,
                Output::Text => print::out(&show::one(&version))?,
            }
            return Ok(ExitCode::SUCCESS);
        }
        let mut printed = Ok(true);
        let see = |version: Option<&Version>| {
            let Some(version) = version else { return Next::Enough };
            printed = match globals.output {
                Output::Json => print::on(&format!("{}\n", show::json(version))),
                Output::Text => print::on(&format!("{}\n", show::one(version))),
            };
            if matches!(printed, Ok(true)) { Next::Watch } else { Next::Enough }
        };
        versions.follow(name, see).await?;
        printed.map(|_| ExitCode::SUCCESS)
    })
}

pub(super) fn logs(args: LogsArgs, globals: &Globals) -> anyhow::Result<ExitCode> {
    block_on(globals, async {
        let versions = args.place.versions().await?;
        let options = LogOptions {
            follow: args.follow,
            node: args.node.clone(),
            tail: args.tail,
            since: args.since.map(Duration::from_secs_f64),
            previous: args.previous,
        };
        let mut printed = Ok(true);
        let see = |line: LogLine| {
            if args.request.as_ref().is_some_and(|id| !line.text.contains(id.as_str())) {
                return Next::Watch;
            }
            let LogLine { node, pod, container, text } = line;
            let text = match globals.output {
                Output::Json => json!({ "node": node, "pod": pod, "container": container, "line": text }).to_string(),
                Output::Text => format!("{node}  {text}"),
            };
            printed = print::on(&format!("{text}\n"));
            if matches!(printed, Ok(true)) { Next::Watch } else { Next::Enough }
        };
        read_logs(&versions, &args.version, &options, see).await?;
        printed.map(|_| ExitCode::SUCCESS)
    })
}

pub(super) fn config(args: ConfigArgs, globals: &Globals) -> anyhow::Result<ExitCode> {
    let ConfigAction::Set { version, values, more, place, waiting } = args.action;
    let mut more = more;
    more.config.extend(values);
    let entries = more.entries();
    if entries.is_empty() {
        bail!("which values? Say NAME=VALUE, --config-secret NAME=SECRET/KEY or --config-map NAME=MAP/KEY");
    }
    block_on(globals, async {
        let versions = place.versions().await?;
        versions.configure(&version, &entries).await?;
        wait(&versions, &version, Goal::Settled, waiting.patience(), globals).await
    })
}

fn want(target: &Target, state: State, globals: &Globals) -> anyhow::Result<ExitCode> {
    block_on(globals, async {
        let versions = target.place.versions().await?;
        versions.want(&target.version, state).await?;
        wait(&versions, &target.version, Goal::Settled, target.waiting.patience(), globals).await
    })
}

async fn publish_one(versions: &Versions, name: &str, waiting: Waiting, globals: &Globals) -> anyhow::Result<ExitCode> {
    let all = versions.list().await?;
    if displaced(&all).any(|version| version.metadata.name.as_deref() == Some(name)) {
        // It has been asked for before, and another after it: it is to be asked for anew.
        versions.want(name, State::Started).await?;
        wait(versions, name, Goal::NotAskedFor, waiting.patience().or(Some(Duration::from_secs(30))), globals).await?;
    }
    versions.want(name, State::Published).await?;
    wait(versions, name, Goal::Settled, waiting.patience(), globals).await
}

/// The versions that were to be published before the one that is.
///
/// What they say of themselves may be from before the switch: the operator comes to them after the published one.
fn displaced(all: &[Version]) -> impl Iterator<Item = &Version> {
    let is_published = |version: &&Version| version.status.as_ref().is_some_and(|it| it.phase == Phase::Published);
    let published = all.iter().filter(is_published).max_by_key(|version| asked_for(version));
    all.iter().filter(move |version| {
        let before =
            |other: &Version| other.metadata.name != version.metadata.name && asked_for(version) <= asked_for(other);
        version.spec.state == State::Published && asked_for(version).is_some() && published.is_some_and(before)
    })
}

/// When it was asked to be published.
fn asked_for(version: &Version) -> Option<impl Ord> {
    version.status.as_ref()?.publish_requested.as_ref().map(|at| at.0)
}

fn block_on(globals: &Globals, work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    logging::install(globals, false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting a thread")?;
    runtime.block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Versions by name, state, phase and the second at which they were asked to be published.
    fn versions(all: &[(&str, &str, &str, Option<u8>)]) -> Vec<Version> {
        let version = |(name, state, phase, second): &(&str, &str, &str, Option<u8>)| {
            let asked = second.map(|second| format!("2026-01-01T00:00:{second:02}Z"));
            let version = json!({
                "apiVersion": "krt.konstellation.io/v1alpha1", "kind": "Version", "metadata": { "name": name },
                "spec": { "package": { "ref": "nats://a/b" }, "state": state },
                "status": { "phase": phase, "publishRequested": asked },
            });
            serde_json::from_value(version).unwrap()
        };
        all.iter().map(version).collect()
    }

    fn names(all: &[(&str, &str, &str, Option<u8>)]) -> Vec<String> {
        displaced(&versions(all)).filter_map(|version| version.metadata.name.clone()).collect()
    }

    #[test]
    fn a_version_is_displaced_by_one_that_was_asked_for_later_and_is_published() {
        let after = [("v1", "Published", "Started", Some(1)), ("v2", "Published", "Published", Some(2))];
        assert_eq!(names(&after), ["v1"]);
        let still_said_so = [("v1", "Published", "Published", Some(1)), ("v2", "Published", "Published", Some(2))];
        assert_eq!(names(&still_said_so), ["v1"], "what it says of itself is from before");
    }

    #[test]
    fn a_version_that_is_published_while_another_comes_up_is_not_displaced() {
        assert!(names(&[("v1", "Published", "Published", Some(1)), ("v2", "Published", "Failed", Some(2))]).is_empty());
        assert!(names(&[("v1", "Started", "Started", None), ("v2", "Published", "Published", Some(2))]).is_empty());
        assert!(names(&[("v1", "Published", "Started", Some(1))]).is_empty());
    }
}
