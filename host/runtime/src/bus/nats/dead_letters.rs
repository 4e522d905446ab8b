//! Dead letters on JetStream: read, driven again, purged. What wrote them is the runner; nothing here decides what becomes
//! one.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::RawMessage;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::headers;
use crate::bus::{Bus, FOR, Headers, Publication, PublishError};
use crate::nats::{ApiError, Nats};

/// The dead letters of one version.
pub struct DeadLetters {
    nats: Nats,
    stream: String,
}

/// A message that nobody could handle.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeadLetter {
    /// Its number in the stream of dead letters.
    pub sequence: u64,
    /// When it was given up, RFC 3339.
    pub time: String,
    /// The workflow.
    pub workflow: String,
    /// The node that gave it up.
    pub node: String,
    /// Which attempt was the last.
    pub attempt: u32,
    /// Why.
    pub reason: String,
    /// The request that it belongs to; none when its bytes are no envelope.
    pub request_id: Option<String>,
    /// Where it was published.
    pub subject: String,
    /// The guest's frames, innermost first; empty when there are none.
    pub backtrace: String,
    /// Bytes that had no room beside the headers and are lost.
    pub omitted_bytes: Option<u64>,
    /// The envelope, as it was.
    #[serde(skip)]
    pub payload: Bytes,
}

/// Which dead letters are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Which {
    /// Of this workflow.
    pub workflow: Option<String>,
    /// Of this node; with a workflow.
    pub node: Option<String>,
}

/// Why it was not done; the variant decides what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeadLetterError {
    /// There is none of this number: it was driven again, purged, or made room for others.
    #[error("there is no dead letter {0}")]
    NotFound(u64),
    /// The version was not provisioned, or removed.
    #[error("there is no stream of dead letters {0:?}: is the version provisioned, in this runtime?")]
    NoStream(String),
    /// Its bytes were lost when it became a dead letter: nothing is left that could be driven again.
    #[error("dead letter {0} has no bytes: they had no room beside its headers")]
    Omitted(u64),
    /// The bus does not take it back.
    #[error("dead letter {sequence} was not taken back: {error}")]
    NotPublished {
        /// Which.
        sequence: u64,
        /// Why.
        #[source]
        error: PublishError,
    },
    /// The server says no, or nothing.
    #[error(transparent)]
    Api(ApiError),
}

#[derive(Deserialize)]
struct Got {
    message: RawMessage,
}

#[derive(Deserialize)]
struct Purged {
    purged: u64,
}

impl DeadLetters {
    /// Those in stream `stream` (see [`krt::plan::Plan::dead_letters`]).
    pub fn new(nats: Nats, stream: String) -> Self {
        Self { nats, stream }
    }

    /// The first one from `sequence` on.
    ///
    /// # Errors
    /// See [`DeadLetterError`]; that there is none is none.
    pub async fn next(&self, sequence: u64, which: &Which) -> Result<Option<DeadLetter>, DeadLetterError> {
        let wanted = json!({ "seq": sequence, "next_by_subj": self.filter(which) });
        match self.get(&wanted).await {
            Err(error) if error.is(ErrorCode::NO_MESSAGE_FOUND) => Ok(None),
            result => result.map(Some).map_err(|error| self.explained(error)),
        }
    }

    /// The one of this number.
    ///
    /// # Errors
    /// See [`DeadLetterError`].
    pub async fn one(&self, sequence: u64) -> Result<DeadLetter, DeadLetterError> {
        match self.get(&json!({ "seq": sequence })).await {
            Err(error) if error.is(ErrorCode::NO_MESSAGE_FOUND) => Err(DeadLetterError::NotFound(sequence)),
            result => result.map_err(|error| self.explained(error)),
        }
    }

