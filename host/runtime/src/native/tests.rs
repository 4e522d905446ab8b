//! Native nodes as real processes (`sh`), against a bus that only counts.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;

use super::*;

/// Recalls, and whether durables are read: what each look finds, the last one for ever.
#[derive(Default)]
struct Recorder(Mutex<Vec<(String, Duration)>>, Mutex<Vec<bool>>);

impl Durables for Recorder {
    fn is_bound(&self, _: &Durable) -> BoxFuture<'static, Result<bool, Unavailable>> {
        let mut looks = self.1.lock().unwrap();
        let found = if looks.len() > 1 { looks.remove(0) } else { looks.first().copied().unwrap_or(false) };
        Box::pin(async move { Ok(found) })
    }

    fn recall(
        &self,
        durable: &Durable,
        ack_wait: Duration,
        _: CancellationToken,
    ) -> BoxFuture<'static, Result<u64, Unavailable>> {
        self.0.lock().unwrap().push((durable.name.clone(), ack_wait));
        Box::pin(async { Ok(0) })
    }
}

fn topology(nodes: &str) -> Topology {
    let manifest = format!(
        "krtVersion: v2\nversion: v1\ndescription: d\nentrypoint:\n  proto: p.proto\nworkflows:\n  - name: flow\n    \
         entrypoint: Go\n    exitpoint: last\n    nodes:\n{nodes}"
    );
    let checked = krt::check::check("krt.yml", manifest.as_bytes(), None);
    checked.topology.unwrap_or_else(|| panic!("{:?}", checked.problems))
}

const TWO: &str =
    "      - {name: first, image: 'kre-py:1', src: src/main.py, subscriptions: [entrypoint], objectStore: {name: box}}
      - {name: last, image: kre-go, src: bin/last, replicas: 2, subscriptions: [first, first.late]}\n";

fn platform(variables: &[(&str, &str)], inherited: &[(&str, &str)]) -> Platform {
    Platform {
        runtime_id: "kre".into(),
        nats_server: "127.0.0.1:4222".into(),
        mongo_uri: String::new(),
        influx_uri: String::new(),
        package: PathBuf::from("/package"),
        is_own_copy: false,
        variables: variables.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect(),
        inherited: inherited.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect(),
    }
}

fn runners(all: &[&str]) -> Runners {
    Runners(all.iter().map(|text| text.parse().unwrap()).collect())
}

fn environment(node: &NativeNode) -> HashMap<&str, &str> {
    node.environment.iter().map(|(n, v)| (n.to_str().unwrap(), v.to_str().unwrap())).collect()
}

#[test]
fn a_node_finds_all_that_the_original_platform_sets() {
    let runners = runners(&["kre-py=python3 main.py {src}", "kre-go=run {name}"]);
    let nodes = nodes(&topology(TWO), &runners, &platform(&[], &[])).unwrap();
    assert_eq!(nodes[0].command, ["python3", "main.py", "/package/src/main.py"]);
    assert_eq!(nodes[1].command, ["run", "last"]);
    let (first, last) = (environment(&nodes[0]), environment(&nodes[1]));
    let mandatory = [
        ("KRT_RUNTIME_ID", "kre"),
        ("KRT_VERSION_ID", "v1"),
        ("KRT_VERSION", "v1"),
        ("KRT_WORKFLOW_NAME", "flow"),
        ("KRT_NODE_NAME", "last"),
        ("KRT_BASE_PATH", "/package"),
        ("KRT_HANDLER_PATH", "bin/last"),
        ("KRT_NATS_SERVER", "127.0.0.1:4222"),
        ("KRT_NATS_STREAM", "kre_v1_Go"),
        ("KRT_NATS_INPUTS", "kre_v1_Go.first,kre_v1_Go.first.late"),
        ("KRT_NATS_OUTPUT", "kre_v1_Go.last"),
        ("KRT_NATS_KEY_VALUE_STORE_PROJECT", "key-store_kre_v1"),
        ("KRT_NATS_KEY_VALUE_STORE_WORKFLOW", "key-store_kre_v1_flow"),
        ("KRT_NATS_KEY_VALUE_STORE_NODE", "key-store_kre_v1_flow_last"),
        ("KRT_NATS_MONGO_WRITER", "mongo_writer_data.kre"),
        ("KRT_MONGO_URI", ""),
        ("KRT_INFLUX_URI", ""),
        ("KRT_IS_EXITPOINT", "true"),
    ];
    for (name, value) in mandatory {
        assert_eq!(last.get(name), Some(&value), "{name}");
    }
    assert_eq!(first["KRT_NATS_OBJECT_STORE"], "kre_v1_flow_box");
    assert!(!last.contains_key("KRT_NATS_OBJECT_STORE"), "only when declared");
    assert!(last["KRT_NODE_ID"].len() == 5 && last["KRT_NODE_ID"] != first["KRT_NODE_ID"]);
    let durables: Vec<&str> = nodes[1].durables.iter().map(|durable| durable.name.as_str()).collect();
    assert_eq!(durables, ["kre_v1_Go-first-last", "kre_v1_Go-first-late-last"]);
}

