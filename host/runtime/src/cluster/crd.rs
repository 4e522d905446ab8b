//! The custom resource `Version`: what a user wants of one version in a namespace, and what the operator says of it.
//!
//! Only the shape, and what the API server itself can judge (CEL). Never talks to a cluster.

#![allow(unreachable_pub, reason = "what the derives make is public whatever it is for")]

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, Time};
use k8s_openapi::jiff::Timestamp;
use kube::{CustomResource, CustomResourceExt as _, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The group of krt's resources, and the prefix of its labels and annotations.
pub const GROUP: &str = "krt.konstellation.io";

/// What keeps a `Version` until what it made is gone.
pub const FINALIZER: &str = "krt.konstellation.io/stop";

/// On a `Version` that is deleted: it does not wait for a NATS that is away or refuses, whatever it leaves there. Set by
/// `krt delete --force`.
pub const LEAVE_BUS: &str = "krt.konstellation.io/leave-bus";

/// The reason of the event that says what stays on NATS of a `Version` that went all the same.
pub const LEFT_ON_BUS: &str = "LeftOnBus";

/// What a user wants of a version.
#[derive(CustomResource, KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "krt.konstellation.io",
    version = "v1alpha1",
    kind = "Version",
    namespaced,
    status = "VersionStatus",
    derive = "Default",
    derive = "PartialEq",
    attr = "allow(missing_docs)",
    doc = "A KRT v2 version: a package, and whether it is stopped, started or published",
    category = "krt",
    printcolumn(name = "State", type_ = "string", json_path = ".spec.state", description = "What is wanted"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "What is there"),
    printcolumn(name = "Nodes", type_ = "string", json_path = ".status.ready", description = "Ready of all nodes"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", description = "What is wrong, or awaited"),
    validation = Rule::new("size(self.metadata.name) <= 19 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')")
        .message("the name is that of the version in krt.yml: small letters, digits and `-`, at most 19 of them")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("oldSelf.state == 'Stopped' || self.__package__.ref == oldSelf.__package__.ref")
    .message("the package of a version that is not stopped cannot be exchanged: stop it first, or deploy another version"))]
pub struct VersionSpec {
    /// What to run.
    pub package: PackageSource,
    /// What is wanted of it.
    #[serde(default)]
    pub state: State,
    /// Values of the configuration variables that the manifest names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub config: Vec<ConfigEntry>,
    /// Images in place of the operator's own.
    #[serde(default, skip_serializing_if = "Images::is_default")]
    pub images: Images,
}

/// Where a package is.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageSource {
    /// `nats://<bucket>/<sha256>` (an object of the runtime's NATS) or `oci://<registry>/<name>@sha256:<digest>`.
    #[serde(rename = "ref")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^nats://[A-Za-z0-9_-]+/[0-9a-f]{64}$') || self.matches('^oci://[^@ ]+@sha256:[0-9a-f]{64}$')")
        .message("name the package by its digest: nats://<bucket>/<sha256> or oci://<registry>/<name>@sha256:<digest>, as krt push prints it"))]
    pub reference: String,
    /// `sha256:<64 hex digits>` of the `.krt`; what was fetched is compared with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 71), regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub digest: Option<String>,
}

/// What is wanted of a version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum State {
    /// Nothing of it runs, and its streams are gone.
    #[default]
    Stopped,
    /// It runs and answers on the Service of its name.
    Started,
    /// It answers on `active-entrypoint`, too. Of several, the one that was asked for last.
    Published,
}

/// A value of a configuration variable.
#[derive(KubeSchema, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.value) != has(self.valueFrom)").message("give either value or valueFrom"))]
pub struct ConfigEntry {
    /// The variable, as the manifest names it.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// The value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where the value is; the pods read it there themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ValueSource>,
}

/// Where a value is.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.configMapKeyRef) != has(self.secretKeyRef)")
    .message("give either configMapKeyRef or secretKeyRef"))]
pub struct ValueSource {
    /// A key of a ConfigMap in the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyRef>,
    /// A key of a Secret in the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyRef>,
}

/// A key of a ConfigMap or a Secret.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeyRef {
    /// The object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key in it.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// Images in place of the operator's own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Images {
    /// krt's own: entrypoint, hosts of components, what fetches packages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub krt: Option<String>,
}

/// What the operator says of a version.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionStatus {
    /// The generation of the resource that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What is there.
    #[serde(default)]
    pub phase: Phase,
    /// Ready of all nodes, the entrypoint among them, as `3/6`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ready: String,
    /// What is wrong, or what is awaited, in one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// `Compiled`, `Provisioned`, `Ready`, `Published`, `Degraded`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// What became of each node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeStatus>,
    /// What is wrong with the package, as `krt check` says it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<ProblemStatus>,
    /// Components that were compiled beforehand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compiled: Option<CompiledRecord>,
    /// What may be on the bus: written before anything is made there, so that it is removed whatever happens in between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bus: Option<BusRecord>,
    /// Since when publishing has been wanted: of several versions the last one is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub publish_requested: Option<MicroTime>,
}

