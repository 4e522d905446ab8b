//! The packages that a node's pyproject.toml depends on, installed for its component: once for each set of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use super::super::progress::Progress;
use super::super::toolchain::{self, Stopped};
use super::super::{Options, private_folder};
use super::pieces::{self, Toolchain};

/// Prints `[project] dependencies`, one a line, without what krt brings itself.
const DEPENDENCIES: &str = r#"
import re, sys
try:
    import tomllib
except ImportError:
    from pip._vendor import tomli as tomllib
try:
    with open(sys.argv[1], "rb") as file:
        project = tomllib.load(file).get("project", {})
    dependencies = project.get("dependencies", [])
    if not isinstance(dependencies, list) or not all(isinstance(one, str) for one in dependencies):
        sys.exit("`dependencies` is not a list of texts")
except (tomllib.TOMLDecodeError, UnicodeDecodeError, AttributeError) as error:
    sys.exit(f"{sys.argv[1]}: {error}")
for one in dependencies:
    name = re.match(r"[A-Za-z0-9._-]*", one.strip()).group()
    if re.sub(r"[-_.]+", "-", name).lower() not in ("krt-node", "protobuf"):
        print(" ".join(one.split()))
"#;

/// The folder with the packages of the node in `source`; none if it depends on none.
///
/// # Errors
/// [`Stopped`] when pyproject.toml cannot be read, a package is not to be had, or is not in Python alone.
pub(super) fn installed(
    source: &Path,
    toolchain: &Toolchain,
    options: &Options,
    progress: &Progress,
) -> anyhow::Result<Option<PathBuf>> {
    let wanted = dependencies(source, toolchain, progress)?;
    if wanted.is_empty() {
        return Ok(None);
    }
    let list = wanted.join(", ");
    let parent = options.cache.join("toolchains");
    let mut hash = Sha256::new();
    hash.update(&list);
    pieces::PINS.iter().for_each(|pin| hash.update(pin));
    let digest: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let name = format!("python-packages-{digest}");
    let folder = parent.join(&name);
    let what = || format!("installing {list} to {}", folder.display());
    private_folder(&parent).with_context(what)?;
    let _held = toolchain::held(&parent.join(format!("{name}.lock"))).with_context(what)?;
    if folder.is_dir() {
        return Ok(Some(folder));
    }
    if options.offline {
        let message = format!("these packages are not installed: {list}\nhelp: run `krt build` once without --offline");
        return Err(Stopped { command: format!("pip install {list}"), message }.into());
    }
    progress.step(&format!("installing {list} (once)"));
    let temporary = tempfile::Builder::new().prefix(&format!(".{name}-")).tempdir_in(&parent).with_context(what)?;
    let mut pip = pieces::for_guest(toolchain, temporary.path());
    pip.arg("--").args(&wanted);
    toolchain::succeed(pip, "there is no python3", progress).map_err(|error| explain(error, source))?;
    fs::rename(temporary.path(), &folder).with_context(what)?;
    Ok(Some(folder))
}

fn dependencies(source: &Path, toolchain: &Toolchain, progress: &Progress) -> anyhow::Result<Vec<String>> {
    let mut command = Command::new(toolchain.python());
    command.args(["-c", DEPENDENCIES]).arg(source.join("pyproject.toml"));
    match toolchain::succeed(command, "there is no python3", progress) {
        Ok(ended) => Ok(ended.stdout.lines().map(str::to_owned).collect()),
        // The command is a whole program: what it read says more.
        Err(error) => Err(match error.downcast::<Stopped>() {
            Ok(Stopped { message, .. }) => {
                Stopped { command: format!("reading {}", source.join("pyproject.toml").display()), message }.into()
            }
            Err(error) => error,
        }),
    }
}

/// pip says that there is no such version; that there is none without machine code, it does not.
fn explain(error: anyhow::Error, source: &Path) -> anyhow::Error {
    match error.downcast::<Stopped>() {
        Ok(Stopped { command, message }) if message.contains("No matching distribution") => {
            let message = format!(
                "{}\nhelp: a component takes packages that are in Python alone (wheels `py3-none-any`); look at the \
                 dependencies in {}. A node that needs others runs natively, in an image of the original.",
                message.trim_end(),
                source.join("pyproject.toml").display()
            );
            Stopped { command, message }.into()
        }
        Ok(stopped) => stopped.into(),
        Err(error) => error,
    }
}
