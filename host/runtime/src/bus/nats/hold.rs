//! Keeps what a server needs to know an id again after it was restarted.
//!
//! A restarted server learns the ids of its duplicate window from the messages that are still in the stream. Under interest
//! retention those that everybody has acknowledged are gone, and their ids with them: were such a server elected to lead
//! the stream, an output that is published once more (its host died before it could acknowledge) would be taken for new.
//! So messages are held for a while after they were acknowledged: by a consumer that nobody reads. The server drops it after
//! a time without readers, and what it held with it; a new one takes over before. Never reads a message.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy};
use async_nats::jetstream::stream::{self, DiscardPolicy, RetentionPolicy};
use krt::plan::ACK_WAIT;
use serde::de::IgnoredAny;
use serde_json::json;

use crate::nats::{ApiError, Nats};

/// How long a message is held at least: a host that died is noticed within the ack wait, and what it held is handled again
/// some attempts later at most. The last holder of a message lives for between one and two of these.
const HOLD: Duration = Duration::from_secs(6 * ACK_WAIT.as_secs());

/// How often it is looked at whether it is time for the next holder.
pub(super) const EVERY: Duration = Duration::from_secs(5);

/// The streams of one bus, and the slots of time for which they have a holder.
#[derive(Debug, Default)]
pub(super) struct Holders {
    held: HashSet<(String, u64)>,
    /// Streams with bounds of their own: there, what is held would take the place of what waits.
    bounded: HashSet<String>,
}

impl Holders {
    /// Makes the holder of this time for each of `streams` that has none yet. Another process may have made it; what fails
    /// is tried again with the next call.
    pub(super) async fn hold(&mut self, nats: &Nats, streams: impl IntoIterator<Item = String>) {
        let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) else { return };
        let slot = now.as_secs() / HOLD.as_secs();
        self.held.retain(|(_, known)| *known == slot);
        for stream in streams {
            if self.bounded.contains(&stream) || self.held.contains(&(stream.clone(), slot)) {
                continue;
            }
            match hold(nats, &stream, slot).await {
                Ok(true) => drop(self.held.insert((stream, slot))),
                Ok(false) => drop(self.bounded.insert(stream)),
                Err(error) => tracing::debug!(stream, %error, "what was acknowledged is not held"),
            }
        }
    }
}

/// Whether the stream is one whose messages are to be held.
async fn hold(nats: &Nats, stream: &str, slot: u64) -> Result<bool, ApiError> {
    let info: stream::Info = nats.api(&format!("STREAM.INFO.{stream}"), &()).await?;
    let config = info.config;
    if config.retention != RetentionPolicy::Interest || config.discard == DiscardPolicy::New {
        return Ok(false);
    }
    let name = format!("hold-{slot}");
    let config = consumer::Config {
        name: Some(name.clone()),
        description: Some("holds acknowledged messages, so that their ids are known after a restart".to_owned()),
        deliver_policy: DeliverPolicy::New,
        ack_policy: AckPolicy::Explicit,
        inactive_threshold: HOLD * 2,
        ..consumer::Config::default()
    };
    let body = json!({ "stream_name": stream, "config": config });
    nats.api::<_, IgnoredAny>(&format!("CONSUMER.CREATE.{stream}.{name}"), &body).await?;
    Ok(true)
}
