//! From bytes to a component that is known to fit: says what bytes are when they are none, and what a component lacks.
//! Checks names before it compiles, types after. Never runs guest code.

use std::fmt;

use wasmparser::{Encoding, Parser, Payload};
use wasmtime::component::types::{self, ComponentItem};
use wasmtime::component::{Component as Compiled, Linker};
use wasmtime::error::Context as _;

use super::bindings::NodePre;
use super::bindings::exports::krt::node::handler::{Failure, Message};
use super::config;
use super::limits::Bytes;
use super::state::State;
use crate::artifact::FileError;

/// The contract that this host speaks.
pub(super) const PACKAGE: &str = "krt:node";
pub(super) const TRACK: &str = "0.1";
const HANDLER: &str = "krt:node/handler@0.1";

/// What to do with a component of another contract.
const REBUILD: &str =
    "rebuild it: by `krt build` of this krt, or with the SDK or the wit/ folder of one that serves 0.1";

/// Interfaces of the contract that a component may import.
const INTERFACES: [&str; 10] = [
    "types",
    "messaging",
    "delivery",
    "configuration",
    "object-store",
    "measurements",
    "logging",
    "metadata",
    "predictions",
    "database",
];

/// WASI 0.2 as this host offers it, denied by default where it reaches out.
const WASI: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];

/// Why a component cannot be a node. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is something else.
    #[error("{name} is not a WebAssembly component: {what}")]
    NotAComponent {
        /// The file.
        name: String,
        /// What it is.
        what: NotAComponent,
    },
    /// It began as a component, but is truncated, damaged, or uses what this host does not know.
    #[error("{name} is not a valid component: {reason}")]
    Invalid {
        /// The file.
        name: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// It wants what this host does not offer.
    #[error("{name} cannot run here: {}", list(problems))]
    Imports {
        /// The file.
        name: String,
        /// Every import that is not met.
        problems: Vec<ImportProblem>,
    },
    /// It does not offer what a node must.
    #[error("{name} is not a node: {problem}")]
    Exports {
        /// The file.
        name: String,
        /// What is missing.
        problem: ExportProblem,
    },
    /// Larger in some way than the pool's places are.
    #[error("{name} is larger than this host allows: {reason}")]
    TooLarge {
        /// The file.
        name: String,
        /// Which way.
        reason: String,
    },
    /// Its bytes are not to be had.
    #[error("{name} cannot be read: {source}")]
    Unreadable {
        /// The file.
        name: String,
        /// Why not.
        #[source]
        source: FileError,
    },
    /// No thread to compile on.
    #[error("{name} could not be compiled: {source}")]
    Host {
        /// The file.
        name: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// What a file is that is not a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAComponent {
    /// No bytes at all.
    Empty,
    /// A plain module.
    CoreModule,
    /// The text format.
    Text,
    /// A compiled component or another native program.
    Native,
    /// Starts with `#!`.
    Script,
    /// Something packed.
    Archive,
    /// Fewer bytes than the head of a component has.
    Cut,
    /// WebAssembly of a version that is neither module nor component.
    Version(u32),
    /// Anything else, by its first bytes.
    Unknown(Vec<u8>),
}

/// An import that the host does not meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportProblem {
    /// The import's full name.
    pub import: String,
    /// Why not.
    pub why: ImportReason,
}

/// Why an import is not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportReason {
    /// Another version of the contract.
    Contract(String),
    /// Not part of the contract that this host has.
    NewInContract,
    /// Outbound HTTP: would need `wasm.allow.http`.
    Http,
    /// WASI of another version than 0.2.
    Wasi(String),
    /// Nothing that this host knows.
    Unknown,
    /// Known, but of another type.
    Type(String),
}

/// What is wrong with the exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportProblem {
    /// No `krt:node/handler`. Value: what it exports.
    NoHandler(Vec<String>),
    /// A handler of another version of the contract.
    Contract(String),
    /// A handler whose functions are missing or of another type.
    Type(String),
}

/// Looks at the head: what is surely no component is not handed on.
pub(super) fn classify(name: &str, bytes: &[u8]) -> Result<(), LoadError> {
    let what = match bytes {
        [] => NotAComponent::Empty,
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => return Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => NotAComponent::CoreModule,
        [0, b'a', b's', b'm', a, b, c, d, ..] => NotAComponent::Version(u32::from_le_bytes([*a, *b, *c, *d])),
        head if head.len() < 8 && b"\0asm\x0d\0\x01\0".starts_with(head) => NotAComponent::Cut,
        [0x7f, b'E', b'L', b'F', ..] | [b'M', b'Z', ..] => NotAComponent::Native,
        [b'#', b'!', ..] => NotAComponent::Script,
        [0x1f, 0x8b, ..] | [b'P', b'K', 3 | 5, ..] | [b'!', b'<', b'a', b'r', ..] => NotAComponent::Archive,
        bytes if bytes.trim_ascii_start().starts_with(b"(") || bytes.starts_with(b";;") => NotAComponent::Text,
        bytes => NotAComponent::Unknown(bytes[..bytes.len().min(8)].to_vec()),
    };
    Err(LoadError::NotAComponent { name: name.into(), what })
}

