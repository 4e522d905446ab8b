//! Packages as OCI artifacts in a registry: a manifest with one layer, which is the archive, by its digest. Never runs a
//! program for credentials, never logs one.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use futures::TryStreamExt as _;
use oci_client::Reference as Address;
use oci_client::RegistryOperation;
use oci_client::client::{Client, ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::manifest::{OciDescriptor, OciImageManifest, OciManifest};

use super::hashing::{Hashing, MAX_PACKED};
use super::remote::chain;
use super::signature::Signature;
use super::{Archive, Digest, Fetched, OciReference, RemoteError};

pub use super::docker::{Credentials, CredentialsError};

/// What kind of artifact a package is.
pub const ARTIFACT: &str = "application/vnd.konstellation.krt.v2";
/// What its one layer is.
pub const LAYER: &str = "application/vnd.konstellation.krt.v2.tar+gzip";
/// The signature, as an annotation of the layer.
const SIGNATURE: &str = "io.konstellation.krt.signature";
/// The config of an artifact that has none (OCI image specification, 1.1): the two bytes `{}`.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// A registry that is silent for so long has gone.
const SILENCE: Duration = Duration::from_secs(30);

/// How a registry is spoken to.
#[derive(Debug, Clone, Default)]
pub struct OciOptions {
    /// Without TLS.
    pub plain_http: bool,
    /// As whom.
    pub credentials: Credentials,
}

/// Stores `archive`, and gives the reference that means it for good.
///
/// # Errors
/// See [`RemoteError`].
pub async fn push(
    target: &OciReference,
    archive: Archive,
    signature: Option<&Signature>,
    title: &str,
    options: &OciOptions,
) -> Result<OciReference, RemoteError> {
    let (client, address) = client(target, options);
    let auth = options.credentials.of(&target.registry);
    client.auth(&address, &auth, RegistryOperation::Push).await.map_err(failed)?;
    let empty = Digest::of(b"{}").to_string();
    client.push_blob(&address, &b"{}"[..], &empty).await.map_err(failed)?;
    let digest = archive.digest.to_string();
    if !client.blob_exists(&address, &digest).await.map_err(failed)? {
        let file = tokio::fs::File::from_std(archive.file);
        let chunks = tokio_util::io::ReaderStream::with_capacity(file, 1 << 20).map_err(OciDistributionError::from);
        client.push_blob_stream(&address, chunks, &digest, Some(archive.size)).await.map_err(failed)?;
    }
    let mut annotations = BTreeMap::from([("org.opencontainers.image.title".to_owned(), title.to_owned())]);
    annotations.extend(signature.map(|signature| (SIGNATURE.to_owned(), signature.to_text())));
    let size = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let manifest = OciImageManifest {
        media_type: Some("application/vnd.oci.image.manifest.v1+json".to_owned()),
        artifact_type: Some(ARTIFACT.to_owned()),
        config: OciDescriptor { media_type: EMPTY.to_owned(), digest: empty, size: 2, ..OciDescriptor::default() },
        layers: vec![OciDescriptor {
            media_type: LAYER.to_owned(),
            digest,
            size: size(archive.size),
            annotations: Some(annotations),
            ..OciDescriptor::default()
        }],
        ..OciImageManifest::default()
    };
    let bytes = serde_json::to_vec(&manifest).map_err(|error| RemoteError::Refused(error.to_string()))?;
    let pinned = OciReference { digest: Some(Digest::of(&bytes)), ..target.clone() };
    // By its tag if it has one: a registry keeps what it stored for the digest as well.
    let address = match target.tag {
        Some(_) => address,
        None => self::address(&pinned),
    };
    let kind = http::HeaderValue::from_static("application/vnd.oci.image.manifest.v1+json");
    client.push_manifest_raw(&address, bytes, kind).await.map_err(failed)?;
    Ok(pinned)
}

/// The package that `reference` means, with its signature if there is one.
///
/// # Errors
/// See [`RemoteError`].
pub async fn fetch(reference: &OciReference, options: &OciOptions) -> Result<Fetched, RemoteError> {
    let (client, address) = client(reference, options);
    let auth = options.credentials.of(&reference.registry);
    let (manifest, digest) = client.pull_manifest(&address, &auth).await.map_err(failed)?;
    if let Some(wanted) = &reference.digest
        && digest != wanted.to_string()
    {
        let found =
            digest.parse().map_err(|_| RemoteError::Refused("the manifest's digest is no SHA-256".to_owned()))?;
        return Err(RemoteError::Digest { wanted: wanted.clone(), found });
    }
    let OciManifest::Image(manifest) = manifest else {
        return Err(RemoteError::Refused("it is a list of images, and no package of KRT".to_owned()));
    };
    let [layer] = manifest.layers.as_slice() else {
        return Err(RemoteError::Refused(format!("a package has one layer; this has {}", manifest.layers.len())));
    };
    if layer.media_type != LAYER {
        return Err(RemoteError::Refused(format!("its layer is {:?}, and no package of KRT", layer.media_type)));
    }
    let wanted: Digest =
        layer.digest.parse().map_err(|_| RemoteError::Refused("the layer's digest is no SHA-256".to_owned()))?;
    let signature = layer.annotations.as_ref().and_then(|all| all.get(SIGNATURE));
    let signature = signature.map(|text| Signature::from_text(text.as_bytes())).transpose()?;
    let mut file = Hashing::new(MAX_PACKED).map_err(RemoteError::Disk)?;
    client.pull_blob(&address, layer, &mut file).await.map_err(failed)?;
    let archive = file.finish().await.map_err(RemoteError::Disk)?;
    if archive.digest != wanted {
        return Err(RemoteError::Digest { wanted, found: archive.digest });
    }
    Ok(Fetched { archive, signature })
}

fn client(reference: &OciReference, options: &OciOptions) -> (Client, Address) {
    let config = ClientConfig {
        protocol: if options.plain_http { ClientProtocol::Http } else { ClientProtocol::Https },
        connect_timeout: Some(SILENCE),
        read_timeout: Some(SILENCE),
        ..ClientConfig::default()
    };
    (Client::new(config), address(reference))
}

fn address(reference: &OciReference) -> Address {
    let (registry, repository) = (reference.registry.clone(), reference.repository.clone());
    match (&reference.digest, &reference.tag) {
        (Some(digest), _) => Address::with_digest(registry, repository, digest.to_string()),
        (None, tag) => Address::with_tag(registry, repository, tag.clone().unwrap_or_else(|| "latest".to_owned())),
    }
}

fn failed(error: OciDistributionError) -> RemoteError {
    use OciDistributionError as E;
    let text = chain(&error);
    match error {
        E::AuthenticationFailure(_) | E::UnauthorizedError { .. } => RemoteError::Denied(text),
        E::ImageManifestNotFoundError(_) => RemoteError::NotFound(text),
        E::ServerError { code: 404, .. } => RemoteError::NotFound(text),
        E::ServerError { code: 401 | 403, .. } => RemoteError::Denied(text),
        E::RegistryError { ref envelope, .. } => {
            use OciErrorCode as C;
            let is = |wanted: &[OciErrorCode]| envelope.errors.iter().any(|error| wanted.contains(&error.code));
            if is(&[C::ManifestUnknown, C::NameUnknown, C::BlobUnknown, C::NotFound]) {
                RemoteError::NotFound(text)
            } else if is(&[C::Denied, C::Unauthorized]) {
                RemoteError::Denied(text)
            } else {
                RemoteError::Refused(text)
            }
        }
        E::IoError(error) if error.kind() == io::ErrorKind::FileTooLarge => RemoteError::TooLarge { limit: MAX_PACKED },
        E::IoError(error) => RemoteError::Disk(error),
        E::RequestError(_) | E::ServerError { .. } => RemoteError::Away(text),
        _ => RemoteError::Refused(text),
    }
}
