//! Calls at a steady rate, whatever becomes of those before: half on a connection of their own, half on a few that stay. Each
//! is counted. Does what every gRPC client does without being asked, and nothing more: a connection that the server closes in
//! order is opened anew, and what the server says that it did not begin is sent there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Mutex, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::Caller;

/// Connections that stay.
const LASTING: usize = 8;

/// A caller gives up: this is a failed call.
const DEADLINE: Duration = Duration::from_secs(30);

/// What came of the calls.
#[derive(Debug, Default)]
pub struct Counts {
    /// Calls that were answered.
    pub answered: u64,
    /// What the others met; with the seconds after the first call.
    pub failed: Vec<(f64, String)>,
    /// Connections that stayed until the server closed them.
    pub reconnected: u64,
    /// The longest that an answer took.
    pub slowest: Duration,
}

/// Calls that go on until they are told to end.
pub struct Steady {
    end: watch::Sender<bool>,
    calls: JoinHandle<Counts>,
    begun: watch::Receiver<u64>,
}

impl Steady {
    /// Calls `path` at `address` so many times a second. The name is asked for once: what is called stays where it is.
    ///
    /// # Panics
    /// When the name means nothing.
    pub async fn start(address: &str, path: &str, message: Bytes, rate: u32) -> Self {
        let address = tokio::net::lookup_host(address).await.expect("a name").next().expect("an address").to_string();
        let (end, ended) = watch::channel(false);
        let (count, begun) = watch::channel(0);
        let target = Target { address, path: path.to_owned(), message };
        let calls = tokio::spawn(calls(Arc::new(target), rate, ended, count));
        Self { end, calls, begun }
    }

    /// Waits until so many more calls were begun.
    ///
    /// # Panics
    /// When a call panicked.
    pub async fn pass(&self, calls: u64) {
        let mut begun = self.begun.clone();
        let until = *begun.borrow_and_update() + calls;
        begun.wait_for(|begun| *begun >= until).await.expect("it does not panic");
    }

    /// Ends, when the calls under way have ended.
    ///
    /// # Panics
    /// When a call panicked.
    pub async fn end(self) -> Counts {
        self.end.send_replace(true);
        self.calls.await.expect("it does not panic")
    }
}

struct Target {
    address: String,
    path: String,
    message: Bytes,
}

/// A connection that stays; none before it is there, and after the server closed it.
#[derive(Default)]
struct Lasting(Mutex<(u64, Option<Caller>)>);

async fn calls(target: Arc<Target>, rate: u32, ended: watch::Receiver<bool>, begun: watch::Sender<u64>) -> Counts {
    let lasting: Arc<[Lasting; LASTING]> = Arc::default();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    let (mut under_way, mut counts, start) = (JoinSet::new(), Counts::default(), Instant::now());
    let mut n = 0_usize;
    while !*ended.borrow() {
        tokio::select! {
            _ = ticks.tick() => {
                n += 1;
                begun.send_modify(|begun| *begun += 1);
                let (target, lasting) = (target.clone(), lasting.clone());
                under_way.spawn(async move {
                    let at = Instant::now();
                    (at, call(&target, &lasting, n, at + DEADLINE).await)
                });
            }
            Some(done) = under_way.join_next() => counts.add(done.expect("it does not panic"), start),
        }
    }
    while let Some(done) = under_way.join_next().await {
        counts.add(done.expect("it does not panic"), start);
    }
    for one in lasting.iter() {
        counts.reconnected += one.0.lock().await.0.saturating_sub(1);
    }
    counts
}

impl Counts {
    fn add(&mut self, (at, answer): (Instant, Result<(), String>), start: Instant) {
        match answer {
            Ok(()) => self.answered += 1,
            Err(why) => self.failed.push(((at - start).as_secs_f64(), why)),
        }
        self.slowest = self.slowest.max(at.elapsed());
    }
}

async fn call(target: &Target, lasting: &[Lasting; LASTING], n: usize, until: Instant) -> Result<(), String> {
    let connect = || async { Caller::connect(&target.address).await.map_err(|error| format!("{error:#}")) };
    let ask = async |mut caller: Caller| {
        let answer = caller.ask(&target.path, target.message.clone());
        within(until, "an answer", async { Ok(answer.await) }).await
    };
    let answer = if n.is_multiple_of(2) {
        ask(within(until, "a connection of its own", connect()).await?).await?
    } else {
        let lasting = &lasting[n / 2 % LASTING];
        let mut attempt = 0;
        loop {
            attempt += 1;
            let (number, caller) = within(until, "a lasting connection", lasting.caller(connect)).await?;
            match ask(caller).await? {
                Err(error) if attempt < 3 && was_not_begun(&error) => lasting.close(number).await,
                other => break other,
            }
        }
    };
    match answer {
        Ok(Ok(answer)) if !answer.is_empty() => Ok(()),
        Ok(Ok(_)) => Err("an empty answer".to_owned()),
        Ok(Err(status)) => Err(format!("{status:?}")),
        Err(error) => Err(format!("{error:#}")),
    }
}

/// Until then, or it is said for what it was waited.
async fn within<T>(until: Instant, what: &str, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let late = |_| Err(format!("it waited for {what} when its time was over"));
    tokio::time::timeout_at(until.into(), work).await.unwrap_or_else(late)
}

impl Lasting {
    async fn caller(&self, connect: impl AsyncFnOnce() -> Result<Caller, String>) -> Result<(u64, Caller), String> {
        let mut held = self.0.lock().await;
        if let (number, Some(caller)) = &*held {
            return Ok((*number, caller.clone()));
        }
        let caller = connect().await?;
        *held = (held.0 + 1, Some(caller.clone()));
        Ok((held.0, caller))
    }

    /// Not that which another call has opened meanwhile.
    async fn close(&self, number: u64) {
        let mut held = self.0.lock().await;
        if held.0 == number {
            held.1 = None;
        }
    }
}

/// Whether the server closed in order, and says that this call is none of those that it goes on with.
fn was_not_begun(error: &anyhow::Error) -> bool {
    let Some(error) = error.downcast_ref::<h2::Error>() else { return false };
    let in_order = error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR);
    in_order || error.reason() == Some(h2::Reason::REFUSED_STREAM)
}
