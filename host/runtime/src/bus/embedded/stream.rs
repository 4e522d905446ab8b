//! One stream: acceptance, what each consumer has yet to get, and room. One lock, held for short sections only.
//!
//! Wakers are called after the lock is released; nothing here waits.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::duplicates::{Duplicates, Print};
use super::durable::{Durable, Key, Taken};
use super::wakers::Wakers;
use super::{EmbeddedBusOptions, Stored};
use crate::bus::Publication;

/// A stream and all that reads it.
pub(super) struct Stream {
    name: Arc<str>,
    state: Mutex<State>,
    /// Rings when something is due earlier than the timer knows.
    earlier: Arc<Notify>,
    timer: Mutex<Option<JoinHandle<()>>>,
}

/// What became of a publication at once.
pub(super) enum Entry {
    Accepted,
    /// It stands in a queue under this number.
    Waits(u64),
    /// Even the queue is full.
    Refused,
}

/// A subject that somebody reads.
#[derive(Default)]
struct Topic {
    durables: Vec<usize>,
    /// Consumers of their subscribers' own.
    ephemerals: Vec<Ephemeral>,
    /// Publications for which there was no room, in order.
    waiting: BTreeMap<u64, Waiting>,
    waiting_bytes: usize,
}

struct Waiting {
    publication: Publication,
    size: usize,
    waker: Option<Waker>,
}

struct Ephemeral {
    number: u64,
    queue: VecDeque<Arc<Stored>>,
    bytes: usize,
    lost: u64,
    waker: Option<Waker>,
}

struct State {
    options: EmbeddedBusOptions,
    sequence: u64,
    numbers: u64,
    duplicates: Duplicates,
    topics: Vec<Topic>,
    durables: Vec<Durable>,
    /// Kept whoever has read it: the dead letters.
    log: Option<Log>,
    /// What the timer waits for.
    armed: Option<Instant>,
}

#[derive(Default)]
struct Log {
    messages: VecDeque<Arc<Stored>>,
    bytes: usize,
}

