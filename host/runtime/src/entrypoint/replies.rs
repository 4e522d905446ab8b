//! Answers of one workflow, matched by request id: one shared consumer, a map, O(1) a call.
//!
//! Never judges an answer: that is the call's. Unknown ids are consumed and dropped: several answers to one request are
//! normal (an early reply, then the result), and other replicas' answers come by, too.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::bus::{Bus, Consumer};
use crate::message::Message;
use crate::telemetry::Part;

/// Delay before the first renewed subscription; it doubles from there.
const BACKOFF: Duration = Duration::from_millis(50);
/// Longest delay between subscriptions: about as long as a caller still waits.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// The calls of one workflow that wait for their answer.
pub(super) struct Replies {
    waiting: Mutex<HashMap<Uuid, oneshot::Sender<Message>>>,
    bound: AtomicBool,
    part: Part,
}

/// One call's place among those that wait. Dropped, it gives the place up.
pub(super) struct Expected<'a> {
    replies: &'a Replies,
    /// The request's id.
    pub(super) id: Uuid,
    answer: oneshot::Receiver<Message>,
}

/// The answer will not come: the consumer was lost, or the drain is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost;

impl Replies {
    /// Nobody waits, and nothing would be heard yet.
    pub(super) fn new(part: Part) -> Arc<Self> {
        Arc::new(Self { waiting: Mutex::default(), bound: AtomicBool::new(false), part })
    }

    /// Waits for the answer to a new request; refused while no answer could be heard.
    pub(super) fn expect(&self) -> Result<Expected<'_>, Lost> {
        let (sender, answer) = oneshot::channel();
        let id = Uuid::new_v4();
        self.lock().insert(id, sender);
        let expected = Expected { replies: self, id, answer };
        // Asked after the entry is there: whoever unbinds from now on fails this entry, too.
        if self.bound.load(Ordering::Acquire) { Ok(expected) } else { Err(Lost) }
    }

    /// Hands an envelope to the call that waits for it, if any does.
    pub(super) fn answer(&self, message: Message) {
        let Some(id) = parse_id(&message.request_id) else { return };
        let waiting = self.lock().remove(&id);
        if let Some(waiting) = waiting {
            // The call may have ended meanwhile.
            let _ = waiting.send(message);
        }
    }

    /// Lets every waiting call know that its answer will not come.
    pub(super) fn fail_all(&self) {
        let waiting = std::mem::take(&mut *self.lock());
        drop(waiting);
    }

    /// Reads the workflow's answers for ever; when the consumer is lost, binds again with a growing delay.
    pub(super) async fn consume(self: Arc<Self>, bus: Arc<dyn Bus>, consumer: Consumer) {
        let mut backoff = BACKOFF;
        loop {
            let error = match bus.subscribe(consumer.clone()).await {
                Err(error) => Some(error),
                Ok(mut deliveries) => {
                    self.bind(true);
                    backoff = BACKOFF;
                    let error = loop {
                        match deliveries.next().await {
                            None => break None,
                            Some(Err(error)) => break Some(error),
                            Some(Ok(delivery)) => match Message::decode(delivery.payload) {
                                Ok(message) => self.answer(message),
                                Err(error) => {
                                    tracing::debug!(subject = %delivery.subject, %error, "an answer is no envelope")
                                }
                            },
                        }
                    };
                    self.bind(false);
                    error
                }
            };
            let error = error.map_or_else(|| "the consumer is gone".to_owned(), |e| e.to_string());
            tracing::warn!(?consumer, %error, ?backoff, "answers cannot be read; binding again");
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    /// How many calls wait.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn bind(&self, bound: bool) {
        self.bound.store(bound, Ordering::Release);
        self.part.set_ready(bound);
        if !bound {
            // Answers published before the consumer is back are never heard: no use in letting callers wait.
            self.fail_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, oneshot::Sender<Message>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Expected<'_> {
    /// The first answer, whatever its type.
    pub(super) async fn answer(&mut self) -> Result<Message, Lost> {
        (&mut self.answer).await.map_err(|_| Lost)
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.replies.lock().remove(&self.id);
    }
}

/// An id as the entrypoint writes it: hyphenated and lower-case. Other spellings of the same number are not ours.
fn parse_id(text: &str) -> Option<Uuid> {
    let ours = text.len() == uuid::fmt::Hyphenated::LENGTH && !text.bytes().any(|b| b.is_ascii_uppercase());
    if ours { Uuid::try_parse(text).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::MessageType;
    use crate::telemetry::Health;

    fn message(id: String) -> Message {
        Message {
            request_id: id,
            from_node: "exit".into(),
            message_type: MessageType::Ok,
            payload: None,
            error: String::new(),
        }
    }

    fn bound() -> Arc<Replies> {
        let replies = Replies::new(Health::default().part("replies"));
        replies.bind(true);
        replies
    }

    #[tokio::test]
    async fn the_first_answer_wins_and_later_ones_are_dropped() {
        let replies = bound();
        let mut expected = replies.expect().unwrap();
        let first = message(expected.id.to_string());
        replies.answer(first.clone());
        replies.answer(Message { from_node: "late".into(), ..first.clone() });
        assert_eq!(expected.answer().await, Ok(first));
    }

    #[tokio::test]
    async fn ids_that_nobody_waits_for_change_nothing() {
        let replies = bound();
        let mut expected = replies.expect().unwrap();
        for id in [String::new(), "no id".into(), Uuid::new_v4().to_string(), "é".repeat(18)] {
            replies.answer(message(id));
        }
        replies.answer(message(expected.id.to_string().to_uppercase()));
        assert_eq!(replies.len(), 1);
        replies.answer(message(expected.id.to_string()));
        assert!(expected.answer().await.is_ok());
    }

    #[test]
    fn a_call_that_is_given_up_leaves_nothing_behind() {
        let replies = bound();
        drop(replies.expect().unwrap());
        assert_eq!(replies.len(), 0);
    }

    #[tokio::test]
    async fn a_lost_consumer_fails_those_who_wait_and_refuses_new_ones() {
        let replies = bound();
        let mut expected = replies.expect().unwrap();
        replies.bind(false);
        assert_eq!(expected.answer().await, Err(Lost));
        assert!(replies.expect().is_err());
        assert_eq!(replies.len(), 0);
    }
}
