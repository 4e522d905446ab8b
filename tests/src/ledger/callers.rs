//! Callers in a closed loop: each request has a number of its own; what its caller was told is kept.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::load::{Caller, blob};

/// Bytes of a request.
const SIZE: usize = 64;

/// How a request ended for its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// With its own answer.
    Answered,
    /// With somebody else's.
    Foreign,
    /// With a status, or with its connection.
    Failed(String),
}

/// Who calls, and what they were told.
pub(super) struct Callers {
    next: AtomicU64,
    requests: u64,
    verdicts: Mutex<HashMap<u64, Verdict>>,
}

impl Callers {
    pub(super) fn new(requests: u64) -> Self {
        Self { next: AtomicU64::new(0), requests, verdicts: Mutex::default() }
    }

    /// Ends when every request has ended. `entrypoints` say where each entrypoint is, none while it is away.
    pub(super) fn start(
        self: &Arc<Self>,
        in_flight: usize,
        entrypoints: Vec<watch::Receiver<Option<String>>>,
    ) -> impl Future<Output = ()> + use<> {
        let mut tasks = tokio::task::JoinSet::new();
        // A connection carries twenty: a killed one takes few along.
        for connection in 0..in_flight.div_ceil(20) {
            let entrypoint = entrypoints[connection % entrypoints.len()].clone();
            let share = 20.min(in_flight - connection * 20);
            tasks.spawn(self.clone().connection(share, entrypoint));
        }
        async move {
            while let Some(ended) = tasks.join_next().await {
                ended.expect("a caller does not panic");
            }
        }
    }

    async fn connection(self: Arc<Self>, share: usize, mut entrypoint: watch::Receiver<Option<String>>) {
        while self.next.load(Ordering::Relaxed) < self.requests {
            let address = {
                let Ok(there) = entrypoint.wait_for(Option::is_some).await else { return };
                there.clone().unwrap_or_default()
            };
            let Ok(caller) = Caller::connect(&address).await else {
                // It died since: the next word about it is awaited.
                let _ = entrypoint.changed().await;
                continue;
            };
            let loops = (0..share).map(|_| self.clone().call_until_broken(caller.clone()));
            futures::future::join_all(loops).await;
        }
    }

    /// Calls until there is nothing left to call, or the connection is gone.
    async fn call_until_broken(self: Arc<Self>, mut caller: Caller) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.requests {
                return;
            }
            let message = blob(number, SIZE);
            let (verdict, broken) = match caller.ask("/main.Entrypoint/Book", message.clone()).await {
                Ok(Ok(answer)) if answer == message => (Verdict::Answered, false),
                Ok(Ok(_)) => (Verdict::Foreign, false),
                Ok(Err(status)) => (Verdict::Failed(name(status.code)), false),
                Err(_) => (Verdict::Failed("connection lost".to_owned()), true),
            };
            self.verdicts.lock().expect("no panic").insert(number, verdict);
            if broken {
                return;
            }
        }
    }

    pub(super) fn verdicts(&self) -> HashMap<u64, Verdict> {
        self.verdicts.lock().expect("no panic").clone()
    }
}

fn name(code: u32) -> String {
    match code {
        4 => "DEADLINE_EXCEEDED".to_owned(),
        8 => "RESOURCE_EXHAUSTED".to_owned(),
        13 => "INTERNAL".to_owned(),
        14 => "UNAVAILABLE".to_owned(),
        code => format!("status {code}"),
    }
}
