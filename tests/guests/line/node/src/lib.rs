//! Sends every payload on, through the guest's memory: what a hop costs without any work in it.

use krt_node::{Context, Incoming, Node, Result};

fn echo(ctx: &Context, incoming: Incoming) -> Result {
    Ok(ctx.send_any(incoming.into_any()?)?)
}

fn node() -> Node {
    Node::new().default(echo)
}
krt_node::export!(node);
