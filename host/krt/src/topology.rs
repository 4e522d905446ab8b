//! The graph that a valid manifest describes: workflows, nodes, edges with channels.
//!
//! Made only from a manifest without errors, so everything here holds: indices are in range, names are unique.
//! Never reads text and never reports problems.

mod graph;
mod types;

use std::time::Duration;

pub use graph::Edge;
pub use types::{ANY, DEFAULT, Types};

/// One version, ready to be planned or run.
#[derive(Debug, Clone, PartialEq)]
pub struct Topology {
    /// The version's name, for example `classificator-v1`.
    pub version: String,
    /// What the author says of it.
    pub description: String,
    /// Path of the `.proto` in the package.
    pub proto: String,
    /// Names of the configuration variables that nodes get as environment.
    pub variables: Vec<String>,
    /// Names of the configuration entries declared as files; the original hands them over as environment, too.
    pub files: Vec<String>,
    /// At least one.
    pub workflows: Vec<Workflow>,
}

/// One gRPC method and the graph that answers it.
#[derive(Debug, Clone, PartialEq)]
pub struct Workflow {
    /// Name, unique in the version.
    pub name: String,
    /// The RPC method, unique in the version.
    pub method: String,
    /// Index in `nodes` of the node whose default output answers the caller.
    pub exitpoint: usize,
    /// In the manifest's order; at least one.
    pub nodes: Vec<Node>,
}

/// One node of a workflow.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Name, unique in its workflow.
    pub name: String,
    /// Path in the package: a component, a script or a binary.
    pub src: String,
    /// What runs it.
    pub kind: NodeKind,
    /// At least 1.
    pub replicas: u32,
    /// Whether it needs a GPU.
    pub gpu: bool,
    /// What it reads; at least one.
    pub subscriptions: Vec<Subscription>,
    /// The object store it may use.
    pub object_store: Option<ObjectStore>,
    /// Which messages it says it takes and sends.
    pub types: Types,
}

/// What a node is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeKind {
    /// `src` ends in `.wasm`: a component in krt's host.
    Wasm(Box<Wasm>),
    /// A program in one of the original runner images.
    Native {
        /// The image, for example `konstellation/kre-py:latest`.
        image: String,
    },
}

/// The `wasm:` section of a node, with its defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Wasm {
    /// Bytes of linear memory, tables and host-side state that one instance may hold. Default 256 MiB.
    pub memory: u64,
    /// Wall clock for one message, host calls included. Default 30 s.
    pub timeout: Duration,
    /// Instances per replica, each with one message in hand. Default 1, as in the original.
    pub concurrency: u32,
    /// Whether an instance serves many messages or one. Default reuse.
    pub instance: InstanceMode,
    /// How often and how soon a message comes again after a transient failure.
    pub retry: Retry,
    /// What the node may use beyond the contract.
    pub allow: Allow,
    /// How `krt build` makes the component, if it does.
    pub build: Option<Build>,
}

/// How long an instance lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceMode {
    /// One instance serves messages until it traps or grows too large: guest globals live on, as a process's do.
    Reuse,
    /// Every message gets a new instance: nothing is left from the message before.
    Fresh,
}

/// The redelivery schedule of a node's durables.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// How often a message is delivered at most, the first time included. Default 5.
    pub attempts: u32,
    /// Delay before the second attempt; it doubles from there to `backoff_max`. Default 100 ms.
    pub backoff: Duration,
    /// Longest delay between attempts. Default 10 s.
    pub backoff_max: Duration,
}

/// Grants; everything is denied unless named.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Allow {
    /// Hosts (`name`, `name:port`, `*.suffix`) that outbound HTTP may reach.
    pub http: Vec<String>,
    /// Hosts (`name:port`) that sockets may connect to.
    pub tcp: Vec<String>,
}

/// Where a component comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Build {
    /// Source folder, relative to the manifest.
    pub source: String,
    /// Command to run there in place of the one that the toolchain found there implies.
    pub command: Option<String>,
    /// What the command leaves, relative to the source folder. With `command` only.
    pub output: Option<String>,
}

/// An edge into a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Who sends.
    pub origin: Origin,
    /// One channel of the origin, or its default output.
    pub channel: Option<String>,
}

/// The sending end of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The request itself.
    Entrypoint,
    /// Index of a node in the same workflow.
    Node(usize),
}

/// An object store that a node declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectStore {
    /// Its name.
    pub name: String,
    /// Who shares it.
    pub scope: StoreScope,
}

/// Who shares an object store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreScope {
    /// The nodes of one workflow (the default).
    Workflow,
    /// All nodes of the version.
    Project,
}

impl Default for Wasm {
    fn default() -> Self {
        Self {
            memory: 256 << 20,
            timeout: Duration::from_secs(30),
            concurrency: 1,
            instance: InstanceMode::Reuse,
            retry: Retry::default(),
            allow: Allow::default(),
            build: None,
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 5, backoff: Duration::from_millis(100), backoff_max: Duration::from_secs(10) }
    }
}

impl Retry {
    /// The delay after attempt `attempt` (1 = the first) failed: doubles each time, at most `backoff_max`.
    pub fn delay_after(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.backoff.saturating_mul(1 << doublings).min(self.backoff_max)
    }
}

impl Workflow {
    /// Name of the sending end, as it stands in `from_node`.
    pub fn origin_name(&self, origin: Origin) -> &str {
        match origin {
            Origin::Entrypoint => crate::names::ENTRYPOINT,
            Origin::Node(index) => &self.nodes[index].name,
        }
    }

    /// Subject that a subscription of this workflow reads, on `stream`.
    pub fn subject(&self, stream: &str, subscription: &Subscription) -> String {
        let origin = self.origin_name(subscription.origin);
        match &subscription.channel {
            None => crate::names::node_subject(stream, origin),
            Some(channel) => crate::names::channel_subject(stream, origin, channel),
        }
    }
}
