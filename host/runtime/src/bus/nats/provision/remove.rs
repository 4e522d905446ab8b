//! Removing what a plan names, and nothing else.

use krt::plan::Plan;

use super::buckets::stream_of;
use super::{Api, ApplyOptions, Change, Done, Kind, ProvisionError, streams};
use crate::nats::Nats;

/// What goes besides streams with their durables, and object stores.
#[derive(Debug, Clone, Default)]
pub struct RemoveOptions {
    /// The configuration buckets, too. The original never deletes them: values outlive a stop.
    pub key_value: bool,
    /// Dead letters, too. An empty stream of them goes anyway.
    pub dead_letters: bool,
}

/// Removes what `plan` names; what is not there is fine.
///
/// # Errors
/// See [`ProvisionError`]. After one that came half way, removing again goes on from there.
pub async fn remove(nats: &Nats, plan: &Plan, options: &RemoveOptions) -> Result<Vec<Change>, ProvisionError> {
    let api = Api { nats, patience: ApplyOptions::default().patience };
    let mut changes = Vec::new();
    let mut goes = Vec::new();
    goes.extend(plan.streams.iter().map(|stream| (Kind::Stream, &stream.name, stream.name.clone(), true)));
    let letters = &plan.dead_letters.name;
    let empty = streams::messages(api, letters).await?.is_none_or(|messages| messages == 0);
    goes.push((Kind::DeadLetters, letters, letters.clone(), options.dead_letters || empty));
    for (kind, buckets, removed) in
        [(Kind::KeyValue, &plan.key_value_buckets, options.key_value), (Kind::ObjectStore, &plan.object_stores, true)]
    {
        goes.extend(buckets.iter().map(|bucket| (kind, bucket, stream_of(kind, bucket), removed)));
    }
    for (kind, name, stream, goes) in goes {
        let done = if goes {
            if streams::delete(api, &stream).await? { Done::Removed } else { Done::Absent }
        } else if streams::messages(api, &stream).await?.is_some() {
            Done::Kept
        } else {
            Done::Absent
        };
        changes.push(Change { kind, name: name.clone(), done });
    }
    Ok(changes)
}
