//! Where logs go: standard error, as text for people or JSON lines for scripts; requests, when asked for, go to standard
//! output as results do.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::FilterExt as _;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, filter};

use super::{Globals, Output, print};

/// What the entrypoint says when a call has ended.
const REQUEST: &str = "krt::request";

/// Installs the process's log. `KRT_LOG` (for example `debug` or `krt_host::engine=trace`) wins over `-v`. With
/// `requests` every call is a line on standard output.
pub(super) fn install(globals: &Globals, requests: bool) {
    let level = match globals.verbose {
        0 => "info",
        1 => "debug",
        _ => "trace",
    };
    // Prefixes: `krt_host::…` is the host's own, `krt::guest` what nodes say.
    let fallback = EnvFilter::new(format!("warn,krt={level}"));
    let wanted = EnvFilter::try_from_env("KRT_LOG").unwrap_or(fallback);
    let stderr = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match globals.output {
        Output::Json => stderr.json().flatten_event(true).boxed(),
        Output::Text => {
            stderr.with_target(false).compact().with_ansi(globals.colour(std::io::stderr().is_terminal())).boxed()
        }
    };
    let is_request = |target: &str| target == REQUEST;
    let lines = lines.with_filter(wanted.and(filter::filter_fn(move |event| !is_request(event.target()))));
    let events = requests.then(|| {
        Requests { json: globals.output == Output::Json }
            .with_filter(filter::filter_fn(move |event| is_request(event.target())))
    });
    // Failing means that there is a log already, which is as good.
    let _ = tracing_subscriber::registry().with(lines).with(events).try_init();
}

/// Prints a line for every request.
struct Requests {
    json: bool,
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }
}

impl<S: Subscriber> Layer<S> for Requests {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut line = String::new();
        if self.json {
            fields.0.insert("event".to_owned(), "request".into());
            // Writing to a String does not fail, and nobody can be told when printing does.
            let _ = writeln!(line, "{}", Value::Object(fields.0));
        } else {
            let text = |name: &str| fields.0.get(name).and_then(Value::as_str).unwrap_or_default();
            let microseconds = fields.0.get("microseconds").and_then(Value::as_u64).unwrap_or_default();
            let milliseconds = microseconds as f64 / 1e3;
            let _ = writeln!(line, "{:24} {:18} {milliseconds:>9.2} ms", text("method"), text("status"));
        }
        let _ = print::out(&line);
    }
}
