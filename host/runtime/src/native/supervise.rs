//! Keeps native nodes running: starts their replicas, starts anew what has ended, brings back what the dead held.
//!
//! # What becomes of messages that a dead process held
//! The server has pushed them to it and would wait for 22 h, since that is the ack wait that the original's runners insist
//! on. So, before a node is started whose processes are all gone, and nobody else reads its durables, everything that was
//! pushed comes back at once. When others of the same node still live, only what has been held for longer than the ack wait
//! of the options comes back: the server cannot tell the dead's messages from theirs.
//!
//! # A process that lives and no longer reads
//! The client of the original's runner for Python gives up for good when the server closes its connection, and the process
//! stays. A durable that was read and is read by nobody any more tells.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::lines::Voice;
use super::process::{Ended, Spawner};
use super::{Durable, Durables, NativeNode, NativeOptions};

/// Pause before a process is started again; it doubles from there.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A process that has lived so long was well: the next pause is the first again.
const WELL: Duration = Duration::from_secs(60);
/// Nobody reads: whatever was pushed counts as lost.
const AT_ONCE: Duration = Duration::from_millis(1);
/// How often it is looked whether nodes have subscribed.
const LOOK: Duration = Duration::from_millis(100);
/// A node that so many looks in a row find reading no more is started anew: its client would have come back by then.
const PATIENCE: u32 = 2;

/// Native nodes that are kept running until they are to stop.
pub struct Supervisor {
    keepers: JoinSet<()>,
    durables: Arc<dyn Durables>,
    read: Vec<Durable>,
}

/// Starts all nodes and keeps them running until `stop`.
///
/// # Errors
/// There is no thread to be had.
pub fn supervise(options: NativeOptions, stop: &CancellationToken) -> io::Result<Supervisor> {
    let NativeOptions { nodes, durables, ack_wait, grace, watch } = options;
    let spawner = Spawner::new()?;
    let read = nodes.iter().flat_map(|node| node.durables.clone()).collect();
    let mut keepers = JoinSet::new();
    for node in nodes {
        let keeper = Keeper {
            node,
            spawner: spawner.clone(),
            durables: durables.clone(),
            ack_wait,
            grace,
            watch,
            stop: stop.clone(),
            running: JoinSet::new(),
            due: Vec::new(),
            life: stop.child_token(),
            reading: None,
        };
        keepers.spawn(keeper.keep());
    }
    Ok(Supervisor { keepers, durables, read })
}

