//! How a node behaved lately, which decides how much of the processor its next message may keep from its neighbours.
//! Never decides what becomes of a message.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A message that keeps a thread longer is a heavy one: to change threads costs it little, and its neighbours wait for
/// a thread no longer than this.
const HEAVY: Duration = Duration::from_micros(500);

/// Heavy messages in a row before the next starts aside. By the wall clock, which counts the time in which other processes had
/// the processor: on a busy machine a few in a row may be bad luck.
const SLOW_AFTER: u32 = 8;

/// What a killed instance or a flood of log lines counts for, what a message that ends otherwise takes off again, and from
/// where on the node is suspect: once more than one message in five is such a fault. The cap is what it takes to be trusted again.
const FAULT: u32 = 4;
const SUSPECT: u32 = 8;
const CAP: u32 = 16;

/// Where a message begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// On the thread that brings it: it will be over soon.
    Inline,
    /// On threads that give way; with a share of its own once it has starved there.
    Slow,
    /// On threads that give way, to the end.
    Suspect,
}

/// The record of one node.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Heavy messages in a row.
    heavy: AtomicU32,
    /// Faults, as weighed above.
    faults: AtomicU32,
}

impl Standing {
    /// Where the next message begins.
    pub(super) fn pace(&self) -> Pace {
        if self.faults.load(Ordering::Relaxed) >= SUSPECT {
            Pace::Suspect
        } else if self.heavy.load(Ordering::Relaxed) >= SLOW_AFTER {
            Pace::Slow
        } else {
            Pace::Inline
        }
    }

    /// A message kept a thread for `busy`, and was or was not a fault. Two at once may lose a count: it is a
    /// rule of thumb.
    pub(super) fn record(&self, busy: Duration, fault: bool) {
        let heavy = self.heavy.load(Ordering::Relaxed);
        let faults = self.faults.load(Ordering::Relaxed);
        let now = if busy > HEAVY { heavy.saturating_add(1) } else { 0 };
        // Written only when it changes: instances on several threads share the line.
        if now != heavy {
            self.heavy.store(now, Ordering::Relaxed);
        }
        let now = if fault { (faults + FAULT).min(CAP) } else { faults.saturating_sub(1) };
        if now != faults {
            self.faults.store(now, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIGHT: Duration = Duration::from_micros(5);
    const LONG: Duration = Duration::from_millis(5);

    #[test]
    fn heavy_messages_in_a_row_start_aside_until_one_is_light() {
        let standing = Standing::default();
        for _ in 0..SLOW_AFTER {
            assert_eq!(standing.pace(), Pace::Inline);
            standing.record(LONG, false);
        }
        assert_eq!(standing.pace(), Pace::Slow);
        standing.record(LIGHT, false);
        assert_eq!(standing.pace(), Pace::Inline);
    }

    #[test]
    fn a_node_that_kills_its_instances_is_suspect_until_it_has_behaved_for_a_while() {
        let standing = Standing::default();
        standing.record(LIGHT, true);
        assert_eq!(standing.pace(), Pace::Inline, "one fault happens to everybody");
        for _ in 0..100 {
            standing.record(LIGHT, true);
        }
        assert_eq!(standing.pace(), Pace::Suspect);
        let behaved = (0..).find(|_| {
            standing.record(LIGHT, false);
            standing.pace() == Pace::Inline
        });
        assert_eq!(behaved, Some((CAP - SUSPECT) as usize), "messages after the last fault, the first being 0");
    }

    #[test]
    fn a_node_is_suspect_when_more_than_one_message_in_five_is_a_fault() {
        let paces = |every: u32| {
            let standing = Standing::default();
            (0..1000).map(|n| standing.record(LIGHT, n % every == 0)).for_each(drop);
            standing.pace()
        };
        assert_eq!(paces(4), Pace::Suspect);
        assert_eq!(paces(6), Pace::Inline);
    }
}
