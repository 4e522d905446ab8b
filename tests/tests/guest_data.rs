//! Documents, predictions and measurements of a guest under `krt run`, with the embedded database.

use e2e::running::Running;
use serde_json::{Value, json};

/// What the node answers to an order.
fn tell(running: &Running, what: &str, name: &str, text: &str) -> (Vec<Value>, String) {
    answer(running, &json!({"what": what, "name": name, "text": text}))
}

fn answer(running: &Running, order: &Value) -> (Vec<Value>, String) {
    let (code, out, err) = running.call(&["Do", &order.to_string(), "--output", "json"]);
    assert_eq!(code, 0, "{out}{err}");
    let answer: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"));
    let answer = answer.get("response").unwrap_or(&answer).clone();
    let found = answer["found"].as_array().cloned().unwrap_or_default();
    let found = found.iter().map(|text| serde_json::from_str(text.as_str().unwrap()).unwrap()).collect();
    (found, answer["error"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_guest_saves_and_finds_documents_and_predictions_on_a_laptop() {
    let version = e2e::built("tests/guests/data");
    let running = Running::start(version.path(), &[]);
    let nothing = (Vec::new(), String::new());
    assert_eq!(tell(&running, "find", "mails", "{}"), nothing);
    assert_eq!(tell(&running, "save", "mails", r#"{"n": 1, "from": {"name": "ä"}}"#), nothing);
    assert_eq!(tell(&running, "save", "mails", r#"{"n": 2}"#), nothing);
    let (found, error) = tell(&running, "find", "mails", r#"{"from.name": "ä"}"#);
    assert_eq!((found.len(), error.as_str()), (1, ""));
    assert_eq!(found[0]["n"], 1);
    assert_eq!(tell(&running, "find", "mails", r#"{"n": {"$gt": 0}}"#).0.len(), 2);

    for (what, name, text, expected) in [
        ("save", "$cmd", "{}", "Invalid"),
        ("save", "mails", "not JSON", "Invalid"),
        ("find", "mails", r#"{"$where": "1"}"#, "Invalid"),
        ("find", "mails", r#"{"n": {"$regex": "x"}}"#, "Invalid"),
    ] {
        let (_, error) = tell(&running, what, name, text);
        assert!(error.starts_with(expected), "{what} {name} {text}: {error}");
    }

    assert_eq!(tell(&running, "predict", "spam", "ham"), nothing);
    let extra = json!({"what": "predict", "name": "ham", "text": "ham", "extra": r#"{"model": 3}"#});
    assert_eq!(answer(&running, &extra), nothing);
    assert_eq!(tell(&running, "miss", "new_labels", ""), nothing);
    assert_eq!(tell(&running, "miss", "missing_values", ""), nothing);
    let (predictions, _) = tell(&running, "find", "classificationMetrics", r#"{"versionName": "data"}"#);
    let brief: Vec<_> = predictions
        .iter()
        .map(|p| [&p["predictedValue"], &p["trueValue"], &p["error"]].map(|value| value.as_str().unwrap()))
        .collect();
    assert_eq!(brief, [["spam", "ham", ""], ["ham", "ham", ""], ["", "", "new_labels"], ["", "", "missing_values"]]);
    assert_eq!(predictions[1]["extra"], json!({"model": 3}));

    assert_eq!(tell(&running, "measure", "mails", "size"), nothing);
    assert!(running.stop().success());
}
