//! Operators that are killed, compete, lose NATS or find nonsense: what is wanted comes about all the same, and what is wrong is
//! told in one line.

use e2e::cluster::ground::{Ground, PATIENCE, Sample};
use e2e::cluster::kubelet::Fate;
use e2e::process::Process;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Service};
use krt_host::cluster::crd::{Phase, State, Version, VersionStatus, condition};
use kube::api::{Api, DeleteParams};
use kube::runtime::wait::await_condition;
use serde_json::json;

/// Waits until an object is so, or is not there.
async fn when<K>(ground: &Ground, name: &str, is: impl Fn(Option<&K>) -> bool)
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + 'static,
{
    let waited = tokio::time::timeout(PATIENCE, await_condition(ground.space.api::<K>(), name, is)).await;
    let _ = waited.unwrap_or_else(|_| panic!("{name}: {}", ground.space.kubectl(&["describe", "version", "v1"])));
}

/// SIGKILL, and another in its place.
fn again(operator: &mut Process) {
    operator.kill_and_start();
    operator.events().ready();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_is_killed_at_any_step_is_replaced_by_one_that_goes_on() {
    let Some(ground) = Ground::new("killed").await else { return };
    let mut operator = ground.operator();
    ground.deploy("v1", State::Published).await;
    when::<Version>(&ground, "v1", |it| it.is_some_and(|it| it.metadata.finalizers.is_some())).await;
    again(&mut operator);
    when::<Version>(&ground, "v1", |it| it.and_then(|it| it.status.as_ref()).is_some_and(|it| it.bus.is_some())).await;
    again(&mut operator);
    when::<Deployment>(&ground, "v1-go-etl", |it| it.is_some()).await;
    again(&mut operator);
    when::<Service>(&ground, "v1", |it| it.is_some()).await;
    again(&mut operator);
    when::<Service>(&ground, "active-entrypoint", |it| it.is_some()).await;
    again(&mut operator);
    ground.phase("v1", Phase::Published).await;

    ground.delete("v1").await;
    when::<Service>(&ground, "active-entrypoint", |it| it.is_none()).await;
    again(&mut operator);
    when::<Service>(&ground, "v1", |it| it.is_none()).await;
    again(&mut operator);
    when::<Deployment>(&ground, "v1-entrypoint", |it| it.is_none()).await;
    again(&mut operator);
    when::<Deployment>(&ground, "v1-go-etl", |it| it.is_none()).await;
    again(&mut operator);
    ground.gone("v1").await;
    assert_eq!(ground.objects(), [""; 0]);
    assert_eq!(ground.streams().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_operators_one_works_and_the_other_takes_over() {
    let Some(ground) = Ground::new("two").await else { return };
    let mut first = ground.operator_with(&["--lease-namespace", &ground.space.name, "--identity", "first"]);
    let held = |by: &'static str| {
        move |lease: Option<&Lease>| {
            let holder = lease.and_then(|it| it.spec.as_ref()).and_then(|it| it.holder_identity.as_deref());
            holder == Some(by)
        }
    };
    when::<Lease>(&ground, "krt-operator", held("first")).await;
    let second = ground.operator_with(&["--lease-namespace", &ground.space.name, "--identity", "second"]);
    ground.deploy("v1", State::Started).await;
    ground.phase("v1", Phase::Started).await;
    when::<Lease>(&ground, "krt-operator", held("first")).await;
    first.kill();
    when::<Lease>(&ground, "krt-operator", held("second")).await;
    ground.want("v1", State::Published).await;
    ground.phase("v1", Phase::Published).await;
    // Who is told to end gives it back: nobody waits for it to expire.
    assert!(second.stop().success());
    when::<Lease>(&ground, "krt-operator", |it| {
        it.and_then(|it| it.spec.as_ref()).is_some_and(|it| it.holder_identity.is_none())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_told_in_one_line_and_undone_when_the_user_goes_back() {
    let Some(mut ground) = Ground::new("wrong").await else { return };
    let _operator = ground.operator();
    let broken = Sample::named("v1").manifest().replace("subscriptions: [etl]", "subscriptions: [elt]");
    let reference = ground.push_text(&broken).await;
    ground.create("v1", &reference, State::Started).await;
    let invalid = ground.degraded("v1", "ManifestInvalid").await;
    let problem = invalid.problems.iter().find(|it| it.code == "unknown-subscription").expect("the problem");
    assert_eq!((problem.file.as_str(), problem.line > 0, problem.column > 0), ("krt.yml", true, true));
    assert!(invalid.message.starts_with("krt.yml:"), "{}", invalid.message);
    let mut lines = Lines::default();
    lines.add(&ground, "an invalid manifest", "v1", &invalid);

    let module = wat::parse_str("(module)").expect("valid text");
    let reference = ground.push_files(&Sample::named("v2").manifest(), &module).await;
    ground.create("v2", &reference, State::Started).await;
    let rejected = ground.degraded("v2", "ComponentRejected").await;
    assert!(rejected.message.starts_with("bin/node.wasm is not a "), "{}", rejected.message);
    assert_eq!(ground.streams().await, [""; 0], "nothing is made of it");
    lines.add(&ground, "a bad component", "v2", &rejected);

    let kubelet = &ground.space.cluster.kubelet;
    kubelet.fate(&ground.space.name, "v3-go-etl", Fate::ImagePull);
    ground.deploy("v3", State::Started).await;
    let pulling = ground.degraded("v3", "ImagePull").await;
    assert_eq!(pulling.phase, Phase::Failed);
    assert!(pulling.message.starts_with("go/etl: Back-off pulling image"), "{}", pulling.message);
    assert_eq!(ground.leads("v3").await, None, "nobody is sent to it");
    lines.add(&ground, "a missing image", "v3", &pulling);
    kubelet.fate(&ground.space.name, "v3-go-etl", Fate::CrashLoop);
    let crashing = ground.degraded("v3", "CrashLoop").await;
    assert!(crashing.message.contains("this is what the program said last"), "{}", crashing.message);
    ground.want("v3", State::Stopped).await;
    ground.phase("v3", Phase::Stopped).await;
    assert_eq!(ground.objects(), [""; 0]);

    let nowhere = format!("nats://packages_{}/{}", ground.space.name, "0".repeat(64));
    ground.create("v4", &nowhere, State::Started).await;
    ground.degraded("v4", "PackageUnavailable").await;
    let reference = ground.push(&Sample::named("v5")).await;
    let other = json!({ "package": { "ref": reference, "digest": format!("sha256:{}", "0".repeat(64)) } });
    ground.create("v5", &reference, State::Stopped).await;
    ground.patch("v5", json!({ "spec": { "state": "Started", "package": other["package"] } })).await;
    let digest = ground.degraded("v5", "PackageInvalid").await;
    assert!(digest.message.contains("spec.package.digest wants sha256:0000"), "{}", digest.message);

    // The machine has the label of those with a GPU, and no GPU.
    ground.space.kubectl(&["label", "node", e2e::cluster::kubelet::NODE, "konstellation.io/gpu=true"]);
    let manifest = Sample::named("v6").manifest().replace("{ name: etl,", "{ name: etl, gpu: true,");
    let reference = ground.push_text(&manifest).await;
    ground.create("v6", &reference, State::Started).await;
    let unschedulable = ground.degraded("v6", "Unschedulable").await;
    assert!(unschedulable.message.contains("GPU"), "{}", unschedulable.message);
    lines.add(&ground, "an unschedulable gpu", "v6", &unschedulable);
    for name in ["v1", "v2", "v3", "v4", "v5", "v6"] {
        ground.delete(name).await;
    }
    for name in ["v1", "v2", "v3", "v4", "v5", "v6"] {
        ground.gone(name).await;
    }

    ground.space.kubectl(&["create", "quota", "small", "--hard=pods=0"]);
    ground.deploy("v7", State::Started).await;
    let exceeded = ground.degraded("v7", "QuotaExceeded").await;
    lines.add(&ground, "a quota that is exceeded", "v7", &exceeded);
    let reference = ground.push(&Sample::named("v8")).await;
    ground.server().kill();
    ground.create("v8", &reference, State::Started).await;
    let away = ground.degraded("v8", "BusAway").await;
    lines.add(&ground, "NATS away", "v8", &away);
    lines.compare();
}

/// What `kubectl describe version` says in one line, for each of what may be wrong.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, ground: &Ground, what: &str, name: &str, status: &VersionStatus) {
        let described = ground.space.kubectl(&["describe", "version", name]);
        assert!(described.contains(&status.message), "{described}");
        let reason = condition(status, "Degraded").map(|it| it.reason.clone()).unwrap_or_default();
        self.0.push_str(&format!("{what}\n    {reason}: {}\n", status.message));
    }

    /// With the golden. What is made up each time is told apart by its form: ports, names of pods.
    fn compare(&self) {
        let replaced = |text: &str, pattern: &str, with: &str| {
            regex::Regex::new(pattern).expect("a pattern").replace_all(text, with).into_owned()
        };
        let said = replaced(&self.0, r"127\.0\.0\.1:\d+", "127.0.0.1:PORT");
        let said = replaced(&said, r"(v\d-[a-z-]+)-[0-9a-f]{5,10}-[a-z0-9]{5}\b", "$1-POD");
        let said = replaced(&said, r"v7-(entrypoint|go-etl|go-exitpoint)", "v7-NODE");
        let said = replaced(&said, r"(?m)^(    QuotaExceeded: )\S+:(.*?)( \(and \d more\))?$", "${1}go/NODE:$2");
        let golden = e2e::workspace().join("tests/cluster/lines.txt");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&golden, &said).expect("written");
        }
        assert_eq!(said, std::fs::read_to_string(&golden).unwrap_or_default(), "`make bless` accepts what is said");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_and_a_bus_that_is_away_are_told_and_mend_by_themselves() {
    let Some(mut ground) = Ground::new("mends").await else { return };
    let _operator = ground.operator();
    ground.space.kubectl(&["create", "quota", "small", "--hard=pods=2"]);
    ground.deploy("v1", State::Started).await;
    let exceeded = ground.degraded("v1", "QuotaExceeded").await;
    assert!(exceeded.message.contains("exceeded quota"), "{}", exceeded.message);
    ground.space.kubectl(&["delete", "quota", "small"]);
    ground.space.kubectl(&["rollout", "restart", "deployment"]);
    ground.phase("v1", Phase::Started).await;

    let reference = ground.push(&Sample::named("v2")).await;
    ground.server().kill();
    ground.create("v2", &reference, State::Started).await;
    let away = ground
        .until("v2", |status| {
            condition(status, "Degraded").is_some_and(|it| it.status == "True" && it.message.contains("127.0.0.1"))
        })
        .await;
    assert!(!away.message.is_empty());
    ground.server().restart();
    ground.phase("v2", Phase::Started).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_that_is_deleted_goes_and_takes_the_streams_along() {
    let Some(ground) = Ground::new("leaves").await else { return };
    // The Lease stands elsewhere: one in the namespace would go with it.
    let _operator = ground.operator_with(&["--lease", &ground.space.name, "--lease-namespace", "default"]);
    ground.deploy("v1", State::Published).await;
    ground.phase("v1", Phase::Published).await;
    let namespaces: Api<Namespace> = Api::all(ground.space.client.clone());
    namespaces.delete(&ground.space.name, &DeleteParams::default()).await.expect("deleted");
    let gone = await_condition(namespaces, &ground.space.name, |it: Option<&Namespace>| it.is_none());
    let gone = tokio::time::timeout(PATIENCE, gone).await;
    assert!(gone.is_ok(), "{}", ground.space.kubectl(&["get", "versions,all", "-o", "yaml"]));
    assert_eq!(ground.streams().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_has_nothing_to_do_writes_nothing() {
    let Some(ground) = Ground::new("idle").await else { return };
    let _operator = ground.operator();
    ground.deploy("v1", State::Published).await;
    ground.until("v1", |it| condition(it, "Published").is_some_and(|it| it.status == "True")).await;
    // What the last step changed comes back as events.
    ground.looked_at("v1").await;
    let before = ground.requests().len();
    ground.patch("v1", json!({ "metadata": { "labels": { "looked": "at" } } })).await;
    ground.looked_at("v1").await;
    ground.looked_at("v1").await;
    let since = ground.requests().split_off(before);
    let writes: Vec<&String> = since.iter().filter(|it| !it.starts_with("get ") && !it.starts_with("list ")).collect();
    assert_eq!(writes, [""; 0], "of {} requests", since.len());
}
