//! A stream and all that reads it, judged and made. Changes nothing while it judges.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer;
use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType};
use krt::plan::{DeliveryMode, Durable, Plan, Stream};
use serde::Deserialize;
use serde_json::json;

use super::durables::{self, Step};
use super::{Api, ApplyOptions, Change, Done, Kind, Loss, ProvisionError, failed};

/// The server's own duplicate window.
const WINDOW: Duration = Duration::from_secs(120);

/// Bytes of headers that the original's runners send and leave out when they compare a message with the limit: the name of
/// the stream, at most 255 characters. The server would close their connection for them (contract, trap 26), and the client
/// of the one for Python never comes back. So a stream on which they publish takes that much less than the server.
const RUNNER_HEADERS: usize = 1 << 10;

/// Somebody else may make or change the same stream at the same time: looked at again so often.
const TRIES: usize = 5;

/// A stream as it is, as it is wanted, and what lies between.
pub(super) struct Judged<'a> {
    kind: Kind,
    planned: &'a Stream,
    wanted: Config,
    recreate: bool,
    steps: Vec<Step>,
    pub(super) losses: Vec<Loss>,
}

#[derive(Deserialize)]
struct WithSubjects {
    state: Subjects,
}

#[derive(Deserialize)]
struct Subjects {
    subjects: Option<std::collections::HashMap<String, u64>>,
}

/// Looks at everything that a plan names.
pub(super) async fn judge<'a>(
    api: Api<'_>,
    plan: &'a Plan,
    options: &ApplyOptions,
) -> Result<Vec<Judged<'a>>, ProvisionError> {
    let mut all = Vec::new();
    for stream in &plan.streams {
        let readers: Vec<&Durable> = plan.durables.iter().filter(|durable| durable.stream == stream.name).collect();
        let mut wanted = workflow(stream, &readers, options);
        if readers.iter().any(|durable| durable.delivery == DeliveryMode::Push) {
            let limit = api.nats.client().max_payload().saturating_sub(RUNNER_HEADERS);
            wanted.max_message_size = i32::try_from(limit).unwrap_or(i32::MAX);
        }
        all.push(judge_one(api, Kind::Stream, stream, wanted, &readers).await?);
    }
    let wanted = dead_letters(&plan.dead_letters, options);
    all.push(judge_one(api, Kind::DeadLetters, &plan.dead_letters, wanted, &[]).await?);
    Ok(all)
}

async fn judge_one<'a>(
    api: Api<'_>,
    kind: Kind,
    planned: &'a Stream,
    wanted: Config,
    readers: &[&Durable],
) -> Result<Judged<'a>, ProvisionError> {
    let name = &planned.name;
    let mut judged = Judged { kind, planned, wanted, recreate: false, steps: Vec::new(), losses: Vec::new() };
    let Some(found) = info(api, name).await? else {
        judged.steps = readers.iter().map(|durable| Step::create(durable)).collect();
        return Ok(judged);
    };
    let fixed = [
        (found.config.retention != judged.wanted.retention, "retention"),
        (found.config.storage != judged.wanted.storage, "storage"),
    ];
    let fixed: Vec<&str> = fixed.iter().filter(|(differs, _)| *differs).map(|(_, what)| *what).collect();
    if !fixed.is_empty() {
        let messages = found.state.messages;
        let why = format!("has another {} and must be made anew: {messages} messages", fixed.join(" and "));
        judged.recreate = true;
        judged.losses.push(Loss { kind, name: name.clone(), why });
        judged.steps = readers.iter().map(|durable| Step::create(durable)).collect();
        return Ok(judged);
    }
    for subject in found.config.subjects.iter().filter(|subject| !judged.wanted.subjects.contains(subject)) {
        let messages = on_subject(api, name, subject, &judged.wanted.subjects).await?;
        if messages > 0 {
            let why = format!("loses the subject {subject:?}: {messages} messages");
            judged.losses.push(Loss { kind, name: name.clone(), why });
        }
    }
    let bounds = [
        (judged.wanted.max_messages, found.state.messages, "messages"),
        (judged.wanted.max_bytes, found.state.bytes, "bytes"),
    ];
    for (bound, holds, what) in bounds {
        if u64::try_from(bound).is_ok_and(|bound| bound > 0 && bound < holds) && kind == Kind::Stream {
            let why = format!("holds {holds} {what}, more than the new bound of {bound}");
            judged.losses.push(Loss { kind, name: name.clone(), why });
        }
    }
    if kind == Kind::Stream {
        let there = consumers(api, name).await?;
        durables::judge(&there, name, readers, &mut judged.steps, &mut judged.losses);
    }
    Ok(judged)
}

