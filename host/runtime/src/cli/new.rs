//! `krt new`: makes a version that answers its first call, or one more node of a version that is there.
//!
//! Never replaces or changes what is there, except for the list of nodes in krt.yml, which grows.

mod manifest;
mod messages;
mod template;
#[cfg(test)]
mod tests;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use krt::topology::{NodeKind, Topology, Workflow};
use serde::Serialize;

use super::build::Language;
use super::judge::{Depth, judge};
use super::{Globals, Output, print};
use manifest::Addition;
use template::{Names, Written};

/// The node of a new version.
const FIRST_NODE: &str = "greeter";

/// Make a new version, or a new node of one
///
/// A new version has one workflow with one node, which greets: it is built, run and called as it is. With --node, the
/// version that is there gets one more node: its folder, and its entry in krt.yml, of which nothing else changes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  krt new hello --lang rust                       a version `hello` in a new folder of that name
  krt new hello --lang python && cd hello && krt build && krt run
                                                  from nothing to a version that answers
  krt new --node scorer --lang go                 one more node of the version in this folder
  krt new --node scorer --lang c --from etl --from greeter.spam shop
                                                  of the version in folder `shop`, with what it reads")]
pub(super) struct Args {
    /// The folder to make, whose last part is the version's name; with --node: a version that is there [default: .]
    #[arg(value_name = "NAME", required_unless_present = "node")]
    path: Option<PathBuf>,
    /// The language of the node
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    lang: Language,
    /// The name of a node to add
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// The workflow that the node is added to, if there are several
    #[arg(long, value_name = "WORKFLOW", requires = "node")]
    workflow: Option<String>,
    /// What the added node reads: `entrypoint`, a node, or NODE.CHANNEL; may be given several times [default: entrypoint]
    #[arg(long, value_name = "NODE[.CHANNEL]", requires = "node")]
    from: Vec<String>,
}

/// What was made. Serialises as `--output json` prints it.
#[derive(Debug, Serialize)]
struct Report {
    version: String,
    workflow: String,
    node: String,
    language: &'static str,
    /// Files, as paths from where krt was started.
    files: Vec<PathBuf>,
    /// Commands to go on with.
    next: Vec<String>,
}

pub(super) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let report = match &args.node {
        None => version(args.path.as_deref().unwrap_or(Path::new(".")), args.lang)?,
        Some(node) => add(node, &args)?,
    };
    match globals.output {
        Output::Json => print::json(&report)?,
        Output::Text => print::out(&text(&report))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A new version in the folder `path`, which must not be there.
fn version(path: &Path, language: Language) -> anyhow::Result<Report> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        bail!("{} has no name for a version: give the path of a new folder", path.display());
    };
    let package = identifier(name);
    let manifest = manifest::first(name, &package);
    manifest::refuse_errors(&manifest)?;
    refuse_existing(path)?;
    let names = Names { node: FIRST_NODE, package: &package, proto: "public_input" };
    let mut files: Vec<Written> = vec![
        Written::new("krt.yml", manifest),
        Written::new("public_input.proto", messages::entrypoint(&package)),
        Written::new(".gitignore", "# Made by `krt build`.\n/bin/\n".to_owned()),
    ];
    files.extend(template::node(language, &names)?.into_iter().map(|file| file.under(FIRST_NODE)));
    place(path, &files)?;
    Ok(Report {
        version: name.to_owned(),
        workflow: manifest::FIRST_WORKFLOW.to_owned(),
        node: FIRST_NODE.to_owned(),
        language: language.title(),
        files: files.iter().map(|file| path.join(&file.path)).collect(),
        next: vec![
            format!("cd {}", shown(path)),
            "krt build".to_owned(),
            format!("(cd {FIRST_NODE} && {})", language.unit_test()),
            "krt run".to_owned(),
            format!("krt call {} '{{\"name\": \"Ada\"}}'   # in another terminal", manifest::FIRST_METHOD),
        ],
    })
}

