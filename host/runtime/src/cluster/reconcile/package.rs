//! What is known of packages: read and judged once for each reference, by functions that are handed in. Writes nothing, and
//! does not look into components: that is for who compiles them (`ahead`).

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use krt::problem::Problem;
use krt::topology::{NodeKind, Topology};

use crate::artifact::{Digest, Package, Reference};
use crate::cluster::render::Compiled;

/// Packages that are remembered: more than versions that run in a cluster. A judged one has some 10 KiB.
const REMEMBERED: usize = 1024;

/// Why a package was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    /// Later, perhaps: where it is is away, or it is not there yet.
    #[error("{0}")]
    Away(String),
    /// Later: there is no connection to where it is.
    #[error("{0}")]
    NoBus(String),
    /// Never: it is not what its digest says, is not signed, or is no archive.
    #[error("{0}")]
    Refused(String),
}

/// A package that was read.
#[derive(Debug)]
pub struct Read {
    /// The package.
    pub package: Package,
    /// Of the archive.
    pub digest: Digest,
}

/// What became of a package's components.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Built {
    /// All are compiled, and stored for pods.
    All(Vec<Compiled>),
    /// These are none that a host would run.
    Rejected(Vec<Problem>),
    /// They could not be compiled here, for this reason; pods do it themselves.
    Not(String),
}

/// Where packages come from.
pub trait Packages: Send + Sync {
    /// Fetches one, compares it with the reference's digest and signature, and opens it.
    fn read(&self, reference: Reference) -> BoxFuture<'static, Result<Read, PackageError>>;

    /// What another engine must have for its own to take what [`Self::compile`] compiles.
    fn engine(&self) -> &str;

    /// Compiles its components, and stores them for the pods of a runtime. Who drops it stops it.
    fn compile(&self, reference: Reference, runtime_id: String) -> BoxFuture<'static, Result<Built, PackageError>>;
}

/// A package that was judged.
#[derive(Debug)]
pub(super) struct Judged {
    /// None when it cannot run.
    pub(super) topology: Option<Topology>,
    /// Errors, or warnings.
    pub(super) problems: Vec<Problem>,
    /// Of the archive.
    pub(super) digest: Digest,
    /// Its components: paths in the package.
    pub(super) components: Vec<String>,
}

/// All that were judged.
pub(super) struct Known {
    packages: Arc<dyn Packages>,
    judged: Mutex<HashMap<String, Arc<Judged>>>,
}

impl Known {
    pub(super) fn new(packages: Arc<dyn Packages>) -> Self {
        Self { packages, judged: Mutex::default() }
    }

    /// Reads and judges the package at `reference`, the first time.
    pub(super) async fn get(&self, reference: &Reference) -> Result<Arc<Judged>, PackageError> {
        let key = reference.to_string();
        if let Some(judged) = self.lock().get(&key) {
            return Ok(judged.clone());
        }
        let Read { package, digest } = self.packages.read(reference.clone()).await?;
        let judging = tokio::task::spawn_blocking(move || judge(&package, digest));
        let judged = Arc::new(judging.await.map_err(|error| PackageError::Refused(error.to_string()))?);
        let mut all = self.lock();
        if all.len() >= REMEMBERED {
            all.clear();
        }
        all.insert(key, judged.clone());
        Ok(judged)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Judged>>> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn judge(package: &Package, digest: Digest) -> Judged {
    let checked = krt::check(package.manifest_name(), package.manifest_bytes(), Some(package));
    let nodes = checked.topology.iter().flat_map(|topology| &topology.workflows).flat_map(|workflow| &workflow.nodes);
    let wasm = nodes.filter(|node| matches!(node.kind, NodeKind::Wasm(_)));
    let components: BTreeSet<String> = wasm.map(|node| node.src.clone()).collect();
    Judged {
        components: components.into_iter().collect(),
        topology: checked.topology,
        problems: checked.problems,
        digest,
    }
}
