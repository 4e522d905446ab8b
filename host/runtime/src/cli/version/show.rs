//! Versions as text and as JSON. Shows no value of a configuration.

use serde_json::{Value, json};

use crate::cli::print;
use crate::cluster::crd::{NodeStatus, Version};

/// For scripts.
pub(super) fn json(version: &Version) -> Value {
    let names: Vec<&str> = version.spec.config.iter().map(|entry| entry.name.as_str()).collect();
    json!({
        "name": version.metadata.name,
        "namespace": version.metadata.namespace,
        "state": version.spec.state,
        "package": version.spec.package.reference,
        "config": names,
        "status": version.status,
    })
}

/// A node as it is named: `workflow/node`, or `entrypoint`.
pub(super) fn node(node: &NodeStatus) -> String {
    node.workflow.as_ref().map_or_else(|| node.name.clone(), |workflow| format!("{workflow}/{}", node.name))
}

/// One line each.
pub(super) fn table(all: &[Version]) -> String {
    if all.is_empty() {
        return "there are no versions\n".to_owned();
    }
    let mut rows = vec![["VERSION", "STATE", "PHASE", "NODES", "MESSAGE"].map(str::to_owned).to_vec()];
    rows.extend(all.iter().map(|version| {
        let status = version.status.clone().unwrap_or_default();
        let phase = if version.status.is_some() { format!("{:?}", status.phase) } else { "-".to_owned() };
        vec![
            version.metadata.name.clone().unwrap_or_default(),
            format!("{:?}", version.spec.state),
            phase,
            status.ready,
            status.message,
        ]
    }));
    print::columns(&rows)
}

/// One with its nodes and what is wrong.
pub(super) fn one(version: &Version) -> String {
    let mut text = table(std::slice::from_ref(version));
    let Some(status) = &version.status else { return text };
    let rows: Vec<Vec<String>> = status
        .nodes
        .iter()
        .map(|node| {
            let wrong = match (&node.reason, &node.message) {
                (Some(reason), Some(message)) => format!("{reason}: {message}"),
                (Some(reason), None) => reason.clone(),
                _ => String::new(),
            };
            vec![self::node(node), format!("{}/{}", node.ready, node.replicas), wrong]
        })
        .collect();
    if !rows.is_empty() {
        text.push_str(&format!("\nnodes\n{}", print::columns(&rows)));
    }
    let rows: Vec<Vec<String>> = status
        .problems
        .iter()
        .map(|it| vec![format!("{}:{}:{}", it.file, it.line, it.column), it.severity.clone(), it.message.clone()])
        .collect();
    if !rows.is_empty() {
        text.push_str(&format!("\nproblems\n{}", print::columns(&rows)));
    }
    text
}
