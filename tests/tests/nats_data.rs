//! Documents and predictions of nodes on NATS: saved by a writer that speaks the original's protocol.

use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::nats::Server;
use e2e::running::Running;
use e2e::writer::{Saved, Writer};
use futures::StreamExt as _;
use krt_host::data::nats::NatsWriter;
use krt_host::data::{DataError, Database, Prediction, Problem};
use krt_host::store::nats::Refusals;
use serde_json::json;

async fn served() -> Option<(Server, async_nats::Client)> {
    let server = Server::start()?;
    let client = async_nats::connect(server.url()).await.expect("a connection");
    Some((server, client))
}

fn database(client: &async_nats::Client) -> Database {
    let writer = NatsWriter::new(client.clone(), "kre", Refusals::default());
    Database { writer: Some(Arc::new(writer)), reader: None }
}

#[tokio::test]
async fn documents_and_predictions_reach_the_writer_as_the_originals_do() {
    let Some((_server, client)) = served().await else { return };
    let writer = Writer::start(client.clone()).await;
    let database = database(&client);
    database.save("mails".into(), r#"{"text": "ä\"\\", "n": 0.1, "list": [1, null]}"#.into()).await.unwrap();
    let prediction = Prediction { outcome: Ok(("spam".into(), "ham".into())), extra: None, time: Some(0) };
    database.predict(&prediction, "v1", "65aa").await.unwrap();
    let missed = Prediction { outcome: Err(Problem::NewLabels), ..prediction };
    database.predict(&missed, "v1", "65aa").await.unwrap();
    let saved = |collection: &str, document| Saved {
        runtime: "kre".into(),
        collection: collection.into(),
        document,
        compressed: false,
    };
    let metric = |error: &str, predicted: &str, actual: &str| {
        json!({
            "date": "1970-01-01T00:00:00Z", "error": error, "predictedValue": predicted, "trueValue": actual,
            "versionId": "65aa", "versionName": "v1",
        })
    };
    assert_eq!(
        writer.saved(),
        [
            saved("mails", json!({"text": "ä\"\\", "n": 0.1, "list": [1, null]})),
            saved("classificationMetrics", metric("", "spam", "ham")),
            saved("classificationMetrics", metric("new_labels", "", "")),
        ]
    );
}

#[tokio::test]
async fn a_large_document_is_compressed_and_one_that_stays_too_large_is_a_typed_error() {
    let Some((_server, client)) = served().await else { return };
    let writer = Writer::start(client.clone()).await;
    let database = database(&client);
    let document = json!({"text": "x".repeat(3 << 20)});
    database.save("mails".into(), document.to_string()).await.unwrap();
    let saved = writer.saved();
    assert!(saved[0].compressed && saved[0].document == document);
    // Hexadecimal digits of noise halve at best.
    let mut state = 1_u64;
    let mut digit = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from_digit((state >> 60) as u32, 16).unwrap()
    };
    let noise: String = (0..3 << 20).map(|_| digit()).collect();
    let refused = database.save("mails".into(), json!({ "text": noise }).to_string()).await;
    assert_eq!(refused, Err(DataError::TooLarge { limit: client.max_payload() }));
    database.save("mails".into(), "{}".into()).await.expect("the connection is as it was");
}

#[tokio::test]
async fn what_the_writer_refuses_or_answers_without_sense_is_a_typed_error() {
    let Some((_server, client)) = served().await else { return };
    let writer = Writer::start(client.clone()).await;
    let refused = database(&client).save("mails".into(), r#"{"_id": "taken"}"#.into()).await;
    assert!(matches!(refused, Err(DataError::Refused(_))), "{refused:?}");
    drop(writer);
    let mut requests = client.subscribe("mongo_writer_data.other").await.unwrap();
    client.flush().await.unwrap();
    let other = Database {
        writer: Some(Arc::new(NatsWriter::new(client.clone(), "other", Refusals::default()))),
        reader: None,
    };
    for (answer, text) in [
        ("", "no sense"),
        ("{}", "no sense"),
        ("\u{1f}\u{8b}", "no sense"),
        (r#"{"success": "yes"}"#, "no sense"),
        (r#"{"success": false}"#, "could not save"),
        (r#"{"success": false, "message": "disk full"}"#, "disk full"),
    ] {
        let answering = async {
            let request = requests.next().await.unwrap();
            client.publish(request.reply.unwrap(), answer.into()).await.unwrap();
        };
        let (saved, ()) = tokio::join!(other.save("mails".into(), "{}".into()), answering);
        assert!(matches!(&saved, Err(DataError::Refused(why)) if why.contains(text)), "{answer:?}: {saved:?}");
    }
}

#[tokio::test]
async fn without_a_writer_saving_is_unavailable_at_once_and_with_a_silent_one_after_a_while() {
    let Some((_server, client)) = served().await else { return };
    let database = database(&client);
    let begun = Instant::now();
    let nobody = database.save("mails".into(), "{}".into()).await;
    assert!(matches!(&nobody, Err(DataError::Unavailable(why)) if why.contains("mongo_writer_data.kre")), "{nobody:?}");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let _silent = client.subscribe("mongo_writer_data.*").await.unwrap();
    let silent = database.save("mails".into(), "{}".into()).await;
    assert!(matches!(silent, Err(DataError::Unavailable(_))), "{silent:?}");
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_saves_through_the_writer_and_is_told_that_nobody_reads() {
    let Some((server, client)) = served().await else { return };
    let writer = Writer::start(client).await;
    let version = e2e::built("tests/guests/data");
    let running = Running::start(version.path(), &["--nats", &server.url(), "--runtime-id", "tenant"]);
    let tell = |what: &str, name: &str, text: &str| {
        let order = json!({"what": what, "name": name, "text": text}).to_string();
        let (code, out, err) = running.call(&["Do", &order]);
        assert_eq!(code, 0, "{out}{err}");
        out
    };
    tokio::task::block_in_place(|| {
        assert!(!tell("save", "mails", r#"{"n": 1}"#).contains("error"), "saved");
        assert!(!tell("predict", "spam", "ham").contains("error"), "saved");
        assert!(tell("save", "mails", r#"{"_id": "taken"}"#).contains("Other"), "refused");
        let found = tell("find", "mails", "{}");
        assert!(found.contains("NotConfigured") && found.contains("KRT_MONGO_URI"), "{found}");
    });
    let saved = writer.saved();
    assert_eq!(saved.len(), 2);
    assert_eq!((saved[0].runtime.as_str(), &saved[0].document), ("tenant", &json!({"n": 1})));
    assert_eq!(saved[1].document["versionName"], "data");
    assert!(running.stop().success());
}
