//! Where work goes that takes long: threads of low priority, so that a guest in an endless loop takes what others leave.

use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// A tenth of the weight of an ordinary thread: enough to get on under full load, little enough to be felt by nobody.
const NICE: i32 = 10;

/// A runtime of its own, made when first needed.
#[derive(Default)]
pub(super) struct Lane(OnceLock<Option<Runtime>>);

/// Work in the lane; dropped, it is cancelled at its next await.
pub(super) struct Task<T>(JoinHandle<T>);

impl Lane {
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

    /// Whether anything ever needed it.
    #[cfg(test)]
    pub(super) fn is_used(&self) -> bool {
        self.0.get().is_some()
    }

    fn runtime(&self) -> Option<&Runtime> {
        let make = || {
            let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            Builder::new_multi_thread()
                .worker_threads(threads)
                .thread_name("krt-slow")
                .on_thread_start(lower_priority)
                .enable_all()
                .build()
                .inspect_err(|error| tracing::warn!(%error, "no threads for slow guests: they run among the others"))
                .ok()
        };
        self.0.get_or_init(make).as_ref()
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take().flatten() {
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
pub(super) fn lower_priority() {
    // On Linux a thread has a priority of its own, and "this process" means the calling thread.
    let _ = rustix::process::setpriority_process(None, NICE);
}
