//! Guests in JavaScript, built by `krt build` as a node author would. Asserts nothing itself.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use crate::{copy_tree, krt_binary, skipped, workspace};

/// Whether the machine has what builds them; says so when it has not.
pub fn is_there() -> bool {
    let there = |tool: &str| Command::new(tool).arg("--version").output().is_ok();
    let there = there("node") && there("npm");
    if !there {
        skipped("guests in JavaScript are built with node and npm");
    }
    there
}

/// A copy of the version at `path` (relative to the workspace), its node under this engine. Removed on drop.
///
/// # Panics
/// When it cannot be copied.
pub fn version(path: &str, engine: &str) -> tempfile::TempDir {
    let version = tempfile::Builder::new().prefix("krt-javascript-").tempdir().expect("a temporary folder");
    copy_tree(&workspace().join(path), version.path());
    choose(&version.path().join("node/package.json"), engine);
    version
}

/// Sets the engine in a node's package.json.
///
/// # Panics
/// When the file cannot be read or written.
pub fn choose(package: &Path, engine: &str) {
    let text = std::fs::read(package).expect("a package.json");
    let mut value: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    value["krt"] = serde_json::json!({ "engine": engine });
    std::fs::write(package, value.to_string()).expect("written");
}

/// What `krt build` says of a version.
///
/// # Panics
/// When krt does not start.
pub fn build(version: &Path) -> Output {
    Command::new(krt_binary()).args(["build", "."]).current_dir(version).output().expect("krt starts")
}

/// The component of the version at `path` (relative to the workspace), under this engine. Built in a place of its own, so
/// that it is built again only when something has changed.
///
/// # Panics
/// When it cannot be built.
pub fn component(path: &str, engine: &str, src: &str) -> Vec<u8> {
    // Tests of one process may want it at once.
    static BUILDING: Mutex<()> = Mutex::new(());
    let _alone = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let version = workspace().join("target/guests").join(path).join(engine);
    copy_tree(&workspace().join(path), &version);
    choose(&version.join("node/package.json"), engine);
    let output = build(&version);
    assert!(output.status.success(), "krt build failed:\n{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(version.join(src)).expect("the component")
}

/// Where `krt build` leaves machine code: what it compiled need not be compiled again.
pub fn machine_code() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("KRT_CACHE_DIR")
        .or_else(|| absolute("XDG_CACHE_HOME").map(|path| path.join("krt")))
        .or_else(|| absolute("HOME").map(|path| path.join(".cache/krt")))
}
