//! `krt run --nats`, `krt provision` and `krt deprovision` as processes, on a real server.

use std::io::{BufRead as _, BufReader};
use std::time::Duration;

use e2e::command::krt;
use e2e::load::{self, Load, Message};
use e2e::nats::Server;
use e2e::running::Running;
use e2e::workspace;

fn load(running: &Running, in_flight: usize, seconds: u64) -> Load {
    Load {
        address: running.grpc.clone(),
        path: "/main.Entrypoint/Echo".to_owned(),
        in_flight,
        message: Message::Blob(1024),
        duration: Duration::from_secs(seconds),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn calls_through_three_nodes_on_nats_each_get_their_own_answer() {
    let Some(server) = Server::start() else { return };
    let version = e2e::built("tests/guests/line");
    let running = Running::start(version.path(), &["--nats", &server.url()]);
    let outcome = load::run(&load(&running, 200, 3)).await.expect("every call is answered with its own payload");
    assert!(outcome.calls >= 200, "only {} calls were answered", outcome.calls);
    assert!(running.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_server_that_comes_later_is_waited_for_with_its_reason_told() {
    let Some(mut server) = Server::start() else { return };
    server.kill();
    let version = e2e::built("tests/guests/line");
    let (log, out) = std::io::pipe().expect("a pipe");
    let url = format!("nats://user:geheim@127.0.0.1:{}", server.port());
    let path = version.path().to_owned();
    let starting = tokio::task::spawn_blocking(move || Running::start_with(&path, &["--nats", &url], out.into()));
    let mut lines = BufReader::new(log).lines().map(|line| line.expect("readable"));
    let waits = lines.find(|line| line.contains("waiting for NATS")).expect("it says that it waits");
    assert!(waits.contains(&format!("127.0.0.1:{}", server.port())) && !waits.contains("geheim"), "{waits}");
    server.restart();
    let running = starting.await.expect("it becomes ready");
    let outcome = load::run(&load(&running, 1, 1)).await.expect("calls are answered");
    assert!(outcome.calls > 0);
    assert!(running.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_version_is_made_once_left_as_it_is_and_removed_but_for_its_configuration() {
    let Some(server) = Server::start() else { return };
    let example = workspace().join("examples/classificator");
    let run = async |command: &str, flags: &[&str]| {
        let url = server.url();
        let arguments = [&[command, ".", "--output", "json", "--nats", &url], flags].concat();
        let ran = krt(&example, arguments).await;
        assert_eq!(ran.code, 0, "{ran:#?}");
        let changes = ran.json()["changes"].as_array().expect("a list").clone();
        let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
        changes.iter().map(|change| (text(&change["kind"]), text(&change["done"]))).collect::<Vec<_>>()
    };
    let created = run("provision", &[]).await;
    assert!(created.len() > 10 && created.iter().all(|(_, done)| done == "created"), "{created:?}");
    let again = run("provision", &[]).await;
    assert!(again.len() == created.len() && again.iter().all(|(_, done)| done == "unchanged"), "{again:?}");
    let bounded = run("provision", &["--max-bytes", "1000000"]).await;
    assert!(bounded.iter().all(|(kind, done)| (kind == "stream") == (done == "updated")), "{bounded:?}");
    let removed = run("deprovision", &[]).await;
    assert!(removed.iter().all(|(kind, done)| (kind == "key-value") == (done == "kept")), "{removed:?}");
    let rest = run("deprovision", &["--key-value"]).await;
    assert!(rest.iter().all(|(kind, done)| (kind == "key-value") == (done == "removed")), "{rest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_would_be_lost_is_named_and_nothing_is_changed() {
    let Some(server) = Server::start() else { return };
    let nats = async_nats::connect(server.url()).await.expect("connected");
    let jetstream = async_nats::jetstream::new(nats);
    let example = workspace().join("examples/two-workflows");
    let url = server.url();
    let provision = async |flags: &[&str]| krt(&example, [&["provision", ".", "--nats", &url], flags].concat()).await;
    // Somebody made a stream of that name for something else.
    let plan = krt(&example, ["plan", ".", "--output", "json"]).await.json();
    let name = plan["streams"][0]["name"].as_str().expect("a name").to_owned();
    let config = async_nats::jetstream::stream::Config {
        name: name.clone(),
        subjects: vec!["mine".into()],
        ..Default::default()
    };
    jetstream.create_stream(config).await.expect("made");
    jetstream.publish("mine", "precious".into()).await.expect("sent").await.expect("stored");
    let refused = provision(&[]).await;
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains(&name) && refused.stderr.contains("1 messages"), "{refused:#?}");
    let streams: Vec<_> = {
        use futures::TryStreamExt as _;
        jetstream.stream_names().try_collect().await.expect("listed")
    };
    assert_eq!(streams, [name], "nothing else was made");
    assert_eq!(provision(&["--force"]).await.code, 0);
    assert_eq!(provision(&[]).await.code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_command_says_why_it_cannot_reach_nats() {
    let example = workspace().join("examples/two-workflows");
    let nowhere = krt(&example, ["provision", "."]).await;
    assert!(nowhere.code == 1 && nowhere.stderr.contains("--nats"), "{nowhere:#?}");
    let away = ["provision", ".", "--nats", "nats://u:geheim@127.0.0.1:1", "--wait", "0.5"];
    let away = krt(&example, away).await;
    assert!(away.code == 1 && away.stderr.contains("127.0.0.1:1"), "{away:#?}");
    assert!(!away.stderr.contains("geheim"), "{away:#?}");
    let wrong = krt(&example, ["provision", ".", "--nats", "http://geheim"]).await;
    assert!(wrong.code == 1 && wrong.stderr.contains("nats://HOST:PORT"), "{wrong:#?}");
}
