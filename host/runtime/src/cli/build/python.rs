//! Nodes in Python: componentize-py turns `main.py`, the SDK and the node's packages into a component.
//!
//! Everything is imported when the component is built, none of it when it runs. Never runs the node's code on this machine:
//! the component does, in a sandbox.

mod messages;
mod packages;
mod pieces;
mod sources;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use self::pieces::Toolchain;
use super::cargo::shown;
use super::inputs::{self, Inputs};
use super::progress::Progress;
use super::toolchain::Stopped;
use super::{Failure, Job, Made, Options, names};

/// Where the generated message types are, in the node's folder; a package of its code.
const MESSAGES: &str = "messages";
/// Names that lie in a node's folder and are no part of the node.
const NOT_SOURCES: [&str; 3] = ["__pycache__", "venv", "node_modules"];
/// The module that makes a component of `main`.
const COMPONENT: &str = "krt_node.component";
/// Bytecode in excess of this that a run compiled is worth another run: compiling leaves megabytes of memory in the
/// component, that what was compiled before does not.
const COMPILED: u64 = 200_000;

/// Builds the nodes of one source folder.
pub(super) fn build(
    source: &Path,
    jobs: Vec<Job>,
    options: &Options,
    progress: &Progress,
) -> anyhow::Result<(Vec<Made>, Option<Failure>)> {
    if !source.join("main.py").is_file() {
        let message = format!(
            "there is no {}: it is where a node in Python begins, with `default_handler` or `custom_handlers`",
            source.join("main.py").display()
        );
        return Ok((Vec::new(), Some(Failure { jobs, command: format!("building {}", source.display()), message })));
    }
    let scratch = inputs::scratch(source, options)?;
    let _held = super::toolchain::held(&scratch.join("lock"))?;
    let digest = digest(source, options)?;
    let is_complete = || source.join(MESSAGES).is_dir() && source.join(".venv").is_dir();
    if let Some(file) = inputs::unchanged(&scratch, &digest).filter(|_| is_complete()) {
        return Ok((made(jobs, &file), None));
    }
    let toolchain = pieces::toolchain(options, progress)?;
    progress.step(&format!("building {} with componentize-py", names(&jobs).join(", ")));
    let packages = packages::installed(source, &toolchain, options, progress)?;
    messages::generate(&source.join(MESSAGES), &toolchain, options, progress)?;
    let environment = sources::Environment { toolchain: &toolchain, packages: packages.as_deref(), options };
    environment.link(source)?;
    let application = scratch.join("app");
    sources::copy(source, &application)?;
    let component = scratch.join("made.wasm");
    let roots = [Some(toolchain.guest()), packages, Some(pieces::sdk(options))].into_iter().flatten().collect();
    let parts = Parts { source, application, roots };
    let before = sources::bytecode(&parts.roots);
    componentize(&parts, &component, &toolchain, options, progress)?;
    if sources::bytecode(&parts.roots) > before + COMPILED {
        componentize(&parts, &component, &toolchain, options, progress)?;
    }
    let file = inputs::keep(&scratch, &digest, &component)?;
    Ok((made(jobs, &file), None))
}

fn made(jobs: Vec<Job>, file: &Path) -> Vec<Made> {
    jobs.into_iter().map(|job| Made { job, file: file.to_owned() }).collect()
}

fn digest(source: &Path, options: &Options) -> anyhow::Result<String> {
    let mut inputs = Inputs::new("python", options);
    for pin in pieces::PINS {
        inputs.text(pin);
    }
    let mut except = NOT_SOURCES.to_vec();
    // Made of the protos, which are in the digest themselves.
    except.push(MESSAGES);
    inputs.folder(source, &except)?;
    inputs.protos(options)?;
    Ok(inputs.digest())
}

/// What a component is made of.
struct Parts<'a> {
    /// The node's folder, for people.
    source: &'a Path,
    /// A copy of its code.
    application: PathBuf,
    /// Where the other modules are that it imports.
    roots: Vec<PathBuf>,
}

/// Makes the component: its code runs once up to where the first message would come, and the memory is kept.
fn componentize(
    parts: &Parts<'_>,
    component: &Path,
    toolchain: &Toolchain,
    options: &Options,
    progress: &Progress,
) -> anyhow::Result<()> {
    let mut command = Command::new(toolchain.python());
    command.arg(toolchain.script("componentize-py"));
    command.args(["-q", "-d"]).arg(options.sdk.join("wit")).args(["-w", "node", "componentize"]);
    for root in std::iter::once(&parts.application).chain(&parts.roots) {
        command.arg("-p").arg(root);
    }
    command.arg(COMPONENT).arg("-o").arg(component);
    // A stack of its own functions says nothing about the node.
    command.env("RUST_BACKTRACE", "0").env_remove("RUST_LIB_BACKTRACE").env_remove("VIRTUAL_ENV");
    let text = shown(&command);
    let ended = progress.run(command)?;
    if ended.status.success() {
        return component.metadata().map(drop).with_context(|| format!("what {text} leaves"));
    }
    let said = format!("{}{}", ended.stdout, ended.stderr);
    Err(Stopped { command: text, message: complaint(&said, parts.source) }.into())
}

/// What went wrong in the node's code, out of what componentize-py makes of it; all of it, if it is something else.
fn complaint(said: &str, source: &Path) -> String {
    // It repeats itself: once as its own exception, once as that one's cause.
    let inner = said.split_once("AssertionError: ").map_or(said, |(_, inner)| inner);
    let inner = inner.split_once("\n\nCaused by:").map_or(inner, |(first, _)| first);
    // The first folder of the path is the node's.
    inner.trim_end().replace("File \"/0/", &format!("File \"{}/", source.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_the_nodes_own_once_with_the_place_in_its_folder() {
        let said = "Traceback (most recent call last):\n  File \"componentize-py\", line 8, in <module>\n\
                    AssertionError: Traceback (most recent call last):\n  File \"/0/main.py\", line 6, in <module>\n\
                    ModuleNotFoundError: No module named 'yaml'\n\n\nCaused by:\n    ModuleNotFoundError: …\n";
        assert_eq!(
            complaint(said, Path::new("nodes/etl")),
            "Traceback (most recent call last):\n  File \"nodes/etl/main.py\", line 6, in <module>\n\
             ModuleNotFoundError: No module named 'yaml'"
        );
        assert_eq!(complaint("error: no such world\n", Path::new("x")), "error: no such world");
    }
}
