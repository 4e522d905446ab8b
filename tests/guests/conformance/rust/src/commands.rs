//! The table of commands.

use std::fmt::Debug;
use std::hash::BuildHasher as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use krt_node::{Any, Failure, Problem, Scope};

use crate::messages::{Answer, Command, Stranger};
use crate::{Context, State, kind};

/// Why a command has no answer of its own.
pub enum Stop {
    /// A call of the context said no.
    Case(String),
    Failure(Failure),
}

impl Stop {
    pub fn case(error: impl Debug) -> Self {
        Self::Case(case(&error))
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// The contract's name of an error's case, with its number if it has one.
pub fn case(error: &impl Debug) -> String {
    let text = format!("{error:?}");
    let mut case = String::new();
    for c in text.chars().take_while(|c| c.is_alphanumeric()) {
        if c.is_uppercase() && !case.is_empty() {
            case.push('-');
        }
        case.extend(c.to_lowercase());
    }
    match text.split_once("limit: ") {
        Some((_, rest)) => case + ":" + rest.trim_end_matches([' ', '}']),
        None => case,
    }
}

/// In no language a fine place to be.
#[inline(never)]
pub fn fails_deep(text: &str, hard: bool) -> Result<(), std::io::Error> {
    if hard {
        panic!("{text}");
    }
    Err(std::io::Error::other(text.to_owned()))
}

pub fn run(ctx: &Context<State>, command: &Command) -> Result<Option<Answer>, Stop> {
    let arg = |n: usize| command.args.get(n).map(String::as_str);
    let text = |n: usize| arg(n).unwrap_or_default();
    let whole = |n: usize| text(n).parse::<u64>().map_err(|error| Stop::Failure(error.into()));
    let number = |n: usize| whole(n).map(|whole| whole as usize);
    let (settings, store, database) = (ctx.configuration(), ctx.object_store(), ctx.database());
    let ok = Ok(Some(Answer::text("ok")));
    let answer = match command.name.as_str() {
        "" => Answer::text("empty"),
        "echo" => Answer { text: text(0).into(), items: command.args.clone(), data: command.data.clone() },
        "repeat" => Answer::data((0..number(0)?).map(|i| (i % 251) as u8).collect()),
        "silent" => return Ok(None),
        "many" => {
            for n in 0..number(0)? {
                ctx.send(&Answer::text(n.to_string())).map_err(Stop::case)?;
            }
            return Ok(None);
        }
        "channel" => {
            ctx.send_to(text(0), &Answer::text(format!("on {}", text(0)))).map_err(Stop::case)?;
            return Ok(None);
        }
        "any" => {
            let value = prost::Message::encode_to_vec(&Answer::text("packed"));
            ctx.send_any(Any { type_url: text(0).into(), value }).map_err(Stop::case)?;
            return Ok(None);
        }
        "relay" => {
            arg(0).map_or_else(|| ctx.relay(), |channel| ctx.relay_to(channel)).map_err(Stop::case)?;
            return Ok(None);
        }
        "second" => {
            let args = command.args.iter().skip(1).cloned().collect();
            let inner = Command { name: text(0).into(), args, data: command.data.clone() };
            ctx.send_to("second", &inner).map_err(Stop::case)?;
            return Ok(None);
        }
        "stranger" => {
            ctx.send(&Stranger::default()).map_err(Stop::case)?;
            return Ok(None);
        }
        "early-reply" => {
            ctx.early_reply(&Answer::text(text(0))).map_err(Stop::case)?;
            Answer::text(text(1))
        }
        "early-exit" => {
            ctx.early_exit(&Answer::text(text(0))).map_err(Stop::case)?;
            return Ok(None);
        }
        "too-many" => {
            for _ in 0..number(0)? {
                let sent = ctx.send_to(text(1), &Answer::default());
                sent.map_err(|error| Failure::rejected(format!("error:{}", case(&error))))?;
            }
            return ok;
        }
        "double" => Answer::data([&*command.data, &*command.data].concat()),
        "max-payload" => Answer::text(ctx.max_payload().to_string()),
        "facts" => Answer::items(facts(ctx)),
        "init" => Answer::items(ctx.state().facts.clone()),
        "count" => {
            ctx.state().count.set(ctx.state().count.get() + 1);
            Answer::text(ctx.state().count.get().to_string())
        }
        "reject" => return Err(Failure::rejected(text(0)).into()),
        "transient" if ctx.attempt() < number(0)? as u32 => return Err(Failure::transient("not yet").into()),
        "transient" => Answer::text(ctx.attempt().to_string()),
        "send-then-reject" => {
            ctx.send_to("left", &Answer::text("kept")).map_err(Stop::case)?;
            return Err(Failure::rejected(text(0)).into());
        }
        "throw" | "panic" => {
            fails_deep(text(0), command.name == "panic").map_err(Failure::from)?;
            return ok;
        }
        "spin" => loop {
            std::hint::spin_loop();
        },
        "hog" => {
            let mut kept = Vec::new();
            loop {
                kept.push(vec![1_u8; 1 << 20]);
                std::hint::black_box(&kept);
            }
        }
        "get" => {
            let found = match scope(arg(1)) {
                Some(scope) => settings.get_in(scope, text(0)),
                None => settings.get(text(0)),
            };
            Answer::value(found.map_err(Stop::case)?)
        }
        "set" | "set-large" => {
            let value = if command.name == "set" { text(1).to_owned() } else { "x".repeat(number(1)?) };
            let set = match scope(arg(2)) {
                Some(scope) => settings.set_in(scope, text(0), &value),
                None => settings.set(text(0), &value),
            };
            return set.map_err(Stop::case).and(ok);
        }
        "delete" => {
            let deleted = match scope(arg(1)) {
                Some(scope) => settings.delete_in(scope, text(0)),
                None => settings.delete(text(0)),
            };
            return deleted.map_err(Stop::case).and(ok);
        }
        "save" => return store.save(text(0), &command.data).map_err(Stop::case).and(ok),
        "load" => Answer::data(store.get(text(0)).map_err(Stop::case)?),
        "list" => {
            let names = arg(0).map_or_else(|| store.list(), |pattern| store.list_matching(pattern));
            Answer::items(names.map_err(Stop::case)?)
        }
        "remove" => return store.delete(text(0)).map_err(Stop::case).and(ok),
        "purge" => {
            let count = arg(0).map_or_else(|| store.purge(), |pattern| store.purge_matching(pattern));
            Answer::text(count.map_err(Stop::case)?.to_string())
        }
        "measure" => {
            let mut point = ctx.measure(text(0)).field("float", 1.5).field("signed", -2).field("unsigned", 3_u32);
            point = point.field("boolean", true).field("text", "ä b").tag("kind", "x y");
            if arg(1).is_some() {
                point = point.at(UNIX_EPOCH + Duration::from_nanos(whole(1)?));
            }
            return point.save().map_err(Stop::case).and(ok);
        }
        "measure-nan" => return ctx.measure(text(0)).field("float", f64::NAN).save().map_err(Stop::case).and(ok),
        "measure-nothing" => return ctx.measure(text(0)).save().map_err(Stop::case).and(ok),
        "predict" => {
            let mut prediction = ctx.prediction(text(0), text(1));
            if !text(2).is_empty() {
                prediction = prediction.extra(text(2));
            }
            if arg(3).is_some() {
                prediction = prediction.at(UNIX_EPOCH + Duration::from_secs(whole(3)?));
            }
            return prediction.save().map_err(Stop::case).and(ok);
        }
        "mispredict" => {
            let missing = text(0) == "missing-values";
            let problem = if missing { Problem::MissingValues } else { Problem::NewLabels };
            return ctx.no_prediction(problem).save().map_err(Stop::case).and(ok);
        }
        "document" => return database.save(text(0), text(1)).map_err(Stop::case).and(ok),
        "find" => Answer::items(database.find(text(0), text(1)).map_err(Stop::case)?),
        "log" => {
            let level = text(0).parse().unwrap_or(log::Level::Error);
            match (arg(2), arg(3)) {
                // The facade's names are fixed where they stand; the suite's field is called `shade`.
                (Some(_), Some(value)) => log::log!(level, shade = value; "{}", text(1)),
                _ => log::log!(level, "{}", text(1)),
            }
            return ok;
        }
        "native-log" => {
            log::warn!("{}", text(0));
            return ok;
        }
        "min-level" => Answer::text(log::max_level().as_str().to_lowercase()),
        "print" => {
            println!("{}", text(0));
            eprintln!("{}!", text(0));
            return ok;
        }
        "env" => Answer::value(std::env::var(text(0)).ok()),
        "read" => match ctx.path(text(0)).map(std::fs::read) {
            Ok(Ok(data)) => Answer::data(data),
            _ => Answer::text("missing"),
        },
        "write" => match ctx.path(text(0)).map(|path| std::fs::write(path, "x")) {
            Ok(Ok(())) => Answer::text("written"),
            _ => Answer::text("denied"),
        },
        "outside" => Answer::text(if std::fs::read(text(0)).is_ok() { "read" } else { "denied" }),
        "clock" => {
            let start = Instant::now();
            std::thread::sleep(Duration::from_millis(20));
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Answer::items(vec![now.as_nanos().to_string(), start.elapsed().as_nanos().to_string()])
        }
        "random" => {
            // Their keys are what the standard library has of randomness.
            let state = std::hash::RandomState::new();
            Answer::data([1, 2].map(|n: u64| state.hash_one(n).to_le_bytes()).concat())
        }
        "connect" => {
            let connected = std::net::TcpStream::connect(text(0)).is_ok();
            Answer::text(if connected { "connected" } else { "denied" })
        }
        name => return Err(Failure::rejected(format!("unknown command {name}")).into()),
    };
    Ok(Some(answer))
}

fn facts(ctx: &Context<State>) -> Vec<String> {
    let metadata = ctx.metadata();
    let none = || "-".to_owned();
    vec![
        format!("node={}", metadata.node),
        format!("workflow={}", metadata.workflow),
        format!("version={}", metadata.version),
        format!("version-id={}", metadata.version_id),
        format!("runtime-id={}", metadata.runtime_id),
        format!("base-path={}", metadata.base_path),
        format!("request-id={}", ctx.request_id()),
        format!("from={}", ctx.from_node()),
        format!("type={}", kind(ctx)),
        format!("channel={}", ctx.channel().unwrap_or_else(none)),
        format!("attempt={}", ctx.attempt()),
        format!("time-remaining={}", ctx.time_remaining().map_or_else(none, |left| left.as_nanos().to_string())),
        format!("traceparent={}", ctx.traceparent().unwrap_or_else(none)),
    ]
}

fn scope(name: Option<&str>) -> Option<Scope> {
    match name? {
        "node" => Some(Scope::Node),
        "workflow" => Some(Scope::Workflow),
        "project" => Some(Scope::Project),
        _ => None,
    }
}
