//! Native nodes as processes: one command for all, nobody left behind, and nothing lost with a process that is killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use e2e::interop::probe::{self, Flow, Job, Kind, Probe, call, mark, marks, order};
use e2e::interop::tools;
use e2e::nats::{self, CURRENT, OLDEST, Server};
use e2e::running::Running;
use futures::future::join_all;

use Kind::{Go, Python, Wasm};

// Tests have several threads: connections are closed while the end of a process is awaited.

const SOON: Duration = Duration::from_secs(20);

/// Processes whose parent is `parent`.
fn children(parent: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("Linux").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if stat(pid).is_some_and(|(state, of)| of == parent && state != 'Z') {
            found.push(pid);
        }
    }
    found
}

/// State and parent of a process.
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// The folder of a nats-server, which has its store in it.
fn store(pid: u32) -> Option<PathBuf> {
    let arguments = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
    let mut arguments = arguments.split('\0').skip_while(|argument| *argument != "-sd");
    Some(Path::new(arguments.nth(1)?).parent()?.to_owned())
}

fn await_gone(pids: &[u32]) {
    let until = Instant::now() + SOON;
    for pid in pids {
        while stat(*pid).is_some_and(|(state, _)| state != 'Z') {
            assert!(Instant::now() < until, "{pid} is left behind");
            std::thread::yield_now();
        }
    }
}

fn strs(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_runs_a_mixed_version_and_leaves_nobody_behind() {
    let (Some(tools), Some(server)) = (tools(), nats::binary(CURRENT)) else { return };
    let folder = probe::version(&tools, &[Flow::line("Mixed", &[Python, Wasm, Go])]);
    let mut arguments = tools.runners();
    arguments.extend(["--nats", "auto", "--nats-server"].map(str::to_owned));
    arguments.push(server.display().to_string());
    for killed in [false, true] {
        let running = Running::start(folder.path(), &strs(&arguments));
        let answer = call(&running.grpc, "Mixed", &Job::default()).await.expect("a call").expect("an answer");
        assert_eq!(answer.path, ["n0", "n1", "n2"]);
        let children = children(running.pid());
        assert_eq!(children.len(), 3, "a server and two nodes");
        let store = children.iter().find_map(|pid| store(*pid)).expect("the server's store");
        if killed {
            // Killed on drop.
            drop(running);
            await_gone(&children);
            // Nobody is left who could remove it.
            fs::remove_dir_all(store).expect("removed");
        } else {
            assert!(running.stop().success());
            await_gone(&children);
            assert!(!store.exists(), "the server's store is left behind");
        }
    }
}

async fn nothing_is_lost_with_a_process_that_is_killed(version: &str) {
    let Some(tools) = tools() else { return };
    let Some(server) = Server::configured(version, "") else { return };
    let alone = |method: &str, kind| Flow::line(method, &[Wasm, kind, Wasm]);
    let mut pair = Flow::new("Pair", vec![Probe::new("n1", Go, &["entrypoint"]), Probe::new("n2", Wasm, &["n1"])]);
    pair.nodes[0].replicas = 2;
    let folder = probe::version(&tools, &[alone("Python", Python), alone("Go", Go), pair]);
    let mut arguments = vec!["--nats".to_owned(), server.url(), "--native-ack-wait".to_owned(), "3".to_owned()];
    arguments.extend(tools.runners());
    let running = Running::start(folder.path(), &strs(&arguments));
    let marks = marks();
    for method in ["Python", "Go", "Pair"] {
        let started = Instant::now();
        let mark = mark(&marks, method);
        // It dies at the third, with others in hand that were pushed to it.
        let job = |n: usize| {
            let mut orders = vec![order("n1", "sleep", "", "10", "")];
            if n == 3 {
                orders.push(order("n1", "die", &mark, "", ""));
            }
            Job { orders, found: vec![n.to_string()], ..Job::default() }
        };
        let calls = (0..20).map(|n| {
            let (address, job) = (&running.grpc, job(n));
            async move { (n, call(address, method, &job).await.expect("a call").expect("an answer")) }
        });
        for (n, answer) in join_all(calls).await {
            assert_eq!(answer.found, [n.to_string()], "{method}: an answer of its own");
        }
        assert!(fs::exists(&mark).expect("known"), "{method}: it was killed");
        assert!(started.elapsed() < SOON, "{method}: {:?}", started.elapsed());
    }
    assert!(running.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_with_a_process_that_is_killed_on_the_oldest_server() {
    nothing_is_lost_with_a_process_that_is_killed(OLDEST).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_with_a_process_that_is_killed_on_the_current_server() {
    nothing_is_lost_with_a_process_that_is_killed(CURRENT).await;
}
