//! What the end-to-end tests share: the workspace, the binary, guests and running versions. Asserts nothing itself.

pub mod guests;
pub mod running;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Says that a test was skipped and why. Under `CI=true` a skip is a failure.
///
/// # Panics
/// Under `CI=true`.
pub fn skipped(why: &str) {
    assert!(std::env::var_os("CI").is_none_or(|v| v != "true"), "skipped under CI: {why}");
    eprintln!("skipped: {why}");
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    // The manifest's folder is `<workspace>/tests`.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/"))
}

/// The `krt` binary of the profile that the tests were built in; built when it is not there or not current.
///
/// # Panics
/// When it cannot be built.
pub fn krt_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "-p", "krt-host", "--bin", "krt", "--message-format", "json"]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        let output = cargo.current_dir(workspace()).stderr(Stdio::inherit()).output().expect("cargo starts");
        assert!(output.status.success(), "cargo could not build krt");
        executable(&output.stdout).expect("cargo names the executable")
    })
}

/// A copy of an example, outside the repository, with its components built by `krt build`. Removed on drop.
///
/// # Panics
/// When it cannot be built.
pub fn built_example(name: &str) -> tempfile::TempDir {
    let copy = tempfile::Builder::new().prefix("krt-example-").tempdir().expect("a temporary folder");
    copy_tree(&workspace().join("examples").join(name), copy.path());
    let output = Command::new(krt_binary())
        .args(["build", "."])
        .current_dir(copy.path())
        // Guests of all tests share their dependencies; a user's build would do so within one version.
        .env("CARGO_TARGET_DIR", workspace().join("target/guests").join(name))
        .output()
        .expect("krt starts");
    assert!(output.status.success(), "krt build failed:\n{}", String::from_utf8_lossy(&output.stderr));
    copy
}

fn executable(messages: &[u8]) -> Option<PathBuf> {
    String::from_utf8_lossy(messages).lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let path = message.get("executable")?.as_str()?;
        Path::new(path).ends_with("krt").then(|| PathBuf::from(path))
    })
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("an example") {
        let entry = entry.expect("an entry");
        let name = entry.file_name();
        // What was built in place is not part of what a user copies.
        if name == "target" || name == "bin" {
            continue;
        }
        let target = to.join(&name);
        if entry.file_type().expect("a type").is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}
