//! krt.yml: the one of a new version, and one that grows by a node while every other byte stays as it is.

use anyhow::bail;
use krt::files::Files;
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

/// The manifest of a new version, whose messages are in `package`.
pub(super) fn first(version: &str, package: &str) -> String {
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
        types: {types} # what `krt check` compares
",
        src = src(node),
        types = types(package),
    )
}

/// What a node of the templates says of its messages, which are in `package`.
fn types(package: &str) -> String {
    format!("{{ accepts: {package}.Greeting, emits: {package}.Answer }}")
}

/// Fails with the first error that the check has about a manifest that krt made itself: about a name.
pub(super) fn refuse_errors(manifest: &str) -> anyhow::Result<()> {
    let checked = krt::check::check("krt.yml", manifest.as_bytes(), None);
    match checked.problems.iter().find(|problem| problem.is_error()) {
        Some(problem) => bail!("{}\nhelp: {}", problem.message, problem.help),
        None => Ok(()),
    }
}

/// A node to be added.
pub(super) struct Addition<'a> {
    pub(super) workflow: &'a str,
    pub(super) node: &'a str,
    /// What it reads.
    pub(super) from: &'a [String],
    /// The protobuf package of its messages.
    pub(super) package: &'a str,
}

/// `old`, the manifest of `files`, with one more node at the end of a workflow's.
///
/// What its template takes and sends is said only where that fits the version: elsewhere its author changes the handler
/// first.
///
/// # Errors
/// What the check says of the node; and, with the lines to write by hand, when the list is not written one node below
/// another.
pub(super) fn with_node(
    old: &str,
    topology: &Topology,
    addition: &Addition<'_>,
    files: &dyn Files,
) -> anyhow::Result<String> {
    let subscriptions: Vec<String> = addition.from.iter().map(|it| format!("{it:?}")).collect();
    let mut entry = vec![
        format!("- name: {}", addition.node),
        format!("  src: {}", src(addition.node)),
        format!("  wasm: {{ build: {} }}", addition.node),
        format!("  subscriptions: [{}]", subscriptions.join(", ")),
    ];
    let untyped = with_entry(old, topology, addition, &entry)?;
    entry.push(format!("  types: {}", types(addition.package)));
    let mismatches = |manifest: &str| {
        let checked = krt::check::check("krt.yml", manifest.as_bytes(), Some(files));
        checked.problems.iter().filter(|problem| problem.code == "type-mismatch").count()
    };
    match with_entry(old, topology, addition, &entry) {
        Ok(typed) if mismatches(&typed) == mismatches(old) => Ok(typed),
        _ => Ok(untyped),
    }
}

/// `old` with these lines as its node.
fn with_entry(old: &str, topology: &Topology, addition: &Addition<'_>, entry: &[String]) -> anyhow::Result<String> {
    let Addition { workflow, node, .. } = *addition;
    let krt = krt::manifest::read("krt.yml", old.as_bytes()).manifest;
    let new = krt.and_then(|krt| inserted(old, &krt, workflow, entry));
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
