//! The pieces of a toolchain that krt brings itself: pinned, installed once into the cache, never into what is the user's.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use super::cargo::shown;
use super::progress::{Ended, Progress};
use super::{Options, private_folder};

/// What a recipe cannot go on without: a program that is missing, a command that failed. In a recipe's error it becomes
/// the failure of the nodes in hand, and the other nodes are built all the same.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Stopped {
    /// The command as a person could type it.
    pub(super) command: String,
    /// What it said, as it said it; or what is missing, and the command that installs it.
    pub(super) message: String,
}

/// Pieces that are installed together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pieces<'a> {
    /// Begins the folder's name: `python`.
    pub(super) name: &'a str,
    /// For people: `Python`.
    pub(super) title: &'a str,
    /// Exact versions and whatever else decides what is installed: `componentize-py==0.25.1`. Names the folder.
    pub(super) pins: &'a [&'a str],
}

impl Pieces<'_> {
    /// `<name>-<digest of the pins>`.
    pub(super) fn folder_name(&self) -> String {
        let mut hash = Sha256::new();
        for pin in self.pins {
            hash.update((pin.len() as u64).to_le_bytes());
            hash.update(pin);
        }
        let digest: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{digest}", self.name)
    }
}

/// The folder with these pieces, installed by `install` if they are not there. Of several krt at once one installs, the
/// others wait for it.
///
/// `install` gets the empty folder to install into; it is moved to its place afterwards, so that nothing in it may
/// name its own path.
///
/// # Errors
/// [`Stopped`] with `--offline` when nothing is there; what `install` says; what the cache's folder says.
pub(super) fn installed(
    pieces: &Pieces<'_>,
    options: &Options,
    progress: &Progress,
    install: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let parent = options.cache.join("toolchains");
    let name = pieces.folder_name();
    let folder = parent.join(&name);
    if folder.is_dir() {
        return Ok(folder);
    }
    let what = || format!("installing the {} toolchain to {}", pieces.title, folder.display());
    private_folder(&parent).with_context(what)?;
    let _held = held(&parent.join(format!("{name}.lock"))).with_context(what)?;
    // Somebody else may have installed it meanwhile.
    if folder.is_dir() {
        return Ok(folder);
    }
    if options.offline {
        return Err(Stopped {
            command: format!("installing {}", pieces.pins.join(", ")),
            message: format!(
                "the {} toolchain is not installed: {}\nhelp: run `krt build` once without --offline",
                pieces.title,
                pieces.pins.join(", ")
            ),
        }
        .into());
    }
    progress.step(&format!("installing the {} toolchain (once)", pieces.title));
    let temporary = tempfile::Builder::new().prefix(&format!(".{name}-")).tempdir_in(&parent).with_context(what)?;
    install(temporary.path())?;
    fs::rename(temporary.path(), &folder).with_context(what)?;
    Ok(folder)
}

/// Waits until no other krt holds `path`; it is held until the file is dropped, also when this process is killed.
///
/// # Errors
/// When it cannot be made or locked.
pub(super) fn held(path: &Path) -> std::io::Result<File> {
    let file = File::options().create(true).write(true).truncate(false).open(path)?;
    file.lock()?;
    Ok(file)
}

/// Runs a command that must end well.
///
/// `missing`: what to say when there is no such program, with the command that installs it.
///
/// # Errors
/// [`Stopped`] with what the command said, or with `missing`.
pub(super) fn succeed(command: Command, missing: &str, progress: &Progress) -> anyhow::Result<Ended> {
    let text = shown(&command);
    let ended = match progress.run(command) {
        Ok(ended) => ended,
        Err(error) => {
            let cause = error.root_cause().downcast_ref::<std::io::Error>();
            if cause.is_none_or(|cause| cause.kind() != ErrorKind::NotFound) {
                return Err(error);
            }
            return Err(Stopped { command: text, message: missing.to_owned() }.into());
        }
    };
    if ended.status.success() {
        return Ok(ended);
    }
    let message = format!("{}{}", ended.stdout, ended.stderr);
    let message = if message.trim().is_empty() { format!("it said nothing, and {}", ended.status) } else { message };
    Err(Stopped { command: text, message }.into())
}
