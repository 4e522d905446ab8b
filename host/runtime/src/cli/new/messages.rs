//! The messages that a new node greets with: the version's own if it has them, else a .proto beside krt.yml.

use anyhow::bail;
use krt::proto::Proto;
use krt::topology::Topology;

use super::template::Written;
use crate::artifact::Package;

/// The proto that is made where a version has no such messages, and its package.
const OWN: &str = "greeting";

const MESSAGES: &str = "
message Greeting {
  string name = 1;
}

message Answer {
  string text = 1;
}
";

/// Where the messages are.
#[derive(Debug)]
pub(super) struct Messages {
    pub(super) package: String,
    /// The file's name without `.proto`.
    pub(super) stem: String,
    /// The file, when it has to be made.
    pub(super) file: Option<Written>,
}

/// The `.proto` of a new version.
pub(super) fn entrypoint(package: &str) -> String {
    let method = super::manifest::FIRST_METHOD;
    format!(
        "syntax = \"proto3\";\n\npackage {package};\n\nservice Entrypoint {{\n  \
         rpc {method} (Greeting) returns (Answer);\n}}\n{MESSAGES}"
    )
}

/// The messages for one more node of a version.
pub(super) fn for_greeting(package: &Package, topology: &Topology) -> anyhow::Result<Messages> {
    let own = format!("{OWN}.proto");
    for path in [&topology.proto, &own] {
        // Templates look beside krt.yml.
        let Some(stem) = path.strip_suffix(".proto").filter(|stem| !stem.contains('/')) else { continue };
        let Ok(proto) = Proto::load(package, path) else { continue };
        if let Some(package) = usable(&proto, path) {
            return Ok(Messages { package, stem: stem.to_owned(), file: None });
        }
    }
    if package.root().join(&own).exists() {
        bail!("{own} is there, but has no messages Greeting {{ string name }} and Answer {{ string text }}: rename it");
    }
    let text = format!(
        "// What the nodes that `krt new` makes greet with.\nsyntax = \"proto3\";\n\npackage {OWN};\n{MESSAGES}"
    );
    Ok(Messages { package: OWN.to_owned(), stem: OWN.to_owned(), file: Some(Written::new(own, text)) })
}

/// The package of the file at `path`, if it declares both messages.
fn usable(proto: &Proto, path: &str) -> Option<String> {
    let file = proto.pool.get_file_by_name(path)?;
    let has = |message: &str, field: &str| {
        file.messages().any(|it| {
            let field = it.get_field_by_name(field);
            it.name() == message
                && field.is_some_and(|field| field.number() == 1 && field.kind() == prost_reflect::Kind::String)
        })
    };
    let package = file.package_name();
    (has("Greeting", "name") && has("Answer", "text") && !package.is_empty()).then(|| package.to_owned())
}
