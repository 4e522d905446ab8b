//! Whether the connection is there, since when not, and what the server said of it. Never connects.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, watch};

use crate::telemetry::Part;

/// Words of the server that are kept for who is slow to look.
const KEPT: usize = 64;

/// What is known of a connection.
pub(super) struct Status {
    part: Option<Arc<Part>>,
    state: Mutex<State>,
    connections: watch::Sender<u64>,
    errors: broadcast::Sender<Arc<str>>,
}

struct State {
    /// None while connected.
    away: Option<Instant>,
    /// Whether JetStream was seen: before that, the connection alone is of no use.
    usable: bool,
}

impl Status {
    /// Not connected yet.
    pub(super) fn new(part: Option<Arc<Part>>) -> Self {
        Self {
            part,
            state: Mutex::new(State { away: Some(Instant::now()), usable: false }),
            connections: watch::Sender::new(0),
            errors: broadcast::Sender::new(KEPT),
        }
    }

    /// There is a connection with JetStream behind it.
    pub(super) fn usable(&self) {
        let mut state = self.lock();
        // The event of this connection may not have been heard yet.
        state.usable = true;
        state.away = None;
        self.tell(true);
    }

    pub(super) fn connected(&self) {
        let mut state = self.lock();
        let since = state.away.take();
        if state.usable
            && let Some(since) = since
        {
            tracing::info!(away = ?since.elapsed(), "connected to NATS again");
            self.tell(true);
            self.connections.send_modify(|count| *count += 1);
        }
    }

    pub(super) fn disconnected(&self) {
        let mut state = self.lock();
        if state.away.is_none() {
            tracing::warn!("the connection to NATS is lost; connecting again");
            state.away = Some(Instant::now());
            self.tell(false);
        }
    }

    pub(super) fn server_said(&self, text: &str) {
        tracing::warn!(text, "NATS says");
        // Nobody may be listening.
        let _ = self.errors.send(text.into());
    }

    pub(super) fn away_for(&self) -> Option<Duration> {
        self.lock().away.map(|since| since.elapsed())
    }

    fn tell(&self, ready: bool) {
        if let Some(part) = &self.part {
            part.set_ready(ready);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn connections(&self) -> watch::Receiver<u64> {
        self.connections.subscribe()
    }

    pub(super) fn errors(&self) -> broadcast::Receiver<Arc<str>> {
        self.errors.subscribe()
    }
}
