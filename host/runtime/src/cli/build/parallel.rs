//! Builds beside one another. Knows nothing of what is built.

use std::sync::{Mutex, PoisonError};

use super::{Failure, Made};

/// Compilers use several cores themselves; two of them keep those busy while one waits for the disk or the network.
pub(super) const AT_ONCE: usize = 2;

/// What came of one build.
pub(super) type Done = anyhow::Result<(Vec<Made>, Option<Failure>)>;

/// One build.
pub(super) type Task<'a> = Box<dyn FnOnce() -> Done + Send + 'a>;

/// Does all of them, `at_once` at a time: what came of each, in their order.
pub(super) fn all(tasks: Vec<Task<'_>>, at_once: usize) -> Vec<Done> {
    let count = tasks.len();
    let waiting = Mutex::new(tasks.into_iter().enumerate());
    let done: Mutex<Vec<(usize, Done)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..at_once.min(count) {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((index, task)) = next else { return };
                    let result = task();
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn two_builds_go_on_at_once_and_are_told_in_their_order() {
        // Each waits for another: alone, none would end.
        let barrier = Barrier::new(2);
        let task = |n: u32| -> Task<'_> {
            let barrier = &barrier;
            Box::new(move || {
                barrier.wait();
                anyhow::bail!("{n}")
            })
        };
        let done = all(vec![task(1), task(2), task(3), task(4)], AT_ONCE);
        let told: Vec<String> =
            done.into_iter().map(|done| done.err().map(|e| e.to_string()).unwrap_or_default()).collect();
        assert_eq!(told, ["1", "2", "3", "4"]);
    }
}
