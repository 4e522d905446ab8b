//! A running version of one language's guest, and how it is asked. Knows no behaviour.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use e2e::influx::Influx;
use e2e::load::{Caller, Status};
use e2e::running::Running;
use prost::Message as _;
use serde_json::Value;

/// What does not happen within this time does not happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes of the largest message: more than the 1 MiB that the suite sends.
const MAX_MESSAGE: &str = "2097152";

/// gRPC's number of INTERNAL.
const INTERNAL: u32 = 13;

/// See public_input.proto.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Command {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, repeated, tag = "2")]
    pub args: Vec<String>,
    #[prost(bytes = "vec", tag = "3")]
    pub data: Vec<u8>,
}

/// See public_input.proto.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Answer {
    #[prost(string, tag = "1")]
    pub text: String,
    #[prost(string, repeated, tag = "2")]
    pub items: Vec<String>,
    #[prost(bytes = "vec", tag = "3")]
    pub data: Vec<u8>,
}

/// The version, running.
pub(crate) struct World {
    /// The largest difference, in nanoseconds, between a time that this guest gave and the one that arrived.
    pub times_within: u128,
    version: PathBuf,
    threads: tokio::runtime::Runtime,
    caller: Caller,
    running: Running,
    /// Its log.
    pub log: Arc<Log>,
    /// Where its measurements go.
    pub influx: Influx,
}

/// The lines of a log, in order.
#[derive(Default)]
pub(crate) struct Log {
    lines: Mutex<Vec<Value>>,
    more: Condvar,
}

/// `name` with arguments.
pub(crate) fn command(name: &str, args: &[&str]) -> Command {
    Command { name: name.into(), args: args.iter().map(|arg| (*arg).to_owned()).collect(), data: Vec::new() }
}

impl World {
    /// Runs the built version in `version` and waits until it is ready.
    pub(crate) fn start(version: &Path, init: &str, times_within: u128) -> anyhow::Result<Self> {
        let (reader, writer) = std::io::pipe()?;
        let influx = Influx::start();
        let uri = influx.uri();
        let mut arguments: Vec<String> =
            ["-vv", "--max-message", MAX_MESSAGE, "--influx-uri", &uri].map(Into::into).into();
        arguments.extend(variables(init));
        let log = Arc::new(Log::default());
        // Read from the beginning: a version that does not become ready says why there.
        let lines = log.clone();
        std::thread::spawn(move || lines.fill(reader));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let running = Running::start_with(version, &arguments, writer.into());
        let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let caller = threads.block_on(Caller::connect(&running.grpc))?;
        Ok(Self { times_within, version: version.to_owned(), threads, caller, running, log, influx })
    }

    /// The answer of the workflow of `method`, which must come.
    pub(crate) fn ask(&mut self, method: &str, name: &str, args: &[&str]) -> anyhow::Result<Answer> {
        self.tell(method, command(name, args))
    }

    /// As [`Self::ask`], with data.
    pub(crate) fn tell(&mut self, method: &str, command: Command) -> anyhow::Result<Answer> {
        let bytes = self.call(method, command.encode_to_vec(), &[])?;
        let bytes = bytes.map_err(|status| anyhow::anyhow!("the call failed: {} {}", status.code, text_of(&status)))?;
        Ok(Answer::decode(&*bytes)?)
    }

    /// The text of the error that `method` must end with.
    pub(crate) fn fails(&mut self, method: &str, name: &str, args: &[&str]) -> anyhow::Result<String> {
        self.fails_with(method, command(name, args).encode_to_vec())
    }

    /// As [`Self::fails`], with any bytes for a request.
    pub(crate) fn fails_with(&mut self, method: &str, message: Vec<u8>) -> anyhow::Result<String> {
        match self.call(method, message, &[])? {
            Ok(answer) => bail!("it was answered: {:?}", Answer::decode(&*answer)),
            Err(status) => {
                ensure!(status.code == INTERNAL, "status {} {}", status.code, text_of(&status));
                Ok(text_of(&status))
            }
        }
    }

