//! What the end-to-end tests share: the workspace, the binary, guests and running versions. Asserts nothing itself.

pub mod bus;
pub mod c_bindings;
pub mod chart;
pub mod cluster;
pub mod command;
pub mod guests;
pub mod influx;
pub mod interop;
pub mod javascript;
pub mod ledger;
pub mod load;
pub mod lone;
pub mod mails;
pub mod mongo;
pub mod nats;
pub mod offered;
pub mod process;
pub mod registry;
pub mod relay;
pub mod running;
pub mod web;
pub mod writer;
pub mod zig;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Says that a test was skipped and why. Under `CI=true` a skip is a failure.
///
/// # Panics
/// Under `CI=true`.
pub fn skipped(why: &str) {
    assert!(std::env::var_os("CI").is_none_or(|v| v != "true"), "skipped under CI: {why}");
    use std::io::Write as _;
    // Not captured by the test harness, so that it is seen.
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// The path that one of `scripts` prints, which fetches or builds a tool the first time; the first argument is its name. None
/// where it fails, and `otherwise` is said.
///
/// # Panics
/// When it does not start; under `CI=true`, when it fails.
pub fn script(arguments: &[&str], otherwise: &str) -> Option<PathBuf> {
    let (name, arguments) = arguments.split_first().expect("a script's name");
    let output = Command::new(workspace().join("scripts").join(name))
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .expect("the script starts");
    if !output.status.success() {
        skipped(otherwise);
        return None;
    }
    Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    // The manifest's folder is `<workspace>/tests`.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/"))
}

/// The `krt` binary of the profile that the tests were built in; built when it is not there or not current. Where
/// `KRT_TEST_BINARY` names another, such as the one that is to be shipped, that one.
///
/// # Panics
/// When it cannot be built.
pub fn krt_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(given) = std::env::var_os("KRT_TEST_BINARY") {
            return given.into();
        }
        // The whole workspace: then dependencies have the features that they have in the tests, and are there already.
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--workspace", "--bin", "krt", "--message-format", "json"]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        // What cargo tells the package under test is not for the packages that this builds: the build script of ring
        // watches these variables, and everything above it would be compiled anew.
        for (name, _) in std::env::vars_os() {
            let about_a_package = |prefix| name.to_string_lossy().starts_with(prefix);
            if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"]
                .into_iter()
                .any(about_a_package)
            {
                cargo.env_remove(name);
            }
        }
        let output = cargo.current_dir(workspace()).stderr(Stdio::inherit()).output().expect("cargo starts");
        assert!(output.status.success(), "cargo could not build krt");
        executable(&output.stdout).expect("cargo names the executable")
    })
}

/// A copy, outside the repository, of the version at `path` (relative to the workspace), with its components built by
/// `krt build`. Removed on drop.
///
/// # Panics
/// When it cannot be built.
pub fn built(path: &str) -> tempfile::TempDir {
    let copy = tempfile::Builder::new().prefix("krt-version-").tempdir().expect("a temporary folder");
    copy_tree(&workspace().join(path), copy.path());
    let output = Command::new(krt_binary())
        .args(["build", "."])
        .current_dir(copy.path())
        // Guests of all tests share their dependencies; a user's build would do so within one version.
        .env("CARGO_TARGET_DIR", workspace().join("target/guests").join(path))
        .output()
        .expect("krt starts");
    assert!(output.status.success(), "krt build failed:\n{}", String::from_utf8_lossy(&output.stderr));
    copy
}

/// A copy of an example, built. Removed on drop.
///
/// # Panics
/// When it cannot be built.
pub fn built_example(name: &str) -> tempfile::TempDir {
    built(&format!("examples/{name}"))
}

fn executable(messages: &[u8]) -> Option<PathBuf> {
    String::from_utf8_lossy(messages).lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let path = message.get("executable")?.as_str()?;
        Path::new(path).ends_with("krt").then(|| PathBuf::from(path))
    })
}

/// Copies a folder, but for what was built in it.
///
/// # Panics
/// When it cannot be read or written.
pub fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("an example") {
        let entry = entry.expect("an entry");
        let name = entry.file_name();
        // What was built in place is not part of what a user copies.
        if ["target", "bin", ".cargo", ".venv", "node_modules"].into_iter().any(|built| name == built) {
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