impl Supervisor {
    /// Waits until every node reads all that it subscribes to.
    pub async fn ready(&self) {
        for durable in &self.read {
            loop {
                match self.durables.is_bound(durable).await {
                    Ok(true) => break,
                    Ok(false) => {}
                    Err(error) => tracing::debug!(%error, durable = durable.name, "nobody knows whether it is read"),
                }
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    /// Waits until all processes have ended; they do once they are to stop.
    pub async fn ended(mut self) {
        while self.keepers.join_next().await.is_some() {}
    }
}

/// Keeps one node.
struct Keeper {
    node: NativeNode,
    spawner: Spawner,
    durables: Arc<dyn Durables>,
    ack_wait: Duration,
    grace: Duration,
    watch: Duration,
    stop: CancellationToken,
    running: JoinSet<Run>,
    due: Vec<Due>,
    /// Cancelled to end the processes that run now.
    life: CancellationToken,
    /// Since it was first seen that all durables are read: looks in a row that found one that is not.
    reading: Option<u32>,
}

/// A replica that is to be started.
struct Due {
    replica: u32,
    at: Instant,
    /// The pause after this run, if it is not long.
    pause: Duration,
}

/// A run that is over.
struct Run {
    replica: u32,
    pause: Duration,
    lived: Duration,
    ended: Ended,
}

impl Keeper {
    async fn keep(mut self) {
        let at = Instant::now();
        let mut watch = tokio::time::interval(self.watch);
        self.due = (0..self.node.replicas).map(|replica| Due { replica, at, pause: PAUSE }).collect();
        while !self.stop.is_cancelled() {
            self.start_due().await;
            let next = self.due.iter().map(|due| due.at).min();
            let pause = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = pause => {}
                Some(run) = self.running.join_next() => self.ended(run).await,
                _ = watch.tick() => self.look().await,
            }
        }
        // Each has been told by itself.
        while self.running.join_next().await.is_some() {}
    }

    async fn start_due(&mut self) {
        let now = Instant::now();
        if self.due.iter().all(|due| due.at > now) {
            return;
        }
        if self.running.is_empty() {
            self.recall_all().await;
            self.life = self.stop.child_token();
            self.reading = None;
        }
        let (due, later) = std::mem::take(&mut self.due).into_iter().partition(|due| due.at <= now);
        self.due = later;
        for due in due {
            self.start(due);
        }
    }

    fn start(&mut self, due: Due) {
        let Due { replica, pause, .. } = due;
        let number = if self.node.replicas > 1 { replica + 1 } else { 0 };
        let voice = Arc::new(Voice::new(&self.node.workflow, &self.node.node, number));
        let (node, spawner, stop, grace) = (self.node.clone(), self.spawner.clone(), self.life.clone(), self.grace);
        self.running.spawn(async move {
            let started = Instant::now();
            let ended = match spawner.start(&node.command, &node.environment, voice).await {
                Err(error) => Err(error),
                Ok(mut process) => tokio::select! {
                    ended = process.ended() => ended,
                    () = stop.cancelled() => process.stop(grace).await,
                },
            };
            Run { replica, pause, lived: started.elapsed(), ended }
        });
    }

    async fn ended(&mut self, run: Result<Run, tokio::task::JoinError>) {
        let NativeNode { workflow, node, command, .. } = &self.node;
        let Run { replica, pause, lived, ended } = match run {
            Ok(run) => run,
            Err(error) => {
                // Unreachable unless a log line panics; the replica is missed, the others run on.
                tracing::error!(%workflow, %node, %error, "a replica is no longer kept");
                return;
            }
        };
        if self.stop.is_cancelled() {
            return;
        }
        let pause = if lived >= WELL { PAUSE } else { pause };
        let again = format!("{:.1} s", pause.as_secs_f64());
        match ended {
            Ok(status) => tracing::warn!(%workflow, %node, again, "{workflow}/{node} has ended ({status})"),
            Err(error) => {
                let program = command.first().map_or("", String::as_str);
                tracing::error!(%workflow, %node, again, "{workflow}/{node} does not start: {program}: {error}");
            }
        }
        self.due.push(Due { replica, at: Instant::now() + pause, pause: (pause * 2).min(LONGEST_PAUSE) });
        if !self.running.is_empty() {
            self.recall_beside_others().await;
        }
    }

    /// Starts the node anew if it lives and reads no more.
    async fn look(&mut self) {
        if self.running.is_empty() {
            return;
        }
        let looks = join_all(self.node.durables.iter().map(|durable| self.durables.is_bound(durable))).await;
        let unread = looks.iter().zip(&self.node.durables).find(|(bound, _)| matches!(bound, Ok(false)));
        self.reading = match (unread, self.reading) {
            // Not yet: it may have much to do before it subscribes.
            (Some(_), None) => None,
            (Some(_), Some(missed)) => Some(missed + 1),
            (None, seen) if looks.iter().any(Result::is_err) => seen,
            (None, _) => Some(0),
        };
        if let (Some((_, durable)), Some(PATIENCE)) = (unread, self.reading) {
            let NativeNode { workflow, node, .. } = &self.node;
            let durable = &durable.name;
            tracing::warn!(%workflow, %node, durable, "{workflow}/{node} lives and no longer reads; it is started anew");
            self.life.cancel();
        }
    }

    /// Others of this node live: what the dead held comes back when it is old enough. Until then nobody is started, since
    /// a runner would not bind; unless the others end, too, and nothing needs waiting for any more.
    async fn recall_beside_others(&mut self) {
        let enough = self.stop.child_token();
        let recall = recall(self.durables.clone(), self.node.clone(), self.ack_wait, enough.clone());
        let mut recall = tokio::spawn(recall);
        loop {
            tokio::select! {
                _ = &mut recall => return,
                Some(run) = self.running.join_next() => {
                    if let Ok(Run { replica, pause, .. }) = run {
                        let next = (pause * 2).min(LONGEST_PAUSE);
                        self.due.push(Due { replica, at: Instant::now() + pause, pause: next });
                    }
                    if self.running.is_empty() {
                        enough.cancel();
                    }
                }
            }
        }
    }

    /// None of this node lives here.
    async fn recall_all(&self) {
        let others = join_all(self.node.durables.iter().map(|durable| self.durables.is_bound(durable))).await;
        let is_read = others.iter().any(|bound| matches!(bound, Ok(true)));
        let ack_wait = if is_read { self.ack_wait } else { AT_ONCE };
        recall(self.durables.clone(), self.node.clone(), ack_wait, self.stop.clone()).await;
    }
}

async fn recall(durables: Arc<dyn Durables>, node: NativeNode, ack_wait: Duration, enough: CancellationToken) {
    let all = node.durables.iter().map(|durable| durables.recall(durable, ack_wait, enough.clone()));
    for (durable, recalled) in node.durables.iter().zip(join_all(all).await) {
        let NativeNode { workflow, node, .. } = &node;
        match recalled {
            Ok(0) => {}
            Ok(held) => tracing::info!(%workflow, %node, held, "messages that readers held come again"),
            Err(error) => {
                let durable = &durable.name;
                tracing::warn!(%workflow, %node, durable, %error, "what a reader that ended held may come late");
            }
        }
    }
}
