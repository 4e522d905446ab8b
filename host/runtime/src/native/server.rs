//! A nats-server of this process's own: on a free port of loopback, with a store that is removed with it.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{ChildStderr, Command};
use tokio::task::JoinHandle;

use super::process::{Process, Spawner};
use crate::telemetry::{clean, cut};

/// A server with an empty store is there within tenths of a second; a machine that takes longer is stuck.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between SIGTERM and SIGKILL. It has nothing to keep.
const GRACE: Duration = Duration::from_secs(5);
/// Largest `max_payload` that servers take beside their default `max_pending`.
const LARGEST: usize = 64 << 20;
/// Bytes of a line that are shown.
const LINE: usize = 2 << 10;

/// A server that is ready. Killed on drop, its store removed.
#[derive(Debug)]
pub struct NatsServer {
    /// First, so that it ends before its store is removed.
    process: Process,
    /// Reads what it says, or it would stop once the pipe is full.
    reader: JoinHandle<()>,
    url: String,
    _store: tempfile::TempDir,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// No such program.
    #[error("there is no {0}: install a nats-server of 2.9 or newer, or say where it is with --nats-server PATH")]
    NotFound(String),
    /// It cannot be started.
    #[error("{program} does not start: {source}")]
    Spawn {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// It has ended before it was ready, or never was.
    #[error("{program} does not become ready; it said last: {said}")]
    NotReady {
        /// The program.
        program: String,
        /// Its last words.
        said: String,
    },
}

impl NatsServer {
    /// Starts `program` with JetStream and waits until it is ready for clients. Messages may have `max_payload` bytes,
    /// headers included.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub async fn start(spawner: &Spawner, program: &Path, max_payload: usize) -> Result<Self, ServerError> {
        let name = program.display().to_string();
        let failed = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::NotFound => ServerError::NotFound(name.clone()),
            _ => ServerError::Spawn { program: name.clone(), source },
        };
        let store = tempfile::Builder::new().prefix("krt-nats-").tempdir().map_err(failed)?;
        let configuration = store.path().join("server.conf");
        let text = format!("max_payload: {}\n", max_payload.min(LARGEST));
        tokio::fs::write(&configuration, text).await.map_err(failed)?;
        let mut command = Command::new(program);
        command.args(["-js", "-a", "127.0.0.1", "-p", "-1", "-c"]).arg(&configuration);
        command.arg("-sd").arg(store.path().join("store"));
        let mut process = spawner.spawn(command).await.map_err(failed)?;
        let not_ready = |said: String| ServerError::NotReady { program: name.clone(), said };
        let stderr = process.child().stderr.take().ok_or_else(|| not_ready(String::new()))?;
        let mut lines = BufReader::new(stderr).lines();
        let mut said = String::from("nothing");
        let url = match tokio::time::timeout(PATIENCE, ready(&mut lines, &mut said)).await {
            Ok(Some(url)) => url,
            Ok(None) | Err(_) => return Err(not_ready(said)),
        };
        let reader = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                say(&line);
            }
        });
        tracing::info!(url, store = %store.path().display(), "nats-server is ready");
        Ok(Self { process, reader, url, _store: store })
    }

    /// `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends it and removes its store.
    pub async fn stop(self) {
        if let Err(error) = self.process.stop(GRACE).await {
            tracing::warn!(%error, "nobody knows how nats-server ended");
        }
        self.reader.abort();
    }
}

/// Reads until the server says that it is ready; none if it ends before. The last line is in `said`.
async fn ready(lines: &mut Lines<BufReader<ChildStderr>>, said: &mut String) -> Option<String> {
    let (mut address, mut is_ready) = (None, false);
    // One comes before the other in some versions and after it in others.
    while address.is_none() || !is_ready {
        let line = lines.next_line().await.ok()??;
        say(&line);
        if let Some((_, rest)) = line.split_once("Listening for client connections on ") {
            address = Some(format!("nats://{}", rest.trim()));
        }
        is_ready |= line.contains("Server is ready");
        *said = clean(cut(&line, LINE)).into_owned();
    }
    address
}

fn say(line: &str) {
    tracing::debug!("nats-server: {}", clean(cut(line, LINE)));
}
