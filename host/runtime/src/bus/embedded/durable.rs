//! The messages of one durable: waiting, in hand, delayed. A data structure; time comes in as an argument.
//!
//! Every operation is O(1) amortised whatever the backlog (a delay costs O(log delayed)). It never wakes, waits or locks.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Stored;
use super::wakers::Seats;

/// One durable consumer.
pub(super) struct Durable {
    pub(super) name: String,
    /// Index of the subject it reads.
    pub(super) topic: usize,
    pub(super) ack_wait: Duration,
    /// Its subscribers.
    pub(super) seats: Seats,
    /// Never delivered, in the order of acceptance.
    fresh: VecDeque<Arc<Stored>>,
    /// To be delivered again now; may name slots that were settled meanwhile.
    again: VecDeque<Key>,
    /// Delivered at least once and not settled.
    slots: Vec<Slot>,
    free: Vec<u32>,
    live: usize,
    /// Ack waits, in order because the ack wait is one constant; entries go stale when their slot moves on.
    in_hand: VecDeque<(Instant, Key)>,
    /// Negative acknowledgements with a delay; entries go stale likewise.
    delayed: BinaryHeap<Reverse<(Instant, Key)>>,
    serial: u64,
    bytes: usize,
}

/// Names an unsettled message of a durable; never matches a later user of the same slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    serial: u64,
    index: u32,
}

/// What a subscriber gets.
pub(super) struct Taken {
    pub(super) key: Key,
    pub(super) message: Arc<Stored>,
    pub(super) attempt: u32,
    /// When it comes again unless settled.
    pub(super) due: Instant,
}

struct Slot {
    serial: u64,
    attempt: u32,
    state: State,
    message: Option<Arc<Stored>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    InHand(Instant),
    Delayed(Instant),
    Queued,
}

impl Durable {
    pub(super) fn new(name: String, topic: usize, ack_wait: Duration) -> Self {
        Self {
            name,
            topic,
            ack_wait,
            seats: Seats::default(),
            fresh: VecDeque::new(),
            again: VecDeque::new(),
            slots: Vec::new(),
            free: Vec::new(),
            live: 0,
            in_hand: VecDeque::new(),
            delayed: BinaryHeap::new(),
            serial: 0,
            bytes: 0,
        }
    }

    /// Messages that nobody has acknowledged.
    pub(super) fn pending(&self) -> usize {
        self.fresh.len() + self.live
    }

    /// Their bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, message: Arc<Stored>) {
        self.bytes += message.size;
        self.fresh.push_back(message);
    }

    /// The next message: one that comes again before one that is new, as JetStream does.
    pub(super) fn take(&mut self, now: impl FnOnce() -> Instant) -> Option<Taken> {
        while let Some(key) = self.again.pop_front() {
            if self.state(key) != Some(State::Queued) {
                continue;
            }
            let due = now() + self.ack_wait;
            let slot = &mut self.slots[key.index as usize];
            slot.attempt += 1;
            slot.state = State::InHand(due);
            let (attempt, message) = (slot.attempt, slot.message.clone()?);
            self.watch(due, key);
            return Some(Taken { key, message, attempt, due });
        }
        let message = self.fresh.pop_front()?;
        let due = now() + self.ack_wait;
        self.serial += 1;
        self.live += 1;
        let slot = Slot { serial: self.serial, attempt: 1, state: State::InHand(due), message: Some(message.clone()) };
        let index = match self.free.pop() {
            Some(index) => {
                self.slots[index as usize] = slot;
                index
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as u32
            }
        };
        let key = Key { serial: self.serial, index };
        self.watch(due, key);
        Some(Taken { key, message, attempt: 1, due })
    }

    /// Done, whichever of its attempts says so. False if it was done before.
    pub(super) fn ack(&mut self, key: Key) -> bool {
        if self.state(key).is_none() {
            return false;
        }
        let slot = &mut self.slots[key.index as usize];
        slot.state = State::Free;
        self.bytes -= slot.message.take().map_or(0, |m| m.size);
        self.free.push(key.index);
        self.live -= 1;
        self.prune();
        true
    }

    /// Again at `due`, or now. Only the attempt in hand may say so. True if it is to be delivered now.
    pub(super) fn nack(&mut self, key: Key, attempt: u32, due: Option<Instant>) -> bool {
        if !self.holds(key, attempt) {
            return false;
        }
        let slot = &mut self.slots[key.index as usize];
        match due {
            Some(due) => {
                slot.state = State::Delayed(due);
                self.delayed.push(Reverse((due, key)));
            }
            None => {
                slot.state = State::Queued;
                self.again.push_back(key);
            }
        }
        self.prune();
        due.is_none()
    }

    /// The ack wait starts anew. Only the attempt in hand may say so.
    pub(super) fn progress(&mut self, key: Key, attempt: u32, now: Instant) {
        if self.holds(key, attempt) {
            let due = now + self.ack_wait;
            self.slots[key.index as usize].state = State::InHand(due);
            self.watch(due, key);
            self.prune();
        }
    }

    /// Queues what is due. True if there was any.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let before = self.again.len();
        while let Some(&(due, key)) = self.in_hand.front()
            && due <= now
        {
            self.in_hand.pop_front();
            if self.state(key) == Some(State::InHand(due)) {
                self.requeue(key);
            }
        }
        while let Some(&Reverse((due, key))) = self.delayed.peek()
            && due <= now
        {
            self.delayed.pop();
            if self.state(key) == Some(State::Delayed(due)) {
                self.requeue(key);
            }
        }
        self.again.len() > before
    }

    /// When [`Self::expire`] has something to do next.
    pub(super) fn next_due(&mut self) -> Option<Instant> {
        self.prune();
        while let Some(&Reverse((due, key))) = self.delayed.peek()
            && self.state(key) != Some(State::Delayed(due))
        {
            self.delayed.pop();
        }
        let delayed = self.delayed.peek().map(|Reverse((due, _))| *due);
        self.in_hand.front().map(|(due, _)| *due).into_iter().chain(delayed).min()
    }

    fn requeue(&mut self, key: Key) {
        self.slots[key.index as usize].state = State::Queued;
        self.again.push_back(key);
    }

    fn state(&self, key: Key) -> Option<State> {
        let slot = self.slots.get(key.index as usize)?;
        (slot.serial == key.serial && slot.state != State::Free).then_some(slot.state)
    }

    fn holds(&self, key: Key, attempt: u32) -> bool {
        matches!(self.state(key), Some(State::InHand(_))) && self.slots[key.index as usize].attempt == attempt
    }

    fn watch(&mut self, due: Instant, key: Key) {
        self.in_hand.push_back((due, key));
    }

    /// Drops stale ack waits: those in front at once, those behind an old one when they are the majority.
    fn prune(&mut self) {
        while let Some(&(due, key)) = self.in_hand.front()
            && self.state(key) != Some(State::InHand(due))
        {
            self.in_hand.pop_front();
        }
        if self.in_hand.len() > 2 * self.live + 64 {
            let mut entries = std::mem::take(&mut self.in_hand);
            entries.retain(|&(due, key)| self.state(key) == Some(State::InHand(due)));
            self.in_hand = entries;
        }
    }
}
