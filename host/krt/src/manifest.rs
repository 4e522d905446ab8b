//! The manifest `krt.yml`: text to [`Krt`] and problems.
//!
//! Reads shape only: encoding, YAML, which keys there are and of what type. What a value may say is judged by
//! [`crate::check()`]; nothing here looks at a file.

mod at;
mod fields;
mod read;
mod text;
mod tree;
mod types;

use schemars::JsonSchema;
use serde::Serialize;

use crate::problem::{Problem, Source};
pub use at::At;
pub use read::read;
pub use types::{ByName, Messages, Types};

/// The manifest may have this many bytes. The largest real ones have some ten thousand.
pub const MAX_BYTES: usize = 1 << 20;

/// The `.proto` when the manifest has no `entrypoint` section: the one path that the original's entrypoint reads.
pub const DEFAULT_PROTO: &str = "public_input.proto";

/// What came of reading a manifest.
#[derive(Debug)]
pub struct Reading {
    /// What it says, if it is a YAML mapping at all. Where a value is missing or has the wrong type, its place holds
    /// the type's default and a problem says so.
    pub manifest: Option<Krt>,
    /// In the order of the text.
    pub problems: Vec<Problem>,
    /// How many more there are, which are not among them.
    pub beyond: usize,
    /// The text with its name, for rendering problems.
    pub source: Source,
    /// Whether the text was read to its end: after a syntax error nothing can be said of what is missing.
    pub complete: bool,
}

/// A version: workflows of nodes that exchange protobuf messages, each workflow answering one gRPC method.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "krt.yml", extend("$id" = "https://raw.githubusercontent.com/konstellation-io/krt/main/host/krt/krt.schema.json"))]
pub struct Krt {
    /// The language of this manifest: `v2`, the only one. May be left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["v2"]))]
    pub krt_version: Option<At<String>>,
    /// Name of the version, unique in its runtime: lower-case letters, digits and `-`, at most 19 characters.
    #[schemars(regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(min = 1, max = 19))]
    pub version: At<String>,
    /// What the version does, for people.
    #[schemars(length(min = 1))]
    pub description: At<String>,
    /// The gRPC front end. May be left out: then the `.proto` is `public_input.proto`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Entrypoint>,
    /// Names of the configuration that a version gets before it starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Config>,
    /// One for each gRPC method.
    #[schemars(length(min = 1))]
    pub workflows: Vec<Workflow>,
}

/// The gRPC front end of a version.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Entrypoint {
    /// Path of the `.proto` that declares service `Entrypoint`, relative to krt.yml.
    #[schemars(regex(pattern = r"\.proto$"))]
    pub proto: At<String>,
    /// Accepted and not used: the platform has its own entrypoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<At<String>>,
}

/// Names of configuration entries; all of them reach a node as environment variables.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Names of variables.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    #[schemars(inner(regex(pattern = "^[A-Z0-9]([_A-Z0-9]*[A-Z0-9])?$")))]
    pub variables: Vec<At<String>>,
    /// Names of entries declared as files; they are environment variables, too.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub files: Vec<At<String>>,
}

/// A graph of nodes that answers one gRPC method.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Workflow {
    /// Name, unique in the version.
    #[schemars(regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(min = 1, max = 19))]
    pub name: At<String>,
    /// The method of service `Entrypoint` that this workflow answers; unique in the version.
    #[schemars(regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"), length(min = 1, max = 128))]
    pub entrypoint: At<String>,
    /// The node whose output answers the caller.
    #[schemars(length(min = 1))]
    pub exitpoint: At<String>,
    /// The nodes.
    #[schemars(length(min = 1))]
    pub nodes: Vec<Node>,
}

/// A node: a wasm component, or a program in one of the original runner images.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// Name, unique in its workflow. `entrypoint` is reserved.
    #[schemars(regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(min = 1, max = 19))]
    pub name: At<String>,
    /// Runner image, for example `konstellation/kre-py:latest`. May be left out when `src` ends in `.wasm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<At<String>>,
    /// Path of the component, script or binary, relative to krt.yml. One that ends in `.wasm` makes this a wasm node.
    #[schemars(length(min = 1))]
    pub src: At<String>,
    /// Whether the node needs a GPU. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu: Option<At<bool>>,
    /// How many run. Default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: Option<At<i64>>,
    /// What the node reads: `entrypoint`, a node, or `node.channel`.
    #[schemars(length(min = 1))]
    pub subscriptions: Vec<At<String>>,
    /// The object store that the node may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_store: Option<ObjectStore>,
    /// Which messages the node takes and sends; what is said here is checked along the edges of the graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub types: Option<Types>,
    /// What holds for a wasm node only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wasm: Option<At<Wasm>>,
}

/// An object store.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectStore {
    /// Name; nodes that declare the same name and scope share the store.
    #[schemars(regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), length(min = 1, max = 63))]
    pub name: At<String>,
    /// Who shares it: the nodes of the workflow, or of the version. Default workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["workflow", "project"]))]
    pub scope: Option<At<String>>,
}

/// Limits and grants of a wasm node. The original platform ignores this section.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wasm {
    /// Memory of one instance, for example `64Mi`; from 1 MiB to 4 GiB. Default 256Mi.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(schema_with = "quantity")]
    pub memory: Option<At<String>>,
    /// Wall clock for one message, host calls included, for example `30s`; from 1ms to 24h. Default 30s.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = DURATION))]
    pub timeout: Option<At<String>>,
    /// Instances per replica, each with one message in hand. Default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub concurrency: Option<At<i64>>,
    /// `reuse`: an instance serves many messages (default). `fresh`: every message gets a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["reuse", "fresh"]))]
    pub instance: Option<At<String>>,
    /// How often and how soon a message comes again after a transient failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// What the node may reach; everything else is denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Allow>,
    /// How `krt build` makes the component: the source folder, or a folder with a command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<Build>,
}

/// The redelivery schedule of a wasm node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retry {
    /// How often a message is delivered at most, the first time included. Default 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub attempts: Option<At<i64>>,
    /// Delay before the second attempt; it doubles from there. Default 100ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = DURATION))]
    pub backoff: Option<At<String>>,
    /// Longest delay between attempts. Default 10s.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = DURATION))]
    pub backoff_max: Option<At<String>>,
}

/// Grants of a wasm node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Allow {
    /// Hosts that outbound HTTP may reach: `name`, `name:port` or `*.suffix`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub http: Vec<At<String>>,
    /// Hosts that sockets may connect to: `name:port`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tcp: Vec<At<String>>,
}

/// Where a component comes from.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Build {
    /// A source folder; the toolchain found there says how.
    Source(At<String>),
    /// A source folder and the command to run in it.
    Recipe(Recipe),
}

/// A source folder and the command to run in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recipe {
    /// The source folder, relative to krt.yml.
    #[schemars(length(min = 1))]
    pub source: At<String>,
    /// Command to run there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<At<String>>,
    /// The component that the command leaves, relative to the source folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<At<String>>,
}

/// A duration as in Go: numbers with units.
const DURATION: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$";

fn quantity(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "anyOf": [
            { "type": "integer", "minimum": 1_048_576, "maximum": 4_294_967_296_u64 },
            { "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?([kKMG]i?B?|B)?$" },
        ]
    })
}
