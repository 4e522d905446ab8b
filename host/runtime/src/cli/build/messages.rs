//! The messages of a version's .proto files in Rust, for nodes that leave them to `krt build`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use krt::proto::Proto;
use prost_build::Module;

use super::{Options, inputs};
use crate::artifact::Package;

/// Modules by name, each with its code and what is in it.
#[derive(Default)]
struct Tree {
    code: String,
    modules: BTreeMap<String, Tree>,
}

/// The path of a protobuf package beneath the module of the messages: `shop.orders` is `shop::orders`.
pub(in crate::cli) fn rust_path(package: &str) -> String {
    Module::from_protobuf_package_name(package).parts().collect::<Vec<_>>().join("::")
}

/// Writes `src/messages.rs` in a package whose `.gitignore` leaves `/src/messages.rs` to the build, as that of a new node
/// does.
pub(super) fn write_if_wanted(package: &Path, options: &Options) -> anyhow::Result<()> {
    let ignored = std::fs::read_to_string(package.join(".gitignore")).unwrap_or_default();
    if !ignored.lines().any(|line| line.trim() == "/src/messages.rs") {
        return Ok(());
    }
    let text = generated(options)?;
    let file = package.join("src/messages.rs");
    // Cargo looks at the time of the last change.
    if std::fs::read_to_string(&file).is_ok_and(|there| there == text) {
        return Ok(());
    }
    std::fs::write(&file, text).with_context(|| format!("writing {}", file.display()))
}

/// A module for every protobuf package, those of one name within another beneath it.
fn generated(options: &Options) -> anyhow::Result<String> {
    let package = Package::open(&options.root)?;
    let mut files = BTreeMap::new();
    for path in inputs::protos(options)? {
        let proto = match Proto::load(&package, &path) {
            Ok(proto) => proto,
            Err(problems) => {
                let all = problems.iter().map(|p| format!("{}:{}: {}", p.file, p.line, p.message)).collect::<Vec<_>>();
                bail!("{}", all.join("\n"));
            }
        };
        for (name, _) in proto.sources() {
            if let Some(file) = proto.pool.get_file_by_name(name) {
                files.insert(name.to_owned(), file.file_descriptor_proto().clone());
            }
        }
    }
    let requests = files.into_values().map(|file| (Module::from_protobuf_package_name(file.package()), file)).collect();
    let mut config = prost_build::Config::new();
    // Names are what messages are recognised by on the bus.
    config.enable_type_names();
    let mut tree = Tree::default();
    for (module, code) in config.generate(requests).context("generating the messages")? {
        let mut place = &mut tree;
        for part in module.parts() {
            place = place.modules.entry(part.to_owned()).or_default();
        }
        place.code.push_str(&code);
    }
    let mut text =
        "//! The messages of the version's .proto files. Made by `krt build`: changes are lost.\n".to_owned();
    text.push_str("#![allow(dead_code, missing_docs, clippy::all, clippy::pedantic, rustdoc::all)]\n\n");
    tree.write(&mut text);
    Ok(text)
}

impl Tree {
    fn write(&self, text: &mut String) {
        text.push_str(&self.code);
        for (name, tree) in &self.modules {
            text.push_str(&format!("pub mod {name} {{\n"));
            tree.write(text);
            text.push_str("}\n");
        }
    }
}
