//! A version's life on a real control plane and a real NATS: started, published, switched, stopped, deleted. Pods are made
//! ready by a kubelet written for the tests.

use e2e::cluster::ground::{Ground, PATIENCE, Sample};
use e2e::cluster::kubelet::Fate;
use k8s_openapi::api::apps::v1::Deployment;
use krt_host::cluster::crd::{Phase, State, condition};
use kube::runtime::wait::await_condition;
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

    // Where the value is elsewhere, a change there rolls them, too: nobody touches the resource.
    for (kind, key) in [("configmap", "configMapKeyRef"), ("secret", "secretKeyRef")] {
        let make: &[&str] = if kind == "secret" { &["create", kind, "generic"] } else { &["create", kind] };
        ground.space.kubectl(&[make, &["levels", "--from-literal=level=1"]].concat());
        let entry = json!({ "name": "LEVEL", "valueFrom": { key: { "name": "levels", "key": "level" } } });
        ground.patch("v1", json!({ "spec": { "config": null } })).await;
        ground.patch("v1", json!({ "spec": { "config": [entry] } })).await;
        ground.until("v1", |status| condition(status, "Ready").is_some_and(|it| it.status == "True")).await;
        ground.looked_at("v1").await;
        let before: i64 = ground.space.kubectl(&template).parse().expect("a number");
        ground.space.kubectl(&["label", kind, "levels", "level=2"]);
        let rolled = |it: Option<&Deployment>| it.and_then(|it| it.metadata.generation).is_some_and(|it| it > before);
        let waiting = await_condition(ground.space.api::<Deployment>(), "v1-go-etl", rolled);
        let rolled = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(rolled.is_ok(), "{kind}: {}", ground.space.kubectl(&["describe", "version", "v1"]));
        ground.until("v1", |status| condition(status, "Ready").is_some_and(|it| it.status == "True")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_sent_to_a_version_before_its_native_nodes_read() {
    let Some(ground) = Ground::new("native").await else { return };
    let _operator = ground.operator();
    // A program that is never run here.
    let native = "image: example/etl:1, src: public_input.proto, subscriptions: [entrypoint]";
    let manifest = Sample::named("v1").manifest();
    let reference =
        ground.push_text(&manifest.replace("src: bin/node.wasm, subscriptions: [entrypoint]", native)).await;
    ground.create("v1", &reference, State::Started).await;
    let stream = format!("{}_v1_Ask", ground.space.name);
    let durable = format!("{stream}-entrypoint-etl");
    let awaited = ground.until("v1", |status| status.message.ends_with(&durable)).await;
    assert_eq!((awaited.phase, awaited.ready.as_str()), (Phase::Starting, "3/3"), "{awaited:?}");
    assert_eq!(ground.leads("v1").await, None);

    // As a runner of the original binds to what was made for it.
    let connection = ground.connection().await;
    let stream = connection.jetstream().get_stream(&stream).await.expect("the stream");
    let consumer = stream.consumer_info(&durable).await.expect("the durable").config;
    let (subject, group) =
        (consumer.deliver_subject.expect("a push consumer"), consumer.deliver_group.expect("a group"));
    let _bound = connection.client().queue_subscribe(subject, group).await.expect("bound");
    ground.phase("v1", Phase::Started).await;
    assert_eq!(ground.leads("v1").await.as_deref(), Some("v1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_belongs_to_somebody_else_is_told_of_and_not_overwritten() {
    let Some(ground) = Ground::new("taken").await else { return };
    let _operator = ground.operator();
    ground.space.kubectl(&["create", "deployment", "v1-go-etl", "--image=example/theirs:1", "--replicas=0"]);
    ground.deploy("v1", State::Started).await;
    let taken = ground.degraded("v1", "NameTaken").await;
    assert_eq!(
        taken.message,
        "Deployment \"v1-go-etl\" is there already and was not made by krt: remove it, or rename the version"
    );
    let image = ["get", "deployment", "v1-go-etl", "-o", "jsonpath={.spec.template.spec.containers[*].image}"];
    assert_eq!(ground.space.kubectl(&image), "example/theirs:1");
    ground.space.kubectl(&["delete", "deployment", "v1-go-etl"]);
    ground.space.kubectl(&["create", "service", "clusterip", "v1", "--tcp=80"]);
    let taken = ground.until("v1", |status| status.message.starts_with("Service")).await;
    assert!(taken.message.contains("was not made by krt"), "{}", taken.message);
    assert_eq!(ground.leads("v1").await, None);
    ground.space.kubectl(&["delete", "service", "v1"]);
    ground.phase("v1", Phase::Started).await;
    ground.delete("v1").await;
    ground.gone("v1").await;

    // Two versions whose names and workflows come to the same.
    let of = |name: &str, workflow: &str| Sample { workflow: workflow.to_owned(), ..Sample::named(name) };
    let reference = ground.push(&of("v1", "go-x")).await;
    ground.create("v1", &reference, State::Started).await;
    ground.phase("v1", Phase::Started).await;
    let reference = ground.push(&of("v1-go", "x")).await;
    ground.create("v1-go", &reference, State::Started).await;
    let taken = ground.degraded("v1-go", "NameTaken").await;
    assert!(taken.message.contains("belongs to Version \"v1\""), "{}", taken.message);
    ground.delete("v1-go").await;
    ground.gone("v1-go").await;
    let left = ground.phase("v1", Phase::Started).await;
    assert_eq!(left.ready, "3/3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn components_are_compiled_once_by_the_operators_side_and_pods_are_told_their_digests() {
    let Some(ground) = Ground::new("ahead").await else { return };
    let mut operator = ground.operator();
    ground.deploy("v1", State::Started).await;
    let status = ground.phase("v1", Phase::Started).await;
    let compiled = condition(&status, "Compiled").expect("a condition");
    assert_eq!((compiled.status.as_str(), compiled.reason.as_str()), ("True", "Compiled"), "{compiled:?}");
    let record = status.compiled.expect("what was compiled");
    let [component] = record.components.as_slice() else { panic!("one component, of two nodes: {record:?}") };
    assert_eq!(component.src, "bin/node.wasm");
    for node in ["etl", "exitpoint"] {
        let told = ground.space.kubectl(&[
            "get",
            "deployment",
            &format!("v1-go-{node}"),
            "-o",
            "jsonpath={.spec.template.spec.containers[0].env[?(@.name==\"KRT_COMPILED\")].value}",
        ]);
        assert_eq!(told, component.reference);
    }
    let (place, digest) = component.reference.rsplit_once("@sha256:").expect("a digest");
    let (bucket, name) = place.strip_prefix("nats://").and_then(|it| it.split_once('/')).expect("a place");
    let digest = digest.parse().expect("a digest");
    let connection = ground.connection().await;
    krt_host::artifact::nats::fetch_compiled(&connection, bucket, name, &digest).await.expect("what pods fetch");

    // Who comes after it need not compile it: nothing is rolled, though what was stored is gone.
    connection.jetstream().delete_object_store(bucket).await.expect("removed");
    operator.kill_and_start();
    operator.events().ready();
    ground.want("v1", State::Published).await;
    let status = ground.phase("v1", Phase::Published).await;
    assert_eq!(status.compiled.as_ref(), Some(&record));
    assert!(connection.jetstream().get_object_store(bucket).await.is_err(), "it was compiled once more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_compiled_goes_with_the_last_version_that_has_it() {
    let Some(ground) = Ground::new("sweep").await else { return };
    let _operator = ground.operator();
    // The same component, and one that is only the second's.
    let another =
        wat::parse_str(include_str!("../components/0.1.0/minimal.wat").replacen("(component", "(component $b", 1));
    for (name, component) in [("v1", None), ("v2", None), ("v3", Some(another.expect("valid text")))] {
        let sample = Sample::named(name);
        let reference = match component {
            None => ground.push(&sample).await,
            Some(bytes) => ground.push_files(&sample.manifest(), &bytes).await,
        };
        ground.create(name, &reference, State::Started).await;
        ground.phase(name, Phase::Started).await;
    }
    assert_eq!(ground.compiled().await, 2);
    ground.delete("v3").await;
    ground.until_compiled(1).await;
    ground.delete("v1").await;
    ground.gone("v1").await;
    // Another still has it; what is compiled once more would be the second.
    ground.deploy("v4", State::Started).await;
    let status = ground.phase("v4", Phase::Started).await;
    let record = status.compiled.expect("what was compiled");
    assert_eq!(ground.compiled().await, 1);
    let (place, digest) = record.components[0].reference.rsplit_once("@sha256:").expect("a digest");
    let (bucket, object) = place.strip_prefix("nats://").and_then(|it| it.split_once('/')).expect("a place");
    let connection = ground.connection().await;
    let digest = digest.parse().expect("a digest");
    krt_host::artifact::nats::fetch_compiled(&connection, bucket, object, &digest).await.expect("what pods fetch");
    for version in ["v2", "v4"] {
        ground.delete(version).await;
    }
    ground.until_compiled(0).await;
}
