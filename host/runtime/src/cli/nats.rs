//! The flags by which every subcommand finds NATS. Secrets are not shown, neither in help nor in errors.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::secret::{Secret, secret};
use crate::nats::{ConnectError, Nats, NatsOptions, connect_when_there};
use crate::telemetry::Part;

/// In place of a URL: a server of the process's own.
const AUTO: &str = "auto";

/// Where NATS is and who we are there.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "NATS")]
pub(super) struct NatsArgs {
    /// A NATS server with JetStream, or several of a cluster: nats://HOST:PORT, tls://HOST:PORT or HOST:PORT
    #[arg(
        long = "nats",
        value_name = "URL",
        env = "KRT_NATS_URL",
        hide_env_values = true,
        value_delimiter = ',',
        value_parser = secret
    )]
    urls: Vec<Secret>,
    /// A .creds file
    #[arg(long = "nats-creds", value_name = "FILE", env = "KRT_NATS_CREDS")]
    creds: Option<PathBuf>,
    /// A file with an nkey seed
    #[arg(long = "nats-nkey", value_name = "FILE", env = "KRT_NATS_NKEY")]
    nkey: Option<PathBuf>,
    /// A token; better in the environment, where other users do not see it
    #[arg(long = "nats-token", value_name = "TOKEN", env = "KRT_NATS_TOKEN", hide_env_values = true, value_parser = secret)]
    token: Option<Secret>,
    /// PEM file of the authorities that the server's certificate may come from; means TLS
    #[arg(long = "nats-ca", value_name = "FILE", env = "KRT_NATS_CA")]
    ca: Option<PathBuf>,
    /// PEM file with this client's certificate
    #[arg(long = "nats-cert", value_name = "FILE", env = "KRT_NATS_CERT", requires = "key")]
    certificate: Option<PathBuf>,
    /// PEM file with the certificate's key
    #[arg(long = "nats-key", value_name = "FILE", env = "KRT_NATS_KEY", requires = "certificate")]
    key: Option<PathBuf>,
}

impl NatsArgs {
    /// Whether a server of this process's own is wanted.
    pub(super) fn is_auto(&self) -> bool {
        matches!(self.urls.as_slice(), [Secret(url)] if url == AUTO)
    }

    /// The same, at another place.
    pub(super) fn at(&self, url: &str) -> Self {
        Self { urls: vec![Secret(url.to_owned())], ..self.clone() }
    }

    /// Whether any server is named.
    pub(super) fn is_given(&self) -> bool {
        !self.urls.is_empty()
    }

    /// What the original's runners are told: `host:port` where that says it all, as the original platform does, else the
    /// URL. One server: theirs find the others of a cluster by it.
    pub(super) fn for_runners(&self) -> String {
        let url = self.urls.first().map_or("", |url| url.0.as_str());
        let plain = url.strip_prefix("nats://").unwrap_or(url);
        if plain.contains('@') { url.to_owned() } else { plain.to_owned() }
    }

    /// For processes of the platform, which are told by the variable of the original's runners: KRT_NATS_SERVER.
    pub(super) fn server(mut self) -> Self {
        if self.urls.is_empty()
            && let Ok(servers) = std::env::var("KRT_NATS_SERVER")
        {
            self.urls = servers.split(',').map(|url| Secret(url.to_owned())).collect();
        }
        self
    }

    /// How to connect, as `name`; none when no URL is given.
    pub(super) fn options(&self, name: &str) -> Option<NatsOptions> {
        if self.urls.is_empty() {
            return None;
        }
        Some(NatsOptions {
            urls: self.urls.iter().map(|url| url.0.clone()).collect(),
            name: Some(name.to_owned()),
            credentials: self.creds.clone(),
            nkey: self.nkey.clone(),
            token: self.token.as_ref().map(|token| token.0.clone()),
            ca: self.ca.clone(),
            certificate: self.certificate.clone(),
            key: self.key.clone(),
        })
    }

    /// The same for a child of this process, by its environment: nobody else sees that.
    pub(super) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let urls: Vec<&str> = self.urls.iter().map(|url| url.0.as_str()).collect();
        let path = |path: &Option<PathBuf>| path.clone().map(PathBuf::into_os_string);
        let all = [
            ("KRT_NATS_URL", (!urls.is_empty()).then(|| urls.join(",").into())),
            ("KRT_NATS_CREDS", path(&self.creds)),
            ("KRT_NATS_NKEY", path(&self.nkey)),
            ("KRT_NATS_TOKEN", self.token.as_ref().map(|token| token.0.clone().into())),
            ("KRT_NATS_CA", path(&self.ca)),
            ("KRT_NATS_CERT", path(&self.certificate)),
            ("KRT_NATS_KEY", path(&self.key)),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// Connects for a command that does one thing, waiting for at most `wait`.
    pub(super) async fn connect(&self, name: &str, wait: Duration) -> anyhow::Result<Nats> {
        if self.is_auto() {
            bail!("--nats auto is for krt run: its server ends with the command");
        }
        let Some(options) = self.options(name) else { bail!("where is NATS? Say --nats URL, or set KRT_NATS_URL") };
        let waiting = connect_when_there(&options, None);
        match tokio::time::timeout(wait, waiting).await {
            Ok(connected) => Ok(connected?),
            Err(_) => {
                // What keeps it away has been said in the log, but that is not the answer to a command.
                let error = crate::nats::connect(&options, None).await.err();
                let error = error.map_or_else(|| "it is there now".to_owned(), |error: ConnectError| error.to_string());
                Err(anyhow::anyhow!(error)).with_context(|| format!("not connected within {} s", wait.as_secs_f64()))
            }
        }
    }

    /// Connects for a process that serves, waiting as long as it takes; `part` is ready while the connection is there.
    pub(super) async fn connect_to_serve(&self, name: &str, part: Part) -> anyhow::Result<Option<Nats>> {
        match self.options(name) {
            None => Ok(None),
            Some(options) => Ok(Some(connect_when_there(&options, Some(part)).await?)),
        }
    }
}
