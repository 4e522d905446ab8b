//! What a version needs on the bus before any of its nodes starts: streams, durables, buckets.
//!
//! A pure function of the topology; the NATS adapter and the embedded bus both take it.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::Serialize;

use crate::names::{self, Names};
use crate::topology::{NodeKind, Retry, StoreScope, Topology};

/// How long the bus waits for an acknowledgement before it delivers again. Handlers that take longer send progress.
///
/// Longer than a server's cluster takes to elect another leader (4 to 7 s), and short enough that what a dead host held is
/// answered by another within a call's deadline.
pub const ACK_WAIT: Duration = Duration::from_secs(10);

/// The ack wait that stock runners insist on when they bind to a durable (contract, 2.3).
pub const NATIVE_ACK_WAIT: Duration = Duration::from_secs(22 * 3600);

/// Everything on the bus that belongs to one version. Sorted, so that equal topologies give equal plans.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// The runtime (tenant).
    pub runtime_id: String,
    /// The version's name.
    pub version: String,
    /// One a workflow.
    pub streams: Vec<Stream>,
    /// One a subscription.
    pub durables: Vec<Durable>,
    /// Configuration buckets: one for the project, one a workflow, one a node.
    pub key_value_buckets: Vec<String>,
    /// Object stores, each once however many nodes share it.
    pub object_stores: Vec<String>,
    /// Where messages end that nobody could handle. krt's own; the original has none.
    pub dead_letters: Stream,
}

/// A stream and its subjects.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stream {
    /// Name.
    pub name: String,
    /// Subjects, sorted (`<node>`, `<node>.*` and the entrypoint's).
    pub subjects: Vec<String>,
}

/// A durable consumer, made by the control plane before anything is published.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Durable {
    /// Name.
    pub name: String,
    /// Its stream.
    pub stream: String,
    /// The one subject it reads.
    pub filter_subject: String,
    /// The workflow's name.
    pub workflow: String,
    /// The reading node.
    pub node: String,
    /// How messages reach the reader.
    pub delivery: DeliveryMode,
    /// The deliver group of a push consumer (equal to its name), none for a pull consumer.
    pub deliver_group: Option<String>,
    /// Time for one attempt.
    #[serde(serialize_with = "seconds")]
    pub ack_wait: Duration,
    /// How often the reader tries a message, the first time included; none for native runners, which never nack. Not a
    /// bound of the bus: it delivers once more, and again, until the reader has given the message up and said so.
    pub attempts: Option<u32>,
    /// Longest time that one handling may take: until then signs of life keep the message in hand. Not part of what the
    /// server knows.
    #[serde(skip)]
    pub handling: Duration,
    /// The schedule between attempts. Not part of what the server knows: the runner nacks with these delays.
    #[serde(skip)]
    pub retry: Retry,
}

/// How messages reach the reader of a durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryMode {
    /// The reader asks for them: wasm nodes.
    Pull,
    /// The server sends them to a deliver group: native runners.
    Push,
}

fn seconds<S: serde::Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(value.as_secs_f64())
}

/// The plan of a topology in runtime `runtime_id`.
pub fn plan(topology: &Topology, runtime_id: &str) -> Plan {
    let names = Names::new(runtime_id, &topology.version);
    let mut streams = Vec::new();
    let mut durables = Vec::new();
    let mut key_value = vec![names.key_value_project()];
    let mut objects = Vec::new();
    for workflow in &topology.workflows {
        let stream = names.stream(&workflow.method);
        let mut subjects = vec![names::entrypoint_subject(&stream)];
        key_value.push(names.key_value_workflow(&workflow.name));
        for node in &workflow.nodes {
            let subject = names::node_subject(&stream, &node.name);
            subjects.push(format!("{subject}.*"));
            subjects.push(subject);
            key_value.push(names.key_value_node(&workflow.name, &node.name));
            if let Some(store) = &node.object_store {
                objects.push(match store.scope {
                    StoreScope::Project => names.object_store_project(&store.name),
                    StoreScope::Workflow => names.object_store_workflow(&workflow.name, &store.name),
                });
            }
            for subscription in &node.subscriptions {
                let filter_subject = workflow.subject(&stream, subscription);
                let name = names::durable(&filter_subject, &node.name);
                let durable = match &node.kind {
                    NodeKind::Wasm(wasm) => Durable {
                        deliver_group: None,
                        delivery: DeliveryMode::Pull,
                        ack_wait: ACK_WAIT,
                        attempts: Some(wasm.retry.attempts),
                        handling: wasm.timeout,
                        retry: wasm.retry.clone(),
                        name,
                        stream: stream.clone(),
                        filter_subject,
                        workflow: workflow.name.clone(),
                        node: node.name.clone(),
                    },
                    NodeKind::Native { .. } => Durable {
                        deliver_group: Some(name.clone()),
                        delivery: DeliveryMode::Push,
                        ack_wait: NATIVE_ACK_WAIT,
                        attempts: None,
                        handling: Duration::ZERO,
                        retry: Retry::default(),
                        name,
                        stream: stream.clone(),
                        filter_subject,
                        workflow: workflow.name.clone(),
                        node: node.name.clone(),
                    },
                };
                durables.push(durable);
            }
        }
        subjects.sort();
        streams.push(Stream { name: stream, subjects });
    }
    streams.sort_by(|a, b| a.name.cmp(&b.name));
    durables.sort_by(|a, b| a.name.cmp(&b.name));
    durables.dedup_by(|a, b| a.name == b.name);
    key_value.sort();
    objects.sort();
    objects.dedup();
    let dead = names.dead_letters();
    Plan {
        runtime_id: runtime_id.to_owned(),
        version: topology.version.clone(),
        streams,
        durables,
        key_value_buckets: key_value,
        object_stores: objects,
        dead_letters: Stream { subjects: vec![format!("{dead}.>")], name: dead },
    }
}
