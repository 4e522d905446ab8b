//! Messages: what is received, what is sent, and what is known of it.

use anyhow::ensure;

use super::Behaviour;
use super::world::{Answer, command};

pub(crate) const ALL: &[Behaviour] = &[
    ("a typed message is decoded and answered with another", |w| {
        let answer = w.ask("Do", "echo", &["one", "", "three"])?;
        same(
            &answer,
            &Answer { text: "one".into(), items: vec!["one".into(), String::new(), "three".into()], data: vec![] },
        )
    }),
    ("texts of any script arrive as they were sent", |w| {
        let text = "ä ß 漢字 🦀 \u{202e}rtl \"quoted\" \\ tab\tline\nend";
        same(&w.ask("Do", "echo", &[text])?.text, text)
    }),
    ("a message without a byte is a message", |w| same(&w.ask("Do", "", &[])?.text, "empty")),
    ("bytes of every value arrive as they were sent", |w| {
        let data: Vec<u8> = (0..=255).collect();
        let mut echo = command("echo", &[]);
        echo.data.clone_from(&data);
        same(&w.tell("Do", echo)?.data, &data)
    }),
    ("a payload of 1 MiB arrives, and one is sent", |w| {
        let data = noise(1 << 20);
        let mut echo = command("echo", &[]);
        echo.data.clone_from(&data);
        same(&(w.tell("Do", echo)?.data == data), &true)
    }),
    ("a payload that a guest makes itself is sent whole", |w| {
        let expected: Vec<u8> = (0..300_000).map(|i| (i % 251) as u8).collect();
        same(&(w.ask("Do", "repeat", &["300000"])?.data == expected), &true)
    }),
    ("a message larger than the bus takes is refused with the limit, and the handler goes on", |w| {
        let mut double = command("double", &[]);
        double.data = noise(1_200_000);
        same(&w.tell("Do", double)?.text, "error:too-large:2097152")
    }),
    ("the largest message is known", |w| same(&w.ask("Do", "max-payload", &[])?.text, "2097152")),
    ("a handler may send nothing", |w| {
        let silent = prost::Message::encode_to_vec(&command("silent", &[]));
        match w.call("Do", silent, &[("grpc-timeout", "300m")])? {
            // DEADLINE_EXCEEDED
            Err(status) => same(&status.code, &4),
            Ok(_) => anyhow::bail!("it was answered"),
        }
    }),
    ("a handler may send many messages, and they arrive in order", |w| {
        let mark = w.log.mark();
        same(&w.ask("Do", "many", &["100"])?.text, "0")?;
        let number = |line: &serde_json::Value| {
            let (_, text) = line["message"].as_str()?.strip_prefix("collected ")?.split_once(" text=")?;
            text.parse::<u32>().ok()
        };
        let lines = w.log.lines(mark, 100, "collected", |line| number(line).is_some())?;
        same(&lines.iter().filter_map(number).collect::<Vec<_>>(), &(0..100).collect::<Vec<_>>())
    }),
    ("more messages than a delivery may send are refused", |w| {
        let error = w.fails("Other", "too-many", &["10001", "nobody"])?;
        contains(&error, "error:too-many:10000")
    }),
    ("a message on a channel reaches its subscribers, who know the channel", |w| {
        let mark = w.log.mark();
        same(&w.ask("Do", "channel", &["left"])?.text, "on left")?;
        same(w.log.collected(mark, "on left")?.word("channel"), "left")
    }),
    ("a channel that is none is refused", |w| same(&w.ask("Do", "channel", &["a.b"])?.text, "error:invalid-channel")),
    ("an Any that the guest packed itself is sent as it is", |w| {
        same(&w.ask("Do", "any", &["type.googleapis.com/conformance.Answer"])?.text, "packed")
    }),
    ("an Any without a name is refused", |w| same(&w.ask("Do", "any", &[""])?.text, "error:invalid-type-url")),
    ("the message in hand is relayed", |w| {
        let answer = w.ask("Do", "relay", &[])?;
        same(&answer, &Answer { text: "relayed".into(), items: vec![], data: vec![] })
    }),
    ("the message in hand is relayed on a channel", |w| {
        let mark = w.log.mark();
        same(&w.ask("Do", "relay", &["left"])?.items, &vec!["left".to_owned()])?;
        let parts = ["collected ", " channel=left ", " message=conformance.Command "];
        w.log.line(mark, &parts.join("…"), |line| {
            line["message"].as_str().is_some_and(|text| parts.iter().all(|part| text.contains(part)))
        })?;
        Ok(())
    }),
    ("a handler of any message tells them apart by name", |w| {
        same(&w.ask("Do", "stranger", &[])?.text, "a conformance.Stranger")
    }),
    ("handlers are chosen by the origin node, else the default one", |w| {
        let mark = w.log.mark();
        w.ask("Do", "echo", &["by worker"])?;
        same(w.log.collected(mark, "by worker")?.word("handler"), "worker")?;
        w.ask("Do", "second", &["echo", "by second"])?;
        let collected = w.log.collected(mark, "by second")?;
        same(&(collected.word("handler"), collected.word("from")), &("default", "second"))
    }),
    ("an early reply answers the caller, and the handler goes on", |w| {
        same(&w.ask("Other", "early-reply", &["early", "late"])?.text, "early")?;
        let mark = w.log.mark();
        same(&w.ask("Do", "early-reply", &["early", "late"])?.text, "early")?;
        same(w.log.collected(mark, "early")?.word("type"), "early-reply")?;
        same(w.log.collected(mark, "late")?.word("type"), "ok")
    }),
    ("an early exit answers the caller", |w| {
        same(&w.ask("Other", "early-exit", &["enough"])?.text, "enough")?;
        let mark = w.log.mark();
        same(&w.ask("Do", "early-exit", &["enough"])?.text, "enough")?;
        same(w.log.collected(mark, "enough")?.word("type"), "early-exit")
    }),
    ("what is known of a request: origin, kind, attempt, no channel", |w| {
        let facts = w.ask("Do", "facts", &[])?;
        let known = ["from", "type", "channel", "attempt"].map(|name| fact(&facts, name));
        same(&known, &["entrypoint", "ok", "-", "1"])
    }),
    ("what is known of a message of another node: origin, kind, channel", |w| {
        let facts = w.ask("Do", "second", &["facts"])?;
        same(&["from", "type", "channel"].map(|name| fact(&facts, name)), &["worker", "ok", "second"])
    }),
    ("all messages of a call have its request id, and no other call has it", |w| {
        let mark = w.log.mark();
        let (one, two) = (w.ask("Do", "facts", &[])?, w.ask("Do", "second", &["facts"])?);
        let (one, two) = (fact(&one, "request-id"), fact(&two, "request-id"));
        ensure!(one != two && one.len() == 36, "{one} {two}");
        for id in [one, two] {
            w.log.line(mark, &format!("request={id}"), |line| {
                line["message"].as_str().is_some_and(|text| text.contains(&format!("request={id} ")))
            })?;
        }
        Ok(())
    }),
    ("the time that is left is known, and is less than the manifest's", |w| {
        let left: u64 = fact(&w.ask("Fragile", "facts", &[])?, "time-remaining").parse()?;
        ensure!(left > 0 && left <= 2_000_000_000, "{left} ns");
        Ok(())
    }),
    ("the caller's trace is known; without one there is none", |w| {
        same(fact(&w.ask("Do", "facts", &[])?, "traceparent"), "-")?;
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let message = prost::Message::encode_to_vec(&command("facts", &[]));
        let answer = w.call("Do", message, &[("traceparent", trace)])?;
        let answer: Answer = prost::Message::decode(&*answer.map_err(|status| anyhow::anyhow!("{status:?}"))?)?;
        // The same trace; a host may have spans of its own.
        same(&fact(&answer, "traceparent").get(..35), &trace.get(..35))
    }),
    ("instances keep what they remember from message to message", |w| {
        let counted = [1, 2, 3].map(|_| w.ask("Other", "count", &[]).map(|answer| answer.text).unwrap_or_default());
        same(&counted, &["1", "2", "3"].map(str::to_owned))
    }),
];

/// The value of one of the facts.
pub(crate) fn fact<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.items.iter().find_map(|item| item.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
}

pub(crate) fn same<A, B>(is: &A, expected: &B) -> anyhow::Result<()>
where
    A: PartialEq<B> + std::fmt::Debug + ?Sized,
    B: std::fmt::Debug + ?Sized,
{
    let cut = |text: String| text.chars().take(500).collect::<String>();
    ensure!(is == expected, "it was {}, expected was {}", cut(format!("{is:?}")), cut(format!("{expected:?}")));
    Ok(())
}

pub(crate) fn contains(text: &str, part: &str) -> anyhow::Result<()> {
    ensure!(text.contains(part), "{part:?} is not in {text:?}");
    Ok(())
}

/// Bytes that do not compress (xorshift).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(step).take(length).collect()
}
