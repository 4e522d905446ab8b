//! `krt dev` with a real guest under load: what is changed is built and exchanged, and no request is dropped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use e2e::krt_binary;
use e2e::load::Caller;
use e2e::nats::Server;
use e2e::running::Running;
use serde_json::Value;

/// A language of nodes, the source file of its template, how its greeting is written, and what a machine needs to build it.
const OTHERS: [(&str, &str, &str, &[&str]); 4] = [
    ("python", "main.py", "Hello, {greeting.name}!", &["python3"]),
    ("javascript", "main.ts", "Hello, ${greeting.name}!", &["node", "npm"]),
    ("go", "main.go", "Hello, ", &["go"]),
    ("c", "main.c", "Hello, %s!", &["python3"]),
];

/// `Greeting { name: "Ada" }`.
const GREETING: &[u8] = b"\x0a\x03Ada";

/// The next event of this kind; others may come before.
fn event(running: &mut Running, kind: &str) -> Value {
    loop {
        let event = running.next_event();
        if event["event"] == kind {
            return event;
        }
        assert_ne!(event["event"], "swap-failed", "{event}");
    }
}

fn greet(running: &Running) -> String {
    let (code, out, err) = running.call(&["Greet", r#"{"name": "Ada"}"#]);
    assert_eq!(code, 0, "{err}");
    out.trim().to_owned()
}

fn edit(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).expect("a source");
    assert!(text.contains(from), "{from:?} is not in {}", file.display());
    fs::write(file, text.replace(from, to)).expect("written");
}

/// Calls in flight all the time, until told to stop: how many were answered. Any that fails, fails the test.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    callers: Vec<std::thread::JoinHandle<()>>,
}

impl Load {
    /// One call after the other by each of four callers, or by each on this beat.
    fn start(address: &str, beat: Option<Duration>) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let caller = |_| {
            let (stop, answered, address) = (stop.clone(), answered.clone(), address.to_owned());
            std::thread::spawn(move || {
                let threads = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                threads.block_on(async {
                    let mut caller = Caller::connect(&address).await.expect("it listens");
                    let mut beat = beat.map(tokio::time::interval);
                    while !stop.load(Ordering::Relaxed) {
                        if let Some(beat) = &mut beat {
                            beat.tick().await;
                        }
                        let asked = caller.ask("/hello.Entrypoint/Greet", Bytes::from_static(GREETING));
                        let answer = tokio::time::timeout(Duration::from_secs(30), asked).await;
                        let answer = answer.expect("an answer in time").expect("a connection");
                        answer.expect("a request was dropped");
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                });
            })
        };
        let callers = (0..4).map(caller).collect();
        Self { stop, answered, callers }
    }

    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.join().expect("every call was answered");
        }
        self.answered.load(Ordering::Relaxed)
    }
}

/// A new version in `folder` with a node in this language.
fn new(folder: &Path, language: &str) -> PathBuf {
    let new = Command::new(krt_binary()).args(["new", "hello", "--lang", language]).current_dir(folder).output();
    assert!(new.expect("krt starts").status.success());
    folder.join("hello")
}

#[test]
fn a_changed_node_is_built_and_exchanged_under_load_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let version = new(folder.path(), "rust");
    let source = version.join("greeter/src/lib.rs");

    let mut running = Running::dev(&version, &[]);
    assert_eq!(greet(&running), r#"{"text":"Hello, Ada!"}"#);
    let load = Load::start(&running.grpc, None);

    edit(&source, "Hello, {}!", "Howdy, {}!");
    let swapped = event(&mut running, "swapped");
    assert_eq!(swapped["src"], "bin/greeter.wasm");
    assert!(swapped["swap_seconds"].as_f64().is_some_and(|seconds| seconds < 1.0), "{swapped}");
    assert_eq!(greet(&running), r#"{"text":"Howdy, Ada!"}"#);

    edit(&source, "ctx.send(", "ctx.sned(");
    let failed = event(&mut running, "build-failed");
    assert_eq!(failed["nodes"][0], "greeting/greeter");
    assert!(failed["message"].as_str().is_some_and(|said| said.contains("sned")), "{failed}");
    assert_eq!(greet(&running), r#"{"text":"Howdy, Ada!"}"#);

    edit(&source, "ctx.sned(", "ctx.send(");
    edit(&source, "Howdy, {}!", "Bye, {}!");
    event(&mut running, "swapped");
    assert_eq!(greet(&running), r#"{"text":"Bye, Ada!"}"#);

    // Messages are everybody's: a field more builds the node that has them.
    edit(&version.join("public_input.proto"), "string text = 1;", "string text = 1;\n  string more = 2;");
    let failed = event(&mut running, "build-failed");
    assert!(failed["message"].as_str().is_some_and(|said| said.contains("more")), "{failed}");
    let answered = load.end();
    assert!(answered > 100, "{answered} calls");
    assert!(running.stop().success());
}

/// Edits the greeting of a version in this language while calls are in flight.
fn a_greeting_is_exchanged_under_load(
    (language, file, greeting, tools): (&str, &str, &str, &[&str]),
    arguments: &[&str],
) {
    for tool in tools {
        if Command::new(tool).arg("--version").output().is_err() {
            return e2e::skipped(&format!("krt dev of {language}: there is no {tool}"));
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let version = new(folder.path(), language);
    let mut running = Running::dev(&version, arguments);
    assert_eq!(greet(&running), r#"{"text":"Hello, Ada!"}"#, "{language}");
    // Leaves the cores to the compiler.
    let load = Load::start(&running.grpc, Some(Duration::from_millis(10)));
    edit(&version.join("greeter").join(file), greeting, &greeting.replace("Hello", "Howdy"));
    let swapped = event(&mut running, "swapped");
    assert!(swapped["swap_seconds"].as_f64().is_some_and(|seconds| seconds < 1.0), "{language}: {swapped}");
    assert_eq!(greet(&running), r#"{"text":"Howdy, Ada!"}"#, "{language}");
    assert!(load.end() > 10, "{language}: nothing was called");
    assert!(running.stop().success(), "{language}");
}

#[test]
fn a_changed_node_of_any_other_language_is_exchanged_under_load() {
    for language in OTHERS {
        a_greeting_is_exchanged_under_load(language, &[]);
    }
}

#[test]
fn a_changed_node_is_exchanged_on_a_server_too() {
    let Some(server) = Server::start() else { return };
    a_greeting_is_exchanged_under_load(OTHERS[3], &["--nats", &server.url()]);
}
