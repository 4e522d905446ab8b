//! The rules that look at a graph as a whole: what nothing reaches, cycles, and names that collide.

use std::collections::HashMap;

use super::rules::LONGEST_NAME;
use crate::manifest::{self, Krt};
use crate::names;
use crate::problem::{Report, quote};
use crate::topology::{Origin, Topology, Workflow};

/// Of the 63 characters of a container's name the original spends what is left on the runtime's id and a `-`.
const LEFT_FOR_RUNTIME: usize = 12;

/// Judges a graph whose nodes and subscriptions stand at the same indices as in the manifest.
pub(super) fn judge(declared: &manifest::Workflow, workflow: &Workflow, has_exitpoint: bool, report: &mut Report<'_>) {
    unreachable(declared, workflow, has_exitpoint, report);
    cycles(declared, workflow, report);
    durables(declared, workflow, report);
}

fn unreachable(declared: &manifest::Workflow, workflow: &Workflow, has_exitpoint: bool, report: &mut Report<'_>) {
    let reached = workflow.reachable();
    for (index, node) in declared.nodes.iter().enumerate() {
        if reached[index] || node.name.is_empty() || node.subscriptions.is_empty() {
            continue;
        }
        if has_exitpoint && index == workflow.exitpoint {
            let message = format!("nothing reaches the exitpoint {}, so no call would be answered", quote(&node.name));
            let help = "follow the subscriptions back from it: they must lead to `entrypoint`";
            report.error("unreachable-exitpoint", declared.exitpoint.at.clone(), message, help);
        } else {
            let message = format!("no message ever reaches node {}", quote(&node.name));
            let help = "follow its subscriptions back: they must lead to `entrypoint`";
            report.error("unreachable-node", node.name.at.clone(), message, help);
        }
    }
}

fn cycles(declared: &manifest::Workflow, workflow: &Workflow, report: &mut Report<'_>) {
    for cycle in workflow.cycles() {
        let Some(first) = cycle.first() else { continue };
        // A node that subscribes to itself is an error of its own.
        if cycle.len() < 2 {
            continue;
        }
        let back = workflow.nodes[*first]
            .subscriptions
            .iter()
            .position(|subscription| matches!(subscription.origin, Origin::Node(origin) if cycle.contains(&origin)));
        let Some(back) = back else { continue };
        let mut names: Vec<String> = cycle.iter().take(6).map(|index| quote(&workflow.nodes[*index].name)).collect();
        if cycle.len() > names.len() {
            names.push("…".to_owned());
        }
        let message = format!("the nodes {} read from each other in a circle", names.join(", "));
        let help = "a message may go round for ever unless one of them stops it; use a channel for the way back";
        report.warning("cycle", declared.nodes[*first].subscriptions[back].at.clone(), message, help);
    }
}

/// Durables are named by subject and reader with all dots made dashes, so two can be one.
fn durables(declared: &manifest::Workflow, workflow: &Workflow, report: &mut Report<'_>) {
    let mut seen: HashMap<String, (usize, usize)> = HashMap::new();
    for (index, node) in workflow.nodes.iter().enumerate() {
        let texts = &declared.nodes[index].subscriptions;
        for (number, (subscription, text)) in node.subscriptions.iter().zip(texts).enumerate() {
            let resolved = workflow.origin_name(subscription.origin) == text.split('.').next().unwrap_or_default();
            if node.name.is_empty() || !resolved {
                continue;
            }
            let durable = names::durable(&format!(".{}", text.value), &node.name);
            let Some((other, its)) = seen.insert(durable, (index, number)) else { continue };
            // The same text twice in one node is reported as that; two nodes of one name likewise.
            if workflow.nodes[other].name == node.name {
                continue;
            }
            let theirs = &declared.nodes[other].subscriptions[its];
            let message = format!(
                "node {} reading {} and node {} reading {} would share one consumer",
                quote(&workflow.nodes[other].name),
                quote(theirs),
                quote(&node.name),
                quote(text),
            );
            let line = report.source().position(theirs.at.start).0;
            let help = format!(
                "each would get only some of the messages; rename a node or the channel (the other stands on line {line})"
            );
            report.error("durable-collision", text.at.clone(), message, help);
        }
    }
}

/// Deployments are named `<version>-<workflow>-<node>`; dashes within names make that ambiguous.
pub(super) fn resource_names(krt: &Krt, topology: &Topology, report: &mut Report<'_>) {
    let mut seen: HashMap<String, (&str, &str)> = HashMap::new();
    for (declared, workflow) in krt.workflows.iter().zip(&topology.workflows) {
        for (node, made) in declared.nodes.iter().zip(&workflow.nodes) {
            if workflow.name.is_empty() || made.name.is_empty() || topology.version.is_empty() {
                continue;
            }
            let name = names::deployment_exact(&topology.version, &workflow.name, &made.name);
            let left = names::KUBERNETES_LONGEST.saturating_sub(name.len());
            let regular = [&topology.version, &workflow.name, &made.name].iter().all(|name| name.len() <= LONGEST_NAME);
            if regular && left < LEFT_FOR_RUNTIME {
                let message =
                    format!("`{name}` leaves {left} of 63 characters for the runtime's id on the original platform");
                let help = "shorten the version, the workflow or the node if this must run there, too";
                report.warning("resource-name-length", node.name.at.clone(), message, help);
            }
            match seen.insert(name.clone(), (&workflow.name, &made.name)) {
                Some((other_workflow, other)) if (other_workflow, other) != (&*workflow.name, &*made.name) => {
                    let message = format!(
                        "node {} of workflow {} and node {} of workflow {} would be one Deployment, `{name}`",
                        quote(other),
                        quote(other_workflow),
                        quote(&made.name),
                        quote(&workflow.name),
                    );
                    report.error(
                        "resource-name-collision",
                        node.name.at.clone(),
                        message,
                        "rename one of the nodes or workflows",
                    );
                }
                _ => {}
            }
        }
    }
}
