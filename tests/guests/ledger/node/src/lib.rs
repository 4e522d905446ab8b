//! A node of the ledger; which one, its name tells. What goes into a channel `book` is an effect: it is counted outside.

use krt_node::{Context, Incoming, Node, Result};

fn split(ctx: &Context, incoming: Incoming) -> Result {
    let entry = incoming.into_any()?;
    ctx.send_any_to("aside", entry.clone())?;
    Ok(ctx.send_any(entry)?)
}

fn branch(ctx: &Context, incoming: Incoming) -> Result {
    let entry = incoming.into_any()?;
    ctx.send_any_to("book", entry.clone())?;
    Ok(ctx.send_any(entry)?)
}

/// The caller is answered once: by way of the left.
fn from_left(ctx: &Context, incoming: Incoming) -> Result {
    let entry = incoming.into_any()?;
    ctx.send_any_to("book", entry.clone())?;
    Ok(ctx.send_any(entry)?)
}

fn from_right(ctx: &Context, incoming: Incoming) -> Result {
    Ok(ctx.send_any_to("book", incoming.into_any()?)?)
}

fn node() -> Node {
    Node::new().on("entrypoint", split).on("split", branch).on("left", from_left).on("right", from_right)
}
krt_node::export!(node);