#[test]
fn configuration_does_not_override_the_platform_and_krts_own_environment_is_not_passed_on() {
    let platform = platform(
        &[("API", "mine"), ("KRT_NODE_NAME", "forged"), ("KRT_MAX_PENDING_ACK", "7"), ("PATH", "/own")],
        &[("PATH", "/bin"), ("HOME", "/h"), ("KRT_NATS_TOKEN", "secret"), ("API", "outer")],
    );
    let nodes = nodes(&topology(TWO), &runners(&["kre-py=p", "kre-go=g"]), &platform).unwrap();
    let found = environment(&nodes[0]);
    let expected =
        [("API", "mine"), ("KRT_NODE_NAME", "first"), ("KRT_MAX_PENDING_ACK", "7"), ("PATH", "/own"), ("HOME", "/h")];
    for (name, value) in expected {
        assert_eq!(found[name], value, "{name}");
    }
    assert!(!found.contains_key("KRT_NATS_TOKEN"));
}

#[test]
fn an_image_without_a_runner_is_told_with_the_node_and_the_flag() {
    let error = nodes(&topology(TWO), &runners(&["kre-go=x"]), &platform(&[], &[])).unwrap_err().to_string();
    for word in ["\"first\"", "\"flow\"", "kre-py:1", "--runner 'kre-py=COMMAND'", "{src}"] {
        assert!(error.contains(word), "{word}: {error}");
    }
}

#[test]
fn a_program_that_is_not_executable_is_told_unless_it_is_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("bin")).unwrap();
    std::fs::write(folder.path().join("bin/last"), "x").unwrap();
    let platform = Platform { package: folder.path().to_owned(), ..platform(&[], &[]) };
    let runners = runners(&["kre-go={src}", "kre-py=p"]);
    let error = nodes(&topology(TWO), &runners, &platform).unwrap_err();
    assert!(matches!(&error, NativeError::NotExecutable { node, .. } if node == "last"), "{error}");
    // What was unpacked for this process alone is made so: archives have no modes.
    assert!(nodes(&topology(TWO), &runners, &Platform { is_own_copy: true, ..platform }).is_ok());
}

/// Options for one node that runs `script` in `sh`.
fn options(script: &str, replicas: u32, recorder: &Arc<Recorder>) -> NativeOptions {
    let node = NativeNode {
        workflow: "flow".into(),
        node: "shell".into(),
        replicas,
        command: vec!["/bin/sh".into(), "-c".into(), script.into()],
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        durables: vec![Durable { stream: "s".into(), name: "d".into() }],
    };
    let (grace, watch) = (Duration::from_secs(10), Duration::from_millis(20));
    NativeOptions { nodes: vec![node], durables: recorder.clone(), ack_wait: Duration::from_secs(7), grace, watch }
}

