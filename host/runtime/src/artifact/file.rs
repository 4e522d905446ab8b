//! Reads one file without being led elsewhere, without blocking on a fifo and without reading more than wanted.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use krt::files::{FileKind, MOST_LISTED, PathFault, resolve};

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Not the path of something in a package.
    #[error("its path is refused: {0}")]
    Path(#[from] PathFault),
    /// Nothing is there.
    #[error("there is no such file")]
    NotFound,
    /// A link leads out of the package.
    #[error("it is a link that leads out of the package")]
    Outside,
    /// It is a folder, a device or the like.
    #[error("it is {0}, not a regular file")]
    NotAFile(&'static str),
    /// Longer than wanted.
    #[error("it has {size} bytes; {limit} are allowed")]
    TooLarge {
        /// Its length, or what was seen of it.
        size: u64,
        /// The limit.
        limit: usize,
    },
    /// The system said no.
    #[error(transparent)]
    Io(io::Error),
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::NotFound,
            _ => Self::Io(error),
        }
    }
}

/// The bytes of a regular file, at most `limit`. Follows links. Blocking, but not longer than the disk takes.
///
/// # Errors
/// When it is anything else, or longer.
pub fn read_file(path: &Path, limit: usize) -> Result<Vec<u8>, FileError> {
    let (mut file, _) = open_regular(path)?;
    read_open(&mut file, limit)
}

/// The bytes of an open file from where it stands, at most `limit`.
///
/// # Errors
/// When it is longer, or cannot be read.
pub fn read_open(file: &mut File, limit: usize) -> Result<Vec<u8>, FileError> {
    let length = file.metadata()?.len();
    if length > limit as u64 {
        return Err(FileError::TooLarge { size: length, limit });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    // A file may grow meanwhile; one more byte shows that it has.
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(FileError::TooLarge { size: bytes.len() as u64, limit });
    }
    Ok(bytes)
}

/// Opens a regular file and says how long it is. Never waits for the other end of a fifo.
pub(super) fn open_regular(path: &Path) -> Result<(File, u64), FileError> {
    let regular = |kind: std::fs::FileType| match kind.is_file() {
        true => Ok(()),
        false => Err(FileError::NotAFile(describe(kind))),
    };
    // Before opening: opening a device can do something. After it: the path may have become another.
    regular(std::fs::metadata(path)?.file_type())?;
    let flags = (rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path)?;
    let metadata = file.metadata()?;
    regular(metadata.file_type())?;
    Ok((file, metadata.len()))
}

/// The real path of something in the package at `root`, which must be a real path itself.
pub(super) fn inside(root: &Path, path: &str) -> Result<PathBuf, FileError> {
    let real = root.join(resolve("", path)?).canonicalize()?;
    if real.starts_with(root) { Ok(real) } else { Err(FileError::Outside) }
}

/// What is at `path` in the package at `root`.
pub(super) fn kind(root: &Path, path: &str) -> Option<FileKind> {
    let real = match inside(root, path) {
        Ok(real) => real,
        Err(FileError::Outside | FileError::Path(PathFault::Outside | PathFault::Absolute)) => {
            return Some(FileKind::Other);
        }
        Err(_) => return None,
    };
    let kind = std::fs::metadata(real).ok()?.file_type();
    Some(match (kind.is_file(), kind.is_dir()) {
        (true, _) => FileKind::File,
        (_, true) => FileKind::Directory,
        _ => FileKind::Other,
    })
}

/// Names of the files directly in a folder of the package at `root` that end in `suffix`, sorted. Of a folder that cannot be
/// read, none.
pub(super) fn listed(root: &Path, folder: &str, suffix: &str) -> Vec<String> {
    let folder = if folder.is_empty() { Ok(root.to_owned()) } else { inside(root, folder) };
    let Ok(entries) = folder.map_err(|_| ()).and_then(|folder| std::fs::read_dir(folder).map_err(|_| ())) else {
        return Vec::new();
    };
    let name = |entry: io::Result<std::fs::DirEntry>| {
        let entry = entry.ok()?;
        let name = entry.file_name().into_string().ok().filter(|name| name.ends_with(suffix))?;
        // A link is followed, as it is when the file is read.
        entry.path().metadata().is_ok_and(|it| it.is_file()).then_some(name)
    };
    let mut names: Vec<String> = entries.filter_map(name).collect();
    names.sort();
    names.truncate(MOST_LISTED);
    names
}

/// What a file that is not a regular one is called.
pub(super) fn describe(kind: std::fs::FileType) -> &'static str {
    if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a fifo"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_char_device() || kind.is_block_device() {
        "a device"
    } else if kind.is_symlink() {
        "a link"
    } else {
        "something else"
    }
}
