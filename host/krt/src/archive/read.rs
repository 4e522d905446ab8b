//! Reads an archive entry by entry, refusing whatever is not a plain file or folder inside the package.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use tar::EntryType;

use super::extension::{Extension, ExtensionError, check_global};
use super::measured::{Bounded, Counted, Passed};
use super::seen::{Conflict, Seen};
use super::{Contents, Entry, EntryKind, Limits, is_manifest};
use crate::files::{PathFault, resolve};

/// Why an archive is refused. Every variant about an entry names it.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It does not begin as gzip does.
    #[error("it is not a gzipped tar")]
    NotGzip,
    /// It ends before its end.
    #[error("it is cut off {place}")]
    Truncated {
        /// Where.
        place: Place,
    },
    /// The packed data or a tar header is damaged.
    #[error("it is damaged {place}: {source}")]
    Damaged {
        /// Where.
        place: Place,
        /// What the decoder says.
        source: io::Error,
    },
    /// A path that is not one inside the package.
    #[error("entry `{entry}` has a path that is refused: {fault}")]
    Path {
        /// The path, made printable.
        entry: String,
        /// What is wrong with it.
        fault: PathFault,
    },
    /// A link, a device, a fifo, a sparse file or something unknown.
    #[error("entry `{entry}` is {kind}; only files and folders may be in a package")]
    Kind {
        /// Its path.
        entry: String,
        /// What it is.
        kind: &'static str,
    },
    /// A path that is there twice, perhaps in another case, or beneath a file.
    #[error("entry `{entry}` collides with `{first}`")]
    Duplicate {
        /// Its path.
        entry: String,
        /// The one before it.
        first: String,
    },
    /// Long names or pax records that no tool writes, or that contradict the header.
    #[error("the tar extensions {place} are refused: {what}")]
    Extension {
        /// Where.
        place: Place,
        /// What is wrong with it.
        what: String,
    },
    /// More entries than [`Limits::entries`].
    #[error("it has more than {limit} entries, `{entry}` being the first beyond")]
    TooManyEntries {
        /// The first beyond.
        entry: String,
        /// The limit.
        limit: usize,
    },
    /// A file over [`Limits::file`].
    #[error("entry `{entry}` has {size} bytes; {limit} are allowed")]
    FileTooLarge {
        /// Its path.
        entry: String,
        /// What its header says.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// Over [`Limits::total`].
    #[error("it unpacks to more than {limit} bytes {place}")]
    TooLarge {
        /// Where.
        place: Place,
        /// The limit.
        limit: u64,
    },
    /// Over [`Limits::ratio`]: what a decompression bomb looks like.
    #[error("it unpacks to more than {limit} times its size {place}")]
    Bomb {
        /// Where.
        place: Place,
        /// The limit.
        limit: u64,
    },
    /// No `krt.yml` or `krt.yaml` in it.
    #[error("it has no krt.yml")]
    NoManifest,
    /// The archive is fine; whoever takes the entries failed.
    #[error("entry `{entry}` could not be taken: {source}")]
    Visit {
        /// Its path.
        entry: String,
        /// Why.
        source: io::Error,
    },
    /// The archive's bytes could not be read.
    #[error("it could not be read: {0}")]
    Read(#[source] io::Error),
}

/// Where in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Before the first entry.
    Start,
    /// In this entry.
    In(String),
    /// After this entry.
    After(String),
}

