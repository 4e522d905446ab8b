//! Open-loop load: calls begin when they are due, whether earlier ones were answered or not, and a call's latency counts from
//! when it was due. A server that falls behind shows it.

use std::time::Duration;

use anyhow::ensure;
use hdrhistogram::Histogram;
use tokio::time::Instant;

use crate::load::{Caller, Outcome, blob};

/// What to offer.
#[derive(Debug, Clone)]
pub struct Offered {
    /// `HOST:PORT`.
    pub address: String,
    /// `/<package>.<Service>/<Method>`.
    pub path: String,
    /// Calls a second.
    pub rate: u32,
    /// Bytes of a request; the answer must be equal.
    pub size: usize,
    /// How long.
    pub duration: Duration,
}

/// Offers the load over a few connections.
///
/// # Errors
/// The first call that failed or got another call's answer.
pub async fn run(offered: &Offered) -> anyhow::Result<Outcome> {
    let mut callers = Vec::new();
    for _ in 0..8 {
        callers.push(Caller::connect(&offered.address).await?);
    }
    let total = u64::from(offered.rate) * offered.duration.as_secs();
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..total {
        let due = start + Duration::from_secs_f64(number as f64 / f64::from(offered.rate));
        tokio::time::sleep_until(due).await;
        let mut caller = callers[number as usize % callers.len()].clone();
        let (path, message) = (offered.path.clone(), blob(number, offered.size));
        tasks.spawn(async move {
            let answer = caller.ask(&path, message.clone()).await?;
            let took = due.elapsed();
            let answer = answer.map_err(|status| anyhow::anyhow!("the call failed: {status:?}"))?;
            ensure!(answer == message, "the answer is not the call's own");
            Ok(took)
        });
    }
    // One microsecond to one minute, three digits.
    let mut latency = Histogram::new_with_bounds(1, 60_000_000, 3)?;
    while let Some(took) = tasks.join_next().await {
        latency.record(u64::try_from(took??.as_micros())?.max(1))?;
    }
    Ok(Outcome { calls: latency.len(), elapsed: start.elapsed(), latency })
}
