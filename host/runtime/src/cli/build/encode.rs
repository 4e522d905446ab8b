//! From a core module of a language's own compiler to a component of the contract's world. Never compiles anything.

use std::path::Path;

use anyhow::Context as _;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The world that every node is of.
const WORLD: &str = "node";

/// Makes a component of `module`, which imports and exports what the canonical ABI calls the functions of the world in
/// `wit`. What it wants of WASI 0.1 becomes WASI 0.2.
///
/// # Errors
/// When the module is not such a one.
pub(super) fn component(module: &[u8], wit: &Path) -> anyhow::Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit).with_context(|| format!("reading {}", wit.display()))?;
    let world = resolve.select_world(&[package], Some(WORLD))?;
    let mut module = module.to_vec();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .context("describing what the module is")?;
    let adapter = (WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER);
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|encoder| encoder.adapter(adapter.0, adapter.1))
        .and_then(|mut encoder| encoder.encode())
        .context("making a component of the module")
}

/// `module` without what a debugger reads of it; with the names of its functions.
///
/// # Errors
/// When it is not a module.
pub(super) fn without_debug_information(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    // The magic number and the version.
    let mut rest = module.get(..8).context("a module")?.to_vec();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.context("what the compiler made is not a module")?;
        if matches!(&payload, Payload::CustomSection(section) if section.name().starts_with(".debug_")) {
            continue;
        }
        let Some((id, range)) = payload.as_section() else { continue };
        rest.push(id);
        let mut length = range.len();
        // LEB128.
        while length >= 0x80 {
            rest.push(length as u8 | 0x80);
            length >>= 7;
        }
        rest.push(length as u8);
        rest.extend(&module[range]);
    }
    Ok(rest)
}