    /// One call with these headers: the answer's bytes, or the status it ended with.
    pub(crate) fn call(
        &mut self,
        method: &str,
        message: Vec<u8>,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<Result<bytes::Bytes, Status>> {
        let path = format!("/conformance.Entrypoint/{method}");
        let asked = self.caller.ask_with(&path, message.into(), headers);
        self.threads.block_on(async { tokio::time::timeout(PATIENCE, asked).await.context("no answer in time")? })
    }

    /// Runs the version anew with `CONFORMANCE_INIT`, to its end: whether that was a good one, and its log.
    pub(crate) fn run_with_init(&self, init: &str) -> anyhow::Result<(bool, String)> {
        let mut process = Process::new(e2e::krt_binary());
        process.args(["run", "--grpc-addr", "127.0.0.1:0", "--web-addr", "127.0.0.1:0"]).args(variables(init));
        let output = process.arg(&self.version).stdin(Stdio::null()).output()?;
        Ok((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
    }

    /// Another one of the same version.
    pub(crate) fn another(&self, init: &str) -> anyhow::Result<Self> {
        Self::start(&self.version, init, self.times_within)
    }

    /// Ends the version: whether that went well.
    pub(crate) fn stop(self) -> bool {
        self.running.stop().success()
    }
}

impl Log {
    fn fill(&self, reader: impl std::io::Read) {
        for line in BufReader::new(reader).lines().map_while(Result::ok) {
            let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
            self.lines.lock().expect("no reader panics").push(line);
            self.more.notify_all();
        }
    }

    /// How many lines there are by now. What was logged a moment ago may come after it: look for what is one's own.
    pub(crate) fn mark(&self) -> usize {
        self.lines.lock().expect("no reader panics").len()
    }

    /// The first line after `mark` that `wanted` holds of.
    pub(crate) fn line(&self, mark: usize, what: &str, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let found = self.lines(mark, 1, what, wanted)?;
        Ok(found[0].clone())
    }

    /// The first `count` lines after `mark` that `wanted` holds of.
    pub(crate) fn lines(
        &self,
        mark: usize,
        count: usize,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Vec<Value>> {
        let end = Instant::now() + PATIENCE;
        let mut lines = self.lines.lock().expect("no reader panics");
        loop {
            let found: Vec<_> = lines.iter().skip(mark).filter(|line| wanted(line)).take(count).cloned().collect();
            if found.len() == count {
                return Ok(found);
            }
            let left = end.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "the log has {} of {count} lines {what}", found.len());
            lines = self.more.wait_timeout(lines, left).expect("no reader panics").0;
        }
    }

    /// The lines after `mark` that `collect` of `exit` wrote for this text, as `word -> value`.
    pub(crate) fn collected(&self, mark: usize, text: &str) -> anyhow::Result<Collected> {
        let line = self.line(mark, &format!("collected … text={text}"), |line| {
            let message = line["message"].as_str().unwrap_or_default();
            message.starts_with("collected ") && message.split_once(" text=").is_some_and(|(_, it)| it == text)
        })?;
        Ok(Collected(line["message"].as_str().unwrap_or_default().to_owned()))
    }
}

/// What `collect` logged.
#[derive(Debug)]
pub(crate) struct Collected(String);

impl Collected {
    /// The value of one of its words.
    pub(crate) fn word(&self, name: &str) -> &str {
        let found = self.0.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_default()
    }
}

/// The text of a status, which travels percent-encoded.
pub(crate) fn text_of(status: &Status) -> String {
    let mut bytes = Vec::new();
    let mut rest = status.text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match hex.filter(|_| *first == b'%').and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn variables(init: &str) -> Vec<String> {
    let values = [format!("CONFORMANCE_INIT={init}"), "CONFORMANCE_WORD=wört 🦀".into(), "CONFORMANCE_EMPTY=".into()];
    values.into_iter().flat_map(|value| ["--config".to_owned(), value]).collect()
}