impl Stream {
    /// An empty stream; one with a `log` keeps what it accepts, within the options' limits.
    pub(super) fn new(name: &str, options: EmbeddedBusOptions, log: bool) -> Arc<Self> {
        let state = State {
            sequence: 0,
            numbers: 0,
            duplicates: Duplicates::new(options.duplicate_window, options.duplicate_limit),
            options,
            topics: Vec::new(),
            durables: Vec::new(),
            log: log.then(Log::default),
            armed: None,
        };
        Arc::new(Self { name: name.into(), state: Mutex::new(state), earlier: Arc::default(), timer: Mutex::default() })
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Room for the readers of one more subject.
    pub(super) fn add_topic(&self) -> usize {
        let mut state = self.lock();
        state.topics.push(Topic::default());
        state.topics.len() - 1
    }

    /// Makes a durable, or gives an existing one its ack wait and subject anew; its messages stay.
    pub(super) fn add_durable(&self, name: &str, topic: usize, ack_wait: Duration) {
        let mut state = self.lock();
        let index = match state.durables.iter().position(|d| d.name == name) {
            Some(index) => {
                state.durables[index].ack_wait = ack_wait;
                let before = std::mem::replace(&mut state.durables[index].topic, topic);
                state.topics[before].durables.retain(|d| *d != index);
                index
            }
            None => {
                state.durables.push(Durable::new(name.to_owned(), topic, ack_wait));
                state.durables.len() - 1
            }
        };
        state.topics[topic].durables.push(index);
    }

    /// Takes a publication over, if there is room.
    pub(super) fn publish(&self, topic: Option<usize>, publication: Publication) -> Entry {
        let mut wakers = Wakers::default();
        let entry = self.lock().publish(topic, publication, &mut wakers);
        wakers.wake();
        entry
    }

    /// Whether a publication that stood in the queue was accepted; else `waker` is called when it is.
    pub(super) fn admitted(&self, topic: usize, ticket: u64, waker: &Waker) -> bool {
        match self.lock().topics[topic].waiting.get_mut(&ticket) {
            None => true,
            Some(waiting) => {
                waiting.waker = Some(waker.clone());
                false
            }
        }
    }

    /// Takes a publication out of the queue. False if it was accepted meanwhile.
    pub(super) fn withdraw(&self, topic: usize, ticket: u64) -> bool {
        let mut wakers = Wakers::default();
        let withdrawn = {
            let mut state = self.lock();
            let queue = &mut state.topics[topic];
            let withdrawn = queue.waiting.remove(&ticket).map(|waiting| queue.waiting_bytes -= waiting.size).is_some();
            // A large one in front may have kept small ones waiting.
            state.admit(topic, &mut wakers);
            withdrawn
        };
        wakers.wake();
        withdrawn
    }

    /// Binds a subscriber: the durable's index and its seat there.
    pub(super) fn sit(self: &Arc<Self>, durable: &str) -> Option<(usize, usize)> {
        let place = {
            let mut state = self.lock();
            let index = state.durables.iter().position(|d| d.name == durable)?;
            (index, state.durables[index].seats.sit())
        };
        self.run_timer();
        Some(place)
    }

    pub(super) fn leave(&self, durable: usize, seat: usize) {
        self.lock().durables[durable].seats.leave(seat);
    }

    /// The next message of a durable, or the waker is kept.
    pub(super) fn take(&self, durable: usize, seat: usize, context: &Context<'_>) -> Option<Taken> {
        let (taken, earlier) = {
            let mut state = self.lock();
            let reader = &mut state.durables[durable];
            let Some(taken) = reader.take(Instant::now) else {
                reader.seats.wait(seat, context.waker());
                return None;
            };
            let earlier = state.arm(taken.due);
            (taken, earlier)
        };
        if earlier {
            self.earlier.notify_one();
        }
        Some(taken)
    }

    pub(super) fn ack(&self, durable: usize, key: Key) {
        let mut wakers = Wakers::default();
        {
            let mut state = self.lock();
            if state.durables[durable].ack(key) {
                let topic = state.durables[durable].topic;
                state.admit(topic, &mut wakers);
            }
        }
        wakers.wake();
    }

    pub(super) fn nack(&self, durable: usize, key: Key, attempt: u32, delay: Duration) {
        let due = (!delay.is_zero()).then(|| Instant::now() + delay);
        let mut wakers = Wakers::default();
        let earlier = {
            let mut state = self.lock();
            let reader = &mut state.durables[durable];
            if reader.nack(key, attempt, due) {
                reader.seats.wake(&mut wakers);
            }
            due.is_some_and(|due| state.arm(due))
        };
        wakers.wake();
        if earlier {
            self.earlier.notify_one();
        }
    }

    pub(super) fn progress(&self, durable: usize, key: Key, attempt: u32) {
        self.lock().durables[durable].progress(key, attempt, Instant::now());
    }

    /// A consumer of the subscriber's own, from now on.
    pub(super) fn add_ephemeral(&self, topic: usize) -> u64 {
        let mut state = self.lock();
        state.numbers += 1;
        let number = state.numbers;
        let ephemeral = Ephemeral { number, queue: VecDeque::new(), bytes: 0, lost: 0, waker: None };
        state.topics[topic].ephemerals.push(ephemeral);
        number
    }

    pub(super) fn remove_ephemeral(&self, topic: usize, number: u64) {
        self.lock().topics[topic].ephemerals.retain(|e| e.number != number);
    }

    pub(super) fn poll_ephemeral(&self, topic: usize, number: u64, context: &Context<'_>) -> Poll<Option<Arc<Stored>>> {
        let (next, lost) = {
            let mut state = self.lock();
            let Some(own) = state.topics[topic].ephemerals.iter_mut().find(|e| e.number == number) else {
                return Poll::Ready(None);
            };
            let Some(message) = own.queue.pop_front() else {
                own.waker = Some(context.waker().clone());
                return Poll::Pending;
            };
            own.bytes -= message.size;
            (message, std::mem::take(&mut own.lost))
        };
        if lost > 0 {
            tracing::warn!(stream = &*self.name, subject = &*next.subject, lost, "a slow reader lost messages");
        }
        Poll::Ready(Some(next))
    }

    /// What the stream keeps whoever has read it.
    pub(super) fn kept(&self) -> Vec<Arc<Stored>> {
        self.lock().log.iter().flat_map(|log| log.messages.iter().cloned()).collect()
    }

    /// Messages that the durable has yet to see settled.
    pub(super) fn pending(&self, durable: &str) -> Option<usize> {
        self.lock().durables.iter().find(|d| d.name == durable).map(Durable::pending)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock would be a defect of this file; what it guards is consistent between statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the timer, or starts it again if the runtime that ran it is gone.
    fn run_timer(self: &Arc<Self>) {
        let mut timer = self.timer.lock().unwrap_or_else(PoisonError::into_inner);
        if timer.as_ref().is_none_or(JoinHandle::is_finished) {
            *timer = Some(tokio::spawn(time(Arc::downgrade(self), self.earlier.clone())));
        }
    }

    /// Delivers what is due again; the time of the next.
    fn expire(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut wakers = Wakers::default();
        let next = {
            let mut state = self.lock();
            let mut next = None;
            for durable in &mut state.durables {
                if durable.expire(now) {
                    durable.seats.wake(&mut wakers);
                }
                next = next.into_iter().chain(durable.next_due()).min();
            }
            state.armed = next;
            next
        };
        wakers.wake();
        next
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // The timer holds no stream: it finds this one gone and ends.
        self.earlier.notify_one();
    }
}

/// One timer a stream, whatever its messages: most ack waits never end, so none has a timer of its own.
async fn time(stream: Weak<Stream>, earlier: Arc<Notify>) {
    loop {
        let Some(next) = stream.upgrade().map(|stream| stream.expire()) else { return };
        match next {
            None => earlier.notified().await,
            Some(due) => tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                () = earlier.notified() => {}
            },
        }
    }
}

impl State {
    fn publish(&mut self, topic: Option<usize>, publication: Publication, wakers: &mut Wakers) -> Entry {
        let size = publication.payload.len() + publication.headers.size();
        let Some(index) = topic else {
            // Nobody has ever read this subject.
            self.accept(None, publication, size, wakers);
            return Entry::Accepted;
        };
        let waiting = self.topics[index].waiting.len();
        if waiting == 0 && self.has_room(index, size) {
            self.accept(Some(index), publication, size, wakers);
            return Entry::Accepted;
        }
        if self.print(&publication).is_some_and(|print| self.duplicates.knows(print, Instant::now())) {
            return Entry::Accepted;
        }
        let queue = &mut self.topics[index];
        if waiting >= self.options.max_pending
            || queue.waiting_bytes.saturating_add(size) > self.options.max_pending_bytes
        {
            return Entry::Refused;
        }
        self.numbers += 1;
        queue.waiting_bytes += size;
        queue.waiting.insert(self.numbers, Waiting { publication, size, waker: None });
        Entry::Waits(self.numbers)
    }

