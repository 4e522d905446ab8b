//! Nodes in Go: the standard toolchain makes a library for WASI preview 1, krt itself makes a component of it.
//!
//! The author's go.mod names the SDK by its published path; this krt's SDK takes its place, without a trace in the
//! author's files or in what is built: the same source makes the same bytes on every machine.

mod arena;
mod messages;
#[cfg(test)]
mod tests;
mod workspace;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde_json::json;
use walkdir::WalkDir;

use super::inputs::{self, Inputs};
use super::progress::Progress;
use super::toolchain::{Stopped, succeed};
use super::{Failure, Job, Made, Options, encode, names};

/// The SDK's module.
const SDK: &str = "github.com/konstellation-io/krt/guest-sdk/go";

/// Where the build sees the SDK, from the author's folder. Nothing is there: the build is told so.
const SDK_PLACE: &str = "krt-sdk";

/// The first Go that fetches the Go that a go.mod asks for.
const OLDEST_GO: &str = "1.21";

/// The Go that the SDK's go.mod asks for.
const SDK_GO: &str = "1.26";

const MISSING: &str = "Go is not installed\n\
    help: install Go 1.26 or newer (https://go.dev/dl); a Go since 1.21, on Debian by `apt-get install golang-go`, \
    fetches it by itself";

/// What the recipe itself decides; part of what a component is made of.
const FLAGS: [&str; 5] = ["build", "-mod=mod", "-buildmode=c-shared", "-trimpath", "-buildvcs=false"];

/// Of the linker: no symbols, nothing of this machine. The SDK's allocator is beneath Go's own, which has no other way in.
const LINK: &str = "-buildid= -checklinkname=0";

/// Builds the nodes of one source folder, all from its one program.
pub(super) fn build(
    source: &Path,
    jobs: Vec<Job>,
    options: &Options,
    progress: &Progress,
) -> anyhow::Result<(Vec<Made>, Option<Failure>)> {
    let source = source.canonicalize().with_context(|| format!("the path of {}", source.display()))?;
    let version = go_version(&source, progress)?;
    let module = Module::read(&source)?;
    let scratch = inputs::scratch(&source, options)?;
    let digest = digest(&source, &version, options)?;
    let kept = if module.has_local_parts { None } else { inputs::unchanged(&scratch, &digest) };
    let file = match kept {
        Some(file) if source.join("messages").is_dir() => file,
        _ => {
            messages::generate(&source, &module.path, options, progress)?;
            workspace::write(&source, &module.go, options)?;
            progress.step(&format!("building {} with go", names(&jobs).join(", ")));
            let core = compile(&source, &module, &scratch, options, progress)?;
            let bytes = fs::read(&core).with_context(|| format!("reading {}", core.display()))?;
            let component = arena::quick(&bytes)
                .and_then(|module| encode::component(&module, &options.sdk.join("wit")))
                .with_context(|| format!("making a component of {}", core.display()))?;
            let made = scratch.join("made.wasm");
            fs::write(&made, component).with_context(|| format!("writing {}", made.display()))?;
            inputs::keep(&scratch, &digest, &made)?
        }
    };
    Ok((jobs.into_iter().map(|job| Made { job, file: file.clone() }).collect(), None))
}

/// What the author's go.mod says, as far as it matters here.
#[derive(Debug, PartialEq)]
struct Module {
    path: String,
    /// The Go that it asks for, at least the SDK's.
    go: String,
    text: String,
    /// It has the SDK from a folder of the author's own.
    replaces_sdk: bool,
    /// Some module comes from a folder: what is in it is not looked at, and so the build is left to Go.
    has_local_parts: bool,
}

impl Module {
    fn read(source: &Path) -> anyhow::Result<Self> {
        let file = source.join("go.mod");
        let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        Self::parse(text).with_context(|| format!("{}: there is no line `module …`", file.display()))
    }

    fn parse(text: String) -> Option<Self> {
        let lines = || text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code).trim());
        let path = lines().find_map(|line| line.strip_prefix("module "))?.trim().trim_matches(['"', '`']).to_owned();
        let go = lines().find_map(|line| line.strip_prefix("go ")).map_or("", str::trim);
        let go = if numbers(go) > numbers(SDK_GO) { go } else { SDK_GO }.to_owned();
        let replaced = |line: &str| line.split_once("=>").map(|(from, to)| (from.to_owned(), to.trim().to_owned()));
        let is_folder = |to: &str| to.trim_matches(['"', '`']).starts_with(['.', '/']);
        let replaces: Vec<_> = lines().filter_map(replaced).collect();
        let replaces_sdk = replaces.iter().any(|(from, _)| from.contains(SDK));
        let has_local_parts = replaces.iter().any(|(_, to)| is_folder(to));
        Some(Self { path, go, text, replaces_sdk, has_local_parts })
    }
}

