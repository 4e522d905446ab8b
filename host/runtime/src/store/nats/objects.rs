//! An object store: a stream with the chunks of each object on a subject of its own, and one message that says which
//! chunks make the object of a name. A save is seen as a whole, since that message comes last.

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::{PublishAckFuture, PublishError};
use async_nats::jetstream::stream::{DirectGetErrorKind, LastRawMessageErrorKind};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use futures::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Bucket, REQUEST, away};
use crate::store::{MAX_LISTING, ObjectStore, StoreError, check_object_name};

/// Bytes of a chunk: what the other clients take.
const CHUNK: usize = 128 << 10;

/// Chunks on their way at once.
const IN_FLIGHT: usize = 8;

/// Entries asked for at once when listing.
const BATCH: usize = 256;

/// How often a reader starts anew because the object was replaced under its hands: as fast as it is read, all the time.
const READS: usize = 32;

pub(super) struct NatsObjects(pub(super) Bucket);

/// What the store says of an object. Fields that are not here are kept from nobody: they are only written by others.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    name: String,
    bucket: String,
    #[serde(default)]
    nuid: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    chunks: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(default)]
    mtime: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    options: Option<Options>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Options {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_chunk_size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<serde_json::Value>,
}

impl ObjectStore for NatsObjects {
    fn get(&self, name: String, limit: usize) -> BoxFuture<'static, Result<Bytes, StoreError>> {
        let bucket = self.0.clone();
        Box::pin(async move {
            check_object_name(&name)?;
            let mut before = None;
            for _ in 0..READS {
                let entry = bucket.present(&name).await?;
                if entry.options.as_ref().is_some_and(|options| options.link.is_some()) {
                    return Err(StoreError::Denied(format!("{name:?} is a link, and links are not followed")));
                }
                if entry.size > limit as u64 {
                    return Err(StoreError::TooLarge { limit });
                }
                if let Some(data) = bucket.read(&entry, limit).await? {
                    return Ok(data);
                }
                // Replaced meanwhile, or it never was what the entry says.
                if before.replace(entry.nuid.clone()) == Some(entry.nuid) {
                    break;
                }
            }
            Err(StoreError::Unreadable(format!("the chunks of {name:?} are not all there, or not what was saved")))
        })
    }

    fn save(&self, name: String, data: Bytes) -> BoxFuture<'static, Result<(), StoreError>> {
        let bucket = self.0.clone();
        Box::pin(async move {
            check_object_name(&name)?;
            let before = bucket.entry(&name).await?;
            let entry = bucket.write(name, data).await?;
            if let Some(before) = before.filter(|before| before.nuid != entry.nuid) {
                bucket.clear(&before.nuid).await;
            }
            Ok(())
        })
    }

    fn list(&self) -> BoxFuture<'static, Result<Vec<String>, StoreError>> {
        let bucket = self.0.clone();
        Box::pin(async move { bucket.names().await })
    }

    fn delete(&self, name: String) -> BoxFuture<'static, Result<(), StoreError>> {
        let bucket = self.0.clone();
        Box::pin(async move {
            check_object_name(&name)?;
            let entry = bucket.present(&name).await?;
            let gone = Entry { size: 0, chunks: 0, digest: None, deleted: true, mtime: now(), ..entry };
            bucket.announce(&gone).await?;
            bucket.clear(&gone.nuid).await;
            Ok(())
        })
    }
}

impl Bucket {
    fn entry_subject(&self, name: &str) -> String {
        format!("$O.{}.M.{}", self.name, URL_SAFE.encode(name))
    }

    fn chunk_subject(&self, nuid: &str) -> String {
        format!("$O.{}.C.{nuid}", self.name)
    }

    /// What the store says of `name`, deleted or not.
    async fn entry(&self, name: &str) -> Result<Option<Entry>, StoreError> {
        let Some((_, json)) = self.last(&self.entry_subject(name)).await? else { return Ok(None) };
        serde_json::from_slice(&json)
            .map(Some)
            .map_err(|error| StoreError::Unreadable(format!("the entry of {name:?}: {error}")))
    }

    async fn present(&self, name: &str) -> Result<Entry, StoreError> {
        let entry = self.entry(name).await?.filter(|entry| !entry.deleted);
        entry.ok_or_else(|| StoreError::NotFound(name.to_owned()))
    }

