//! Compiled components on disk. Loads only what this host compiled; never reports an error that matters to a node.
//!
//! # Why the unsafe load is sound
//! A compiled component is native code, and wasmtime takes it on trust. It comes from here only if
//! * the folder and the file belong to the user this process runs as, and nobody else may write to either (a folder is
//!   made 0700, a file 0600): whoever can forge an entry is this user already, and needs no entry to run code;
//! * it is a regular file, not a link, opened once: what is checked is what is mapped (through `/proc/self/fd`);
//! * its last bytes are a digest over all others, over the component it was compiled from and over the engine's
//!   compatibility hash: a torn, damaged, renamed or outdated entry is not an entry, and is compiled anew. Found whole once,
//!   it is not read again in the same boot as long as it is the same file, unchanged (`seen`).
//!
//! An entry may have been compiled by another krt, of the same engine, and be [adopted](Cache::adopt): then its digest was
//! told by who starts this process, who can have it run anything anyway, and not by the place that the entry came from.
//!
//! Nothing here changes a file in place: an entry is written beside, and renamed, so a mapped one stays as it was.
//! Packages never bring compiled code: the key is the digest of the component, and entries are made here alone.

use std::fs::{self, File, FileTimes};
use std::hash::{Hash as _, Hasher};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;
use wasmtime::{Engine, Precompiled};

use super::seen::{Kind, Seen};

/// Ends every entry, before the digest. Another layout has another mark.
const MARK: [u8; 16] = *b"krt-cwasm-1\0\0\0\0\0";
const TRAILER: usize = MARK.len() + blake3::OUT_LEN;

/// Larger than any component's code; what a damaged file system may claim is not read.
const MAX_ENTRY: u64 = 1 << 30;

const DAY: Duration = Duration::from_secs(86_400);

/// Compiled components by the digest of their source.
pub(super) struct Cache {
    folder: PathBuf,
    /// The engine's compatibility hash, as 32 hexadecimal digits.
    engine: String,
    seen: Seen,
}

/// Bytes that are hashed at once: no more than the core's own cache holds.
const PIECE: usize = 256 << 10;

/// Which component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

/// Why there is no entry.
#[derive(Debug, thiserror::Error)]
pub(super) enum Miss {
    /// There is none.
    #[error("not compiled before")]
    Absent,
    /// There is something that must not be loaded.
    #[error("not to be trusted: {0}")]
    Untrusted(&'static str),
    /// There is something that is not whole.
    #[error("damaged")]
    Damaged,
    /// The disk.
    #[error(transparent)]
    Io(io::Error),
    /// The engine does not take it after all.
    #[error("{0:#}")]
    Engine(wasmtime::Error),
}

impl Key {
    /// Of a component's bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// From a component's digest, in hexadecimal.
    pub(super) fn from_hex(hex: &str) -> Option<Self> {
        let mut key = [0; 32];
        if hex.len() != 64 || !hex.is_ascii() {
            return None;
        }
        for (byte, at) in key.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&hex[at..at + 2], 16).ok()?;
        }
        Some(Self(key))
    }

    /// The digest.
    pub(super) fn bytes(self) -> [u8; 32] {
        self.0
    }

    fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Cache {
    /// A cache in `folder`, which is made when something is to be kept.
    pub(super) fn new(folder: PathBuf, engine: &Engine) -> Self {
        let mut hasher = EngineHasher(blake3::Hasher::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let engine = hasher.0.finalize().to_hex()[..32].to_owned();
        let seen = Seen::new(&folder);
        Self { folder, engine, seen }
    }

    /// As [`Self::new`], where files count as settled at once.
    #[cfg(test)]
    pub(super) fn at_once(folder: PathBuf, engine: &Engine) -> Self {
        let seen = Seen::at_once(&folder);
        Self { seen, ..Self::new(folder, engine) }
    }

    /// Which component a file is, if it was read before and has not changed.
    pub(super) fn known(&self, file: &fs::Metadata) -> Option<Key> {
        self.seen.get(Kind::Digest, file).map(Key)
    }

    /// Keeps which component a file is. `before` and `after`: what the system said of it before it was read and after.
    pub(super) fn know(&self, before: &fs::Metadata, after: &fs::Metadata, key: Key) {
        self.seen.put(Kind::Digest, before, after, key.0);
    }

    /// The compiled component, if it is there and may be loaded.
    pub(super) fn load(&self, key: Key, engine: &Engine) -> Result<Component, Miss> {
        trusted_folder(&self.folder)?;
        let (mut file, size) = open_trusted(&self.path(key))?;
        let before = file.metadata().map_err(Miss::Io)?;
        if self.seen.get(Kind::Whole, &before) != Some(key.0) {
            self.verify(key, &mut file, size)?;
            self.seen.put(Kind::Whole, &before, &file.metadata().map_err(Miss::Io)?, key.0);
        }
        used(&file, &before);
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        if !matches!(Engine::detect_precompiled_file(&path), Ok(Some(Precompiled::Component))) {
            return Err(Miss::Damaged);
        }
        // SAFETY: see the head of this file. The file was just seen to be what this host wrote, is writable by this
        // user alone, and is never changed in place.
        unsafe { Component::deserialize_file(engine, &path) }.map_err(Miss::Engine)
    }

    /// The whole entry, for a cache elsewhere.
    pub(super) fn entry(&self, key: Key) -> Result<Vec<u8>, Miss> {
        trusted_folder(&self.folder)?;
        let (mut file, size) = open_trusted(&self.path(key))?;
        let mut bytes = Vec::with_capacity(size);
        file.read_to_end(&mut bytes).map_err(Miss::Io)?;
        if bytes.len() != size {
            return Err(Miss::Damaged);
        }
        self.code(key, &bytes)?;
        Ok(bytes)
    }

    /// Keeps an entry of a cache elsewhere. It must be of this component and this engine; who calls has verified that it is
    /// what the control plane compiled.
    pub(super) fn adopt(&self, key: Key, entry: &[u8]) -> Result<(), Miss> {
        let code = self.code(key, entry)?;
        self.store(key, code)
    }

    /// The code of an entry, if it is whole, and that of this component and this engine.
    fn code<'a>(&self, key: Key, entry: &'a [u8]) -> Result<&'a [u8], Miss> {
        let split = entry.len().checked_sub(TRAILER).and_then(|at| entry.split_at_checked(at));
        let (code, trailer) = split.ok_or(Miss::Damaged)?;
        if trailer[..MARK.len()] != MARK || trailer[MARK.len()..] != self.digest(key, code) {
            return Err(Miss::Damaged);
        }
        Ok(code)
    }

    /// Keeps a compiled component.
    ///
    /// # Errors
    /// The disk, or a folder that is not to be trusted. Nothing is lost but time.
    pub(super) fn store(&self, key: Key, code: &[u8]) -> Result<(), Miss> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(Miss::Io)?;
        trusted_folder(&self.folder)?;
        // 0600, and a name that nobody else has: two writers of one entry each put a whole one in place.
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.folder).map_err(Miss::Io)?;
        file.write_all(code).map_err(Miss::Io)?;
        file.write_all(&MARK).map_err(Miss::Io)?;
        file.write_all(&self.digest(key, code)).map_err(Miss::Io)?;
        // Not synced: after a power cut the digest tells.
        file.persist(self.path(key)).map_err(|error| Miss::Io(error.error))?;
        Ok(())
    }

    fn path(&self, key: Key) -> PathBuf {
        self.folder.join(self.file_name(key))
    }

    /// The name of the file that a component is, or would be, in.
    pub(super) fn engine(&self) -> &str {
        &self.engine
    }

    /// How the file of a component is called.
    pub(super) fn file_name(&self, key: Key) -> String {
        format!("{}-{}.cwasm", key.hex(), self.engine)
    }

    /// Reads an entry of this length to its end, and its digest there.
    fn verify(&self, key: Key, file: &mut File, size: usize) -> Result<(), Miss> {
        let mut left = size.checked_sub(TRAILER).ok_or(Miss::Damaged)?;
        let mut hasher = self.hasher(key);
        let mut piece = vec![0; PIECE.min(left)];
        while left > 0 {
            let piece = &mut piece[..PIECE.min(left)];
            file.read_exact(piece).map_err(cut_short)?;
            hasher.update(piece);
            left -= piece.len();
        }
        let mut trailer = [0; TRAILER];
        file.read_exact(&mut trailer).map_err(cut_short)?;
        let (mark, digest) = trailer.split_at(MARK.len());
        let is_whole = mark == MARK && digest == hasher.finalize().as_bytes();
        is_whole.then_some(()).ok_or(Miss::Damaged)
    }

    fn digest(&self, key: Key, code: &[u8]) -> [u8; blake3::OUT_LEN] {
        *self.hasher(key).update(code).finalize().as_bytes()
    }

    fn hasher(&self, key: Key) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_keyed(&key.0);
        hasher.update(&MARK).update(self.engine.as_bytes());
        hasher
    }
}

