//! What was found out about files that have not changed since: which component a file is, that an entry of the cache is whole.
//! So neither is read again by every start. Never the only reason to run code: see `cache`.
//!
//! A file is known again by its device, number, length, and times of change, in the boot in which it was looked at: whoever
//! writes to it changes the last of these, and cannot set it. Nothing is kept of a file that changed within the last
//! seconds: it may change once more without its times showing it. After a boot everything is looked at anew: what
//! was written and not synced may be gone.

use std::fs::{File, Metadata};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::cache::{open_trusted, trusted_folder};

/// Another layout has another mark.
const MARK: &[u8; 32] = b"krt: what was seen of files, 1\n\0";
/// A file's identity and what was found.
const RECORD: usize = 64;
/// The oldest go first. More files than a version has nodes, many times over; 64 KiB are read by every start.
const MOST: usize = 1024;
/// Coarser than the times of every file system that a component may lie on (FAT: 2 s).
const SETTLED: Duration = Duration::from_secs(3);

/// What is said of a file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// The digest of its content.
    Digest,
    /// It is a whole entry of the cache: the digest of its component.
    Whole,
}

/// What is known, in a file of the cache's folder.
pub(super) struct Seen {
    path: PathBuf,
    /// None where the system does not tell: then nothing is kept.
    boot: Option<String>,
    settled: Duration,
}

impl Seen {
    /// In this folder, which is the owner's alone.
    pub(super) fn new(folder: &Path) -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        Self { path: folder.join("seen"), boot, settled: SETTLED }
    }

    /// As [`Self::new`], where files count as settled at once.
    #[cfg(test)]
    pub(super) fn at_once(folder: &Path) -> Self {
        Self { settled: Duration::ZERO, ..Self::new(folder) }
    }

    /// What was found about a file that is as it was then.
    pub(super) fn get(&self, kind: Kind, file: &Metadata) -> Option<[u8; 32]> {
        let identity = self.identity(kind, file)?;
        let records = self.records()?;
        let found = records.chunks_exact(RECORD).rev().find(|record| record[..32] == identity)?;
        found[32..].try_into().ok()
    }

    /// Keeps what was found about a file. `before` and `after`: what the system said of it before it was read and after.
    pub(super) fn put(&self, kind: Kind, before: &Metadata, after: &Metadata, found: [u8; 32]) {
        let Some(identity) = self.identity(kind, before).filter(|_| self.has_settled(after)) else { return };
        if self.identity(kind, after) != Some(identity) {
            return;
        }
        let mut records = self.records().unwrap_or_default();
        let from = (records.len() + RECORD).saturating_sub(MOST * RECORD);
        records.drain(..from);
        records.extend(identity);
        records.extend(found);
        if let Err(error) = self.write(&records) {
            tracing::debug!("what was seen of files is not kept: {error}");
        }
    }

    fn identity(&self, kind: Kind, file: &Metadata) -> Option<[u8; 32]> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.boot.as_ref()?.as_bytes()).update(&[kind as u8]);
        for number in [file.dev(), file.ino(), file.len()] {
            hasher.update(&number.to_le_bytes());
        }
        for number in [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()] {
            hasher.update(&number.to_le_bytes());
        }
        Some(*hasher.finalize().as_bytes())
    }

    fn has_settled(&self, file: &Metadata) -> bool {
        let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) else { return false };
        let changed = [(file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec())];
        changed.into_iter().all(|(seconds, nanos)| {
            let (Ok(seconds), Ok(nanos)) = (u64::try_from(seconds), u32::try_from(nanos)) else { return false };
            Duration::new(seconds, nanos).checked_add(self.settled).is_some_and(|settled| settled <= now)
        })
    }

    /// None if there is none, it is not to be trusted or damaged: then nothing was seen.
    fn records(&self) -> Option<Vec<u8>> {
        let (file, length) = open_trusted(&self.path).ok()?;
        if length > MARK.len() + MOST * RECORD + blake3::OUT_LEN {
            return None;
        }
        let mut bytes = Vec::with_capacity(length);
        file.take(length as u64).read_to_end(&mut bytes).ok()?;
        let digest = bytes.split_off(bytes.len().checked_sub(blake3::OUT_LEN)?);
        let records = bytes.strip_prefix(MARK)?;
        (digest == blake3::hash(&bytes).as_bytes() && records.len() % RECORD == 0).then(|| records.to_owned())
    }

    /// Of two that write at once, one's is kept.
    fn write(&self, records: &[u8]) -> std::io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        trusted_folder(folder).map_err(std::io::Error::other)?;
        let mut file: tempfile::NamedTempFile<File> = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
        let bytes = [MARK, records].concat();
        file.write_all(&bytes)?;
        file.write_all(blake3::hash(&bytes).as_bytes())?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }
}
