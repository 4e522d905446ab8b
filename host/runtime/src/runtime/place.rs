//! One node by its exact names: all that a process must know to run it, whether it read a manifest or was told by the
//! platform. Values only.

use krt::names::{self, Names};
use krt::topology::{Node, NodeKind, StoreScope, Topology, Wasm, Workflow};

use crate::bus::Consumer;
use crate::engine::Identity;

/// A wasm node and everything that belongs to it, by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    /// Which node it is.
    pub identity: Identity,
    /// The workflow's stream.
    pub stream: String,
    /// The subjects it reads, in full.
    pub inputs: Vec<String>,
    /// Its own subject.
    pub output: String,
    /// The bucket of scope project.
    pub project_bucket: String,
    /// The bucket of scope workflow.
    pub workflow_bucket: String,
    /// The bucket of scope node.
    pub node_bucket: String,
    /// The object store that it declares.
    pub object_store: Option<String>,
    /// The component, relative to the package.
    pub src: String,
    /// How it is run.
    pub wasm: Wasm,
    /// How many times `wasm.concurrency` instances this process has.
    pub replicas: u32,
}

impl Placement {
    /// The wasm nodes of a topology.
    pub fn all(topology: &Topology, runtime_id: &str) -> Vec<Self> {
        let names = Names::new(runtime_id, &topology.version);
        let wasm = |workflow: &Workflow| {
            let of = |node: &Node| match &node.kind {
                NodeKind::Wasm(wasm) => Some(Self::of(&names, workflow, node, wasm)),
                NodeKind::Native { .. } => None,
            };
            workflow.nodes.iter().filter_map(of).collect::<Vec<_>>()
        };
        topology.workflows.iter().flat_map(wasm).collect()
    }

    fn of(names: &Names, workflow: &Workflow, node: &Node, wasm: &Wasm) -> Self {
        let stream = names.stream(&workflow.method);
        Self {
            identity: Identity {
                runtime_id: names.runtime_id().to_owned(),
                version: names.version().to_owned(),
                // There is no database that numbers versions: the name is the id.
                version_id: names.version().to_owned(),
                workflow: workflow.name.clone(),
                node: node.name.clone(),
            },
            inputs: node.subscriptions.iter().map(|subscription| workflow.subject(&stream, subscription)).collect(),
            output: names::node_subject(&stream, &node.name),
            project_bucket: names.key_value_project(),
            workflow_bucket: names.key_value_workflow(&workflow.name),
            node_bucket: names.key_value_node(&workflow.name, &node.name),
            object_store: node.object_store.as_ref().map(|store| match store.scope {
                StoreScope::Project => names.object_store_project(&store.name),
                StoreScope::Workflow => names.object_store_workflow(&workflow.name, &store.name),
            }),
            src: node.src.clone(),
            wasm: wasm.clone(),
            replicas: node.replicas,
            stream,
        }
    }

    /// What it binds to: a durable an input.
    pub(super) fn consumers(&self, prefetch: usize) -> Vec<Consumer> {
        let consumer = |input: &String| Consumer::Durable {
            name: names::durable(input, &self.identity.node),
            stream: self.stream.clone(),
            prefetch,
        };
        self.inputs.iter().map(consumer).collect()
    }

    /// Where the messages go that it gives up.
    pub(super) fn dead_letters(&self) -> String {
        let Identity { runtime_id, version, workflow, node, .. } = &self.identity;
        format!("{}.{workflow}.{node}", Names::new(runtime_id.as_str(), version.as_str()).dead_letters())
    }
}
