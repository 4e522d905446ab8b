//! The probe node as a component: passes a job on and does what its orders say. Its twins in Python and in Go are in
//! tests/interop.

mod job;

use std::time::Duration;

use krt_node::{Context, Failure, FailureExt as _, Incoming, Node, Result, Scope};

use job::{Job, Order};

/// From a node whose early answers concern the caller: the last node passes those on, and the rest is not for it.
fn relay(ctx: &Context, incoming: Incoming) -> Result {
    if ctx.node() != "last" {
        return work(ctx, incoming);
    }
    failed_before(&incoming)?;
    if ctx.is_early_reply() || ctx.is_early_exit() {
        ctx.relay()?;
    }
    Ok(())
}

fn work(ctx: &Context, incoming: Incoming) -> Result {
    failed_before(&incoming)?;
    if !ctx.is_ok() {
        return Ok(());
    }
    let mut job: Job = incoming.unpack()?;
    job.path.push(ctx.node().to_owned());
    let orders: Vec<Order> = job.orders.iter().filter(|order| order.node == ctx.node()).cloned().collect();
    for order in &orders {
        if obey(ctx, &mut job, order)? {
            return Ok(());
        }
    }
    ctx.send(&job)?;
    Ok(())
}

fn failed_before(incoming: &Incoming) -> Result {
    match incoming.error() {
        Some(text) => Err(Failure::rejected(format!("the node before failed: {text}"))),
        None => Ok(()),
    }
}

/// Whether nothing more is to be sent.
fn obey(ctx: &Context, job: &mut Job, order: &Order) -> Result<bool> {
    let Order { verb, name, value, scope, .. } = order;
    let number = || value.parse::<usize>().context("not a number");
    let settings = ctx.configuration();
    match verb.as_str() {
        "fail" => return Err(Failure::rejected(value)),
        "reply" => ctx.early_reply(job)?,
        "exit" => {
            ctx.early_exit(job)?;
            return Ok(true);
        }
        "channel" => ctx.send_to(name, job)?,
        "quiet" => return Ok(true),
        "set" => settings.set_in(scoped(scope).unwrap_or(Scope::Node), name, value)?,
        "get" => {
            let found = match scoped(scope) {
                Some(scope) => settings.get_in(scope, name)?,
                None => settings.get(name)?,
            };
            job.found.push(format!("{name}={}", found.as_deref().unwrap_or("nothing")));
        }
        "delete" => settings.delete_in(scoped(scope).unwrap_or(Scope::Node), name)?,
        "save" => ctx.object_store().save(name, value.as_bytes())?,
        "load" => {
            let content = ctx.object_store().get(name)?;
            job.found.push(format!("{name}={}", String::from_utf8_lossy(&content)));
        }
        "fill" => job.data = if name == "zeros" { vec![0; number()?] } else { noise(number()?) },
        "sleep" => std::thread::sleep(Duration::from_millis(number()? as u64)),
        _ => return Err(Failure::rejected(format!("no such order: {verb}"))),
    }
    Ok(false)
}

fn scoped(name: &str) -> Option<Scope> {
    match name {
        "node" => Some(Scope::Node),
        "workflow" => Some(Scope::Workflow),
        "project" => Some(Scope::Project),
        _ => None,
    }
}

/// Bytes that do not compress (xorshift).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ length as u64;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(step).take(length).collect()
}

fn node() -> Node {
    Node::new().on("early", relay).default(work)
}
krt_node::export!(node);
