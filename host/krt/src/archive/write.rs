//! Writes an archive that the original can read, the same bytes for the same files on any day and machine.

use std::io::{self, Read, Write};

use flate2::{Compression, GzBuilder};

use super::read::clean;
use super::seen::{Conflict, Seen};
use super::{Contents, Entry, EntryKind, is_manifest};
use crate::files::PathFault;

/// The first second that every tool can show; a zero looks broken in some.
const WRITTEN_AT: u64 = 1;

/// Why an archive cannot be written. What was written until then should be thrown away.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A path that a reader would refuse.
    #[error("`{entry}` cannot be packed: its path is refused because {fault}")]
    Path {
        /// The path.
        entry: String,
        /// What is wrong with it.
        fault: PathFault,
    },
    /// Two paths that a reader would refuse together.
    #[error("`{entry}` cannot be packed beside `{first}`: on some systems they are the same")]
    Duplicate {
        /// The path.
        entry: String,
        /// The other.
        first: String,
    },
    /// The manifest is not among the entries, or not named as one.
    #[error("the manifest `{0}` is not among the files, or is not called krt.yml or krt.yaml")]
    NoManifest(String),
    /// A file that cannot be read, or that changed its length meanwhile.
    #[error("`{entry}` cannot be packed: {source}")]
    Content {
        /// Its path.
        entry: String,
        /// Why.
        source: io::Error,
    },
    /// The archive itself cannot be written.
    #[error("the archive cannot be written: {0}")]
    Write(#[source] io::Error),
}

/// Writes the files and folders of `entries`, in whatever order they come; folders that are implied are added.
/// `manifest` comes first, because the original takes the first file of such a name; the rest is sorted.
///
/// # Errors
/// When the original or [`super::read`] would refuse the result, or something cannot be read or written.
pub fn write<C: Read>(
    manifest: &str,
    entries: impl IntoIterator<Item = Entry>,
    mut open: impl FnMut(&Entry) -> io::Result<C>,
    writer: impl Write,
) -> Result<Contents, WriteError> {
    let entries = ordered(manifest, entries)?;
    // No name and no time in the gzip header either.
    let packed = GzBuilder::new().write(writer, Compression::best());
    let mut archive = tar::Builder::new(packed);
    let mut bytes = 0;
    for entry in &entries {
        match entry.kind {
            EntryKind::Directory => archive
                .append_data(&mut header(tar::EntryType::Directory, 0), format!("{}/", entry.path), io::empty())
                .map_err(WriteError::Write)?,
            EntryKind::File { size } => {
                let failed = |source| WriteError::Content { entry: entry.path.clone(), source };
                let mut content = Exact { inner: open(entry).map_err(failed)?, left: size, failed: false };
                let result = archive.append_data(&mut header(tar::EntryType::Regular, size), &entry.path, &mut content);
                match result {
                    Err(error) if content.failed => return Err(failed(error)),
                    result => result.map_err(WriteError::Write)?,
                }
                bytes += size;
            }
        }
    }
    let mut rest = archive.into_inner().and_then(|packed| packed.finish()).map_err(WriteError::Write)?;
    rest.flush().map_err(WriteError::Write)?;
    Ok(Contents { manifest: manifest.to_owned(), entries: entries.len(), bytes })
}

fn ordered(manifest: &str, entries: impl IntoIterator<Item = Entry>) -> Result<Vec<Entry>, WriteError> {
    let mut seen = Seen::default();
    let mut all = Vec::new();
    for entry in entries {
        match clean(entry.path.as_bytes()) {
            Ok(path) if path == entry.path => {}
            Ok(_) => return Err(WriteError::Path { entry: entry.path, fault: PathFault::Character }),
            Err(fault) => return Err(WriteError::Path { entry: entry.path, fault }),
        }
        match seen.add(&entry) {
            Ok(new) => all.extend(new),
            Err(Conflict::Taken(first) | Conflict::Beneath(first)) => {
                return Err(WriteError::Duplicate { entry: entry.path, first });
            }
        }
    }
    let there = all.iter().any(|entry| entry.path == manifest && entry.kind != EntryKind::Directory);
    if !there || !is_manifest(manifest) {
        return Err(WriteError::NoManifest(manifest.to_owned()));
    }
    let leads_to_manifest = |entry: &Entry| {
        entry.path == manifest || manifest.strip_prefix(&entry.path).is_some_and(|rest| rest.starts_with('/'))
    };
    all.sort_by(|a, b| (!leads_to_manifest(a), &a.path).cmp(&(!leads_to_manifest(b), &b.path)));
    Ok(all)
}

fn header(kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mtime(WRITTEN_AT);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mode(if kind == tar::EntryType::Directory { 0o755 } else { 0o644 });
    header
}

/// A file's content, which must be as long as was said: tar has its length in front of it.
struct Exact<R> {
    inner: R,
    left: u64,
    failed: bool,
}

impl<R: Read> Read for Exact<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.inner.read(buffer).and_then(|n| match self.left.checked_sub(n as u64) {
            Some(left) if n > 0 || left == 0 => {
                self.left = left;
                Ok(n)
            }
            _ => Err(io::Error::other("its length changed while it was read")),
        });
        self.failed = matches!(&result, Err(error) if error.kind() != io::ErrorKind::Interrupted);
        result
    }
}