/// Makes a judged stream and its readers so.
pub(super) async fn apply(
    api: Api<'_>,
    judged: Judged<'_>,
    options: &ApplyOptions,
    changes: &mut Vec<Change>,
) -> Result<(), ProvisionError> {
    let Judged { kind, planned, wanted, recreate, steps, .. } = judged;
    let name = &planned.name;
    if recreate {
        delete(api, name).await?;
    }
    // Readers that go must go first: a stream does not give up a subject that is read.
    let (going, coming): (Vec<Step>, Vec<Step>) = steps.into_iter().partition(Step::removes);
    for step in going {
        durables::apply(api, name, step, changes).await?;
    }
    let done = if recreate { Done::Recreated } else { Done::Updated };
    let mut tries = 0;
    let done = loop {
        tries += 1;
        let (verb, config, outcome) = match info(api, name).await? {
            None => ("CREATE", wanted.clone(), if recreate { done } else { Done::Created }),
            Some(found) => match merged(&found.config, &wanted, kind, options) {
                None => break if recreate { done } else { Done::Unchanged },
                Some(config) => ("UPDATE", config, done),
            },
        };
        let subject = format!("STREAM.{verb}.{name}");
        match api.tell(&subject, &config).await {
            Ok(()) => break outcome,
            // Made by somebody else meanwhile, or removed.
            Err(error) if tries < TRIES && (error.is(ErrorCode::STREAM_NAME_EXIST) || error.is_no_stream()) => {}
            Err(error) => return Err(failed(name, error)),
        }
    };
    changes.push(Change { kind, name: name.clone(), done });
    for step in coming {
        durables::apply(api, name, step, changes).await?;
    }
    Ok(())
}

/// The configuration of a workflow's stream (contract, 2.2), bounded if the options say so.
fn workflow(stream: &Stream, readers: &[&Durable], options: &ApplyOptions) -> Config {
    let bounded =
        options.max_bytes.is_some() || options.max_messages.is_some() || options.max_messages_per_subject.is_some();
    Config {
        name: stream.name.clone(),
        subjects: sorted(&stream.subjects),
        retention: RetentionPolicy::Interest,
        storage: StorageType::File,
        num_replicas: options.replicas.unwrap_or(1),
        max_bytes: signed(options.max_bytes),
        max_messages: signed(options.max_messages),
        max_messages_per_subject: signed(options.max_messages_per_subject),
        max_age: options.max_age.unwrap_or_default(),
        // Without bounds it does not matter, and is the original's. With bounds, the oldest must not vanish silently.
        discard: if bounded { DiscardPolicy::New } else { DiscardPolicy::Old },
        discard_new_per_subject: options.max_messages_per_subject.is_some(),
        duplicate_window: options.duplicate_window.unwrap_or_else(|| duplicate_window(readers)),
        ..Config::default()
    }
}

fn dead_letters(stream: &Stream, options: &ApplyOptions) -> Config {
    Config {
        name: stream.name.clone(),
        subjects: sorted(&stream.subjects),
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        num_replicas: options.replicas.unwrap_or(1),
        max_bytes: signed(Some(options.dead_letter_bytes)),
        max_messages: signed(Some(options.dead_letters)),
        max_messages_per_subject: -1,
        discard: DiscardPolicy::Old,
        duplicate_window: WINDOW,
        ..Config::default()
    }
}

/// How long after its first publication an output may be published again: each attempt may take as long as a handling may,
/// or the ack wait to be noticed as dead, and then the delay to the next. One more ack wait, for a host that dies at the
/// end of a long handling; several in a row that do are not covered, since the server keeps every id in memory.
pub(super) fn duplicate_window(readers: &[&Durable]) -> Duration {
    let schedule = |durable: &&Durable| {
        let attempts = durable.attempts.unwrap_or(1);
        (1..=attempts).fold(durable.ack_wait, |sum, attempt| {
            let attempted = durable.ack_wait.max(durable.handling);
            sum.saturating_add(attempted).saturating_add(durable.retry.delay_after(attempt))
        })
    };
    // Native runners publish without ids: nothing to be known again.
    let longest = readers.iter().filter(|durable| durable.attempts.is_some()).map(schedule).max();
    // A whole second more, and none of the fractions that doubling leaves.
    let whole = Duration::from_secs(longest.unwrap_or_default().as_secs().saturating_add(1));
    whole.max(WINDOW).min(Duration::from_secs(7 * 24 * 3600))
}