/// Reads an archive; `visit` gets every file and folder once, folders before what is in them (also folders that the
/// archive implies without naming them), and a file's content to read or leave.
///
/// # Errors
/// At the first thing that is refused; what was visited until then should be thrown away.
pub fn read(
    mut reader: impl Read,
    limits: &Limits,
    mut visit: impl FnMut(&Entry, &mut dyn Read) -> io::Result<()>,
) -> Result<Contents, ReadError> {
    let mut magic = [0; 2];
    match reader.read_exact(&mut magic) {
        Ok(()) if magic == [0x1f, 0x8b] => {}
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(ReadError::Read(error)),
        _ => return Err(ReadError::NotGzip),
    }
    let packed = Counted::new(magic.as_slice().chain(reader));
    let count = packed.count();
    let mut archive = tar::Archive::new(Bounded::new(MultiGzDecoder::new(packed), count, limits.clone()));
    let mut walk = Walk { limits, seen: Seen::default(), place: Place::Start, manifest: None, bytes: 0 };
    // Raw: long names and pax records are read here, with bounds, and not into memory at any length.
    let entries = archive.entries().map_err(|error| walk.failure(error))?.raw(true);
    let mut extension = Extension::default();
    for entry in entries {
        let mut entry = entry.map_err(|error| walk.failure(error))?;
        let refused = match entry.header().entry_type() {
            EntryType::GNULongName => extension.read_long_name(&mut entry),
            EntryType::XHeader => extension.read_pax(&mut entry),
            EntryType::XGlobalHeader => check_global(&mut entry),
            // Says where a link leads; the link itself is refused.
            EntryType::GNULongLink => Ok(()),
            _ => {
                walk.entry(&mut entry, std::mem::take(&mut extension), &mut visit)?;
                Ok(())
            }
        };
        refused.map_err(|error| walk.refused(error))?;
    }
    if extension != Extension::default() {
        return Err(ReadError::Truncated { place: walk.place });
    }
    // The checksum of the packed data stands behind it.
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(|error| walk.failure(error))?;
    let manifest = walk.manifest.ok_or(ReadError::NoManifest)?;
    Ok(Contents { manifest, entries: walk.seen.len(), bytes: walk.bytes })
}

struct Walk<'l> {
    limits: &'l Limits,
    seen: Seen,
    place: Place,
    manifest: Option<String>,
    bytes: u64,
}

impl Walk<'_> {
    fn entry<R: Read>(
        &mut self,
        entry: &mut tar::Entry<'_, R>,
        extension: Extension,
        visit: &mut impl FnMut(&Entry, &mut dyn Read) -> io::Result<()>,
    ) -> Result<(), ReadError> {
        let raw = extension.path.unwrap_or_else(|| entry.header().path_bytes().into_owned());
        let shown = printable(&raw);
        self.place = Place::In(shown.clone());
        let size = entry.size();
        if extension.size.is_some_and(|pax| pax != size) {
            let what = "the size is not that of the header".to_owned();
            return Err(ReadError::Extension { place: self.place.clone(), what });
        }
        let kind = self.kind(entry.header(), &raw, size, extension.sparse);
        let kind = kind.map_err(|kind| ReadError::Kind { entry: shown.clone(), kind })?;
        let path = match clean(&raw) {
            // `./` is the package's root, which is there anyway.
            Err(PathFault::Empty) if kind == EntryKind::Directory && !raw.is_empty() => return Ok(()),
            path => path.map_err(|fault| ReadError::Path { entry: shown.clone(), fault })?,
        };
        if size > self.limits.file {
            return Err(ReadError::FileTooLarge { entry: path, size, limit: self.limits.file });
        }
        let found = Entry { path, kind };
        let new = self.seen.add(&found).map_err(|conflict| match conflict {
            Conflict::Taken(first) | Conflict::Beneath(first) => ReadError::Duplicate { entry: shown.clone(), first },
        })?;
        if self.seen.len() > self.limits.entries {
            return Err(ReadError::TooManyEntries { entry: shown, limit: self.limits.entries });
        }
        if self.manifest.is_none() && kind != EntryKind::Directory && is_manifest(&found.path) {
            self.manifest = Some(found.path.clone());
        }
        for entry_or_folder in &new {
            let is_content = entry_or_folder.kind != EntryKind::Directory;
            let mut content = Content { inner: &mut *entry, left: if is_content { size } else { 0 }, failed: false };
            if let Err(source) = visit(entry_or_folder, &mut content) {
                return Err(match content.failed {
                    true => self.failure(source),
                    false => ReadError::Visit { entry: found.path, source },
                });
            }
        }
        self.bytes += size;
        self.place = Place::After(shown);
        Ok(())
    }

    fn kind(&self, header: &tar::Header, path: &[u8], size: u64, sparse: bool) -> Result<EntryKind, &'static str> {
        if sparse {
            return Err("a sparse file");
        }
        match header.entry_type() {
            // The oldest tars mark folders by the slash only. Some readers take a folder's size for data, some do not.
            EntryType::Regular | EntryType::Directory if path.ends_with(b"/") && size > 0 => Err("a folder with data"),
            EntryType::Directory if size > 0 => Err("a folder with data"),
            EntryType::Regular if path.ends_with(b"/") => Ok(EntryKind::Directory),
            EntryType::Directory => Ok(EntryKind::Directory),
            EntryType::Regular | EntryType::Continuous => Ok(EntryKind::File { size }),
            EntryType::Link => Err("a hard link"),
            EntryType::Symlink => Err("a symbolic link"),
            EntryType::Char | EntryType::Block => Err("a device"),
            EntryType::Fifo => Err("a fifo"),
            EntryType::GNUSparse => Err("a sparse file"),
            _ => Err("of an unknown kind"),
        }
    }

    /// What an error of the readers beneath means.
    fn failure(&self, error: io::Error) -> ReadError {
        let place = self.place.clone();
        let passed = error.get_ref().and_then(|inner| inner.downcast_ref::<Passed>());
        match (passed, error.kind()) {
            (Some(Passed::Total), _) => ReadError::TooLarge { place, limit: self.limits.total },
            (Some(Passed::Ratio), _) => ReadError::Bomb { place, limit: self.limits.ratio },
            (None, io::ErrorKind::UnexpectedEof) => ReadError::Truncated { place },
            // tar has no kind of its own for its end in the middle of something.
            (None, _) if is_end(&error) => ReadError::Truncated { place },
            (None, io::ErrorKind::Other | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => {
                ReadError::Damaged { place, source: error }
            }
            (None, _) => ReadError::Read(error),
        }
    }

    fn refused(&self, error: ExtensionError) -> ReadError {
        match error {
            ExtensionError::Read(error) => self.failure(error),
            other => ReadError::Extension { place: self.place.clone(), what: other.to_string() },
        }
    }
}

