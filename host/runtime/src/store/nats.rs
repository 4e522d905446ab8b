//! Key-value buckets and object stores on NATS JetStream, as the clients of every language lay them out, so that native
//! nodes and the `nats` command share them. Opens what is there; never makes or removes a bucket.
//!
//! Reads ask the leader of the bucket's stream: a node reads what it has written, which a replica that answers directly
//! does not promise. No read makes a consumer but `list`: a stream has room for a thousand.

mod key_value;
mod objects;
mod refusals;

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::{GetStreamErrorKind, PublishError, PublishErrorKind};
use async_nats::jetstream::stream::{ConsumerErrorKind, LastRawMessageErrorKind, PurgeErrorKind, Stream};
use async_nats::jetstream::{Context, Error as ApiError, ErrorCode};
use async_nats::{HeaderMap, client::Client};
use bytes::Bytes;
use futures::future::BoxFuture;

pub(crate) use self::refusals::Denied;
pub use self::refusals::Refusals;
use self::{key_value::NatsKeyValue, objects::NatsObjects};
use super::{KeyValue, ObjectStore, StoreError, Stores};

/// How long one request of an operation may take. A server that lost its leader has another within it or so.
const REQUEST: Duration = Duration::from_secs(5);

/// The buckets of a server, or of a cluster.
pub struct NatsStores {
    context: Context,
    refusals: Refusals,
}

/// A bucket that is there: what both kinds stand on.
#[derive(Clone)]
struct Bucket {
    name: Arc<str>,
    context: Context,
    stream: Stream,
    refusals: Refusals,
}

impl NatsStores {
    /// The buckets that `client` sees. `refusals` hears what the server says of permissions: without it, what is not
    /// permitted is unavailable after a while rather than denied at once.
    pub fn new(client: Client, refusals: Refusals) -> Arc<Self> {
        let mut context = async_nats::jetstream::new(client);
        context.set_timeout(REQUEST);
        Arc::new(Self { context, refusals })
    }

    fn bucket(&self, kind: &'static str, name: &str) -> impl Future<Output = Result<Bucket, StoreError>> + use<> {
        let (context, refusals, name) = (self.context.clone(), self.refusals.clone(), Arc::<str>::from(name));
        async move {
            // The name becomes a token of subjects.
            let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            if name.is_empty() || name.len() > super::MAX_NAME || !name.chars().all(known) {
                return Err(StoreError::NoBucket(super::excerpt(&name)));
            }
            let stream = format!("{kind}_{name}");
            let subject = format!("$JS.API.STREAM.INFO.{stream}");
            let opened = refusals.or_denied(subject, context.get_stream(stream)).await?;
            let stream = opened.map_err(|error| match error.kind() {
                GetStreamErrorKind::JetStream(error) => refused(&name, &error),
                _ => away(error),
            })?;
            Ok(Bucket { name, context, stream, refusals })
        }
    }
}

impl Stores for NatsStores {
    fn key_value(&self, bucket: &str) -> BoxFuture<'static, Result<Arc<dyn KeyValue>, StoreError>> {
        let bucket = self.bucket("KV", bucket);
        Box::pin(async move { Ok(Arc::new(NatsKeyValue(bucket.await?)) as Arc<dyn KeyValue>) })
    }

    fn object_store(&self, bucket: &str) -> BoxFuture<'static, Result<Arc<dyn ObjectStore>, StoreError>> {
        let bucket = self.bucket("OBJ", bucket);
        Box::pin(async move { Ok(Arc::new(NatsObjects(bucket.await?)) as Arc<dyn ObjectStore>) })
    }
}

impl Bucket {
    /// The last message of a subject: headers and payload.
    async fn last(&self, subject: &str) -> Result<Option<(HeaderMap, Bytes)>, StoreError> {
        let api = format!("$JS.API.STREAM.MSG.GET.{}", self.stream.cached_info().config.name);
        let got = self.refusals.or_denied(api, self.stream.get_last_raw_message_by_subject(subject)).await?;
        match got {
            Ok(message) => Ok(Some((message.headers, message.payload))),
            Err(error) => match error.kind() {
                LastRawMessageErrorKind::NoMessageFound => Ok(None),
                LastRawMessageErrorKind::JetStream(error) => Err(refused(&self.name, &error)),
                _ => Err(away(error)),
            },
        }
    }

    /// Publishes and waits until it is stored.
    async fn store(&self, subject: &str, headers: HeaderMap, data: Bytes) -> Result<(), StoreError> {
        let publish =
            async { self.context.publish_with_headers(subject.to_owned(), headers, data).await?.await.map(drop) };
        self.refusals.or_denied(subject.to_owned(), publish).await?.map_err(|error| self.not_stored(&error))
    }

    fn not_stored(&self, error: &PublishError) -> StoreError {
        match error.kind() {
            // Nobody answered for the subject: its stream went away.
            PublishErrorKind::StreamNotFound => StoreError::NoBucket(self.name.to_string()),
            PublishErrorKind::MaxPayloadExceeded => StoreError::TooLarge { limit: self.context.client().max_payload() },
            _ => match std::error::Error::source(error).and_then(|source| source.downcast_ref::<ApiError>()) {
                Some(api) => self.not_taken(api),
                None => away(error),
            },
        }
    }

    /// What the stream says to a message that it does not take.
    fn not_taken(&self, error: &ApiError) -> StoreError {
        let config = &self.stream.cached_info().config;
        match error.error_code() {
            ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM => {
                StoreError::TooLarge { limit: usize::try_from(config.max_message_size).unwrap_or(0) }
            }
            // One code for whatever the storage says; a bucket at its own bound has no room, others have no disk.
            ErrorCode::STREAM_STORE_FAILED if config.max_bytes > 0 => {
                StoreError::TooLarge { limit: usize::try_from(config.max_bytes).unwrap_or(usize::MAX) }
            }
            _ => refused(&self.name, error),
        }
    }

    async fn purge(&self, subject: &str) -> Result<(), StoreError> {
        let api = format!("$JS.API.STREAM.PURGE.{}", self.stream.cached_info().config.name);
        let purge = async { self.stream.purge().filter(subject).await };
        self.refusals.or_denied(api, purge).await?.map(drop).map_err(|error| match error.kind() {
            PurgeErrorKind::JetStream(error) => refused(&self.name, &error),
            _ => away(error),
        })
    }

    fn no_consumer(&self, error: async_nats::jetstream::stream::ConsumerError) -> StoreError {
        match error.kind() {
            ConsumerErrorKind::JetStream(error) => refused(&self.name, &error),
            _ => away(error),
        }
    }
}

impl From<Denied> for StoreError {
    fn from(Denied(text): Denied) -> Self {
        Self::Denied(text)
    }
}

/// What JetStream itself answered.
fn refused(bucket: &str, error: &ApiError) -> StoreError {
    match error.error_code() {
        ErrorCode::STREAM_NOT_FOUND => StoreError::NoBucket(bucket.to_owned()),
        _ => StoreError::Unavailable(error.to_string()),
    }
}

fn away(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(error.to_string())
}
