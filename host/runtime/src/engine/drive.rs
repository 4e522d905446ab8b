//! Runs one piece of guest work: inline as long as it is short, elsewhere or under a timer when it is not.
//!
//! Most messages end within their first slice: they see neither a timer nor another thread. Never decides what a
//! time-out means.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Instant;

use super::lane::Lane;

/// Guest work; owns its instance.
pub(super) type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// How often the guest of an instance has used up a slice since its message began. Set by the engine's callback.
#[derive(Default)]
pub(super) struct Slices(AtomicU32);

/// Why there is no result; the instance is gone in either case.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Abandoned {
    /// The deadline passed.
    Late,
    /// The host's own code panicked under it.
    Panicked,
}

enum Step<T> {
    Done(T),
    Slow,
    Late,
}

impl Slices {
    pub(super) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    pub(super) fn used(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Runs `work` until `deadline`. `slow` = known to take long: straight to the lane.
pub(super) async fn drive<T: Send + 'static>(
    mut work: Work<T>,
    slices: &Slices,
    deadline: Instant,
    lane: &Lane,
    slow: bool,
) -> Result<T, Abandoned> {
    if !slow && let Poll::Ready(done) = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await {
        return Ok(done);
    }
    let mut timer = pin!(tokio::time::sleep_until(deadline.into()));
    if !slow && slices.used() == 0 {
        // It waits in a host call. Its waker is registered: what comes next is a wake-up.
        let mut woken = false;
        let step = poll_fn(|cx| {
            if std::mem::replace(&mut woken, true)
                && let Poll::Ready(done) = work.as_mut().poll(cx)
            {
                return Poll::Ready(Step::Done(done));
            }
            if slices.used() > 0 {
                return Poll::Ready(Step::Slow);
            }
            timer.as_mut().poll(cx).map(|()| Step::Late)
        });
        match step.await {
            Step::Done(done) => return Ok(done),
            Step::Late => return Err(Abandoned::Late),
            Step::Slow => {}
        }
    }
    match lane.spawn(work) {
        Ok(task) => tokio::select! {
            biased;
            done = task => done.ok_or(Abandoned::Panicked),
            () = timer => Err(Abandoned::Late),
        },
        Err(work) => tokio::select! {
            biased;
            done = work => Ok(done),
            () = timer => Err(Abandoned::Late),
        },
    }
}
