//! `krt build`: makes the components of a version's nodes from the source folders that the manifest names.
//!
//! Never decides what a node is made of: that is the manifest's `wasm.build` and what lies in the folder it names.

mod c;
mod cargo;
mod encode;
mod go;
#[allow(dead_code, reason = "for the recipes of the languages")]
mod inputs;
mod javascript;
mod language;
mod messages;
mod parallel;
mod place;
mod progress;
mod python;
mod recipe;
mod sdk;
#[cfg(test)]
mod tests;
#[allow(dead_code, reason = "for the recipes of the languages")]
mod toolchain;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{IsTerminal as _, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, bail};
use krt::topology::{Build, NodeKind, Topology};
use serde_json::json;

pub(super) use self::language::Language;
pub(super) use self::messages::rust_path;
use self::place::{Placed, Placer};
use self::progress::Progress;
pub(super) use self::sdk::files as sdk_files;
use super::{Globals, Output};

/// Build the components of a version's nodes
///
/// For every wasm node whose manifest entry has `wasm.build`, builds the source folder named there and puts the
/// component where `src` says. A folder with a Cargo.toml is built by cargo for wasm32-wasip2; `krt-node` in it comes
/// from this krt, whatever the registry has. Other folders need a `command` and its `output` in the manifest.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  krt build                         all nodes of the version in this folder
  krt build demo --node etl         one node (in every workflow that has one of this name)
  krt build --node orders/etl       one node of one workflow
  krt build --output json           what was built, for scripts

A declared command runs by `sh -c` in its source folder, with KRT_SDK and KRT_WIT in its environment: the folders of
the SDKs and of the contract.")]
pub(super) struct Args {
    /// A folder with a krt.yml, or the krt.yml itself
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Only this node; may be given several times
    #[arg(long = "node", value_name = "[WORKFLOW/]NODE")]
    nodes: Vec<String>,
    #[command(flatten)]
    how: How,
}

/// How to build.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct How {
    /// Build without optimisation: faster to build, slower to run
    #[arg(long)]
    debug: bool,
    /// Use only what is on this machine already
    #[arg(long)]
    offline: bool,
}

/// One component to make.
#[derive(Debug, Clone, PartialEq)]
struct Job {
    workflow: String,
    node: String,
    /// Where it belongs, in the package.
    src: String,
    build: Build,
}

/// How to build, whatever it is built with.
struct Options {
    /// The package's folder.
    root: PathBuf,
    /// Path of the entrypoint's proto in the package.
    #[allow(dead_code, reason = "for the recipes of the languages")]
    proto: String,
    /// Where the SDKs and the contract were unpacked.
    sdk: PathBuf,
    /// Where krt keeps what it can make again.
    cache: PathBuf,
    release: bool,
    offline: bool,
    colour: bool,
}

/// A command that did not make what it should have.
#[derive(Debug)]
struct Failure {
    jobs: Vec<Job>,
    command: String,
    /// What the command said, as it said it.
    message: String,
}

/// A component that was made, and for what.
struct Made {
    job: Job,
    file: PathBuf,
}

/// Builds the nodes of one version, as often as wanted.
pub(super) struct Builder {
    jobs: Vec<Job>,
    options: Options,
}

/// What came of a build.
pub(super) struct Built {
    placed: Vec<Placed>,
    failures: Vec<Failure>,
}

