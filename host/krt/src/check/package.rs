//! Whether what a manifest names is there: sources of nodes, and the `.proto` with the method of each workflow.

use super::rules;
use crate::files::{FileKind, Files};
use crate::manifest::{At, Build, DEFAULT_PROTO, Krt, Node};
use crate::problem::{Problem, Report, Source, quote};
use crate::topology::Topology;

/// Looks at the package's files. Returns the texts that further problems point into.
pub(super) fn check(
    krt: &Krt,
    topology: &Topology,
    complete: bool,
    files: &dyn Files,
    report: &mut Report<'_>,
) -> Vec<Source> {
    for workflow in &krt.workflows {
        for node in &workflow.nodes {
            source(node, files, report);
        }
    }
    proto(krt, topology, complete, files, report)
}

fn source(node: &Node, files: &dyn Files, report: &mut Report<'_>) {
    if node.src.is_empty() || !rules::stays_inside(&node.src) {
        return;
    }
    let at = node.src.at.clone();
    let (name, src) = (quote(&node.name), quote(&node.src));
    let build = node.wasm.as_ref().and_then(|wasm| wasm.build.as_ref());
    match (files.kind(&rules::normal(&node.src)), build) {
        (Some(FileKind::File), _) => {}
        (Some(FileKind::Directory), _) => {
            let message = format!("`src` of node {name} is a folder: {src}");
            report.error("bad-src", at, message, "name the file in it");
        }
        (Some(FileKind::Other), _) => {
            let message = format!("`src` of node {name} is not a regular file: {src}");
            report.error(
                "bad-src",
                at,
                message,
                "put a regular file there, not a device, a pipe or a link out of the package",
            );
        }
        (None, Some(build)) => {
            let folder = build_source(build);
            if rules::stays_inside(folder) && files.kind(&rules::normal(folder)) == Some(FileKind::Directory) {
                let message = format!("`src` of node {name} is not built yet: {src}");
                report.warning("missing-src", at, message, "run `krt build`");
            } else {
                let message = format!("the source folder of node {name} is not there: {}", quote(folder));
                report.error(
                    "missing-source",
                    folder.at.clone(),
                    message,
                    "name the folder that `krt build` is to build in",
                );
            }
        }
        (None, None) => {
            let message = format!("`src` of node {name} is not there: {src}");
            let help = "the path is relative to krt.yml; put the file there, or correct the path";
            report.error("missing-src", at, message, help);
        }
    }
}

fn build_source(build: &Build) -> &At<String> {
    match build {
        Build::Source(source) => source,
        Build::Recipe(recipe) => &recipe.source,
    }
}

fn proto(krt: &Krt, topology: &Topology, complete: bool, files: &dyn Files, report: &mut Report<'_>) -> Vec<Source> {
    let declared = krt.entrypoint.as_ref().map(|entrypoint| &entrypoint.proto);
    // Of a path that is wrong in itself, or may yet follow, nothing more is said.
    if !complete || declared.is_some_and(|path| path.is_empty() || !rules::stays_inside(path)) {
        return Vec::new();
    }
    if files.kind(&topology.proto) == Some(FileKind::File) {
        return Vec::new();
    }
    match declared {
        Some(path) => {
            let message = format!("the `.proto` is not there: {}", quote(path));
            report.error(
                "missing-proto",
                path.at.clone(),
                message,
                "the path is relative to krt.yml; put the file there, or correct the path",
            );
        }
        None => {
            let message = format!("there is no `{DEFAULT_PROTO}` beside the manifest");
            let help = "write it, with service Entrypoint and a method for each workflow, or name another under `entrypoint: proto:`";
            report.push(Problem::about_file(report.source().file(), "missing-proto", message, help).as_warning());
        }
    }
    Vec::new()
}
