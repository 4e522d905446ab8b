//! What the platform tells a node's process: the variables that runners of the original need all of (contract, 4.1).
//!
//! The same for a child process on a laptop and for a container in a cluster. Never reads an environment.

use sha2::{Digest as _, Sha256};

use crate::names::{self, Names};
use crate::topology::{Node, StoreScope, Workflow};

/// Where the variables that runners of the original insist on point to.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// The folder of the package, for `KRT_BASE_PATH`.
    pub package: &'a str,
    /// `host:port` or URL of a NATS server.
    pub nats: &'a str,
    /// Where MongoDB is; empty = nowhere.
    pub mongo: &'a str,
    /// Where InfluxDB is; empty = nowhere.
    pub influx: &'a str,
}

/// Every variable that the platform sets for `node`, each once.
pub fn of_node(places: &Places<'_>, names: &Names, workflow: &Workflow, node: &Node) -> Vec<(&'static str, String)> {
    let stream = names.stream(&workflow.method);
    let inputs: Vec<String> = node.subscriptions.iter().map(|it| workflow.subject(&stream, it)).collect();
    let is_exitpoint = workflow.nodes.get(workflow.exitpoint).is_some_and(|exitpoint| exitpoint.name == node.name);
    let mut all = vec![
        ("KRT_RUNTIME_ID", names.runtime_id().to_owned()),
        // There is no database that numbers versions: the name is the id.
        ("KRT_VERSION_ID", names.version().to_owned()),
        ("KRT_VERSION", names.version().to_owned()),
        ("KRT_WORKFLOW_NAME", workflow.name.clone()),
        ("KRT_WORKFLOW_ID", workflow_id(workflow)),
        ("KRT_NODE_NAME", node.name.clone()),
        ("KRT_NODE_ID", node_id(workflow, node)),
        ("KRT_BASE_PATH", places.package.to_owned()),
        ("KRT_HANDLER_PATH", node.src.clone()),
        ("KRT_NATS_SERVER", places.nats.to_owned()),
        ("KRT_NATS_INPUTS", inputs.join(",")),
        ("KRT_NATS_OUTPUT", names::node_subject(&stream, &node.name)),
        ("KRT_NATS_STREAM", stream),
        ("KRT_NATS_KEY_VALUE_STORE_PROJECT", names.key_value_project()),
        ("KRT_NATS_KEY_VALUE_STORE_WORKFLOW", names.key_value_workflow(&workflow.name)),
        ("KRT_NATS_KEY_VALUE_STORE_NODE", names.key_value_node(&workflow.name, &node.name)),
        ("KRT_NATS_MONGO_WRITER", format!("mongo_writer_data.{}", names.runtime_id())),
        ("KRT_MONGO_URI", places.mongo.to_owned()),
        ("KRT_MONGO_DB_NAME", "kre".to_owned()),
        ("KRT_MONGO_BUCKET", "krt".to_owned()),
        ("KRT_INFLUX_URI", places.influx.to_owned()),
        ("KRT_IS_EXITPOINT", is_exitpoint.to_string()),
        // Seconds; what the original's chart sets.
        ("KRT_JS_REQUEST_TIMEOUT", "5".to_owned()),
    ];
    if let Some(store) = &node.object_store {
        let bucket = match store.scope {
            StoreScope::Project => names.object_store_project(&store.name),
            StoreScope::Workflow => names.object_store_workflow(&workflow.name, &store.name),
        };
        all.push(("KRT_NATS_OBJECT_STORE", bucket));
    }
    all
}

/// The id of a workflow: five lower-case letters, as the original's ids are; the same for the same name.
pub fn workflow_id(workflow: &Workflow) -> String {
    letters(&workflow.name)
}

/// The id of a node: five lower-case letters, the same for the same names of workflow and node.
pub fn node_id(workflow: &Workflow, node: &Node) -> String {
    letters(&format!("{}/{}", workflow.name, node.name))
}

fn letters(name: &str) -> String {
    Sha256::digest(name.as_bytes()).iter().take(5).map(|byte| char::from(b'a' + byte % 26)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "\
krtVersion: v2
version: v1
description: Two nodes
workflows:
  - name: w
    entrypoint: Ask
    exitpoint: last
    nodes:
      - { name: first, src: bin/first.wasm, subscriptions: [entrypoint, last.again] }
      - { name: last, src: main.py, image: konstellation/kre-py, subscriptions: [first], objectStore: { name: s, scope: project } }
";

    #[test]
    fn a_node_is_told_every_variable_that_runners_insist_on_each_once() {
        let topology = crate::check("krt.yml", MANIFEST.as_bytes(), None).topology.unwrap();
        let (names, workflow) = (Names::new("kre", "v1"), &topology.workflows[0]);
        let places = Places { package: "/krt-files", nats: "nats:4222", mongo: "", influx: "" };
        let first = of_node(&places, &names, workflow, &workflow.nodes[0]);
        let value = |name: &str| first.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        assert_eq!(value("KRT_NATS_INPUTS"), Some("kre_v1_Ask.entrypoint,kre_v1_Ask.last.again"));
        assert_eq!(value("KRT_NATS_OUTPUT"), Some("kre_v1_Ask.first"));
        assert_eq!(value("KRT_NATS_KEY_VALUE_STORE_NODE"), Some("key-store_kre_v1_w_first"));
        assert_eq!((value("KRT_MONGO_URI"), value("KRT_IS_EXITPOINT")), (Some(""), Some("false")));
        assert_eq!(value("KRT_NATS_OBJECT_STORE"), None);
        let mut all: Vec<_> = first.iter().map(|(name, _)| name).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), first.len());
        let last = of_node(&places, &names, workflow, &workflow.nodes[1]);
        assert!(last.contains(&("KRT_NATS_OBJECT_STORE", "kre_v1_s".to_owned())));
        assert!(last.contains(&("KRT_IS_EXITPOINT", "true".to_owned())));
    }

    #[test]
    fn ids_are_five_letters_and_tell_nodes_apart() {
        let topology = crate::check("krt.yml", MANIFEST.as_bytes(), None).topology.unwrap();
        let workflow = &topology.workflows[0];
        let ids: Vec<_> = workflow.nodes.iter().map(|node| node_id(workflow, node)).collect();
        assert!(ids.iter().all(|id| id.len() == 5 && id.bytes().all(|b| b.is_ascii_lowercase())), "{ids:?}");
        assert_ne!(ids[0], ids[1]);
        assert_eq!(workflow_id(workflow), letters("w"));
    }
}
