//! Compiled components on disk: kept, found again, and not trusted without reason.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::guests::hostile;
use crate::engine::cache::{Cache, Key, Miss};
use crate::engine::{AdoptError, Engine, EngineOptions, Entry, config};

fn engine_with(folder: &Path) -> Engine {
    Engine::new(EngineOptions { cache: Some(folder.to_owned()), max_instances: 4 }).unwrap()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// A cache with one entry, and all that is needed to ask for it.
struct Kept {
    folder: tempfile::TempDir,
    engine: wasmtime::Engine,
    cache: Cache,
    key: Key,
}

impl Kept {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = config::engine(4).unwrap();
        let cache = Cache::new(folder.path().join("cache"), &engine);
        let bytes = hostile();
        let key = Key::of(&bytes);
        cache.store(key, &engine.precompile_component(&bytes).unwrap()).unwrap();
        Self { folder, engine, cache, key }
    }

    fn path(&self) -> PathBuf {
        entries(&self.folder.path().join("cache")).remove(0)
    }

    fn load(&self) -> Result<(), Miss> {
        self.cache.load(self.key, &self.engine).map(drop)
    }
}

#[test]
fn what_was_compiled_is_found_again() {
    Kept::new().load().unwrap();
}

#[test]
fn entries_are_the_owners_alone() {
    let kept = Kept::new();
    assert_eq!(fs::metadata(kept.path()).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(kept.path().parent().unwrap()).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn a_damaged_entry_is_not_loaded() {
    let kept = Kept::new();
    let whole = fs::read(kept.path()).unwrap();
    for at in [0, whole.len() / 2, whole.len() - 1, whole.len() - 40] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(kept.path(), damaged).unwrap();
        assert!(matches!(kept.load(), Err(Miss::Damaged)), "byte {at}");
    }
    for length in [0, 10, 48, whole.len() - 1] {
        fs::write(kept.path(), &whole[..length]).unwrap();
        assert!(matches!(kept.load(), Err(Miss::Damaged)), "{length} bytes");
    }
    fs::write(kept.path(), [&whole[..], b"more"].concat()).unwrap();
    assert!(matches!(kept.load(), Err(Miss::Damaged)));
}

#[test]
fn the_entry_of_another_component_is_not_loaded() {
    let kept = Kept::new();
    let other = Key::of(b"another component");
    assert!(matches!(kept.cache.load(other, &kept.engine), Err(Miss::Absent)));
    let code = fs::read(kept.path()).unwrap();
    kept.cache.store(other, b"").unwrap();
    let path = entries(kept.path().parent().unwrap());
    for path in path {
        fs::write(path, &code).unwrap();
    }
    assert!(matches!(kept.cache.load(other, &kept.engine), Err(Miss::Damaged)));
    kept.load().unwrap();
}

#[test]
fn what_others_may_write_to_is_not_loaded() {
    let kept = Kept::new();
    fs::set_permissions(kept.path(), fs::Permissions::from_mode(0o622)).unwrap();
    assert!(matches!(kept.load(), Err(Miss::Untrusted(_))));
    fs::set_permissions(kept.path(), fs::Permissions::from_mode(0o600)).unwrap();
    let folder = kept.path().parent().unwrap().to_owned();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(kept.load(), Err(Miss::Untrusted(_))));
    assert!(matches!(kept.cache.store(kept.key, b""), Err(Miss::Untrusted(_))));
}

#[test]
fn what_belongs_to_another_user_is_not_loaded() {
    let kept = Kept::new();
    if std::os::unix::fs::chown(kept.path(), Some(12345), None).is_err() {
        eprintln!("skipped: only root can give files away");
        assert!(std::env::var_os("CI").is_none(), "CI must be able to");
        return;
    }
    assert!(matches!(kept.load(), Err(Miss::Untrusted(_))));
}

#[test]
fn a_link_is_not_followed() {
    let kept = Kept::new();
    let (path, aside) = (kept.path(), kept.folder.path().join("aside"));
    fs::rename(&path, &aside).unwrap();
    symlink(&aside, &path).unwrap();
    assert!(matches!(kept.load(), Err(Miss::Io(_))));
}

