//! What a component is made of, as one digest: while that is the same, nothing is built again.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use krt::proto::Proto;
use sha2::{Digest as _, Sha256};
use walkdir::WalkDir;

use super::{Options, private_folder};
use crate::artifact::Package;
use crate::cli::cache;

/// Collects everything that decides what comes out of a build. Order matters.
pub(super) struct Inputs(Sha256);

impl Inputs {
    /// `recipe`: the language, and whatever of the recipe itself decides what comes out.
    ///
    /// This krt's version and SDKs, and whether it optimises, are in it already.
    pub(super) fn new(recipe: &str, options: &Options) -> Self {
        let mut inputs = Self(Sha256::new());
        inputs.text(recipe);
        // The folder's name has the SDKs' digest.
        inputs.text(&options.sdk.to_string_lossy());
        inputs.text(if options.release { "release" } else { "debug" });
        inputs
    }

    /// A pin, a flag, a setting.
    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// One file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn file(&mut self, path: &Path) -> anyhow::Result<()> {
        let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        self.text(&path.to_string_lossy());
        self.bytes(&bytes);
        Ok(())
    }

    /// All files of a folder, except hidden ones and what lies under a name of `except` at any depth.
    ///
    /// # Errors
    /// When something in it cannot be read, or links lead in a circle.
    pub(super) fn folder(&mut self, folder: &Path, except: &[&str]) -> anyhow::Result<()> {
        let what = || format!("reading {}", folder.display());
        let is_input = |name: &OsStr| {
            let name = name.to_string_lossy();
            !name.starts_with('.') && !except.contains(&&*name)
        };
        let entries = WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter();
        for entry in entries.filter_entry(|entry| entry.depth() == 0 || is_input(entry.file_name())) {
            let entry = entry.with_context(what)?;
            if entry.file_type().is_file() {
                self.file(entry.path())?;
            }
        }
        Ok(())
    }

    /// The version's protos; see [`protos`].
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) fn protos(&mut self, options: &Options) -> anyhow::Result<()> {
        for path in protos(options)? {
            self.file(&options.root.join(path))?;
        }
        Ok(())
    }

    /// Names the content.
    pub(super) fn digest(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }
}

/// The `.proto` files that messages are made from, relative to the version's folder, sorted: those that lie in that
/// folder itself, the entrypoint's, and all of the package that these import.
///
/// # Errors
/// When the version's folder cannot be read. What is wrong in a proto is left to the generator to say.
pub(super) fn protos(options: &Options) -> anyhow::Result<Vec<String>> {
    let what = || format!("reading {}", options.root.display());
    let mut roots = BTreeSet::from([options.proto.clone()]);
    for entry in options.root.read_dir().with_context(what)? {
        let path = entry.with_context(what)?.path();
        let name = path.file_name().and_then(OsStr::to_str);
        if let Some(name) = name.filter(|name| name.ends_with(".proto") && path.is_file()) {
            roots.insert(name.to_owned());
        }
    }
    let package = Package::open(&options.root)?;
    let mut all = BTreeSet::new();
    for path in roots {
        if let Ok(proto) = Proto::load(&package, &path) {
            all.extend(proto.sources().map(|(path, _)| path.to_owned()));
        } else if options.root.join(&path).is_file() {
            all.insert(path);
        }
    }
    Ok(all.into_iter().collect())
}

/// The folder in the cache for what is made on the way from a source folder to its component. Made if need be.
///
/// # Errors
/// When it cannot be made.
pub(super) fn scratch(source: &Path, options: &Options) -> anyhow::Result<PathBuf> {
    let source = source.canonicalize().with_context(|| format!("the path of {}", source.display()))?;
    let digest = Sha256::digest(source.as_os_str().as_encoded_bytes());
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let folder = options.cache.join("build").join(name);
    private_folder(&folder).with_context(|| format!("making {}", folder.display()))?;
    cache::used(&folder);
    Ok(folder)
}

/// The component in `scratch` that was made of exactly these inputs.
pub(super) fn unchanged(scratch: &Path, digest: &str) -> Option<PathBuf> {
    let component = scratch.join("node.wasm");
    let made_of = fs::read_to_string(scratch.join("node.inputs")).ok()?;
    let (of, bytes) = made_of.split_once(' ')?;
    let whole = component.metadata().is_ok_and(|there| there.len().to_string() == bytes);
    (of == digest && whole).then_some(component)
}

/// Keeps `component` in `scratch` as what these inputs make; the path where it is then.
///
/// # Errors
/// When it cannot be copied.
pub(super) fn keep(scratch: &Path, digest: &str, component: &Path) -> anyhow::Result<PathBuf> {
    let what = || format!("keeping {}", component.display());
    let kept = scratch.join("node.wasm");
    // Not what the inputs make any more, should this stop half-way.
    let inputs = scratch.join("node.inputs");
    if inputs.exists() {
        fs::remove_file(&inputs).with_context(what)?;
    }
    if component != kept {
        fs::copy(component, &kept).with_context(what)?;
    }
    let bytes = kept.metadata().with_context(what)?.len();
    fs::write(inputs, format!("{digest} {bytes}")).with_context(what)?;
    Ok(kept)
}
