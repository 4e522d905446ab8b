//! The chart `charts/krt`, by real Helm: linted, rendered as the goldens in `tests/chart` say, taken by Kubernetes' schemas,
//! and its accounts kept apart by a real NATS. `BLESS=1` rewrites goldens and README.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use e2e::nats::{CURRENT, Server, binary};
use e2e::{bus, chart, skipped, workspace};
use krt_host::artifact::{Archive, Digest, RemoteError, nats};
use krt_host::bus::nats::provision::{ApplyOptions, apply};
use krt_host::nats::{ConnectError, NatsOptions, connect};
use krt_host::telemetry::{CallLabels, Metrics, NodeLabels, OutcomeLabels};
use serde_json::Value;

/// Values in `tests/chart`.
const CASES: [&str; 4] = ["default", "tenants", "external", "external-tenant"];

/// What a script installs; nothing where it cannot.
fn installed(script: &str, arguments: &[&str]) -> Option<PathBuf> {
    let output = Command::new(workspace().join("scripts").join(script)).args(arguments).output().expect("it starts");
    if !output.status.success() {
        skipped(&format!("{script} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)));
        return None;
    }
    Some(PathBuf::from(String::from_utf8(output.stdout).expect("UTF-8").trim()))
}

fn helm() -> Option<PathBuf> {
    installed("cluster.sh", &["helm"])
}

fn run(helm: &Path, arguments: &[&str]) -> Output {
    // Neither plugins nor repositories of whoever runs this.
    let home = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(helm);
    command.args(arguments).current_dir(workspace()).env("HOME", home.path());
    for name in ["HELM_CONFIG_HOME", "HELM_CACHE_HOME", "HELM_DATA_HOME", "KUBECONFIG"] {
        command.env_remove(name);
    }
    command.output().expect("helm starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn values(case: &str) -> String {
    format!("tests/chart/{case}.values.yaml")
}

/// The objects of a case.
fn rendered(helm: &Path, case: &str) -> String {
    let template = ["template", "krt", "charts/krt", "--namespace", "krt", "--kube-version", "1.36", "--values"];
    let output = run(helm, &[&template[..], &[&values(case)]].concat());
    assert!(output.status.success(), "{case}: {}", said(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The same as values, by the Python with the schemas of Kubernetes.
fn objects(python: &Path, text: &str) -> Vec<Value> {
    const TO_JSON: &str =
        "import json, sys, yaml; print(json.dumps([it for it in yaml.safe_load_all(open(sys.argv[1])) if it]))";
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), text).expect("written");
    let output = Command::new(python).args(["-c", TO_JSON]).arg(file.path()).output().expect("python starts");
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn python() -> Option<PathBuf> {
    Some(installed("kubernetes-validate.sh", &[])?.join("venv/bin/python3"))
}

#[test]
fn helm_finds_nothing_wrong_with_the_chart() {
    let Some(helm) = helm() else { return };
    for case in CASES {
        let output =
            run(&helm, &["lint", "charts/krt", "--strict", "--kube-version", "1.36", "--values", &values(case)]);
        assert!(output.status.success(), "{case}: {}", said(&output));
    }
}

#[test]
fn each_set_of_values_has_its_exact_objects() {
    let Some(helm) = helm() else { return };
    let mut differences = Vec::new();
    for case in CASES {
        let text = rendered(&helm, case);
        let golden = workspace().join("tests/chart").join(case).with_extension("yaml");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&golden, &text).expect("written");
        } else if fs::read_to_string(&golden).ok().as_ref() != Some(&text) {
            differences.push(format!("{}\n--- said\n{text}", golden.display()));
        }
    }
    assert!(differences.is_empty(), "{}\n\n`make bless` accepts what is said", differences.join("\n\n"));
}

#[test]
fn kubernetes_takes_every_object() {
    let (Some(helm), Some(python)) = (helm(), python()) else { return };
    // Their definitions are not Kubernetes' own.
    let foreign = ["ServiceMonitor", "PodMonitor", "GRPCRoute"];
    for case in CASES {
        let text = rendered(&helm, case);
        let there = tempfile::Builder::new().suffix(".yaml").tempfile().expect("a file");
        fs::write(there.path(), &text).expect("written");
        let all = objects(&python, &text);
        let own = all.iter().filter(|it| !foreign.iter().any(|kind| it["kind"] == *kind)).count();
        let validate = python.with_file_name("kubernetes-validate");
        let output =
            Command::new(validate).args(["-k", "1.36", "--strict"]).arg(there.path()).output().expect("it starts");
        let said = said(&output);
        let passed = said.lines().filter(|line| line.starts_with("INFO") && line.contains("passed")).count();
        assert_eq!(passed, own, "{case}: {said}");
    }
}

#[test]
fn nobody_may_do_everything_and_pods_are_restricted() {
    let (Some(helm), Some(python)) = (helm(), python()) else { return };
    for case in CASES {
        let all = objects(&python, &rendered(&helm, case));
        let mut rules = 0;
        for rule in all.iter().flat_map(|it| it["rules"].as_array().into_iter().flatten()) {
            if rule.get("verbs").is_some() {
                rules += 1;
                assert!(!rule.to_string().contains('*'), "{case}: {rule}");
            }
        }
        assert!(rules > 0, "{case}");
        for object in &all {
            let kind = object["kind"].as_str().unwrap_or_default();
            let pod = match kind {
                "Pod" => &object["spec"],
                "Deployment" | "StatefulSet" | "Job" => &object["spec"]["template"]["spec"],
                _ => continue,
            };
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{case}: {kind}");
            assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{case}: {kind}");
            for container in pod["containers"].as_array().expect("containers") {
                let context = &container["securityContext"];
                assert_eq!(context["readOnlyRootFilesystem"], true, "{case}: {kind}");
                assert_eq!(context["allowPrivilegeEscalation"], false, "{case}: {kind}");
                assert_eq!(context["capabilities"]["drop"], serde_json::json!(["ALL"]), "{case}: {kind}");
                assert!(container["resources"]["limits"]["memory"].is_string(), "{case}: {kind}");
            }
        }
    }
}

#[test]
fn a_tenants_operator_may_work_in_its_namespace_only() {
    let (Some(helm), Some(python)) = (helm(), python()) else { return };
    let all = objects(&python, &rendered(&helm, "tenants"));
    let bound = |account: &str| {
        let names = all.iter().filter(|it| it["kind"] == "RoleBinding" && it["subjects"][0]["name"] == account);
        let mut places: Vec<_> = names
            .map(|it| (it["roleRef"]["name"].as_str().unwrap(), it["metadata"]["namespace"].as_str().unwrap()))
            .collect();
        places.sort_unstable();
        places
    };
    let own = "krt-operator-team-a";
    assert_eq!(bound(own), [(own, "team-a"), ("krt-operator-team-a-leader", "krt")]);
    assert_eq!(
        bound("krt-operator"),
        [("krt-operator", "krt"), ("krt-operator", "shared"), ("krt-operator-leader", "krt")]
    );
    assert!(!all.iter().any(|it| it["kind"] == "ClusterRoleBinding"));
    let operator = all.iter().find(|it| it["kind"] == "Deployment" && it["metadata"]["name"] == own).expect("it");
    let env = operator["spec"]["template"]["spec"]["containers"][0]["env"].as_array().expect("variables");
    let of = |name: &str| env.iter().find(|it| it["name"] == name).expect("a variable");
    assert_eq!(of("KRT_NAMESPACES")["value"], "team-a");
    assert_eq!(of("KRT_NATS_URL")["valueFrom"]["secretKeyRef"]["name"], "krt-nats-operator-team-a");
}

#[test]
fn values_that_are_misspelt_or_cannot_go_together_are_refused() {
    let Some(helm) = helm() else { return };
    for (set, why) in [
        ("opertor.replicas=2", "opertor"),
        ("nats.urls={nats://user:geheim@nats:4222}", "does not match pattern"),
        ("scope.clusterWide=true,tenants[0].name=team-a", "tenants have operators of their own"),
        ("scope.namespaces={team-a},tenants[0].name=team-a", "its namespace is the release's or one of"),
        ("tenants[0].name=Team_A", "does not match pattern"),
        ("exposed[0].namespace=team-a", "host"),
        ("versions.mongo.secret=mongo", "host and port"),
        ("packages.verifyKey=x", "does not match pattern"),
        (
            "tenants[0].name=team-a,tenantDefaults.keepNamespaces=false,uninstall.deleteVersions=false",
            "versions would keep tenants' namespaces from going",
        ),
    ] {
        let output = run(&helm, &["template", "krt", "charts/krt", "--namespace", "krt", "--set", set]);
        assert!(!output.status.success() && said(&output).contains(why), "{set}: {}", said(&output));
    }
}

#[test]
fn the_readme_is_current() {
    let values = fs::read_to_string(workspace().join("charts/krt/values.yaml")).expect("values");
    let (path, text) = (workspace().join("charts/krt/README.md"), chart::readme(&values));
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &text).expect("written");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == text, "`make bless` rewrites {}: the values changed", path.display());
}

/// All that a process tells of itself: families are told of once they have a value.
fn all_metrics() -> String {
    let metrics = Metrics::default();
    let (workflow, node) = ("w".to_owned(), "n".to_owned());
    let of_node = NodeLabels { workflow: workflow.clone(), node: node.clone() };
    metrics.messages.get_or_create(&OutcomeLabels { workflow, node, outcome: "ok" }).inc();
    metrics.elapsed.get_or_create(&of_node).observe(1.0);
    metrics.in_hand.get_or_create(&of_node).inc();
    for counters in [&metrics.redeliveries, &metrics.dead_letters, &metrics.replaced_instances] {
        counters.get_or_create(&of_node).inc();
    }
    let of_call = CallLabels { method: "M".to_owned(), status: "OK" };
    metrics.calls.get_or_create(&of_call).inc();
    metrics.call_seconds.get_or_create(&of_call).observe(1.0);
    metrics.encode()
}

#[test]
fn the_dashboard_shows_metrics_that_there_are() {
    let text = fs::read_to_string(workspace().join("charts/krt/files/dashboard.json")).expect("a dashboard");
    let _: Value = serde_json::from_str(&text).expect("JSON");
    let metrics = all_metrics();
    let named = regex::Regex::new(r"krt_[a-z_]+").expect("a pattern");
    let mut found = 0;
    for name in named.find_iter(&text) {
        // As the text format ends the names of counters and histograms.
        let name = name.as_str().trim_end_matches("_total").trim_end_matches("_bucket");
        found += 1;
        assert!(metrics.contains(&format!("# HELP {name} ")), "{name} is not in\n{metrics}");
    }
    assert!(found > 5);
}

#[test]
fn nats_takes_the_configuration_of_a_server_and_of_a_cluster() {
    let (Some(helm), Some(python), Some(server)) = (helm(), python(), binary(CURRENT)) else { return };
    for case in ["default", "tenants"] {
        let all = objects(&python, &rendered(&helm, case));
        let secret = all.iter().find(|it| it["metadata"]["name"] == "krt-nats-server").expect("the configuration");
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in secret["stringData"].as_object().expect("files") {
            fs::write(folder.path().join(name), text.as_str().expect("a text")).expect("written");
        }
        let output = Command::new(&server)
            .args(["-t", "-c"])
            .arg(folder.path().join("nats.conf"))
            .env("POD_NAME", "krt-nats-0")
            .output()
            .expect("the server starts");
        assert!(output.status.success(), "{case}: {}", said(&output));
    }
}

/// The chart's accounts on a real server, and who is whom there.
struct Accounts {
    server: Server,
    all: Vec<Value>,
}

impl Accounts {
    fn start() -> Option<Self> {
        let (Some(helm), Some(python)) = (helm(), python()) else { return None };
        let all = objects(&python, &rendered(&helm, "tenants"));
        let configuration = secret(&all, "krt", "krt-nats-server", "accounts.conf");
        Some(Self { server: Server::configured(CURRENT, &configuration)?, all })
    }

    /// Where a Secret leads, here.
    fn of(&self, namespace: &str, name: &str) -> NatsOptions {
        let url = secret(&self.all, namespace, name, "url");
        let (who, _) = url.strip_prefix("nats://").and_then(|rest| rest.split_once('@')).expect("a user");
        bus::options(&format!("nats://{who}@127.0.0.1:{}", self.server.port()))
    }
}

fn secret(all: &[Value], namespace: &str, name: &str, key: &str) -> String {
    let is = |it: &&Value| {
        it["kind"] == "Secret" && it["metadata"]["name"] == name && it["metadata"]["namespace"] == namespace
    };
    let found = all.iter().find(is).unwrap_or_else(|| panic!("{namespace}/{name}"));
    found["stringData"][key].as_str().expect("a text").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_charts_nats_a_tenant_sees_nothing_of_another() {
    let Some(accounts) = Accounts::start() else { return };
    let (a, b) = (accounts.of("krt", "krt-nats-operator-team-a"), accounts.of("krt", "krt-nats-operator-team-b"));
    let (of_a, of_b) = (connect(&a, None).await.expect("a"), connect(&b, None).await.expect("b"));

    // The same names, and neither meets the other's: streams, buckets, subjects.
    let plan = bus::plan(bus::PATIENCE);
    apply(&of_a, &plan, &ApplyOptions::default()).await.expect("applied");
    let stream = &plan.streams[0];
    of_a.jetstream().get_stream(&stream.name).await.expect("its own");
    let strange = of_b.jetstream().get_stream(&stream.name).await;
    assert!(strange.is_err(), "a stream of another account was seen");
    let subject = stream.subjects[0].clone();
    let refused = of_b.jetstream().publish(subject.clone(), "x".into()).await.expect("sent").await;
    assert!(refused.is_err(), "a message of another account was stored");
    let mut overheard = of_b.client().subscribe(">").await.expect("subscribed");
    of_b.client().flush().await.expect("flushed");
    of_a.jetstream().publish(subject, "x".into()).await.expect("sent").await.expect("stored");
    of_a.client().flush().await.expect("flushed");
    of_b.client().publish("mine", "y".into()).await.expect("sent");
    let first = futures::StreamExt::next(&mut overheard).await.expect("a message");
    assert_eq!(first.subject.as_str(), "mine", "what another account sent was heard");

    let mut stranger = a;
    stranger.urls = vec![stranger.urls[0].replace("not-a-secret-a", "not-a-secret-b")];
    assert!(matches!(connect(&stranger, None).await, Err(ConnectError::Denied { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_read_packages_and_compiled_components_and_change_neither() {
    let Some(accounts) = Accounts::start() else { return };
    let connected = async |namespace, name| connect(&accounts.of(namespace, name), None).await.expect("connected");
    let operator = connected("krt", "krt-nats-operator-team-a").await;
    let pods = connected("team-a", "krt-nats").await;
    let pusher = connected("team-a", "krt-nats-push").await;
    let (packages, compiled) = (krt::names::packages("team-a"), krt::names::compiled("team-a"));
    let archive = |text: &str| {
        let mut file = tempfile::tempfile().expect("a file");
        std::io::Write::write_all(&mut file, text.as_bytes()).expect("written");
        std::io::Seek::rewind(&mut file).expect("at its beginning");
        Archive { file, size: text.len() as u64, digest: Digest::of(text.as_bytes()) }
    };

    // Who pushes needs to be able to do that, and no more.
    let digest = Digest::of(b"a package");
    nats::push(&pusher, &packages, archive("a package"), None, 1).await.expect("pushed");
    nats::push(&pusher, &packages, archive("a package"), None, 1).await.expect("pushed again");
    let denied = nats::push_compiled(&pusher, &compiled, "n", b"machine code", 1).await;
    assert!(matches!(denied, Err(RemoteError::Denied(_))), "{denied:?}");
    nats::push_compiled(&operator, &compiled, "n", b"machine code", 1).await.expect("stored");

    // Pods find both.
    nats::fetch(&pods, &packages, &digest).await.expect("fetched");
    let wanted = Digest::of(b"machine code");
    assert_eq!(nats::fetch_compiled(&pods, &compiled, "n", &wanted).await.expect("fetched"), b"machine code");
    // They have the rest of the bus for themselves,
    let plan = bus::plan(bus::PATIENCE);
    apply(&operator, &plan, &ApplyOptions::default()).await.expect("applied");
    let subject = plan.streams[0].subjects[0].clone();
    pods.jetstream().publish(subject, "x".into()).await.expect("sent").await.expect("stored");
    // and change neither by any request that does.
    for pushed in [
        nats::push(&pods, &packages, archive("another"), None, 1).await,
        nats::push_compiled(&pods, &compiled, "n", b"other code", 1).await,
        nats::push_compiled(&pods, &compiled, "another", b"other code", 1).await,
    ] {
        assert!(matches!(pushed, Err(RemoteError::Denied(_))), "{pushed:?}");
    }
    for bucket in [&packages, &compiled] {
        let stream = format!("OBJ_{bucket}");
        let attempts = [
            format!("$O.{bucket}.M.bg=="),
            format!("$O.{bucket}.C.x"),
            format!("$JS.API.STREAM.PURGE.{stream}"),
            format!("$JS.API.STREAM.DELETE.{stream}"),
            format!("$JS.API.STREAM.UPDATE.{stream}"),
            format!("$JS.API.STREAM.MSG.DELETE.{stream}"),
        ];
        let mut refused = pods.server_errors();
        for subject in attempts {
            pods.client().publish(subject.clone(), "{}".into()).await.expect("sent");
            let said = tokio::time::timeout(bus::PATIENCE, refused.recv()).await.expect("said in time").expect("said");
            assert!(said.contains(&subject), "{said}");
        }
    }
    assert_eq!(nats::fetch_compiled(&pods, &compiled, "n", &wanted).await.expect("fetched"), b"machine code");
    nats::fetch(&pods, &packages, &digest).await.expect("fetched");
}
