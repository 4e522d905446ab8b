//! Runs one piece of guest work: inline as long as it is short, elsewhere or under a timer when it is not.
//!
//! Most messages end within their first slice: they see neither a timer nor another thread. Never decides what a
//! time-out means.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::lane::Lanes;
use super::standing::Pace;

/// Guest work; owns its instance.
pub(super) type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What the guest of an instance has taken since its message began.
#[derive(Default)]
pub(super) struct Slices {
    /// How often it used up a slice; set by the engine's callback.
    used: AtomicU32,
    /// How long it kept a thread, in ns; host calls that do not wait included.
    busy: AtomicU64,
}

/// Why there is no result; the instance is gone in either case.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Abandoned {
    /// The deadline passed.
    Late,
    /// The host's own code panicked under it.
    Panicked,
}

/// What became of work on threads that give way.
enum Aside<T> {
    Done(T),
    /// It got too little of them.
    Starved(Work<T>),
}

enum Step<T> {
    Done(T),
    Slow,
    Late,
}

impl Slices {
    pub(super) fn count(&self) {
        self.used.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn reset(&self) {
        self.used.store(0, Ordering::Relaxed);
        self.busy.store(0, Ordering::Relaxed);
    }

    pub(super) fn used(&self) -> u32 {
        self.used.load(Ordering::Relaxed)
    }

    /// How long it kept a thread.
    pub(super) fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy.load(Ordering::Relaxed))
    }

    fn poll<T>(&self, work: &mut Work<T>, cx: &mut Context<'_>) -> Poll<T> {
        let start = Instant::now();
        let polled = work.as_mut().poll(cx);
        self.took(start.elapsed());
        polled
    }

    /// As [`Self::poll`], on a thread that others push aside: only its own time counts. By the wall clock a light message
    /// would look heavy there, and its node would never leave. The clock costs a system call, so not on every thread.
    fn poll_aside<T>(&self, work: &mut Work<T>, cx: &mut Context<'_>) -> Poll<T> {
        let start = thread_time();
        let polled = work.as_mut().poll(cx);
        self.took(thread_time().saturating_sub(start));
        polled
    }

    fn took(&self, time: Duration) {
        // One thread at a time polls it: nothing is lost between the two.
        let busy = self.busy.load(Ordering::Relaxed).saturating_add(time.as_nanos() as u64);
        self.busy.store(busy, Ordering::Relaxed);
    }
}

/// Runs `work` until `deadline`.
pub(super) async fn drive<T: Send + 'static>(
    mut work: Work<T>,
    slices: &Arc<Slices>,
    deadline: Instant,
    lanes: &Lanes,
    pace: Pace,
) -> Result<T, Abandoned> {
    let inline = pace == Pace::Inline;
    if inline && let Poll::Ready(done) = poll_fn(|cx| Poll::Ready(slices.poll(&mut work, cx))).await {
        return Ok(done);
    }
    let mut timer = pin!(tokio::time::sleep_until(deadline.into()));
    if inline && slices.used() == 0 {
        // It waits in a host call. Its waker is registered: what comes next is a wake-up.
        let mut woken = false;
        let step = poll_fn(|cx| {
            if std::mem::replace(&mut woken, true)
                && let Poll::Ready(done) = slices.poll(&mut work, cx)
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
    tokio::select! {
        biased;
        done = aside(work, slices.clone(), deadline, lanes, pace) => done,
        () = timer => Err(Abandoned::Late),
    }
}

/// Runs `work` where it disturbs nobody.
async fn aside<T: Send + 'static>(
    work: Work<T>,
    slices: Arc<Slices>,
    deadline: Instant,
    lanes: &Lanes,
    pace: Pace,
) -> Result<T, Abandoned> {
    // Who is not suspect must get on under any load: after half of its time it has a share.
    let patience = match pace {
        Pace::Suspect => deadline,
        Pace::Inline | Pace::Slow => Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2,
    };
    let counted = slices.clone();
    let mut yielding = Some(work);
    let first = poll_fn(move |cx| {
        let work = yielding.as_mut().expect("polled after it was ready");
        if let Poll::Ready(done) = counted.poll_aside(work, cx) {
            return Poll::Ready(Aside::Done(done));
        }
        // Looked at when a slice is over: the threads that yield come to it late, but they come to it.
        if Instant::now() < patience {
            Poll::Pending
        } else {
            Poll::Ready(Aside::Starved(yielding.take().expect("work")))
        }
    });
    let mut work = match lanes.yielding.spawn(Box::pin(first)) {
        Ok(task) => match task.await.ok_or(Abandoned::Panicked)? {
            Aside::Done(done) => return Ok(done),
            Aside::Starved(work) => work,
        },
        Err(mut first) => match first.as_mut().await {
            Aside::Done(done) => return Ok(done),
            Aside::Starved(work) => work,
        },
    };
    match lanes.sharing.spawn(Box::pin(poll_fn(move |cx| slices.poll_aside(&mut work, cx)))) {
        Ok(task) => task.await.ok_or(Abandoned::Panicked),
        Err(work) => Ok(work.await),
    }
}

/// What the calling thread has had of a processor.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}
