//! Unpacks a `.krt`: into a temporary folder that only its owner can enter, or into one that others shall read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use krt::archive::{self, Contents, EntryKind, Limits, ReadError};

use super::open::read_manifest;
use super::{OpenError, Opened, Origin};

/// How an unpacked folder that is not finished begins.
const UNFINISHED: &str = ".krt-fetch-";

/// Why an archive is not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The folder has something in it.
    #[error("`{}` is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// The archive is damaged, hostile or without a manifest.
    #[error("the archive is refused: {0}")]
    Archive(#[source] ReadError),
    /// The disk.
    #[error("unpacking to `{}`: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Unpacks `archive` into `folder`, for everybody to read. What is there is refused, or replaced if `replace` says so; it
/// is unpacked beside first, so that what is damaged replaces nothing. Blocking.
///
/// # Errors
/// See [`UnpackError`].
pub fn unpack_into(folder: &Path, archive: File, replace: bool) -> Result<Contents, UnpackError> {
    let failed = |source| UnpackError::Io { path: folder.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o755).create(folder).map_err(failed)?;
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if !replace && !name.to_string_lossy().starts_with(UNFINISHED) {
            return Err(UnpackError::NotEmpty(folder.to_owned()));
        }
    }
    let beside = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(folder).map_err(failed)?;
    let contents = write(beside.path(), archive, 0o755, 0o644).map_err(|error| match error {
        ReadError::Visit { source, .. } => failed(source),
        source => UnpackError::Archive(source),
    })?;
    for entry in fs::read_dir(beside.path()).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let target = folder.join(entry.file_name());
        match fs::symlink_metadata(&target) {
            Ok(there) if there.is_dir() => fs::remove_dir_all(&target).map_err(failed)?,
            Ok(_) => fs::remove_file(&target).map_err(failed)?,
            Err(_) => {}
        }
        fs::rename(entry.path(), target).map_err(failed)?;
    }
    Ok(contents)
}

/// Writes what is in the archive beneath `root`, which is empty, with these permissions.
fn write(root: &Path, archive: File, folders: u32, files: u32) -> Result<Contents, ReadError> {
    archive::read(io::BufReader::new(archive), &Limits::default(), |entry, content| {
        // The path is clean, nothing here is a link, and its folder came before it.
        let path = root.join(&entry.path);
        match entry.kind {
            EntryKind::Directory => DirBuilder::new().mode(folders).create(path),
            EntryKind::File { .. } => {
                let mut file = OpenOptions::new().write(true).create_new(true).mode(files).open(path)?;
                io::copy(content, &mut file).map(|_| ())
            }
        }
    })
}

/// Opens the archive `file`, which the user called `given`. What was unpacked is removed on any error.
pub(super) fn open(given: &Path, file: File) -> Result<Opened, OpenError> {
    let failed =
        |folder: &Path, source| OpenError::Unpack { path: given.to_owned(), folder: folder.to_owned(), source };
    let place = tempfile::env::temp_dir();
    let owner_only = std::fs::Permissions::from_mode(0o700);
    let folder = tempfile::Builder::new().prefix("krt-").permissions(owner_only).tempdir();
    let folder = folder.map_err(|source| failed(&place, source))?;
    let root = folder.path().canonicalize().map_err(|source| failed(&place, source))?;
    let contents = write(&root, file, 0o700, 0o600).map_err(|error| match error {
        ReadError::Visit { source, .. } => failed(&root, source),
        source => OpenError::Archive { path: given.to_owned(), source },
    })?;
    let manifest = read_manifest(&root, &contents.manifest, &given.join(&contents.manifest))?;
    Ok(Opened {
        given: given.to_owned(),
        root,
        manifest_name: contents.manifest,
        manifest,
        origin: Origin::Archive,
        _unpacked: Some(folder),
    })
}
