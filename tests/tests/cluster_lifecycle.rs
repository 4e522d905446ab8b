//! A version's life on a real control plane and a real NATS: started, published, switched, stopped, deleted. Pods are made
//! ready by a kubelet written for the tests.

use e2e::cluster::ground::{Ground, Sample};
use e2e::cluster::kubelet::Fate;
use krt_host::cluster::crd::{Phase, State, condition};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_is_started_published_stopped_and_deleted_and_leaves_nothing() {
    let Some(ground) = Ground::new("life").await else { return };
    let _operator = ground.operator();
    ground.deploy("v1", State::Started).await;
    let started = ground.phase("v1", Phase::Started).await;
    assert_eq!(started.ready, "3/3");
    assert_eq!(ground.leads("v1").await.as_deref(), Some("v1"));
    assert_eq!(ground.leads("active-entrypoint").await, None);
    let stream = format!("{}_v1_Ask", ground.space.name);
    assert!(ground.streams().await.contains(&stream));

    ground.want("v1", State::Published).await;
    ground.phase("v1", Phase::Published).await;
    assert_eq!(ground.leads("active-entrypoint").await.as_deref(), Some("v1"));
    // Whoever calls it by its name goes on.
    assert_eq!(ground.leads("v1").await.as_deref(), Some("v1"));

    ground.want("v1", State::Stopped).await;
    ground.phase("v1", Phase::Stopped).await;
    assert_eq!(ground.objects(), [""; 0]);
    let left = ground.streams().await;
    assert!(left.iter().all(|name| name.starts_with("KV_")), "{left:?}");

    ground.want("v1", State::Started).await;
    ground.phase("v1", Phase::Started).await;
    ground.delete("v1").await;
    ground.gone("v1").await;
    assert_eq!(ground.objects(), [""; 0]);
    assert_eq!(ground.streams().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishing_another_version_changes_the_selector_in_place_and_back() {
    let Some(ground) = Ground::new("switch").await else { return };
    let _operator = ground.operator();
    ground.deploy("v1", State::Published).await;
    ground.phase("v1", Phase::Published).await;
    let uid = ground.space.kubectl(&[
        "get",
        "service",
        "active-entrypoint",
        "-o",
        "jsonpath={.metadata.uid} {.spec.clusterIP}",
    ]);

    // Not before it can answer.
    ground.space.cluster.kubelet.fate(&ground.space.name, "v2-go-etl", Fate::NotReady);
    ground.deploy("v2", State::Published).await;
    ground.until("v2", |status| status.ready == "2/3").await;
    assert_eq!(ground.leads("active-entrypoint").await.as_deref(), Some("v1"));
    ground.space.cluster.kubelet.fate(&ground.space.name, "v2-go-etl", Fate::Ready);
    ground.phase("v2", Phase::Published).await;
    let displaced = ground.phase("v1", Phase::Started).await;
    let why = condition(&displaced, "Published").expect("a condition");
    assert_eq!((why.status.as_str(), why.reason.as_str()), ("False", "Displaced"), "{why:?}");

    // Unpublishing the new one publishes the old one again.
    ground.want("v2", State::Started).await;
    ground.phase("v1", Phase::Published).await;
    ground.phase("v2", Phase::Started).await;
    assert_eq!(ground.leads("active-entrypoint").await.as_deref(), Some("v1"));
    let now = ground.space.kubectl(&[
        "get",
        "service",
        "active-entrypoint",
        "-o",
        "jsonpath={.metadata.uid} {.spec.clusterIP}",
    ]);
    assert_eq!(now, uid, "the Service was never another");
    ground.want("v1", State::Started).await;
    ground.until("v1", |status| status.phase == Phase::Started).await;
    assert_eq!(ground.leads("active-entrypoint").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_changes_or_removes_is_as_wanted_again() {
    let Some(ground) = Ground::new("editor").await else { return };
    let _operator = ground.operator();
    ground.deploy("v1", State::Published).await;
    ground.phase("v1", Phase::Published).await;
    ground.space.kubectl(&["scale", "deployment", "v1-go-etl", "--replicas", "3"]);
    ground.space.kubectl(&[
        "patch",
        "service",
        "active-entrypoint",
        "-p",
        r#"{"spec":{"selector":{"version-name":"x"}}}"#,
    ]);
    ground.until_led("active-entrypoint", "v1").await;
    ground.space.kubectl(&["delete", "service", "v1"]);
    ground.until_led("v1", "v1").await;
    ground.space.kubectl(&["delete", "deployment", "v1-go-exitpoint"]);
    let replicas = ["get", "deployment", "v1-go-etl", "-o", "jsonpath={.spec.replicas}"];
    ground.until("v1", |status| status.phase == Phase::Published && status.ready == "3/3").await;
    assert_eq!(ground.space.kubectl(&replicas), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_with_the_longest_names_runs() {
    let Some(ground) = Ground::new("long").await else { return };
    let _operator = ground.operator();
    let long = |letter: &str| letter.repeat(19);
    let sample =
        Sample { name: long("v"), workflow: long("w"), nodes: vec![long("a"), long("b")], more: String::new() };
    let reference = ground.push(&sample).await;
    ground.create(&sample.name, &reference, State::Published).await;
    assert_eq!(ground.phase(&sample.name, Phase::Published).await.ready, "3/3");
    ground.delete(&sample.name).await;
    ground.gone(&sample.name).await;
    assert_eq!(ground.objects(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configuration_is_asked_for_and_a_change_of_it_rolls_pods() {
    let Some(ground) = Ground::new("config").await else { return };
    let _operator = ground.operator();
    let sample = Sample { more: "config:\n  variables: [LEVEL]\n".to_owned(), ..Sample::named("v1") };
    let reference = ground.push(&sample).await;
    ground.create("v1", &reference, State::Started).await;
    let incomplete = ground.degraded("v1", "ConfigIncomplete").await;
    assert!(incomplete.message.contains("LEVEL"), "{}", incomplete.message);
    ground.patch("v1", json!({ "spec": { "config": [{ "name": "LEVEL", "value": "1" }] } })).await;
    ground.phase("v1", Phase::Started).await;
    let template = ["get", "deployment", "v1-go-etl", "-o", "jsonpath={.metadata.generation}"];
    let before = ground.space.kubectl(&template);
    ground.patch("v1", json!({ "spec": { "config": [{ "name": "LEVEL", "value": "2" }] } })).await;
    ground.until("v1", |status| condition(status, "Ready").is_some_and(|it| it.status == "True")).await;
    assert_ne!(ground.space.kubectl(&template), before);
}
