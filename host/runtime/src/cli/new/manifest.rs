//! krt.yml: the one of a new version, and one that grows by a node while every other byte stays as it is.

use anyhow::bail;
use krt::manifest::Krt;
use krt::topology::Topology;

/// The workflow of a new version.
pub(super) const FIRST_WORKFLOW: &str = "greeting";
/// Its method.
pub(super) const FIRST_METHOD: &str = "Greet";

/// Where a node's component goes.
pub(super) fn src(node: &str) -> String {
    format!("bin/{node}.wasm")
}

/// The manifest of a new version.
pub(super) fn first(version: &str) -> String {
    let node = super::FIRST_NODE;
    format!(
        "krtVersion: v2
version: {version}
description: Greets whoever calls
entrypoint:
  proto: public_input.proto # service Entrypoint: one method a workflow
workflows:
  - name: {FIRST_WORKFLOW}
    entrypoint: {FIRST_METHOD} # the gRPC method
    exitpoint: {node} # the node whose output answers the caller
    nodes:
      - name: {node}
        src: {src} # what `krt build` makes
        wasm: {{ build: {node} }} # of this folder
        subscriptions: [\"entrypoint\"] # or a node, or one of its channels: `node.channel`
",
        src = src(node),
    )
}

/// Fails with the first error that the check has about a manifest that krt made itself: about a name.
pub(super) fn refuse_errors(manifest: &str) -> anyhow::Result<()> {
    let checked = krt::check::check("krt.yml", manifest.as_bytes(), None);
    match checked.problems.iter().find(|problem| problem.is_error()) {
        Some(problem) => bail!("{}\nhelp: {}", problem.message, problem.help),
        None => Ok(()),
    }
}

/// `old` with one more node at the end of a workflow's.
///
/// # Errors
/// What the check says of the node; and, with the lines to write by hand, when the list is not written one node below
/// another.
pub(super) fn with_node(
    old: &str,
    topology: &Topology,
    workflow: &str,
    node: &str,
    from: &[String],
) -> anyhow::Result<String> {
    let subscriptions: Vec<String> = from.iter().map(|it| format!("{it:?}")).collect();
    let entry = [
        format!("- name: {node}"),
        format!("  src: {}", src(node)),
        format!("  wasm: {{ build: {node} }}"),
        format!("  subscriptions: [{}]", subscriptions.join(", ")),
    ];
    let krt = krt::manifest::read("krt.yml", old.as_bytes()).manifest;
    let new = krt.and_then(|krt| inserted(old, &krt, workflow, &entry));
    let by_hand = || {
        format!(
            "the nodes of workflow {workflow:?} are not listed one below another, so that nothing was changed\n\
             help: begin each with `- ` on a line of its own in krt.yml, as this one would be:\n{}",
            entry.join("\n")
        )
    };
    let Some(new) = new else { bail!(by_hand()) };
    let checked = krt::check::check("krt.yml", new.as_bytes(), None);
    match checked.topology {
        // Only then is every node where it was.
        Some(grown) if is_grown(topology, &grown, workflow, node) => Ok(new),
        Some(_) => bail!(by_hand()),
        None => {
            let error = checked.problems.iter().find(|problem| problem.is_error());
            match error.filter(|problem| problem.code != "syntax") {
                Some(problem) => bail!("{}\nhelp: {}", problem.message, problem.help),
                None => bail!(by_hand()),
            }
        }
    }
}

fn is_grown(old: &Topology, new: &Topology, workflow: &str, node: &str) -> bool {
    let mut expected = old.clone();
    let added = new.workflows.iter().find(|it| it.name == workflow).and_then(|it| it.nodes.last());
    let Some(added) = added.filter(|it| it.name == node) else { return false };
    if let Some(grows) = expected.workflows.iter_mut().find(|it| it.name == workflow) {
        grows.nodes.push(added.clone());
    }
    expected == *new
}

/// `old` with the lines of `entry` behind the workflow's last node; none when its list is not in block style.
fn inserted(old: &str, krt: &Krt, workflow: &str, entry: &[String]) -> Option<String> {
    let workflow = krt.workflows.iter().find(|it| it.name.value == workflow)?;
    let nodes = &workflow.nodes;
    let last = nodes.last()?;
    let lines: Vec<&str> = old.split_inclusive('\n').collect();
    let said = last.name.at.start.min(last.src.at.start);
    let first = line_of(&lines, said);
    // The line that begins the node: the nearest one with a dash.
    let start = (0..=first).rev().find(|index| {
        let line = lines[*index].trim_start();
        line.starts_with("- ") || line.trim_end() == "-"
    })?;
    // With what is the workflow's own after the dash, it begins the workflow: the nodes are in brackets.
    let dash: usize = lines[..start].iter().map(|line| line.len()).sum();
    if (dash..said).contains(&workflow.name.at.start) || lines[start].contains("nodes:") {
        return None;
    }
    let indent = indent(lines[start])?;
    let mut end = start;
    for (index, line) in lines.iter().enumerate().skip(start + 1) {
        let says_nothing = line.trim().is_empty() || line.trim_start().starts_with('#');
        if says_nothing {
            continue;
        }
        if !deeper(line, indent) {
            break;
        }
        end = index;
    }
    let newline = if lines[start].ends_with("\r\n") { "\r\n" } else { "\n" };
    let mut new = lines[..=end].concat();
    if !new.ends_with('\n') {
        new.push_str(newline);
    }
    // As the nodes before stand apart, so does this.
    if nodes.len() > 1 && start > 0 && lines[start - 1].trim().is_empty() {
        new.push_str(newline);
    }
    for line in entry {
        new.push_str(indent);
        new.push_str(line);
        new.push_str(newline);
    }
    new.extend(lines[end + 1..].iter().copied());
    Some(new)
}

/// The line that has this byte.
fn line_of(lines: &[&str], at: usize) -> usize {
    let mut end = 0;
    let found = lines.iter().position(|line| {
        end += line.len();
        at < end
    });
    found.unwrap_or(lines.len().saturating_sub(1))
}

/// The spaces a line begins with; none when there is anything else.
fn indent(line: &str) -> Option<&str> {
    let length = line.len() - line.trim_start().len();
    let indent = &line[..length];
    indent.bytes().all(|byte| byte == b' ').then_some(indent)
}

fn deeper(line: &str, indent: &str) -> bool {
    line.len() - line.trim_start_matches(' ').len() > indent.len()
}
