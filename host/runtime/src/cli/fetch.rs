//! `krt fetch`: brings a stored package to this machine, as the init container of a native node's pod does.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::nats::NatsArgs;
use super::remote::{RemoteArgs, fetched};
use super::{Globals, Output, logging, print};
use crate::artifact::{Reference, unpack_into};

/// Fetch a stored package and unpack it into a folder
///
/// Its digest is verified before anything is unpacked, and its signature if a key is given. The folder must be empty.
/// Everybody may read what is unpacked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  krt fetch nats://packages_kre/SHA256 /krt-files --nats nats://localhost:4222
  krt fetch oci://registry.example/team/my:v1 there --verify-key cosign.pub")]
pub(super) struct Args {
    /// What krt push printed: nats://BUCKET/SHA256 or oci://HOST/REPOSITORY[:TAG][@sha256:DIGEST]
    reference: Reference,
    /// Where to; made if it is not there
    folder: PathBuf,
    /// Replace what is in the folder
    #[arg(long)]
    force: bool,
    /// Seconds to wait for a store that is away
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, value_parser = super::positive_seconds)]
    wait: f64,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    nats: NatsArgs,
}

pub(super) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    logging::install(globals, false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting a thread")?;
    let wait = Duration::from_secs_f64(args.wait);
    let fetching = async {
        let options = args.remote.options()?;
        let nats = match &args.reference {
            Reference::Nats { .. } => Some(args.nats.clone().server().connect("krt fetch", wait).await?),
            Reference::Oci(_) => None,
        };
        match tokio::time::timeout(wait, fetched(&args.reference, nats.as_ref(), &options)).await {
            Ok(fetched) => fetched,
            Err(_) => bail!("{}: the store was away for {} s", args.reference, args.wait),
        }
    };
    let archive = runtime.block_on(fetching)?;
    let (size, digest) = (archive.size, archive.digest.clone());
    let contents = unpack_into(&args.folder, archive.file, args.force)?;
    match globals.output {
        Output::Json => print::json(&json!({
            "digest": digest.to_string(), "size": size, "entries": contents.entries, "bytes": contents.bytes,
            "manifest": contents.manifest,
        }))?,
        Output::Text => print::out(&format!(
            "{} files and folders ({} bytes) in {}\n",
            contents.entries,
            contents.bytes,
            args.folder.display()
        ))?,
    }
    Ok(ExitCode::SUCCESS)
}
