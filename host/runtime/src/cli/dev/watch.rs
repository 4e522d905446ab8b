//! Which files of a version change. Knows what no person writes, and nothing of nodes.
//!
//! Reads inotify by rustix, which is here anyway: a watcher for all systems brings a dozen crates for those that krt does not
//! run on.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use anyhow::Context as _;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use walkdir::WalkDir;

/// What tools leave behind. Hidden files are left out as well. What a build writes elsewhere counts as a change once, and then
/// no more: its content is the same after the next build.
const MADE: [&str; 4] = ["target", "node_modules", "__pycache__", "venv"];

/// An editor that saves a file writes, renames and touches; several files are saved at once.
const SETTLED: Duration = Duration::from_millis(50);

/// Bytes of events that are read at once; one has at most 16 and a name of 255.
const BUFFER: usize = 64 << 10;

/// Watches a version's folder.
pub(super) struct Watch {
    root: PathBuf,
    inotify: Arc<OwnedFd>,
    /// The watched folders by their numbers.
    folders: HashMap<i32, PathBuf>,
    events: Receiver<Told>,
    /// What files held when they were last looked at.
    known: HashMap<PathBuf, Option<blake3::Hash>>,
}

/// What the kernel tells.
enum Told {
    /// Something happened to this name in the folder of this number.
    Change(i32, OsString),
    /// It has forgotten some: anything may have happened.
    Overflow,
}

impl Watch {
    /// Begins to watch.
    pub(super) fn start(root: &Path) -> anyhow::Result<Self> {
        let inotify = Arc::new(inotify::init(CreateFlags::CLOEXEC).context("watching files")?);
        let (sender, events) = channel();
        let reader = inotify.clone();
        // It waits in the kernel, and ends with the process.
        std::thread::Builder::new().name("watch".into()).spawn(move || read(&reader, &sender))?;
        let (folders, known) = (HashMap::new(), HashMap::new());
        let mut watch = Self { root: root.to_owned(), inotify, folders, events, known };
        watch.add(root)?;
        for file in watch.files(root) {
            watch.is_news(&file);
        }
        Ok(watch)
    }

    /// Waits for changes: the files that changed, once it is quiet again. None when there is nothing more to wait for.
    pub(super) fn changed(&mut self) -> anyhow::Result<Option<BTreeSet<PathBuf>>> {
        let mut changed = BTreeSet::new();
        loop {
            let next = if changed.is_empty() {
                self.events.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                self.events.recv_timeout(SETTLED)
            };
            match next {
                Ok(told) => self.take(told, &mut changed)?,
                Err(RecvTimeoutError::Timeout) => {
                    changed.retain(|path| self.is_news(path));
                    if !changed.is_empty() {
                        return Ok(Some(changed));
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }

    fn take(&mut self, told: Told, changed: &mut BTreeSet<PathBuf>) -> anyhow::Result<()> {
        let path = match told {
            Told::Overflow => self.root.clone(),
            Told::Change(folder, name) => match self.folders.get(&folder) {
                Some(folder) => folder.join(name),
                // Not watched any more.
                None => return Ok(()),
            },
        };
        if !self.is_source(&path) {
            return Ok(());
        }
        if path.is_dir() {
            // What is in it by now is found; what comes later is told.
            self.add(&path)?;
            changed.extend(self.files(&path));
        } else {
            changed.insert(path);
        }
        Ok(())
    }

    /// The source files in a folder.
    fn files(&self, folder: &Path) -> Vec<PathBuf> {
        let entries = WalkDir::new(folder).into_iter().filter_entry(|entry| self.is_source(entry.path()));
        entries.flatten().filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
    }

    /// Whether a file holds other bytes than when it was last looked at.
    fn is_news(&mut self, path: &Path) -> bool {
        let holds = std::fs::read(path).ok().map(|bytes| blake3::hash(&bytes));
        self.known.insert(path.to_owned(), holds) != Some(holds)
    }

    /// Watches a folder and those in it, one by one: what is left out is not watched, however large it is.
    fn add(&mut self, folder: &Path) -> anyhow::Result<()> {
        let entries = WalkDir::new(folder).into_iter();
        let root = self.root.clone();
        let folders = entries.filter_entry(|entry| is_source(&root, entry.path()));
        let folders = folders.flatten().filter(|entry| entry.file_type().is_dir());
        for entry in folders {
            let flags = WatchFlags::CLOSE_WRITE
                | WatchFlags::CREATE
                | WatchFlags::DELETE
                | WatchFlags::MOVED_FROM
                | WatchFlags::MOVED_TO
                | WatchFlags::ONLYDIR;
            match inotify::add_watch(&*self.inotify, entry.path(), flags) {
                Ok(number) => {
                    self.folders.insert(number, entry.into_path());
                }
                Err(error) if entry.path().exists() => {
                    return Err(error).with_context(|| format!("watching {}", entry.path().display()));
                }
                // Gone before it could be watched.
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn is_source(&self, path: &Path) -> bool {
        is_source(&self.root, path)
    }
}

/// Hands on what the kernel tells, for as long as anybody listens.
fn read(inotify: &OwnedFd, events: &Sender<Told>) {
    let mut buffer = vec![MaybeUninit::uninit(); BUFFER];
    let mut reader = inotify::Reader::new(inotify, &mut buffer);
    loop {
        let told = match reader.next() {
            Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => Told::Overflow,
            Ok(event) => match event.file_name() {
                Some(name) => Told::Change(event.wd(), OsStr::from_bytes(name.to_bytes()).to_owned()),
                // About a folder itself: the one above tells that, too.
                None => continue,
            },
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
        };
        if events.send(told).is_err() {
            return;
        }
    }
}

/// Whether people write what is at `path`, in the version's folder `root`.
fn is_source(root: &Path, path: &Path) -> bool {
    let inside = path.strip_prefix(root).unwrap_or(path);
    // The components.
    !inside.starts_with("bin") && inside.components().all(|part| is_written(part.as_os_str()))
}

/// Whether people write files of this name.
fn is_written(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    // Editors' backups and locks.
    let scratch = name.starts_with('.') || name.ends_with('~') || name.ends_with(".swp") || name.starts_with('#');
    !scratch && !MADE.contains(&&*name)
}
