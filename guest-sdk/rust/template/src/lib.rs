//! Node {{name}}: greets.

mod messages; // made by `krt build` from the version's .proto files

use krt_node::{Context, Failure, Node, Result};

use messages::{{package}}::{Answer, Greeting};

fn greet(ctx: &Context, greeting: Greeting) -> Result {
    if greeting.name.is_empty() {
        return Err(Failure::rejected("a greeting needs a name"));
    }
    log::info!(name = greeting.name.as_str(); "greeting");
    Ok(ctx.send(&Answer { text: format!("Hello, {}!", greeting.name) })?)
}

fn node() -> Node {
    Node::new().default(greet)
}
krt_node::export!(node);

#[cfg(test)]
mod tests {
    use krt_node::testing::TestHost;

    use super::*;

    #[test]
    fn a_greeting_is_answered_by_name() {
        let outcome = TestHost::new().handle(&node(), &Greeting { name: "Ada".into() });
        assert_eq!(outcome.sent::<Answer>(), [Answer { text: "Hello, Ada!".into() }]);
    }

    #[test]
    fn a_greeting_without_a_name_is_rejected() {
        let outcome = TestHost::new().handle(&node(), &Greeting { name: String::new() });
        assert_eq!(outcome.failure().map(Failure::text), Some("a greeting needs a name"));
    }
}
