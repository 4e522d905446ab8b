//! What a user of a cluster types, from `krt push` to `krt delete`, on a real control plane with the operator and a real NATS.

use std::process::Command;

use e2e::cluster::ground::{Ground, Said, Sample};
use e2e::krt_binary;
use krt_host::cluster::crd::{Phase, State};
use serde_json::Value;

/// Pushes a sample's folder into the store of the namespace's runtime; its reference.
fn push(ground: &Ground, sample: &Sample) -> String {
    let folder = sample.folder();
    let output = Command::new(krt_binary())
        .args(["push", "--output", "json", "--runtime-id", &ground.space.name, "--nats", &ground.nats.url()])
        .arg(folder.path())
        .output()
        .expect("krt starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let pushed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    pushed["ref"].as_str().expect("a reference").to_owned()
}

#[track_caller]
fn done(said: Said) -> Said {
    assert_eq!(said.code, Some(0), "{said:?}");
    said
}

/// Fails with one message that holds these texts.
#[track_caller]
fn refused(said: &Said, texts: &[&str]) {
    assert_eq!(said.code, Some(1), "{said:?}");
    for text in texts {
        assert!(said.err.contains(text), "{text:?} is not in {said:?}");
    }
    assert!(!said.err.contains("panicked"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_is_pushed_deployed_published_rolled_back_and_deleted_by_commands() {
    let Some(ground) = Ground::new("commands").await else { return };
    let _operator = ground.operator();
    let first = push(&ground, &Sample::named("v1"));
    done(ground.krt(&["deploy", "v1", &first]));
    assert_eq!(ground.phase("v1", Phase::Stopped).await.phase, Phase::Stopped);
    let started = done(ground.krt(&["start", "v1"]));
    // What it waits for on the way is told as it changes, which may be too fast to be seen.
    let last = started.err.trim_end().lines().last().unwrap_or_default();
    assert!(last.contains("v1") && last.contains("Started") && last.contains("3/3"), "{started:?}");
    assert_eq!(ground.leads("v1").await.as_deref(), Some("v1"));

    done(ground.krt(&["publish", "v1"]));
    assert_eq!(ground.leads("active-entrypoint").await.as_deref(), Some("v1"));
    let second = push(&ground, &Sample::named("v2"));
    done(ground.krt(&["deploy", "v2", &second, "--publish"]));
    assert_eq!(ground.leads("active-entrypoint").await.as_deref(), Some("v2"));

    let all = done(ground.krt(&["status"]));
    assert!(all.out.contains("v1") && all.out.contains("v2") && all.out.contains("Published"), "{all:?}");
    let one: Value = serde_json::from_str(&done(ground.krt(&["status", "v2", "--output", "json"])).out).expect("JSON");
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
    // Packages are the runtime's, and may be deployed again.
    assert_eq!(ground.streams().await, [format!("OBJ_packages_{}", ground.space.name)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_is_set_by_a_command_and_what_cannot_be_done_is_said() {
    let Some(ground) = Ground::new("refused").await else { return };
    let _operator = ground.operator();
    refused(&ground.krt(&["start", "nothing"]), &["nothing"]);
    refused(&ground.krt(&["rollback"]), &["no version was displaced"]);
    refused(&ground.krt(&["deploy", "v1", "oci://127.0.0.1:1/v1:latest"]), &["may come to mean another package"]);

    let sample = Sample { more: "config:\n  variables: [LEVEL]\n".to_owned(), ..Sample::named("v1") };
    let reference = push(&ground, &sample);
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