/// A file's content; knows whether it was this side that failed, and that a short read is a cut archive.
struct Content<R> {
    inner: R,
    left: u64,
    failed: bool,
}

impl<R: Read> Read for Content<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let result = match self.inner.read(&mut buffer[..wanted]) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            other => other,
        };
        match &result {
            Ok(n) => self.left -= *n as u64,
            Err(error) => self.failed = error.kind() != io::ErrorKind::Interrupted,
        }
        result
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start => write!(f, "before its first entry"),
            Self::In(entry) => write!(f, "in entry `{entry}`"),
            Self::After(entry) => write!(f, "after entry `{entry}`"),
        }
    }
}

fn is_end(error: &io::Error) -> bool {
    let text = error.to_string();
    text.contains("unexpected EOF") || text.contains("failed to read entire block")
}

/// The clean path of an entry. Unlike a path that a person writes, one that says `..` anywhere is up to no good.
pub(super) fn clean(raw: &[u8]) -> Result<String, PathFault> {
    let path = std::str::from_utf8(raw).map_err(|_| PathFault::Character)?;
    if path.split('/').any(|name| name == "..") {
        return Err(PathFault::Outside);
    }
    resolve("", path)
}

/// A hostile name, fit for a terminal: without control characters and not longer than a line.
fn printable(raw: &[u8]) -> String {
    const LONGEST: usize = 120;
    let text = String::from_utf8_lossy(raw);
    let mut shown: String = text.chars().take(LONGEST).flat_map(escaped).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

fn escaped(character: char) -> Vec<char> {
    let reorders = ('\u{202a}'..='\u{202e}').contains(&character) || ('\u{2066}'..='\u{2069}').contains(&character);
    if character.is_control() || reorders { character.escape_default().collect() } else { vec![character] }
}