/// Looks at the names of imports and exports: what cannot run is not compiled, which may take seconds.
pub(super) fn check_names(name: &str, bytes: &[u8]) -> Result<(), LoadError> {
    let (imports, exports) = names(bytes).map_err(|reason| LoadError::Invalid { name: name.into(), reason })?;
    check_export_names(name, &exports)?;
    let problems: Vec<_> =
        imports.into_iter().filter_map(|import| Some(ImportProblem { why: unmet(&import)?, import })).collect();
    if problems.is_empty() { Ok(()) } else { Err(LoadError::Imports { name: name.into(), problems }) }
}

/// Binds a compiled component to the host's functions, all types checked.
pub(super) fn bind(name: &str, compiled: &Compiled, linker: &Linker<State>) -> Result<NodePre<State>, LoadError> {
    let engine = compiled.engine();
    let ty = compiled.component_type();
    let pre = linker.instantiate_pre(compiled).map_err(|error| {
        let text = format!("{error:#}");
        let blamed = ty.imports(engine).map(|(import, _)| import).find(|import| text.contains(&format!("`{import}`")));
        let import = blamed.unwrap_or("an import").to_owned();
        let why = unmet(&import).unwrap_or_else(|| ImportReason::Type(chain(&error, 1)));
        LoadError::Imports { name: name.into(), problems: vec![ImportProblem { import, why }] }
    })?;
    let exports: Vec<_> = ty.exports(engine).map(|(export, _)| export.to_owned()).collect();
    check_export_names(name, &exports)?;
    let checked = check_handler(&ty, engine).and_then(|()| NodePre::new(pre));
    checked.map_err(|error| LoadError::Exports { name: name.into(), problem: ExportProblem::Type(chain(&error, 0)) })
}

