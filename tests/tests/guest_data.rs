//! Documents, predictions and measurements of a guest under `krt run`, with the embedded database.

use std::io::{Read as _, Write as _};

use e2e::influx::Influx;
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

#[test]
fn measurements_and_the_time_of_every_message_reach_influxdb_and_prometheus() {
    let version = e2e::built("tests/guests/data");
    let influx = Influx::start();
    let (mut log, out) = std::io::pipe().expect("a pipe");
    let running = Running::start_with(version.path(), &["--influx-uri", &influx.uri()], out.into());
    let hostile = "x y,node=me\\";
    assert_eq!(tell(&running, "measure", "mails,node=me f=1", hostile), (Vec::new(), String::new()));
    let (path, line) = influx.line(|line| line.starts_with("mails"));
    assert_eq!(path, "/api/v2/write?org=&bucket=kre&precision=ns");
    let expected = r"mails\,node\=me\ f\=1".replace("\\=", "=")
        + r",node=keeper,tag=x\ y\,node\=me/,version=data,workflow=data x\ y\,node\=me/=1.5 ";
    let sorted = sorted_tags(&line);
    assert!(sorted.starts_with(&expected), "{sorted}\n{expected}");
    let (_, time) = influx.line(|line| line.starts_with("node_elapsed_time"));
    assert!(
        sorted_tags(&time)
            .starts_with("node_elapsed_time,from_node=entrypoint,node=keeper,version=data,workflow=data elapsed_ms="),
        "{time}"
    );
    assert!(time.contains(",success=true "), "{time}");

    let mut web = std::net::TcpStream::connect(&running.web).expect("the web is there");
    web.write_all(b"GET /metrics HTTP/1.1\r\nhost: krt\r\nconnection: close\r\n\r\n").expect("a request");
    let mut metrics = String::new();
    web.read_to_string(&mut metrics).expect("an answer");
    assert!(metrics.contains("krt_measurement{measurement=\"mails,node=me f=1\""), "{metrics}");
    assert!(metrics.contains("krt_measurements_dropped_total 0"), "{metrics}");
    assert!(running.stop().success());
    let mut said = String::new();
    log.read_to_string(&mut said).expect("a log");
    assert!(!said.contains("geheim"), "{said}");
}

#[test]
fn a_uri_that_is_none_is_refused_without_being_shown() {
    let version = e2e::built("tests/guests/data");
    let output = std::process::Command::new(e2e::krt_binary())
        .args(["run", "--grpc-addr", "127.0.0.1:0", "--web-addr", "127.0.0.1:0"])
        .arg(version.path())
        .env("KRT_INFLUX_URI", "influx://user:geheim@host")
        .output()
        .expect("krt starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("KRT_INFLUX_URI") && !said.contains("geheim"), "{said}");
}

/// Tags have no order; the host's come last in first.
fn sorted_tags(line: &str) -> String {
    // No tag of this test has a protected space before its last one.
    let end = line.match_indices(' ').find(|(at, _)| !line[..*at].ends_with('\\')).expect("fields").0;
    let mut parts = Vec::new();
    let mut part = String::new();
    for c in line[..end].chars() {
        if c == ',' && !part.ends_with('\\') {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(c);
        }
    }
    parts.push(part);
    parts[1..].sort();
    parts.join(",") + &line[end..]
}
