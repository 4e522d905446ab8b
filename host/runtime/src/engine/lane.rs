//! Where work goes that takes long: threads that give way, so that a guest in an endless loop takes what others leave.
//! Never decides what goes there.

use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// A tenth of the weight of an ordinary thread: enough to get on under full load.
const NICE: i32 = 10;

/// How much a lane's threads give way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// They share: a tenth of what an ordinary thread gets. An ordinary thread that wakes may have to wait for the end of
    /// their time slice, a millisecond or so.
    Share,
    /// They yield: an ordinary thread that wakes takes the processor from them at once. Under full load they get next to
    /// nothing.
    Yield,
}

/// A runtime of its own, made when first needed.
pub(super) struct Lane {
    way: Way,
    runtime: OnceLock<Option<Runtime>>,
}

/// Where heavy work goes: first to threads that yield; what starves there, to threads that share.
pub(super) struct Lanes {
    pub(super) yielding: Lane,
    pub(super) sharing: Lane,
}

/// Work in the lane; dropped, it is cancelled at its next await.
pub(super) struct Task<T>(JoinHandle<T>);

impl Default for Lanes {
    fn default() -> Self {
        Self { yielding: Lane::new(Way::Yield), sharing: Lane::new(Way::Share) }
    }
}

impl Lanes {
    /// Whether anything ever needed one.
    #[cfg(test)]
    pub(super) fn is_used(&self) -> bool {
        self.yielding.runtime.get().is_some() || self.sharing.runtime.get().is_some()
    }
}

impl Lane {
    fn new(way: Way) -> Self {
        Self { way, runtime: OnceLock::new() }
    }

    /// Moves `work` over; hands it back when there are no threads to be had.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        work: Pin<Box<dyn Future<Output = T> + Send>>,
    ) -> Result<Task<T>, Pin<Box<dyn Future<Output = T> + Send>>> {
        match self.runtime() {
            Some(runtime) => Ok(Task(runtime.spawn(work))),
            None => Err(work),
        }
    }

    /// Runs `work` on a thread where it may block.
    pub(super) fn run_blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Task<T> {
        Task(match self.runtime() {
            Some(runtime) => runtime.spawn_blocking(work),
            None => tokio::task::spawn_blocking(work),
        })
    }

    fn runtime(&self) -> Option<&Runtime> {
        let way = self.way;
        let make = || {
            let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            Builder::new_multi_thread()
                .worker_threads(threads)
                .thread_name("krt-slow")
                .on_thread_start(move || give_way(way))
                .enable_all()
                .build()
                .inspect_err(|error| tracing::warn!(%error, "no threads for slow guests: they run among the others"))
                .ok()
        };
        self.runtime.get_or_init(make).as_ref()
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take().flatten() {
            // The last owner may be a task of some runtime, where waiting is not allowed.
            runtime.shutdown_background();
        }
    }
}

impl<T> Future for Task<T> {
    /// None: the work panicked, or the lane is shutting down.
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(Result::ok)
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Gives the calling thread less of the processor. Best effort: without it things are slower, not wrong.
pub(super) fn give_way(way: Way) {
    // On Linux a thread has a priority of its own, and "this process" means the calling thread.
    let _ = rustix::process::setpriority_process(None, NICE);
    if way == Way::Yield {
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle);
    }
}
