//! The exitpoint of both workflows: hands `etl`'s answer to the caller. An ERROR of `etl` goes on as this node's own.

use krt_node::{Context, Failure, Incoming, Node, Result};

fn answer(ctx: &Context, incoming: Incoming) -> Result {
    match incoming.error() {
        Some(text) => Err(Failure::rejected(text)),
        // The host still has the message: nothing is copied.
        None => Ok(ctx.relay()?),
    }
}

fn node() -> Node {
    Node::new().on("etl", answer)
}
krt_node::export!(node);

#[cfg(test)]
mod tests {
    use krt_node::testing::TestHost;
    use messages::Text;

    use super::*;

    #[test]
    fn answers_and_errors_reach_the_caller() {
        let host = TestHost::new().from("etl");
        let text = Text { text: "QUIET".into() };
        assert_eq!(host.handle(&node(), &text).sent::<Text>(), [text]);
        assert_eq!(host.handle_error(&node(), "no").result(), Err(Failure::rejected("no")));
    }
}
