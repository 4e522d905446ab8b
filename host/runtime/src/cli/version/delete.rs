//! `krt delete`: versions go, and nothing of them is left; or they are let go, and it is said what is left.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::progress::{Goal, wait};
use super::{Waiting, block_on};
use crate::cli::cluster::ClusterArgs;
use crate::cli::{Globals, print};
use crate::cluster::client::connect;
use crate::cluster::versions::{Versions, VersionsError};

/// Delete versions: they are stopped, and nothing of them is left
///
/// What they have in hand is finished first. An operator does it: without one they stay. Where NATS is gone for good, nothing
/// can be removed there: --force does not wait for that, and says what would be left.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  krt delete v1 -n team-a
  krt delete v1 --force                                   although NATS is away: what v1 has there stays
  krt delete --all -n team-a -n team-b")]
pub(crate) struct DeleteArgs {
    /// The versions
    #[arg(id = "name", value_name = "VERSION", required_unless_present = "all", conflicts_with = "all")]
    versions: Vec<String>,
    /// All versions of these namespaces
    #[arg(long)]
    all: bool,
    /// Let them go although NATS is away or refuses: their streams, buckets and dead letters stay there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// The namespace; with --all several [default: the context's]
    #[arg(short, long, value_name = "NAME", value_delimiter = ',', help_heading = "Cluster")]
    namespace: Vec<String>,
    /// With --all: every namespace
    #[arg(short = 'A', long, requires = "all", conflicts_with = "namespace", help_heading = "Cluster")]
    all_namespaces: bool,
    #[command(flatten)]
    waiting: Waiting,
}

/// A version that is to go.
struct Going {
    versions: Versions,
    name: String,
    uid: String,
}

pub(crate) fn run(args: DeleteArgs, globals: &Globals) -> anyhow::Result<ExitCode> {
    if args.namespace.len() > 1 && !args.all {
        anyhow::bail!("in which namespace? Only --all takes several");
    }
    block_on(globals, async {
        let all = found(&args).await?;
        if all.is_empty() {
            print::error("there are no versions\n");
        }
        // All at once, and then awaited together: none waits for another.
        for Going { versions, name, .. } in &all {
            match versions.delete(name, args.force).await {
                // Of several some may have gone meanwhile.
                Err(VersionsError::NotFound { .. }) if args.all => {}
                deleted => deleted?,
            }
        }
        let until = args.waiting.patience().map(|patience| Instant::now() + patience);
        let mut failed = Vec::new();
        for Going { versions, name, uid } in &all {
            let patience = until.map(|until| until.saturating_duration_since(Instant::now()).max(LEAST));
            if let Err(error) = wait(versions, name, Goal::Gone, patience, globals).await {
                failed.push(error.to_string());
            } else if args.force && patience.is_some() {
                for what in versions.left_on_bus(name, uid).await {
                    print::error(&format!("warning: {name}: {what}; krt deprovision removes it\n"));
                }
            }
        }
        if failed.is_empty() { Ok(ExitCode::SUCCESS) } else { anyhow::bail!("{}", failed.join("\n")) }
    })
}

/// What is left of the time for one that is looked at after another took all of it: enough to say how it is.
const LEAST: Duration = Duration::from_secs(2);

/// What is to go, of which namespace.
async fn found(args: &DeleteArgs) -> anyhow::Result<Vec<Going>> {
    let connection = connect(&args.cluster.options()).await?;
    let mut namespaces = args.namespace.clone();
    if args.all_namespaces {
        namespaces = match Versions::namespaces(&connection).await {
            // Nobody has any.
            Err(VersionsError::NotInstalled) => return Ok(Vec::new()),
            namespaces => namespaces?,
        };
    } else if namespaces.is_empty() {
        namespaces.push(connection.namespace.clone());
    }
    let mut all = Vec::new();
    for namespace in namespaces {
        let versions = Versions::new(&connection, &namespace);
        let there = if args.all {
            match versions.list().await {
                Err(VersionsError::NotInstalled) => Vec::new(),
                there => there?,
            }
        } else {
            let mut there = Vec::new();
            for name in &args.versions {
                there.push(versions.get(name).await?);
            }
            there
        };
        all.extend(there.into_iter().map(|version| Going {
            versions: versions.clone(),
            name: version.metadata.name.unwrap_or_default(),
            uid: version.metadata.uid.unwrap_or_default(),
        }));
    }
    Ok(all)
}
