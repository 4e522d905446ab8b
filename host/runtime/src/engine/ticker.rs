//! The clock by which running guests are interrupted. Ticks only while a guest runs: an idle host wakes nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::Duration;

use wasmtime::EngineWeak;

/// One epoch. A guest is looked at every one or two of them, which is as long as it may keep a worker to itself.
pub(super) const TICK: Duration = Duration::from_millis(1);

/// Ticks without a running guest before the thread goes to sleep: waking it costs some µs, so not after each message.
const LINGER: u32 = 100;

/// Ends its thread when dropped. Whatever runs guests keeps it alive, or they could not be interrupted.
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

/// While it exists, the clock ticks.
pub(super) struct Running(Arc<Ticker>);

#[derive(Default)]
struct Shared {
    running: AtomicUsize,
    parked: AtomicBool,
    stop: AtomicBool,
}

impl Ticker {
    /// Starts the thread.
    pub(super) fn start(engine: EngineWeak) -> std::io::Result<Arc<Self>> {
        let shared = Arc::new(Shared::default());
        let thread = std::thread::Builder::new().name("krt-epoch".into()).spawn({
            let shared = shared.clone();
            move || tick(&engine, &shared)
        })?;
        Ok(Arc::new(Self { shared, thread: thread.thread().clone() }))
    }

    /// A guest starts to run.
    pub(super) fn running(self: &Arc<Self>) -> Running {
        // The thread sets `parked` before it looks at `running`, here it is the other way round: one of the two sees
        // what the other wrote.
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Running(self.clone())
    }

    #[cfg(test)]
    pub(super) fn is_parked(&self) -> bool {
        self.shared.parked.load(Ordering::SeqCst)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.shared.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

fn tick(engine: &EngineWeak, shared: &Shared) {
    let mut idle = 0;
    while !shared.stop.load(Ordering::SeqCst) {
        if idle >= LINGER {
            shared.parked.store(true, Ordering::SeqCst);
            if shared.running.load(Ordering::SeqCst) == 0 && !shared.stop.load(Ordering::SeqCst) {
                std::thread::park();
            }
            shared.parked.store(false, Ordering::SeqCst);
            idle = 0;
        }
        std::thread::sleep(TICK);
        let Some(engine) = engine.upgrade() else { return };
        engine.increment_epoch();
        idle = if shared.running.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
    }
}
