//! Publishing: sent at once, in order, many under way; the acknowledgements come back on one subject. What may be tried
//! again is, under the same id, so that an acknowledgement that got lost does no harm.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_nats::jetstream::ErrorCode;
use async_nats::{Message, StatusCode, Subject};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::oneshot;

use super::awaited::{Answer, Awaited};
use super::{NatsBusOptions, headers};
use crate::bus::{Acceptance, HEADER_ROOM, Publication, PublishError};
use crate::nats::{Nats, NotSent, Outbound};

/// Publications under way at once on one connection; more are refused. Far above what nodes have unsettled, and no more
/// than acknowledgements fit into their subscription.
const UNDER_WAY: usize = (1 << 16) - 1;

/// First pause before another try; it doubles.
const PAUSE: Duration = Duration::from_millis(20);

/// Longest pause: room in a full stream, or its new leader, is noticed within it.
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// How long the answer to whether a subject has a stream may take, and holds.
const DOUBT: Duration = Duration::from_millis(500);

/// Subjects in doubt that are remembered.
const DOUBTS: usize = 1024;

/// The publishing half of the bus.
pub(super) struct Publisher {
    nats: Nats,
    options: NatsBusOptions,
    /// `_INBOX.<unique>.`: a number follows.
    inbox: String,
    awaited: Mutex<Awaited>,
    /// By subject, whether it has a stream, and when that was asked.
    doubts: tokio::sync::Mutex<HashMap<String, Doubt>>,
    /// Nobody listens to acknowledgements any more.
    closed: AtomicBool,
}

/// When it was asked, and what was said.
type Doubt = (Instant, Result<bool, String>);

/// What the stream answers. The error comes first where there is one.
#[derive(Deserialize)]
struct PubAck {
    error: Option<PubError>,
}

#[derive(Deserialize)]
struct PubError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
struct Names {
    streams: Option<Vec<String>>,
}

impl Publisher {
    pub(super) fn new(nats: Nats, options: NatsBusOptions) -> Arc<Self> {
        let inbox = format!("{}.", nats.client().new_inbox());
        Arc::new(Self {
            nats,
            options,
            inbox,
            awaited: Mutex::new(Awaited::new(UNDER_WAY)),
            doubts: tokio::sync::Mutex::default(),
            closed: AtomicBool::new(false),
        })
    }

    /// Where acknowledgements arrive.
    pub(super) fn answers(&self) -> String {
        format!("{}*", self.inbox)
    }

    pub(super) fn max_payload(&self) -> usize {
        self.nats.client().max_payload().saturating_sub(HEADER_ROOM)
    }

    pub(super) fn publish(self: &Arc<Self>, publication: Publication) -> Acceptance {
        let limit = self.max_payload();
        let size = publication.payload.len();
        if size > limit {
            return Acceptance::Ready(Err(PublishError::TooLarge { size, limit }));
        }
        let Some(stream) = stream_of(&publication.subject) else {
            return Acceptance::Ready(Err(PublishError::NoStream(publication.subject.to_string())));
        };
        if let Err(error) = headers::check(&publication, stream) {
            return Acceptance::Ready(Err(error));
        }
        if let Some(away) = self.nats.away_for()
            && away > self.options.publish_wait
        {
            let text = format!("the connection has been lost for {} s", away.as_secs());
            return Acceptance::Ready(Err(PublishError::Unavailable(text)));
        }
        match self.send(&publication) {
            Err(error) => Acceptance::Ready(Err(error)),
            Ok(answer) => {
                let since = Instant::now();
                Acceptance::Pending(Box::pin(self.clone().settled(publication, answer, since)))
            }
        }
    }

    /// What came in on [`Self::answers`].
    pub(super) fn answered(&self, message: &Message) {
        let number = message.subject.strip_prefix(&*self.inbox).and_then(|token| u64::from_str_radix(token, 16).ok());
        if let Some(number) = number {
            self.awaited().answer(number, answer(message));
        }
    }

