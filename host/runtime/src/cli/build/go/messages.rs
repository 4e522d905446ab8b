//! Go's types of the version's messages: package `messages` of the author's module, by the ecosystem's own generator.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use krt::proto::Proto;
use prost_reflect::prost::Message as _;
use prost_types::FileDescriptorProto;
use prost_types::compiler::{CodeGeneratorRequest, CodeGeneratorResponse};

use super::super::Options;
use super::super::inputs;
use super::super::progress::Progress;
use super::super::toolchain::{Pieces, Stopped, installed, succeed};
use super::{MISSING, go};
use crate::artifact::Package;

/// The generator, as Go installs it. The version of the messages' runtime that the SDK asks for.
pub(super) const GENERATOR: &str = "google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12";

/// What generated files end in.
const SUFFIX: &str = ".pb.go";

/// Makes `messages/` in `source`. What is there already, and as it should be, is not touched.
pub(super) fn generate(source: &Path, module: &str, options: &Options, progress: &Progress) -> anyhow::Result<()> {
    let generator = installed(&Pieces { name: "go", title: "Go", pins: &[GENERATOR] }, options, progress, |place| {
        let mut install = go(place, options);
        install.args(["install", GENERATOR]).env("GOBIN", place);
        succeed(install, MISSING, progress).map(drop)
    })?
    .join("protoc-gen-go");
    let request = request(module, options)?;
    let response = run(&generator, &request)?;
    if let Some(error) = response.error {
        let message = error.strip_suffix('\n').unwrap_or(&error).to_owned();
        return Err(Stopped { command: generator.display().to_string(), message }.into());
    }
    let files = response.file.into_iter().map(|file| (flat(file.name()), file.content.unwrap_or_default()));
    put(&source.join("messages"), &files.collect())
}

/// All protos of the version, as one Go package.
fn request(module: &str, options: &Options) -> anyhow::Result<CodeGeneratorRequest> {
    let paths = inputs::protos(options)?;
    let package = Package::open(&options.root)?;
    let mut descriptors: Vec<FileDescriptorProto> = Vec::new();
    for path in &paths {
        let proto = Proto::load(&package, path).map_err(|problems| Stopped {
            command: format!("reading {path}"),
            message: krt::problem::render(&problems, &[], options.colour),
        })?;
        for file in proto.commented().file {
            // Dependencies come before what needs them, in every set.
            if descriptors.iter().all(|known| known.name() != file.name()) {
                descriptors.push(file);
            }
        }
    }
    let mut parameters = vec!["paths=source_relative".to_owned()];
    // Whatever `go_package` a file has: the version's messages are one package of the node's module.
    parameters.extend(paths.iter().map(|path| format!("M{path}={module}/messages;messages")));
    Ok(CodeGeneratorRequest {
        file_to_generate: paths,
        parameter: Some(parameters.join(",")),
        proto_file: descriptors,
        compiler_version: None,
    })
}

/// Runs a plugin of protoc.
fn run(generator: &Path, request: &CodeGeneratorRequest) -> anyhow::Result<CodeGeneratorResponse> {
    let what = || format!("running {}", generator.display());
    let mut plugin = Command::new(generator);
    plugin.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = plugin.spawn().with_context(what)?;
    // A plugin reads its request as a whole before it says anything. Its end is judged by its status.
    let given = child.stdin.take().context("a piped standard input")?.write_all(&request.encode_to_vec());
    let ended = child.wait_with_output().with_context(what)?;
    if !ended.status.success() {
        let message = String::from_utf8_lossy(&ended.stderr).into_owned();
        return Err(Stopped { command: generator.display().to_string(), message }.into());
    }
    given.with_context(what)?;
    CodeGeneratorResponse::decode(ended.stdout.as_slice()).with_context(what)
}

/// A Go package is one folder: `shared/types.pb.go` lies in it as `shared_types.pb.go`.
fn flat(name: &str) -> String {
    name.replace('/', "_")
}

/// Writes what changed, and deletes what no proto makes any more.
fn put(folder: &Path, files: &BTreeMap<String, String>) -> anyhow::Result<()> {
    let what = || format!("writing {}", folder.display());
    if fs::symlink_metadata(folder).is_ok_and(|there| !there.is_dir()) {
        bail!("{} is not a folder: it is where the generated messages belong", folder.display());
    }
    fs::create_dir_all(folder).with_context(what)?;
    for entry in folder.read_dir().with_context(what)? {
        let name = entry.with_context(what)?.file_name().to_string_lossy().into_owned();
        if name.ends_with(SUFFIX) && !files.contains_key(&name) {
            fs::remove_file(folder.join(name)).with_context(what)?;
        }
    }
    for (name, content) in files {
        super::write(&folder.join(name), content)?;
    }
    Ok(())
}
