//! Making what a plan names, and removing it: streams, durables, buckets. Idempotent, whoever does it at the same time.
//!
//! First everything is looked at; if anything would destroy data, nothing is changed and all of it is named.

mod buckets;
mod durables;
mod remove;
mod streams;

use std::time::{Duration, Instant};

use krt::plan::Plan;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

pub use self::remove::{RemoveOptions, remove};
pub use self::streams::unread;
use crate::nats::{ApiError, Nats};

/// How a plan is applied. What is none stays as it is on what is there already; it is the server's default on what is new.
#[derive(Debug, Clone)]
pub struct ApplyOptions {
    /// Copies of streams and buckets in a cluster.
    pub replicas: Option<usize>,
    /// Do what destroys data: delete and make again what cannot be changed, drop durables with messages.
    pub force: bool,
    /// Bytes that the stream of a workflow holds at most; then publications wait, and fail.
    pub max_bytes: Option<u64>,
    /// Messages that it holds at most.
    pub max_messages: Option<u64>,
    /// Messages that one subject of it holds at most: the bound that cannot make a workflow wait for itself.
    pub max_messages_per_subject: Option<u64>,
    /// Age at which messages are dropped, read or not.
    pub max_age: Option<Duration>,
    /// How long ids are known; none = as long as the redelivery schedule of the plan takes, at least 2 min.
    pub duplicate_window: Option<Duration>,
    /// Dead letters kept; then the oldest goes. On what is new.
    pub dead_letters: u64,
    /// Bytes of dead letters kept. On what is new.
    pub dead_letter_bytes: u64,
    /// How long a JetStream without a leader is waited for.
    pub patience: Duration,
}

/// What was done, in the order of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What became of it.
    pub done: Done,
}

/// What a plan names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A workflow's stream.
    Stream,
    /// The stream of dead letters.
    DeadLetters,
    /// A durable.
    Durable,
    /// A configuration bucket.
    KeyValue,
    /// An object store.
    ObjectStore,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Done {
    /// It was not there.
    Created,
    /// It was there and is now as planned.
    Updated,
    /// It was deleted and made again: its messages are gone.
    Recreated,
    /// It was as planned.
    Unchanged,
    /// It is gone.
    Removed,
    /// It was to be removed and is kept.
    Kept,
    /// It was to be removed and was not there.
    Absent,
}

/// Something that would be lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What would have to be done, and what would be gone.
    pub why: String,
}

/// Why a plan was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProvisionError {
    /// It would destroy data; nothing was changed. With `force` it is done.
    #[error("data would be lost: {}", list(.0))]
    WouldDestroy(Vec<Loss>),
    /// The server does not want it so.
    #[error("{name:?} was refused: {text}")]
    Refused {
        /// Stream, durable or bucket.
        name: String,
        /// What the server says.
        text: String,
    },
    /// Later: JetStream is away.
    #[error("JetStream is away: {0}")]
    Away(String),
}

impl Default for ApplyOptions {
    fn default() -> Self {
        Self {
            replicas: None,
            force: false,
            max_bytes: None,
            max_messages: None,
            max_messages_per_subject: None,
            max_age: None,
            duplicate_window: None,
            dead_letters: 10_000,
            dead_letter_bytes: 64 << 20,
            patience: Duration::from_secs(30),
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Stream => "stream",
            Self::DeadLetters => "dead letters",
            Self::Durable => "durable",
            Self::KeyValue => "key-value bucket",
            Self::ObjectStore => "object store",
        })
    }
}

/// Makes what `plan` names as planned. Streams first, then durables, then buckets: nothing can be published before its
/// readers exist, since publishers know their streams only when this has returned.
///
/// # Errors
/// See [`ProvisionError`]. After one that came half way, applying again goes on from there.
pub async fn apply(nats: &Nats, plan: &Plan, options: &ApplyOptions) -> Result<Vec<Change>, ProvisionError> {
    let api = Api { nats, patience: options.patience };
    let judged = streams::judge(api, plan, options).await?;
    let losses: Vec<Loss> = judged.iter().flat_map(|judged| judged.losses.clone()).collect();
    if !losses.is_empty() && !options.force {
        return Err(ProvisionError::WouldDestroy(losses));
    }
    let mut changes = Vec::new();
    for judged in judged {
        streams::apply(api, judged, options, &mut changes).await?;
    }
    buckets::apply(api, plan, options.replicas, &mut changes).await?;
    Ok(changes)
}

/// The server's API, and how long to be patient with it.
#[derive(Clone, Copy)]
struct Api<'a> {
    nats: &'a Nats,
    patience: Duration,
}

impl Api<'_> {
    /// A request, made again while JetStream has no leader.
    async fn ask<T, V>(self, subject: &str, body: &T) -> Result<V, ApiError>
    where
        T: ?Sized + Serialize + Sync,
        V: DeserializeOwned,
    {
        let until = Instant::now() + self.patience;
        let mut pause = Duration::from_millis(50);
        loop {
            match self.nats.api(subject, body).await {
                Err(ApiError::Away(text)) if Instant::now() + pause < until => {
                    tracing::debug!(text, "JetStream is away; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
                result => return result,
            }
        }
    }

    /// One whose answer says no more than that it was done.
    async fn tell<T: ?Sized + Serialize + Sync>(self, subject: &str, body: &T) -> Result<(), ApiError> {
        self.ask::<_, IgnoredAny>(subject, body).await.map(drop)
    }
}

fn failed(name: &str, error: ApiError) -> ProvisionError {
    match error {
        ApiError::Away(text) => ProvisionError::Away(text),
        error => ProvisionError::Refused { name: name.to_owned(), text: error.to_string() },
    }
}

fn list(losses: &[Loss]) -> String {
    let line = |loss: &Loss| format!("{} {:?} {}", loss.kind, loss.name, loss.why);
    losses.iter().map(line).collect::<Vec<_>>().join("; ")
}