    /// Gives up what has waited too long.
    pub(super) fn tick(&self, now: Instant) {
        self.awaited().give_up(self.options.ack_timeout, now);
    }

    /// The connection is another: what was under way may have been lost with the old one.
    pub(super) fn reconnected(&self) {
        self.awaited().answer_all(&Answer::Lost, |_| true);
    }

    /// The bus is gone: nothing is awaited any more.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.awaited().answer_all(&Answer::Lost, |_| true);
    }

    /// The server said something of this connection's doings.
    pub(super) fn server_said(&self, text: &str) {
        let denied = Answer::Denied(text.to_owned());
        self.awaited().answer_all(&denied, |subject| crate::nats::forbids(text, subject));
    }

    /// One try.
    fn send(&self, publication: &Publication) -> Result<oneshot::Receiver<Answer>, PublishError> {
        let subject = &publication.subject;
        let headers = headers::outgoing(publication, stream_of(subject).unwrap_or_default());
        let mut awaited = self.awaited();
        // Under the lock: whoever closes answers all that were there before.
        if self.closed.load(Ordering::Acquire) {
            return Err(PublishError::Unavailable("the bus is gone".to_owned()));
        }
        let Some((number, answer)) = awaited.expect(subject.clone(), Instant::now()) else {
            return Err(PublishError::Unavailable("too many publications are under way".to_owned()));
        };
        // Under the lock: the order of numbers is the order on the wire.
        let sent = self.nats.send(Outbound {
            subject: Subject::from(&**subject),
            reply: Some(Subject::from(format!("{}{number:x}", self.inbox))),
            payload: publication.payload.clone(),
            headers: Some(headers),
        });
        match sent {
            Ok(()) => Ok(answer),
            Err(error) => {
                awaited.answer(number, Answer::Lost);
                let (size, limit) = (publication.payload.len(), self.max_payload());
                Err(match error {
                    NotSent::TooLarge => PublishError::TooLarge { size, limit },
                    NotSent::Crowded => PublishError::Unavailable("too much waits to be sent".to_owned()),
                    NotSent::Closed => PublishError::Unavailable("the connection is closed".to_owned()),
                })
            }
        }
    }

    /// Waits for the bus's word, trying again what may be for as long as the options say.
    async fn settled(
        self: Arc<Self>,
        publication: Publication,
        first: oneshot::Receiver<Answer>,
        since: Instant,
    ) -> Result<(), PublishError> {
        let mut answer = first;
        let mut pause = PAUSE;
        loop {
            // The places are dropped with the bus.
            let error = match answer.await.unwrap_or(Answer::Lost) {
                Answer::Accepted => return Ok(()),
                Answer::Refused(code, text) => match refused(code, text, &publication, self.max_payload()) {
                    PublishError::Full => PublishError::Full,
                    error => return Err(error),
                },
                Answer::Denied(text) => return Err(PublishError::Unavailable(text)),
                Answer::NobodyListens => match self.has_stream(&publication.subject).await {
                    Ok(false) => return Err(PublishError::NoStream(publication.subject.to_string())),
                    Ok(true) => PublishError::Unavailable("the stream has no leader".to_owned()),
                    Err(error) => PublishError::Unavailable(error),
                },
                // Without an id a second one could not be told from the first.
                Answer::TimedOut | Answer::Lost if publication.id.is_none() => {
                    return Err(PublishError::Unavailable("the acknowledgement did not come".to_owned()));
                }
                Answer::TimedOut | Answer::Lost => {
                    PublishError::Unavailable("the acknowledgement did not come".to_owned())
                }
            };
            let wait = match error {
                PublishError::Full => self.options.publish_wait,
                _ => self.options.outage_wait,
            };
            if since.elapsed() + pause > wait {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
            answer = self.send(&publication)?;
        }
    }

    /// Whether some stream has the subject. Asked only when nobody listened: it may just have no leader. Then many wait for
    /// the same answer, from an API that may be in an election itself: one asks for all, and not for long.
    async fn has_stream(&self, subject: &str) -> Result<bool, String> {
        let mut doubts = self.doubts.lock().await;
        if let Some((asked, answer)) = doubts.get(subject)
            && asked.elapsed() < DOUBT
        {
            return answer.clone();
        }
        let body = json!({ "subject": subject });
        let asking = self.nats.api::<_, Names>("STREAM.NAMES", &body);
        let answer = match tokio::time::timeout(DOUBT, asking).await {
            Ok(Ok(names)) => Ok(names.streams.is_some_and(|streams| !streams.is_empty())),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("nobody listens for the stream, and JetStream does not answer".to_owned()),
        };
        if doubts.len() >= DOUBTS {
            doubts.clear();
        }
        doubts.insert(subject.to_owned(), (Instant::now(), answer.clone()));
        answer
    }

    fn awaited(&self) -> MutexGuard<'_, Awaited> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answer(message: &Message) -> Answer {
    if message.status == Some(StatusCode::NO_RESPONDERS) {
        return Answer::NobodyListens;
    }
    match serde_json::from_slice::<PubAck>(&message.payload) {
        Ok(PubAck { error: None }) => Answer::Accepted,
        Ok(PubAck { error: Some(error) }) => Answer::Refused(error.err_code, error.description),
        Err(error) => Answer::Refused(0, format!("an acknowledgement that cannot be read: {error}")),
    }
}

