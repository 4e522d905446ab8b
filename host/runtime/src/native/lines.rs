//! What a program says, line by line, as log lines of its node. Lines are bounded and whole; never waits for a reader.

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tracing::Level;

use crate::telemetry::{Allowance, clean, cut};

/// Bytes of one line; the rest is cut.
const LINE: usize = 8 << 10;
/// Bytes that a node may log in a second; further lines are counted and dropped.
const PER_SECOND: usize = 256 << 10;
/// An empty line is not free.
const OVERHEAD: usize = 32;

/// Who says it.
#[derive(Debug)]
pub(super) struct Voice {
    workflow: String,
    node: String,
    /// Counted from 1; 0 = there is just one.
    replica: u32,
    allowance: Allowance,
}

impl Voice {
    pub(super) fn new(workflow: &str, node: &str, replica: u32) -> Self {
        Self { workflow: workflow.to_owned(), node: node.to_owned(), replica, allowance: Allowance::new(PER_SECOND) }
    }

    /// Logs all that comes from `stream` until it ends. Lines without a level of their own have that of the line before,
    /// the first ones `level`.
    pub(super) async fn speak(&self, mut stream: impl AsyncRead + Unpin, mut level: Level) {
        let mut line = Vec::new();
        let mut chunk = vec![0; 16 << 10];
        while let Ok(count @ 1..) = stream.read(&mut chunk).await {
            for piece in chunk[..count].split_inclusive(|byte| *byte == b'\n') {
                let text = piece.strip_suffix(b"\n");
                let room = LINE.saturating_sub(line.len());
                let more = text.unwrap_or(piece);
                line.extend_from_slice(&more[..more.len().min(room)]);
                if text.is_some() {
                    self.say(&line, &mut level);
                    line.clear();
                }
            }
        }
        if !line.is_empty() {
            self.say(&line, &mut level);
        }
    }

    fn say(&self, line: &[u8], level: &mut Level) {
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
        let (own, text) = record(&line);
        *level = own.unwrap_or(*level);
        let admission = self.allowance.admit(OVERHEAD + text.len());
        if admission.dropped > 0 {
            self.emit(Level::WARN, &format!("{} log lines of this node were dropped: too many", admission.dropped));
        }
        if admission.admitted {
            self.emit(*level, &clean(cut(text, LINE)));
        }
    }

    fn emit(&self, level: Level, text: &str) {
        let Self { workflow, node, replica, .. } = self;
        macro_rules! event {
            ($level:ident) => {
                if *replica == 0 {
                    tracing::$level!(target: "krt::guest", %workflow, %node, "{workflow}/{node}: {text}")
                } else {
                    tracing::$level!(target: "krt::guest", %workflow, %node, replica, "{workflow}/{node}: {text}")
                }
            };
        }
        match level {
            Level::ERROR => event!(error),
            Level::WARN => event!(warn),
            Level::INFO => event!(info),
            _ => event!(debug),
        }
    }
}

/// The level and text of a record as the original's runners write it: `<time> <LEVEL> <text>`.
fn record(line: &str) -> (Option<Level>, &str) {
    let mut words = line.splitn(3, ' ');
    let (Some(time), Some(level), Some(text)) = (words.next(), words.next(), words.next()) else {
        return (None, line);
    };
    let level = match level {
        "ERROR" => Level::ERROR,
        "WARN" => Level::WARN,
        "INFO" => Level::INFO,
        "DEBUG" => Level::DEBUG,
        _ => return (None, line),
    };
    // 2023-06-01T12:00:00 and what follows.
    let is_time =
        time.len() >= 19 && time.as_bytes()[10] == b'T' && time.as_bytes()[..4].iter().all(u8::is_ascii_digit);
    if is_time { (Some(level), text) } else { (None, line) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_the_originals_runners_have_a_level() {
        assert_eq!(record("2023-06-01T12:00:00.5Z WARN disk full"), (Some(Level::WARN), "disk full"));
        assert_eq!(record("2023-06-01T12:00:00+0000 ERROR a b c"), (Some(Level::ERROR), "a b c"));
        for line in ["Traceback (most recent call last):", "x ERROR y", "2023-06-01T12:00:00Z NOTE x", "", "é é é"] {
            assert_eq!(record(line), (None, line));
        }
    }
}