/// The types of the handler's functions, which wasmtime itself looks at when it instantiates only.
fn check_handler(ty: &types::Component, engine: &wasmtime::Engine) -> wasmtime::Result<()> {
    let Some((_, item)) = ty.exports(engine).find(|(export, _)| is_handler(export)) else { return Ok(()) };
    let ComponentItem::ComponentInstance(handler) = item.ty else { wasmtime::bail!("it is not an interface") };
    let cx = ty.instance_type();
    for name in ["init", "handle"] {
        let Some(ComponentItem::ComponentFunc(function)) = handler.get_export(engine, name).map(|item| item.ty) else {
            wasmtime::bail!("it has no function `{name}`");
        };
        match name {
            "init" => function.typecheck::<(), (Result<(), Failure>,)>(&cx),
            _ => function.typecheck::<(Message<'_>,), (Result<(), Failure>,)>(&cx),
        }
        .with_context(|| format!("its function `{name}` has the wrong type"))?;
    }
    Ok(())
}

/// What a failed compilation means.
pub(super) fn uncompiled(name: &str, error: &wasmtime::Error) -> LoadError {
    let name = name.to_owned();
    let text = format!("{error:#}");
    // The pool's own words; they name the limit.
    if ["pooling allocator", "configured maximum", "exceeds the limit"].iter().any(|words| text.contains(words)) {
        return LoadError::TooLarge { name, reason: text };
    }
    let reason = match error.root_cause().to_string() {
        cause if cause.contains("unexpected end") || cause.contains("unexpected EOF") => {
            format!("it is truncated or damaged ({cause})")
        }
        cause => cause,
    };
    LoadError::Invalid { name, reason }
}

/// What the pool cannot hold, before an instance is asked for.
pub(super) fn check_size(name: &str, compiled: &Compiled) -> Result<usize, LoadError> {
    let Some(needed) = compiled.resources_required() else { return Ok(0) };
    let too_large = |reason| Err(LoadError::TooLarge { name: name.into(), reason });
    let elements = needed.max_initial_table_size.unwrap_or(0);
    if elements > config::TABLE_ELEMENTS as u64 {
        return too_large(format!("a table of {elements} elements; {} are allowed", config::TABLE_ELEMENTS));
    }
    let pages = needed.max_initial_memory_size.unwrap_or(0);
    let memory = usize::try_from(pages.saturating_mul(64 << 10)).unwrap_or(usize::MAX);
    if memory > config::MEMORY_SIZE {
        let (memory, allowed) = (Bytes(memory), Bytes(config::MEMORY_SIZE));
        return too_large(format!("{memory} of initial memory; {allowed} are allowed"));
    }
    Ok(memory)
}

fn check_export_names(name: &str, exports: &[String]) -> Result<(), LoadError> {
    let handler = exports.iter().find(|export| is_handler(export));
    let problem = match handler {
        Some(export) if in_track(version(export)) => return Ok(()),
        Some(export) => ExportProblem::Contract(export.clone()),
        None => ExportProblem::NoHandler(exports.to_vec()),
    };
    Err(LoadError::Exports { name: name.into(), problem })
}

/// Names of the outermost component's imports and exports.
fn names(bytes: &[u8]) -> Result<(Vec<String>, Vec<String>), String> {
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(invalid)? {
            Payload::Version { encoding: Encoding::Module | Encoding::Component, .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    imports.push(import.map_err(invalid)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    exports.push(export.map_err(invalid)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok((imports, exports))
}

fn invalid(error: wasmparser::BinaryReaderError) -> String {
    let text = error.to_string();
    if error.message().contains("unexpected end") { format!("it is truncated or damaged ({text})") } else { text }
}

/// Why the host has nothing by that name, or none.
fn unmet(import: &str) -> Option<ImportReason> {
    let (package, rest) = import.split_once('/')?;
    let interface = rest.split('@').next().unwrap_or(rest);
    let version = version(import);
    match package.split_once(':') {
        Some(("krt", "node")) if !in_track(version) => Some(ImportReason::Contract(version.into())),
        Some(("krt", "node")) if !INTERFACES.contains(&interface) => Some(ImportReason::NewInContract),
        Some(("krt", "node")) => None,
        Some(("wasi", "http")) => Some(ImportReason::Http),
        Some(("wasi", name)) if WASI.contains(&name) && version.starts_with("0.2.") => None,
        Some(("wasi", name)) if WASI.contains(&name) => Some(ImportReason::Wasi(version.into())),
        _ => Some(ImportReason::Unknown),
    }
}

fn version(name: &str) -> &str {
    name.split_once('@').map_or("", |(_, version)| version)
}

fn in_track(version: &str) -> bool {
    version.strip_prefix(TRACK).is_some_and(|rest| rest.starts_with('.'))
}

fn is_handler(export: &str) -> bool {
    export.split('@').next() == Some("krt:node/handler")
}

/// Wasmtime's reasons, from the outermost but `skip`.
fn chain(error: &wasmtime::Error, skip: usize) -> String {
    error.chain().skip(skip).map(|cause| cause.to_string()).collect::<Vec<_>>().join(": ")
}

fn list(problems: &[ImportProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl fmt::Display for NotAComponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the file is empty"),
            Self::CoreModule => f.write_str(
                "it is a core module; build it as a component (in Rust: cargo build --target wasm32-wasip2)",
            ),
            Self::Text => f.write_str("it is text; only the binary format is run"),
            Self::Native => f.write_str(
                "it is native code; krt compiles components itself, and never loads compiled ones from a package",
            ),
            Self::Script => f.write_str("it is a script"),
            Self::Archive => f.write_str("it is an archive or compressed"),
            Self::Cut => f.write_str("the file ends within its first eight bytes"),
            Self::Version(version) => write!(f, "it is WebAssembly of the unknown version {version:#x}"),
            Self::Unknown(head) => write!(f, "it starts with {:?}", String::from_utf8_lossy(head)),
        }
    }
}

impl fmt::Display for ImportProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let import = &self.import;
        match &self.why {
            ImportReason::Contract(version) => write!(
                f,
                "it imports {import}: it was built for {PACKAGE}@{version}, and this krt serves {PACKAGE}@{TRACK}; \
                 {REBUILD}"
            ),
            ImportReason::NewInContract => write!(
                f,
                "it imports {import}, which this host's {PACKAGE}@{TRACK} does not have: use a newer host, \
                 or rebuild it with an older SDK"
            ),
            ImportReason::Http => write!(
                f,
                "it imports {import}: that would need the grant `wasm.allow.http`, and this host does not offer \
                 outbound HTTP yet"
            ),
            ImportReason::Wasi(version) => {
                write!(f, "it imports {import}, of WASI {version}; this host offers WASI 0.2: rebuild it for that")
            }
            ImportReason::Unknown => {
                write!(f, "it imports {import}, which this host does not have; no grant would change that")
            }
            ImportReason::Type(detail) => {
                write!(f, "its import {import} is of another type than the host's: {detail}: rebuild it with the SDK")
            }
        }
    }
}

impl fmt::Display for ExportProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHandler(exports) if exports.is_empty() => write!(f, "it does not export {HANDLER}, nor anything"),
            Self::NoHandler(exports) => {
                write!(f, "it does not export {HANDLER}; it is of another world, and exports {}", exports.join(", "))
            }
            Self::Contract(export) => write!(
                f,
                "it exports {export}: it was built for {PACKAGE}@{}, and this krt serves {PACKAGE}@{TRACK}; {REBUILD}",
                version(export)
            ),
            Self::Type(detail) => {
                write!(f, "its export {HANDLER} is of another type: {detail}: rebuild it with the SDK")
            }
        }
    }
}
