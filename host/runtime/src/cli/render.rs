//! `krt render`: prints the Kubernetes objects of a version, without a cluster.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use krt::plan::plan;
use krt::topology::{NodeKind, Topology};

use super::judge::{Depth, judge};
use super::plan::runtime_id;
use super::variables::{assignment, in_file};
use super::{Globals, Output, print};
use crate::artifact::{self, Reference};
use crate::cluster::render::{Compiled, Databases, KeyRef, Objects, Options, Uri, Value, Variable, render};
use crate::runtime::ahead::{CompiledRef, CompiledRefError};

/// Bytes of a public key in PEM: far more than any has.
const MAX_KEY: usize = 64 << 10;

/// Print the Kubernetes objects of a version
///
/// What the operator applies for a started version, for those who keep objects in a repository: Deployments, Services,
/// ConfigMaps, NetworkPolicies, disruption budgets. Asks no cluster and no server. Pods fetch the package by its digest:
/// `krt push` puts it there. What is needed on the bus must be made beforehand: `krt provision`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  krt render . | kubectl apply -f -                     in the namespace `kre`
  krt render . --published --output-dir deploy/         a file for each object
  krt render . --runtime-id team-a --nats-url nats://nats.bus:4222 --config-secret API_KEY=mail/key
  krt render my.krt --package oci://registry.example/v1@sha256:… --registry-secret registry")]
