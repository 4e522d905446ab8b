//! Compiles a version's components beforehand, and brings what was compiled to the host that runs them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use krt::topology::{NodeKind, Topology};

use super::nodes::MAX_COMPONENT;
use crate::artifact::nats::{fetch_compiled, push_compiled};
use crate::artifact::{Digest, Package, RemoteError};
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

/// A component that no host would run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its path in the package.
    pub src: String,
    /// Why.
    pub why: String,
}

/// What became of a version's components.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Those that are compiled and stored.
    pub compiled: Vec<CompiledNode>,
    /// Those that are none, or do not fit the contract.
    pub rejected: Vec<Rejected>,
}

/// Where compiled components are kept.
#[derive(Clone, Copy)]
pub struct Shelf<'a> {
    /// The server.
    pub nats: &'a Nats,
    /// The runtime (tenant) whose object store it is.
    pub runtime_id: &'a str,
    /// Copies of it, if it has to be made.
    pub replicas: usize,
}

/// Why a version's components are not compiled beforehand.
#[derive(Debug, thiserror::Error)]
pub enum AheadError {
    /// This machine cannot compile now.
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

/// Why one component is not compiled.
enum Failed {
    Here(LoadError),
    Rejected(String),
}

/// Compiles each component of `topology` once, and stores the results in the bucket of `runtime_id`. What is there already is
/// not stored again. Goes on after one that is rejected: all are told of.
///
/// # Errors
/// See [`AheadError`].
pub async fn compile(
    engine: &Engine,
    package: &Package,
    topology: &Topology,
    shelf: Shelf<'_>,
) -> Result<Outcome, AheadError> {
    let Shelf { nats, runtime_id, replicas } = shelf;
    let bucket = krt::names::compiled(runtime_id);
    let nodes = topology.workflows.iter().flat_map(|workflow| &workflow.nodes);
    let mut sources: Vec<&str> = Vec::new();
    for node in nodes.filter(|node| matches!(node.kind, NodeKind::Wasm(_))) {
        if !sources.contains(&node.src.as_str()) {
            sources.push(&node.src);
        }
    }
    let mut outcome = Outcome::default();
    for src in sources {
        let (engine, package, path) = (engine.clone(), package.clone(), src.to_owned());
        let compiling = tokio::task::spawn_blocking(move || {
            let bytes = package.read(&path, MAX_COMPONENT).map_err(|error| Failed::Rejected(error.to_string()))?;
            engine.compile_ahead(&path, &bytes).map_err(|error| match error {
                // Of this machine, not of the component.
                LoadError::Host { .. } | LoadError::Unreadable { .. } => Failed::Here(error),
                error => Failed::Rejected(error.to_string()),
            })
        });
        let entry: Entry = match compiling.await? {
            Ok(entry) => entry.ok_or(AheadError::NoCache)?,
            Err(Failed::Here(error)) => return Err(error.into()),
            Err(Failed::Rejected(why)) => {
                outcome.rejected.push(Rejected { src: src.to_owned(), why });
                continue;
            }
        };
        push_compiled(nats, &bucket, &entry.name, &entry.bytes, replicas).await?;
        let digest = Digest::of(&entry.bytes);
        let reference = CompiledRef { bucket: bucket.clone(), name: entry.name, digest };
        outcome.compiled.push(CompiledNode { src: src.to_owned(), reference });
    }
    Ok(outcome)
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
