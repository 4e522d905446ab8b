//! Compiles a version's components beforehand, and brings what was compiled to the host that runs them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use krt::topology::{NodeKind, Topology};

use super::nodes::MAX_COMPONENT;
use crate::artifact::nats::{fetch_compiled, push_compiled};
use crate::artifact::{Digest, FileError, Package, RemoteError};
use crate::engine::{AdoptError, Engine, Entry, LoadError};
use crate::nats::Nats;

/// Where a compiled component is, and the digest of what must be there: `nats://BUCKET/NAME@sha256:DIGEST`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompiledRef {
    bucket: String,
    name: String,
    digest: Digest,
}

/// What was compiled of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompiledNode {
    /// The component's path in the package.
    pub src: String,
    /// Where its compiled form is.
    pub reference: CompiledRef,
}

/// Why a version's components are not compiled beforehand.
#[derive(Debug, thiserror::Error)]
pub enum AheadError {
    /// A component's file cannot be read.
    #[error("`{src}`: {source}")]
    File {
        /// Its path in the package.
        src: String,
        /// Why.
        source: FileError,
    },
    /// A component is none, or does not fit the contract: no host would run it.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// This engine keeps nothing that could be stored.
    #[error("there is no cache to take compiled components from")]
    NoCache,
    /// It cannot be stored, or fetched.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// It is not for this engine, or damaged.
    #[error(transparent)]
    Adopt(#[from] AdoptError),
    /// Compiling was stopped.
    #[error("compiling was stopped: {0}")]
    Stopped(#[from] tokio::task::JoinError),
}

/// Not the form of a [`CompiledRef`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected nats://BUCKET/NAME@sha256:DIGEST, as `krt compile` prints it")]
pub struct CompiledRefError;

/// Compiles each component of `topology` once, and stores the results in the bucket of `runtime_id`. What is there already is
/// not stored again.
///
/// # Errors
/// See [`AheadError`].
pub async fn compile(
    engine: &Engine,
    package: &Package,
    topology: &Topology,
    nats: &Nats,
    runtime_id: &str,
) -> Result<Vec<CompiledNode>, AheadError> {
    let bucket = krt::names::compiled(runtime_id);
    let nodes = topology.workflows.iter().flat_map(|workflow| &workflow.nodes);
    let mut all: Vec<CompiledNode> = Vec::new();
    for node in nodes.filter(|node| matches!(node.kind, NodeKind::Wasm(_))) {
        if all.iter().any(|known| known.src == node.src) {
            continue;
        }
        let (engine, package, src) = (engine.clone(), package.clone(), node.src.clone());
        let compiling = tokio::task::spawn_blocking(move || {
            let bytes = package.read(&src, MAX_COMPONENT);
            let bytes = bytes.map_err(|source| AheadError::File { src: src.clone(), source })?;
            engine.compile_ahead(&src, &bytes)?.ok_or(AheadError::NoCache)
        });
        let entry: Entry = compiling.await??;
        push_compiled(nats, &bucket, &entry.name, &entry.bytes, 1).await?;
        let digest = Digest::of(&entry.bytes);
        let reference = CompiledRef { bucket: bucket.clone(), name: entry.name, digest };
        all.push(CompiledNode { src: node.src.clone(), reference });
    }
    Ok(all)
}

/// Fetches what was compiled beforehand, and has `engine` keep it. Who does not succeed compiles anew.
///
/// # Errors
/// See [`AheadError`].
pub async fn adopt(engine: &Engine, nats: &Nats, compiled: &CompiledRef) -> Result<(), AheadError> {
    let CompiledRef { bucket, name, digest } = compiled;
    let bytes = fetch_compiled(nats, bucket, name, digest).await?;
    let (engine, entry) = (engine.clone(), Arc::new(Entry { name: name.clone(), bytes }));
    tokio::task::spawn_blocking(move || engine.adopt(&entry)).await??;
    Ok(())
}

impl FromStr for CompiledRef {
    type Err = CompiledRefError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (place, digest) = text.strip_prefix("nats://")?.split_once('@')?;
            let (bucket, name) = place.split_once('/')?;
            let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            let is_name = |text: &str| !text.is_empty() && text.len() <= 255 && text.bytes().all(known);
            let digest = digest.strip_prefix("sha256:")?.parse().ok()?;
            let fine = is_name(bucket) && !bucket.contains('.') && is_name(name);
            fine.then(|| Self { bucket: bucket.to_owned(), name: name.to_owned(), digest })
        };
        read().ok_or(CompiledRefError)
    }
}

impl fmt::Display for CompiledRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nats://{}/{}@{}", self.bucket, self.name, self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_names_its_digest_or_is_none() {
        let digest = "0".repeat(64);
        let text = format!("nats://compiled_kre/{digest}-00ff.cwasm@sha256:{digest}");
        assert_eq!(text.parse::<CompiledRef>().unwrap().to_string(), text);
        for text in
            ["", "nats://b/n", "nats://b/n@sha256:0", "oci://b/n@sha256:0", &text.replace("compiled_kre", "a.b")]
        {
            assert!(text.parse::<CompiledRef>().is_err(), "{text}");
        }
    }
}