/// Lines of the file at `path`, once there are `count`.
async fn lines(path: &Path, count: usize) -> Vec<String> {
    tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            if lines.len() >= count && text.ends_with('\n') {
                return lines;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap()
}

fn is_alive(pid: &str) -> bool {
    // A zombie that init has not fetched yet is dead.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test]
async fn a_process_that_ends_is_started_again_and_what_it_held_is_recalled_first() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("starts");
    let recorder = Arc::new(Recorder::default());
    let stop = CancellationToken::new();
    let script = format!("echo started >> {}; exit 3", file.display());
    let supervisor = supervise(options(&script, 1, &recorder), &stop).unwrap();
    lines(&file, 2).await;
    stop.cancel();
    supervisor.ended().await;
    let recalled = recorder.0.lock().unwrap().clone();
    assert!(recalled.len() >= 2, "before each start: {recalled:?}");
    assert!(recalled.iter().all(|(name, wait)| name == "d" && *wait < Duration::from_secs(1)), "{recalled:?}");
}

#[tokio::test]
async fn what_a_replica_held_beside_others_is_recalled_after_the_ack_wait_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("starts");
    let recorder = Arc::new(Recorder::default());
    let stop = CancellationToken::new();
    // The first to come dies, the others stay.
    let script = format!(
        "mkdir {}/x 2>/dev/null && exit 1; echo $$ >> {}; exec sleep 1000",
        folder.path().display(),
        file.display()
    );
    let supervisor = supervise(options(&script, 2, &recorder), &stop).unwrap();
    lines(&file, 2).await;
    stop.cancel();
    supervisor.ended().await;
    let waits: Vec<u64> = recorder.0.lock().unwrap().iter().map(|(_, wait)| wait.as_secs()).collect();
    assert_eq!(waits, [0, 7]);
}

#[tokio::test]
async fn stopping_asks_first_and_leaves_nobody_of_the_group() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let recorder = Arc::new(Recorder::default());
    let stop = CancellationToken::new();
    let path = file.display();
    // A child that does not listen to TERM, in a program that does.
    let script = format!(
        "sh -c 'trap \"\" TERM; echo $$ >> {path}; sleep 1000' & trap 'echo asked >> {path}; exit 0' TERM; \
         echo $$ >> {path}; while :; do wait; done"
    );
    let supervisor = supervise(options(&script, 1, &recorder), &stop).unwrap();
    let pids = lines(&file, 2).await;
    stop.cancel();
    supervisor.ended().await;
    assert_eq!(lines(&file, 3).await[2], "asked");
    // A grandchild is nobody's to wait for here: it has been killed, and dies when the kernel gets round to it.
    let died = async {
        while pids.iter().any(|pid| is_alive(pid)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), died).await.expect("nobody of the group lives");
}

#[tokio::test]
async fn a_program_that_does_not_listen_is_killed_after_the_grace() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pids");
    let recorder = Arc::new(Recorder::default());
    let stop = CancellationToken::new();
    let script = format!("trap '' TERM; echo $$ >> {}; while :; do sleep 1; done", file.display());
    let options = NativeOptions { grace: Duration::from_millis(50), ..options(&script, 1, &recorder) };
    let supervisor = supervise(options, &stop).unwrap();
    let pids = lines(&file, 1).await;
    stop.cancel();
    supervisor.ended().await;
    assert!(!is_alive(&pids[0]));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_tried_again_and_stops_at_once() {
    let recorder = Arc::new(Recorder::default());
    let stop = CancellationToken::new();
    let mut options = options("", 1, &recorder);
    options.nodes[0].command = vec!["/nowhere/program".into()];
    let supervisor = supervise(options, &stop).unwrap();
    while recorder.0.lock().unwrap().len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.cancel();
    supervisor.ended().await;
}

#[tokio::test]
async fn a_process_that_lives_and_no_longer_reads_is_started_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("starts");
    let recorder = Arc::new(Recorder::default());
    let stop = CancellationToken::new();
    let script = format!("echo $$ >> {}; exec sleep 1000", file.display());
    let supervisor = supervise(options(&script, 1, &recorder), &stop).unwrap();
    // Not yet, for as long as it takes to start; then for a while, then no more.
    lines(&file, 1).await;
    *recorder.1.lock().unwrap() = vec![true, true, false];
    let pids = lines(&file, 2).await;
    assert!(!is_alive(&pids[0]) && is_alive(&pids[1]));
    stop.cancel();
    supervisor.ended().await;
    // Both times nobody read.
    assert_eq!(recorder.0.lock().unwrap().len(), 2);
}
