//! What `krt render` says of containers, taken at its word: each one's arguments and environment as a process on a real
//! server, with the package fetched and the components compiled beforehand. No cluster is needed for that.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use e2e::krt_binary;
use e2e::load::{self, Load, Message};
use e2e::nats::Server;
use serde_json::Value;

/// A container as a process; killed on drop.
struct Container {
    child: Child,
    ready: Value,
}

impl Drop for Container {
    fn drop(&mut self) {
        // Already gone when all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn krt(folder: &Path, line: &str) -> Value {
    let output = Command::new(krt_binary())
        .args(line.split_whitespace())
        .args(["--output", "json"])
        .current_dir(folder)
        .output()
        .expect("krt starts");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

/// Starts the first container of `deployment` with a folder of its own, and waits until it is ready.
fn start(deployment: &Value, config_map: &Value, scratch: &Path, more: &[(&str, &str)]) -> Container {
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let own = scratch.join(container["name"].as_str().expect("a name"));
    fs::create_dir_all(&own).expect("a folder");
    let subjects = own.join("nats_subject.json");
    fs::write(&subjects, config_map["data"]["nats_subject.json"].as_str().expect("subjects")).expect("written");
    let mut command = Command::new(krt_binary());
    command.args(container["args"].as_array().expect("arguments").iter().filter_map(Value::as_str));
    command.args(["--output", "json"]).env_clear().env("PATH", "/nowhere");
    for variable in container["env"].as_array().expect("an environment") {
        command.env(variable["name"].as_str().expect("a name"), variable["value"].as_str().expect("a value"));
    }
    // Where a pod has addresses and volumes of its own.
    command.env("KRT_WEB_ADDR", "127.0.0.1:0").env("KRT_CACHE_DIR", own.join("cache"));
    if deployment["metadata"]["labels"]["type"] == "entrypoint" {
        command.env("KRT_GRPC_ADDR", "127.0.0.1:0").env("KRT_NATS_SUBJECTS_FILE", subjects);
    }
    command.envs(more.iter().copied());
    let log = File::create(own.join("log")).expect("a file");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().expect("krt starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    lines.read_line(&mut line).expect("readable");
    let log = fs::read_to_string(own.join("log")).expect("a log");
    let ready: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}: {log}"));
    assert_eq!(ready["event"], "ready", "{log}");
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    Container { child, ready }
}

fn log(scratch: &Path, container: &str) -> String {
    fs::read_to_string(scratch.join(container).join("log")).expect("a log")
}

async fn answered(front: &Container) -> u64 {
    let load = Load {
        address: front.ready["grpc"].as_str().expect("an address").to_owned(),
        path: "/main.Entrypoint/Echo".to_owned(),
        in_flight: 10,
        message: Message::Blob(200),
        duration: Duration::from_secs(1),
    };
    load::run(&load).await.expect("every call is answered").calls
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rendered_containers_answer_calls_with_a_package_and_code_from_the_object_store() {
    let Some(server) = Server::start() else { return };
    let version = e2e::built("tests/guests/line");
    let (folder, scratch) = (version.path(), tempfile::tempdir().expect("a folder"));
    let nats = format!("--nats {}", server.url());
    krt(folder, &format!("provision . {nats}"));
    let pushed = krt(folder, &format!("push . {nats}"));
    let reference = pushed["ref"].as_str().expect("a reference");
    let compiled = krt(folder, &format!("compile {reference} {nats}"));
    assert_eq!(compiled.as_array().expect("a list").len(), 1, "three nodes of one component: {compiled}");
    let objects = krt(folder, &format!("render . --nats-url {}", server.url()));
    let items = objects["items"].as_array().expect("objects");
    let named = |kind: &str, name: &str| {
        let is = |item: &&Value| item["kind"] == kind && item["metadata"]["name"] == name;
        items.iter().find(is).unwrap_or_else(|| panic!("no {kind} {name}"))
    };
    let subjects = named("ConfigMap", "line-conf-files");
    assert_eq!(subjects["data"]["package"], *reference, "what is rendered is what was pushed");
    let code = compiled[0]["ref"].as_str().expect("a reference");
    let started = |name: &str, more: &[(&str, &str)]| start(named("Deployment", name), subjects, scratch.path(), more);
    let taken = "taken as it was compiled beforehand";
    let mut containers = Vec::new();
    containers.push(started("line-line-first", &[("KRT_COMPILED", code)]));
    assert!(log(scratch.path(), "line-line-first").contains(taken), "{}", log(scratch.path(), "line-line-first"));
    // Without: compiled there.
    containers.push(started("line-line-middle", &[]));
    assert!(!log(scratch.path(), "line-line-middle").contains(taken));
    // Native code that is not what the control plane compiled is never loaded, whoever wrote it there.
    let (name, _) = code.rsplit_once('@').expect("a digest");
    let name = name.rsplit('/').next().expect("a name");
    let client = async_nats::connect(server.url()).await.expect("connected");
    let store = async_nats::jetstream::new(client).get_object_store("compiled_kre").await.expect("a store");
    store.put(name, &mut &b"other code"[..]).await.expect("stored");
    containers.push(started("line-line-last", &[("KRT_COMPILED", code)]));
    let said = log(scratch.path(), "line-line-last");
    assert!(!said.contains(taken) && said.contains("is wanted"), "{said}");
    let front = started("line-entrypoint", &[]);
    assert!(answered(&front).await >= 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_waits_for_its_package_and_says_what_it_waits_for() {
    let Some(mut server) = Server::start() else { return };
    let version = e2e::built("tests/guests/line");
    let (folder, scratch) = (version.path(), tempfile::tempdir().expect("a folder"));
    let nats = format!("--nats {}", server.url());
    krt(folder, &format!("provision . {nats}"));
    krt(folder, &format!("push . {nats}"));
    let objects = krt(folder, &format!("render . --nats-url {}", server.url()));
    let items = objects["items"].as_array().expect("objects");
    let deployment = items.iter().find(|item| item["kind"] == "Deployment").expect("the entrypoint's");
    let config_map = items.iter().find(|item| item["kind"] == "ConfigMap").expect("the plan");
    server.kill();
    let starting = std::thread::spawn({
        let (deployment, config_map, scratch) = (deployment.clone(), config_map.clone(), scratch.path().to_owned());
        move || start(&deployment, &config_map, &scratch, &[])
    });
    let own = scratch.path().join("line/log");
    // The log is the event: it says so as soon as it has tried.
    while !fs::read_to_string(&own).is_ok_and(|log| log.contains("waiting for NATS")) {
        tokio::task::yield_now().await;
    }
    server.restart();
    let front = starting.join().expect("it became ready");
    assert!(front.ready["grpc"].is_string());
}
