//! Node `exitpoint`: whatever it sends answers the caller, and the first answer counts.
//!
//! It hears from `etl` only for the sake of early replies and errors: the batch itself is the classificator's business.

mod internal {
    include!(concat!(env!("OUT_DIR"), "/internal.rs"));
}
mod main {
    include!(concat!(env!("OUT_DIR"), "/main.rs"));
}

use krt_node::{Context, Failure, Incoming, Node, Result};

use internal::Statistics;
use main::{CategoryCount, Response};

fn early(ctx: &Context, incoming: Incoming) -> Result {
    if let Some(text) = incoming.error() {
        return Err(Failure::rejected(text));
    }
    if ctx.is_early_reply() || ctx.is_early_exit() {
        let mut answer: Response = incoming.unpack()?;
        answer.path.push(ctx.node().to_owned());
        ctx.send(&answer)?;
    }
    Ok(())
}

fn answer(ctx: &Context, statistics: Statistics) -> Result {
    let Statistics { emails, counts, emails_so_far, mut path } = statistics;
    path.push(ctx.node().to_owned());
    let categories = counts.into_iter().map(|it| CategoryCount { category: it.category, count: it.count }).collect();
    let message = format!("{emails} e-mails classified");
    ctx.send(&Response { message, emails, categories, emails_so_far, path })?;
    Ok(())
}

fn node() -> Node {
    Node::new().on("etl", early).on("stats-storer", answer)
}
krt_node::export!(node);

#[cfg(test)]
mod tests {
    use krt_node::MessageType;
    use krt_node::testing::TestHost;
    use super::internal::Batch;

    use super::*;

    fn host() -> TestHost {
        TestHost::new().node("exitpoint").from("etl")
    }

    #[test]
    fn an_acknowledgement_of_etl_is_passed_on() {
        let acknowledgement = Response { message: "read".into(), path: vec!["etl".into()], ..Response::default() };
        let outcome = host().message_type(MessageType::EarlyReply).handle(&node(), &acknowledgement);
        assert_eq!(outcome.sent::<Response>()[0].path, ["etl", "exitpoint"]);
    }

    #[test]
    fn a_batch_of_etl_is_no_answer() {
        assert!(host().handle(&node(), &Batch::default()).outputs().is_empty());
    }

    #[test]
    fn an_error_of_etl_reaches_the_caller_with_its_text() {
        assert_eq!(host().handle_error(&node(), "no sender").result(), Err(Failure::rejected("no sender")));
    }

    #[test]
    fn statistics_are_the_answer() {
        let statistics = Statistics { emails: 3, path: vec!["stats-storer".into()], ..Statistics::default() };
        let outcome = host().from("stats-storer").handle(&node(), &statistics);
        let answer = &outcome.sent::<Response>()[0];
        assert_eq!(answer.message, "3 e-mails classified");
        assert_eq!(answer.path, ["stats-storer", "exitpoint"]);
    }
}
