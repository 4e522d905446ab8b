//! Opens a version and says what is wrong with it, whether that is about the package or about what is in it.

use std::io::IsTerminal as _;
use std::path::Path;

use krt::check::check;
use krt::files::Files;
use krt::problem::{Problem, Source, render};
use krt::topology::Topology;

use super::{Globals, print};
use crate::artifact::Package;

/// A version as far as it could be opened and understood.
pub(super) struct Judged {
    /// None when there is no package.
    pub(super) package: Option<Package>,
    /// None when there is an error.
    pub(super) topology: Option<Topology>,
    /// What is wrong; files are called as the user sees them.
    pub(super) problems: Vec<Problem>,
    sources: Vec<Source>,
}

/// How much is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// The manifest alone.
    Manifest,
    /// Also whether what it names is there.
    Package,
}

/// Opens and checks the version at `path`.
pub(super) fn judge(path: &Path, depth: Depth) -> Judged {
    let package = match Package::open(path) {
        Ok(package) => package,
        Err(error) => {
            let file = error.path().display().to_string();
            let problem = Problem::about_file(file, error.code(), error.to_string(), error.help());
            return Judged { package: None, topology: None, problems: vec![problem], sources: Vec::new() };
        }
    };
    judge_package(package, depth)
}

/// Checks the version in `package`.
pub(super) fn judge_package(package: Package, depth: Depth) -> Judged {
    let manifest = package.manifest_label();
    let files: Option<&dyn Files> = (depth == Depth::Package).then_some(&package);
    let checked = check(&manifest, package.manifest_bytes(), files);
    let label = |file: &str| if file == manifest { manifest.clone() } else { package.label(file) };
    let mut problems = checked.problems;
    for problem in &mut problems {
        problem.file = label(&problem.file);
    }
    let sources =
        checked.sources.into_iter().map(|source| Source::new(label(source.file()), source.text().to_owned())).collect();
    Judged { topology: checked.topology, problems, sources, package: Some(package) }
}

impl Judged {
    /// Whether the version may not run.
    pub(super) fn has_errors(&self) -> bool {
        self.problems.iter().any(Problem::is_error)
    }

    /// Prints all problems for people to standard error; nothing when there are none.
    pub(super) fn print_problems(&self, globals: &Globals) {
        let colour = globals.colour(std::io::stderr().is_terminal());
        print::error(&render(&self.problems, &self.sources, colour));
    }
}
