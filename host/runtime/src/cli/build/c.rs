//! Nodes in C: compiled and linked by `zig cc`, the one C compiler for WebAssembly that a package registry has, with its
//! own libc; messages and component are made by krt itself. Neither Rust nor protoc is needed.

mod messages;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use krt::problem::Source;
use krt::proto::Proto;
use walkdir::WalkDir;

use super::inputs::{self, Inputs};
use super::progress::Progress;
use super::toolchain::{Pieces, Stopped, installed, succeed};
use super::{Failure, Job, Made, Options, encode, names};
use crate::artifact::Package;

/// A patch release more may compile otherwise: exact.
const ZIG: &str = "ziglang==0.17.1";

const PIECES: Pieces<'_> = Pieces { name: "c", title: "C", pins: &[ZIG] };

const PYTHON_MISSING: &str = "Python 3 with venv is not installed: krt takes the C compiler from PyPI\n\
     help: run `apt-get install python3-venv`, or install it as your distribution does";

/// Folders of a node that are no part of its component.
const NOT_SOURCES: [&str; 4] = ["messages", "test", "tests", "build"];

/// As small as it can be fast: a node's time is in its calls. Without `-g` zig strips the functions' names, too, of which
/// a backtrace is made; what else it brings is taken out afterwards.
const RELEASE: [&str; 2] = ["-Os", "-g"];

/// What Rust's guests have, too; zig's own 16 MiB would count against the node's limit.
const STACK: &str = "-Wl,-z,stack-size=1048576";

/// zig drops every assert() of what it optimises; whether a node's are dropped is its author's to say.
const ASSERTS: &str = "-UNDEBUG";

/// Builds the nodes of one source folder.
pub(super) fn build(
    source: &Path,
    jobs: Vec<Job>,
    options: &Options,
    progress: &Progress,
) -> anyhow::Result<(Vec<Made>, Option<Failure>)> {
    write_messages(source, options)?;
    let scratch = inputs::scratch(source, options)?;
    let mut inputs = Inputs::new("c", options);
    for part in PIECES.pins.iter().chain(&RELEASE).chain(&[STACK, ASSERTS]) {
        inputs.text(part);
    }
    inputs.folder(source, &NOT_SOURCES)?;
    inputs.protos(options)?;
    let digest = inputs.digest();
    let file = match inputs::unchanged(&scratch, &digest) {
        Some(file) => file,
        None => {
            let zig = zig(options, progress)?;
            progress.step(&format!("building {} with zig cc", names(&jobs).join(", ")));
            let module = compile(&zig, source, &scratch, options, progress)?;
            let mut bytes = fs::read(&module).with_context(|| format!("reading {}", module.display()))?;
            if options.release {
                bytes = encode::without_debug_information(&bytes)?;
            }
            let component = encode::component(&bytes, &options.sdk.join("wit"))?;
            let made = scratch.join("component.wasm");
            fs::write(&made, component).with_context(|| format!("writing {}", made.display()))?;
            inputs::keep(&scratch, &digest, &made)?
        }
    };
    Ok((jobs.into_iter().map(|job| Made { job, file: file.clone() }).collect(), None))
}

/// Makes `messages/` beside the sources: the structs of all protos, and for the node's Makefile where the SDK is.
fn write_messages(source: &Path, options: &Options) -> anyhow::Result<()> {
    let stopped = |message: String| Stopped { command: "making C of the .proto files".to_owned(), message };
    let package = Package::open(&options.root)?;
    let mut protos = Vec::new();
    for path in inputs::protos(options)? {
        let problems = match Proto::load(&package, &path) {
            Ok(proto) => {
                protos.push(proto);
                continue;
            }
            Err(problems) => problems,
        };
        let sources = problems.iter().filter_map(|problem| {
            let text = fs::read_to_string(options.root.join(&problem.file)).ok()?;
            Some(Source::new(&problem.file, text))
        });
        let sources: Vec<_> = sources.collect();
        return Err(stopped(krt::problem::render(&problems, &sources, options.colour)).into());
    }
    let mut files = messages::generate(&protos).map_err(stopped)?;
    let sdk = options.sdk.join("guest-sdk/c");
    files.insert("krt.mk".to_owned(), format!("# Made by krt build: changes are lost.\nKRT_C := {}\n", sdk.display()));
    for (path, text) in files {
        let path = source.join("messages").join(path);
        // Left alone if nothing changed: make and editors look at times.
        if fs::read_to_string(&path).is_ok_and(|there| there == text) {
            continue;
        }
        let what = || format!("writing {}", path.display());
        path.parent().map_or(Ok(()), fs::create_dir_all).with_context(what)?;
        fs::write(&path, text).with_context(what)?;
    }
    Ok(())
}

