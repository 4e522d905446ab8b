//! The SDK and the contract as they travel inside this program, and their way onto the disk.
//!
//! A node's Cargo.toml says `krt-node = "0.1"` and gets exactly what this krt was built with; so do the other languages.
//! Each language has its list beneath: what is not listed does not travel.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use super::private_folder;

/// The text of files by their paths in the repository.
macro_rules! sources {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../", $path)))),*]
    };
}

mod c;
mod go;
mod js;
mod python;
mod rust;

/// Files by path.
type Files = &'static [(&'static str, &'static [u8])];

/// What all SDKs share.
const CONTRACT: Files = sources!["wit/krt-node.wit"];

/// All files.
pub(in crate::cli) fn files() -> impl Iterator<Item = &'static (&'static str, &'static [u8])> {
    [CONTRACT, c::FILES, go::FILES, js::FILES, python::FILES, rust::FILES].into_iter().flatten()
}

/// The folder under `cache` with these very files; writes them if they are not there, or not as they should be.
pub(super) fn unpack(cache: &Path) -> anyhow::Result<PathBuf> {
    let parent = cache.join("sdk");
    let folder = parent.join(format!("{}-{}", env!("CARGO_PKG_VERSION"), digest()));
    if is_whole(&folder) {
        return Ok(folder);
    }
    let what = || format!("unpacking the SDK to {}", folder.display());
    private_folder(&parent).with_context(what)?;
    // Made beside its place and moved there as a whole: another krt may be building at this moment.
    let temporary = tempfile::Builder::new()
        .prefix(".sdk-")
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in(&parent)
        .with_context(what)?;
    for (path, bytes) in files() {
        let file = temporary.path().join(path);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).with_context(what)?;
        }
        fs::write(&file, bytes).with_context(what)?;
    }
    if fs::rename(temporary.path(), &folder).is_ok() || is_whole(&folder) {
        return Ok(folder);
    }
    // What is there is not whole: somebody wrote into it.
    fs::remove_dir_all(&folder).with_context(what)?;
    fs::rename(temporary.path(), &folder).with_context(what)?;
    Ok(folder)
}

fn is_whole(folder: &Path) -> bool {
    files().all(|(path, bytes)| fs::read(folder.join(path)).is_ok_and(|there| there == *bytes))
}

/// Names the content: a krt of the same version with another SDK unpacks to another folder.
fn digest() -> String {
    let mut hash = Sha256::new();
    for (path, bytes) in files() {
        for part in [path.as_bytes(), bytes] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
