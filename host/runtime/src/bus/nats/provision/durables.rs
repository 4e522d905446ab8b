//! Durables: pull ones for wasm nodes, push ones with a deliver group to which unmodified runners bind (contract, 2.3).

use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{AckPolicy, Config, DeliverPolicy, Info};
use krt::plan::{DeliveryMode, Durable};
use serde_json::json;

use super::{Api, Change, Done, Kind, Loss, ProvisionError, failed};
use crate::nats::ApiError;

/// Deliveries of a wasm node's durable that may be unacknowledged: what its replicas prefetch and have unsettled, with
/// room for what those held that died.
const PULL_PENDING: i64 = 1 << 16;

/// Deliveries of a native node's durable likewise. Runners take one message at a time: the rest stays on the server
/// rather than in a process that may die, and is redelivered to the living.
const PUSH_PENDING: i64 = 1000;

/// Another maker may be quicker: looked at again so often.
const TRIES: usize = 5;

/// What is to be done about one durable.
pub(super) enum Step {
    /// Make it, or keep it if somebody else did.
    Make(Box<Config>),
    /// Change it to this.
    Update(Box<Config>),
    /// Delete it and make it so.
    Remake(Box<Config>),
    /// As planned.
    Keep(String),
    /// Not in the plan any more.
    Remove(String),
}

impl Step {
    pub(super) fn create(durable: &Durable) -> Self {
        Self::Make(Box::new(wanted(durable)))
    }

    pub(super) fn removes(&self) -> bool {
        matches!(self, Self::Remove(_))
    }
}

/// Compares what is there with what is planned.
pub(super) fn judge(there: &[Info], stream: &str, planned: &[&Durable], steps: &mut Vec<Step>, losses: &mut Vec<Loss>) {
    for durable in planned {
        let config = wanted(durable);
        let Some(found) = there.iter().find(|info| info.name == durable.name) else {
            steps.push(Step::Make(Box::new(config)));
            continue;
        };
        if let Some(why) = fixed(&found.config, &config) {
            steps.push(Step::Remake(Box::new(config)));
            let pending = pending(found);
            if pending > 0 {
                let why = format!("{why} and must be made anew: {pending} messages wait in it");
                losses.push(Loss { kind: Kind::Durable, name: durable.name.clone(), why });
            }
            continue;
        }
        steps.push(match merged(&found.config, &config) {
            Some(config) => Step::Update(Box::new(config)),
            None => Step::Keep(durable.name.clone()),
        });
    }
    // Durables of krt's and the runners' names, of nodes that are no more: unread, they hold messages for ever
    // (contract, trap 18). What others made is theirs.
    let ours = format!("{stream}-");
    for info in there {
        let durable = info.config.durable_name.is_some() && info.name.starts_with(&ours);
        if !durable || planned.iter().any(|durable| durable.name == info.name) {
            continue;
        }
        steps.push(Step::Remove(info.name.clone()));
        let pending = pending(info);
        if pending > 0 {
            let why = format!("is not in the plan and would be removed: {pending} messages wait in it");
            losses.push(Loss { kind: Kind::Durable, name: info.name.clone(), why });
        }
    }
}

/// Takes one step.
pub(super) async fn apply(
    api: Api<'_>,
    stream: &str,
    step: Step,
    changes: &mut Vec<Change>,
) -> Result<(), ProvisionError> {
    let (name, done) = match step {
        Step::Keep(name) => (name, Done::Unchanged),
        Step::Remove(name) => {
            delete(api, stream, &name).await?;
            (name, Done::Removed)
        }
        Step::Make(config) => {
            let done = make(api, stream, &config).await?;
            (name(&config), done)
        }
        Step::Update(config) => {
            put(api, stream, &config).await?;
            (name(&config), Done::Updated)
        }
        Step::Remake(config) => {
            let name = name(&config);
            delete(api, stream, &name).await?;
            make(api, stream, &config).await?;
            (name, Done::Recreated)
        }
    };
    changes.push(Change { kind: Kind::Durable, name, done });
    Ok(())
}

