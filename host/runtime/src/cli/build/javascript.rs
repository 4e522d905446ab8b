//! Nodes in JavaScript and TypeScript: messages, a bundle and a component by one script of the SDK, run by Node with pieces
//! from npm that krt installs itself. The protos are compiled by krt: nobody needs protoc.
//!
//! What a node takes from npm is the author's: it is installed beside the node, where editors and tests look for it.

mod npm;

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use krt::problem::Source;
use krt::proto::Proto;
use prost_reflect::prost::Message as _;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::inputs::{self, Inputs};
use super::progress::Progress;
use super::toolchain::{Pieces, Stopped, installed, succeed};
use super::{Failure, Job, Made, Options, names};
use crate::artifact::Package;

const QUICKJS: [&str; 4] =
    ["componentize-qjs@0.4.5", "esbuild@0.28.2", "@bufbuild/protobuf@2.17.0", "@bufbuild/protoc-gen-es@2.17.0"];
const SPIDERMONKEY: [&str; 1] = ["@bytecodealliance/componentize-js@0.23.0"];
const NO_NODE: &str = "Node.js is not installed: nodes in JavaScript are built with it (20 or newer)\n\
                       help: run `apt-get install nodejs npm`, or install it from https://nodejs.org";
/// The SDK, and what its messages are made with: krt's own copies, whatever npm has.
const PROVIDED: [&str; 2] = ["krt-node", "@bufbuild/protobuf"];

/// What a node's `package.json` says, as far as it matters here.
#[derive(Deserialize)]
struct Manifest {
    main: Option<String>,
    #[serde(default)]
    krt: Settings,
    #[serde(default)]
    dependencies: BTreeMap<String, String>,
    #[serde(default, rename = "devDependencies")]
    dev_dependencies: BTreeMap<String, String>,
}

/// Its section `krt`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    engine: Engine,
}

/// What runs the JavaScript, inside the component.
#[derive(Deserialize, Default, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Engine {
    #[default]
    QuickJs,
    SpiderMonkey,
}

/// Builds the nodes of one source folder.
pub(super) fn build(
    source: &Path,
    jobs: Vec<Job>,
    options: &Options,
    progress: &Progress,
) -> anyhow::Result<(Vec<Made>, Option<Failure>)> {
    let source = &source.canonicalize().with_context(|| format!("the path of {}", source.display()))?;
    let manifest = manifest(source)?;
    let entry = entry(source, &manifest)?;
    let tools = toolchain("javascript", "JavaScript", &QUICKJS, options, progress)?;
    let componentizer = match manifest.krt.engine {
        Engine::QuickJs => None,
        Engine::SpiderMonkey => {
            Some(toolchain("spidermonkey", "JavaScript (SpiderMonkey)", &SPIDERMONKEY, options, progress)?)
        }
    };
    let own = manifest.dependencies.keys().map(String::as_str).filter(|name| !PROVIDED.contains(name));
    npm::dependencies(source, own, options, progress)?;
    provide(source, &tools, options)?;

    let scratch = inputs::scratch(source, options)?;
    let made_of = digest(source, options)?;
    let done = |file: PathBuf| (jobs.iter().cloned().map(|job| Made { job, file: file.clone() }).collect(), None);
    if let Some(component) = inputs::unchanged(&scratch, &made_of).filter(|_| source.join("messages").is_dir()) {
        return Ok(done(component));
    }
    progress.step(&format!("building {} with esbuild and {}", names(&jobs).join(", "), manifest.krt.engine.tool()));
    let work = tempfile::Builder::new().prefix("js-").tempdir_in(&scratch).context("a folder to build in")?;
    let output = work.path().join("node.wasm");
    let task = json!({
        "source": source,
        "entry": entry,
        "engine": manifest.krt.engine.name(),
        "tools": tools,
        "componentizer": componentizer,
        "contract": options.sdk.join("wit"),
        "scratch": work.path(),
        "protos": inputs::protos(options)?,
        "descriptors": descriptors(work.path(), options)?,
        "output": output,
        "colour": options.colour,
    });
    let file = work.path().join("task.json");
    fs::File::create(&file)
        .and_then(|mut file| file.write_all(task.to_string().as_bytes()))
        .context("a build's task")?;
    let mut node = Command::new("node");
    node.current_dir(source).arg(sdk(options).join("toolchain/build.mjs")).arg(&file);
    succeed(node, NO_NODE, progress)?;
    Ok(done(inputs::keep(&scratch, &made_of, &output)?))
}

impl Engine {
    fn name(self) -> &'static str {
        match self {
            Self::QuickJs => "quickjs",
            Self::SpiderMonkey => "spidermonkey",
        }
    }

    fn tool(self) -> &'static str {
        match self {
            Self::QuickJs => "componentize-qjs",
            Self::SpiderMonkey => "componentize-js",
        }
    }
}

fn sdk(options: &Options) -> PathBuf {
    options.sdk.join("guest-sdk/js")
}

/// What the author has to change in a file of theirs.
fn wrong(file: &Path, message: String) -> anyhow::Error {
    Stopped { command: format!("reading {}", file.display()), message }.into()
}

