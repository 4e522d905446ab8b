//! How much may be written about something that others can make happen as often as they like. Never writes.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(1);

/// So much a second; what is beyond it is counted.
#[derive(Debug)]
pub struct Allowance {
    per_second: usize,
    window: Mutex<Window>,
}

/// Whether something may be written, and what was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// It may.
    pub admitted: bool,
    /// How often the answer was no in the second before, told once.
    pub dropped: usize,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    used: usize,
    dropped: usize,
}

impl Allowance {
    /// `per_second` in whatever [`Self::admit`] is given: bytes, lines.
    pub fn new(per_second: usize) -> Self {
        Self { per_second, window: Mutex::new(Window { since: Instant::now(), used: 0, dropped: 0 }) }
    }

    /// Whether `amount` fits into this second.
    pub fn admit(&self, amount: usize) -> Admission {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let mut dropped = 0;
        if window.since.elapsed() >= WINDOW {
            dropped = window.dropped;
            *window = Window { since: Instant::now(), used: 0, dropped: 0 };
        }
        let admitted = window.used.saturating_add(amount) <= self.per_second;
        if admitted {
            window.used += amount;
        } else {
            window.dropped += 1;
        }
        Admission { admitted, dropped }
    }

    /// How often the answer was no and nobody has been told.
    pub fn dropped(&mut self) -> usize {
        self.window.get_mut().unwrap_or_else(PoisonError::into_inner).dropped
    }
}
