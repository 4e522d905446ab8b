//! Node `etl` of workflow `shouting`: upper case.

use krt_node::{Context, Node, Result};
use messages::Text;

fn shout(ctx: &Context, request: Text) -> Result {
    Ok(ctx.send(&Text { text: request.text.to_uppercase() })?)
}

fn node() -> Node {
    Node::new().on("entrypoint", shout)
}
krt_node::export!(node);

#[cfg(test)]
mod tests {
    use krt_node::testing::TestHost;

    use super::*;

    #[test]
    fn it_shouts() {
        let outcome = TestHost::new().handle(&node(), &Text { text: "quiet".into() });
        assert_eq!(outcome.sent::<Text>()[0].text, "QUIET");
    }
}