pub(super) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let Some(builder) = Builder::new(&args.path, &args.how, &args.nodes, globals)? else {
        return Ok(ExitCode::FAILURE);
    };
    let built = builder.build(|_| true, globals)?;
    report(&built.placed, &built.failures, started, globals);
    Ok(if built.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Builder {
    /// For the nodes of `only`, or all, of the version at `path`; none when its manifest has errors, which were printed.
    pub(super) fn new(path: &Path, how: &How, only: &[String], globals: &Globals) -> anyhow::Result<Option<Self>> {
        let manifest = manifest(path)?;
        let checked = krt::check::check(&manifest.display().to_string(), &read(&manifest)?, None);
        let Some(topology) = &checked.topology else {
            eprint!("{}", checked.render(globals.colour(std::io::stderr().is_terminal())));
            return Ok(None);
        };
        let jobs = jobs(topology, only)?;
        let cache =
            super::cache::folder().context("nowhere to unpack the SDK: set KRT_CACHE_DIR to an absolute path")?;
        let options = Options {
            root: manifest.parent().unwrap_or(Path::new(".")).to_owned(),
            proto: topology.proto.clone(),
            sdk: sdk::unpack(&cache)?,
            cache,
            release: !how.debug,
            offline: how.offline,
            colour: globals.colour(std::io::stderr().is_terminal()),
        };
        Ok(Some(Self { jobs, options }))
    }

    /// The version's folder.
    pub(super) fn root(&self) -> &Path {
        &self.options.root
    }

    /// The folders that nodes are built from.
    pub(super) fn sources(&self) -> Vec<PathBuf> {
        self.jobs.iter().map(|job| self.options.root.join(&job.build.source)).collect()
    }

    /// Builds the nodes of the source folders that are `wanted`, and puts the components where they belong.
    ///
    /// # Errors
    /// What is no node's failure: a folder that nothing can build, a disk that is full.
    pub(super) fn build(&self, wanted: impl Fn(&Path) -> bool, globals: &Globals) -> anyhow::Result<Built> {
        let source = |job: &Job| self.options.root.join(&job.build.source);
        let jobs: Vec<Job> = self.jobs.iter().filter(|job| wanted(&source(job))).cloned().collect();
        let progress = Progress::new(globals);
        let (made, mut failures) = build(&jobs, &self.options, &progress)?;
        let mut placer = Placer::new(&self.options.root, self.options.cache.clone());
        let mut placed = Vec::new();
        for made in made {
            match placer.place(&made) {
                Ok(component) => placed.push(component),
                Err(error) => failures.push(Failure {
                    command: format!("checking {}", made.file.display()),
                    jobs: vec![made.job],
                    message: format!("{error:#}"),
                }),
            }
        }
        progress.finish();
        Ok(Built { placed, failures })
    }
}

impl Built {
    /// Paths in the package of the components that are others than before.
    pub(super) fn changed(&self) -> BTreeSet<String> {
        self.placed.iter().filter(|placed| placed.changed).map(|placed| placed.src.clone()).collect()
    }

    /// What failed: `workflow/node` of each, the command, and what it said.
    pub(super) fn failures(&self) -> impl Iterator<Item = (Vec<String>, &str, &str)> {
        self.failures.iter().map(|it| (names(&it.jobs), it.command.as_str(), it.message.trim_end()))
    }
}

/// The manifest's own path. An archive has no folder that could be built in.
fn manifest(path: &Path) -> anyhow::Result<PathBuf> {
    if path.extension().is_some_and(|extension| extension == "krt") && path.is_file() {
        bail!("{} is an archive: unpack it and build in the folder", path.display());
    }
    let candidates =
        if path.is_dir() { vec![path.join("krt.yml"), path.join("krt.yaml")] } else { vec![path.to_owned()] };
    let Some(found) = candidates.iter().find(|candidate| candidate.exists()) else {
        bail!("there is no {}", candidates[0].display());
    };
    found.canonicalize().with_context(|| format!("the path of {}", found.display()))
}

/// Makes a folder and those above it, its owner's alone where they are new.
fn private_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn read(manifest: &Path) -> anyhow::Result<Vec<u8>> {
    // One byte more than it may have: the check then says that it is too long.
    const LIMIT: u64 = krt::manifest::MAX_BYTES as u64 + 1;

    let what = || format!("reading {}", manifest.display());
    // A fifo would be waited for, a device never ends.
    if !manifest.metadata().with_context(what)?.is_file() {
        bail!("{} is not a file", manifest.display());
    }
    let mut bytes = Vec::new();
    File::open(manifest).with_context(what)?.take(LIMIT).read_to_end(&mut bytes).with_context(what)?;
    Ok(bytes)
}

/// What the manifest declares, or what of it was asked for by `[workflow/]node`.
fn jobs(topology: &Topology, only: &[String]) -> anyhow::Result<Vec<Job>> {
    let is_named =
        |name: &str, workflow: &str, node: &str| name.split_once('/').map_or(name == node, |it| it == (workflow, node));
    for name in only {
        let mut nodes = topology.workflows.iter().flat_map(|w| w.nodes.iter().map(move |n| (w, n)));
        let Some((_, node)) = nodes.find(|(w, n)| is_named(name, &w.name, &n.name)) else {
            bail!("the version has no node {name:?}");
        };
        match &node.kind {
            NodeKind::Native { .. } => bail!("node {name:?} is not a wasm node: its `src` is {:?}", node.src),
            NodeKind::Wasm(wasm) if wasm.build.is_none() => {
                bail!("node {name:?} does not say how it is built: add `wasm: {{ build: <source folder> }}` to it")
            }
            NodeKind::Wasm(_) => {}
        }
    }
    let mut jobs = Vec::new();
    for workflow in &topology.workflows {
        for node in &workflow.nodes {
            let NodeKind::Wasm(wasm) = &node.kind else { continue };
            let Some(build) = &wasm.build else { continue };
            if only.is_empty() || only.iter().any(|name| is_named(name, &workflow.name, &node.name)) {
                jobs.push(Job {
                    workflow: workflow.name.clone(),
                    node: node.name.clone(),
                    src: node.src.clone(),
                    build: build.clone(),
                });
            }
        }
    }
    Ok(jobs)
}

/// Builds everything, as far as it can be built: one failure does not keep the others from being tried.
fn build(jobs: &[Job], options: &Options, progress: &Progress) -> anyhow::Result<(Vec<Made>, Vec<Failure>)> {
    let mut made = Vec::new();
    let mut failures = Vec::new();
    let mut rust = Vec::new();
    // Nodes of one source folder share one run of its toolchain, or of its command.
    let mut languages: BTreeMap<(Language, PathBuf), Vec<Job>> = BTreeMap::new();
    let mut recipes: BTreeMap<(&str, &str), Vec<Job>> = BTreeMap::new();
    for job in jobs {
        let folder = options.root.join(&job.build.source);
        match (&job.build.command, Language::of(&folder)) {
            (Some(command), _) => recipes.entry((&job.build.source, command)).or_default().push(job.clone()),
            (None, Some(Language::Rust)) => rust.push(job.clone()),
            (None, Some(language)) => languages.entry((language, folder)).or_default().push(job.clone()),
            (None, None) => return Err(language::without_recipe(&folder, std::slice::from_ref(job))),
        }
    }
    let mut tasks: Vec<parallel::Task<'_>> = Vec::new();
    for workspace in cargo::workspaces(rust, options)? {
        tasks.push(Box::new(move || workspace.build(options, progress)));
    }
    for ((language, source), jobs) in languages {
        tasks.push(Box::new(move || language::build(language, &source, jobs, options, progress)));
    }
    for ((source, command), jobs) in recipes {
        tasks.push(Box::new(move || recipe::build(source, command, jobs, options, progress)));
    }
    for done in parallel::all(tasks, if progress.is_verbose() { 1 } else { parallel::AT_ONCE }) {
        let (components, failure) = done?;
        made.extend(components);
        failures.extend(failure);
    }
    Ok((made, failures))
}

fn report(placed: &[Placed], failures: &[Failure], started: Instant, globals: &Globals) {
    let seconds = started.elapsed().as_secs_f64();
    if globals.output == Output::Json {
        let failures: Vec<_> = failures
            .iter()
            .map(|f| json!({"nodes": names(&f.jobs), "command": f.command, "message": f.message}))
            .collect();
        println!("{}", json!({"components": placed, "failures": failures, "seconds": seconds}));
        return;
    }
    let width = |f: fn(&Placed) -> usize| placed.iter().map(f).max().unwrap_or(0);
    let (names, paths) = (width(|p| p.name().len()), width(|p| p.src.len()));
    for component in placed {
        let state = if component.changed { "" } else { "  unchanged" };
        let size = place::size(component.bytes);
        println!("  {:names$}  {:paths$}  {size:>8}{state}", component.name(), component.src);
    }
    for failure in failures {
        eprintln!("{}", failure.message.trim_end());
        let nodes = self::names(&failure.jobs).join(", ");
        eprintln!("error: could not build {nodes}; the command was: {}", failure.command);
    }
    match (placed.len(), failures.is_empty()) {
        (0, true) => println!("nothing to build: no wasm node of this version has `wasm.build`"),
        (1, _) => println!("1 component in {seconds:.1} s"),
        (0, false) => {}
        (count, _) => println!("{count} components in {seconds:.1} s"),
    }
}

/// `workflow/node` of each.
fn names<'a>(jobs: impl IntoIterator<Item = &'a Job>) -> Vec<String> {
    jobs.into_iter().map(|job| format!("{}/{}", job.workflow, job.node)).collect()
}