#[test]
fn a_damaged_entry_is_compiled_anew_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("deep/cache");
    engine_with(&cache).load("node.wasm", &hostile()).unwrap();
    let path = entries(&cache).remove(0);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, b"nonsense").unwrap();
    engine_with(&cache).load("node.wasm", &hostile()).unwrap();
    assert_eq!(fs::read(&path).unwrap().len(), whole.len());
    assert_eq!(entries(&cache).len(), 1);
}

#[test]
fn an_entry_that_is_good_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    engine_with(folder.path()).load("node.wasm", &hostile()).unwrap();
    let before = fs::metadata(entries(folder.path()).remove(0)).unwrap().ino();
    engine_with(folder.path()).load("node.wasm", &hostile()).unwrap();
    assert_eq!(fs::metadata(entries(folder.path()).remove(0)).unwrap().ino(), before);
}

#[test]
fn several_hosts_may_fill_one_cache_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = hostile();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| engine_with(folder.path()).load("node.wasm", &bytes).map(drop).unwrap());
        }
    });
    assert_eq!(entries(folder.path()).len(), 1);
    engine_with(folder.path()).load("node.wasm", &bytes).map(drop).unwrap();
}

#[test]
fn a_folder_that_cannot_be_made_costs_time_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    engine_with(&file.join("cache")).load("node.wasm", &hostile()).map(drop).unwrap();
    engine_with(&file).load("node.wasm", &hostile()).map(drop).unwrap();
}

#[test]
fn what_was_compiled_elsewhere_is_taken_only_for_its_component_and_engine_and_whole() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (there, here) = (there.path().join("cache"), here.path().join("cache"));
    let entry = engine_with(&there).compile_ahead("hostile", &hostile()).unwrap().unwrap();
    let engine = engine_with(&here);
    let refused = |change: &dyn Fn(&mut Entry)| {
        let mut changed = entry.clone();
        change(&mut changed);
        engine.adopt(&changed).unwrap_err()
    };
    assert!(matches!(refused(&|it| it.bytes[100] ^= 1), AdoptError::Refused(_)));
    assert!(matches!(refused(&|it| it.bytes.clear()), AdoptError::Refused(_)));
    assert!(matches!(refused(&|it| it.bytes.truncate(10)), AdoptError::Refused(_)));
    let other = format!("{}{}", "0".repeat(64), &entry.name[64..]);
    assert!(matches!(refused(&|it| it.name = other.clone()), AdoptError::Refused(_)), "of another component");
    assert!(matches!(refused(&|it| it.name = it.name.replace(".cwasm", "0.cwasm")), AdoptError::OtherEngine { .. }));
    assert!(matches!(refused(&|it| it.name = "../../x".to_owned()), AdoptError::OtherEngine { .. }));
    assert!(!here.exists(), "nothing of that was kept");
    engine.adopt(&entry).unwrap();
    assert_eq!(fs::read(here.join(&entry.name)).unwrap(), entry.bytes);
    engine.load("hostile", &hostile()).unwrap();
    let without = Engine::new(EngineOptions { cache: None, max_instances: 4 }).unwrap();
    assert!(matches!(without.adopt(&entry), Err(AdoptError::NoCache)));
}

/// A component in a file of its own, and a cache in which files count as settled at once.
fn written(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("node.wasm");
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_file_that_was_read_is_known_until_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let engine = config::engine(4).unwrap();
    let cache = Cache::at_once(folder.path().join("cache"), &engine);
    let key = Key::of(&hostile());
    cache.store(key, b"so that there is a folder").unwrap();
    let path = written(folder.path(), &hostile());
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!(cache.known(&metadata), None, "nobody has read it");
    cache.know(&metadata, &metadata, key);
    assert_eq!(cache.known(&metadata), Some(key));
    assert_eq!(cache.known(&fs::metadata(&path).unwrap()), Some(key), "nothing has changed");

    // As long as before, with the time of before: what remains is the time that nobody sets.
    let mut changed = hostile();
    changed.reverse();
    let mut after = metadata.clone();
    // Until the clock of the file system has gone on, which settled files have behind them.
    while (after.ctime(), after.ctime_nsec()) == (metadata.ctime(), metadata.ctime_nsec()) {
        fs::write(&path, &changed).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(metadata.modified().unwrap()).unwrap();
        after = fs::metadata(&path).unwrap();
    }
    assert_eq!((after.len(), after.mtime_nsec()), (metadata.len(), metadata.mtime_nsec()));
    assert_eq!(cache.known(&after), None);
    cache.know(&metadata, &after, key);
    assert_eq!(cache.known(&after), None, "it changed while it was read");
}