pub(super) struct Args {
    /// A folder with a krt.yml, a krt.yml, or a .krt archive
    path: PathBuf,
    /// The runtime (tenant) that names on the bus begin with
    #[arg(long, value_name = "ID", default_value = "kre", value_parser = runtime_id)]
    runtime_id: String,
    /// The namespace of the objects [default: the runtime's id]
    #[arg(short, long, value_name = "NAME", value_parser = namespace)]
    namespace: Option<String>,
    /// With the Service active-entrypoint, which leads to the published version
    #[arg(long)]
    published: bool,
    /// Write each object to a file in this folder
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// Where pods fetch the package [default: the runtime's object store, by the digest of what krt push stores]
    #[arg(long, value_name = "REF", help_heading = "Package")]
    package: Option<Reference>,
    /// PEM file with the public key that must have signed the package
    #[arg(long, value_name = "FILE", help_heading = "Package")]
    verify_key: Option<PathBuf>,
    /// Secret (dockerconfigjson) by which pods fetch the package from a registry
    #[arg(long, value_name = "SECRET", help_heading = "Package")]
    registry_secret: Option<String>,
    /// A component that krt compile compiled and stored, as it printed it (repeatable)
    #[arg(long, value_name = "SRC=REF", value_parser = compiled, help_heading = "Package")]
    compiled: Vec<(String, CompiledRef)>,
    /// The package's registry speaks HTTP without TLS
    #[arg(long, help_heading = "Package")]
    plain_http: bool,
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
    /// NATS as pods reach it, without secrets (repeatable, or separated by commas)
    #[arg(long, value_name = "URL", value_delimiter = ',', default_value = "nats://nats:4222", value_parser = without_secret, help_heading = "NATS and databases")]
    nats_url: Vec<String>,
    /// Secret with a .creds file for krt's own pods
    #[arg(long, value_name = "SECRET/KEY", value_parser = key_ref, help_heading = "NATS and databases")]
    nats_creds_secret: Option<KeyRef>,
    /// Secret with the authorities (PEM) of the server's certificate
    #[arg(long, value_name = "SECRET/KEY", value_parser = key_ref, help_heading = "NATS and databases")]
    nats_ca_secret: Option<KeyRef>,
    /// Secret with the URL, user included, that krt's own pods get
    #[arg(long, value_name = "SECRET/KEY", value_parser = key_ref, conflicts_with = "nats_creds_secret", help_heading = "NATS and databases")]
    nats_url_secret: Option<KeyRef>,
    /// Secret with the URL, user included, that runners of the original get
    #[arg(long, value_name = "SECRET/KEY", value_parser = key_ref, help_heading = "NATS and databases")]
    nats_native_secret: Option<KeyRef>,
    /// InfluxDB as pods reach it, without secrets
    #[arg(long, value_name = "URL", value_parser = without_secret, conflicts_with = "influx_secret", help_heading = "NATS and databases")]
    influx_url: Option<String>,
    /// Secret with InfluxDB's URL
    #[arg(long, value_name = "SECRET/KEY", value_parser = key_ref, requires = "influx_host", help_heading = "NATS and databases")]
    influx_secret: Option<KeyRef>,
    /// InfluxDB's host and port in that Secret: pods may connect there
    #[arg(long, value_name = "HOST:PORT", help_heading = "NATS and databases")]
    influx_host: Option<String>,
    /// Secret with MongoDB's URI
    #[arg(long, value_name = "SECRET/KEY", value_parser = key_ref, requires = "mongo_host", help_heading = "NATS and databases")]
    mongo_secret: Option<KeyRef>,
    /// MongoDB's host and port in that Secret: pods may connect there
    #[arg(long, value_name = "HOST:PORT", help_heading = "NATS and databases")]
    mongo_host: Option<String>,
    /// A value for a configuration variable of the manifest, in plain sight (repeatable; wins over the file)
    #[arg(long = "config", value_name = "NAME=VALUE", value_parser = assignment, help_heading = "Configuration")]
    config: Vec<(String, String)>,
    /// A file of NAME=VALUE lines with values for configuration variables
    #[arg(long, value_name = "FILE", help_heading = "Configuration")]
    config_file: Option<PathBuf>,
    /// A configuration variable whose value is in a Secret (repeatable)
    #[arg(long, value_name = "NAME=SECRET/KEY", value_parser = reference, help_heading = "Configuration")]
    config_secret: Vec<(String, KeyRef)>,
    /// A configuration variable whose value is in a ConfigMap (repeatable)
    #[arg(long, value_name = "NAME=MAP/KEY", value_parser = reference, help_heading = "Configuration")]
    config_map: Vec<(String, KeyRef)>,
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

pub(super) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    // What is rendered is what can be pushed, unless it has been pushed before.
    let depth = if args.package.is_some() { Depth::Manifest } else { Depth::Package };
    let judged = judge(&args.path, depth);
    judged.print_problems(globals);
    let (Some(package), Some(topology)) = (&judged.package, &judged.topology) else { return Ok(ExitCode::FAILURE) };
    let stored = match &args.package {
        Some(reference) if !reference.is_pinned() => {
            bail!("{reference} may come to mean another package: add its @sha256:DIGEST, which krt push prints")
        }
        Some(reference) => reference.clone(),
        None if judged.has_errors() => return Ok(ExitCode::FAILURE),
        None => {
            let digest = package.archive()?.digest;
            Reference::Nats { bucket: krt::names::packages(&args.runtime_id), digest }
        }
    };
    let options = options(&args, topology, stored)?;
    let objects = render(topology, &plan(topology, &args.runtime_id), &options);
    match (&args.output_dir, globals.output) {
        (Some(folder), _) => write(&objects, folder)?,
        (None, Output::Json) => {
            let items = objects.values()?;
            print::json(&serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items}))?;
        }
        (None, Output::Text) => {
            let documents = objects.documents()?;
            let texts: Vec<_> = documents.iter().map(|document| document.yaml.as_str()).collect();
            print::out(&texts.join("---\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn options(args: &Args, topology: &Topology, stored: Reference) -> anyhow::Result<Options> {
    let own = || namespace(&args.runtime_id).map_err(anyhow::Error::msg);
    let namespace = match &args.namespace {
        Some(namespace) => namespace.clone(),
        None => own().with_context(|| {
            format!("the runtime's id {:?} names no namespace; give one with --namespace", args.runtime_id)
        })?,
    };
    let mut options = Options::new(namespace, stored, args.image.clone(), args.nats_url.clone());
    options.published = args.published;
    options.verify_key = args.verify_key.as_deref().map(public_key).transpose()?;
    options.registry_secret = args.registry_secret.clone();
    options.plain_http = args.plain_http;
    options.images.replaced = args.replace_image.iter().cloned().collect();
    options.images.pull_policy = args.pull_policy.clone();
    options.images.pull_secrets = args.pull_secret.clone();
    options.images.native_user = args.native_user;
    options.nats.credentials = args.nats_creds_secret.clone();
    options.nats.authorities = args.nats_ca_secret.clone();
    options.nats.own_url = args.nats_url_secret.clone();
    options.nats.native_url = args.nats_native_secret.clone();
    options.databases = databases(args);
    options.variables = variables(args, topology)?;
    options.compiled = compiled_nodes(args, topology)?;
    options.entrypoint_replicas = args.entrypoint_replicas;
    options.request_timeout = Duration::from_secs_f64(args.request_timeout);
    options.metrics_from = args.metrics_from.clone();
    Ok(options)
}

fn compiled_nodes(args: &Args, topology: &Topology) -> anyhow::Result<Vec<Compiled>> {
    let nodes = || topology.workflows.iter().flat_map(|workflow| &workflow.nodes);
    let of = |(src, reference): &(String, CompiledRef)| {
        if !nodes().any(|node| node.src == *src && matches!(node.kind, NodeKind::Wasm(_))) {
            bail!("no node of the version is made of the component {src:?}");
        }
        Ok(Compiled { src: src.clone(), reference: reference.to_string() })
    };
    args.compiled.iter().map(of).collect()
}

fn databases(args: &Args) -> Databases {
    let secret = |key: &Option<KeyRef>, host: &Option<String>| {
        Some(Uri { value: Value::Secret(key.clone()?), host: host.clone().unwrap_or_default() })
    };
    let plain = |url: &String| Uri { value: Value::Text(url.clone()), host: url.clone() };
    Databases {
        influx: secret(&args.influx_secret, &args.influx_host).or_else(|| args.influx_url.as_ref().map(plain)),
        mongo: secret(&args.mongo_secret, &args.mongo_host),
    }
}

/// A value, or where it is, for every variable that the manifest names. The environment of whoever renders has no say.
fn variables(args: &Args, topology: &Topology) -> anyhow::Result<Vec<Variable>> {
    let mut given: Vec<(String, Value)> = Vec::new();
    given.extend(args.config_secret.iter().map(|(name, key)| (name.clone(), Value::Secret(key.clone()))));
    given.extend(args.config_map.iter().map(|(name, key)| (name.clone(), Value::ConfigMap(key.clone()))));
    given.extend(args.config.iter().map(|(name, value)| (name.clone(), Value::Text(value.clone()))));
    let declared: Vec<&String> = topology.files.iter().chain(&topology.variables).collect();
    if let Some((unknown, _)) = given.iter().find(|(name, _)| !declared.contains(&name)) {
        bail!("the manifest declares no configuration variable {unknown:?}; add it under config.variables");
    }
    if let Some(path) = &args.config_file {
        given.extend(in_file(path)?.into_iter().map(|(name, value)| (name, Value::Text(value))));
    }
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in declared {
        match given.iter().find(|(known, _)| known == name) {
            Some((_, value)) => found.push(Variable { name: name.clone(), value: value.clone() }),
            None => missing.push(name.as_str()),
        }
    }
    if !missing.is_empty() {
        bail!(
            "no value for the configuration variables {}: give them with --config NAME=VALUE, --config-file FILE, \
             --config-secret NAME=SECRET/KEY or --config-map NAME=MAP/KEY",
            missing.join(", ")
        );
    }
    Ok(found)
}

/// One file an object. What else is in the folder would be applied, too: it is not left there silently.
fn write(objects: &Objects, folder: &Path) -> anyhow::Result<()> {
    let documents = objects.documents()?;
    let name = |document: &crate::cluster::render::Document| {
        format!("{}-{}.yaml", document.kind.to_ascii_lowercase(), document.name)
    };
    let names: BTreeSet<String> = documents.iter().map(name).collect();
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let reading = || format!("reading {}", folder.display());
    for entry in fs::read_dir(folder).with_context(reading)? {
        let found = entry.with_context(reading)?.file_name().to_string_lossy().into_owned();
        let is_manifest = [".yaml", ".yml", ".json"].iter().any(|end| found.ends_with(end));
        if is_manifest && !names.contains(&found) {
            bail!(
                "{} is there, and no object of this version: remove it, or name another folder",
                folder.join(found).display()
            );
        }
    }
    for document in &documents {
        let path = folder.join(name(document));
        fs::write(&path, &document.yaml).with_context(|| format!("writing {}", path.display()))?;
    }
    print::out(&format!("{} objects in {}\n", documents.len(), folder.display()))
}

fn public_key(path: &Path) -> anyhow::Result<String> {
    let bytes = artifact::read_file(path, MAX_KEY).with_context(|| format!("reading {}", path.display()))?;
    let text = String::from_utf8(bytes).ok().filter(|text| text.contains("-----BEGIN PUBLIC KEY-----"));
    text.with_context(|| format!("{} is no public key in PEM", path.display()))
}

pub(super) fn default_image() -> &'static str {
    concat!("konstellation/krt:", env!("CARGO_PKG_VERSION"))
}

/// A DNS label.
fn namespace(text: &str) -> Result<String, &'static str> {
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

pub(super) fn reference(text: &str) -> Result<(String, KeyRef), String> {
    let (name, key) = assignment(text)?;
    Ok((name, key_ref(&key)?))
}

fn compiled(text: &str) -> Result<(String, CompiledRef), String> {
    let (src, reference) = assignment(text).map_err(|_| "expected SRC=REF".to_owned())?;
    Ok((src, reference.parse().map_err(|error: CompiledRefError| error.to_string())?))
}

/// It is printed, and everyone who sees the objects sees it.
pub(super) fn without_secret(text: &str) -> Result<String, &'static str> {
    if text.contains('@') {
        return Err("it holds a user, and rendered objects are no place for secrets: refer to a Secret instead");
    }
    if text.is_empty() { Err("it is empty") } else { Ok(text.to_owned()) }
}
