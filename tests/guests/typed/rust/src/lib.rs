//! Adds a label to a mail.

mod messages;

use krt_node::{Context, Node, Result};

use messages::mails::Mail;

fn sort(ctx: &Context, mut mail: Mail) -> Result {
    mail.labels.push("sorted".to_owned());
    Ok(ctx.send(&mail)?)
}

fn node() -> Node {
    Node::new().default(sort)
}
krt_node::export!(node);
