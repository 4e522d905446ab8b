//! Node `stats-storer`: counts what a batch was about, keeps totals, and says both.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use krt_node::{Context, Node, Result};
use messages::internal::{ClassifiedBatch, Count, Statistics};

fn store(ctx: &Context, batch: ClassifiedBatch) -> Result {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for email in &batch.emails {
        *counts.entry(&email.category).or_default() += 1;
    }
    let emails = batch.emails.len() as u64;
    let settings = ctx.configuration();
    let before: u64 = settings.get("emails")?.and_then(|n| n.parse().ok()).unwrap_or(0);
    let emails_so_far = before + emails;
    settings.set("emails", &emails_so_far.to_string())?;

    let mut table = String::from("category\temails\n");
    let mut measurement = ctx.measure("batch").field("emails", emails);
    for (category, count) in &counts {
        // Writing to a String does not fail.
        let _ = writeln!(table, "{category}\t{count}");
        measurement = measurement.field(*category, *count);
    }
    measurement.save()?;
    ctx.object_store().save("latest.tsv", table.as_bytes())?;

    let mut counts: Vec<Count> =
        counts.into_iter().map(|(category, count)| Count { category: category.to_owned(), count }).collect();
    counts.sort_by_key(|count| std::cmp::Reverse(count.count));
    let mut path = batch.path;
    path.push(ctx.node().to_owned());
    ctx.send(&Statistics { emails: emails as u32, counts, emails_so_far, path })?;
    Ok(())
}

fn node() -> Node {
    Node::new().on("email-classificator", store)
}
krt_node::export!(node);

#[cfg(test)]
mod tests {
    use krt_node::testing::TestHost;
    use messages::internal::Classified;

    use super::*;

    #[test]
    fn batches_are_counted_and_added_up() {
        let host = TestHost::new().object_store().node("stats-storer").from("email-classificator");
        let classified = |category: &str| Classified { category: category.into(), ..Classified::default() };
        let emails = vec![classified("spam"), classified("repairs"), classified("spam")];
        let batch = ClassifiedBatch { emails, path: vec!["etl".into()] };
        host.handle(&node(), &batch);
        let outcome = host.handle(&node(), &batch);
        let statistics = &outcome.sent::<Statistics>()[0];
        assert_eq!((statistics.emails, statistics.emails_so_far), (3, 6));
        assert_eq!(statistics.counts[0], Count { category: "spam".into(), count: 2 });
        assert_eq!(statistics.path, ["etl", "stats-storer"]);
        assert_eq!(outcome.object("latest.tsv").as_deref(), Some(&b"category\temails\nrepairs\t1\nspam\t2\n"[..]));
        assert_eq!(outcome.measurements().len(), 1);
    }
}
