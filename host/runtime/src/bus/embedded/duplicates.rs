//! The ids that a stream has seen within its window. Ids are kept as 128-bit keyed hashes: 17 bytes instead of a text.
//!
//! Bounded by time and by number; beyond the number the oldest are forgotten first.

use std::collections::hash_map::RandomState;
use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::time::Duration;

use tokio::time::Instant;

/// Growing or cleaning a set takes time in proportion to it, under the stream's lock: many small ones keep that short.
const SHARDS: usize = 64;

pub(super) struct Duplicates {
    window: Duration,
    limit: usize,
    keys: RandomState,
    shards: Vec<HashSet<Print, BuildHasherDefault<Already>>>,
    order: VecDeque<(Instant, Print)>,
}

/// A fingerprint: equal for equal ids, different for different ones but for a chance of 2^-128 a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Print([u64; 2]);

impl std::hash::Hash for Print {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0[0]);
    }
}

/// Fingerprints are hashes already.
#[derive(Default)]
struct Already(u64);

impl Hasher for Already {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl Duplicates {
    pub(super) fn new(window: Duration, limit: usize) -> Self {
        let shards = (0..SHARDS).map(|_| HashSet::default()).collect();
        Self { window, limit: limit.max(1), keys: RandomState::new(), shards, order: VecDeque::new() }
    }

    pub(super) fn print(&self, id: &str) -> Print {
        let mut hasher = self.keys.build_hasher();
        hasher.write(id.as_bytes());
        let first = hasher.finish();
        // The state is wider than one result: another word gives another, independent one.
        hasher.write_u64(first);
        Print([first, hasher.finish()])
    }

    /// Whether the id was remembered less than a window ago.
    pub(super) fn knows(&mut self, print: Print, now: Instant) -> bool {
        while let Some(&(seen, old)) = self.order.front()
            && now.duration_since(seen) >= self.window
        {
            self.forget(old);
        }
        self.shard(print).contains(&print)
    }

    /// Remembers an id that [`Self::knows`] not.
    pub(super) fn remember(&mut self, print: Print, now: Instant) {
        if self.order.len() >= self.limit
            && let Some(&(_, old)) = self.order.front()
        {
            self.forget(old);
        }
        self.shard(print).insert(print);
        self.order.push_back((now, print));
    }

    fn forget(&mut self, old: Print) {
        self.order.pop_front();
        self.shard(old).remove(&old);
    }

    fn shard(&mut self, print: Print) -> &mut HashSet<Print, BuildHasherDefault<Already>> {
        // The low and the high bits of the first word place it within its set; the second word is free.
        &mut self.shards[(print.0[1] % SHARDS as u64) as usize]
    }
}
