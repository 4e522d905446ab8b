//! `krt graph`: draws a version's workflows.

mod draw;
mod edges;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use krt::topology::{NodeKind, StoreScope, Topology, Workflow};
use serde_json::json;

use super::judge::{Depth, judge};
use super::{Globals, Output, print};

/// Draw the workflows of a version
///
/// Edges show the messages that nodes say they send or take. Judges the manifest only; sources and protos need not be there.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  krt graph .                                     every edge, for people
  krt graph . --workflow classificator            one workflow
  krt graph . --format dot | dot -Tsvg > v.svg    a picture, by Graphviz
  krt graph . --format mermaid                    for Markdown")]
pub(super) struct Args {
    /// A folder with a krt.yml, a krt.yml, or a .krt archive
    path: PathBuf,
    /// How to draw (--output json prints JSON instead)
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// Draw this workflow only
    #[arg(long, value_name = "NAME")]
    workflow: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A list of edges and a list of nodes
    #[default]
    Text,
    /// For Graphviz
    Dot,
    /// For Markdown
    Mermaid,
}

/// Every edge of every workflow, for people.
pub(super) fn text(topology: &Topology) -> String {
    draw::text(topology, &topology.workflows.iter().collect::<Vec<_>>())
}

pub(super) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let judged = judge(&args.path, Depth::Manifest);
    judged.print_problems(globals);
    let Some(topology) = &judged.topology else { return Ok(ExitCode::FAILURE) };
    let wanted = |workflow: &&Workflow| args.workflow.as_ref().is_none_or(|name| workflow.name == *name);
    let workflows: Vec<_> = topology.workflows.iter().filter(wanted).collect();
    if workflows.is_empty() {
        let names: Vec<_> = topology.workflows.iter().map(|workflow| workflow.name.as_str()).collect();
        anyhow::bail!("there is no such workflow; there are: {}", names.join(", "));
    }
    match (globals.output, args.format) {
        (Output::Json, _) => print::json(&json(topology, &workflows))?,
        (_, Format::Text) => print::out(&draw::text(topology, &workflows))?,
        (_, Format::Dot) => print::out(&draw::dot(topology, &workflows))?,
        (_, Format::Mermaid) => print::out(&draw::mermaid(&workflows))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn json(topology: &Topology, workflows: &[&Workflow]) -> serde_json::Value {
    let workflow = |workflow: &&Workflow| {
        let nodes = workflow.nodes.iter().map(|node| {
            let (kind, image) = match &node.kind {
                NodeKind::Wasm(_) => ("wasm", None),
                NodeKind::Native { image } => ("native", Some(image)),
            };
            let store = node.object_store.as_ref().map(|store| {
                let scope = match store.scope {
                    StoreScope::Workflow => "workflow",
                    StoreScope::Project => "project",
                };
                json!({"name": store.name, "scope": scope})
            });
            json!({
                "name": node.name, "kind": kind, "src": node.src, "image": image,
                "replicas": node.replicas, "gpu": node.gpu, "object_store": store,
                "accepts": node.types.accepts, "emits": node.types.emits, "early": node.types.early,
            })
        });
        let edges = workflow.edges().map(|edge| {
            let (from, to) = (workflow.origin_name(edge.origin), &workflow.nodes[edge.reader].name);
            let messages = workflow.carried(edge.origin, edge.channel);
            json!({"from": from, "channel": edge.channel, "to": to, "messages": messages})
        });
        json!({
            "name": workflow.name,
            "method": workflow.method,
            "exitpoint": workflow.nodes[workflow.exitpoint].name,
            "nodes": nodes.collect::<Vec<_>>(),
            "edges": edges.collect::<Vec<_>>(),
        })
    };
    json!({"version": topology.version, "workflows": workflows.iter().map(workflow).collect::<Vec<_>>()})
}
