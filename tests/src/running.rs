//! A `krt run` as a process: started, awaited until ready, called, stopped. Never sleeps: it reads events.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use crate::krt_binary;

/// A version that runs; killed on drop unless stopped.
pub struct Running {
    child: Child,
    events: BufReader<ChildStdout>,
    /// `HOST:PORT` of gRPC.
    pub grpc: String,
    /// `HOST:PORT` of the web.
    pub web: String,
}

impl Running {
    /// Runs the version at `path` on free ports and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start(path: &Path, arguments: &[&str]) -> Self {
        Self::start_with(path, arguments, Stdio::inherit())
    }

    /// As [`Self::start`], with its log going to `log`.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start_with(path: &Path, arguments: &[&str], log: Stdio) -> Self {
        let mut command = Command::new(krt_binary());
        command.stderr(log).arg("run").args(arguments).arg(path);
        Self::spawned(command)
    }

    /// As [`Self::start`], by `krt dev`: it builds first, and then when sources change. What Rust needs is compiled once
    /// for all tests of that kind.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn dev(path: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(krt_binary());
        command.arg("dev").args(arguments).arg(path);
        command.env("CARGO_TARGET_DIR", crate::workspace().join("target/guests/new"));
        Self::spawned(command)
    }

    fn spawned(mut command: Command) -> Self {
        let mut child = command
            .args(["--output", "json", "--grpc-addr", "127.0.0.1:0", "--web-addr", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("krt starts");
        let mut events = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        events.read_line(&mut line).expect("readable");
        let ready: serde_json::Value = serde_json::from_str(&line)
            .unwrap_or_else(|e| panic!("the first line is not the ready event: {e}: {line:?}"));
        assert_eq!(ready["event"], "ready", "{line}");
        let address = |key: &str| ready[key].as_str().expect("an address").to_owned();
        Self { grpc: address("grpc"), web: address("web"), child, events }
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next event, as JSON.
    ///
    /// # Panics
    /// When there is none.
    pub fn next_event(&mut self) -> serde_json::Value {
        let mut line = String::new();
        self.events.read_line(&mut line).expect("readable");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("not an event: {e}: {line:?}"))
    }

    /// Runs `krt call` against it: exit code, standard output, standard error.
    ///
    /// # Panics
    /// When krt does not start.
    pub fn call(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::new(krt_binary())
            .arg("call")
            .args(arguments)
            .args(["--to", &self.grpc])
            .output()
            .expect("krt starts");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Panics
    /// When it cannot be signalled.
    pub fn stop(mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("the process is there");
        self.child.wait().expect("a status")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone after `stop`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
