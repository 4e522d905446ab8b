//! `krt dlq` on a real server: what nobody could handle is listed, shown, driven again once its cause is mended, and purged.

use e2e::command::{Ran, krt};
use e2e::load;
use e2e::nats::Server;
use e2e::running::Running;

async fn dlq(folder: &std::path::Path, url: &str, arguments: &[&str]) -> Ran {
    krt(folder, [&["dlq"], arguments, &["--nats", url, "--output", "json"]].concat()).await
}

/// The dead letters of the version in `folder`.
async fn listed(folder: &std::path::Path, url: &str) -> Vec<serde_json::Value> {
    let ran = dlq(folder, url, &["ls", "."]).await;
    assert_eq!(ran.code, 0, "{ran:#?}");
    ran.json()["dead_letters"].as_array().expect("a list").clone()
}

async fn attack(running: &Running, command: &str) -> Result<bytes::Bytes, load::Status> {
    let message = bytes::Bytes::copy_from_slice(command.as_bytes());
    load::ask(&running.grpc, "/hostile.Entrypoint/Attack", message).await.expect("the server is there")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_dead_letter_is_listed_shown_driven_again_and_gone() {
    let Some(server) = Server::start() else { return };
    let (url, version) = (server.url(), e2e::built("tests/guests/hostile"));
    let folder = version.path();
    let running = Running::start(folder, &["--nats", &url]);
    assert!(attack(&running, "allocate 100000000").await.is_err(), "more than its 64 MiB");
    assert!(attack(&running, "panic at once").await.is_err());
    assert!(running.stop().success());

    let letters = listed(folder, &url).await;
    let [first, second] = letters.as_slice() else { panic!("{letters:#?}") };
    assert_eq!(
        (&first["workflow"], &first["node"], &first["attempt"]),
        (&"attack".into(), &"attacker".into(), &1.into())
    );
    assert!(first["reason"].as_str().is_some_and(|reason| reason.contains("memory")), "{first}");
    assert!(second["backtrace"].as_str().is_some_and(|backtrace| backtrace.contains("panic")), "{second}");
    assert_eq!(first["subject"], "kre_hostile_Attack.entrypoint");
    let number = first["sequence"].to_string();
    let shown = dlq(folder, &url, &["show", ".", &number]).await.json();
    assert_eq!(shown["payload_type"], "hostile.Command");
    assert_eq!(shown["request_id"], first["request_id"]);

    // The cause is mended: the node may have more.
    let manifest = std::fs::read_to_string(folder.join("krt.yml")).expect("a manifest");
    std::fs::write(folder.join("krt.yml"), manifest.replace("64MiB", "256MiB")).expect("written");
    let running = Running::start(folder, &["--nats", &url]);
    let ran = dlq(folder, &url, &["redrive", ".", &number]).await;
    assert_eq!((ran.code, &ran.json()["redriven"]), (0, &1.into()), "{ran:#?}");
    // A call that comes after it is handled after it: one node, in order.
    assert!(attack(&running, "echo after").await.is_ok());
    assert!(running.stop().success());
    let letters = listed(folder, &url).await;
    assert_eq!(letters.len(), 1, "{letters:#?}");
    assert_eq!(letters[0]["sequence"], second["sequence"]);

    // What fails again is a dead letter again, of another number.
    let running = Running::start(folder, &["--nats", &url]);
    let ran = dlq(folder, &url, &["redrive", ".", "--all"]).await;
    assert_eq!((ran.code, &ran.json()["redriven"]), (0, &1.into()), "{ran:#?}");
    assert!(attack(&running, "echo after").await.is_ok());
    assert!(running.stop().success());
    let letters = listed(folder, &url).await;
    assert_eq!(letters.len(), 1, "{letters:#?}");
    assert_ne!(letters[0]["sequence"], second["sequence"]);

    let ran = dlq(folder, &url, &["purge", ".", "--node", "attacker"]).await;
    assert_eq!((ran.code, &ran.json()["purged"]), (0, &1.into()), "{ran:#?}");
    assert!(listed(folder, &url).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_not_there_is_said_by_name() {
    let Some(server) = Server::start() else { return };
    let version = tempfile::tempdir().expect("a folder");
    let manifest = std::fs::read_to_string(e2e::workspace().join("tests/guests/line/krt.yml")).expect("a manifest");
    std::fs::write(version.path().join("krt.yml"), manifest).expect("written");
    let ran = dlq(version.path(), &server.url(), &["ls", "."]).await;
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.stderr.contains("dead-letters_kre_line") && ran.stderr.contains("provisioned"), "{ran:#?}");
    let ran = krt(version.path(), ["provision", ".", "--nats", &server.url()]).await;
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(listed(version.path(), &server.url()).await.is_empty());
    for (arguments, words) in [
        (&["show", ".", "7"][..], "no dead letter 7"),
        (&["redrive", ".", "7"], "no dead letter 7"),
        (&["purge", "."], "which?"),
        (&["redrive", ".", "--node", "a.b"], "not the name"),
    ] {
        let ran = dlq(version.path(), &server.url(), arguments).await;
        assert!(ran.code == 1 && ran.stderr.contains(words), "{arguments:?}: {ran:#?}");
    }
}
