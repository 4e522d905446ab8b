//! Opens a package and says clearly when there is none.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use krt::archive;

use super::file::{self, FileError, describe, open_regular, read_file};
use super::{LONGEST_MANIFEST, Opened, Origin, beneath, unpack};

/// What the manifest of a folder is called, in the order in which it is looked for.
const MANIFESTS: [&str; 2] = ["krt.yml", "krt.yaml"];

/// Why there is no package at a path.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Nothing is there.
    #[error("there is nothing at `{}`", path.display())]
    NotFound {
        /// As the user named it.
        path: PathBuf,
    },
    /// A fifo, a device or the like.
    #[error("`{}` is {what}", path.display())]
    NotAPackage {
        /// As the user named it.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A folder without a manifest.
    #[error("the folder `{}` has no krt.yml", path.display())]
    NoManifest {
        /// As the user named it.
        path: PathBuf,
    },
    /// A file without a byte.
    #[error("`{}` is empty", path.display())]
    Empty {
        /// As the user named it.
        path: PathBuf,
    },
    /// A file that is neither a manifest by its name nor an archive by its content.
    #[error("`{}` is neither a .krt archive nor a krt.yml", path.display())]
    UnknownFormat {
        /// As the user named it.
        path: PathBuf,
    },
    /// The manifest is a fifo, too large, or a link out of the folder.
    #[error("the manifest `{}` cannot be read: {source}", path.display())]
    Manifest {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: FileError,
    },
    /// A `.krt` that is damaged, hostile or without a manifest.
    #[error("the archive `{}` is refused: {source}", path.display())]
    Archive {
        /// As the user named it.
        path: PathBuf,
        /// Why.
        source: archive::ReadError,
    },
    /// The archive is fine, the temporary folder is not.
    #[error("the archive `{}` cannot be unpacked to `{}`: {source}", path.display(), folder.display())]
    Unpack {
        /// As the user named it.
        path: PathBuf,
        /// Where to.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system said no.
    #[error("`{}` cannot be read: {source}", path.display())]
    Io {
        /// As the user named it.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl OpenError {
    /// A stable word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not-found",
            Self::NotAPackage { .. } | Self::UnknownFormat { .. } => "not-a-package",
            Self::NoManifest { .. } => "no-manifest",
            Self::Empty { .. } => "empty-file",
            Self::Manifest { .. } => "manifest-unreadable",
            Self::Archive { .. } => "archive-refused",
            Self::Unpack { .. } | Self::Io { .. } => "unreadable",
        }
    }

    /// The file that it is about, as the user would name it.
    pub fn path(&self) -> &Path {
        match self {
            Self::NotFound { path }
            | Self::NotAPackage { path, .. }
            | Self::NoManifest { path }
            | Self::Empty { path }
            | Self::UnknownFormat { path }
            | Self::Manifest { path, .. }
            | Self::Archive { path, .. }
            | Self::Unpack { path, .. }
            | Self::Io { path, .. } => path,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "give the path of a folder with a krt.yml, of a krt.yml or of a .krt",
            Self::NotAPackage { .. } => "give a folder with a krt.yml, a krt.yml or a .krt",
            Self::NoManifest { .. } => "add a krt.yml, or give the folder that has one",
            Self::Empty { .. } => "write a krt.yml, or make a .krt with `krt pack`",
            Self::UnknownFormat { .. } => "a manifest's name ends in .yml or .yaml; `krt pack` makes a .krt",
            Self::Manifest { .. } => "a manifest is a regular file inside its folder, of at most 4 MiB",
            Self::Archive { source: archive::ReadError::NoManifest, .. } => "pack a folder that has a krt.yml",
            Self::Archive { .. } => "get the archive again, or make it anew with `krt pack`",
            Self::Unpack { .. } => "make room there, or set TMPDIR to a folder with more",
            Self::Io { .. } => "see to it that you may read it",
        }
    }
}

pub(super) fn open(path: &Path) -> Result<Opened, OpenError> {
    let given = || path.to_owned();
    let metadata = fs::metadata(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput => {
            OpenError::NotFound { path: given() }
        }
        _ => OpenError::Io { path: given(), source },
    })?;
    if metadata.is_dir() {
        let root = real(path, path)?;
        let there = |name: &&&str| fs::symlink_metadata(root.join(name)).is_ok();
        let name = MANIFESTS.iter().find(there).ok_or_else(|| OpenError::NoManifest { path: given() })?;
        let manifest = read_manifest(&root, name, &beneath(path, name))?;
        let origin = Origin::Folder;
        return Ok(Opened {
            given: given(),
            root,
            manifest_name: (*name).to_owned(),
            manifest,
            origin,
            _unpacked: None,
        });
    }
    if !metadata.is_file() {
        return Err(OpenError::NotAPackage { path: given(), what: describe(metadata.file_type()) });
    }
    let (mut file, length) = open_regular(path).map_err(|error| match error {
        FileError::NotAFile(what) => OpenError::NotAPackage { path: given(), what },
        FileError::Io(source) => OpenError::Io { path: given(), source },
        _ => OpenError::NotFound { path: given() },
    })?;
    let has_manifest_name = path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml");
    if is_gzip(&mut file).map_err(|source| OpenError::Io { path: given(), source })? {
        return unpack::open(path, file);
    }
    match (has_manifest_name, length) {
        (true, _) => open_manifest(path),
        (false, 0) => Err(OpenError::Empty { path: given() }),
        (false, _) => Err(OpenError::UnknownFormat { path: given() }),
    }
}

/// A manifest as such; its folder is the package.
fn open_manifest(path: &Path) -> Result<Opened, OpenError> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| OpenError::UnknownFormat { path: path.to_owned() })?;
    let root = real(folder, path)?;
    // The user named this very file: where a link leads is up to them.
    let manifest = read_file(&root.join(name), LONGEST_MANIFEST)
        .map_err(|source| OpenError::Manifest { path: path.to_owned(), source })?;
    let origin = Origin::Manifest;
    Ok(Opened { given: path.to_owned(), root, manifest_name: name.to_owned(), manifest, origin, _unpacked: None })
}

/// The manifest at `name` in the package, called `shown` when it cannot be read.
pub(super) fn read_manifest(root: &Path, name: &str, shown: &Path) -> Result<Vec<u8>, OpenError> {
    file::inside(root, name)
        .and_then(|path| read_file(&path, LONGEST_MANIFEST))
        .map_err(|source| OpenError::Manifest { path: shown.to_owned(), source })
}

fn real(folder: &Path, given: &Path) -> Result<PathBuf, OpenError> {
    folder.canonicalize().map_err(|source| OpenError::Io { path: given.to_owned(), source })
}

fn is_gzip(file: &mut File) -> io::Result<bool> {
    let mut magic = Vec::with_capacity(2);
    file.take(2).read_to_end(&mut magic)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(magic == [0x1f, 0x8b])
}
