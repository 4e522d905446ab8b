//! What is known of packages: read and judged once for each reference, by functions that are handed in. Writes nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use krt::problem::Problem;
use krt::topology::Topology;

use crate::artifact::{Package, Reference};

/// Packages that are remembered: more than versions that run in a cluster. A judged one has some 10 KiB.
const REMEMBERED: usize = 1024;

/// Why a package was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    /// Later, perhaps: where it is is away, or it is not there yet.
    #[error("{0}")]
    Away(String),
    /// Never: it is not what its digest says, is not signed, or is no archive.
    #[error("{0}")]
    Refused(String),
}

/// Where packages come from.
pub trait Packages: Send + Sync {
    /// Fetches one, compares it with its digest and signature, and opens it.
    fn read(&self, reference: Reference) -> BoxFuture<'static, Result<Package, PackageError>>;

    /// What is wrong with its components. Blocking, for as long as compiling takes.
    fn judge(&self, package: &Package, topology: &Topology) -> Vec<Problem>;
}

/// A package that was judged.
#[derive(Debug)]
pub(super) struct Judged {
    /// None when it cannot run.
    pub(super) topology: Option<Topology>,
    /// Errors, or warnings.
    pub(super) problems: Vec<Problem>,
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
        let package = self.packages.read(reference.clone()).await?;
        let packages = self.packages.clone();
        let judging = tokio::task::spawn_blocking(move || judge(&*packages, &package));
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

fn judge(packages: &dyn Packages, package: &Package) -> Judged {
    let checked = krt::check(package.manifest_name(), package.manifest_bytes(), Some(package));
    let mut problems = checked.problems;
    let mut topology = checked.topology;
    if let Some(version) = &topology {
        problems.extend(packages.judge(package, version));
        if problems.iter().any(Problem::is_error) {
            topology = None;
        }
    }
    Judged { topology, problems }
}
