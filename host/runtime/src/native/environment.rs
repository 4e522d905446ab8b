//! What a program of the original's images finds in its environment (contract, 4.1). Pure.

use std::ffi::OsString;

use krt::names::{self, Names};
use krt::topology::{Node, StoreScope, Workflow};

use super::Platform;

/// Names that the platform sets begin so. What stands under such a name around krt itself is not meant for nodes.
const PREFIX: &str = "KRT_";

/// Everything: what any program needs, then the version's configuration, then what the platform sets.
pub(super) fn of(platform: &Platform, names: &Names, workflow: &Workflow, node: &Node) -> Vec<(OsString, OsString)> {
    let own = |(name, value): &(String, String)| (name.into(), value.into());
    let around = platform.inherited.iter().filter(|(name, _)| !name.as_encoded_bytes().starts_with(PREFIX.as_bytes()));
    let mut all: Vec<(OsString, OsString)> = around.cloned().collect();
    let set = platform_variables(platform, names, workflow, node);
    // A later one replaces an earlier one of the same name.
    for (name, value) in platform.variables.iter().map(own).chain(set) {
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => all.push((name, value)),
        }
    }
    all
}

fn platform_variables(
    platform: &Platform,
    names: &Names,
    workflow: &Workflow,
    node: &Node,
) -> impl Iterator<Item = (OsString, OsString)> {
    let Platform { runtime_id, mongo_uri, influx_uri, nats_server, package, .. } = platform;
    let stream = names.stream(&workflow.method);
    let inputs: Vec<String> = node.subscriptions.iter().map(|it| workflow.subject(&stream, it)).collect();
    let is_exitpoint = workflow.nodes.get(workflow.exitpoint).is_some_and(|exitpoint| exitpoint.name == node.name);
    let mut all: Vec<(&str, OsString)> = vec![
        ("KRT_RUNTIME_ID", runtime_id.into()),
        // There is no database that numbers versions: the name is the id.
        ("KRT_VERSION_ID", names.version().into()),
        ("KRT_VERSION", names.version().into()),
        ("KRT_WORKFLOW_NAME", (&workflow.name).into()),
        ("KRT_WORKFLOW_ID", letters(&workflow.name).into()),
        ("KRT_NODE_NAME", (&node.name).into()),
        ("KRT_NODE_ID", letters(&format!("{}/{}", workflow.name, node.name)).into()),
        ("KRT_BASE_PATH", package.into()),
        ("KRT_HANDLER_PATH", (&node.src).into()),
        ("KRT_NATS_SERVER", nats_server.into()),
        ("KRT_NATS_INPUTS", inputs.join(",").into()),
        ("KRT_NATS_OUTPUT", names::node_subject(&stream, &node.name).into()),
        ("KRT_NATS_STREAM", stream.into()),
        ("KRT_NATS_KEY_VALUE_STORE_PROJECT", names.key_value_project().into()),
        ("KRT_NATS_KEY_VALUE_STORE_WORKFLOW", names.key_value_workflow(&workflow.name).into()),
        ("KRT_NATS_KEY_VALUE_STORE_NODE", names.key_value_node(&workflow.name, &node.name).into()),
        ("KRT_NATS_MONGO_WRITER", format!("mongo_writer_data.{runtime_id}").into()),
        ("KRT_MONGO_URI", mongo_uri.into()),
        ("KRT_MONGO_DB_NAME", "kre".into()),
        ("KRT_MONGO_BUCKET", "krt".into()),
        ("KRT_INFLUX_URI", influx_uri.into()),
        ("KRT_IS_EXITPOINT", is_exitpoint.to_string().into()),
        // Seconds; what the original's chart sets.
        ("KRT_JS_REQUEST_TIMEOUT", "5".into()),
    ];
    if let Some(store) = &node.object_store {
        let bucket = match store.scope {
            StoreScope::Project => names.object_store_project(&store.name),
            StoreScope::Workflow => names.object_store_workflow(&workflow.name, &store.name),
        };
        all.push(("KRT_NATS_OBJECT_STORE", bucket.into()));
    }
    all.into_iter().map(|(name, value)| (name.into(), value))
}

/// Five lower-case letters, as the original's ids have; the same for the same name.
fn letters(name: &str) -> String {
    blake3::hash(name.as_bytes()).as_bytes()[..5].iter().map(|byte| char::from(b'a' + byte % 26)).collect()
}
