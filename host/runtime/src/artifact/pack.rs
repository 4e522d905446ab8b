//! Packs a package's folder into a `.krt`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use krt::archive::{self, Contents, Entry, Ignore, IgnoreError, WriteError};
use krt::files::{FileKind, Files as _};
use sha2::{Digest as _, Sha256};
use walkdir::WalkDir;

use super::file::{self, FileError, describe, open_regular};
use super::{LONGEST_MANIFEST, Package};

/// The list of what stays out.
const IGNORE_FILE: &str = ".krtignore";

/// The history of the source is not part of a version, large, and perhaps private.
const HISTORY: &str = ".git";

/// Marks a folder that a tool can make again, such as cargo's `target` (the Cache Directory Tagging Specification).
const CACHE_TAG: &str = "CACHEDIR.TAG";

/// What was packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// What is in it.
    pub contents: Contents,
    /// Bytes of the archive.
    pub size: u64,
    /// SHA-256 of the archive, in hexadecimal.
    pub digest: String,
}

/// Why a folder cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The folder cannot be walked.
    #[error("the folder cannot be read: {0}")]
    Walk(#[from] walkdir::Error),
    /// A name that is not UTF-8.
    #[error("`{}` cannot be packed: its name is not UTF-8; rename it or name it in {IGNORE_FILE}", .0.display())]
    Name(PathBuf),
    /// A fifo, a device, a link to a folder or out of the package.
    #[error("`{path}` cannot be packed: it is {what}; remove it or name it in {IGNORE_FILE}")]
    Kind {
        /// Its path in the package.
        path: String,
        /// What it is.
        what: &'static str,
    },
    /// `.krtignore` cannot be read.
    #[error("{IGNORE_FILE} cannot be read: {0}")]
    IgnoreFile(#[source] FileError),
    /// `.krtignore` has a line that is no pattern.
    #[error("{IGNORE_FILE}: {0}")]
    Ignore(#[from] IgnoreError),
    /// The archive cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

pub(super) fn pack(package: &Package, writer: impl Write, except: &[&Path]) -> Result<Packed, PackError> {
    let root = package.root();
    let entries = list(package, &ignored(package)?, except)?;
    let mut sink = Hashed { inner: io::BufWriter::new(writer), hash: Sha256::new(), size: 0 };
    let open = |entry: &Entry| {
        let opened = file::inside(root, &entry.path).and_then(|path| open_regular(&path));
        opened.map(|(file, _)| io::BufReader::new(file)).map_err(io::Error::other)
    };
    let contents = archive::write(package.manifest_name(), entries, open, &mut sink)?;
    let digest = sink.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Packed { contents, size: sink.size, digest })
}

fn ignored(package: &Package) -> Result<Ignore, PackError> {
    let text = match package.kind(IGNORE_FILE) {
        None => String::new(),
        Some(_) => {
            // Far more than anybody writes; the parser has bounds of its own.
            let bytes = package.read(IGNORE_FILE, LONGEST_MANIFEST).map_err(PackError::IgnoreFile)?;
            String::from_utf8_lossy(&bytes).into_owned()
        }
    };
    Ok(Ignore::parse(&text)?)
}

fn list(package: &Package, ignore: &Ignore, except: &[&Path]) -> Result<Vec<Entry>, PackError> {
    let root = package.root();
    let except = except.iter().filter_map(|path| path.canonicalize().ok()).collect::<Vec<_>>();
    let mut entries = Vec::new();
    let mut walk = WalkDir::new(root).min_depth(1).into_iter();
    while let Some(found) = walk.next() {
        let found = found?;
        let path = found.path();
        let relative = path.strip_prefix(root).unwrap_or(path);
        let name = relative.to_str().ok_or_else(|| PackError::Name(relative.to_owned()))?.to_owned();
        let kind = found.file_type();
        let is_cache = kind.is_dir() && path.join(CACHE_TAG).is_file();
        if ignore.is_ignored(&name, kind.is_dir()) || name == HISTORY || is_cache {
            if kind.is_dir() {
                walk.skip_current_dir();
            }
            continue;
        }
        if except.iter().any(|except| except == path) {
            continue;
        }
        if kind.is_dir() {
            entries.push(Entry::directory(name));
            continue;
        }
        // An archive has no links; what a link inside the package leads to is packed in its place.
        let size = match file::kind(root, &name) {
            Some(FileKind::File) => fs::metadata(path).map_err(|source| content(&name, source))?.len(),
            None if kind.is_symlink() => return Err(PackError::Kind { path: name, what: "a link to nothing" }),
            Some(FileKind::Directory) => return Err(PackError::Kind { path: name, what: "a link to a folder" }),
            Some(FileKind::Other) if kind.is_symlink() => {
                return Err(PackError::Kind { path: name, what: "a link out of the package" });
            }
            _ => return Err(PackError::Kind { path: name, what: describe(kind) }),
        };
        entries.push(Entry::file(name, size));
    }
    Ok(entries)
}

fn content(path: &str, source: io::Error) -> PackError {
    PackError::Write(WriteError::Content { entry: path.to_owned(), source })
}

/// Counts and hashes what passes through.
struct Hashed<W> {
    inner: W,
    hash: Sha256,
    size: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.hash.update(&bytes[..n]);
        self.size += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
