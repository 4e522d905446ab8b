//! Where component bytes and package files come from.
//!
//! A [`Package`] is a folder, a manifest in a folder, or a `.krt` archive, opened and read by blocking calls: on async
//! threads go through [`ArtifactStore`] or `spawn_blocking`. Nothing here looks into a manifest or a component.
//! [`remote`] brings packages from elsewhere, verified; [`nats`] and [`oci`] are where they may be.

mod dir;
mod docker;
mod file;
mod hashing;
pub mod nats;
pub mod oci;
mod open;
mod pack;
mod reference;
pub mod remote;
mod signature;
mod stored;
mod unpack;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use krt::files::{FileKind, Files};

pub use dir::DirStore;
pub use file::{FileError, read_file, read_open};
pub use open::OpenError;
pub use pack::{PackError, Packed};
pub use reference::{Digest, OciReference, Reference, ReferenceError};
pub use remote::{FetchOptions, Fetched, RemoteError};
pub use signature::{MAX_SIGNED, Signature, SignatureError, VerifyKey};
pub use stored::{Archive, ArchiveError};
pub use unpack::{UnpackError, unpack_into};

/// Bytes of a manifest. The seeds' has 2 KiB; a thousand nodes make 200.
pub const LONGEST_MANIFEST: usize = 4 << 20;

/// One version's files, from wherever. An unpacked archive is removed when the last clone of this goes.
#[derive(Debug, Clone)]
pub struct Package(Arc<Opened>);

#[derive(Debug)]
struct Opened {
    /// As the user named it.
    given: PathBuf,
    /// Without links, so that what is beneath it can be told from what is not.
    root: PathBuf,
    manifest_name: String,
    manifest: Vec<u8>,
    origin: Origin,
    /// Holds the folder of an unpacked archive.
    _unpacked: Option<tempfile::TempDir>,
}

/// What a package was opened from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A folder with a manifest in it.
    Folder,
    /// A manifest; its folder is the package.
    Manifest,
    /// A `.krt`, unpacked into a temporary folder.
    Archive,
}

/// Which file is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactRef {
    /// Its path in the package.
    pub path: String,
    /// Refuse it if it is longer.
    pub limit: usize,
}

/// Fetches a version's files, wherever they are stored.
pub trait ArtifactStore: Send + Sync {
    /// The bytes of one file.
    fn fetch(&self, artifact: &ArtifactRef) -> BoxFuture<'static, Result<Bytes, FetchError>>;
}

/// Why a file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It is not there: asking again is of no use.
    #[error("there is no `{path}` in the package")]
    NotFound {
        /// Its path in the package.
        path: String,
    },
    /// It is there and refused: no regular file of the package, or too large.
    #[error("`{path}` is refused: {source}")]
    Refused {
        /// Its path in the package.
        path: String,
        /// Why.
        source: FileError,
    },
    /// It could not be read this time.
    #[error("`{path}` could not be read: {source}")]
    Unavailable {
        /// Its path in the package.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

impl Package {
    /// Opens a folder with a `krt.yml` or `krt.yaml`, a manifest itself, or a `.krt`, whatever its name. Blocking.
    ///
    /// # Errors
    /// When there is nothing at `path` that could be a version. Says what, where and what to do.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        open::open(path).map(|opened| Self(Arc::new(opened)))
    }

    /// Unpacks an archive that came from elsewhere; `name` is what errors call it. Blocking.
    ///
    /// # Errors
    /// When it is damaged, hostile or without a manifest, or there is no room for it.
    pub fn unpack(name: &Path, archive: std::fs::File) -> Result<Self, OpenError> {
        unpack::open(name, archive).map(|opened| Self(Arc::new(opened)))
    }

    /// What it was opened from.
    pub fn origin(&self) -> Origin {
        self.0.origin
    }

    /// The manifest's path in the package.
    pub fn manifest_name(&self) -> &str {
        &self.0.manifest_name
    }

    /// The manifest's bytes, whatever they are.
    pub fn manifest_bytes(&self) -> &[u8] {
        &self.0.manifest
    }

    /// The folder that holds the files: the user's, or a temporary one that lives as long as this.
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// How to call a file of the package in front of the user: by a path from where they are.
    pub fn label(&self, path: &str) -> String {
        let folder = match self.0.origin {
            Origin::Folder | Origin::Archive => self.0.given.as_path(),
            Origin::Manifest => self.0.given.parent().unwrap_or(Path::new("")),
        };
        beneath(folder, path).display().to_string()
    }

    /// The manifest's name in front of the user.
    pub fn manifest_label(&self) -> String {
        match self.0.origin {
            Origin::Manifest => self.0.given.display().to_string(),
            Origin::Folder | Origin::Archive => self.label(&self.0.manifest_name),
        }
    }

    /// The bytes of a file of the package, at most `limit`. Blocking.
    ///
    /// # Errors
    /// When it is not there, not a regular file of the package, or longer.
    pub fn read(&self, path: &str, limit: usize) -> Result<Vec<u8>, FileError> {
        let inside = file::inside(&self.0.root, path)?;
        read_file(&inside, limit)
    }

    /// A file of the package, opened to be read. Blocking.
    ///
    /// # Errors
    /// When it is not there or not a regular file of the package.
    pub fn open_file(&self, path: &str) -> Result<File, FileError> {
        let inside = file::inside(&self.0.root, path)?;
        Ok(file::open_regular(&inside)?.0)
    }

    /// Writes the package as a `.krt` to `writer`, without what `.krtignore` names and without the files `except`
    /// (the archive itself, if it is written into the folder). Blocking.
    ///
    /// # Errors
    /// When something in the folder cannot be packed.
    pub fn pack(&self, writer: impl std::io::Write, except: &[&Path]) -> Result<Packed, PackError> {
        pack::pack(self, writer, except)
    }

    /// The package as a `.krt`: the archive that it was opened from, byte for byte, else one that is packed now. Blocking.
    ///
    /// # Errors
    /// When something in the folder cannot be packed, or the disk says no.
    pub fn archive(&self) -> Result<Archive, ArchiveError> {
        stored::archive(self)
    }
}

impl Files for Package {
    fn kind(&self, path: &str) -> Option<FileKind> {
        file::kind(&self.0.root, path)
    }

    fn read(&self, path: &str, limit: usize) -> Result<Vec<u8>, String> {
        self.read(path, limit).map_err(|error| error.to_string())
    }

    fn files_in(&self, folder: &str, suffix: &str) -> Vec<String> {
        file::listed(&self.0.root, folder, suffix)
    }
}

/// `path` beneath `folder` as people write it: without `./`.
fn beneath(folder: &Path, path: &str) -> PathBuf {
    if folder == Path::new(".") { PathBuf::from(path) } else { folder.join(path) }
}
