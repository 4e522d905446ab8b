//! What every database refuses before it is asked.

use super::embedded::EmbeddedData;
use super::*;

fn invalid<T: std::fmt::Debug>(result: Result<T, DataError>, what: &str) {
    assert!(matches!(result, Err(DataError::Invalid(_))), "{what}: {result:?}");
}

#[tokio::test]
async fn a_name_that_is_no_collection_is_refused_both_ways() {
    let database = EmbeddedData::database();
    let long = "c".repeat(MAX_COLLECTION + 1);
    for name in ["", ".", "a.", ".a", "a..b", "a b", "$cmd", "system.users", "a\0", "ä", "a/b", "oplog.$main", &long] {
        invalid(database.save(name.into(), "{}".into()).await, name);
        invalid(database.find(name.into(), "{}", 10).await, name);
    }
    for name in ["a", "A-1_b.c", "systematic", &"c".repeat(MAX_COLLECTION)] {
        database.save(name.into(), "{}".into()).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_no_document_is_refused() {
    let database = EmbeddedData::database();
    for document in ["", "1", "[]", "null", "{", "{\"a\":}", "{}{}", &format!("{{\"a\":{}", "[".repeat(1 << 20))] {
        invalid(database.save("c".into(), document.into()).await, &document[..document.len().min(20)]);
    }
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_DOCUMENT));
    assert_eq!(database.save("c".into(), large).await, Err(DataError::TooLarge { limit: MAX_DOCUMENT }));
}

#[tokio::test]
async fn what_is_no_query_or_would_run_code_is_refused() {
    let database = EmbeddedData::database();
    for query in [
        "",
        "[]",
        "{",
        r#"{"$where": "sleep(1e9)"}"#,
        r#"{"a": {"$function": {}}}"#,
        r#"{"$and": [{"$expr": {"$function": {"body": "x"}}}]}"#,
        r#"{"$or": [{"a": [{"$accumulator": 1}]}]}"#,
    ] {
        invalid(database.find("c".into(), query, 10).await, query);
    }
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_QUERY));
    assert_eq!(database.find("c".into(), &large, 10).await, Err(DataError::TooLarge { limit: MAX_QUERY }));
}

#[tokio::test]
async fn without_writer_or_reader_the_error_says_what_would_help() {
    let none = Database::default();
    let saved = none.save("c".into(), "{}".into()).await;
    assert!(matches!(&saved, Err(DataError::NotConfigured(text)) if text.contains("NATS")), "{saved:?}");
    let found = none.find("c".into(), "{}", 10).await;
    assert!(matches!(&found, Err(DataError::NotConfigured(text)) if text.contains("KRT_MONGO_URI")), "{found:?}");
}
