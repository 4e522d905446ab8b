//! A package from wherever a reference says: fetched, its digest and its signature verified, and only then unpacked.

use std::path::Path;

use super::oci::OciOptions;
use super::signature::{Signature, SignatureError, VerifyKey};
use super::{Archive, Digest, OpenError, Package, Reference, nats, oci};
use crate::nats::Nats;

/// What came, of the digest that was wanted.
#[derive(Debug)]
pub struct Fetched {
    /// The archive.
    pub archive: Archive,
    /// What claims to be its signature.
    pub signature: Option<Signature>,
}

/// How a package is fetched.
#[derive(Debug, Clone, Default)]
pub struct FetchOptions {
    /// For references to registries.
    pub oci: OciOptions,
    /// Who must have signed it; none = nobody need have.
    pub verify_key: Option<VerifyKey>,
}

/// Why a package is not here, or not there; the variant decides whether trying again helps.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Not by trying again: it is not there.
    #[error("there is no {0}")]
    NotFound(String),
    /// Not by trying again: other bytes than were wanted.
    #[error("its digest is {found}, and {wanted} is wanted")]
    Digest {
        /// What was wanted.
        wanted: Digest,
        /// What came.
        found: Digest,
    },
    /// Not by trying again: not signed as it must be.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// More than a package may have.
    #[error("it has more than {limit} bytes")]
    TooLarge {
        /// How many it may have.
        limit: u64,
    },
    /// The store does not let us.
    #[error("denied: {0}")]
    Denied(String),
    /// It is something else, or the store takes it for that.
    #[error("refused: {0}")]
    Refused(String),
    /// The file became another while it was stored.
    #[error("the archive has changed while it was stored")]
    Changed,
    /// There is a reference to NATS, and no NATS.
    #[error("where is NATS? Say --nats URL, or set KRT_NATS_URL")]
    NoNats,
    /// Later: the store is away.
    #[error("the store is away: {0}")]
    Away(String),
    /// This machine's disk.
    #[error("this machine's disk: {0}")]
    Disk(#[source] std::io::Error),
    /// It is here, and no package.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl RemoteError {
    /// Whether waiting may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Away(_))
    }
}

/// The archive that `reference` means, verified.
///
/// # Errors
/// See [`RemoteError`].
pub async fn fetch(reference: &Reference, nats: Option<&Nats>, options: &FetchOptions) -> Result<Archive, RemoteError> {
    let mut fetched = match reference {
        Reference::Nats { bucket, digest } => nats::fetch(nats.ok_or(RemoteError::NoNats)?, bucket, digest).await?,
        Reference::Oci(oci) => oci::fetch(oci, &options.oci).await?,
    };
    let Some(key) = options.verify_key.clone() else { return Ok(fetched.archive) };
    let verifying = tokio::task::spawn_blocking(move || {
        key.verify(&mut fetched.archive, fetched.signature.as_ref())?;
        Ok(fetched.archive)
    });
    verifying.await.map_err(|stopped| RemoteError::Disk(std::io::Error::other(stopped)))?
}

/// The package that `reference` means, verified and unpacked into a temporary folder.
///
/// # Errors
/// See [`RemoteError`].
pub async fn open(reference: &Reference, nats: Option<&Nats>, options: &FetchOptions) -> Result<Package, RemoteError> {
    let archive = fetch(reference, nats, options).await?;
    let name = reference.to_string();
    let opening = tokio::task::spawn_blocking(move || Package::unpack(Path::new(&name), archive.file));
    Ok(opening.await.map_err(|stopped| RemoteError::Disk(std::io::Error::other(stopped)))??)
}

/// An error with what it comes from.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let (mut text, mut source) = (error.to_string(), error.source());
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}
