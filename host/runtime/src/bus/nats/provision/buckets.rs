//! Buckets as the clients of every language lay them out (contract, 2.4). What is there stays as it is.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, StorageType};
use krt::plan::Plan;

use super::{Api, Change, Done, Kind, ProvisionError, failed};

pub(super) async fn apply(
    api: Api<'_>,
    plan: &Plan,
    replicas: Option<usize>,
    changes: &mut Vec<Change>,
) -> Result<(), ProvisionError> {
    let buckets = plan.key_value_buckets.iter().map(|bucket| (Kind::KeyValue, bucket));
    for (kind, bucket) in buckets.chain(plan.object_stores.iter().map(|bucket| (Kind::ObjectStore, bucket))) {
        let config = config(kind, bucket, replicas.unwrap_or(1));
        let done = one(api, bucket, &config, replicas).await?;
        changes.push(Change { kind, name: bucket.clone(), done });
    }
    Ok(())
}

/// The name of the stream behind a bucket.
pub(super) fn stream_of(kind: Kind, bucket: &str) -> String {
    match kind {
        Kind::KeyValue => format!("KV_{bucket}"),
        _ => format!("OBJ_{bucket}"),
    }
}

async fn one(api: Api<'_>, bucket: &str, config: &Config, replicas: Option<usize>) -> Result<Done, ProvisionError> {
    let name = &config.name;
    let info = format!("STREAM.INFO.{name}");
    let found = match api.ask::<_, Info>(&info, &()).await {
        Ok(found) => Some(found.config),
        Err(error) if error.is_no_stream() => None,
        Err(error) => return Err(failed(bucket, error)),
    };
    let (verb, wanted, done) = match found {
        None => ("CREATE", config.clone(), Done::Created),
        Some(found) => match replicas.filter(|replicas| *replicas != found.num_replicas) {
            None => return Ok(Done::Unchanged),
            Some(num_replicas) => ("UPDATE", Config { num_replicas, ..found }, Done::Updated),
        },
    };
    let subject = format!("STREAM.{verb}.{name}");
    match api.tell(&subject, &wanted).await {
        Ok(()) => Ok(done),
        // Somebody else was quicker, with a client that lays it out a little differently.
        Err(error) if error.is(ErrorCode::STREAM_NAME_EXIST) => Ok(Done::Unchanged),
        Err(error) => Err(failed(bucket, error)),
    }
}

fn config(kind: Kind, bucket: &str, num_replicas: usize) -> Config {
    let key_value = kind == Kind::KeyValue;
    let subjects = if key_value {
        vec![format!("$KV.{bucket}.>")]
    } else {
        vec![format!("$O.{bucket}.C.>"), format!("$O.{bucket}.M.>")]
    };
    Config {
        name: stream_of(kind, bucket),
        subjects,
        storage: StorageType::File,
        num_replicas,
        discard: DiscardPolicy::New,
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: if key_value { 1 } else { -1 },
        max_message_size: -1,
        max_consumers: -1,
        allow_rollup: true,
        allow_direct: true,
        deny_delete: key_value,
        ..Config::default()
    }
}
