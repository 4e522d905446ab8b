//! Nodes in Rust: one run of cargo for all nodes of one cargo workspace, for the target `wasm32-wasip2`.
//!
//! Cargo's own settings (a shared target folder, offline mode, wrappers) are the user's and are left alone.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::progress::{Progress, without_colour};
use super::{Failure, Job, Made, Options, messages, names, toolchain};

const TARGET: &str = "wasm32-wasip2";
const SDK: &str = "krt-node";

/// The nodes that one run of cargo builds.
pub(super) struct Workspace {
    root: PathBuf,
    /// Whether any package takes the SDK from the registry, so that this krt's takes its place.
    uses_sdk: bool,
    members: Vec<(Job, Package)>,
}

/// What `cargo metadata` says, as far as it matters here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
}

#[derive(Deserialize, Clone)]
struct Package {
    id: String,
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize, Clone)]
struct Target {
    crate_types: Vec<String>,
}

#[derive(Deserialize, Clone)]
struct Dependency {
    name: String,
    source: Option<String>,
}

/// A line of `cargo build --message-format json`.
#[derive(Deserialize)]
struct Message {
    reason: String,
    package_id: Option<String>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Sorts the nodes by the workspaces that their folders belong to.
pub(super) fn workspaces(jobs: Vec<Job>, options: &Options) -> anyhow::Result<Vec<Workspace>> {
    let mut known: Vec<Metadata> = Vec::new();
    let mut workspaces: Vec<Workspace> = Vec::new();
    for job in jobs {
        let folder = options.root.join(&job.build.source);
        let folder = folder.canonicalize().with_context(|| format!("node {:?}: {}", job.node, folder.display()))?;
        let manifest = folder.join("Cargo.toml");
        if !known.iter().any(|metadata| metadata.package(&manifest).is_some()) {
            known.push(metadata(&folder, options).with_context(|| format!("node {:?}", job.node))?);
        }
        let Some((metadata, package)) = known.iter().find_map(|it| Some((it, it.package(&manifest)?))) else {
            bail!(
                "node {:?}: {} is a workspace without a package of its own; name the folder of the node's package",
                job.node,
                manifest.display()
            );
        };
        if !package.targets.iter().any(|target| target.crate_types.iter().any(|kind| kind == "cdylib")) {
            bail!(
                "node {:?}: package {:?} makes no component\nhelp: add to {}:\n[lib]\ncrate-type = [\"cdylib\", \"rlib\"]",
                job.node,
                package.name,
                manifest.display()
            );
        }
        let member = (job, package.clone());
        match workspaces.iter_mut().find(|workspace| workspace.root == metadata.workspace_root) {
            Some(workspace) => workspace.members.push(member),
            None => workspaces.push(Workspace {
                root: metadata.workspace_root.clone(),
                uses_sdk: metadata.uses_sdk(),
                members: vec![member],
            }),
        }
    }
    Ok(workspaces)
}

impl Workspace {
    /// Builds its nodes, as many of them as can be.
    pub(super) fn build(self, options: &Options, progress: &Progress) -> anyhow::Result<(Vec<Made>, Option<Failure>)> {
        let held = toolchain::held(&options.cache.join("rustup.lock")).context("waiting for another krt's rustup")?;
        ensure_target(&self.root, options, progress)?;
        drop(held);
        if self.uses_sdk {
            tell_where_the_sdk_is(&self.root, &options.sdk)?;
        }
        for (job, _) in &self.members {
            messages::write_if_wanted(&options.root.join(&job.build.source), options)?;
        }
        progress.step(&format!("building {} with cargo", names(self.members.iter().map(|(job, _)| job)).join(", ")));
        let cargo = self.command(options)?;
        let command = shown(&cargo);
        let ended = progress.run(cargo)?;
        let mut made = Vec::new();
        let mut failed = Vec::new();
        for (job, package) in self.members {
            match component(&ended.stdout, &package.id) {
                Some(file) => made.push(Made { job, file }),
                None => failed.push(job),
            }
        }
        if ended.status.success() && !failed.is_empty() {
            bail!("cargo built {} but names no component; the command was: {command}", names(&failed).join(", "));
        }
        if ended.status.success() {
            return Ok((made, None));
        }
        Ok((made, Some(Failure { jobs: failed, command, message: diagnostics(&ended.stderr) })))
    }

    fn command(&self, options: &Options) -> anyhow::Result<Command> {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(&self.root).args(["build", "--target", TARGET, "--lib", "--keep-going"]);
        if options.release {
            cargo.arg("--release");
        }
        if options.offline {
            cargo.arg("--offline");
        }
        // Two nodes may be made of one package.
        let packages: BTreeSet<&str> = self.members.iter().map(|(_, package)| package.id.as_str()).collect();
        for package in packages {
            cargo.args(["--package", package]);
        }
        if self.uses_sdk {
            cargo.arg("--config").arg(sdk_patch(&options.sdk)?);
        }
        cargo.args(["--message-format", "json-render-diagnostics"]);
        // A spinner, not cargo's bar, shows progress; colours are ours to decide, for its output is a pipe.
        cargo.env("CARGO_TERM_PROGRESS_WHEN", "never");
        cargo.env("CARGO_TERM_COLOR", if options.colour { "always" } else { "never" });
        Ok(cargo)
    }
}

impl Metadata {
    fn package(&self, manifest: &Path) -> Option<&Package> {
        self.packages.iter().find(|package| package.manifest_path == manifest)
    }

