//! npm, and what a node itself takes from it: installed beside the node, exactly as its lock file says. Never decides on a
//! version: that is the author's `package.json` and `package-lock.json`.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use serde::Deserialize;

use super::super::Options;
use super::super::progress::Progress;
use super::super::toolchain::succeed;
use super::NO_NODE;

/// A lock file: the author's, or the one that npm leaves in `node_modules` of what it has put there.
#[derive(Deserialize)]
struct Lock {
    /// By path: `node_modules/ms`.
    #[serde(default)]
    packages: BTreeMap<String, Locked>,
}

/// One package.
#[derive(Deserialize)]
struct Locked {
    version: Option<String>,
    integrity: Option<String>,
    /// These four are not installed everywhere.
    #[serde(default)]
    dev: bool,
    #[serde(default)]
    optional: bool,
    #[serde(default, rename = "devOptional")]
    dev_optional: bool,
    #[serde(default)]
    peer: bool,
}

/// npm, as quiet as it can be. Nothing it installs may run: what a guest is made of has no native parts.
pub(super) fn npm(folder: &Path, what: &str, options: &Options) -> Command {
    let mut npm = Command::new("npm");
    npm.current_dir(folder).arg(what).args(["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    if options.offline {
        npm.arg("--offline");
    }
    npm
}

/// Installs the packages of these names, which the node in `source` depends on, where they are not there as they should be.
///
/// # Errors
/// A [`Stopped`](super::super::toolchain::Stopped) with what npm says: of a package that is not to be had, of a lock file
/// that does not fit the `package.json`.
pub(super) fn dependencies<'a>(
    source: &Path,
    wanted: impl Iterator<Item = &'a str>,
    options: &Options,
    progress: &Progress,
) -> anyhow::Result<()> {
    let modules = source.join("node_modules");
    let wanted: Vec<&str> = wanted.collect();
    let is_there = |name: &&str| modules.join(name).join("package.json").is_file();
    let file = source.join("package-lock.json");
    let lock = text(&file)?;
    let is_as_locked = match (&lock, text(&modules.join(".package-lock.json"))?) {
        (Some(lock), Some(there)) => is_as_locked(lock, &there),
        // Nobody has said which; or somebody else has put them there.
        _ => true,
    };
    if wanted.is_empty() || (is_as_locked && wanted.iter().all(is_there)) {
        return Ok(());
    }
    progress.step(&format!("installing {} with npm", wanted.join(", ")));
    let what = if lock.is_some() { "ci" } else { "install" };
    succeed(npm(source, what, options), NO_NODE, progress).map(drop)
}

/// Whether all that the lock file asks for is there. What npm would not understand is left for npm to say.
fn is_as_locked(lock: &str, there: &str) -> bool {
    let (Ok(lock), Ok(there)) = (serde_json::from_str::<Lock>(lock), serde_json::from_str::<Lock>(there)) else {
        return false;
    };
    let is_everywhere = |package: &Locked| !(package.dev || package.optional || package.dev_optional || package.peer);
    lock.packages.iter().filter(|(path, package)| !path.is_empty() && is_everywhere(package)).all(|(path, package)| {
        there.packages.get(path).is_some_and(|found| {
            found.version == package.version && (package.integrity.is_none() || found.integrity == package.integrity)
        })
    })
}

fn text(file: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("reading {}", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"{"packages": {"": {"name": "greeter"}, "node_modules/ms": {"version": "2.1.2", "integrity": "sha512-A"},
        "node_modules/fsevents": {"version": "1.0.0", "optional": true}}}"#;

    #[test]
    fn packages_are_as_locked_when_all_that_go_everywhere_are_of_the_version_and_bytes_of_the_lock_file() {
        let there = |package: &str| format!(r#"{{"packages": {{"node_modules/more": {{}}, {package}}}}}"#);
        assert!(is_as_locked(LOCK, &there(r#""node_modules/ms": {"version": "2.1.2", "integrity": "sha512-A"}"#)));
        assert!(!is_as_locked(LOCK, &there(r#""node_modules/ms": {"version": "2.1.3", "integrity": "sha512-A"}"#)));
        assert!(!is_as_locked(LOCK, &there(r#""node_modules/ms": {"version": "2.1.2", "integrity": "sha512-B"}"#)));
        assert!(!is_as_locked(LOCK, r#"{"packages": {}}"#));
        assert!(!is_as_locked("no lock file", r#"{"packages": {}}"#));
        assert!(is_as_locked(r#"{"lockfileVersion": 1}"#, r#"{"packages": {}}"#));
    }
}
