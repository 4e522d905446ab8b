//! Real NATS servers with JetStream on free ports of loopback: started, awaited until ready, killed, started again on the
//! same port and store. Never sleeps: it reads what the server says.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::script;

/// The version that most tests run on.
pub const CURRENT: &str = "2.15.2";
/// The oldest that krt supports: 2.9, as Debian 12 has it.
pub const OLDEST: &str = "debian";

/// One server; killed on drop, its store removed.
pub struct Server {
    binary: PathBuf,
    folder: tempfile::TempDir,
    arguments: Vec<String>,
    port: u16,
    child: Option<Child>,
}

/// Three servers that replicate; killed on drop.
pub struct Cluster {
    /// The servers, named `n0` to `n2`.
    pub servers: Vec<Server>,
}

/// The program of a version; installed the first time. None, and said so, where it cannot be had.
pub fn binary(version: &str) -> Option<PathBuf> {
    script(&["nats-server.sh", version], &format!("nats-server {version} could not be installed"))
}

impl Server {
    /// A server of the current version with JetStream. None, and said so, where there is none to be had.
    pub fn start() -> Option<Self> {
        Some(Self::of(&binary(CURRENT)?, "", &["-js"]))
    }

    /// A server of `version` with the lines of `configuration` (the server's own language) beside JetStream.
    pub fn configured(version: &str, configuration: &str) -> Option<Self> {
        Some(Self::of(&binary(version)?, configuration, &["-js"]))
    }

    /// A server from `binary`. `configuration` may be empty; with `-js` among the arguments it has JetStream.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn of(binary: &Path, configuration: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("krt-nats-").tempdir().expect("a temporary folder");
        let mut arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        arguments.extend(["-sd".to_owned(), folder.path().join("store").to_string_lossy().into_owned()]);
        if !configuration.is_empty() {
            let path = folder.path().join("server.conf");
            std::fs::write(&path, configuration).expect("the configuration is written");
            arguments.extend(["-c".to_owned(), path.to_string_lossy().into_owned()]);
        }
        let mut server = Self { binary: binary.to_owned(), folder, arguments, port: free_port(), child: None };
        server.restart();
        server
    }

    /// `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The port of clients.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A folder that lives as long as the server, for keys and the like.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// SIGKILL. The store stays.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Already gone: as wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGSTOP: it is there and does not answer. Returns when all of its threads have stopped.
    ///
    /// # Panics
    /// When it does not run.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        let pid = self.child.as_ref().map(Pid::from_child);
        let (_, status) = waitpid(pid, WaitOptions::UNTRACED).expect("it is ours").expect("waited for");
        assert!(status.stopped(), "it ended instead: {status:?}");
    }

    /// SIGCONT.
    ///
    /// # Panics
    /// When it does not run.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Starts it again, on the same port and store, killing it first if it runs; returns when it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn restart(&mut self) {
        self.begin().wait_ready();
    }

    /// SIGKILL, and started again on the same port and store; returns at once.
    ///
    /// # Panics
    /// When it does not start.
    pub fn kill_and_start(&mut self) {
        let Starting { mut lines, mut log } = self.begin();
        // A server whose log nobody reads stops when the pipe is full.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut log));
    }

    fn begin(&mut self) -> Starting {
        self.kill();
        let mut child = Command::new(&self.binary)
            .args(["-a", "127.0.0.1", "-p", &self.port.to_string()])
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nats-server starts");
        let lines = BufReader::new(child.stderr.take().expect("piped"));
        self.child = Some(child);
        let log = self.folder.path().join("log");
        Starting { lines, log: std::fs::File::options().create(true).append(true).open(log).expect("a log file") }
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).expect("it is there");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Cluster {
    /// Three servers of the current version. None, and said so, where there are none to be had.
    pub fn start() -> Option<Self> {
        let binary = binary(CURRENT)?;
        let ports = free_ports(6);
        let routes: Vec<String> = ports[..3].iter().map(|port| format!("nats-route://127.0.0.1:{port}")).collect();
        let all = routes.join(",");
        let mut servers = Vec::new();
        let mut starting = Vec::new();
        for (n, route) in routes.iter().enumerate() {
            let name = format!("n{n}");
            let route = route.replace("nats-route://", "nats://");
            let folder = tempfile::Builder::new().prefix("krt-nats-").tempdir().expect("a temporary folder");
            let store = folder.path().join("store").to_string_lossy().into_owned();
            let arguments = ["-js", "-n", &name, "-sd", &store, "--cluster_name", "krt", "--cluster", &route];
            let mut arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            arguments.extend(["--routes".to_owned(), all.clone()]);
            let mut server = Server { binary: binary.clone(), folder, arguments, port: ports[3 + n], child: None };
            starting.push(server.begin());
            servers.push(server);
        }
        // They are ready to serve once they see each other; that JetStream has a leader is for the client to await.
        starting.into_iter().for_each(Starting::wait_ready);
        Some(Self { servers })
    }

    /// The URLs of all, joined by commas.
    pub fn urls(&self) -> String {
        self.servers.iter().map(Server::url).collect::<Vec<_>>().join(",")
    }
}

/// A server on its way up.
struct Starting {
    lines: BufReader<std::process::ChildStderr>,
    log: std::fs::File,
}

impl Starting {
    fn wait_ready(mut self) {
        let mut said = String::new();
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).expect("readable") == 0 {
                panic!("nats-server ended before it was ready:\n{said}");
            }
            let _ = self.log.write_all(line.as_bytes());
            said.push_str(&line);
            if line.contains("Server is ready") {
                break;
            }
        }
        // A server whose log nobody reads stops when the pipe is full.
        std::thread::spawn(move || std::io::copy(&mut self.lines, &mut self.log));
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    free_ports(1)[0]
}

/// So many, each another: all are held until the last is found.
pub(crate) fn free_ports(number: usize) -> Vec<u16> {
    let listener = |_| std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let held: Vec<_> = (0..number).map(listener).collect();
    held.iter().map(|listener| listener.local_addr().expect("an address").port()).collect()
}
