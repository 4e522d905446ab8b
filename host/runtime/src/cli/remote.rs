//! Packages that are stored elsewhere: the flags by which they are fetched, and waiting for a store that is away.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::artifact::oci::{Credentials, OciOptions};
use crate::artifact::{self, Archive, FetchOptions, Package, Reference, RemoteError, VerifyKey, remote};
use crate::nats::Nats;

/// Bytes of a small file: a key, docker's credentials.
const MAX_FILE: usize = 1 << 20;

/// Longest pause between attempts.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// How a package that is stored elsewhere is fetched.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Packages stored elsewhere")]
pub(super) struct RemoteArgs {
    /// PEM file with the public key (ECDSA, P-256) that must have signed the package, as by cosign sign-blob
    #[arg(long, value_name = "FILE", env = "KRT_VERIFY_KEY")]
    verify_key: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// How a registry is spoken to. As whom, docker's config.json says.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Packages stored elsewhere")]
pub(super) struct RegistryArgs {
    /// Registries speak HTTP without TLS
    #[arg(long, env = "KRT_PLAIN_HTTP")]
    plain_http: bool,
}

impl RegistryArgs {
    /// With what docker's config.json says, if there is one.
    pub(super) fn options(&self) -> anyhow::Result<OciOptions> {
        let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
        let folder = folder.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker")));
        let path = folder.map(|folder| folder.join("config.json")).filter(|path| path.exists());
        let credentials = match path {
            None => Credentials::default(),
            Some(path) => {
                let reading = || format!("reading {}", path.display());
                let json = artifact::read_file(&path, MAX_FILE).with_context(reading)?;
                Credentials::from_json(&json).with_context(reading)?
            }
        };
        Ok(OciOptions { plain_http: self.plain_http, credentials })
    }
}

impl RemoteArgs {
    /// The reference that `path` is, if it is one and not a path.
    pub(super) fn reference(&self, path: &Path) -> anyhow::Result<Option<Reference>> {
        match path.to_str() {
            Some(text) if Reference::is_meant(text) => Ok(Some(text.parse()?)),
            _ if self.verify_key.is_some() => {
                bail!("--verify-key is for packages that are stored elsewhere: {} is on this machine", path.display())
            }
            _ => Ok(None),
        }
    }

    /// The same for a child of this process, by its environment.
    pub(super) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let key = self.verify_key.clone().map(|path| ("KRT_VERIFY_KEY", path.into_os_string()));
        let plain = self.registry.plain_http.then(|| ("KRT_PLAIN_HTTP", "true".into()));
        key.into_iter().chain(plain).collect()
    }

    /// Whether registries speak HTTP without TLS.
    pub(super) fn plain_http(&self) -> bool {
        self.registry.plain_http
    }

    /// The file with the key that must have signed packages.
    pub(super) fn verify_key(&self) -> Option<&Path> {
        self.verify_key.as_deref()
    }

    /// How packages are fetched.
    pub(super) fn options(&self) -> anyhow::Result<FetchOptions> {
        let verify_key = match &self.verify_key {
            None => None,
            Some(path) => {
                let reading = || format!("reading {}", path.display());
                let pem = artifact::read_file(path, MAX_FILE).with_context(reading)?;
                Some(VerifyKey::from_pem(&pem).with_context(reading)?)
            }
        };
        Ok(FetchOptions { oci: self.registry.options()?, verify_key })
    }
}

/// The archive that `reference` means, verified. Waits for a store that is away.
pub(super) async fn fetched(
    reference: &Reference,
    nats: Option<&Nats>,
    options: &FetchOptions,
) -> anyhow::Result<Archive> {
    let mut pause = Duration::from_millis(100);
    let (mut attempts, mut say) = (0_u32, 1_u32);
    loop {
        match remote::fetch(reference, nats, options).await {
            Err(error) if error.is_transient() => {
                attempts += 1;
                if attempts == say {
                    tracing::warn!(%error, attempts, %reference, "waiting for the package");
                    say = say.saturating_mul(2).min(say + 30);
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            other => return other.with_context(|| reference.to_string()),
        }
    }
}

/// The package that `reference` means, verified and unpacked for this process. Waits for a store that is away.
pub(super) async fn opened(
    reference: &Reference,
    nats: Option<&Nats>,
    options: &FetchOptions,
) -> anyhow::Result<Package> {
    let archive = fetched(reference, nats, options).await?;
    let name = PathBuf::from(reference.to_string());
    let unpacking = tokio::task::spawn_blocking(move || Package::unpack(&name, archive.file));
    Ok(unpacking.await?.map_err(RemoteError::from)?)
}
