//! The rules of one workflow and its nodes.

use std::collections::HashMap;

use super::{graph, rules, types, wasm};
use crate::manifest::{self, At};
use crate::names::ENTRYPOINT;
use crate::problem::{Report, did_you_mean, quote};
use crate::topology::{Node, NodeKind, ObjectStore, Origin, StoreScope, Subscription, Workflow};

/// Far beyond what anybody runs; a slip of the finger must not ask a cluster for a million pods.
const MOST_REPLICAS: i64 = 1000;

/// Buckets are `OBJ_<runtime>_<version>_<workflow>_<store>`, and NATS refuses names over 255 bytes.
const LONGEST_STORE: usize = 63;

/// Judges a workflow. Every node and subscription of the manifest has its like in the result, at the same index;
/// a subscription that could not be resolved is one to the entrypoint, so that nothing else is said of it.
pub(super) fn workflow(workflow: &manifest::Workflow, complete: bool, report: &mut Report<'_>) -> Workflow {
    rules::name(report, "a workflow", &workflow.name);
    rules::method(report, &workflow.entrypoint);
    let mut indices = HashMap::new();
    for (index, node) in workflow.nodes.iter().enumerate() {
        name(node, index, workflow, &mut indices, report);
    }
    let mut nodes = Vec::with_capacity(workflow.nodes.len());
    for (index, declared) in workflow.nodes.iter().enumerate() {
        let subscriptions = subscriptions(workflow, index, &indices, complete, report);
        nodes.push(node(declared, subscriptions, report));
    }
    let exitpoint = exitpoint(workflow, &indices, complete, report);
    let made = Workflow {
        name: workflow.name.value.clone(),
        method: workflow.entrypoint.value.clone(),
        exitpoint: exitpoint.unwrap_or_default(),
        nodes,
    };
    if complete {
        graph::judge(workflow, &made, exitpoint.is_some(), report);
    }
    made
}

fn name<'k>(
    node: &'k manifest::Node,
    index: usize,
    workflow: &manifest::Workflow,
    indices: &mut HashMap<&'k str, usize>,
    report: &mut Report<'_>,
) {
    if node.name.is_empty() {
        return;
    }
    if node.name.value == ENTRYPOINT {
        let help = "the platform's own entrypoint has it; rename the node";
        report.error("reserved-name", node.name.at.clone(), "the name `entrypoint` is reserved", help);
        return;
    }
    rules::name(report, "a node", &node.name);
    if let Some(first) = indices.get(node.name.as_str()) {
        let line = report.source().position(workflow.nodes[*first].name.at.start).0;
        let message = format!("there are two nodes named {} in this workflow", quote(&node.name));
        report.error(
            "duplicate-node",
            node.name.at.clone(),
            message,
            format!("the first stands on line {line}; rename one"),
        );
        return;
    }
    indices.insert(&node.name, index);
}

fn exitpoint(
    workflow: &manifest::Workflow,
    indices: &HashMap<&str, usize>,
    complete: bool,
    report: &mut Report<'_>,
) -> Option<usize> {
    let exitpoint = &workflow.exitpoint;
    let found = indices.get(exitpoint.as_str()).copied();
    if found.is_none() && !exitpoint.is_empty() && complete && !workflow.nodes.is_empty() {
        let message = format!("the exitpoint {} is not a node of this workflow", quote(exitpoint));
        report.error("unknown-exitpoint", exitpoint.at.clone(), message, known(exitpoint, indices, report));
    }
    found
}

fn node(node: &manifest::Node, subscriptions: Vec<Subscription>, report: &mut Report<'_>) -> Node {
    rules::path(report, "`src`", &node.src);
    if let Some(image) = &node.image {
        rules::image(report, image);
    }
    let kind = if node.src.ends_with(".wasm") {
        NodeKind::Wasm(Box::new(node.wasm.as_ref().map(|wasm| wasm::wasm(wasm, report)).unwrap_or_default()))
    } else {
        native(node, report)
    };
    Node {
        name: node.name.value.clone(),
        src: rules::normal(&node.src),
        kind,
        replicas: replicas(node.replicas.as_ref(), report),
        gpu: node.gpu.as_ref().is_some_and(|gpu| gpu.value),
        subscriptions,
        object_store: node.object_store.as_ref().map(|store| object_store(store, report)),
        types: types::declared(node.types.as_ref()),
    }
}

fn native(node: &manifest::Node, report: &mut Report<'_>) -> NodeKind {
    // Without a src nothing is known of the node, so nothing can be missing or too much.
    if node.src.is_empty() {
        return NodeKind::Native { image: String::new() };
    }
    if node.image.is_none() {
        let message = format!("node {} has no `image`, and its `src` is no wasm component", quote(&node.name));
        let help =
            "name the runner image, as in `image: konstellation/kre-py:latest`, or give a `src` that ends in `.wasm`";
        report.error("missing-key", node.src.at.clone(), message, help);
    }
    if let Some(wasm) = &node.wasm {
        let message = format!("node {} has a `wasm` section, but its `src` is no wasm component", quote(&node.name));
        let help = "remove the section, or give a `src` that ends in `.wasm`";
        report.error("wasm-on-native", wasm.at.clone(), message, help);
    }
    NodeKind::Native { image: node.image.as_ref().map(|image| image.value.clone()).unwrap_or_default() }
}

fn replicas(replicas: Option<&At<i64>>, report: &mut Report<'_>) -> u32 {
    let Some(replicas) = replicas else { return 1 };
    if !(0..=MOST_REPLICAS).contains(&replicas.value) {
        let message = format!("a node cannot have {} replicas", replicas.value);
        report.error("bad-replicas", replicas.at.clone(), message, format!("give a number from 1 to {MOST_REPLICAS}"));
    }
    // The original turns 0 into 1.
    u32::try_from(replicas.value).unwrap_or(1).max(1)
}

