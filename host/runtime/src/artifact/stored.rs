//! A package as one file with a digest: what is stored away from this machine.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};

use sha2::Digest as _;

use super::{Digest, Origin, PackError, Package};

/// A `.krt` on this machine, read from its beginning. A temporary one is removed when this is closed.
#[derive(Debug)]
pub struct Archive {
    /// The file.
    pub file: File,
    /// Bytes of it.
    pub size: u64,
    /// Of its bytes.
    pub digest: Digest,
}

/// Why there is no archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Something in the folder cannot be packed.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The archive cannot be read, or there is no room for one.
    #[error("the archive: {0}")]
    Io(#[from] io::Error),
}

pub(super) fn archive(package: &Package) -> Result<Archive, ArchiveError> {
    if package.origin() == Origin::Archive {
        return Ok(read(File::open(&package.0.given)?)?);
    }
    let mut file = tempfile::tempfile()?;
    let packed = package.pack(&file, &[])?;
    file.rewind()?;
    let digest = packed.digest.parse().map_err(io::Error::other)?;
    Ok(Archive { file, size: packed.size, digest })
}

/// Reads `file` through for its digest, and winds it back.
pub(super) fn read(mut file: File) -> io::Result<Archive> {
    let (mut hash, mut size, mut buffer) = (sha2::Sha256::new(), 0, vec![0; 64 << 10]);
    file.rewind()?;
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        hash.update(&buffer[..n]);
        size += n as u64;
    }
    file.rewind()?;
    Ok(Archive { file, size, digest: Digest::from_hash(&hash.finalize()) })
}