/// The version of the Go that builds in `source`, which is there and new enough.
fn go_version(source: &Path, progress: &Progress) -> anyhow::Result<String> {
    let mut go = Command::new("go");
    // Where nothing asks for another version: to fetch that may take its time, and is a step of its own.
    go.args(["env", "GOVERSION"]).current_dir(source).env("GOWORK", "off").env("GOTOOLCHAIN", "local");
    let version = succeed(go, MISSING, progress)?.stdout.trim().to_owned();
    let found = version.strip_prefix("go").map(numbers);
    if found.is_some_and(|found| found < numbers(OLDEST_GO)) {
        return Err(Stopped {
            command: "go env GOVERSION".into(),
            message: format!("{version} is too old: {MISSING}"),
        }
        .into());
    }
    Ok(version)
}

/// `1.26.8` in an order; what is no number, like a release candidate's, counts as its beginning.
fn numbers(version: &str) -> Vec<u32> {
    version.split(|c: char| !c.is_ascii_digit()).map_while(|number| number.parse().ok()).collect()
}

fn digest(source: &Path, version: &str, options: &Options) -> anyhow::Result<String> {
    let mut inputs = Inputs::new("go", options);
    for decided in FLAGS.into_iter().chain([LINK, version, messages::GENERATOR]) {
        inputs.text(decided);
    }
    inputs.folder(source, &["messages", "vendor", "go.work", "go.work.sum"])?;
    inputs.protos(options)?;
    Ok(inputs.digest())
}

/// Makes the module; its path.
fn compile(
    source: &Path,
    module: &Module,
    scratch: &Path,
    options: &Options,
    progress: &Progress,
) -> anyhow::Result<PathBuf> {
    let core = scratch.join("core.wasm");
    let mut go = go(source, options);
    go.args(FLAGS).env("GOOS", "wasip1").env("GOARCH", "wasm").env("CGO_ENABLED", "0");
    go.arg(if options.release { format!("-ldflags=-s -w {LINK}") } else { format!("-ldflags={LINK}") });
    let modfile = scratch.join("go.mod");
    let mut text = module.text.clone();
    if !module.replaces_sdk {
        text = format!("{text}\nreplace {SDK} => ./{SDK_PLACE}\n");
        let overlay = scratch.join("overlay.json");
        write(&overlay, &overlay_of(source, &options.sdk)?)?;
        go.arg("-overlay").arg(overlay);
    }
    write(&modfile, &text)?;
    let sums = source.join("go.sum");
    write(&scratch.join("go.sum"), &if sums.is_file() { fs::read_to_string(sums)? } else { String::new() })?;
    go.arg("-modfile").arg(modfile).arg("-o").arg(&core).arg(".");
    succeed(go, MISSING, progress)?;
    Ok(core)
}

/// Go, as every step of the recipe starts it: as the author has it, but for what would make it another build.
fn go(folder: &Path, options: &Options) -> Command {
    let mut go = Command::new("go");
    go.current_dir(folder).env("GOWORK", "off").env("GOFLAGS", "").env_remove("GOOS").env_remove("GOARCH");
    if options.offline {
        go.env("GOPROXY", "off").env("GOTOOLCHAIN", "local");
    }
    go
}

/// Lets Go see the SDK's files in the author's folder. A path of this machine in a go.mod would end in the component.
fn overlay_of(source: &Path, sdk: &Path) -> anyhow::Result<String> {
    let sdk = sdk.join("guest-sdk/go");
    let mut replaced = BTreeMap::new();
    for entry in WalkDir::new(&sdk) {
        let entry = entry.with_context(|| format!("reading {}", sdk.display()))?;
        let path = entry.path();
        if entry.file_type().is_file()
            && let Ok(inner) = path.strip_prefix(&sdk)
        {
            replaced.insert(source.join(SDK_PLACE).join(inner), path.to_owned());
        }
    }
    Ok(json!({ "Replace": replaced }).to_string())
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    // What is there is left alone: Go takes a new time for a new file.
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}
