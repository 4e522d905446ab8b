//! Whether a manifest may be run: every rule of the language, and the topology that follows when none is broken.
//!
//! Never stops at the first problem. The shape of the text is [`crate::manifest`]'s business; files of the package are
//! looked at only through the port that is handed in.

mod graph;
mod package;
mod quantity;
mod rules;
mod types;
mod wasm;
mod workflow;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::files::Files;
use crate::manifest::{self, At, DEFAULT_PROTO, Krt};
use crate::problem::{Problem, Report, Source, quote};
use crate::topology::Topology;

/// What came of checking a manifest.
#[derive(Debug)]
pub struct Checked {
    /// What it describes; only when there is no error (there may be warnings).
    pub topology: Option<Topology>,
    /// In the order of the text, the manifest's own first.
    pub problems: Vec<Problem>,
    /// The texts that problems point into: the manifest, then other files of the package.
    pub sources: Vec<Source>,
}

impl Checked {
    /// Whether any problem is an error.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(Problem::is_error)
    }

    /// All problems as text for people, with colours or without.
    pub fn render(&self, colour: bool) -> String {
        crate::problem::render(&self.problems, &self.sources, colour)
    }
}

/// Checks a manifest called `file`. Without `files` only the manifest itself is judged; with them also what it names:
/// `src`, the `.proto`, the method that each workflow answers, and the messages that nodes say they take and send.
pub fn check(file: &str, bytes: &[u8], files: Option<&dyn Files>) -> Checked {
    let reading = manifest::read(file, bytes);
    let mut report = Report::resume(&reading.source, reading.problems, reading.beyond);
    let Some(krt) = reading.manifest else {
        let problems = report.finish();
        return Checked { topology: None, problems, sources: vec![reading.source] };
    };
    let topology = version(&krt, reading.complete, &mut report);
    let (sources, protos) = match files {
        Some(files) => package::check(&krt, &topology, reading.complete, files, &mut report),
        None => Default::default(),
    };
    if reading.complete {
        types::judge(&krt, &topology, &protos, &mut report);
    }
    let problems = report.finish();
    let topology = (!problems.iter().any(Problem::is_error)).then_some(topology);
    let sources = std::iter::once(reading.source).chain(sources).collect();
    Checked { topology, problems, sources }
}

/// Judges a whole version. The topology holds only if nothing was reported as an error.
fn version(krt: &Krt, complete: bool, report: &mut Report<'_>) -> Topology {
    if let Some(language) = &krt.krt_version
        && language.value != "v2"
    {
        let message = format!("{} is not a language that krt knows", quote(language));
        report.error("krt-version", language.at.clone(), message, "only `krtVersion: v2` is known");
    }
    rules::name(report, "the version", &krt.version);
    if let Some(entrypoint) = &krt.entrypoint {
        proto(&entrypoint.proto, report);
    }
    let (variables, files) =
        krt.config.as_ref().map(|config| (&config.variables[..], &config.files[..])).unwrap_or_default();
    configuration(variables, files, report);
    unique(krt, report);
    let workflows = krt.workflows.iter().map(|workflow| workflow::workflow(workflow, complete, report)).collect();
    let topology = Topology {
        version: krt.version.value.clone(),
        description: krt.description.value.clone(),
        proto: krt.entrypoint.as_ref().map_or_else(|| DEFAULT_PROTO.to_owned(), |e| rules::normal(&e.proto)),
        variables: variables.iter().map(|variable| variable.value.clone()).collect(),
        files: files.iter().map(|file| file.value.clone()).collect(),
        workflows,
    };
    graph::resource_names(krt, &topology, report);
    topology
}

fn proto(proto: &At<String>, report: &mut Report<'_>) {
    rules::path(report, "the path of the `.proto`", proto);
    if !proto.is_empty() && !proto.ends_with(".proto") {
        let message = format!("{} does not end in `.proto`", quote(proto));
        report.error("bad-proto", proto.at.clone(), message, "name the `.proto` file that declares service Entrypoint");
    }
}

fn configuration(variables: &[At<String>], files: &[At<String>], report: &mut Report<'_>) {
    let mut seen = HashMap::new();
    for (entry, is_file) in variables.iter().map(|v| (v, false)).chain(files.iter().map(|f| (f, true))) {
        if !rules::is_variable(entry) {
            let message = format!("{} is not a name for a configuration entry", quote(entry));
            let help = "entries become environment variables: capital letters, digits and `_`, as in `MODEL_PATH`";
            // The original judges variables only, so files that are odd still run there.
            if is_file {
                report.warning("bad-variable", entry.at.clone(), message, help);
            } else {
                report.error("bad-variable", entry.at.clone(), message, help);
            }
        }
        if let Some(line) = seen.insert(entry.value.as_str(), report.source().position(entry.at.start).0) {
            let message = format!("configuration entry {} is declared twice", quote(entry));
            let help = format!("the other stands on line {line}; one is enough");
            report.warning("duplicate-variable", entry.at.clone(), message, help);
        }
    }
}

/// Names and methods that two workflows share. Two of one method would share a stream.
fn unique(krt: &Krt, report: &mut Report<'_>) {
    let mut names = HashMap::new();
    let mut methods = HashMap::new();
    for workflow in &krt.workflows {
        let line = |value: &At<String>, report: &Report<'_>| report.source().position(value.at.start).0;
        if !workflow.name.is_empty() {
            if let Some(first) = names.get(workflow.name.as_str()) {
                let message = format!("there are two workflows named {}", quote(&workflow.name));
                let help = format!("the first stands on line {first}; rename one of them");
                report.error("duplicate-workflow", workflow.name.at.clone(), message, help);
            } else {
                names.insert(workflow.name.as_str(), line(&workflow.name, report));
            }
        }
        if !workflow.entrypoint.is_empty() {
            if let Some(first) = methods.get(workflow.entrypoint.as_str()) {
                let message = format!("two workflows answer method {}", quote(&workflow.entrypoint));
                let help = format!("the first stands on line {first}; each workflow needs a method of its own");
                report.error("duplicate-method", workflow.entrypoint.at.clone(), message, help);
            } else {
                methods.insert(workflow.entrypoint.as_str(), line(&workflow.entrypoint, report));
            }
        }
    }
}