/// Says of an entry that it is used, by its time: whoever prunes the folder goes by that. At most once a day, since it is
/// another file for `seen` then, and read once more.
fn used(file: &File, metadata: &fs::Metadata) {
    let now = SystemTime::now();
    if metadata.modified().is_ok_and(|then| now.duration_since(then).is_ok_and(|since| since > DAY)) {
        // A folder that cannot be written to is not pruned either.
        let _ = file.set_times(FileTimes::new().set_modified(now));
    }
}

/// Opens a regular file that this user alone may write to, and says how long it is.
pub(super) fn open_trusted(path: &Path) -> Result<(File, usize), Miss> {
    let nofollow = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    let file = File::options().read(true).custom_flags(nofollow).open(path).map_err(not_found)?;
    let size = trusted_file(&file.metadata().map_err(Miss::Io)?)?;
    Ok((file, size))
}

fn cut_short(error: io::Error) -> Miss {
    if error.kind() == io::ErrorKind::UnexpectedEof { Miss::Damaged } else { Miss::Io(error) }
}

pub(super) fn trusted_folder(folder: &Path) -> Result<(), Miss> {
    let metadata = fs::symlink_metadata(folder).map_err(not_found)?;
    if !metadata.is_dir() {
        return Err(Miss::Untrusted("the cache is not a folder"));
    }
    own(&metadata)
}

fn trusted_file(metadata: &fs::Metadata) -> Result<usize, Miss> {
    if !metadata.is_file() {
        return Err(Miss::Untrusted("not a regular file"));
    }
    own(metadata)?;
    if metadata.len() > MAX_ENTRY {
        return Err(Miss::Damaged);
    }
    usize::try_from(metadata.len()).map_err(|_| Miss::Damaged)
}

fn own(metadata: &fs::Metadata) -> Result<(), Miss> {
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(Miss::Untrusted("it belongs to another user"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(Miss::Untrusted("others may write to it"));
    }
    Ok(())
}

fn not_found(error: io::Error) -> Miss {
    if error.kind() == io::ErrorKind::NotFound { Miss::Absent } else { Miss::Io(error) }
}

/// The standard hasher may change with the compiler; file names should not.
struct EngineHasher(blake3::Hasher);

impl Hasher for EngineHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}