/// One more node of the version at `args.path`.
fn add(node: &str, args: &Args) -> anyhow::Result<Report> {
    let given = args.path.as_deref().unwrap_or(Path::new("."));
    let judged = judge(given, Depth::Manifest);
    let (Some(package), Some(topology)) = (&judged.package, &judged.topology) else {
        let first = judged.problems.iter().find(|problem| problem.is_error());
        let first = first.map(|problem| problem.message.as_str()).unwrap_or_default();
        bail!("{} is not a version without errors: {first}\nhelp: see `krt check`", given.display());
    };
    if given.extension().is_some_and(|extension| extension == "krt") && given.is_file() {
        bail!("{} is an archive: unpack it first", given.display());
    }
    let root = if given.is_dir() { given } else { given.parent().unwrap_or(Path::new(".")) };
    let workflow = workflow(topology, args.workflow.as_deref())?;
    refuse_taken(topology, workflow, node)?;
    let from = if args.from.is_empty() { vec!["entrypoint".to_owned()] } else { args.from.clone() };
    let old = std::str::from_utf8(package.manifest_bytes()).context("krt.yml is not UTF-8")?;
    let messages = messages::for_greeting(package, topology)?;
    let addition = Addition { workflow: &workflow.name, node, from: &from, package: &messages.package };
    let new = manifest::with_node(old, topology, &addition, package)?;
    let folder = root.join(node);
    refuse_existing(&folder)?;
    let names = Names { node, package: &messages.package, proto: &messages.stem };
    let mut files = template::node(args.lang, &names)?;
    place(&folder, &files)?;
    let placed = put_proto(root, messages.file.as_ref()).and_then(|()| {
        let path = root.join(package.manifest_name());
        replace(&path, &new).with_context(|| format!("writing {}", path.display()))
    });
    if let Err(error) = placed {
        // Nothing was there before.
        let _ = fs::remove_dir_all(&folder);
        return Err(error);
    }
    files = files.into_iter().map(|file| file.under(node)).collect();
    files.extend(messages.file);
    Ok(Report {
        version: topology.version.clone(),
        workflow: workflow.name.clone(),
        node: node.to_owned(),
        language: args.lang.title(),
        files: files.iter().map(|file| root.join(&file.path)).collect(),
        next: vec![
            format!("krt build {} --node {}/{node}", shown(root), workflow.name),
            format!("(cd {} && {})", shown(&folder), args.lang.unit_test()),
        ],
    })
}

fn workflow<'t>(topology: &'t Topology, named: Option<&str>) -> anyhow::Result<&'t Workflow> {
    let names = || topology.workflows.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", ");
    match (named, topology.workflows.as_slice()) {
        (None, [only]) => Ok(only),
        (None, _) => bail!("the version has several workflows: say which with --workflow ({})", names()),
        (Some(name), all) => all
            .iter()
            .find(|it| it.name == name)
            .with_context(|| format!("the version has no workflow {name:?} (it has {})", names())),
    }
}

fn refuse_taken(topology: &Topology, workflow: &Workflow, node: &str) -> anyhow::Result<()> {
    if workflow.nodes.iter().any(|it| it.name == node) {
        bail!("workflow {:?} has a node {node:?} already", workflow.name);
    }
    let src = manifest::src(node);
    for other in &topology.workflows {
        for it in &other.nodes {
            let builds =
                matches!(&it.kind, NodeKind::Wasm(wasm) if wasm.build.as_ref().is_some_and(|b| b.source == node));
            if it.src == src || builds {
                bail!("node {}/{} is made of {} already: choose another name", other.name, it.name, it.src);
            }
        }
    }
    Ok(())
}

fn refuse_existing(path: &Path) -> anyhow::Result<()> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
        Ok(_) => bail!("{} is there already: choose another name", path.display()),
    }
}

/// Makes a folder with these files, as a whole or not at all.
fn place(folder: &Path, files: &[Written]) -> anyhow::Result<()> {
    let what = || format!("making {}", folder.display());
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).with_context(what)?;
    let temporary = tempfile::Builder::new()
        .prefix(".krt-new-")
        // As an ordinary folder of the user's: a temporary one is its owner's alone.
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir_in(parent)
        .with_context(what)?;
    for file in files {
        let path = temporary.path().join(&file.path);
        fs::create_dir_all(path.parent().unwrap_or(temporary.path())).with_context(what)?;
        fs::write(&path, &file.text).with_context(what)?;
    }
    refuse_existing(folder)?;
    fs::rename(temporary.path(), folder).with_context(what)
}

fn put_proto(root: &Path, file: Option<&Written>) -> anyhow::Result<()> {
    let Some(file) = file else { return Ok(()) };
    let path = root.join(&file.path);
    let what = || format!("making {}", path.display());
    let mut made = fs::File::create_new(&path).with_context(what)?;
    std::io::Write::write_all(&mut made, file.text.as_bytes()).with_context(what)
}

/// Replaces a file's text as a whole; it stays whose it is and as readable as it is.
fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    // A link is followed: what it leads to is the file.
    let path = path.canonicalize()?;
    let folder = path.parent().context("a path with a folder")?;
    let mut file = tempfile::Builder::new().prefix(".krt-new-").tempfile_in(folder)?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    file.as_file().set_permissions(path.metadata()?.permissions())?;
    file.persist(&path)?;
    Ok(())
}

/// `name` as an identifier of protobuf and of every language.
fn identifier(name: &str) -> String {
    let name = name.replace('-', "_");
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("v{name}") } else { name }
}

/// A path as a shell reads it.
fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    shlex::try_quote(&text).map_or_else(|_| text.clone(), std::borrow::Cow::into_owned)
}

fn text(report: &Report) -> String {
    let Report { version, node, language, .. } = report;
    let mut text = format!("node {node:?} of version {version:?}, in {language}:\n");
    for file in &report.files {
        text.push_str(&format!("  {}\n", file.display()));
    }
    text.push_str("\nnext:\n");
    for command in &report.next {
        text.push_str(&format!("  {command}\n"));
    }
    text
}