    /// The object's bytes, or none if they are not what the entry says: replaced meanwhile, or damaged.
    async fn read(&self, entry: &Entry, limit: usize) -> Result<Option<Bytes>, StoreError> {
        let subject = self.chunk_subject(&entry.nuid);
        // The size is somebody else's word: room is made as chunks come.
        let mut data = BytesMut::new();
        let mut next = 1;
        for _ in 0..entry.chunks {
            let Some((sequence, chunk)) = self.chunk(&subject, next).await? else { return Ok(None) };
            if data.len() + chunk.len() > limit {
                return Err(StoreError::TooLarge { limit });
            }
            // An object of one chunk is not copied.
            if entry.chunks == 1 {
                return Ok(genuine(entry, chunk));
            }
            data.extend_from_slice(&chunk);
            next = sequence + 1;
        }
        Ok(genuine(entry, data.freeze()))
    }

    /// The first chunk on `subject` from sequence `from` on. Chunks do not change: any replica that has one may answer.
    async fn chunk(&self, subject: &str, from: u64) -> Result<Option<(u64, Bytes)>, StoreError> {
        let config = &self.stream.cached_info().config;
        if config.allow_direct {
            let get = self.stream.direct_get_builder().sequence(from).next_by_subject(subject);
            let api = format!("$JS.API.DIRECT.GET.{}", config.name);
            match self.refusals.or_denied(api, get.send()).await? {
                Ok(message) => return Ok(Some((message.sequence, message.payload))),
                // A replica may lag behind: the leader has the last word.
                Err(error) if error.kind() == DirectGetErrorKind::NotFound => {}
                Err(error) => return Err(away(error)),
            }
        }
        let get = self.stream.raw_message_builder().sequence(from).next_by_subject(subject);
        let api = format!("$JS.API.STREAM.MSG.GET.{}", config.name);
        match self.refusals.or_denied(api, get.send()).await? {
            Ok(message) => Ok(Some((message.sequence, message.payload))),
            Err(error) => match error.kind() {
                LastRawMessageErrorKind::NoMessageFound => Ok(None),
                LastRawMessageErrorKind::JetStream(error) => Err(super::refused(&self.name, &error)),
                _ => Err(away(error)),
            },
        }
    }

    /// Stores chunks, then the entry that names them. What does not get that far takes its chunks away again.
    async fn write(&self, name: String, data: Bytes) -> Result<Entry, StoreError> {
        let nuid = uuid::Uuid::new_v4().simple().to_string();
        let mut unfinished =
            Unfinished { bucket: self.clone(), nuid: Some(nuid.clone()), waiting: FuturesOrdered::new() };
        let subject = self.chunk_subject(&nuid);
        let size = CHUNK.min(self.context.client().max_payload()).max(1);
        let chunks = (0..data.len()).step_by(size).map(|at| data.slice(at..data.len().min(at + size)));
        let count = chunks.len() as u64;
        // Sent in order, since readers take them in the order of the stream; acknowledgements are awaited side by side.
        let stored = async {
            for chunk in chunks {
                unfinished.waiting.push_back(self.context.publish(subject.clone(), chunk).await?.into_future());
                if unfinished.waiting.len() >= IN_FLIGHT {
                    unfinished.waiting.try_next().await?;
                }
            }
            while unfinished.waiting.try_next().await?.is_some() {}
            Ok(())
        };
        let stored: Result<(), PublishError> = self.refusals.or_denied(subject.clone(), stored).await?;
        stored.map_err(|error| self.not_stored(&error))?;
        let entry = Entry {
            name,
            bucket: self.name.to_string(),
            nuid,
            size: data.len() as u64,
            chunks: count,
            digest: Some(digest(&data)),
            mtime: now(),
            deleted: false,
            options: Some(Options { max_chunk_size: Some(size as u64), link: None }),
        };
        // From here on the entry may be there, even if its acknowledgement is not: its chunks stay.
        unfinished.nuid = None;
        match self.announce(&entry).await {
            Ok(()) => Ok(entry),
            Err(error) => {
                if !matches!(error, StoreError::Unavailable(_)) {
                    self.clear(&entry.nuid).await;
                }
                Err(error)
            }
        }
    }

