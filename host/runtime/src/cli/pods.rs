//! What pods of versions are made with: the flags that `krt render` and `krt operator` share.

use std::time::Duration;

use super::variables::assignment;
use crate::artifact::Reference;
use crate::cluster::render::{Databases, KeyRef, Options, Uri, Value};

/// Where pods find what they need, and what is made of them.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct PodArgs {
    /// Secret (dockerconfigjson) by which pods fetch the package from a registry
    #[arg(long, value_name = "SECRET", help_heading = "Package")]
    registry_secret: Option<String>,
    /// krt's image, for the entrypoint, component nodes and init containers
    #[arg(long, value_name = "IMAGE", default_value = default_image(), help_heading = "Images")]
    image: String,
    /// Take another image than the manifest names for native nodes (repeatable)
    #[arg(long, value_name = "IMAGE=OTHER", value_parser = assignment, help_heading = "Images")]
    replace_image: Vec<(String, String)>,
    /// When images are pulled: Always, IfNotPresent or Never
    #[arg(long, value_name = "POLICY", value_parser = ["Always", "IfNotPresent", "Never"], help_heading = "Images")]
    pull_policy: Option<String>,
    /// Secret by which images are pulled (repeatable)
    #[arg(long, value_name = "SECRET", help_heading = "Images")]
    pull_secret: Vec<String>,
    /// User id that native nodes run as, for images whose user is not a number
    #[arg(long, value_name = "UID", value_parser = clap::value_parser!(i64).range(1..=2_147_483_647), help_heading = "Images")]
    native_user: Option<i64>,
    /// Secret with a .creds file for krt's own pods
    #[arg(long, value_name = "SECRET/KEY", value_parser = key_ref, help_heading = "NATS and databases of pods")]
    nats_creds_secret: Option<KeyRef>,
    /// Secret with the authorities (PEM) of the server's certificate
    #[arg(long, value_name = "SECRET/KEY", value_parser = key_ref, help_heading = "NATS and databases of pods")]
    nats_ca_secret: Option<KeyRef>,
    /// Secret with the URL, user included, that krt's own pods get
    #[arg(long, value_name = "SECRET/KEY", value_parser = key_ref, conflicts_with = "nats_creds_secret", help_heading = "NATS and databases of pods")]
    nats_url_secret: Option<KeyRef>,
    /// Secret with the URL, user included, that runners of the original get
    #[arg(long, value_name = "SECRET/KEY", value_parser = key_ref, help_heading = "NATS and databases of pods")]
    nats_native_secret: Option<KeyRef>,
    /// InfluxDB as pods reach it, without secrets
    #[arg(long, value_name = "URL", value_parser = without_secret, conflicts_with = "influx_secret", help_heading = "NATS and databases of pods")]
    influx_url: Option<String>,
    /// Secret with InfluxDB's URL
    #[arg(long, value_name = "SECRET/KEY", value_parser = key_ref, requires = "influx_host", help_heading = "NATS and databases of pods")]
    influx_secret: Option<KeyRef>,
    /// InfluxDB's host and port in that Secret: pods may connect there
    #[arg(long, value_name = "HOST:PORT", help_heading = "NATS and databases of pods")]
    influx_host: Option<String>,
    /// Secret with MongoDB's URI
    #[arg(long, value_name = "SECRET/KEY", value_parser = key_ref, requires = "mongo_host", help_heading = "NATS and databases of pods")]
    mongo_secret: Option<KeyRef>,
    /// MongoDB's host and port in that Secret: pods may connect there
    #[arg(long, value_name = "HOST:PORT", help_heading = "NATS and databases of pods")]
    mongo_host: Option<String>,
    /// Pods of the entrypoint
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    entrypoint_replicas: u32,
    /// Seconds that a call may take when the caller sets no deadline
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = super::positive_seconds)]
    request_timeout: f64,
    /// Namespace whose pods may read metrics (repeatable)
    #[arg(long, value_name = "NAME", value_parser = namespace)]
    metrics_from: Vec<String>,
}

impl PodArgs {
    /// What the objects of a version are rendered with, where pods reach NATS at `nats_urls`.
    pub(super) fn options(&self, namespace: &str, package: Reference, nats_urls: &[String]) -> Options {
        let mut options = Options::new(namespace.to_owned(), package, self.image.clone(), nats_urls.to_vec());
        options.registry_secret.clone_from(&self.registry_secret);
        options.images.replaced = self.replace_image.iter().cloned().collect();
        options.images.pull_policy.clone_from(&self.pull_policy);
        options.images.pull_secrets.clone_from(&self.pull_secret);
        options.images.native_user = self.native_user;
        options.nats.credentials.clone_from(&self.nats_creds_secret);
        options.nats.authorities.clone_from(&self.nats_ca_secret);
        options.nats.own_url.clone_from(&self.nats_url_secret);
        options.nats.native_url.clone_from(&self.nats_native_secret);
        options.databases = self.databases();
        options.entrypoint_replicas = self.entrypoint_replicas;
        options.request_timeout = Duration::from_secs_f64(self.request_timeout);
        options.metrics_from.clone_from(&self.metrics_from);
        options
    }

    fn databases(&self) -> Databases {
        let secret = |key: &Option<KeyRef>, host: &Option<String>| {
            Some(Uri { value: Value::Secret(key.clone()?), host: host.clone().unwrap_or_default() })
        };
        let plain = |url: &String| Uri { value: Value::Text(url.clone()), host: url.clone() };
        Databases {
            influx: secret(&self.influx_secret, &self.influx_host).or_else(|| self.influx_url.as_ref().map(plain)),
            mongo: secret(&self.mongo_secret, &self.mongo_host),
        }
    }
}

fn default_image() -> &'static str {
    concat!("konstellation/krt:", env!("CARGO_PKG_VERSION"))
}

/// A DNS label.
pub(super) fn namespace(text: &str) -> Result<String, &'static str> {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let is_fine = !text.is_empty() && text.len() <= 63 && text.bytes().all(known);
    if !is_fine || text.starts_with('-') || text.ends_with('-') {
        return Err("a namespace has at most 63 lower-case letters, digits and `-`");
    }
    Ok(text.to_owned())
}

pub(super) fn key_ref(text: &str) -> Result<KeyRef, &'static str> {
    match text.split_once('/') {
        Some((name, key)) if !name.is_empty() && !key.is_empty() && !key.contains('/') => {
            Ok(KeyRef { name: name.to_owned(), key: key.to_owned() })
        }
        _ => Err("expected NAME/KEY"),
    }
}

/// It is printed, and everyone who sees the objects sees it.
pub(super) fn without_secret(text: &str) -> Result<String, &'static str> {
    if text.contains('@') {
        return Err("it holds a user, and rendered objects are no place for secrets: refer to a Secret instead");
    }
    if text.is_empty() { Err("it is empty") } else { Ok(text.to_owned()) }
}
