//! How handlers and `init` fail, and what comes of it.

use anyhow::ensure;

use super::Behaviour;
use super::messages::{contains, same};
use super::world::World;

pub(crate) const ALL: &[Behaviour] = &[
    ("a rejected message ends the call with the handler's text", |w| {
        contains(&w.fails("Other", "reject", &["no: ä 🦀"])?, "no: ä 🦀")
    }),
    ("a node that reads from a failed one gets its error, as an error", |w| {
        let mark = w.log.mark();
        let answer = w.ask("Do", "reject", &["for a reason"])?;
        contains(&answer.text, "error from worker: ")?;
        contains(&answer.text, "for a reason")?;
        let line = w.log.line(mark, "of the error", |line| {
            line["message"].as_str().is_some_and(|text| text.contains("type=error") && text.ends_with("for a reason"))
        })?;
        contains(line["message"].as_str().unwrap_or_default(), "message=-")
    }),
    ("an exception of the language rejects the message with its own text", |w| {
        contains(&w.fails("Other", "throw", &["boom at sea"])?, "boom at sea")?;
        same(&w.ask("Other", "echo", &["alive"])?.text, "alive")
    }),
    ("where it failed is in the log, with the function's name", |w| {
        let mark = w.log.mark();
        w.fails("Fragile", "throw", &["boom one"])?;
        w.fails("Fragile", "panic", &["boom two"])?;
        w.log.line(mark, "with fails_deep", |line| {
            let text = line.to_string().to_lowercase().replace('_', "");
            line["level"] == "ERROR" && text.contains("failsdeep")
        })?;
        Ok(())
    }),
    ("a guest that ends itself costs one call, and the next finds another instance", |w| dies(w, "panic")),
    ("a handler that does not return is ended when its time is over", |w| {
        let error = w.fails("Fragile", "spin", &[])?;
        contains(&error, "2")?;
        same(&w.ask("Fragile", "echo", &["alive"])?.text, "alive")
    }),
    ("a handler that takes more memory than it may is ended", |w| dies(w, "hog")),
    ("a transient failure is tried again, and the attempt is known", |w| {
        same(&w.ask("Other", "transient", &["3"])?.text, "3")
    }),
    ("a transient failure at the last attempt ends the call with its text", |w| {
        contains(&w.fails("Other", "transient", &["99"])?, "not yet")
    }),
    ("what was sent before a failure stays sent", |w| {
        let mark = w.log.mark();
        w.ask("Do", "send-then-reject", &["after that"])?;
        w.log.collected(mark, "kept")?;
        w.log.line(mark, "of the error", |line| {
            line["message"].as_str().is_some_and(|text| text.contains("type=error") && text.ends_with("after that"))
        })?;
        Ok(())
    }),
    ("a message of another type than the handler's is rejected with both names", |w| {
        let error = w.fails_with("Wrong", Vec::new())?;
        contains(&error, "conformance.Stranger")?;
        contains(&error, "conformance.Command")
    }),
    ("bytes that are no message of the type are rejected with its name", |w| {
        // Field 1, of a length beyond the end.
        contains(&w.fails_with("Other", vec![0x0a, 0xff])?, "conformance.Command")
    }),
    ("a command that nobody knows is rejected", |w| {
        contains(&w.fails("Other", "dance", &[])?, "unknown command dance")
    }),
    ("init runs once an instance, before its first message, with a context but no message", |w| {
        let expected =
            |node: &str| ["inits=1", "attempt=0", node, "send=no-message", "config=ok"].map(str::to_owned).to_vec();
        same(&w.ask("Do", "init", &[])?.items, &expected("node=worker"))?;
        same(&w.ask("Do", "second", &["init"])?.items, &expected("node=second"))
    }),
    ("an init that rejects keeps the version from being ready, and says why", |w| {
        let (well, said) = w.run_with_init("reject")?;
        ensure!(!well, "it became ready");
        contains(&said, "init says no")
    }),
    ("an exception in init keeps the version from being ready, and says why", |w| {
        let (well, said) = w.run_with_init("throw")?;
        ensure!(!well, "it became ready");
        contains(&said, "init threw")
    }),
    ("a transient failure of init is tried again", |w| {
        let mut other = w.another("transient")?;
        same(&other.ask("Do", "second", &["echo", "after all"])?.text, "after all")?;
        other.log.line(0, "not yet", |line| line.to_string().contains("not yet"))?;
        ensure!(other.stop(), "it ended badly");
        Ok(())
    }),
];

fn dies(w: &mut World, how: &str) -> anyhow::Result<()> {
    let error = w.fails("Fragile", how, &["boom"])?;
    ensure!(!error.is_empty(), "an error without a text");
    same(&w.ask("Fragile", "echo", &["alive"])?.text, "alive")
}
