//! Unpacks a `.krt` into a temporary folder that only its owner can enter.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use krt::archive::{self, EntryKind, Limits, ReadError};

use super::open::read_manifest;
use super::{OpenError, Opened, Origin};

/// Opens the archive `file`, which the user called `given`. What was unpacked is removed on any error.
pub(super) fn open(given: &Path, file: File) -> Result<Opened, OpenError> {
    let failed =
        |folder: &Path, source| OpenError::Unpack { path: given.to_owned(), folder: folder.to_owned(), source };
    let place = tempfile::env::temp_dir();
    let owner_only = std::fs::Permissions::from_mode(0o700);
    let folder = tempfile::Builder::new().prefix("krt-").permissions(owner_only).tempdir();
    let folder = folder.map_err(|source| failed(&place, source))?;
    let root = folder.path().canonicalize().map_err(|source| failed(&place, source))?;
    let contents = archive::read(io::BufReader::new(file), &Limits::default(), |entry, content| {
        // The path is clean, nothing here is a link, and its folder came before it.
        let path = root.join(&entry.path);
        match entry.kind {
            EntryKind::Directory => DirBuilder::new().mode(0o700).create(path),
            EntryKind::File { .. } => {
                let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
                io::copy(content, &mut file).map(|_| ())
            }
        }
    })
    .map_err(|error| match error {
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