    fn uses_sdk(&self) -> bool {
        let from_registry = |dependency: &Dependency| dependency.name == SDK && dependency.source.is_some();
        self.packages.iter().any(|package| package.dependencies.iter().any(from_registry))
    }
}

fn metadata(folder: &Path, options: &Options) -> anyhow::Result<Metadata> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(folder).args(["metadata", "--no-deps", "--format-version", "1"]);
    if options.offline {
        cargo.arg("--offline");
    }
    let output = cargo.output().context("cannot start cargo: install Rust by rustup (https://rustup.rs)")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    serde_json::from_slice(&output.stdout).context("what `cargo metadata` says")
}

/// Makes sure that the standard library for the target is there; brings it if rustup can.
fn ensure_target(folder: &Path, options: &Options, progress: &Progress) -> anyhow::Result<()> {
    let mut rustc = Command::new("rustc");
    rustc.current_dir(folder).args(["--print", "target-libdir", "--target", TARGET]);
    let output = rustc.output().context("cannot start rustc: install Rust by rustup (https://rustup.rs)")?;
    let library = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if output.status.success() && library.is_dir() {
        return Ok(());
    }
    let add = format!("rustup target add {TARGET}");
    if options.offline {
        bail!("Rust's standard library for {TARGET} is not installed\nhelp: run `{add}` (not done with --offline)");
    }
    progress.step(&format!("installing Rust's standard library for {TARGET}: {add}"));
    let mut rustup = Command::new("rustup");
    rustup.current_dir(folder).args(["target", "add", TARGET]);
    let ended = match progress.run(rustup) {
        Ok(ended) => ended,
        Err(error) => {
            return Err(error.context(format!(
                "Rust's standard library for {TARGET} is not installed, and neither is rustup\n\
                 help: install rustup and run `{add}`, or install the library as your distribution does"
            )));
        }
    };
    if !ended.status.success() {
        bail!("`{add}` failed:\n{}", ended.stderr.trim_end());
    }
    Ok(())
}

/// What makes cargo take the SDK of this krt: the value of `--config`.
fn sdk_patch(sdk: &Path) -> anyhow::Result<String> {
    let path = sdk.join("guest-sdk/rust");
    let path = path.to_str().with_context(|| format!("{} is not valid UTF-8", path.display()))?;
    // A TOML basic string is escaped as a JSON one.
    Ok(format!("patch.crates-io.{SDK}.path={}", serde_json::to_string(path)?))
}

/// Writes `.cargo/config.toml` where the workspace's `.gitignore` leaves `/.cargo/` to this machine, as that of a new node
/// does: `cargo test` and editors find the SDK by it.
fn tell_where_the_sdk_is(root: &Path, sdk: &Path) -> anyhow::Result<()> {
    const MARK: &str = "# Made by `krt build`, for this machine.";

    let ignored = fs::read_to_string(root.join(".gitignore")).unwrap_or_default();
    if !ignored.lines().any(|line| line.trim() == "/.cargo/") {
        return Ok(());
    }
    let file = root.join(".cargo/config.toml");
    let there = fs::read_to_string(&file).ok();
    let text = format!("{MARK}\n{}\n", sdk_patch(sdk)?);
    if there.as_ref().is_some_and(|there| !there.starts_with(MARK) || *there == text) {
        return Ok(());
    }
    let what = || format!("writing {}", file.display());
    fs::create_dir_all(root.join(".cargo")).with_context(what)?;
    fs::write(&file, text).with_context(what)
}

/// The component among what cargo says that it built of a package.
fn component(messages: &str, package: &str) -> Option<PathBuf> {
    messages.lines().find_map(|line| {
        let message: Message = serde_json::from_str(line).ok()?;
        let is_its = message.reason == "compiler-artifact" && message.package_id.as_deref() == Some(package);
        let mut files = message.filenames.into_iter();
        is_its.then(|| files.find(|file| file.extension() == Some(OsStr::new("wasm")))).flatten()
    })
}

/// What the compiler says, without the list of what went well.
fn diagnostics(stderr: &str) -> String {
    const STEPS: [&str; 12] = [
        "Adding",
        "Blocking",
        "Compiling",
        "Downloaded",
        "Downloading",
        "Finished",
        "Fresh",
        "Locking",
        "Patch",
        "Updating",
        "Building",
        "Checking",
    ];
    let is_step = |line: &str| {
        let plain = without_colour(line);
        // Cargo right-aligns its verbs in twelve columns; compiler messages begin at the left or with a bar.
        plain.starts_with(' ') && plain.split_whitespace().next().is_some_and(|word| STEPS.contains(&word))
    };
    stderr.lines().filter(|line| !is_step(line)).map(|line| format!("{line}\n")).collect()
}

/// The command as a person could type it.
pub(super) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quote = |word: &OsStr| {
        let word = word.to_string_lossy();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:@+,".contains(c);
        if word.chars().all(plain) { word.into_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
    };
    words.map(quote).collect::<Vec<_>>().join(" ")
}
