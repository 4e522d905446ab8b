//! Documents found in a database that speaks MongoDB's protocol.

use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::mongo::Mongo;
use e2e::nats::Server;
use e2e::running::Running;
use e2e::writer::Writer;
use krt_host::data::mongo::MongoReader;
use krt_host::data::{DataError, Database, MAX_FOUND_DOCUMENTS};
use mongodb::bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use serde_json::{Value, json};

const PLENTY: usize = 16 << 20;

async fn insert(mongo: &Mongo, database: &str, collection: &str, documents: Vec<Document>) {
    let client = mongodb::Client::with_uri_str(mongo.uri()).await.expect("a URI");
    client.database(database).collection(collection).insert_many(documents).await.expect("inserted");
}

async fn reader(mongo: &Mongo, shared: bool) -> Database {
    let reader = MongoReader::new(mongo.uri(), "kre", shared).await.expect("a URI");
    Database { writer: None, reader: Some(Arc::new(reader)) }
}

async fn find(database: &Database, query: Value) -> Result<Vec<Value>, DataError> {
    let found = database.find("mails".into(), &query.to_string(), PLENTY).await?;
    Ok(found.iter().map(|text| serde_json::from_str(text).expect("JSON")).collect())
}

#[tokio::test]
async fn documents_are_found_in_the_runtimes_own_database_by_mongodbs_language() {
    let Some(mongo) = Mongo::start() else { return };
    let database = reader(&mongo, false).await;
    assert_eq!(find(&database, json!({})).await, Ok(vec![]), "a collection that is not there");
    let id = ObjectId::new();
    let documents = vec![
        doc! {"_id": id, "n": 1, "at": DateTime::from_millis(0), "from": {"name": "\u{e4}"}, "big": 1_i64 << 60},
        doc! {"n": 2.5, "labels": ["x", "y"], "none": Bson::Null},
        doc! {"n": 3},
    ];
    insert(&mongo, "kre-data", "mails", documents).await;
    insert(&mongo, "other-data", "mails", vec![doc! {"n": 9}]).await;
    insert(&mongo, "data", "mails", vec![doc! {"n": 8}]).await;
    assert_eq!(find(&database, json!({})).await.unwrap().len(), 3);
    for (query, expected) in [
        (json!({"n": 1}), vec![json!(1)]),
        (json!({"n": {"$gt": 1, "$lte": 3}}), vec![json!(2.5), json!(3)]),
        (json!({"n": {"$in": [1, 3, 7]}}), vec![json!(1), json!(3)]),
        (json!({"n": {"$ne": 3}}), vec![json!(1), json!(2.5)]),
        (json!({"from.name": "\u{e4}"}), vec![json!(1)]),
        (json!({"labels": "y"}), vec![json!(2.5)]),
        (json!({"labels": {"$exists": true}}), vec![json!(2.5)]),
        (json!({"$or": [{"n": 1}, {"n": 3}]}), vec![json!(1), json!(3)]),
        (json!({"$and": [{"n": 1}, {"n": 3}]}), vec![]),
        (json!({"_id": {"$oid": id.to_hex()}}), vec![json!(1)]),
        (json!({"at": {"$lt": {"$date": "1970-01-01T00:00:01Z"}}}), vec![json!(1)]),
        (json!({"labels": {"$size": 2}}), vec![json!(2.5)]),
    ] {
        let found = find(&database, query.clone()).await.unwrap();
        assert_eq!(found.iter().map(|document| document["n"].clone()).collect::<Vec<_>>(), expected, "{query}");
    }
    let first = find(&database, json!({"n": 1})).await.unwrap().remove(0);
    assert_eq!((&first["_id"], &first["big"]), (&json!({"$oid": id.to_hex()}), &json!(1_i64 << 60)));
}

#[tokio::test]
async fn the_shared_database_is_asked_only_when_told_and_only_for_what_is_not_in_the_own_one() {
    let Some(mongo) = Mongo::start() else { return };
    insert(&mongo, "data", "mails", vec![doc! {"n": 8}]).await;
    assert_eq!(find(&reader(&mongo, false).await, json!({})).await.unwrap().len(), 0);
    let both = reader(&mongo, true).await;
    assert_eq!(find(&both, json!({})).await.unwrap()[0]["n"], 8);
    insert(&mongo, "kre-data", "mails", vec![doc! {"n": 1}]).await;
    assert_eq!(find(&both, json!({})).await.unwrap()[0]["n"], 1);
}

#[tokio::test]
async fn more_than_fits_and_what_is_no_query_are_typed_errors() {
    let Some(mongo) = Mongo::start() else { return };
    let database = reader(&mongo, false).await;
    let documents = (0..100).map(|n| doc! {"n": n, "text": "x".repeat(1000)}).collect();
    insert(&mongo, "kre-data", "mails", documents).await;
    let limited = database.find("mails".into(), "{}", 50_000).await;
    assert_eq!(limited, Err(DataError::TooLarge { limit: 50_000 }));
    for _ in 0..=MAX_FOUND_DOCUMENTS / 1000 {
        insert(&mongo, "kre-data", "many", (0..1000).map(|n| doc! {"n": n}).collect()).await;
    }
    let many = database.find("many".into(), "{}", PLENTY).await;
    assert_eq!(many, Err(DataError::TooLarge { limit: PLENTY }));
    for query in
        [json!({"$nonsense": 1}), json!({"n": {"$nonsense": 1}}), json!({"n": {"$in": 1}}), json!({"$where": "1"})]
    {
        let refused = find(&database, query.clone()).await;
        assert!(matches!(refused, Err(DataError::Invalid(_))), "{query}: {refused:?}");
    }
}

#[tokio::test]
async fn a_database_that_goes_away_is_unavailable_within_seconds() {
    let Some(mut mongo) = Mongo::start() else { return };
    let database = reader(&mongo, false).await;
    assert_eq!(find(&database, json!({})).await, Ok(vec![]));
    mongo.kill();
    let begun = Instant::now();
    let gone = find(&database, json!({})).await;
    assert!(matches!(gone, Err(DataError::Unavailable(_))), "{gone:?}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

/// The platform as it was: a writer on NATS puts into the database what nodes save, and nodes find it there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_finds_what_the_writer_has_put_into_the_database() {
    let (Some(server), Some(mongo)) = (Server::start(), Mongo::start()) else { return };
    let client = async_nats::connect(server.url()).await.expect("a connection");
    let writer = Writer::start(client).await;
    let version = e2e::built("tests/guests/data");
    let running = Running::start(version.path(), &["--nats", &server.url(), "--mongo-uri", mongo.uri()]);
    let tell = |what: &str, text: &str| {
        let order = json!({"what": what, "name": "mails", "text": text}).to_string();
        let (code, out, err) = tokio::task::block_in_place(|| running.call(&["Do", &order]));
        assert_eq!(code, 0, "{out}{err}");
        out
    };
    assert!(!tell("save", r#"{"n": 1, "text": "saved by a guest"}"#).contains("error"));
    assert!(!tell("find", "{}").contains("saved by a guest"), "the writer has not put it there yet");
    for saved in writer.saved() {
        let document: Document = serde_json::from_value(saved.document).expect("a document");
        insert(&mongo, &format!("{}-data", saved.runtime), &saved.collection, vec![document]).await;
    }
    assert!(tell("find", r#"{"n": {"$gte": 1}}"#).contains("saved by a guest"));
    assert!(tell("find", r#"{"n": {"$where": "1"}}"#).contains("Invalid"));
    assert!(running.stop().success());
}
