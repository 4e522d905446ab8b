//! `krt render`: prints the Kubernetes objects of a version, without a cluster.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use krt::plan::plan;
use krt::topology::{NodeKind, Topology};

use super::judge::{Depth, judge};
use super::plan::runtime_id;
use super::pods::{PodArgs, key_ref, namespace, without_secret};
use super::variables::{assignment, in_file};
use super::{Globals, Output, print};
use crate::artifact::{self, Reference};
use crate::cluster::render::{Compiled, KeyRef, Objects, Options, Value, Variable, render};
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
    /// A component that krt compile compiled and stored, as it printed it (repeatable)
    #[arg(long, value_name = "SRC=REF", value_parser = compiled, help_heading = "Package")]
    compiled: Vec<(String, CompiledRef)>,
    /// The package's registry speaks HTTP without TLS
    #[arg(long, help_heading = "Package")]
    plain_http: bool,
    /// NATS as pods reach it, without secrets (repeatable, or separated by commas)
    #[arg(long, value_name = "URL", value_delimiter = ',', default_value = "nats://nats:4222", value_parser = without_secret, help_heading = "NATS and databases of pods")]
    nats_url: Vec<String>,
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
    #[command(flatten)]
    pods: PodArgs,
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
    let mut options = args.pods.options(&namespace, stored, &args.nats_url);
    options.published = args.published;
    options.verify_key = args.verify_key.as_deref().map(public_key).transpose()?;
    options.plain_http = args.plain_http;
    options.variables = variables(args, topology)?;
    options.compiled = compiled_nodes(args, topology)?;
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

pub(super) fn public_key(path: &Path) -> anyhow::Result<String> {
    let bytes = artifact::read_file(path, MAX_KEY).with_context(|| format!("reading {}", path.display()))?;
    let text = String::from_utf8(bytes).ok().filter(|text| text.contains("-----BEGIN PUBLIC KEY-----"));
    text.with_context(|| format!("{} is no public key in PEM", path.display()))
}

pub(super) fn reference(text: &str) -> Result<(String, KeyRef), String> {
    let (name, key) = assignment(text)?;
    Ok((name, key_ref(&key)?))
}

fn compiled(text: &str) -> Result<(String, CompiledRef), String> {
    let (src, reference) = assignment(text).map_err(|_| "expected SRC=REF".to_owned())?;
    Ok((src, reference.parse().map_err(|error: CompiledRefError| error.to_string())?))
}
