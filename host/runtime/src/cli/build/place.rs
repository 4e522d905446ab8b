//! From what a toolchain left to the package: looked at, then put in place as a whole or not at all.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::Made;
use crate::engine::{Engine, EngineOptions};

/// Puts components into the package.
pub(super) struct Placer<'a> {
    root: &'a Path,
    cache: PathBuf,
    engine: Option<Engine>,
}

/// A component in its place. Serialises as `--output json` prints it.
#[derive(Debug, Serialize)]
pub(super) struct Placed {
    workflow: String,
    node: String,
    pub(super) src: String,
    pub(super) bytes: u64,
    /// Whether its bytes are others than before.
    pub(super) changed: bool,
}

impl<'a> Placer<'a> {
    pub(super) fn new(root: &'a Path, cache: PathBuf) -> Self {
        Self { root, cache, engine: None }
    }

    /// Checks a component against the contract and puts it where `src` says.
    pub(super) fn place(&mut self, made: &Made) -> anyhow::Result<Placed> {
        let bytes = fs::read(&made.file).with_context(|| format!("reading {}", made.file.display()))?;
        self.check(&made.job.node, &bytes)?;
        let target = self.root.join(&made.job.src);
        let changed = fs::read(&target).map_or(true, |there| there != bytes);
        if changed {
            write(&target, &bytes).with_context(|| format!("writing {}", target.display()))?;
        }
        Ok(Placed {
            workflow: made.job.workflow.clone(),
            node: made.job.node.clone(),
            src: made.job.src.clone(),
            bytes: bytes.len() as u64,
            changed,
        })
    }

    /// Whether it is a component of the contract's world. Leaves its machine code in the cache, so that the first
    /// `krt run` finds it there.
    fn check(&mut self, node: &str, bytes: &[u8]) -> anyhow::Result<()> {
        if !wasmparser::Parser::is_component(bytes) {
            bail!("this is not a WebAssembly component");
        }
        let engine = match self.engine.take() {
            Some(engine) => engine,
            None => Engine::new(EngineOptions { cache: Some(self.cache.clone()), ..EngineOptions::default() })?,
        };
        self.engine.insert(engine).load(node, bytes)?;
        Ok(())
    }
}

impl Placed {
    /// `workflow/node`.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.workflow, self.node)
    }
}

/// A size for people.
pub(super) fn size(bytes: u64) -> String {
    if bytes < 1_000_000 { format!("{} kB", bytes.div_ceil(1000)) } else { format!("{:.1} MB", bytes as f64 / 1e6) }
}

fn write(target: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = target.parent().context("a path with a folder")?;
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".krt-build-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    // A temporary file is its owner's alone; a component is an ordinary file of the package.
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    file.persist(target)?;
    Ok(())
}
