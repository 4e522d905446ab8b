//! The ledger: calls through a branching workflow while hosts, entrypoints and servers are killed, every effect counted.
//! Says what it saw; whether that is good is for the test to judge.

mod callers;
mod processes;
mod sink;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use callers::Verdict;

use crate::nats::Cluster;
use callers::Callers;
use processes::Processes;
use sink::Sink;

/// Effects of one request, by the subject's end: each branch books once, the exitpoint once a branch.
pub const EFFECTS: [(&str, u32); 3] = [("left.book", 1), ("right.book", 1), ("join.book", 2)];

/// How it runs.
#[derive(Debug, Clone)]
pub struct Ledger {
    /// Requests, each with a number of its own.
    pub requests: u64,
    /// Calls under way at once.
    pub in_flight: usize,
    /// Something is killed this often.
    pub kill_every: Duration,
    /// Who is killed when; printed, so that a run can be had again.
    pub seed: u64,
    /// How long what is pending may take to be done once the last call has ended.
    pub settle: Duration,
}

/// What was seen.
#[derive(Debug)]
pub struct Account {
    /// How each request ended for its caller.
    pub verdicts: HashMap<u64, Verdict>,
    /// Effects: how many distinct messages a request left on each subject.
    pub effects: HashMap<u64, HashMap<&'static str, u32>>,
    /// Deliveries that nobody has settled in the end, by durable.
    pub pending: Vec<(String, u64)>,
    /// Messages in the dead-letter stream.
    pub dead_letters: u64,
    /// Kills by what was killed.
    pub kills: Vec<(&'static str, u32)>,
    /// From the first call to the last answer.
    pub elapsed: Duration,
    /// From the last answer until nothing was pending.
    pub settled: Duration,
}

impl Ledger {
    /// Runs it. None, and said so, where there is no NATS to be had.
    ///
    /// # Panics
    /// When something does not start.
    pub async fn run(&self) -> Option<Account> {
        let cluster = Cluster::start()?;
        let version = crate::built("tests/guests/ledger");
        let mut processes = Processes::start(version.path(), cluster, self.seed).await;
        let sink = Sink::start(processes.urls()).await;
        let callers = Arc::new(Callers::new(self.requests));
        let started = Instant::now();
        let tasks = callers.start(self.in_flight, processes.entrypoints());
        let mut next = tokio::time::interval_at((started + self.kill_every).into(), self.kill_every);
        tokio::pin!(tasks);
        loop {
            tokio::select! {
                () = &mut tasks => break,
                _ = next.tick() => processes.kill_one().await,
            }
        }
        let elapsed = started.elapsed();
        let kills = processes.kills();
        let ended = Instant::now();
        let pending = sink.until_settled(self.settle).await;
        let account = Account {
            verdicts: callers.verdicts(),
            dead_letters: sink.dead_letters().await,
            effects: sink.effects().await,
            pending,
            kills,
            elapsed,
            settled: ended.elapsed(),
        };
        processes.stop().await;
        Some(account)
    }
}

impl Account {
    /// Requests that ended so.
    pub fn count(&self, is: impl Fn(&Verdict) -> bool) -> usize {
        self.verdicts.values().filter(|verdict| is(verdict)).count()
    }

    /// Requests whose effects are not exactly those of one request: fewer, where there are any or the caller was answered,
    /// or more.
    pub fn unbalanced(&self) -> Vec<(u64, &'static str, u32)> {
        let mut wrong = Vec::new();
        for (number, verdict) in &self.verdicts {
            let seen = self.effects.get(number);
            if seen.is_none() && !matches!(verdict, Verdict::Answered) {
                // It never reached the bus, and its caller knows that it failed.
                continue;
            }
            for (subject, expected) in EFFECTS {
                let count = seen.and_then(|seen| seen.get(subject)).copied().unwrap_or(0);
                if count != expected {
                    wrong.push((*number, subject, count));
                }
            }
        }
        wrong.sort_unstable();
        wrong
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = self.verdicts.len();
        let answered = self.count(|v| matches!(v, Verdict::Answered));
        let foreign = self.count(|v| matches!(v, Verdict::Foreign));
        let mut statuses = HashMap::new();
        for verdict in self.verdicts.values() {
            if let Verdict::Failed(status) = verdict {
                *statuses.entry(status.as_str()).or_insert(0_u32) += 1;
            }
        }
        let mut statuses: Vec<_> = statuses.into_iter().collect();
        statuses.sort_unstable();
        let started = self.effects.len();
        let effects: u32 = self.effects.values().flat_map(HashMap::values).sum();
        let wrong = self.unbalanced();
        let rate = requests as f64 / self.elapsed.as_secs_f64();
        writeln!(f, "requests                    {requests} in {:.1} s ({rate:.0}/s)", self.elapsed.as_secs_f64())?;
        writeln!(f, "answered right              {answered}")?;
        writeln!(f, "answered another's          {foreign}")?;
        for (status, count) in statuses {
            writeln!(f, "failed, {status:20}{count}")?;
        }
        writeln!(f, "requests that had effects   {started}")?;
        writeln!(
            f,
            "effects                     {effects}, of {} expected",
            u64::from(per_request()) * started as u64
        )?;
        writeln!(f, "lost                        {}", wrong.iter().filter(|w| w.2 < expected(w.1)).count())?;
        writeln!(f, "doubled                     {}", wrong.iter().filter(|w| w.2 > expected(w.1)).count())?;
        writeln!(f, "dead letters                {}", self.dead_letters)?;
        writeln!(f, "pending                     {:?}", self.pending)?;
        writeln!(f, "nothing pending after       {:.1} s", self.settled.as_secs_f64())?;
        for (what, count) in &self.kills {
            writeln!(f, "killed, {what:20}{count}")?;
        }
        Ok(())
    }
}

fn per_request() -> u32 {
    EFFECTS.iter().map(|(_, count)| count).sum()
}

fn expected(subject: &str) -> u32 {
    EFFECTS.iter().find(|(known, _)| *known == subject).map_or(0, |(_, count)| *count)
}