    /// Gives the message its place and hands it to everybody who reads its subject.
    fn accept(&mut self, topic: Option<usize>, publication: Publication, size: usize, wakers: &mut Wakers) {
        if let Some(print) = self.print(&publication) {
            let now = Instant::now();
            if self.duplicates.knows(print, now) {
                return;
            }
            self.duplicates.remember(print, now);
        }
        self.sequence += 1;
        let topic = topic.map(|index| &mut self.topics[index]);
        let readers = topic.as_ref().map_or(0, |t| t.durables.len() + t.ephemerals.len());
        if readers == 0 && self.log.is_none() {
            return;
        }
        let Publication { subject, payload, headers, .. } = publication;
        let message = Arc::new(Stored { sequence: self.sequence, subject, payload, headers, size });
        if let Some(topic) = topic {
            for ephemeral in &mut topic.ephemerals {
                ephemeral.push(message.clone(), &self.options, wakers);
            }
            for index in &topic.durables {
                let durable = &mut self.durables[*index];
                durable.push(message.clone());
                durable.seats.wake(wakers);
            }
        }
        if let Some(log) = &mut self.log {
            log.push(message, &self.options);
        }
    }

    /// Accepts what waited for room, in order, as far as there is room.
    fn admit(&mut self, topic: usize, wakers: &mut Wakers) {
        while let Some((_, front)) = self.topics[topic].waiting.first_key_value() {
            let size = front.size;
            if !self.has_room(topic, size) {
                return;
            }
            let queue = &mut self.topics[topic];
            if let Some((_, Waiting { publication, waker, .. })) = queue.waiting.pop_first() {
                queue.waiting_bytes -= size;
                self.accept(Some(topic), publication, size, wakers);
                wakers.extend(waker);
            }
        }
    }

    /// Each durable has its own bounds. Were they the stream's, a node could not send its output on while its inputs
    /// fill the stream, so could not acknowledge them, so nothing would ever make room.
    fn has_room(&self, topic: usize, size: usize) -> bool {
        self.topics[topic].durables.iter().map(|index| &self.durables[*index]).all(|durable| {
            // One message fits an empty durable whatever its size.
            let bytes = durable.pending() == 0 || durable.bytes() + size <= self.options.max_pending_bytes;
            bytes && durable.pending() < self.options.max_pending.max(1)
        })
    }

    fn print(&self, publication: &Publication) -> Option<Print> {
        publication.id.as_deref().map(|id| self.duplicates.print(id))
    }

    /// Whether the timer must know: `due` is earlier than all it waits for.
    fn arm(&mut self, due: Instant) -> bool {
        let earlier = self.armed.is_none_or(|armed| due < armed);
        if earlier {
            self.armed = Some(due);
        }
        earlier
    }
}

impl Ephemeral {
    /// Never holds a publisher up: when it is full its oldest message goes, whose reader has waited longest already.
    fn push(&mut self, message: Arc<Stored>, options: &EmbeddedBusOptions, wakers: &mut Wakers) {
        self.bytes += message.size;
        self.queue.push_back(message);
        while self.queue.len() > 1
            && (self.queue.len() > options.max_pending || self.bytes > options.max_pending_bytes)
            && let Some(oldest) = self.queue.pop_front()
        {
            self.bytes -= oldest.size;
            self.lost += 1;
        }
        wakers.extend(self.waker.take());
    }
}

impl Log {
    fn push(&mut self, message: Arc<Stored>, options: &EmbeddedBusOptions) {
        self.bytes += message.size;
        self.messages.push_back(message);
        while (self.messages.len() > options.dead_letter_limit || self.bytes > options.dead_letter_bytes)
            && let Some(oldest) = self.messages.pop_front()
        {
            self.bytes -= oldest.size;
        }
    }
}