fn manifest(source: &Path) -> anyhow::Result<Manifest> {
    let file = source.join("package.json");
    let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    let manifest: Manifest = serde_json::from_str(&text).map_err(|error| {
        wrong(
            &file,
            format!("{}: {error}\nhelp: `\"krt\": {{\"engine\": \"quickjs\"}}` or `\"spidermonkey\"`", file.display()),
        )
    })?;
    let listed = manifest.dependencies.contains_key("krt-node") || manifest.dev_dependencies.contains_key("krt-node");
    if listed {
        let message =
            format!("{}: krt-node comes with krt, not from npm\nhelp: take it out of the dependencies", file.display());
        return Err(wrong(&file, message));
    }
    Ok(manifest)
}

/// The file that exports the node.
fn entry(source: &Path, manifest: &Manifest) -> anyhow::Result<String> {
    if let Some(main) = &manifest.main {
        return Ok(main.clone());
    }
    let there = ["main.ts", "main.js", "main.mjs"].into_iter().find(|name| source.join(name).is_file());
    there.map(str::to_owned).ok_or_else(|| {
        wrong(source, format!("{} has no main.ts or main.js, and its package.json no `main`", source.display()))
    })
}

/// The `node_modules` with pieces from npm: exactly those of the lock file that travels with the SDK.
fn toolchain(
    name: &str,
    title: &str,
    pins: &[&str],
    options: &Options,
    progress: &Progress,
) -> anyhow::Result<PathBuf> {
    let engine = if name == "javascript" { "quickjs" } else { name };
    let from = sdk(options).join("toolchain").join(engine);
    let lock = fs::read(from.join("package-lock.json")).context("the SDK's lock file")?;
    let lock: String = Sha256::digest(&lock).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let lock = format!("and what they need (lock file {lock})");
    let pins: Vec<&str> = pins.iter().copied().chain([lock.as_str()]).collect();
    let folder = installed(&Pieces { name, title, pins: &pins }, options, progress, |folder| {
        for file in ["package.json", "package-lock.json"] {
            fs::copy(from.join(file), folder.join(file)).with_context(|| format!("copying {file}"))?;
        }
        // Not `ci`: it refuses a lock file without the packages for platforms that were announced and never published.
        succeed(npm::npm(folder, "install", options), NO_NODE, progress).map(drop)
    })?;
    Ok(folder.join("node_modules"))
}

/// Makes `krt-node` and `@bufbuild/protobuf` be found: by the SDK's own files, by editors and by unit tests.
///
/// In the version's folder, above the node's own: npm removes from the latter what it did not put there.
fn provide(source: &Path, tools: &Path, options: &Options) -> anyhow::Result<()> {
    let sdk = sdk(options);
    link(tools, &sdk.join("node_modules"))?;
    let above = source != options.root && source.starts_with(&options.root);
    let modules = if above { &options.root } else { source }.join("node_modules");
    fs::create_dir_all(&modules).with_context(|| format!("making {}", modules.display()))?;
    for modules in [&modules, &source.join("node_modules")] {
        mark(modules).with_context(|| format!("marking {}", modules.display()))?;
    }
    link(&sdk, &modules.join("krt-node"))?;
    link(&tools.join("@bufbuild/protobuf"), &modules.join("@bufbuild/protobuf"))
}

/// Marks a folder as one that can be made again: neither git nor `krt pack` takes it.
fn mark(modules: &Path) -> std::io::Result<()> {
    const MARKS: [(&str, &str); 2] =
        [("CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n"), (".gitignore", "*\n")];
    if modules.is_dir() {
        for (name, text) in MARKS {
            let file = modules.join(name);
            if !file.exists() {
                fs::write(file, text)?;
            }
        }
    }
    Ok(())
}

/// A link at `place` to `target`. What is there and is no link is somebody else's.
fn link(target: &Path, place: &Path) -> anyhow::Result<()> {
    let what = || format!("linking {} to {}", place.display(), target.display());
    match fs::read_link(place) {
        Ok(there) if there == target => return Ok(()),
        Ok(_) => fs::remove_file(place).with_context(what)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(_) => return Ok(()),
    }
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder).with_context(what)?;
    }
    match symlink(target, place) {
        // Another krt was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.with_context(what),
    }
}

/// Everything that decides what comes out.
fn digest(source: &Path, options: &Options) -> anyhow::Result<String> {
    let mut inputs = Inputs::new("javascript", options);
    inputs.text(&QUICKJS.join(" "));
    inputs.text(&SPIDERMONKEY.join(" "));
    inputs.folder(source, &["node_modules", "messages"])?;
    // Says what npm put there.
    let installed = source.join("node_modules/.package-lock.json");
    if installed.is_file() {
        inputs.file(&installed)?;
    }
    inputs.protos(options)?;
    Ok(inputs.digest())
}

/// The version's protos, compiled: the files with their descriptors.
fn descriptors(work: &Path, options: &Options) -> anyhow::Result<Vec<PathBuf>> {
    let package = Package::open(&options.root)?;
    let mut files = Vec::new();
    for (index, path) in inputs::protos(options)?.iter().enumerate() {
        let proto = Proto::load(&package, path).map_err(|problems| {
            let text = fs::read_to_string(options.root.join(path)).unwrap_or_default();
            let message = krt::problem::render(&problems, &[Source::new(path, text)], options.colour);
            Stopped { command: format!("reading {path}"), message }
        })?;
        let file = work.join(format!("{index}.binpb"));
        fs::write(&file, proto.commented().encode_to_vec()).context("descriptors of the version's protos")?;
        files.push(file);
    }
    Ok(files)
}
