//! Nodes that are programs of the original's runner images, as child processes of this one.
//!
//! A command is given for each image; the program finds the rest in the environment that the original platform sets
//! (contract, 4.1). Never speaks to the bus itself: what it needs from there is the port [`Durables`].

mod environment;
mod lines;
mod nats;
mod process;
mod runners;
pub mod server;
mod supervise;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use krt::names::{self, Names};
use krt::topology::{Node, NodeKind, Topology, Workflow};
use tokio_util::sync::CancellationToken;

pub use self::process::{Ended, Process, Spawner};
pub use self::runners::{Runner, Runners};
pub use self::supervise::{Supervisor, supervise};

/// One node, ready to be started.
#[derive(Debug, Clone, PartialEq)]
pub struct NativeNode {
    /// Its workflow's name.
    pub workflow: String,
    /// Its name.
    pub node: String,
    /// How many processes of it run.
    pub replicas: u32,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// What it finds in its environment, and nothing else.
    pub environment: Vec<(OsString, OsString)>,
    /// What it reads.
    pub durables: Vec<Durable>,
}

/// A push durable with a deliver group that the plan made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Durable {
    /// Stream name.
    pub stream: String,
    /// Durable name.
    pub name: String,
}

/// What is the same for all nodes of a version.
#[derive(Debug, Clone)]
pub struct Platform {
    /// The runtime (tenant).
    pub runtime_id: String,
    /// `host:port` or URL of the one server that the original's runners are told of.
    pub nats_server: String,
    /// Where MongoDB is; empty = nowhere. The original's runner for Go does not start without it.
    pub mongo_uri: String,
    /// Where InfluxDB is; empty = nowhere.
    pub influx_uri: String,
    /// The folder of the package.
    pub package: PathBuf,
    /// The package is unpacked for this process alone: programs in it may be made executable, as the original's image for
    /// Go does with its copy. An archive has no modes.
    pub is_own_copy: bool,
    /// Values of the version's configuration: they do not override the platform's.
    pub variables: Vec<(String, String)>,
    /// What any program needs to run here (PATH, HOME and so on). Names that begin with KRT_ are left out.
    pub inherited: Vec<(OsString, OsString)>,
}

/// How nodes are kept running.
pub struct NativeOptions {
    /// The nodes.
    pub nodes: Vec<NativeNode>,
    /// What is asked of the bus.
    pub durables: Arc<dyn Durables>,
    /// Longer than the longest handler: a message that its reader has held for so long counts as lost when another
    /// reader of the same node has died.
    pub ack_wait: Duration,
    /// Time between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// How often it is looked whether nodes still read what they have read before. A client that lost its connection must
    /// be able to come back within it.
    pub watch: Duration,
}

/// What the one who starts and ends readers asks of the bus about a durable.
pub trait Durables: Send + Sync + 'static {
    /// Whether anybody reads it.
    fn is_bound(&self, durable: &Durable) -> BoxFuture<'static, Result<bool, Unavailable>>;

    /// Has what readers have held for longer than `ack_wait` delivered again, unless it is `enough` before. Says how many
    /// messages readers held.
    ///
    /// # Assumptions
    /// Nobody binds to the durable meanwhile: runners refuse to while its ack wait is not the one that they insist on.
    fn recall(
        &self,
        durable: &Durable,
        ack_wait: Duration,
        enough: CancellationToken,
    ) -> BoxFuture<'static, Result<u64, Unavailable>>;
}

/// The bus does not answer, or not as it should.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// Why nodes cannot be started at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NativeError {
    /// Nobody has said what runs an image.
    #[error(
        "node {node:?} of workflow {workflow:?} runs in the image {image}: say what stands for it on this machine with \
         --runner '{name}=COMMAND'; {{src}} in the command is the node's src, {{name}} its name",
        name = runners::without_tag(image)
    )]
    NoRunner {
        /// Which workflow.
        workflow: String,
        /// Which node.
        node: String,
        /// Its image.
        image: String,
    },
    /// The node's src is the program, and no program.
    #[error("node {node:?} of workflow {workflow:?}: {path} is not executable; chmod +x makes it so")]
    NotExecutable {
        /// Which workflow.
        workflow: String,
        /// Which node.
        node: String,
        /// Its src.
        path: String,
    },
}

/// Every native node of `topology` with the command that `runners` has for its image.
///
/// # Errors
/// See [`NativeError`].
pub fn nodes(topology: &Topology, runners: &Runners, platform: &Platform) -> Result<Vec<NativeNode>, NativeError> {
    let names = Names::new(&platform.runtime_id, &topology.version);
    let mut found = Vec::new();
    for workflow in &topology.workflows {
        for node in &workflow.nodes {
            let NodeKind::Native { image } = &node.kind else { continue };
            let no_runner = || NativeError::NoRunner {
                workflow: workflow.name.clone(),
                node: node.name.clone(),
                image: image.clone(),
            };
            let runner = runners.of(image).ok_or_else(no_runner)?;
            let src = platform.package.join(&node.src);
            let command = runner.command(&src, &node.name);
            let is_program = command.first().is_some_and(|program| Path::new(program) == src);
            if is_program && !is_executable(&src) && !(platform.is_own_copy && make_executable(&src)) {
                return Err(NativeError::NotExecutable {
                    workflow: workflow.name.clone(),
                    node: node.name.clone(),
                    path: src.display().to_string(),
                });
            }
            let environment = environment::of(platform, &names, workflow, node);
            let durables = durables(&names, workflow, node);
            found.push(NativeNode {
                workflow: workflow.name.clone(),
                node: node.name.clone(),
                replicas: node.replicas,
                command,
                environment,
                durables,
            });
        }
    }
    Ok(found)
}

fn durables(names: &Names, workflow: &Workflow, node: &Node) -> Vec<Durable> {
    let stream = names.stream(&workflow.method);
    let of = |subscription| Durable {
        name: names::durable(&workflow.subject(&stream, subscription), &node.name),
        stream: stream.clone(),
    };
    node.subscriptions.iter().map(of).collect()
}

fn make_executable(path: &Path) -> bool {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).is_ok()
}

fn is_executable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}
