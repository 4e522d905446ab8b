//! Whether what a manifest names is there: sources of nodes, and the `.proto` files with the method of each workflow and
//! the messages of nodes.

use std::collections::BTreeSet;

use super::rules;
use super::types::{self, Protos};
use crate::files::{FileKind, Files, parent};
use crate::manifest::{At, Build, DEFAULT_PROTO, Krt, Node};
use crate::problem::{Problem, Report, Source, did_you_mean, quote};
use crate::proto::{Method, MethodError, Proto, message_names};
use crate::topology::Topology;

/// A `.proto` of which a line is shown may be this large; without its text a problem still has its place.
const MOST_SHOWN: usize = 1 << 20;

/// Looks at the package's files. Returns the texts that further problems point into, and what the `.proto` files say.
pub(super) fn check(
    krt: &Krt,
    topology: &Topology,
    complete: bool,
    files: &dyn Files,
    report: &mut Report<'_>,
) -> (Vec<Source>, Protos) {
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
            if rules::stays_inside(folder) && is_folder(&rules::normal(folder), files) {
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

/// The package's own root is one, though no file of it.
fn is_folder(path: &str, files: &dyn Files) -> bool {
    path.is_empty() || path == "." || files.kind(path) == Some(FileKind::Directory)
}

fn build_source(build: &Build) -> &At<String> {
    match build {
        Build::Source(source) => source,
        Build::Recipe(recipe) => &recipe.source,
    }
}

fn proto(
    krt: &Krt,
    topology: &Topology,
    complete: bool,
    files: &dyn Files,
    report: &mut Report<'_>,
) -> (Vec<Source>, Protos) {
    let nothing = Default::default;
    let declared = krt.entrypoint.as_ref().map(|entrypoint| &entrypoint.proto);
    // Of a path that is wrong in itself, or may yet follow, nothing more is said.
    if !complete || declared.is_some_and(|path| path.is_empty() || !rules::stays_inside(path)) {
        return nothing();
    }
    match files.kind(&topology.proto) {
        Some(FileKind::File) => {}
        None => {
            missing(declared, report);
            return nothing();
        }
        Some(_) => {
            let message = format!("the `.proto` is not a regular file: {}", quote(&topology.proto));
            let help = "put a regular file there, or name another under `entrypoint: proto:`";
            match declared {
                Some(path) => report.error("bad-proto", path.at.clone(), message, help),
                None => report.push(Problem::about_file(report.source().file(), "bad-proto", message, help)),
            }
            return nothing();
        }
    }
    let proto = match Proto::load(files, &topology.proto) {
        Ok(proto) => proto,
        Err(problems) => return (broken(problems, files, report), Protos::default()),
    };
    let methods = krt.workflows.iter().map(|workflow| method(&workflow.entrypoint, &proto, report)).collect();
    match messages(krt, &proto, files) {
        Ok(messages) => (Vec::new(), Protos { messages, methods }),
        Err(problems) => (broken(problems, files, report), Protos { messages: None, methods }),
    }
}

/// Tells the problems of `.proto` files, and returns the texts that they point into.
fn broken(problems: Vec<Problem>, files: &dyn Files, report: &mut Report<'_>) -> Vec<Source> {
    let mut names: Vec<String> = problems.iter().map(|problem| problem.file.clone()).collect();
    names.sort();
    names.dedup();
    for problem in problems {
        report.push(problem);
    }
    let text = |name: &String| {
        let text = String::from_utf8(files.read(name, MOST_SHOWN).ok()?).ok()?;
        // Columns are counted without it.
        Some(text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned))
    };
    names.iter().filter_map(|name| Some(Source::new(name, text(name)?))).collect()
}

/// Full names of the messages that nodes may name: the entrypoint's and what it imports, and only if nodes name others,
/// those of the `.proto` files beside krt.yml and beside the entrypoint's, where the original's authors keep what nodes send
/// to each other. None when no node names any.
fn messages(krt: &Krt, proto: &Proto, files: &dyn Files) -> Result<Option<BTreeSet<String>>, Vec<Problem>> {
    let mut named = types::named(krt).peekable();
    if named.peek().is_none() {
        return Ok(None);
    }
    let own: BTreeSet<String> = proto.pool.all_messages().map(|message| message.full_name().to_owned()).collect();
    if named.all(|name| own.contains(name)) {
        return Ok(Some(own));
    }
    let mut paths = vec![proto.path().to_owned()];
    for folder in BTreeSet::from(["", parent(proto.path())]) {
        let inside = |name: String| if folder.is_empty() { name } else { format!("{folder}/{name}") };
        paths.extend(files.files_in(folder, ".proto").into_iter().map(inside));
    }
    message_names(files, &paths).map(Some)
}

fn missing(declared: Option<&At<String>>, report: &mut Report<'_>) {
    match declared {
        Some(path) => {
            let message = format!("the `.proto` is not there: {}", quote(path));
            let help = "the path is relative to krt.yml; put the file there, or correct the path";
            report.error("missing-proto", path.at.clone(), message, help);
        }
        None => {
            let message = format!("there is no `{DEFAULT_PROTO}` beside the manifest");
            let help = "write it, with service Entrypoint and a method for each workflow, or name another under `entrypoint: proto:`";
            report.push(Problem::about_file(report.source().file(), "missing-proto", message, help).as_warning());
        }
    }
}

/// A workflow answers one request with one answer, so its method must be there, once, and without streams.
fn method(name: &At<String>, proto: &Proto, report: &mut Report<'_>) -> Option<Method> {
    if !rules::is_method(name) {
        return None;
    }
    let path = quote(proto.path());
    match proto.method(name) {
        Ok(method) if method.is_client_streaming() || method.is_server_streaming() => {
            let message = format!("method {} of {path} is a streaming one", quote(name));
            let help = "a workflow answers one request with one message: remove `stream` from the method";
            report.error("streaming-method", name.at.clone(), message, help);
        }
        Ok(method) => return Some(Method::from(&method)),
        Err(MethodError::Unknown { known, .. }) => {
            let message = format!("{path} has no method {}", quote(name));
            let help = match did_you_mean(name, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => "it declares no methods at all; add them to service Entrypoint".to_owned(),
                None => {
                    let names: Vec<String> = known.iter().take(12).map(|method| quote(method)).collect();
                    let more = if known.len() > names.len() { ", …" } else { "" };
                    format!("its methods are {}{more}", names.join(", "))
                }
            };
            report.error("unknown-method", name.at.clone(), message, help);
        }
        Err(MethodError::Ambiguous { services, .. }) => {
            let names: Vec<String> = services.iter().take(6).map(|service| quote(service)).collect();
            let message = format!("method {} is in several services: {}", quote(name), names.join(", "));
            report.error("ambiguous-method", name.at.clone(), message, "call the one that is meant service Entrypoint");
        }
    }
    None
}
