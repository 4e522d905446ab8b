//! Message types for Python, made by protoc's own generator: `messages/<name>_pb2.py`, and stubs for editors beside them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use walkdir::WalkDir;

use super::super::Options;
use super::super::inputs;
use super::super::progress::Progress;
use super::super::toolchain;
use super::MESSAGES;
use super::pieces::Toolchain;

/// Brings `folder` up to date with the version's protos. What is not generated any more goes.
///
/// # Errors
/// A [`Stopped`](super::super::toolchain::Stopped) with what the generator says.
pub(super) fn generate(
    folder: &Path,
    toolchain: &Toolchain,
    options: &Options,
    progress: &Progress,
) -> anyhow::Result<()> {
    let what = || format!("generating {}", folder.display());
    let protos = inputs::protos(options)?;
    let made = tempfile::tempdir().with_context(what)?;
    let mut protoc = Command::new(toolchain.python());
    protoc.args(["-m", "grpc_tools.protoc", "-I"]).arg(&options.root);
    for (flag, folder) in [("--python_out", made.path()), ("--pyi_out", made.path())] {
        protoc.arg(format!("{flag}={}", folder.display()));
    }
    protoc.args(protos.iter().map(|path| options.root.join(path)));
    toolchain::succeed(protoc, "there is no python3", progress)?;
    write(&made.path().join("__init__.py"), "# Made by `krt build` of the version's .proto files.\n")
        .with_context(what)?;
    write(&made.path().join(".gitignore"), "*\n").with_context(what)?;
    let mut kept = Vec::new();
    for entry in WalkDir::new(made.path()).sort_by_file_name() {
        let entry = entry.with_context(what)?;
        let path = entry.path().strip_prefix(made.path()).with_context(what)?;
        if entry.file_type().is_file() {
            let text = fs::read_to_string(entry.path()).with_context(what)?;
            write(&folder.join(path), &within(&text, &protos)).with_context(what)?;
            kept.push(path.to_owned());
        }
    }
    remove_others(folder, &kept).with_context(what)
}

/// The text with its imports of other generated modules going to the package that they are in.
fn within(text: &str, protos: &[String]) -> String {
    let modules: Vec<String> = protos
        .iter()
        .filter_map(|path| Some(format!("{}_pb2", path.strip_suffix(".proto")?.replace('-', "_"))))
        .collect();
    let is_ours = |package: &str, module: &str| {
        let path =
            if package.is_empty() { module.to_owned() } else { format!("{}/{module}", package.replace('.', "/")) };
        modules.contains(&path)
    };
    let mut lines = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        lines.push(match words.as_slice() {
            ["import", module, "as", name] if is_ours("", module) => {
                format!("from {MESSAGES} import {module} as {name}")
            }
            ["from", package, "import", module, "as", name] if is_ours(package, module) => {
                format!("from {MESSAGES}.{package} import {module} as {name}")
            }
            ["from", module, "import", rest @ ..] if is_ours("", module) => {
                format!("from {MESSAGES}.{module} import {}", rest.join(" "))
            }
            _ => line.to_owned(),
        });
    }
    lines.join("\n") + "\n"
}

/// Writes a file if it is not so already: editors and bytecode go by the time of the change.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

/// Removes modules of protos that are gone; touches nothing that no generator made.
fn remove_others(folder: &Path, kept: &[PathBuf]) -> anyhow::Result<()> {
    for entry in WalkDir::new(folder) {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy();
        let is_generated = name.ends_with("_pb2.py") || name.ends_with("_pb2.pyi");
        if is_generated && !kept.iter().any(|path| folder.join(path) == entry.path()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_modules_import_each_other_within_their_package_and_others_as_ever() {
        let protos = ["public_input.proto".to_owned(), "inner/email-box.proto".to_owned()];
        let text = "import public_input_pb2 as public__input__pb2\n\
                    from inner import email_box_pb2 as inner_dot_email__box__pb2\n\
                    from google.protobuf import timestamp_pb2 as google_dot_timestamp\n\
                    from public_input_pb2 import *\n\
                    import sys as _sys\n";
        assert_eq!(
            within(text, &protos),
            "from messages import public_input_pb2 as public__input__pb2\n\
             from messages.inner import email_box_pb2 as inner_dot_email__box__pb2\n\
             from google.protobuf import timestamp_pb2 as google_dot_timestamp\n\
             from messages.public_input_pb2 import *\n\
             import sys as _sys\n"
        );
    }
}
