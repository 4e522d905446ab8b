//! A node's folder: what of it goes into the component, and how editors and tests find what the build brings.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use walkdir::WalkDir;

use super::super::Options;
use super::NOT_SOURCES;
use super::pieces::{self, Toolchain};

/// Copies a node's code to `target`, which is emptied: what is compiled on the way stays out of the node's folder.
///
/// # Errors
/// When something cannot be read or written.
pub(super) fn copy(source: &Path, target: &Path) -> anyhow::Result<()> {
    let what = || format!("copying {} to {}", source.display(), target.display());
    if target.exists() {
        fs::remove_dir_all(target).with_context(what)?;
    }
    let is_source = |name: &OsStr| {
        let name = name.to_string_lossy();
        // Of a version whose root is the node's folder, components are not the node's code.
        !name.starts_with('.') && !NOT_SOURCES.contains(&&*name) && !name.ends_with(".wasm")
    };
    let entries = WalkDir::new(source).follow_links(true).into_iter();
    for entry in entries.filter_entry(|entry| entry.depth() == 0 || is_source(entry.file_name())) {
        let entry = entry.with_context(what)?;
        let to = target.join(entry.path().strip_prefix(source).with_context(what)?);
        if entry.file_type().is_dir() {
            fs::create_dir_all(&to).with_context(what)?;
        } else if entry.file_type().is_file() {
            fs::copy(entry.path(), &to).with_context(what)?;
        }
    }
    Ok(())
}

/// Bytes of compiled Python below these folders.
pub(super) fn bytecode(roots: &[PathBuf]) -> u64 {
    let files = roots.iter().flat_map(|root| WalkDir::new(root).into_iter().flatten());
    let compiled = files.filter(|entry| entry.path().extension().is_some_and(|kind| kind == "pyc"));
    compiled.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// What a node's code imports beside its own.
pub(super) struct Environment<'a> {
    pub(super) toolchain: &'a Toolchain,
    pub(super) packages: Option<&'a Path>,
    pub(super) options: &'a Options,
}

impl Environment<'_> {
    /// Makes `.venv` in the node's folder, where editors look, and `.venv/bin/python` runs its tests: with the SDK and the
    /// packages of the component. One that somebody else made is left alone.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn link(&self, source: &Path) -> anyhow::Result<()> {
        let folder = source.join(".venv");
        let mark = folder.join("made-by-krt");
        let what = || format!("making {}", folder.display());
        if folder.exists() && !mark.exists() {
            return Ok(());
        }
        if !folder.join("bin/python").exists() {
            fs::create_dir_all(&folder).with_context(what)?;
            fs::write(&mark, "krt build makes this folder, and again when it is removed.\n").with_context(what)?;
            // No part of the package, nor of what is backed up.
            fs::write(folder.join("CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55\n")
                .with_context(what)?;
            let mut venv = Command::new("python3");
            venv.args(["-m", "venv", "--without-pip"]).arg(&folder);
            let output = venv.output().with_context(what)?;
            if !output.status.success() {
                bail!("{}: {}", what(), String::from_utf8_lossy(&output.stderr).trim_end());
            }
            fs::write(folder.join(".gitignore"), "*\n").with_context(what)?;
        }
        let mut paths = vec![pieces::sdk(self.options), self.toolchain.guest()];
        paths.extend(self.packages.map(Path::to_owned));
        let lines: String = paths.iter().map(|path| format!("{}\n", path.display())).collect();
        for entry in folder.join("lib").read_dir().with_context(what)? {
            let packages = entry.with_context(what)?.path().join("site-packages");
            if packages.is_dir() {
                fs::write(packages.join("krt.pth"), &lines).with_context(what)?;
            }
        }
        Ok(())
    }
}