/// What is to be sent to make `found` as wanted; none if it is. Bounds that nobody asked for stay as they are.
fn merged(found: &Config, wanted: &Config, kind: Kind, options: &ApplyOptions) -> Option<Config> {
    let mut config = found.clone();
    config.subjects =
        if sorted(&found.subjects) == wanted.subjects { found.subjects.clone() } else { wanted.subjects.clone() };
    if options.replicas.is_some() {
        config.num_replicas = wanted.num_replicas;
    }
    let longer = wanted.duplicate_window > found.duplicate_window;
    if longer || (options.duplicate_window.is_some() && kind == Kind::Stream) {
        config.duplicate_window = wanted.duplicate_window;
    }
    if kind == Kind::Stream {
        if wanted.max_message_size > 0 {
            config.max_message_size = wanted.max_message_size;
        }
        if options.max_bytes.is_some() {
            config.max_bytes = wanted.max_bytes;
        }
        if options.max_messages.is_some() {
            config.max_messages = wanted.max_messages;
        }
        if options.max_messages_per_subject.is_some() {
            config.max_messages_per_subject = wanted.max_messages_per_subject;
            config.discard_new_per_subject = true;
        }
        if options.max_age.is_some() {
            config.max_age = wanted.max_age;
        }
        if wanted.discard == DiscardPolicy::New {
            config.discard = DiscardPolicy::New;
        }
    }
    (config != *found).then_some(config)
}

/// Durables of native nodes that nobody reads at this moment: runners of the original have no other sign of being ready.
///
/// # Errors
/// See [`ProvisionError`].
pub async fn unread(nats: &crate::nats::Nats, plan: &Plan) -> Result<Vec<String>, ProvisionError> {
    let api = Api { nats, patience: Duration::ZERO };
    let mut unread = Vec::new();
    for stream in &plan.streams {
        let mut planned = plan.durables.iter();
        if !planned.any(|it| it.stream == stream.name && it.delivery == DeliveryMode::Push) {
            continue;
        }
        let there = consumers(api, &stream.name).await?;
        let read = |name: &str| there.iter().any(|info| info.name == name && info.push_bound);
        let pushed = plan.durables.iter().filter(|it| it.stream == stream.name && it.delivery == DeliveryMode::Push);
        unread.extend(pushed.filter(|durable| !read(&durable.name)).map(|durable| durable.name.clone()));
    }
    Ok(unread)
}

async fn info(api: Api<'_>, name: &str) -> Result<Option<Info>, ProvisionError> {
    let subject = format!("STREAM.INFO.{name}");
    match api.ask::<_, Info>(&subject, &()).await {
        Ok(info) => Ok(Some(info)),
        Err(error) if error.is_no_stream() => Ok(None),
        Err(error) => Err(failed(name, error)),
    }
}

/// Messages on a subject that none of the `kept` ones covers.
async fn on_subject(api: Api<'_>, name: &str, subject: &str, kept: &[String]) -> Result<u64, ProvisionError> {
    let (request, filter) = (format!("STREAM.INFO.{name}"), json!({ "subjects_filter": subject }));
    let info = api.ask::<_, WithSubjects>(&request, &filter).await;
    let held = info.map_err(|error| failed(name, error))?.state.subjects.unwrap_or_default();
    let lost = held.iter().filter(|(subject, _)| !kept.iter().any(|kept| covers(kept, subject)));
    Ok(lost.map(|(_, messages)| messages).sum())
}

/// Whether `pattern` (tokens, `*`, a last `>`) matches a subject.
fn covers(pattern: &str, subject: &str) -> bool {
    let (mut pattern, mut subject) = (pattern.split('.'), subject.split('.'));
    loop {
        match (pattern.next(), subject.next()) {
            (None, None) => return true,
            (Some(">"), Some(_)) => return true,
            (Some(wanted), Some(token)) if wanted == "*" || wanted == token => {}
            _ => return false,
        }
    }
}

/// All consumers of a stream, page by page.
async fn consumers(api: Api<'_>, name: &str) -> Result<Vec<consumer::Info>, ProvisionError> {
    #[derive(Deserialize)]
    struct Page {
        total: usize,
        consumers: Option<Vec<consumer::Info>>,
    }

    let subject = format!("CONSUMER.LIST.{name}");
    let mut all = Vec::new();
    loop {
        let body = json!({ "offset": all.len() });
        let page = match api.ask::<_, Page>(&subject, &body).await {
            Ok(page) => page,
            // Removed meanwhile: then it has none.
            Err(error) if error.is_no_stream() => return Ok(all),
            Err(error) => return Err(failed(name, error)),
        };
        let consumers = page.consumers.unwrap_or_default();
        let last = consumers.is_empty();
        all.extend(consumers);
        if last || all.len() >= page.total {
            return Ok(all);
        }
    }
}

