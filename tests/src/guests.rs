//! Guests that stand in this repository for tests alone, built with cargo as a node author would. Asserts nothing.

use std::path::PathBuf;
use std::process::Command;

use crate::workspace;

/// The component of `tests/guests/<name>/node`.
///
/// # Panics
/// When it cannot be built.
pub fn built(name: &str) -> Vec<u8> {
    let target = workspace().join("target/guests").join(name);
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--target", "wasm32-wasip2", "--target-dir"])
        .arg(&target)
        .current_dir(workspace().join("tests/guests").join(name).join("node"))
        // Flags for the host's code would be for the wrong machine.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{name} could not be built:\n{}", String::from_utf8_lossy(&output.stderr));
    let file: PathBuf = target.join("wasm32-wasip2/release").join(format!("{}.wasm", name.replace('-', "_")));
    std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
