//! Packages for the operator, as `krt push` stores them, and their components compiled beforehand. Each is compiled by a child,
//! `krt compile` of this very binary: its memory is given back when it ends, and what it dies of ends nothing else.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use futures::future::BoxFuture;
use krt::problem::Problem;
use serde::Deserialize;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use crate::artifact::remote::{self, FetchOptions, RemoteError};
use crate::artifact::{Package, Reference};
use crate::cluster::reconcile::{Built, PackageError, Packages, Read};
use crate::cluster::render::Compiled;
use crate::engine::{Engine, EngineOptions};
use crate::nats::{Nats, NatsOptions};

/// Who takes longer is ended: Python's runtime, the largest component known, takes a minute on one slow core.
const LONGEST: Duration = Duration::from_secs(900);

/// Bytes that are read of what a child says: far more than of any package.
const MOST: u64 = 4 << 20;

/// Packages, and how to compile them.
pub(super) struct Stored {
    nats: NatsOptions,
    fetch: FetchOptions,
    child: Child,
    engine: String,
}

/// How the child is started.
#[derive(Debug, Clone)]
pub(super) struct Child {
    /// Copies of the object store.
    pub(super) replicas: usize,
    /// MiB that it may use.
    pub(super) memory: u64,
    /// Where NATS is and how packages are fetched, by the environment: arguments are seen by everybody.
    pub(super) environment: Vec<(&'static str, OsString)>,
}

/// One line of what `krt compile --output json` prints.
#[derive(Debug, Deserialize)]
struct Said {
    src: String,
    #[serde(rename = "ref")]
    reference: Option<String>,
    error: Option<String>,
}

impl Stored {
    pub(super) fn new(nats: NatsOptions, fetch: FetchOptions, child: Child) -> anyhow::Result<Self> {
        // The child's engine is of the same build. It may keep things, so it says for whom; nothing is kept here.
        let cache = Some(std::env::temp_dir().join("krt-none"));
        let engine = Engine::new(EngineOptions { cache, ..EngineOptions::default() })?;
        let engine = engine.ahead_key().context("the engine keeps nothing")?.to_owned();
        Ok(Self { nats, fetch, child, engine })
    }
}

impl Packages for Stored {
    fn read(&self, reference: Reference) -> BoxFuture<'static, Result<Read, PackageError>> {
        let (nats, fetch) = (self.nats.clone(), self.fetch.clone());
        Box::pin(async move {
            let connection = match &reference {
                Reference::Nats { .. } => {
                    let connected = crate::nats::connect(&nats, None).await;
                    Some(connected.map_err(|error| PackageError::NoBus(error.to_string()))?)
                }
                Reference::Oci(_) => None,
            };
            let read = read(&reference, connection.as_ref(), &fetch).await;
            if let Some(connection) = connection {
                connection.close().await;
            }
            read.map_err(|error| match error {
                // Not there yet, not allowed yet, no room: what others can mend is tried again.
                RemoteError::NotFound(_) | RemoteError::Denied(_) | RemoteError::Away(_) | RemoteError::Disk(_) => {
                    PackageError::Away(error.to_string())
                }
                error => PackageError::Refused(error.to_string()),
            })
        })
    }

    fn engine(&self) -> &str {
        &self.engine
    }

    fn compile(&self, reference: Reference, runtime_id: String) -> BoxFuture<'static, Result<Built, PackageError>> {
        let child = self.child.clone();
        Box::pin(async move { child.run(&reference, &runtime_id).await })
    }
}

async fn read(reference: &Reference, nats: Option<&Nats>, options: &FetchOptions) -> Result<Read, RemoteError> {
    let archive = remote::fetch(reference, nats, options).await?;
    let (name, digest) = (PathBuf::from(reference.to_string()), archive.digest.clone());
    let unpacking = tokio::task::spawn_blocking(move || Package::unpack(&name, archive.file));
    let package = unpacking.await.map_err(|stopped| RemoteError::Disk(std::io::Error::other(stopped)))??;
    Ok(Read { package, digest })
}

impl Child {
    async fn run(&self, reference: &Reference, runtime_id: &str) -> Result<Built, PackageError> {
        let here = |error: std::io::Error| PackageError::Away(format!("compiling could not be started: {error}"));
        let mut child = Command::new(std::env::current_exe().map_err(here)?)
            .args(["compile", "--output", "json", "--runtime-id", runtime_id])
            .args(["--replicas", &self.replicas.to_string(), "--memory", &self.memory.to_string()])
            .arg(reference.to_string())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // With the version that it is for.
            .kill_on_drop(true)
            .spawn()
            .map_err(here)?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let ending = async { tokio::join!(child.wait(), text(out), text(err)) };
        let Ok((status, out, err)) = tokio::time::timeout(LONGEST, ending).await else {
            return Ok(Built::Not(format!("it was not done after {} s", LONGEST.as_secs())));
        };
        let status = status.map_err(here)?;
        let last = err.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
        if let Ok(all) = serde_json::from_str::<Vec<Said>>(&out) {
            return Ok(built(all));
        }
        match status.code() {
            // Of a signal or a panic: it needed more memory than it may have, or met a defect of ours. Pods may fare better.
            code if code != Some(1) => Ok(Built::Not(format!("{status}: {last}"))),
            _ => Err(PackageError::Away(last.strip_prefix("error: ").unwrap_or(last).to_owned())),
        }
    }
}

fn built(all: Vec<Said>) -> Built {
    let (mut compiled, mut rejected) = (Vec::new(), Vec::new());
    for Said { src, reference, error } in all {
        match reference {
            Some(reference) => compiled.push(Compiled { src, reference }),
            None => rejected.push(Problem::about_file(
                src,
                "bad-component",
                error.unwrap_or_default(),
                "build the component again (krt build), and push the package",
            )),
        }
    }
    if rejected.is_empty() { Built::All(compiled) } else { Built::Rejected(rejected) }
}

/// What comes out of a pipe, as far as it is read; the rest goes nowhere, so that nobody waits for room in it.
async fn text(pipe: Option<impl tokio::io::AsyncRead + Unpin>) -> String {
    let Some(mut pipe) = pipe else { return String::new() };
    let mut bytes = Vec::new();
    // What was read until it broke is what there is.
    let _ = (&mut pipe).take(MOST).read_to_end(&mut bytes).await;
    let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_child_says_is_all_that_is_compiled_or_all_that_is_wrong() {
        let read = |text: &str| built(serde_json::from_str(text).unwrap());
        let fine = r#"[{"src": "bin/a.wasm", "ref": "nats://b/n@sha256:0"}]"#;
        let compiled = Compiled { src: "bin/a.wasm".to_owned(), reference: "nats://b/n@sha256:0".to_owned() };
        assert_eq!(read(fine), Built::All(vec![compiled]));
        let bad = r#"[{"src": "bin/a.wasm", "ref": "nats://b/n@sha256:0"}, {"src": "bin/b.wasm", "error": "no"}]"#;
        let Built::Rejected(problems) = read(bad) else { panic!("rejected") };
        assert_eq!((problems[0].file.as_str(), problems[0].message.as_str()), ("bin/b.wasm", "no"));
        assert_eq!(read("[]"), Built::All(Vec::new()));
    }
}
