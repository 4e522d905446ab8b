//! The files of a new node: its language's template with names filled in.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::identifier;
use crate::cli::build::{Language, rust_path, sdk_files};

/// A file to be written.
#[derive(Debug, Clone)]
pub(super) struct Written {
    /// Relative.
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// What fills a template's places.
pub(super) struct Names<'a> {
    pub(super) node: &'a str,
    /// Protobuf package of the messages.
    pub(super) package: &'a str,
    /// The proto that has them, without `.proto`.
    pub(super) proto: &'a str,
}

/// The proto that templates are written for.
const PROTO: &str = "public_input";

impl Written {
    pub(super) fn new(path: impl Into<PathBuf>, text: String) -> Self {
        Self { path: path.into(), text }
    }

    /// The same in a folder.
    pub(super) fn under(self, folder: impl AsRef<Path>) -> Self {
        Self { path: folder.as_ref().join(self.path), text: self.text }
    }
}

/// The files of a node's folder.
pub(super) fn node(language: Language, names: &Names<'_>) -> anyhow::Result<Vec<Written>> {
    let package = if language == Language::Rust { rust_path(names.package) } else { names.package.to_owned() };
    let names = Names { package: &package, ..*names };
    let prefix = format!("guest-sdk/{}/template/", language.sdk_folder());
    let mut files = Vec::new();
    for (path, bytes) in sdk_files() {
        let Some(path) = path.strip_prefix(&prefix) else { continue };
        let text = std::str::from_utf8(bytes).with_context(|| format!("{path} of a template is not UTF-8"))?;
        files.push(Written::new(fill(path, &names), fill(text, &names)));
    }
    if files.is_empty() {
        bail!("this krt has no template for {}", language.title());
    }
    Ok(files)
}

fn fill(text: &str, names: &Names<'_>) -> String {
    let text = text.replace("{{name}}", names.node).replace("{{ident}}", &identifier(names.node));
    text.replace("{{package}}", names.package).replace(PROTO, names.proto)
}