/// The compiler; brought into the cache if it is not there.
fn zig(options: &Options, progress: &Progress) -> anyhow::Result<PathBuf> {
    let folder = installed(&PIECES, options, progress, |folder| {
        let venv = tempfile::Builder::new().prefix(".venv-").tempdir_in(&options.cache)?;
        let mut python = Command::new("python3");
        python.args(["-m", "venv"]).arg(venv.path());
        succeed(python, PYTHON_MISSING, progress).map_err(|error| match error.downcast::<Stopped>() {
            Ok(Stopped { command, message }) if !message.contains("help:") => {
                Stopped { command, message: format!("{message}\n{PYTHON_MISSING}") }.into()
            }
            Ok(stopped) => stopped.into(),
            Err(error) => error,
        })?;
        let mut pip = Command::new(venv.path().join("bin/python"));
        pip.args(["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--target"]);
        pip.arg(folder).arg(ZIG);
        succeed(pip, PYTHON_MISSING, progress)?;
        // zig makes its libc of sources when it is first wanted: now, while a person expects to wait.
        let empty = folder.join("empty.c");
        fs::write(&empty, "void nothing(void) {}\n")?;
        let mut zig = command(&folder.join("ziglang/zig"), folder, options);
        zig.args(RELEASE).arg(&empty).arg("-o").arg(folder.join("empty.wasm"));
        succeed(zig, PYTHON_MISSING, progress)?;
        Ok(())
    })?;
    Ok(folder.join("ziglang/zig"))
}

/// `zig cc` with what every call of it is given.
fn command(zig: &Path, folder: &Path, options: &Options) -> Command {
    let mut command = Command::new(zig);
    // What zig makes again at will; never the user's own cache.
    let cache = options.cache.join("build").join("zig");
    command.env("ZIG_GLOBAL_CACHE_DIR", &cache).env("ZIG_LOCAL_CACHE_DIR", &cache).current_dir(folder);
    command.args(["cc", "-target", "wasm32-wasi", "-mexec-model=reactor"]);
    command
}

fn compile(
    zig: &Path,
    source: &Path,
    scratch: &Path,
    options: &Options,
    progress: &Progress,
) -> anyhow::Result<PathBuf> {
    let sdk = options.sdk.join("guest-sdk/c");
    let module = scratch.join("module.wasm");
    let mut zig = command(zig, source, options);
    if options.release {
        zig.args(RELEASE).arg(ASSERTS);
    } else {
        // Without: zig's sanitizer, which wants a runtime that no component has.
        zig.args(["-O0", "-g", "-fno-sanitize=undefined"]);
    }
    zig.args(["-Wall", "-Wextra", "-fno-strict-aliasing", STACK]);
    zig.arg(if options.colour { "-fcolor-diagnostics" } else { "-fno-color-diagnostics" });
    zig.arg("-I").arg(sdk.join("include")).args(["-I", "messages"]);
    // First: its abort() and exit() take the place of libc's, which the linker would otherwise have by then.
    let end = sdk.join("src/krt_wasm.c");
    zig.args(own_flags(source)?).arg(&end).args(own_files(source)?).args(files(Path::new("messages"), source)?);
    zig.args(files(&sdk.join("src"), source)?.into_iter().filter(|file| *file != end));
    zig.arg(sdk.join("bindings/node.c")).arg("-o").arg(&module);
    let ended = succeed(zig, PYTHON_MISSING, progress)?;
    progress.warn(&ended.stderr);
    Ok(module)
}

/// The node's own files, by their names alone: that is how the compiler's messages name them.
fn own_files(source: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = source.read_dir().with_context(|| format!("reading {}", source.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.file_name().into()).collect();
    files.retain(|name: &PathBuf| name.extension().is_some_and(|extension| extension == "c"));
    files.sort();
    Ok(files)
}

/// `compile_flags.txt`, as clang's tools read it: one argument a line.
fn own_flags(source: &Path) -> anyhow::Result<Vec<String>> {
    let path = source.join("compile_flags.txt");
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// All C files below a folder, sorted; `folder` as it is seen from `source`.
fn files(folder: &Path, source: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in WalkDir::new(source.join(folder)).sort_by_file_name() {
        let entry = entry.with_context(|| format!("reading {}", folder.display()))?;
        if entry.file_type().is_file() && entry.path().extension().is_some_and(|it| it == "c") {
            let path = entry.path();
            // Short where it can be: people read the command.
            files.push(if folder.is_absolute() { path } else { path.strip_prefix(source)? }.to_owned());
        }
    }
    Ok(files)
}
