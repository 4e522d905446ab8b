//! Node `repairs-handler`: files the e-mails that ask for a repair. Two replicas share the work.

use krt_node::{Context, Failure, Node, Result, Scope};
use messages::internal::Repair;

fn file(ctx: &Context, repair: Repair) -> Result {
    let email = repair.email.ok_or_else(|| Failure::rejected("a repair without an e-mail"))?;
    // By request and e-mail: a message that comes again replaces its own order.
    let name = format!("{}/{}.txt", ctx.request_id(), email.id);
    let order = format!("from: {}\nsubject: {}\n\n{}\n", email.from, email.subject, email.body);
    ctx.object_store().save(&name, order.as_bytes())?;
    // The replicas may count at the same moment, and settings know no transactions: the orders are what counts.
    let settings = ctx.configuration();
    let filed: u64 = settings.get_in(Scope::Workflow, "repairs-filed")?.and_then(|n| n.parse().ok()).unwrap_or(0);
    settings.set_in(Scope::Workflow, "repairs-filed", &(filed + 1).to_string())?;
    ctx.measure("repairs").field("filed", 1_u32).save()?;
    log::debug!(name:%; "filed a repair");
    Ok(())
}

fn node() -> Node {
    Node::new().on("email-classificator", file)
}
krt_node::export!(node);

#[cfg(test)]
mod tests {
    use krt_node::testing::TestHost;
    use messages::internal::Email;

    use super::*;

    #[test]
    fn a_repair_becomes_an_order_and_is_counted() {
        let host = TestHost::new().object_store().from("email-classificator").request_id("r1");
        let email = Email { id: "e7".into(), from: "a@b.c".into(), subject: "Fridge".into(), body: "warm".into() };
        let repair = Repair { email: Some(email), path: vec![] };
        let outcome = host.handle(&node(), &repair);
        assert_eq!(outcome.result(), Ok(()));
        assert_eq!(outcome.object("r1/e7.txt").as_deref(), Some(&b"from: a@b.c\nsubject: Fridge\n\nwarm\n"[..]));
        let outcome = host.handle(&node(), &repair);
        assert_eq!(outcome.configuration(Scope::Workflow, "repairs-filed").as_deref(), Some("2"));
        assert_eq!(outcome.objects(), ["r1/e7.txt"]);
    }

    #[test]
    fn while_the_store_is_away_the_repair_is_tried_again() {
        let host = TestHost::new().object_store().from("email-classificator").unavailable();
        let repair = Repair { email: Some(Email { id: "e7".into(), ..Email::default() }), path: vec![] };
        assert!(host.handle(&node(), &repair).failure().is_some_and(Failure::is_transient));
    }
}
