//! Where logs go: standard error, as text for people or JSON lines for scripts; requests, when asked for, go to standard
//! output as results do.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

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
    let wanted = lines(EnvFilter::try_from_env("KRT_LOG").unwrap_or(fallback));
    let stderr = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match globals.output {
        Output::Json => stderr.json().flatten_event(true).boxed(),
        Output::Text => {
            stderr.with_target(false).compact().with_ansi(globals.colour(std::io::stderr().is_terminal())).boxed()
        }
    };
    // Both filters can be judged once for every place in the code that says something, and no layer is left empty: else
    // what nobody wants to read is made and asked about anew for every message, a tenth of this program's time in a profile.
    let log = tracing_subscriber::registry().with(lines.with_filter(wanted));
    // Failing means that there is a log already, which is as good.
    let _ = if requests {
        let events = Requests { json: globals.output == Output::Json };
        log.with(events.with_filter(Targets::new().with_target(REQUEST, LevelFilter::INFO))).try_init()
    } else {
        log.try_init()
    };
}

/// What was asked for, without the requests: those are results.
fn lines(wanted: EnvFilter) -> EnvFilter {
    match format!("{REQUEST}=off").parse() {
        Ok(directive) => wanted.add_directive(directive),
        Err(_) => wanted,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A filter without a level of its own would be asked about every message of every library.
    #[test]
    fn what_nobody_wants_to_read_is_known_beforehand() {
        for (wanted, most) in [("warn,krt=info", LevelFilter::INFO), ("warn,krt=debug", LevelFilter::DEBUG)] {
            let layer = tracing_subscriber::fmt::layer().with_filter(lines(EnvFilter::new(wanted)));
            let log = tracing_subscriber::registry().with(layer);
            assert_eq!(Subscriber::max_level_hint(&log), Some(most));
            let events = Requests { json: true }.with_filter(Targets::new().with_target(REQUEST, LevelFilter::INFO));
            assert_eq!(Subscriber::max_level_hint(&log.with(events)), Some(most));
        }
    }
}