/// Makes a durable, or sees that somebody else has.
async fn make(api: Api<'_>, stream: &str, config: &Config) -> Result<Done, ProvisionError> {
    for tries in 1.. {
        match request(api, stream, config).await {
            Ok(()) => break,
            Err(error) => {
                let raced = [ErrorCode::CONSUMER_NAME_EXIST, ErrorCode::CONSUMER_EXISTING_ACTIVE];
                if tries >= TRIES || !raced.into_iter().any(|code| error.is(code)) {
                    return Err(failed(&name(config), error));
                }
                // A runner that was quicker: it is what is planned if nothing fixed differs.
                let info = format!("CONSUMER.INFO.{stream}.{}", name(config));
                if let Ok(found) = api.ask::<_, Info>(&info, &()).await
                    && fixed(&found.config, config).is_none()
                {
                    return Ok(Done::Unchanged);
                }
            }
        }
    }
    Ok(Done::Created)
}

async fn put(api: Api<'_>, stream: &str, config: &Config) -> Result<(), ProvisionError> {
    request(api, stream, config).await.map_err(|error| failed(&name(config), error))
}

async fn request(api: Api<'_>, stream: &str, config: &Config) -> Result<(), ApiError> {
    let subject = format!("CONSUMER.CREATE.{stream}.{}.{}", name(config), config.filter_subject);
    let body = json!({ "stream_name": stream, "config": config });
    api.tell(&subject, &body).await
}

async fn delete(api: Api<'_>, stream: &str, name: &str) -> Result<(), ProvisionError> {
    let subject = format!("CONSUMER.DELETE.{stream}.{name}");
    match api.tell(&subject, &()).await {
        Err(error) if !error.is_no_consumer() => Err(failed(name, error)),
        _ => Ok(()),
    }
}

/// A planned durable as the server is told of it.
fn wanted(durable: &Durable) -> Config {
    let push = durable.delivery == DeliveryMode::Push;
    Config {
        durable_name: Some(durable.name.clone()),
        name: Some(durable.name.clone()),
        filter_subject: durable.filter_subject.clone(),
        // Where runners that make it themselves take a random one: any will do that is the same for all replicas.
        deliver_subject: push.then(|| format!("_INBOX.krt.{}", durable.name)),
        deliver_group: durable.deliver_group.clone(),
        deliver_policy: DeliverPolicy::New,
        ack_policy: AckPolicy::Explicit,
        ack_wait: durable.ack_wait,
        // Giving up is the runner's: a server that stops delivering would hide the message from everybody.
        max_deliver: -1,
        max_ack_pending: if push { PUSH_PENDING } else { PULL_PENDING },
        ..Config::default()
    }
}

/// What differs that the server does not change.
fn fixed(found: &Config, wanted: &Config) -> Option<String> {
    let way = |config: &Config| if config.deliver_subject.is_some() { "push" } else { "pull" };
    if found.filter_subject != wanted.filter_subject {
        Some(format!("reads {:?} instead of {:?}", found.filter_subject, wanted.filter_subject))
    } else if way(found) != way(wanted) {
        Some(format!("is a {} durable instead of a {} one", way(found), way(wanted)))
    } else if found.deliver_group != wanted.deliver_group {
        Some(format!("has the deliver group {:?}", found.deliver_group.as_deref().unwrap_or_default()))
    } else if found.ack_policy != wanted.ack_policy {
        Some("has another ack policy".to_owned())
    } else if found.deliver_policy != wanted.deliver_policy {
        Some("has another deliver policy".to_owned())
    } else {
        None
    }
}

/// What is to be sent to make `found` as wanted; none if it is. The deliver subject stays: runners are bound to it.
fn merged(found: &Config, wanted: &Config) -> Option<Config> {
    let mut config = found.clone();
    config.ack_wait = wanted.ack_wait;
    config.max_deliver = wanted.max_deliver;
    config.max_ack_pending = wanted.max_ack_pending;
    // A schedule of the server's own would take the place of the runner's delays.
    config.backoff = Vec::<Duration>::new();
    (config != *found).then_some(config)
}

fn pending(info: &Info) -> u64 {
    info.num_pending.saturating_add(info.num_ack_pending as u64)
}

fn name(config: &Config) -> String {
    config.durable_name.clone().unwrap_or_default()
}