/// What a stream's refusal means.
fn refused(code: u64, text: String, publication: &Publication, limit: usize) -> PublishError {
    match ErrorCode(code) {
        ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM | ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM => {
            PublishError::TooLarge { size: publication.payload.len(), limit }
        }
        ErrorCode::STREAM_NOT_MATCH | ErrorCode::STREAM_MISMATCH | ErrorCode::STREAM_SEALED => {
            PublishError::NoStream(publication.subject.to_string())
        }
        // Bounds of the stream, the account or the disk: room may come.
        ErrorCode::STREAM_STORE_FAILED
        | ErrorCode::INSUFFICIENT_RESOURCES
        | ErrorCode::STORAGE_RESOURCES_EXCEEDED
        | ErrorCode::MEMORY_RESOURCES_EXCEEDED
        | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED => PublishError::Full,
        _ => PublishError::Unavailable(text),
    }
}

/// The stream of a subject: in krt's names it is the first token. None for what cannot be published on: wildcards,
/// empty tokens, spaces and control characters, which would end the line on the wire.
fn stream_of(subject: &str) -> Option<&str> {
    let fine = |token: &str| {
        !matches!(token, "" | "*" | ">") && !token.bytes().any(|b| b.is_ascii_whitespace() || b.is_ascii_control())
    };
    subject.split('.').all(fine).then(|| subject.split('.').next()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_that_would_break_the_line_or_mean_many_are_not_published_on() {
        for subject in ["", ".", "s.", ".s", "s..a", "s.*", "s.>", "*", ">", "s.a b", "s.a\r\nPUB x 0", "s.a\t"] {
            assert_eq!(stream_of(subject), None, "{subject:?}");
        }
        assert_eq!(stream_of("kre_v1_Go.etl.repairs"), Some("kre_v1_Go"));
        assert_eq!(stream_of("s.a*b"), Some("s"));
    }

    #[test]
    fn a_refusal_says_whether_another_try_helps() {
        let publication = Publication {
            subject: "s.a".into(),
            id: None,
            payload: bytes::Bytes::new(),
            headers: crate::bus::Headers::default(),
        };
        let refused = |code| refused(code, "text".to_owned(), &publication, 9);
        assert_eq!(refused(10054), PublishError::TooLarge { size: 0, limit: 9 });
        assert_eq!(refused(10060), PublishError::NoStream("s.a".to_owned()));
        assert_eq!(refused(10077), PublishError::Full);
        assert_eq!(refused(10167), PublishError::Unavailable("text".to_owned()));
    }
}
