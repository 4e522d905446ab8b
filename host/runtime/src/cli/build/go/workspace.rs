//! A `go.work` in the node's folder, so that editors and `go test` find the SDK where this krt unpacked it. It names a
//! path of this machine: not for version control, and no build reads it.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::super::Options;
use super::SDK;

/// Tells our file from the author's own.
const MARK: &str = "// Written by `krt build` for this machine: not for version control.";

/// Writes it, unless the author has one there. `go`: the version that the author's go.mod asks for; a workspace must ask for
/// no less.
pub(super) fn write(source: &Path, go: &str, options: &Options) -> anyhow::Result<()> {
    let file = source.join("go.work");
    match fs::read_to_string(&file) {
        Ok(there) if !there.starts_with(MARK) => return Ok(()),
        _ => {}
    }
    let sdk = options.sdk.join("guest-sdk/go");
    let sdk = sdk.to_str().with_context(|| format!("{} is not valid UTF-8", sdk.display()))?;
    super::write(&file, &text(sdk, go))
}

fn text(sdk: &str, go: &str) -> String {
    // A Go string is quoted as a JSON one.
    let sdk = serde_json::Value::from(sdk);
    format!("{MARK}\ngo {go}\n\nuse .\n\nreplace {SDK} => {sdk}\n")
}
