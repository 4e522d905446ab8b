//! What builds nodes in Python and is installed by krt itself: componentize-py, protobuf and its generator.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::Options;
use super::super::progress::Progress;
use super::super::toolchain::{self, Pieces, Stopped};

/// Exactly what is installed, with what these depend on.
pub(super) const PINS: [&str; 6] = [
    "componentize-py==0.25.1",
    "protobuf==7.36.2",
    "grpcio-tools==1.85.1",
    "grpcio==1.85.1",
    "setuptools==84.2.1",
    "typing_extensions==4.16.0",
];
/// What of it is a part of every component.
const PROTOBUF: &str = PINS[1];
/// The interpreter inside a component, which componentize-py brings.
const GUEST: &str = "3.14";
/// The oldest Python that the pieces run on.
const OLDEST: (u32, u32) = (3, 10);
const MISSING: &str = "there is no python3\nhelp: apt-get install python3 python3-venv";

/// The pieces, installed.
pub(super) struct Toolchain(PathBuf);

impl Toolchain {
    pub(super) fn python(&self) -> PathBuf {
        self.0.join("venv/bin/python")
    }

    /// A program of the pieces, for [`Self::python`] to run: its first line names a folder that is no more.
    pub(super) fn script(&self, name: &str) -> PathBuf {
        self.0.join("venv/bin").join(name)
    }

    /// Packages that are a part of every component.
    pub(super) fn guest(&self) -> PathBuf {
        self.0.join("guest")
    }
}

/// Where the SDK's package is.
pub(super) fn sdk(options: &Options) -> PathBuf {
    options.sdk.join("guest-sdk/python/src")
}

/// The toolchain, installed if need be.
///
/// # Errors
/// [`Stopped`] without a Python, or when pip does not get what is pinned.
pub(super) fn toolchain(options: &Options, progress: &Progress) -> anyhow::Result<Toolchain> {
    let version = version(progress)?;
    let mut pins = PINS.to_vec();
    // What was installed for another one does not load.
    pins.push(&version);
    let pieces = Pieces { name: "python", title: "Python", pins: &pins };
    let folder = toolchain::installed(&pieces, options, progress, |folder| install(folder, progress))?;
    Ok(Toolchain(folder))
}

/// `python 3.11`.
fn version(progress: &Progress) -> anyhow::Result<String> {
    let mut command = Command::new("python3");
    command.args(["-c", "import sys; print(*sys.version_info[:2])"]);
    let ended = toolchain::succeed(command, MISSING, progress)?;
    let mut numbers = ended.stdout.split_whitespace().map(|number| number.parse().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < OLDEST {
        let message = format!(
            "python3 is {}.{}, and {}.{} or newer is needed\nhelp: apt-get install python3 python3-venv",
            found.0, found.1, OLDEST.0, OLDEST.1
        );
        return Err(Stopped { command: "python3".to_owned(), message }.into());
    }
    Ok(format!("python {}.{}", found.0, found.1))
}

fn install(folder: &Path, progress: &Progress) -> anyhow::Result<()> {
    let toolchain = Toolchain(folder.to_owned());
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(folder.join("venv"));
    toolchain::succeed(venv, MISSING, progress).map_err(without_venv)?;
    let mut pip = pip(&toolchain);
    pip.args(["--no-deps", "--only-binary=:all:"]).args(PINS);
    toolchain::succeed(pip, MISSING, progress)?;
    let mut guest = for_guest(&toolchain, &toolchain.guest());
    guest.args(["--no-deps", PROTOBUF]);
    toolchain::succeed(guest, MISSING, progress)?;
    Ok(())
}

/// Debian's Python comes without what makes environments, and says so in many words.
fn without_venv(error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<Stopped>() {
        Ok(Stopped { command, message }) => {
            let message = format!("{}\nhelp: apt-get install python3-venv", message.trim_end());
            Stopped { command, message }.into()
        }
        Err(error) => error,
    }
}

fn pip(toolchain: &Toolchain) -> Command {
    let mut pip = Command::new(toolchain.python());
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-compile"]);
    // What the user has installed is not what is pinned.
    pip.env("PYTHONNOUSERSITE", "1").env_remove("PYTHONPATH").env_remove("PIP_TARGET").env_remove("PIP_USER");
    pip
}

/// pip, for packages that become a part of a component: in Python alone, for any machine.
pub(super) fn for_guest(toolchain: &Toolchain, target: &Path) -> Command {
    let mut pip = pip(toolchain);
    pip.args(["--only-binary=:all:", "--implementation", "py", "--abi", "none", "--platform", "any"]);
    pip.args(["--python-version", GUEST, "--target"]).arg(target);
    pip
}
