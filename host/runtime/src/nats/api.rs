//! Requests to JetStream's API, with errors that say what to do next. Never on the path of a message.

use std::sync::Arc;

use async_nats::RequestErrorKind;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::response::Response;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::broadcast;

use super::Nats;

/// Why the API did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// It says no.
    #[error("{text} ({code})")]
    Refused {
        /// The server's number for it.
        code: u64,
        /// What it says.
        text: String,
    },
    /// This client may not ask.
    #[error("not permitted: {0}")]
    Denied(String),
    /// Later: nobody answers, or nobody leads.
    #[error("{0}")]
    Away(String),
}

impl ApiError {
    /// Whether it is the server's error of this number.
    pub(crate) fn is(&self, wanted: ErrorCode) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == wanted.0)
    }

    /// Whether there is no such stream.
    pub(crate) fn is_no_stream(&self) -> bool {
        self.is(ErrorCode::STREAM_NOT_FOUND)
    }

    /// Whether there is no such consumer, or not even its stream.
    pub(crate) fn is_no_consumer(&self) -> bool {
        self.is(ErrorCode::CONSUMER_NOT_FOUND) || self.is_no_stream()
    }
}

impl From<&async_nats::jetstream::Error> for ApiError {
    fn from(error: &async_nats::jetstream::Error) -> Self {
        let text = error.to_string();
        match error.error_code() {
            // Elections, and servers that are starting.
            ErrorCode::CLUSTER_NOT_AVAILABLE
            | ErrorCode::CLUSTER_NOT_ACTIVE
            | ErrorCode::CLUSTER_NOT_LEADER
            | ErrorCode::CLUSTER_INCOMPLETE
            | ErrorCode::STREAM_OFFLINE
            | ErrorCode::CONSUMER_OFFLINE => Self::Away(text),
            code => Self::Refused { code: code.0, text },
        }
    }
}

impl Nats {
    /// Asks for JetStream as such.
    pub(crate) async fn account(&self) -> Result<(), ApiError> {
        self.api::<_, serde::de::IgnoredAny>("INFO", &()).await.map(drop)
    }

    /// One request on `$JS.API.<subject>`; `()` is no body.
    pub(crate) async fn api<T, V>(&self, subject: &str, body: &T) -> Result<V, ApiError>
    where
        T: ?Sized + Serialize + Sync,
        V: DeserializeOwned,
    {
        let unreadable = |error: serde_json::Error| ApiError::Refused { code: 0, text: error.to_string() };
        let body = serde_json::to_vec(body).map_err(unreadable)?;
        // Most requests without a body insist on there being none.
        let body = if body == b"null" { Bytes::new() } else { body.into() };
        let mut words = self.server_errors();
        let answered = tokio::select! {
            biased;
            answered = self.client().request(format!("$JS.API.{subject}"), body) => answered,
            text = refusal(&mut words, subject) => return Err(ApiError::Denied(text.to_string())),
        };
        match answered.map(|message| serde_json::from_slice::<Response<V>>(&message.payload)) {
            Ok(Ok(Response::Ok(value))) => Ok(value),
            Ok(Ok(Response::Err { error })) => Err(ApiError::from(&error)),
            Ok(Err(error)) => Err(unreadable(error)),
            Err(error) => Err(match error.kind() {
                RequestErrorKind::NoResponders => {
                    ApiError::Away("nobody answers for JetStream: it is not enabled, or has no leader".to_owned())
                }
                RequestErrorKind::TimedOut => ApiError::Away("JetStream does not answer".to_owned()),
                _ => ApiError::Away(error.to_string()),
            }),
        }
    }
}

/// Waits for a word of the server that forbids publishing on `subject`.
async fn refusal(words: &mut broadcast::Receiver<Arc<str>>, subject: &str) -> Arc<str> {
    loop {
        match words.recv().await {
            Ok(text) if forbids(&text, subject) => return text,
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Whether a word of the server's forbids publishing on a subject that ends so:
/// `permissions violation for publish to "<subject>"`, in any case of letters.
pub(crate) fn forbids(text: &str, subject: &str) -> bool {
    let (text, subject) = (text.to_lowercase(), subject.to_lowercase());
    text.contains("permissions violation for publish") && text.contains(&format!("{subject}\""))
}

#[cfg(test)]
mod tests {
    use super::forbids;

    #[test]
    fn a_refusal_is_of_the_subject_it_names() {
        let text = "server responded with error: permissions violation for publish to \"$js.api.info\"";
        assert!(forbids(text, "INFO"));
        assert!(forbids(text, "$JS.API.INFO"));
        assert!(!forbids(text, "INF"));
        assert!(!forbids("permissions violation for subscription to \"info\"", "INFO"));
    }
}
