//! Brings back what dead readers of a push durable held. Never reads or settles a message.
//!
//! # Why
//! The server pushes messages to runners and waits 22 h for each, since that is the ack wait that stock runners insist on
//! when they bind (contract, 2.3). What a killed runner held would lie there as long.
//!
//! # How
//! A durable's ack wait may be changed while readers are bound to it. Within 0.1 s of a change the server looks at all that
//! is unacknowledged, and queues what is older than the new value; what is queued is delivered before anything new, in its
//! order, to whoever reads, now or later, and stays queued when the ack wait rises again. Seen alike on nats-server 2.9.10
//! and 2.15.2, with and without a reader.
//!
//! So the ack wait is lowered for about its own length and then restored. A message that a living reader holds for longer
//! than that comes twice: with living readers the value must be above the longest handler.
//!
//! # What it does not do
//! The queue is in the memory of the durable's leader: if that server dies before a reader has come, what was queued has the
//! 22 h again, until the next recall.

use std::time::Duration;

use krt::plan::NATIVE_ACK_WAIT;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::nats::{ApiError, Nats};

/// How long after the ack wait the server has surely looked: it does so within 0.1 s.
const SURELY: Duration = Duration::from_millis(500);
/// How often it is looked whether nothing old is held any more.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Deserialize)]
struct Info {
    /// As it came: whatever a newer server has in it goes back unchanged.
    config: Map<String, Value>,
    num_ack_pending: u64,
    #[serde(default)]
    push_bound: bool,
    delivered: Position,
    ack_floor: Position,
}

#[derive(Deserialize)]
struct Position {
    stream_seq: u64,
}

/// Whether anybody reads the push durable `durable` of `stream`.
///
/// # Errors
/// The API does not answer, or there is no such durable.
pub async fn is_bound(nats: &Nats, stream: &str, durable: &str) -> Result<bool, ApiError> {
    Ok(info(nats, stream, durable).await?.push_bound)
}

/// Has everything delivered again that readers of the push durable `durable` have held for longer than `ack_wait`. Takes
/// about as long, or until nothing old is held, or until it is `enough`. Says how many messages readers held.
///
/// # Assumptions
/// The durable is a native node's: its ack wait is [`NATIVE_ACK_WAIT`] and is that again afterwards. Nobody binds
/// meanwhile, since runners refuse any other value.
///
/// # Errors
/// The API does not answer, or there is no such durable. Applying the plan restores the ack wait, as the next call does.
pub async fn recall(
    nats: &Nats,
    stream: &str,
    durable: &str,
    ack_wait: Duration,
    enough: &CancellationToken,
) -> Result<u64, ApiError> {
    let before = info(nats, stream, durable).await?;
    let held = before.num_ack_pending;
    if held > 0 {
        put(nats, stream, durable, &before.config, ack_wait).await?;
        let last = before.delivered.stream_seq;
        let settled = tokio::select! {
            () = enough.cancelled() => Ok(()),
            () = tokio::time::sleep(ack_wait + SURELY) => Ok(()),
            settled = settled(nats, stream, durable, last) => settled,
        };
        if let Err(error) = settled {
            tracing::debug!(%error, durable, "nobody knows what is still held");
        }
    }
    // Also when nothing is held: a call before this one may not have come to its end.
    if held > 0 || before.config.get("ack_wait") != Some(&json!(nanoseconds(NATIVE_ACK_WAIT))) {
        put(nats, stream, durable, &before.config, NATIVE_ACK_WAIT).await?;
    }
    Ok(held)
}

/// Returns when nothing up to position `last` is unacknowledged.
async fn settled(nats: &Nats, stream: &str, durable: &str, last: u64) -> Result<(), ApiError> {
    loop {
        let now = info(nats, stream, durable).await?;
        if now.num_ack_pending == 0 || now.ack_floor.stream_seq >= last {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn info(nats: &Nats, stream: &str, durable: &str) -> Result<Info, ApiError> {
    nats.api(&format!("CONSUMER.INFO.{stream}.{durable}"), &()).await
}

async fn put(
    nats: &Nats,
    stream: &str,
    durable: &str,
    config: &Map<String, Value>,
    ack_wait: Duration,
) -> Result<(), ApiError> {
    let mut config = config.clone();
    config.insert("ack_wait".to_owned(), json!(nanoseconds(ack_wait)));
    let body = json!({ "stream_name": stream, "config": config });
    nats.api::<_, IgnoredAny>(&format!("CONSUMER.DURABLE.CREATE.{stream}.{durable}"), &body).await.map(drop)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
