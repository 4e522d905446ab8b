//! The `.krt` archive: a gzipped tar, read with bounds and written so that the original can read it.
//!
//! Contents stream through closures: an archive is never held in memory as a whole. Nothing here touches a file system.

mod extension;
mod ignore;
mod measured;
mod read;
mod seen;
mod write;

#[cfg(test)]
mod tests;

pub use ignore::{Ignore, IgnoreError};
pub use read::{ReadError, read};
pub use write::{WriteError, write};

/// One thing in an archive, by its clean path (relative, slashes, no `.` and no `..`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its path.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry is; an archive holds nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A folder.
    Directory,
    /// A file of so many bytes.
    File {
        /// Its length.
        size: u64,
    },
}

/// What was read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Path of the manifest: the first entry named `krt.yml` or `krt.yaml`, as the original looks for it.
    pub manifest: String,
    /// Files and folders, those included that the archive implies without naming them.
    pub entries: usize,
    /// Bytes of all files together.
    pub bytes: u64,
}

/// How much an archive may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Files and folders.
    pub entries: usize,
    /// Bytes of one file.
    pub file: u64,
    /// Bytes of the whole archive, unpacked.
    pub total: u64,
    /// How many times larger the unpacked bytes may be than the packed ones.
    pub ratio: u64,
    /// Unpacked bytes up to which the ratio is not looked at: small packages of zeros are harmless.
    pub ratio_free: u64,
}

impl Default for Limits {
    /// Room for a package with a few large models. Source code packs 3 to 10 times and weights hardly at all;
    /// gzip's best, on nothing but zeros, is about 1030 times.
    fn default() -> Self {
        Self { entries: 50_000, file: 2 << 30, total: 4 << 30, ratio: 200, ratio_free: 32 << 20 }
    }
}

impl Entry {
    /// A folder.
    pub fn directory(path: impl Into<String>) -> Self {
        Self { path: path.into(), kind: EntryKind::Directory }
    }

    /// A file of `size` bytes.
    pub fn file(path: impl Into<String>, size: u64) -> Self {
        Self { path: path.into(), kind: EntryKind::File { size } }
    }
}

/// Whether the original would take this file for the manifest.
fn is_manifest(path: &str) -> bool {
    matches!(path.rsplit('/').next(), Some("krt.yml" | "krt.yaml"))
}
