//! What a user of a cluster types, from `krt push` to `krt delete`, on a real control plane with the operator and a real NATS.

use std::path::Path;
use std::process::Command;

use e2e::cluster::ground::{Ground, Sample};
use e2e::command::{Ran, ran};
use e2e::krt_binary;
use e2e::relay::Relay;
use krt_host::cluster::crd::{Phase, State, condition};
use serde_json::Value;

#[track_caller]
fn done(said: Ran) -> Ran {
    assert_eq!(said.code, 0, "{said:?}");
    said
}

/// Fails with one message that holds these texts.
#[track_caller]
fn refused(said: &Ran, texts: &[&str]) {
    assert_eq!(said.code, 1, "{said:?}");
    for text in texts {
        assert!(said.stderr.contains(text), "{text:?} is not in {said:?}");
    }
    assert!(!said.stderr.contains("panicked"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_is_pushed_deployed_published_rolled_back_and_deleted_by_commands() {
    let Some(ground) = Ground::new("commands").await else { return };
    let _operator = ground.operator();
    let first = ground.krt_push(&Sample::named("v1"));
    done(ground.krt(&["deploy", "v1", &first]));
    assert_eq!(ground.phase("v1", Phase::Stopped).await.phase, Phase::Stopped);
    let started = done(ground.krt(&["start", "v1"]));
    // What it waits for on the way is told as it changes, which may be too fast to be seen.
    assert!(started.stderr.contains("v1  Started  3/3"), "{started:?}");
    for node in ["entrypoint  1/1", "go/etl  1/1", "go/exitpoint  1/1"] {
        assert!(started.stderr.contains(node), "{node:?} is not in {started:?}");
    }
    assert_eq!(ground.leads("v1").await.as_deref(), Some("v1"));

    done(ground.krt(&["publish", "v1"]));
    assert_eq!(ground.leads("active-entrypoint").await.as_deref(), Some("v1"));
    let second = ground.krt_push(&Sample::named("v2"));
    done(ground.krt(&["deploy", "v2", &second, "--publish"]));
    assert_eq!(ground.leads("active-entrypoint").await.as_deref(), Some("v2"));

    let all = done(ground.krt(&["status"]));
    assert!(all.stdout.contains("v1") && all.stdout.contains("v2") && all.stdout.contains("Published"), "{all:?}");
    let one: Value =
        serde_json::from_str(&done(ground.krt(&["status", "v2", "--output", "json"])).stdout).expect("JSON");
    assert_eq!(one["status"]["phase"], "Published", "{one}");

    done(ground.krt(&["rollback"]));
    assert_eq!(ground.leads("active-entrypoint").await.as_deref(), Some("v1"));
    done(ground.krt(&["stop", "v2"]));
    assert_eq!(ground.leads("v2").await, None);
    done(ground.krt(&["unpublish", "v1"]));
    assert_eq!(ground.leads("active-entrypoint").await, None);
    assert_eq!(ground.leads("v1").await.as_deref(), Some("v1"), "who calls it by name goes on");
    for version in ["v1", "v2"] {
        done(ground.krt(&["delete", version]));
    }
    assert_eq!(ground.objects(), [""; 0]);
    assert_eq!(ground.streams().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_is_pushed_through_the_cluster_as_who_the_namespaces_secret_says() {
    let Some(ground) = Ground::new("through").await else { return };
    let (name, sample) = (ground.space.name.clone(), Sample::named("v1").folder());
    let folder = sample.path().to_str().expect("a text");
    refused(&ground.krt(&["push", folder]), &["no Secret \"krt-nats-push\" with the key \"url\"", "--nats"]);
    let secret = |url: &str| {
        ground.space.kubectl(&["delete", "secret", "krt-nats-push", "--ignore-not-found"]);
        ground.space.kubectl(&["create", "secret", "generic", "krt-nats-push", &format!("--from-literal=url={url}")]);
    };
    secret("tls://someone:geheim@nats.example.org:4222");
    let said = ground.krt(&["push", folder]);
    refused(&said, &["not one of a Service without TLS"]);
    assert!(!said.stderr.contains("geheim"), "{said:?}");
    secret(&format!("nats://someone:geheim@krt-nats.{name}.svc:4222"));
    refused(&ground.krt(&["push", folder]), &["the cluster refuses", "krt-nats"]);
    // As the chart has it: the Service's port leads to one that the pod names.
    ground.space.kubectl(&["run", "krt-nats-0", "--image=nats", "--labels=app=nats", "--port=4222"]);
    ground.space.kubectl(&["expose", "pod", "krt-nats-0", "--name=krt-nats", "--port=4222"]);
    ground.space.cluster.kubelet.lead(&name, "krt-nats-0", ground.nats.port());
    ground.space.kubectl(&["wait", "pod/krt-nats-0", "--for=condition=Ready", "--timeout=60s"]);
    let pushed = done(ground.krt(&["push", folder, "--output", "json"]));
    let pushed: Value = serde_json::from_str(&pushed.stdout).expect("JSON");
    let reference = pushed["ref"].as_str().expect("a reference");
    assert!(reference.starts_with(&format!("nats://packages_{name}/")), "{reference}");
    let _operator = ground.operator();
    done(ground.krt(&["deploy", "v1", reference, "--start"]));

    // Who may not.
    let token = ground.space.kubectl(&["create", "token", "default"]);
    let nobody = ground.space.cluster.kubeconfig_for("through-nobody", token.trim());
    let mut command = Command::new(krt_binary());
    let said = ran(command.args(["push", folder, "-n", &name, "--kubeconfig"]).arg(nobody).env_remove("KRT_NATS_URL"));
    refused(&said, &["the cluster refuses", "secrets \"krt-nats-push\" is forbidden"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publications_within_a_moment_are_rolled_back_in_the_order_in_which_they_were_asked_for() {
    let Some(ground) = Ground::new("moment").await else { return };
    let _operator = ground.operator();
    for version in ["v1", "v2", "v3"] {
        ground.deploy(version, State::Started).await;
        ground.phase(version, Phase::Started).await;
    }
    // Neither by their names nor by when they were made.
    for version in ["v3", "v1", "v2"] {
        ground.want(version, State::Published).await;
    }
    ground.phase("v2", Phase::Published).await;
    for version in ["v1", "v3"] {
        ground.until(version, |status| condition(status, "Published").is_some_and(|it| it.reason == "Displaced")).await;
    }
    done(ground.krt(&["rollback"]));
    assert_eq!(ground.leads("active-entrypoint").await.as_deref(), Some("v1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_is_set_by_a_command_and_what_cannot_be_done_is_said() {
    let Some(ground) = Ground::new("refused").await else { return };
    let _operator = ground.operator();
    refused(&ground.krt(&["start", "nothing"]), &["nothing"]);
    refused(&ground.krt(&["rollback"]), &["no version was displaced"]);
    refused(&ground.krt(&["deploy", "v1", "oci://127.0.0.1:1/v1:latest"]), &["may come to mean another package"]);

    let sample = Sample { more: "config:\n  variables: [LEVEL]\n".to_owned(), ..Sample::named("v1") };
    let reference = ground.krt_push(&sample);
    let incomplete = ground.krt(&["deploy", "v1", &reference, "--start", "--timeout", "60"]);
    refused(&incomplete, &["LEVEL"]);
    done(ground.krt(&["config", "set", "v1", "LEVEL=debug"]));
    ground.phase("v1", Phase::Started).await;

    // A package that is not there.
    let (store, digest) = reference.rsplit_once('/').expect("a digest");
    let digest: String = digest.chars().rev().collect();
    let missing = format!("{store}/{digest}");
    ground.create("v3", &missing, State::Stopped).await;
    refused(&ground.krt(&["start", "v3", "--timeout", "15"]), &["v3", "there is no object", &digest]);
    refused(&ground.krt(&["start", "v1", "--context", "none"]), &["none"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_whose_nats_is_gone_for_good_goes_by_force_and_what_is_left_is_said() {
    let Some(mut ground) = Ground::new("force").await else { return };
    let _operator = ground.operator();
    ground.deploy("v1", State::Started).await;
    ground.phase("v1", Phase::Started).await;
    ground.server().kill();
    done(ground.krt(&["delete", "v1", "--no-wait"]));
    // Its pods are gone, and that is how far it comes.
    let waiting = ground.until("v1", |status| status.message.contains("krt delete v1 --force")).await;
    assert_eq!(condition(&waiting, "Degraded").map(|it| it.reason.as_str()), Some("BusAway"), "{waiting:?}");
    let said = ground.krt(&["delete", "v1", "--timeout", "2"]);
    refused(&said, &["v1 is not gone after 2 s", "NATS", "krt delete v1 --force lets it go"]);
    let forced = done(ground.krt(&["delete", "v1", "--force"]));
    let stream = format!("{}_v1_Ask", ground.space.name);
    for text in ["left on NATS: streams ", &stream, "krt deprovision"] {
        assert!(forced.stderr.contains(text), "{text:?} is not in {forced:?}");
    }
    assert_eq!(ground.objects(), [""; 0]);
    assert!(ground.versions().get_opt("v1").await.expect("an answer").is_none());

    // It came back after all.
    ground.server().restart();
    assert!(ground.streams().await.contains(&stream));
    let folder = Sample::named("v1").folder();
    let removed = ran(Command::new(krt_binary())
        .args(["deprovision", "--key-value", "--dead-letters", "--runtime-id", &ground.space.name])
        .args(["--nats", &ground.nats.url()])
        .arg(folder.path()));
    done(removed);
    assert_eq!(ground.streams().await, [""; 0]);

    // Where nobody is in its way, force takes nothing from what is done otherwise.
    ground.deploy("v2", State::Started).await;
    ground.phase("v2", Phase::Started).await;
    let forced = done(ground.krt(&["delete", "--all", "--force"]));
    assert!(!forced.stderr.contains("left on NATS"), "{forced:?}");
    assert_eq!((ground.objects(), ground.streams().await), (Vec::new(), Vec::new()));
}

/// `krt logs` that follows, as who has this kubeconfig; its lines.
fn following(
    ground: &Ground,
    kubeconfig: &Path,
    arguments: &[&str],
) -> (std::process::Child, impl Iterator<Item = String> + use<>) {
    use std::io::BufRead as _;
    let mut child = Command::new(krt_binary())
        .args(["logs", "v1", "-f"])
        .args(arguments)
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(["-n", &ground.space.name])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("krt starts");
    let lines = std::io::BufReader::new(child.stdout.take().expect("piped")).lines();
    (child, lines.map(|line| line.expect("a text")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_of_the_nodes_asked_for_and_followed_over_pods_that_go_and_come() {
    let Some(ground) = Ground::new("logs").await else { return };
    let kubelet = &ground.space.cluster.kubelet;
    let _operator = ground.operator();
    ground.deploy("v1", State::Started).await;
    ground.phase("v1", Phase::Started).await;
    let name = ground.space.name.clone();
    kubelet.say(&name, "v1-go-etl", b"etl of one");
    kubelet.say(&name, "v1-go-etl", b"etl of two \xff");
    kubelet.say(&name, "v1-go-exitpoint", b"exitpoint of one");
    let all = done(ground.krt(&["logs", "v1"]));
    assert_eq!(
        all.stdout, "go/etl  etl of one\ngo/etl  etl of two \u{fffd}\ngo/exitpoint  exitpoint of one\n",
        "{all:?}"
    );
    assert_eq!(
        done(ground.krt(&["logs", "v1", "--node", "etl", "--tail", "1"])).stdout,
        "go/etl  etl of two \u{fffd}\n"
    );
    assert_eq!(
        done(ground.krt(&["logs", "v1", "--request", "of one", "--node", "go/etl"])).stdout,
        "go/etl  etl of one\n"
    );
    refused(&ground.krt(&["logs", "v1", "--node", "nothing"]), &["no node", "go/etl, go/exitpoint"]);
    refused(&ground.krt(&["logs", "v2"]), &["no version"]);
    let json: Value = serde_json::from_str(
        &done(ground.krt(&["logs", "v1", "--tail", "1", "--node", "etl", "--output", "json"])).stdout,
    )
    .expect("JSON");
    assert!(json["pod"].as_str().expect("a pod").starts_with("v1-go-etl-"), "{json}");

    let (mut child, mut lines) =
        following(&ground, &ground.space.cluster.kubeconfig(), &["--node", "etl", "--tail", "1"]);
    assert_eq!(lines.next().as_deref(), Some("go/etl  etl of two \u{fffd}"));
    kubelet.say(&name, "v1-go-exitpoint", b"not asked for");
    kubelet.say(&name, "v1-go-etl", b"three");
    assert_eq!(lines.next().as_deref(), Some("go/etl  three"));
    kubelet.say(&name, "v1-go-etl", b"four");
    assert_eq!(lines.next().as_deref(), Some("go/etl  four"));
    // Another pod takes its place: what it says is shown from its beginning.
    ground.space.kubectl(&["delete", "pod", "-l", "node-name=etl"]);
    let again: Vec<String> = lines.by_ref().take(4).collect();
    assert_eq!(again, ["go/etl  etl of one", "go/etl  etl of two \u{fffd}", "go/etl  three", "go/etl  four"]);
    ground.delete("v1").await;
    assert_eq!(lines.next(), None, "it ends with the version");
    assert!(child.wait().expect("a status").success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_go_on_over_connections_that_break_and_no_line_is_lost_or_shown_twice() {
    let Some(ground) = Ground::new("broken").await else { return };
    let (cluster, name) = (&ground.space.cluster, ground.space.name.as_str());
    let _operator = ground.operator();
    ground.deploy("v1", State::Started).await;
    ground.phase("v1", Phase::Started).await;
    let relay = Relay::to(cluster.port());
    let text = std::fs::read_to_string(cluster.kubeconfig()).expect("a kubeconfig");
    let over_relay = cluster.kubeconfig().with_file_name("relay.kubeconfig");
    let text = text.replace(&format!(":{}", cluster.port()), &format!(":{}", relay.port()));
    std::fs::write(&over_relay, text).expect("written");
    let (mut child, mut lines) = following(&ground, &over_relay, &["--node", "etl"]);
    let mut expect = |text: &str| assert_eq!(lines.next().as_deref(), Some(format!("go/etl  {text}").as_str()));
    let say = |text: &str| cluster.kubelet.say(name, "v1-go-etl", text.as_bytes());
    for round in 0..3 {
        // Between the API server and the kubelet, within a line: the API server ends the answer as if all was said.
        say(&format!("before {round}"));
        cluster.kubelet.say_and_cut(name, "v1-go-etl", format!("half {round}, and half").as_bytes());
        say(&format!("meanwhile {round}"));
        for text in ["before {}", "half {}, and half", "meanwhile {}"] {
            expect(&text.replace("{}", &round.to_string()));
        }
        // Between krt and the API server.
        relay.cut();
        say(&format!("without krt {round}"));
        expect(&format!("without krt {round}"));
    }
    ground.delete("v1").await;
    assert_eq!(lines.next(), None, "it ends with the version, over what is left of its connections");
    assert!(child.wait().expect("a status").success());
}

/// What `krt doctor` says as who has this kubeconfig; none = nothing names a cluster.
fn doctor(kubeconfig: Option<&std::path::Path>, arguments: &[&str]) -> Ran {
    let home = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(krt_binary());
    command.arg("doctor").args(arguments).env("HOME", home.path()).env_remove("KUBECONFIG").env_remove("KRT_NATS_URL");
    if let Some(kubeconfig) = kubeconfig {
        command.arg("--kubeconfig").arg(kubeconfig);
    }
    ran(&mut command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_says_of_a_cluster_and_of_nats_what_is_missing_and_what_to_do() {
    let Some(ground) = Ground::new("doctor").await else { return };
    let (cluster, name) = (&ground.space.cluster, ground.space.name.as_str());
    let url = ground.nats.url();
    let _operator = ground.operator();
    ground.space.kubectl(&["wait", "--for=create", "lease/krt-operator", "--timeout=60s"]);
    let well = done(ground.krt(&["doctor", "--nats", &url]));
    for text in [
        "API server",
        "v1alpha1, as this krt knows it",
        "you may create, patch versions",
        &format!("the Lease {name}/"),
        "enabled for this account",
    ] {
        assert!(well.stdout.contains(text), "{text:?} is not in {well:?}");
    }
    assert!(!well.stdout.contains("!!") && !well.stdout.contains("Python"), "{well:?}");
    let json: Value =
        serde_json::from_str(&done(ground.krt(&["doctor", "--nats", &url, "--output", "json"])).stdout).expect("JSON");
    assert_eq!((&json["cluster"]["ok"], &json["nats"]["ok"]), (&Value::Bool(true), &Value::Bool(true)), "{json}");

    // Who may nothing.
    let token = ground.space.kubectl(&["create", "token", "default"]);
    let nobody = cluster.kubeconfig_for("nobody", token.trim());
    let said = doctor(Some(&nobody), &["-n", name, "--nats", "127.0.0.1:1"]);
    assert_eq!(said.code, 1, "{said:?}");
    for text in [
        "!!  deploy, start, publish, config",
        "you may not create, patch versions in",
        "ask for a role",
        "you may not read Leases",
        "NATS at 127.0.0.1:1 is away",
    ] {
        assert!(said.stdout.contains(text), "{text:?} is not in {said:?}");
    }
    // Known all the same: discovery is everybody's.
    assert!(said.stdout.contains("you may not read its definition"), "{said:?}");

    // Nobody answers there.
    let away = std::fs::read_to_string(&nobody).expect("read").replace("https://127.0.0.1:", "https://127.0.0.1:1/");
    let elsewhere = nobody.with_extension("away");
    std::fs::write(&elsewhere, away).expect("written");
    let said = doctor(Some(&elsewhere), &[]);
    assert!(said.code == 1 && said.stdout.contains("!!  API server"), "{said:?}");
    assert!(said.stdout.contains("--  no NATS was looked at"), "{said:?}");
}

#[test]
fn the_doctor_says_in_a_line_that_there_is_no_cluster_to_look_at() {
    let said = doctor(None, &[]);
    assert!(said.stdout.contains("--  no cluster was looked at: there is no kubeconfig"), "{said:?}");
    assert!(said.stdout.contains("--  no NATS was looked at: say --nats URL"), "{said:?}");
    let said = doctor(None, &["--lang", "rust", "--output", "json"]);
    let json: Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert!(json["languages"][0]["language"] == "Rust" && json["cluster"].is_null(), "{json}");
    let said = doctor(None, &["--context", "prod"]);
    assert!(said.code == 1 && said.stdout.contains("!!  API server"), "{said:?}");
}