#[test]
fn a_file_that_has_just_changed_is_not_said_to_be_known() {
    let folder = tempfile::tempdir().unwrap();
    let engine = config::engine(4).unwrap();
    let cache = Cache::new(folder.path().join("cache"), &engine);
    let key = Key::of(&hostile());
    cache.store(key, b"so that there is a folder").unwrap();
    let metadata = fs::metadata(written(folder.path(), &hostile())).unwrap();
    cache.know(&metadata, &metadata, key);
    assert_eq!(cache.known(&metadata), None);
}

#[test]
fn a_component_is_told_by_its_file_once_it_was_read_and_anew_when_that_changes() {
    let folder = tempfile::tempdir().unwrap();
    let load = |path: &Path| {
        let engine = engine_with(&folder.path().join("cache"));
        engine.load_file("node.wasm", &mut fs::File::open(path).unwrap(), 1 << 20).map(drop)
    };
    let path = written(folder.path(), &hostile());
    load(&path).unwrap();
    load(&path).unwrap();
    fs::write(&path, b"#!/bin/sh").unwrap();
    assert!(load(&path).unwrap_err().to_string().contains("is not a WebAssembly component"));
    let engine = engine_with(&folder.path().join("cache"));
    let refused = engine.load_file("node.wasm", &mut fs::File::open(&path).unwrap(), 4).map(drop);
    assert!(refused.unwrap_err().to_string().contains("9 bytes; 4 are allowed"));
}

#[test]
fn an_entry_found_whole_is_not_read_again_until_it_changes() {
    let mut kept = Kept::new();
    kept.cache = Cache::at_once(kept.folder.path().join("cache"), &kept.engine);
    let path = kept.path();
    kept.load().unwrap();
    let seen = kept.folder.path().join("cache/seen");
    let length = fs::metadata(&seen).unwrap().len();
    kept.load().unwrap();
    assert_eq!(fs::metadata(&seen).unwrap().len(), length, "it was known");
    // A byte of its code.
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(matches!(kept.load(), Err(Miss::Damaged)));
}

#[test]
fn what_was_seen_is_worth_nothing_once_it_is_damaged_or_anybodys() {
    let mut kept = Kept::new();
    kept.cache = Cache::at_once(kept.folder.path().join("cache"), &kept.engine);
    let metadata = fs::metadata(kept.path()).unwrap();
    let seen = kept.folder.path().join("cache/seen");
    kept.cache.know(&metadata, &metadata, kept.key);
    assert_eq!(kept.cache.known(&metadata), Some(kept.key));
    fs::set_permissions(&seen, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(kept.cache.known(&metadata), None);
    fs::set_permissions(&seen, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(kept.cache.known(&metadata), Some(kept.key));
    let whole = fs::read(&seen).unwrap();
    for cut in [0, 1, 31, 32, 33, whole.len() - 1] {
        fs::write(&seen, &whole[..cut]).unwrap();
        assert_eq!(kept.cache.known(&metadata), None, "{cut}");
    }
    // It is written anew.
    kept.cache.know(&metadata, &metadata, kept.key);
    assert_eq!(kept.cache.known(&metadata), Some(kept.key));
    for _ in 0..1100 {
        kept.cache.know(&metadata, &metadata, kept.key);
    }
    assert!(fs::metadata(&seen).unwrap().len() <= 1024 * 64 + 64, "it is bounded");
}
