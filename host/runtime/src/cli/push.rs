//! `krt push`: stores a package where pods fetch it from.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::cluster::Place;
use super::judge::{Depth, judge};
use super::nats::NatsArgs;
use super::plan::runtime_id;
use super::remote::RegistryArgs;
use super::{Globals, Output, print};
use crate::artifact::{self, Archive, OciReference, Reference, Signature, oci};
use crate::cluster::crd::KeyRef;
use crate::cluster::forward::to_nats;

/// Bytes of a signature's file.
const MAX_SIGNATURE: usize = 4096;

/// Store a version's package where pods fetch it from
///
/// In the runtime's object store on NATS, or in a registry as an OCI artifact. With -n, --kubeconfig or --context and no
/// --nats, NATS is reached through the cluster: who pushes is in a Secret there. Checks the version first, and stores nothing
/// when there are errors. A folder is packed as krt pack does; an archive is stored byte for byte. Prints the reference that
/// means these bytes for good. Registries are asked as whom docker's config.json says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  krt push . -n team-a                                    through the cluster, into packages_team-a
  krt push . --nats nats://localhost:4222                 into the object store packages_kre
  krt push my.krt oci://registry.example/team/my:v1       into a registry
  krt pack . -o my.krt && cosign sign-blob --key cosign.key my.krt > my.sig
  krt push my.krt --signature my.sig --nats localhost:4222")]
pub(super) struct Args {
    /// A folder with a krt.yml, a krt.yml, or a .krt archive
    path: PathBuf,
    /// oci://HOST/REPOSITORY[:TAG] for a registry [default: the runtime's object store on NATS]
    target: Option<OciReference>,
    /// The runtime (tenant) that the object store belongs to [default: through a cluster the namespace, otherwise kre]
    #[arg(long, value_name = "ID", value_parser = runtime_id)]
    runtime_id: Option<String>,
    /// File with the package's signature (base64), as cosign sign-blob writes it
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// Servers that keep a new object store
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: u8,
    /// Seconds to wait for NATS
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, value_parser = super::positive_seconds)]
    wait: f64,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    place: Place,
    /// Through the cluster: the key of a Secret with the URL of NATS, and who pushes in it
    #[arg(long, value_name = "SECRET/KEY", default_value = "krt-nats-push/url", value_parser = key_ref, help_heading = "Cluster")]
    nats_secret: KeyRef,
}

pub(super) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let judged = judge(&args.path, Depth::Package);
    judged.print_problems(globals);
    let has_errors = judged.has_errors();
    let (Some(package), Some(topology)) = (judged.package, judged.topology) else { return Ok(ExitCode::FAILURE) };
    if has_errors {
        return Ok(ExitCode::FAILURE);
    }
    if args.target.as_ref().is_some_and(|target| target.digest.is_some()) {
        bail!("the digest is what pushing says: leave @sha256:… out of the target");
    }
    let signature = args.signature.as_ref().map(|path| {
        let reading = || format!("reading {}", path.display());
        let text = artifact::read_file(path, MAX_SIGNATURE).with_context(reading)?;
        Signature::from_text(&text).with_context(reading)
    });
    let signature = signature.transpose()?;
    let archive = package.archive()?;
    let (size, digest) = (archive.size, archive.digest.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting a thread")?;
    let title = format!("{}.krt", topology.version);
    let reference = runtime.block_on(store(&args, archive, signature.as_ref(), &title))?;
    match globals.output {
        Output::Json => print::json(&json!({
            "ref": reference.to_string(), "digest": digest.to_string(), "size": size, "version": topology.version,
            "signed": signature.is_some(),
        }))?,
        Output::Text => print::out(&format!("{reference}\n"))?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn store(args: &Args, archive: Archive, signature: Option<&Signature>, title: &str) -> anyhow::Result<Reference> {
    if let Some(target) = &args.target {
        let options = args.registry.options()?;
        let pinned = oci::push(target, archive, signature, title, &options).await;
        return Ok(Reference::Oci(pinned.with_context(|| target.to_string())?));
    }
    let wait = Duration::from_secs_f64(args.wait);
    // Held until it is stored.
    let (nats, runtime_id, _way) = if args.place.is_given() && !args.nats.is_given() {
        let (cluster, namespace) = args.place.connect().await?;
        let way = to_nats(&cluster, &namespace, &args.nats_secret).await?;
        tracing::debug!(pod = way.pod(), "through the cluster");
        (args.nats.at(way.url()), namespace, Some(way))
    } else if args.nats.is_given() {
        (args.nats.clone(), "kre".to_owned(), None)
    } else {
        bail!("where is NATS? Say -n NAMESPACE to go through a cluster, --nats URL, or set KRT_NATS_URL");
    };
    let runtime_id = args.runtime_id.as_ref().unwrap_or(&runtime_id);
    let connection = nats.connect("krt push", wait).await?;
    let bucket = krt::names::packages(runtime_id);
    let digest = archive.digest.clone();
    artifact::nats::push(&connection, &bucket, archive, signature, usize::from(args.replicas))
        .await
        .with_context(|| format!("object store {bucket:?}"))?;
    connection.close().await;
    Ok(Reference::Nats { bucket, digest })
}

fn key_ref(text: &str) -> Result<KeyRef, String> {
    let found = super::pods::key_ref(text)?;
    Ok(KeyRef { name: found.name, key: found.key })
}