    /// Publishes it once more where it was published, for the node that gave it up alone, and removes it here. Done twice
    /// within the stream's duplicate window, it is published once.
    ///
    /// Other readers of the subject in krt's hosts let it pass. Native runners do not look at headers: they handle it again.
    ///
    /// # Errors
    /// See [`DeadLetterError`]. Unless it says so, the letter is still there.
    pub async fn redrive(&self, bus: &dyn Bus, letter: &DeadLetter) -> Result<(), DeadLetterError> {
        let sequence = letter.sequence;
        if letter.omitted_bytes.is_some() {
            return Err(DeadLetterError::Omitted(sequence));
        }
        let publication = Publication {
            subject: letter.subject.as_str().into(),
            id: Some(format!("redrive/{}/{sequence}", self.stream)),
            payload: letter.payload.clone(),
            headers: Headers(vec![(FOR, letter.node.clone())]),
        };
        bus.publish(publication).await.map_err(|error| DeadLetterError::NotPublished { sequence, error })?;
        self.remove(sequence).await
    }

    /// Removes one.
    ///
    /// # Errors
    /// See [`DeadLetterError`]. One that is not there is fine.
    pub async fn remove(&self, sequence: u64) -> Result<(), DeadLetterError> {
        let subject = format!("STREAM.MSG.DELETE.{}", self.stream);
        match self.nats.api::<_, serde::de::IgnoredAny>(&subject, &json!({ "seq": sequence })).await {
            Err(error) if error.is(ErrorCode::NO_MESSAGE_FOUND) || error.is(ErrorCode::SEQUENCE_NOT_FOUND) => Ok(()),
            result => result.map(drop).map_err(|error| self.explained(error)),
        }
    }

    /// Removes those that are meant: how many there were.
    ///
    /// # Errors
    /// See [`DeadLetterError`].
    pub async fn purge(&self, which: &Which) -> Result<u64, DeadLetterError> {
        let subject = format!("STREAM.PURGE.{}", self.stream);
        let purged = self.nats.api::<_, Purged>(&subject, &json!({ "filter": self.filter(which) })).await;
        purged.map(|purged| purged.purged).map_err(|error| self.explained(error))
    }

    async fn get(&self, wanted: &serde_json::Value) -> Result<DeadLetter, ApiError> {
        let got: Got = self.nats.api(&format!("STREAM.MSG.GET.{}", self.stream), wanted).await?;
        let unreadable = |error: async_nats::Error| ApiError::Refused { code: 0, text: error.to_string() };
        Ok(letter(StreamMessage::try_from(got.message).map_err(unreadable)?))
    }

    /// `<stream>.<workflow>.<node>`.
    fn filter(&self, which: &Which) -> String {
        let Self { stream, .. } = self;
        match (&which.workflow, &which.node) {
            (Some(workflow), Some(node)) => format!("{stream}.{workflow}.{node}"),
            (Some(workflow), None) => format!("{stream}.{workflow}.*"),
            (None, Some(node)) => format!("{stream}.*.{node}"),
            (None, None) => format!("{stream}.>"),
        }
    }

    fn explained(&self, error: ApiError) -> DeadLetterError {
        if error.is_no_stream() { DeadLetterError::NoStream(self.stream.clone()) } else { DeadLetterError::Api(error) }
    }
}

/// Headers are believed as far as they go: somebody else may write into the stream.
fn letter(message: StreamMessage) -> DeadLetter {
    let headers = headers::incoming(Some(&message.headers));
    let text = |name: &str| headers.get(name).unwrap_or_default().to_owned();
    let time = message.time;
    DeadLetter {
        sequence: message.sequence,
        time: time.format(&time::format_description::well_known::Rfc3339).unwrap_or_default(),
        workflow: text("krt-workflow"),
        node: text("krt-node"),
        attempt: text("krt-attempt").parse().unwrap_or_default(),
        reason: text("krt-reason"),
        request_id: headers.get("krt-request-id").map(str::to_owned),
        subject: text("krt-subject"),
        backtrace: text("krt-backtrace"),
        omitted_bytes: headers.get("krt-omitted-bytes").and_then(|bytes| bytes.parse().ok()),
        payload: message.payload,
    }
}
