//! What a tenant cannot get of another: through the operator, by a Version that names what is not its own. What its service
//! account may do is in `cluster_chart_installed`, what its credentials for NATS may do in `nats_access`.

use e2e::cluster::ground::{Ground, Sample};
use k8s_openapi::api::apps::v1::Deployment;
use krt_host::cluster::crd::{Phase, State, Version};
use kube::api::{Api, ListParams, PostParams};
use serde_json::{Value, json};

fn version(name: &str, spec: &Value) -> Version {
    let version = json!({
        "apiVersion": "krt.konstellation.io/v1alpha1", "kind": "Version", "metadata": { "name": name }, "spec": spec,
    });
    serde_json::from_value(version).expect("a Version")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_gets_nothing_of_another_namespace_through_an_operator_that_works_in_both() {
    let Some(ground) = Ground::new("mine").await else { return };
    let theirs = ground.beside("theirs").await;
    let _operator = ground.operator_with(&["-n", &theirs.space.name, "--lease-namespace", &ground.space.name]);
    let sample = Sample { more: "config:\n  variables: [STOLEN]\n".to_owned(), ..Sample::named("v1") };
    let mine = ground.push(&Sample::named("v1")).await;

    // A package of another's, though its name is known.
    theirs.create("v1", &mine, State::Started).await;
    let status = theirs.degraded("v1", "PackageInvalid").await;
    assert!(status.message.contains(&format!("packages_{}", theirs.space.name)), "{status:?}");
    assert_eq!(status.phase, Phase::Failed, "{status:?}");
    assert_eq!((theirs.objects(), theirs.streams().await), (Vec::new(), Vec::new()));
    theirs.delete("v1").await;
    theirs.gone("v1").await;

    // A value that is in a Secret of another namespace: the reference means one of its own, by the API's own rules.
    ground.space.kubectl(&["create", "secret", "generic", "treasure", "--from-literal=key=gold"]);
    let stolen = json!([{ "name": "STOLEN", "valueFrom": { "secretKeyRef": { "name": "treasure", "key": "key" } } }]);
    let reference = theirs.push(&sample).await;
    let spec = json!({ "package": { "ref": reference }, "state": "Started", "config": stolen });
    theirs.versions().create(&PostParams::default(), &version("v1", &spec)).await.expect("created");
    theirs.phase("v1", Phase::Started).await;
    let deployments: Api<Deployment> = theirs.space.api();
    let all = deployments.list(&ListParams::default()).await.expect("Deployments");
    let text = serde_json::to_string(&all.items).expect("JSON");
    assert!(text.contains("treasure") && !text.contains("gold") && !text.contains("Z29sZA"), "{text}");
    // What it has on the bus bears its own name, and the other namespace has nothing of it.
    let prefix = format!("{}_", theirs.space.name);
    let streams = theirs.streams().await;
    assert!(!streams.is_empty() && streams.iter().all(|it| it.split_once(&prefix).is_some()), "{streams:?}");
    assert_eq!(ground.objects(), [""; 0]);
    assert!(!text.contains(&ground.space.name), "{text}");

    // Who names another's object in the place of a name is refused by the API server.
    for (spec, what) in [
        (json!({ "package": { "ref": format!("nats://../{}", "0".repeat(64)) } }), "name the package by its digest"),
        (
            json!({ "package": { "ref": mine }, "config": [{ "name": "A", "valueFrom": {
            "secretKeyRef": { "name": "treasure", "key": "key" }, "configMapKeyRef": { "name": "m", "key": "k" } } }] }),
            "give either",
        ),
    ] {
        let refused = theirs.versions().create(&PostParams::default(), &version("v2", &spec)).await;
        let refused = refused.expect_err("it is refused").to_string();
        assert!(refused.contains(what), "{refused}");
    }
    // A status that is brought along, with streams of another's to be removed, is not heeded.
    let record = json!({ "runtimeId": ground.space.name, "streams": [format!("{}_v1_Ask", ground.space.name)] });
    ground.create("v1", &mine, State::Started).await;
    ground.phase("v1", Phase::Started).await;
    let before = theirs.streams().await;
    let mut forged = version("v3", &json!({ "package": { "ref": reference } }));
    forged.status = serde_json::from_value(json!({ "bus": record })).expect("a status");
    theirs.versions().create(&PostParams::default(), &forged).await.expect("created");
    theirs.until("v3", |status| status.bus.is_none()).await;
    theirs.delete("v3").await;
    theirs.gone("v3").await;
    assert_eq!(theirs.streams().await, before);
}
