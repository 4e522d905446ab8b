//! Artifacts from a package on this machine.

use bytes::Bytes;
use futures::future::BoxFuture;

use super::{ArtifactRef, ArtifactStore, FetchError, FileError, Package};

/// Fetches from an opened package; reads on tokio's threads for blocking work.
#[derive(Debug, Clone)]
pub struct DirStore {
    package: Package,
}

impl DirStore {
    /// The files of `package`.
    pub fn new(package: Package) -> Self {
        Self { package }
    }
}

impl ArtifactStore for DirStore {
    fn fetch(&self, artifact: &ArtifactRef) -> BoxFuture<'static, Result<Bytes, FetchError>> {
        let package = self.package.clone();
        let ArtifactRef { path, limit } = artifact.clone();
        Box::pin(async move {
            let wanted = path.clone();
            let reading = tokio::task::spawn_blocking(move || package.read(&wanted, limit));
            match reading.await {
                Ok(Ok(bytes)) => Ok(Bytes::from(bytes)),
                Ok(Err(FileError::NotFound)) => Err(FetchError::NotFound { path }),
                Ok(Err(FileError::Io(source))) => Err(FetchError::Unavailable { path, source }),
                Ok(Err(source)) => Err(FetchError::Refused { path, source }),
                Err(stopped) => Err(FetchError::Unavailable { path, source: std::io::Error::other(stopped) }),
            }
        })
    }
}
