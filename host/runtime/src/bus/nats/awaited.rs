//! Publications whose acknowledgements are awaited: found by their number, given up in their order. A wait costs a place
//! in a queue, not a timer. Never sends.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// What became of one publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Stored, or known already.
    Accepted,
    /// The stream says no: the server's number and text.
    Refused(u64, String),
    /// No stream listens on the subject at this moment.
    NobodyListens,
    /// The server does not let this client publish there.
    Denied(String),
    /// No answer within the time.
    TimedOut,
    /// The connection it was sent on is gone.
    Lost,
}

/// All that are awaited on one connection.
pub(super) struct Awaited {
    /// Number of the first place.
    first: u64,
    places: VecDeque<Option<Place>>,
    /// Places that are not answered. One that is not may keep many answered ones behind it, for a bounded time.
    open: usize,
    limit: usize,
}

struct Place {
    sender: oneshot::Sender<Answer>,
    subject: Arc<str>,
    since: Instant,
}

impl Awaited {
    /// None yet; at most `limit` at once.
    pub(super) fn new(limit: usize) -> Self {
        Self { first: 0, places: VecDeque::new(), open: 0, limit }
    }

    /// A new place: its number, and where its answer will be. None when there is no room.
    pub(super) fn expect(&mut self, subject: Arc<str>, now: Instant) -> Option<(u64, oneshot::Receiver<Answer>)> {
        if self.open >= self.limit {
            return None;
        }
        self.open += 1;
        let (sender, receiver) = oneshot::channel();
        self.places.push_back(Some(Place { sender, subject, since: now }));
        Some((self.first + self.places.len() as u64 - 1, receiver))
    }

    /// Hands an answer over. A number that is not awaited, or no longer, changes nothing.
    pub(super) fn answer(&mut self, number: u64, answer: Answer) {
        let index = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(place) = index.and_then(|index| self.places.get_mut(index)).and_then(Option::take) {
            self.open -= 1;
            // Whoever waited may have gone.
            let _ = place.sender.send(answer);
        }
        self.shrink();
    }

    /// Gives up what has waited longer than `limit`.
    pub(super) fn give_up(&mut self, limit: Duration, now: Instant) {
        while let Some(Some(place)) = self.places.front() {
            if now.saturating_duration_since(place.since) < limit {
                break;
            }
            self.answer(self.first, Answer::TimedOut);
        }
    }

    /// The answer of all that are on a subject that `concerns`.
    pub(super) fn answer_all(&mut self, answer: &Answer, concerns: impl Fn(&str) -> bool) {
        for slot in &mut self.places {
            if slot.as_ref().is_some_and(|place| concerns(&place.subject))
                && let Some(place) = slot.take()
            {
                self.open -= 1;
                let _ = place.sender.send(answer.clone());
            }
        }
        self.shrink();
    }

    fn shrink(&mut self) {
        while let Some(None) = self.places.front() {
            self.places.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn awaited(limit: usize) -> (Awaited, Instant) {
        (Awaited::new(limit), Instant::now())
    }

    #[test]
    fn answers_find_their_publication_in_any_order() {
        let (mut awaited, now) = awaited(8);
        let mut places: Vec<_> = (0..3).map(|_| awaited.expect("s.a".into(), now).unwrap()).collect();
        for index in [1, 0, 2] {
            awaited.answer(places[index].0, Answer::Refused(index as u64, String::new()));
        }
        for (index, (_, receiver)) in places.iter_mut().enumerate() {
            assert_eq!(receiver.try_recv(), Ok(Answer::Refused(index as u64, String::new())));
        }
        assert!(awaited.places.is_empty());
    }

    #[test]
    fn numbers_that_nobody_awaits_change_nothing() {
        let (mut awaited, now) = awaited(8);
        let (number, mut receiver) = awaited.expect("s.a".into(), now).unwrap();
        awaited.answer(number + 1, Answer::Accepted);
        awaited.answer(u64::MAX, Answer::Accepted);
        awaited.answer(number, Answer::Accepted);
        awaited.answer(number, Answer::TimedOut);
        assert_eq!(receiver.try_recv(), Ok(Answer::Accepted));
    }

    #[test]
    fn the_oldest_are_given_up_first_and_the_younger_wait_on() {
        let (mut awaited, now) = awaited(8);
        let (_, mut old) = awaited.expect("s.a".into(), now).unwrap();
        let (_, mut young) = awaited.expect("s.a".into(), now + Duration::from_secs(3)).unwrap();
        awaited.give_up(Duration::from_secs(5), now + Duration::from_secs(6));
        assert_eq!(old.try_recv(), Ok(Answer::TimedOut));
        assert!(young.try_recv().is_err());
    }

    #[test]
    fn no_more_wait_than_may() {
        let (mut awaited, now) = awaited(2);
        let (_first, _receiver) = awaited.expect("s.a".into(), now).unwrap();
        let (second, _receiver) = awaited.expect("s.a".into(), now).unwrap();
        assert!(awaited.expect("s.a".into(), now).is_none());
        // Behind one that is not answered, too.
        awaited.answer(second, Answer::Accepted);
        assert!(awaited.expect("s.a".into(), now).is_some());
    }

    #[test]
    fn a_word_on_a_subject_is_for_those_on_it() {
        let (mut awaited, now) = awaited(8);
        let (_, mut one) = awaited.expect("s.a".into(), now).unwrap();
        let (_, mut other) = awaited.expect("s.b".into(), now).unwrap();
        awaited.answer_all(&Answer::Denied("no".into()), |subject| subject == "s.a");
        assert_eq!(one.try_recv(), Ok(Answer::Denied("no".into())));
        assert!(other.try_recv().is_err());
    }
}