fn object_store(store: &manifest::ObjectStore, report: &mut Report<'_>) -> ObjectStore {
    if !store.name.is_empty() && !rules::is_name(&store.name) {
        rules::name(report, "an object store", &store.name);
    } else if store.name.len() > LONGEST_STORE {
        let message = format!("the name of the object store has {} characters", store.name.len());
        report.error("name-too-long", store.name.at.clone(), message, format!("at most {LONGEST_STORE} are allowed"));
    }
    let scope = match store.scope.as_ref().map(|scope| (scope, scope.as_str())) {
        None | Some((_, "workflow" | "")) => StoreScope::Workflow,
        Some((_, "project")) => StoreScope::Project,
        Some((scope, _)) => {
            let message = format!("{} is not a scope of an object store", quote(scope));
            let help =
                "write `workflow` (shared by the nodes of the workflow) or `project` (by all nodes of the version)";
            report.error("bad-scope", scope.at.clone(), message, help);
            StoreScope::Workflow
        }
    };
    ObjectStore { name: store.name.value.clone(), scope }
}

fn subscriptions(
    workflow: &manifest::Workflow,
    reader: usize,
    indices: &HashMap<&str, usize>,
    complete: bool,
    report: &mut Report<'_>,
) -> Vec<Subscription> {
    let node = &workflow.nodes[reader];
    let mut seen = HashMap::new();
    let mut subscriptions = Vec::with_capacity(node.subscriptions.len());
    for declared in &node.subscriptions {
        let resolved = subscription(declared, indices, complete, report);
        let resolved = resolved.unwrap_or(Subscription { origin: Origin::Entrypoint, channel: None });
        if resolved.origin == Origin::Node(reader) {
            let message = format!("node {} subscribes to itself", quote(&node.name));
            let help = "a message would come back to the node that sent it, for ever; name the node that sends";
            report.error("self-subscription", declared.at.clone(), message, help);
        }
        if let Some(first) = seen.insert(declared.as_str(), declared.at.start) {
            let line = report.source().position(first).0;
            let message = format!("node {} subscribes to {} twice", quote(&node.name), quote(declared));
            let help = format!("the first stands on line {line}; a message comes once however often it is asked for");
            report.error("duplicate-subscription", declared.at.clone(), message, help);
        }
        subscriptions.push(resolved);
    }
    if subscriptions.is_empty() {
        subscriptions.push(Subscription { origin: Origin::Entrypoint, channel: None });
    }
    subscriptions
}

/// `entrypoint`, `node` or `node.channel`.
fn subscription(
    declared: &At<String>,
    indices: &HashMap<&str, usize>,
    complete: bool,
    report: &mut Report<'_>,
) -> Option<Subscription> {
    let (origin, channel) = match declared.split_once('.') {
        None => (declared.as_str(), None),
        Some((origin, channel)) => (origin, Some(channel)),
    };
    let shape = "write `node`, or `node.channel` for one of its channels";
    if origin.is_empty() {
        let message = format!("{} names no node to read from", quote(declared));
        report.error("bad-subscription", declared.at.clone(), message, shape);
        return None;
    }
    if let Some(channel) = channel
        && let Err(fault) = token(channel)
    {
        let message = format!("in {}, {fault}", quote(declared));
        report.error(
            "bad-channel",
            declared.at.clone(),
            message,
            "a channel is one word, as in `email-classificator.repairs`",
        );
        return None;
    }
    if origin == ENTRYPOINT {
        if channel.is_some() {
            let message = format!("{}: the entrypoint has no channels", quote(declared));
            report.error("bad-subscription", declared.at.clone(), message, "subscribe to `entrypoint`");
            return None;
        }
        return Some(Subscription { origin: Origin::Entrypoint, channel: None });
    }
    let Some(index) = indices.get(origin) else {
        if complete {
            let message = format!("there is no node {} in this workflow to subscribe to", quote(origin));
            report.error("unknown-subscription", declared.at.clone(), message, known(origin, indices, report));
        }
        return None;
    };
    Some(Subscription { origin: Origin::Node(*index), channel: channel.map(str::to_owned) })
}

/// Whether a channel can be one token of a subject and part of a durable's name.
pub(super) fn token(channel: &str) -> Result<(), &'static str> {
    if channel.is_empty() {
        Err("the channel after `.` is empty")
    } else if channel.contains('.') {
        Err("the channel has more than one part")
    } else if channel.contains(['*', '>']) {
        Err("the channel is a wildcard")
    } else if channel.len() > 64 {
        Err("the channel has more than 64 characters")
    } else if channel.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '/' | '\\')) {
        Err("the channel holds a space, a slash or a control character")
    } else {
        Ok(())
    }
}

/// Help for a name that is none: the nearest, or all of them if they are few.
fn known(name: &str, indices: &HashMap<&str, usize>, report: &Report<'_>) -> String {
    if report.is_full() {
        return String::new();
    }
    let mut nodes: Vec<(&str, usize)> = indices.iter().map(|(name, index)| (*name, *index)).collect();
    nodes.sort_by_key(|(_, index)| *index);
    if let Some(near) = did_you_mean(name, nodes.iter().map(|(name, _)| *name).chain([ENTRYPOINT])) {
        return format!("did you mean `{near}`?");
    }
    let names: Vec<String> = nodes.iter().take(12).map(|(name, _)| quote(name)).collect();
    let more = if nodes.len() > names.len() { ", …" } else { "" };
    format!("its nodes are {}{more}", names.join(", "))
}