    /// Makes `entry` what the store says of its name.
    async fn announce(&self, entry: &Entry) -> Result<(), StoreError> {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Rollup", "sub");
        let json = serde_json::to_vec(entry).map_err(|error| StoreError::Unreadable(error.to_string()))?;
        self.store(&self.entry_subject(&entry.name), headers, json.into()).await
    }

    /// Gives the room of chunks back that no entry names any more. What fails costs disk alone.
    async fn clear(&self, nuid: &str) {
        if nuid.is_empty() {
            return;
        }
        if let Err(error) = self.purge(&self.chunk_subject(nuid)).await {
            tracing::warn!(bucket = %self.name, %error, "chunks that belong to no object stay in the store");
        }
    }

    /// All names but those of deleted objects, sorted.
    async fn names(&self) -> Result<Vec<String>, StoreError> {
        let config = pull::Config {
            deliver_policy: DeliverPolicy::LastPerSubject,
            ack_policy: AckPolicy::None,
            filter_subject: format!("$O.{}.M.>", self.name),
            inactive_threshold: REQUEST,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let api = format!("$JS.API.CONSUMER.CREATE.{}", self.stream.cached_info().config.name);
        let made = self.refusals.or_denied(api, self.stream.create_consumer(config)).await?;
        let consumer = made.map_err(|error| self.no_consumer(error))?;
        let _listing = Listing { bucket: self.clone(), consumer: consumer.cached_info().name.clone() };
        let (mut names, mut bytes) = (Vec::new(), 0);
        loop {
            // What is there, without waiting for more.
            let mut batch = consumer.fetch().max_messages(BATCH).messages().await.map_err(away)?;
            let mut empty = true;
            while let Some(message) = batch.next().await {
                empty = false;
                // What others wrote and nobody can read is no object.
                let Ok(entry) = serde_json::from_slice::<Entry>(&message.map_err(away)?.payload) else { continue };
                if entry.deleted {
                    continue;
                }
                bytes += entry.name.len();
                if bytes > MAX_LISTING {
                    return Err(StoreError::TooLarge { limit: MAX_LISTING });
                }
                names.push(entry.name);
            }
            if empty {
                break;
            }
        }
        names.sort_unstable();
        // An object that was replaced meanwhile may have come twice.
        names.dedup();
        Ok(names)
    }
}

/// Chunks without an entry: removed when the save that wrote them fails or is abandoned.
struct Unfinished {
    bucket: Bucket,
    nuid: Option<String>,
    /// Chunks that the server has not stored yet.
    waiting: FuturesOrdered<<PublishAckFuture as IntoFuture>::IntoFuture>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(nuid) = self.nuid.take() {
            let (bucket, waiting) = (self.bucket.clone(), std::mem::take(&mut self.waiting));
            aside(async move {
                // The server removes what it has, and stores what comes later.
                waiting.for_each(|_| std::future::ready(())).await;
                bucket.clear(&nuid).await;
            });
        }
    }
}

/// A consumer that lists: removed when the listing ends, however it ends.
struct Listing {
    bucket: Bucket,
    consumer: String,
}

impl Drop for Listing {
    fn drop(&mut self) {
        let (bucket, consumer) = (self.bucket.clone(), std::mem::take(&mut self.consumer));
        aside(async move {
            // What is left of it goes by itself, when nobody has used it for a while.
            if let Err(error) = bucket.stream.delete_consumer(&consumer).await {
                tracing::debug!(bucket = %bucket.name, %error, "a consumer is left to end by itself");
            }
        });
    }
}

/// Runs beside whoever was dropped, if anything runs at all.
fn aside(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(work);
    }
}

fn genuine(entry: &Entry, data: Bytes) -> Option<Bytes> {
    let whole = data.len() as u64 == entry.size;
    // Clients differ in whether they fill the digest up with `=`.
    let same = |said: &String| said.trim_end_matches('=') == digest(&data).trim_end_matches('=');
    (whole && entry.digest.as_ref().is_none_or(same)).then_some(data)
}

fn digest(data: &[u8]) -> String {
    format!("SHA-256={}", URL_SAFE.encode(Sha256::digest(data)))
}

/// RFC 3339.
fn now() -> String {
    prost_types::Timestamp::from(std::time::SystemTime::now()).to_string()
}
