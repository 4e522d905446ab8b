//! The documentation's classificator, built by `krt build` in a folder of its own and called over gRPC.

use e2e::running::Running;
use serde_json::Value;

fn request(name: &str) -> String {
    let path = e2e::workspace().join("examples/classificator/requests").join(name);
    std::fs::read_to_string(path).expect("a request of the example")
}

fn answer(running: &Running, name: &str) -> Value {
    let (code, answer, errors) = running.call(&["Classificator", &request(name)]);
    assert_eq!(code, 0, "{name}: {errors}");
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{name}: {error}: {answer}"))
}

fn path(answer: &Value) -> Vec<&str> {
    answer["path"].as_array().expect("a path").iter().filter_map(Value::as_str).collect()
}

#[test]
fn the_classificator_answers_acknowledges_and_reports_what_failed() {
    let example = e2e::built_example("classificator");
    let running = Running::start(example.path(), &[]);

    let batch = answer(&running, "batch.json");
    assert_eq!(path(&batch), ["entrypoint", "etl", "email-classificator", "stats-storer", "exitpoint"]);
    assert_eq!(batch["emails"], 32);
    let counts: Vec<(&str, u64)> = batch["categories"]
        .as_array()
        .expect("categories")
        .iter()
        .map(|it| (it["category"].as_str().expect("a name"), it["count"].as_u64().expect("a number")))
        .collect();
    assert_eq!(counts, [("repairs", 9), ("invoices", 7), ("spam", 6), ("complaints", 5), ("praise", 5)]);

    // The early reply is the answer; what the other nodes make of the same batch comes too late to be another.
    let acknowledgement = answer(&running, "acknowledge.json");
    assert_eq!(path(&acknowledgement), ["entrypoint", "etl", "exitpoint"]);
    assert!(acknowledgement["message"].as_str().is_some_and(|text| text.starts_with("32 e-mails read")));

    let (code, answered, errors) = running.call(&["Classificator", &request("damaged.json")]);
    assert_eq!((code, answered.as_str()), (1, ""), "a damaged batch has no answer");
    assert!(errors.contains("INTERNAL") && errors.contains("e-mail 4 of the batch is malformed"), "{errors}");

    // One failing request fails only itself, and totals go on.
    let emails = answer(&running, "emails.json");
    assert_eq!(emails["emails"], 2);
    assert_eq!(emails["emailsSoFar"], "66");
    assert!(running.stop().success());
}

#[test]
fn a_node_that_does_not_compile_is_named_with_the_compilers_words() {
    let example = e2e::built_example("two-workflows");
    let source = example.path().join("shout-etl/src/lib.rs");
    let text = std::fs::read_to_string(&source).expect("the node's source");
    std::fs::write(&source, text.replace("to_uppercase", "to_upperkase")).expect("written");
    let output = std::process::Command::new(e2e::krt_binary())
        .args(["build", "--output", "json"])
        .current_dir(example.path())
        .env("CARGO_TARGET_DIR", e2e::workspace().join("target/guests/two-workflows"))
        .output()
        .expect("krt starts");
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(report["failures"][0]["nodes"], serde_json::json!(["shouting/etl"]));
    let message = report["failures"][0]["message"].as_str().expect("a message");
    assert!(message.contains("no method named `to_upperkase`"), "{message}");
    assert!(!message.contains("Compiling"), "{message}");
    assert_eq!(report["components"].as_array().map(Vec::len), Some(3), "the other nodes were built");
}
