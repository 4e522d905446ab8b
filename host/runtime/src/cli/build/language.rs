//! Which language a source folder is in, and who builds it. Never starts a toolchain itself.

use std::path::Path;

use anyhow::anyhow;

use super::progress::Progress;
use super::toolchain::Stopped;
use super::{Failure, Job, Made, Options, c, go, javascript, python};

/// A language whose nodes krt may build without being told how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(in crate::cli) enum Language {
    /// Cargo.toml
    Rust,
    /// go.mod
    Go,
    /// package.json: JavaScript or TypeScript
    #[value(name = "js", aliases = ["javascript", "ts", "typescript"])]
    JavaScript,
    /// pyproject.toml
    #[value(alias = "py")]
    Python,
    /// any *.c
    C,
}

impl Language {
    /// The language of a source folder, by the first marker that is there.
    pub(super) fn of(folder: &Path) -> Option<Self> {
        const MARKERS: [(&str, Language); 4] = [
            ("Cargo.toml", Language::Rust),
            ("go.mod", Language::Go),
            ("package.json", Language::JavaScript),
            ("pyproject.toml", Language::Python),
        ];
        let marked = MARKERS.iter().find(|(marker, _)| folder.join(marker).is_file());
        marked.map(|(_, language)| *language).or_else(|| has_c(folder).then_some(Self::C))
    }

    /// Its name for people.
    pub(in crate::cli) fn title(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Go => "Go",
            Self::JavaScript => "JavaScript",
            Self::Python => "Python",
            Self::C => "C",
        }
    }

    /// Its folder under `guest-sdk/`.
    pub(in crate::cli) fn sdk_folder(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Go => "go",
            Self::JavaScript => "js",
            Self::Python => "python",
            Self::C => "c",
        }
    }

    /// The command that runs a node's unit tests in its folder, once `krt build` was there.
    pub(in crate::cli) fn unit_test(self) -> &'static str {
        match self {
            Self::Rust => "cargo test",
            Self::Go => "go test ./...",
            Self::JavaScript => "npm test",
            Self::Python => ".venv/bin/python -m unittest",
            Self::C => "make test",
        }
    }
}

/// Whether there is a file `*.c`.
fn has_c(folder: &Path) -> bool {
    let is_c = |path: &Path| path.extension().is_some_and(|extension| extension == "c") && path.is_file();
    folder.read_dir().is_ok_and(|entries| entries.flatten().any(|entry| is_c(&entry.path())))
}

/// Builds the nodes of one source folder. Rust is not built here: one run of cargo builds whole workspaces.
///
/// A recipe that stopped with [`Stopped`] is a failure of these nodes; any other error ends the whole command.
pub(super) fn build(
    language: Language,
    source: &Path,
    jobs: Vec<Job>,
    options: &Options,
    progress: &Progress,
) -> anyhow::Result<(Vec<Made>, Option<Failure>)> {
    let all = jobs.clone();
    let built = match language {
        Language::Rust => Err(without_recipe(source, &jobs)),
        Language::Go => go::build(source, jobs, options, progress),
        Language::JavaScript => javascript::build(source, jobs, options, progress),
        Language::Python => python::build(source, jobs, options, progress),
        Language::C => c::build(source, jobs, options, progress),
    };
    built.or_else(|error| {
        let Stopped { command, message } = error.downcast()?;
        Ok((Vec::new(), Some(Failure { jobs: all, command, message })))
    })
}

/// What is said of a folder that nothing here can build.
pub(super) fn without_recipe(source: &Path, jobs: &[Job]) -> anyhow::Error {
    let node = jobs.first().map_or("", |job| &job.node);
    let declared = jobs.first().map_or("", |job| &job.build.source);
    anyhow!(
        "node {node:?}: nothing in {} says what builds it: there is no Cargo.toml\n\
         help: give a command and what it leaves: `build: {{ source: {declared}, command: make, output: node.wasm }}`",
        source.display(),
    )
}
