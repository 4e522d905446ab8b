//! Workflows as text, as DOT and as Mermaid.

use std::fmt::Write as _;

use krt::topology::{Node, NodeKind, Origin, Topology, Workflow};

use super::super::print::columns;
use super::edges::outputs;

/// One line an output with its readers and, where nodes say so, its messages; then one line a node.
pub(super) fn text(topology: &Topology, workflows: &[&Workflow]) -> String {
    let mut text = format!("version {}\n", topology.version);
    for workflow in workflows {
        let edges: Vec<_> = outputs(workflow)
            .iter()
            .map(|output| {
                let mut from = workflow.origin_name(output.origin).to_owned();
                if let Some(channel) = output.channel {
                    let _ = write!(from, ".{channel}");
                }
                let mut to: Vec<&str> = output.readers.iter().map(|node| workflow.nodes[*node].name.as_str()).collect();
                if output.answers {
                    to.push("the caller");
                }
                if to.is_empty() {
                    to.push("nobody");
                }
                vec![from, format!("→ {}", to.join(", ")), output.said()]
            })
            .collect();
        let nodes: Vec<_> = workflow.nodes.iter().map(row).collect();
        let (edges, nodes) = (columns(&edges), columns(&nodes));
        let _ = write!(text, "\nworkflow {}, method {}\n{edges}\n{nodes}", workflow.name, workflow.method);
    }
    text
}

fn row(node: &Node) -> Vec<String> {
    let mut notes = Vec::new();
    let kind = match &node.kind {
        NodeKind::Wasm(_) => "wasm",
        NodeKind::Native { image } => {
            notes.push(image.clone());
            "native"
        }
    };
    if node.gpu {
        notes.push("gpu".to_owned());
    }
    if let Some(store) = &node.object_store {
        notes.push(format!("object store {}", store.name));
    }
    vec![node.name.clone(), kind.to_owned(), format!("×{}", node.replicas), node.src.clone(), notes.join(", ")]
}

/// A digraph with a cluster a workflow.
pub(super) fn dot(topology: &Topology, workflows: &[&Workflow]) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut dot = format!("digraph {} {{\n  rankdir=LR;\n  node [shape=box];\n", quoted(&topology.version));
    for (number, workflow) in workflows.iter().enumerate() {
        let _ = writeln!(dot, "  subgraph cluster_{number} {{\n    label={};", quoted(&title(workflow)));
        for (id, name) in ends(number) {
            let _ = writeln!(dot, "    {id} [label={}, shape=oval];", quoted(name));
        }
        for (index, node) in workflow.nodes.iter().enumerate() {
            let style = if matches!(node.kind, NodeKind::Native { .. }) { ", style=dashed" } else { "" };
            let _ = writeln!(dot, "    {} [label={}{style}];", id(number, index), quoted(&label(node)));
        }
        for edge in arrows(number, workflow) {
            let label = edge.label.map(|label| format!(" [label={}]", quoted(&label))).unwrap_or_default();
            let _ = writeln!(dot, "    {} -> {}{label};", edge.from, edge.to);
        }
        dot.push_str("  }\n");
    }
    dot.push_str("}\n");
    dot
}

/// A flowchart with a subgraph a workflow.
pub(super) fn mermaid(workflows: &[&Workflow]) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('#', "#35;").replace('"', "#quot;"));
    let mut chart = "flowchart LR\n".to_owned();
    for (number, workflow) in workflows.iter().enumerate() {
        let _ = writeln!(chart, "  subgraph w{number} [{}]", quoted(&title(workflow)));
        for (id, name) in ends(number) {
            let _ = writeln!(chart, "    {id}([{}])", quoted(name));
        }
        for (index, node) in workflow.nodes.iter().enumerate() {
            let (open, close) = if matches!(node.kind, NodeKind::Native { .. }) { ("[[", "]]") } else { ("[", "]") };
            let _ = writeln!(chart, "    {}{open}{}{close}", id(number, index), quoted(&label(node)));
        }
        for edge in arrows(number, workflow) {
            let label = edge.label.map(|label| format!("|{}|", quoted(&label))).unwrap_or_default();
            let _ = writeln!(chart, "    {} -->{label} {}", edge.from, edge.to);
        }
        chart.push_str("  end\n");
    }
    chart
}

struct Arrow {
    from: String,
    /// Its channel and its messages.
    label: Option<String>,
    to: String,
}

fn arrows(number: usize, workflow: &Workflow) -> Vec<Arrow> {
    let mut arrows = Vec::new();
    for output in outputs(workflow) {
        let from = match output.origin {
            Origin::Entrypoint => format!("w{number}_entrypoint"),
            Origin::Node(node) => id(number, node),
        };
        let answers = output.answers.then(|| format!("w{number}_caller"));
        let readers = output.readers.iter().map(|node| id(number, *node)).chain(answers);
        let label = match (output.channel, output.said()) {
            (None, said) if said.is_empty() => None,
            (None, said) => Some(said),
            (Some(channel), said) if said.is_empty() => Some(channel.to_owned()),
            (Some(channel), said) => Some(format!("{channel}: {said}")),
        };
        arrows.extend(readers.map(|to| Arrow { from: from.clone(), label: label.clone(), to }));
    }
    arrows
}

fn ends(number: usize) -> [(String, &'static str); 2] {
    [(format!("w{number}_entrypoint"), krt::names::ENTRYPOINT), (format!("w{number}_caller"), "caller")]
}

fn id(workflow: usize, node: usize) -> String {
    format!("w{workflow}_n{node}")
}

fn title(workflow: &Workflow) -> String {
    format!("{} ({})", workflow.name, workflow.method)
}

fn label(node: &Node) -> String {
    if node.replicas == 1 { node.name.clone() } else { format!("{} ×{}", node.name, node.replicas) }
}