/// Deletes a stream; whether it was there.
pub(super) async fn delete(api: Api<'_>, name: &str) -> Result<bool, ProvisionError> {
    let subject = format!("STREAM.DELETE.{name}");
    match api.tell(&subject, &()).await {
        Ok(()) => Ok(true),
        Err(error) if error.is_no_stream() => Ok(false),
        Err(error) => Err(failed(name, error)),
    }
}

/// Messages in a stream; none if there is no such stream.
pub(super) async fn messages(api: Api<'_>, name: &str) -> Result<Option<u64>, ProvisionError> {
    Ok(info(api, name).await?.map(|info| info.state.messages))
}

fn sorted(subjects: &[String]) -> Vec<String> {
    subjects.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

/// The server's form of a bound: -1 = none.
fn signed(bound: Option<u64>) -> i64 {
    bound.map_or(-1, |bound| i64::try_from(bound).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use krt::plan::DeliveryMode;
    use krt::topology::Retry;

    fn durable(attempts: Option<u32>, ack_wait: u64, retry: Retry) -> Durable {
        Durable {
            name: "d".into(),
            stream: "s".into(),
            filter_subject: "s.a".into(),
            workflow: "w".into(),
            node: "n".into(),
            delivery: DeliveryMode::Pull,
            deliver_group: None,
            ack_wait: Duration::from_secs(ack_wait),
            attempts,
            handling: Duration::from_secs(30),
            retry,
        }
    }

    #[test]
    fn ids_are_known_for_as_long_as_a_message_may_come_again() {
        let retry = Retry { attempts: 5, backoff: Duration::from_secs(1), backoff_max: Duration::from_secs(10) };
        let wasm = durable(Some(5), 30, retry);
        // 6 × 30 s, and 1 + 2 + 4 + 8 + 10 s between and after them.
        assert_eq!(duplicate_window(&[&wasm]), Duration::from_secs(206));
        let long = Durable { handling: Duration::from_secs(600), ..wasm.clone() };
        assert_eq!(duplicate_window(&[&long]), Duration::from_secs(5 * 600 + 30 + 26));
        let native = durable(None, 22 * 3600, Retry::default());
        assert_eq!(duplicate_window(&[&native]), WINDOW);
        assert_eq!(duplicate_window(&[&native, &wasm]), Duration::from_secs(206));
        assert_eq!(duplicate_window(&[]), WINDOW);
        let endless = durable(Some(100_000), 30, Retry::default());
        assert_eq!(duplicate_window(&[&endless]), Duration::from_secs(7 * 24 * 3600));
    }

    #[test]
    fn a_pattern_covers_what_the_server_would_deliver_for_it() {
        for (pattern, subject, covered) in [
            ("s.a", "s.a", true),
            ("s.a", "s.a.b", false),
            ("s.a.*", "s.a.b", true),
            ("s.a.*", "s.a", false),
            ("s.>", "s.a.b", true),
            ("s.>", "s", false),
        ] {
            assert_eq!(covers(pattern, subject), covered, "{pattern} {subject}");
        }
    }

    #[test]
    fn bounds_that_nobody_asked_for_stay_and_order_of_subjects_is_no_change() {
        let planned = Stream { name: "s".into(), subjects: vec!["s.b".into(), "s.a".into()] };
        let options = ApplyOptions::default();
        let wanted = workflow(&planned, &[], &options);
        let mut found = wanted.clone();
        found.subjects.reverse();
        (found.max_bytes, found.max_age, found.num_replicas) = (1 << 30, Duration::from_secs(60), 3);
        found.duplicate_window = Duration::from_secs(600);
        assert_eq!(merged(&found, &wanted, Kind::Stream, &options), None);
        let options = ApplyOptions { max_bytes: Some(5), replicas: Some(1), ..options };
        let wanted = workflow(&planned, &[], &options);
        let merged = merged(&found, &wanted, Kind::Stream, &options).unwrap();
        assert_eq!((merged.max_bytes, merged.num_replicas, merged.discard), (5, 1, DiscardPolicy::New));
        assert_eq!(merged.max_age, Duration::from_secs(60));
    }
}
