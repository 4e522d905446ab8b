//! Documents saved by the platform's writer, which listens on NATS: one request a document, answered once it is saved.
//! Never speaks to a database itself.

use std::time::Duration;

use async_nats::client::{Client, Request, RequestErrorKind};
use bytes::Bytes;
use futures::future::BoxFuture;
use serde::Deserialize;

use super::{DataError, Writer, aside};
use crate::message;
use crate::store::nats::{Denied, Refusals};

/// How long the writer may take. The original's runners give it 1 s (Go) or 60 s (Python).
const ANSWER: Duration = Duration::from_secs(5);

/// The writer of one runtime.
pub struct NatsWriter {
    client: Client,
    subject: String,
    refusals: Refusals,
}

#[derive(Deserialize)]
struct Answer {
    success: bool,
    #[serde(default)]
    message: String,
}

impl NatsWriter {
    /// The writer that saves into the database of `runtime_id`. For `refusals` see [`Refusals`].
    pub fn new(client: Client, runtime_id: &str, refusals: Refusals) -> Self {
        Self { client, subject: format!("mongo_writer_data.{runtime_id}"), refusals }
    }
}

impl Writer for NatsWriter {
    fn save(&self, collection: String, document: String) -> BoxFuture<'static, Result<(), DataError>> {
        let (client, subject, refusals) = (self.client.clone(), self.subject.clone(), self.refusals.clone());
        Box::pin(async move {
            let limit = client.max_payload();
            // The document is JSON already, and stays as the node wrote it; a collection's name needs no escapes.
            let body = format!(r#"{{"coll":"{collection}","doc":{document}}}"#);
            let body: Bytes = if body.len() <= limit {
                body.into()
            } else {
                let packed = move || message::compress(body.as_bytes(), limit).ok_or(DataError::TooLarge { limit });
                aside(usize::MAX, packed).await?
            };
            let request = Request::new().payload(body).timeout(Some(ANSWER));
            let answer = refusals.or_denied(subject.clone(), client.send_request(subject.clone(), request)).await?;
            let answer = answer.map_err(|error| match error.kind() {
                RequestErrorKind::MaxPayloadExceeded => DataError::TooLarge { limit: client.max_payload() },
                RequestErrorKind::NoResponders => {
                    DataError::Unavailable(format!("nobody listens on {subject}: the writer does not run"))
                }
                RequestErrorKind::TimedOut => DataError::Unavailable("the writer does not answer".to_owned()),
                _ => DataError::Unavailable(error.to_string()),
            })?;
            match serde_json::from_slice::<Answer>(&answer.payload) {
                Ok(Answer { success: true, .. }) => Ok(()),
                Ok(Answer { message, .. }) if message.is_empty() => {
                    Err(DataError::Refused("the writer could not save the document".to_owned()))
                }
                Ok(Answer { message, .. }) => Err(DataError::Refused(message.chars().take(1024).collect())),
                Err(_) => Err(DataError::Refused("the writer's answer makes no sense".to_owned())),
            }
        })
    }
}

impl From<Denied> for DataError {
    fn from(Denied(text): Denied) -> Self {
        Self::Denied(text)
    }
}
