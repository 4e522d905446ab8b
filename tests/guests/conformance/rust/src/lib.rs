//! The conformance suite's guest in Rust: see ../README.md, which says what each command does.

mod commands;
mod messages;

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

use krt_node::{Context, Failure, Incoming, MessageType, Node, Result, Scope};

use commands::{Stop, case, fails_deep, run};
use messages::{Answer, Command};

/// How often `init` ran in this instance.
static INITS: AtomicU32 = AtomicU32::new(0);

/// What `init` saw, and how many were counted.
pub struct State {
    facts: Vec<String>,
    count: Cell<u32>,
}

fn init(ctx: &Context) -> Result<State> {
    let inits = INITS.fetch_add(1, Ordering::Relaxed) + 1;
    let sent = ctx.send(&Answer::text("from init"));
    let settings = ctx.configuration();
    let key = format!("init-{}", ctx.node());
    settings.set_in(Scope::Node, &key, "x")?;
    let kept = settings.get_in(Scope::Node, &key)?;
    let facts = vec![
        format!("inits={inits}"),
        format!("attempt={}", ctx.attempt()),
        format!("node={}", ctx.node()),
        format!("send={}", sent.map_or_else(|error| case(&error), |()| "ok".into())),
        format!("config={}", if kept.as_deref() == Some("x") { "ok" } else { "lost" }),
    ];
    match std::env::var("CONFORMANCE_INIT").as_deref() {
        Ok("reject") => return Err(Failure::rejected("init says no")),
        Ok("throw") => fails_deep("init threw", false)?,
        Ok("transient") if settings.get_in(Scope::Node, "started")?.is_none() => {
            settings.set_in(Scope::Node, "started", "yes")?;
            return Err(Failure::transient("not yet"));
        }
        _ => {}
    }
    Ok(State { facts, count: Cell::new(0) })
}

fn obey(ctx: &Context<State>, command: Command) -> Result {
    let answered = run(ctx, &command).and_then(|answer| match answer {
        Some(answer) => ctx.send(&answer).map_err(Stop::case),
        None => Ok(()),
    });
    match answered {
        Ok(()) => Ok(()),
        Err(Stop::Case(case)) => Ok(ctx.send(&Answer::text(format!("error:{case}")))?),
        Err(Stop::Failure(failure)) => Err(failure),
    }
}

fn from_worker(ctx: &Context<State>, incoming: Incoming) -> Result {
    match ctx.node() {
        "second" => obey(ctx, incoming.unpack()?),
        _ => collect(ctx, &incoming, "worker"),
    }
}

fn from_others(ctx: &Context<State>, incoming: Incoming) -> Result {
    collect(ctx, &incoming, "default")
}

fn collect(ctx: &Context<State>, incoming: &Incoming, handler: &str) -> Result {
    let text = match incoming.error() {
        Some(text) => text.to_owned(),
        None if incoming.is::<Answer>() => incoming.unpack::<Answer>()?.text,
        None => "-".into(),
    };
    let or_none = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    log::info!(
        "collected handler={handler} from={} channel={} type={} message={} request={} text={text}",
        ctx.from_node(),
        ctx.channel().unwrap_or("-".into()),
        kind(ctx),
        or_none(incoming.message_name()),
        ctx.request_id(),
    );
    if incoming.error().is_some() {
        ctx.send(&Answer::text(format!("error from {}: {text}", ctx.from_node())))?;
    } else if incoming.is::<Answer>() {
        ctx.relay()?;
    } else if incoming.is::<Command>() {
        let Command { args: items, .. } = incoming.unpack()?;
        ctx.send(&Answer { text: "relayed".into(), items, data: Vec::new() })?;
    } else {
        ctx.send(&Answer::text(format!("a {}", incoming.message_name())))?;
    }
    Ok(())
}

fn kind<S>(ctx: &Context<S>) -> &'static str {
    match ctx.message_type() {
        _ if ctx.is_ok() => "ok",
        _ if ctx.is_error() => "error",
        _ if ctx.is_early_reply() => "early-reply",
        _ if ctx.is_early_exit() => "early-exit",
        MessageType::Undefined => "undefined",
        _ => "unknown",
    }
}

fn node() -> Node<State> {
    Node::init(init).on("entrypoint", obey).on("worker", from_worker).default(from_others)
}
krt_node::export!(node);
