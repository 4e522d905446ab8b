//! How many messages may be under way to a subscriber: as many as it takes within a fraction of a second, so that none
//! waits in this process for longer than that while another replica is idle. Pure.

use std::time::{Duration, Instant};

/// A window that was taken within this time may double: twice as many then take half a second.
const QUICK: Duration = Duration::from_millis(250);

/// A window that took longer than this is halved.
const SLOW: Duration = Duration::from_secs(1);

/// The adaptive bound. 1 = a message is asked for only when the subscriber waits for it.
#[derive(Debug)]
pub(super) struct Window {
    size: usize,
    max: usize,
    taken: usize,
    since: Instant,
}

impl Window {
    pub(super) fn new(max: usize, now: Instant) -> Self {
        Self { size: 1, max: max.max(1), taken: 0, since: now }
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The subscriber took a message. The clock is read once a window.
    pub(super) fn took(&mut self, now: impl FnOnce() -> Instant) {
        self.taken += 1;
        if self.taken < self.size {
            return;
        }
        let now = now();
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed <= QUICK {
            self.size = (self.size * 2).min(self.max);
        } else if elapsed > SLOW {
            self.size = (self.size / 2).max(1);
        }
        (self.taken, self.since) = (0, now);
    }

    /// Nothing came, or the subscriber does not take: it begins anew.
    pub(super) fn collapse(&mut self, now: Instant) {
        (self.size, self.taken, self.since) = (1, 0, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The window after a subscriber took messages for ten seconds, one each `every`; messages are always there.
    fn after(every: Duration, max: usize) -> usize {
        let start = Instant::now();
        let mut window = Window::new(max, start);
        let mut now = start;
        while now < start + Duration::from_secs(10) {
            now += every;
            window.took(|| now);
        }
        window.size()
    }

    #[test]
    fn a_quick_subscriber_gets_all_it_may() {
        assert_eq!(after(Duration::from_micros(50), 256), 256);
        assert_eq!(after(Duration::from_micros(50), 1), 1);
    }

    #[test]
    fn no_message_waits_for_a_second_behind_the_others_of_its_window() {
        for micros in [50, 200, 1_000, 3_000, 10_000, 40_000, 120_000, 400_000, 2_000_000] {
            let every = Duration::from_micros(micros);
            let waits = every * u32::try_from(after(every, 1024) - 1).unwrap();
            assert!(waits <= Duration::from_secs(1), "{waits:?} at one each {every:?}");
        }
    }

    #[test]
    fn a_subscriber_that_becomes_slow_is_noticed_within_a_few_windows() {
        let mut now = Instant::now();
        let mut window = Window::new(256, now);
        for _ in 0..10_000 {
            now += Duration::from_micros(100);
            window.took(|| now);
        }
        assert_eq!(window.size(), 256);
        for _ in 0..600 {
            now += Duration::from_millis(700);
            window.took(|| now);
        }
        assert_eq!(window.size(), 1);
    }
}
