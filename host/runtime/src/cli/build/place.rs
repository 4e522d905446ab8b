//! From what a toolchain left to the package: looked at, then put in place as a whole or not at all.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::Made;
use crate::engine::{Engine, EngineOptions};

/// Bytes of a component, as `krt host` takes them.
const MAX_COMPONENT: usize = 256 << 20;

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

    /// Checks a component against the contract and puts it where `src` says. Neither is read that was before and has not
    /// changed since.
    pub(super) fn place(&mut self, made: &Made) -> anyhow::Result<Placed> {
        let reading = || format!("reading {}", made.file.display());
        let mut file = File::open(&made.file).with_context(reading)?;
        self.check(&made.job.node, &mut file)?;
        let target = self.root.join(&made.job.src);
        let engine = self.engine()?;
        let digest = |file: &mut File| {
            file.rewind()?;
            anyhow::Ok(engine.digest(file, MAX_COMPONENT)?)
        };
        let is = digest(&mut file).with_context(reading)?;
        let was = File::open(&target).ok().and_then(|mut there| digest(&mut there).ok());
        let changed = was != Some(is);
        if changed {
            file.rewind().with_context(reading)?;
            write(&target, &mut file).with_context(|| format!("writing {}", target.display()))?;
        }
        Ok(Placed {
            workflow: made.job.workflow.clone(),
            node: made.job.node.clone(),
            src: made.job.src.clone(),
            bytes: file.metadata().with_context(reading)?.len(),
            changed,
        })
    }

    /// Whether it is a component of the contract's world. Leaves its machine code in the cache, so that the first
    /// `krt run` finds it there.
    fn check(&mut self, node: &str, file: &mut File) -> anyhow::Result<()> {
        let mut head = [0; 8];
        let is_component = file.read_exact(&mut head).is_ok() && wasmparser::Parser::is_component(&head);
        if !is_component {
            bail!("this is not a WebAssembly component");
        }
        file.rewind()?;
        self.engine()?.load_file(node, file, MAX_COMPONENT)?;
        Ok(())
    }

    fn engine(&mut self) -> anyhow::Result<&Engine> {
        let engine = match self.engine.take() {
            Some(engine) => engine,
            None => Engine::new(EngineOptions { cache: Some(self.cache.clone()), ..EngineOptions::default() })?,
        };
        Ok(self.engine.insert(engine))
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

fn write(target: &Path, from: &mut File) -> anyhow::Result<()> {
    let folder = target.parent().context("a path with a folder")?;
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".krt-build-").tempfile_in(folder)?;
    io::copy(from, &mut file)?;
    // A temporary file is its owner's alone; a component is an ordinary file of the package.
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    file.persist(target)?;
    Ok(())
}
