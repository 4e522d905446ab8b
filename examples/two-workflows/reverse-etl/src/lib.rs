//! Node `etl` of workflow `reversing`: from the last letter to the first.

use krt_node::{Context, Node, Result};
use messages::Text;

fn reverse(ctx: &Context, request: Text) -> Result {
    Ok(ctx.send(&Text { text: request.text.chars().rev().collect() })?)
}

fn node() -> Node {
    Node::new().on("entrypoint", reverse)
}
krt_node::export!(node);

#[cfg(test)]
mod tests {
    use krt_node::testing::TestHost;

    use super::*;

    #[test]
    fn it_reverses() {
        let outcome = TestHost::new().handle(&node(), &Text { text: "drawer".into() });
        assert_eq!(outcome.sent::<Text>()[0].text, "reward");
    }
}