/// What is there of a version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Nothing.
    #[default]
    Stopped,
    /// Less than is wanted.
    Starting,
    /// All of it, on the Service of its name.
    Started,
    /// All of it, on `active-entrypoint`, too.
    Published,
    /// More than is wanted.
    Stopping,
    /// Less than is wanted, and waiting alone does not mend it.
    Failed,
}

/// One node of a version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// The node, `entrypoint` for the entrypoint.
    pub name: String,
    /// Its workflow; none for the entrypoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// Its Deployment.
    pub deployment: String,
    /// Pods wanted.
    pub replicas: i32,
    /// Pods ready, of what is wanted now.
    pub ready: i32,
    /// A word for what is wrong: `ImagePull`, `CrashLoop`, `Unschedulable`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is wrong, in the words of pod or cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What may be on the bus.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BusRecord {
    /// The runtime whose names were used.
    pub runtime_id: String,
    /// Streams of workflows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<String>,
    /// Object stores.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub object_stores: Vec<String>,
    /// Configuration buckets; they stay when the version is stopped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key_value_buckets: Vec<String>,
}

/// Components that were compiled beforehand, for whom, and by what: all others compile for themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CompiledRecord {
    /// The package that they are of.
    pub package: String,
    /// The runtime whose object store they are in.
    pub runtime_id: String,
    /// The engine that takes them.
    pub engine: String,
    /// Where each is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<CompiledComponent>,
}

/// One component that was compiled beforehand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CompiledComponent {
    /// Its path in the package.
    pub src: String,
    /// Where it is, and its digest.
    #[serde(rename = "ref")]
    pub reference: String,
}

/// One problem of a package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProblemStatus {
    /// `error` or `warning`.
    pub severity: String,
    /// A stable word, for example `unknown-subscription`.
    pub code: String,
    /// The file in the package.
    pub file: String,
    /// From 1; 0 = the file as a whole.
    pub line: i32,
    /// From 1, in characters; 0 = the file as a whole.
    pub column: i32,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl Images {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl std::fmt::Debug for ConfigEntry {
    // A value may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfigEntry")
            .field("name", &self.name)
            .field("value_from", &self.value_from)
            .finish_non_exhaustive()
    }
}

/// The definition of the resource, as `charts/krt/crds` has it.
pub fn definition() -> CustomResourceDefinition {
    Version::crd()
}

/// [`definition`] as YAML.
///
/// # Errors
/// When the writer cannot write a value.
pub fn definition_yaml() -> Result<String, serde_saphyr::SerializeError> {
    let mut options = serde_saphyr::SerializerOptions::default();
    options.folded_wrap_chars = usize::MAX;
    let yaml = serde_saphyr::to_string_with_options(&definition(), options)?;
    Ok(format!("# Written by `make bless` from host/runtime/src/cluster/crd.rs.\n{yaml}"))
}

/// Conditions are a map by type for server-side apply.
fn conditions(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "lastTransitionTime": { "type": "string", "format": "date-time" },
                "message": { "type": "string" },
                "observedGeneration": { "type": "integer", "format": "int64" },
                "reason": { "type": "string" },
                "status": { "type": "string" },
                "type": { "type": "string" },
            },
        },
    })
}

fn time(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "string", "format": "date-time", "nullable": true })
}

/// The condition of this type.
pub fn condition<'a>(status: &'a VersionStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == kind)
}

/// Sets a condition; the time of its last change is kept unless its status changes.
pub(crate) fn set(status: &mut VersionStatus, now: Timestamp, generation: Option<i64>, new: Said<'_>) {
    let Said { kind, is, reason, message } = new;
    let word = match is {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    let since = condition(status, kind).filter(|old| old.status == word).map(|old| old.last_transition_time.clone());
    let condition = Condition {
        type_: kind.to_owned(),
        status: word.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: generation,
        last_transition_time: since.unwrap_or(Time(now)),
    };
    match status.conditions.iter_mut().find(|old| old.type_ == kind) {
        Some(old) => *old = condition,
        None => status.conditions.push(condition),
    }
}

/// What a condition says; `is` none = not known.
pub(crate) struct Said<'a> {
    pub(crate) kind: &'a str,
    pub(crate) is: Option<bool>,
    pub(crate) reason: &'a str,
    pub(crate) message: &'a str,
}
