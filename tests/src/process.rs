//! A `krt host` or `krt entrypoint` as a process: started, awaited until ready, killed, started again. Never sleeps: it reads
//! events.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::krt_binary;

/// A process of krt's; killed on drop.
pub struct Process {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    child: Child,
    events: Option<Events>,
}

/// What a process prints, until it is ready.
pub struct Events(BufReader<ChildStdout>);

impl Process {
    /// Starts `krt ARGUMENTS --output json` with `environment` beside that of the test.
    ///
    /// # Panics
    /// When krt does not start.
    pub fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let environment: Vec<_> =
            environment.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let (child, events) = spawn(&arguments, &environment);
        Self { arguments, environment, child, events: Some(events) }
    }

    /// What it prints; once.
    ///
    /// # Panics
    /// When asked for twice.
    pub fn events(&mut self) -> Events {
        self.events.take().expect("asked for once")
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and the same again.
    ///
    /// # Panics
    /// When it was not running, or does not start again.
    pub fn kill_and_start(&mut self) {
        self.kill();
        let (child, events) = spawn(&self.arguments, &self.environment);
        self.child = child;
        self.events = Some(events);
    }

    /// SIGKILL.
    ///
    /// # Panics
    /// When it was not running.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("a status");
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Panics
    /// When it was not running.
    pub fn stop(mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it runs");
        self.child.wait().expect("a status")
    }
}

impl Events {
    /// Waits for the ready event. Goes on reading, so that nobody writes to a full pipe.
    ///
    /// # Panics
    /// When something else comes first, or nothing.
    pub fn ready(self) -> serde_json::Value {
        self.ready_unless_killed().expect("the process ended before it was ready")
    }

    /// [`Self::ready`]; none when the process ends before.
    ///
    /// # Panics
    /// When something else comes first.
    pub fn ready_unless_killed(mut self) -> Option<serde_json::Value> {
        let mut line = String::new();
        if self.0.read_line(&mut line).expect("readable") == 0 {
            return None;
        }
        let event: serde_json::Value = serde_json::from_str(&line)
            .unwrap_or_else(|e| panic!("the first line is not the ready event: {e}: {line:?}"));
        assert_eq!(event["event"], "ready", "{line}");
        std::thread::spawn(move || std::io::copy(&mut self.0, &mut std::io::sink()));
        Some(event)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already gone when all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(arguments: &[String], environment: &[(String, String)]) -> (Child, Events) {
    let mut child = Command::new(krt_binary())
        .args(arguments)
        .args(["--output", "json"])
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("krt starts");
    let events = Events(BufReader::new(child.stdout.take().expect("piped")));
    (child, events)
}
