//! What a guest has of the host besides messages and stores: log, metadata, environment, files, clocks, randomness.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::ensure;
use serde_json::Value;

use super::Behaviour;
use super::messages::{contains, fact, same};
use super::world::World;

pub(crate) const ALL: &[Behaviour] = &[
    ("lines of every level reach the log, with node and request id", |w| {
        let mark = w.log.mark();
        let id = fact(&w.ask("Do", "facts", &[])?, "request-id").to_owned();
        for level in ["trace", "debug", "info", "warn", "error"] {
            let text = format!("at level {level} ä 🦀");
            w.ask("Do", "log", &[level, &text])?;
            let line = said(w, mark, &text)?;
            same(&line["level"], level.to_uppercase().as_str())?;
            same(&(line["node"].as_str(), line["workflow"].as_str()), &(Some("worker"), Some("main")))?;
            let of = line["request_id"].as_str().unwrap_or_default();
            ensure!(of.len() == 36 && of != id, "{line}");
        }
        Ok(())
    }),
    ("a line has its fields", |w| {
        let mark = w.log.mark();
        w.ask("Do", "log", &["info", "with a field", "shade", "dark red"])?;
        contains(said(w, mark, "with a field")?["fields"].as_str().unwrap_or_default(), "shade=dark red")
    }),
    ("a text with line breaks is one line", |w| {
        let mark = w.log.mark();
        w.ask("Do", "log", &["info", "first\nsecond"])?;
        w.log.line(mark, "first…second", |line| {
            line["message"].as_str().is_some_and(|text| text.starts_with("first") && text.ends_with("second"))
        })?;
        Ok(())
    }),
    ("the language's own way to log reaches the log as a warning", |w| {
        let mark = w.log.mark();
        w.ask("Do", "native-log", &["as usual ä"])?;
        let line = w.log.line(mark, "as usual", |line| {
            line["target"] == "krt::guest" && line["message"].as_str().is_some_and(|text| text.contains("as usual ä"))
        })?;
        same(&line["level"], "WARN")
    }),
    ("the lowest level that is kept is known", |w| same(&w.ask("Do", "min-level", &[])?.text, "trace")),
    ("what is printed, on either stream, reaches the log", |w| {
        let mark = w.log.mark();
        w.ask("Do", "print", &["printed ä"])?;
        for text in ["printed ä", "printed ä!"] {
            said(w, mark, text)?;
        }
        Ok(())
    }),
    ("a node knows what it is and where it runs", |w| {
        let facts = w.ask("Do", "facts", &[])?;
        let known = ["node", "workflow", "version", "runtime-id", "base-path"].map(|name| fact(&facts, name));
        same(&known, &["worker", "main", "conformance", "kre", "/krt-files"])?;
        ensure!(!fact(&facts, "version-id").is_empty(), "no version id");
        same(fact(&w.ask("Other", "facts", &[])?, "node"), "alone")
    }),
    ("the version's variables are the environment, and nothing else is", |w| {
        same(&w.ask("Do", "env", &["CONFORMANCE_WORD"])?.items, &vec!["wört 🦀".to_owned()])?;
        same(&w.ask("Do", "env", &["CONFORMANCE_EMPTY"])?.items, &vec![String::new()])?;
        for name in ["PATH", "HOME", "CARGO"] {
            same(&w.ask("Do", "env", &[name])?.text, "none")?;
        }
        Ok(())
    }),
    ("the package's files are read", |w| {
        same(&w.ask("Do", "read", &["data/hello.txt"])?.data, "Grüße aus dem Paket 📦\n".as_bytes())?;
        same(&w.ask("Do", "read", &["data/nothing.txt"])?.text, "missing")
    }),
    ("the package's files are not written, and nothing else is read", |w| {
        same(&w.ask("Do", "write", &["data/hello.txt"])?.text, "denied")?;
        same(&w.ask("Do", "write", &["data/new.txt"])?.text, "denied")?;
        for path in ["/etc/passwd", "/krt-files/../etc/passwd", "../../etc/passwd"] {
            same(&w.ask("Do", "outside", &[path])?.text, "denied")?;
        }
        same(&w.ask("Do", "read", &["../etc/passwd"])?.text, "missing")
    }),
    ("the clocks go, and tell the time", |w| {
        let clock = w.ask("Do", "clock", &[])?.items;
        ensure!(clock.len() == 2, "{clock:?}");
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        ensure!(now.abs_diff(clock[0].parse()?) < 60_000_000_000, "{clock:?} at {now}");
        let waited: u64 = clock[1].parse()?;
        ensure!((19_000_000..20_000_000_000).contains(&waited), "{clock:?}");
        Ok(())
    }),
    ("random bytes are others every time, in every instance", |w| {
        let mut seen = Vec::new();
        for method in ["Do", "Do", "Other", "Other"] {
            let bytes = w.ask(method, "random", &[])?.data;
            ensure!(bytes.len() == 16 && !seen.contains(&bytes), "{bytes:?} after {seen:?}");
            seen.push(bytes);
        }
        Ok(())
    }),
    ("the network is denied", |w| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        same(&w.ask("Do", "connect", &[&address])?.text, "denied")?;
        listener.set_nonblocking(true)?;
        ensure!(listener.accept().is_err(), "somebody connected");
        Ok(())
    }),
];

/// The guest's line of exactly this text.
fn said(w: &World, mark: usize, text: &str) -> anyhow::Result<Value> {
    w.log.line(mark, text, |line| line["target"] == "krt::guest" && line["message"] == text)
}
