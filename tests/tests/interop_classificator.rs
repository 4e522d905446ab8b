//! The documentation's classificator with its own mix of two Python and three Go nodes, and with each of them in turn as
//! the example's component: the answers are the same.

use std::fs;
use std::path::Path;

use e2e::interop::{GO, PYTHON, source, tools};
use e2e::nats::{self, CURRENT};
use e2e::running::Running;
use serde_json::{Value, json};

/// Name in the manifest, image, and src beside the images of the original, as the documentation has it.
const NODES: [(&str, &str, &str); 5] = [
    ("etl", PYTHON, "src/etl/main.py"),
    ("email-classificator", PYTHON, "src/email_classificator/main.py"),
    ("repairs-handler", GO, "bin/repairs_handler"),
    ("stats-storer", GO, "bin/stats_storer"),
    ("exitpoint", GO, "bin/exitpoint"),
];

/// A workflow for the documentation's mix, and one for each node as a component. The example's manifest gives the graph.
fn manifest(example: &str) -> String {
    let (head, workflow) = example.split_once("workflows:\n").expect("workflows");
    let mut text = format!("{head}workflows:\n");
    for component in [None].into_iter().chain(NODES.map(|(name, ..)| Some(name))) {
        let mut workflow = workflow.to_owned();
        for (name, image, src) in NODES {
            workflow = workflow.replace(&format!("        wasm:\n          build: nodes/{name}\n"), "");
            if component != Some(name) {
                let native = format!("src: {src}\n        image: {image}:latest");
                workflow = workflow.replace(&format!("src: bin/{name}.wasm"), &native);
            }
        }
        let (name, method) = names(component);
        workflow = workflow.replace("name: classificator\n", &format!("name: {name}\n"));
        text.push_str(&workflow.replace("entrypoint: Classificator\n", &format!("entrypoint: {method}\n")));
    }
    text
}

/// Workflow and method.
fn names(component: Option<&str>) -> (String, String) {
    match component {
        None => ("classificator".to_owned(), "Classificator".to_owned()),
        Some(node) => (format!("as-{}", &node[..node.len().min(4)]), format!("As{}", node.replace('-', ""))),
    }
}

/// The built example with every node in both forms, and a workflow for each mix.
fn mix(tools: &e2e::interop::Tools) -> tempfile::TempDir {
    let folder = e2e::built_example("classificator");
    let at = |path: &str| folder.path().join(path);
    let read = |path: &Path| fs::read_to_string(path).expect("text");
    fs::write(at("krt.yml"), manifest(&read(&at("krt.yml")))).expect("written");
    let methods: String =
        NODES.map(|(name, ..)| format!("  rpc {}(Request) returns (Response);\n", names(Some(name)).1)).concat();
    let proto =
        read(&at("public_input.proto")).replace("service Entrypoint {\n", &format!("service Entrypoint {{\n{methods}"));
    fs::write(at("public_input.proto"), proto).expect("written");
    for (_, image, src) in NODES {
        fs::create_dir_all(at(src).parent().expect("a folder")).expect("a folder");
        let from = if image == PYTHON {
            source("python/nodes/classificator").join(src.strip_prefix("src/").expect("beneath src"))
        } else {
            tools.go(src.strip_prefix("bin/").expect("beneath bin"))
        };
        fs::copy(from, at(src)).expect("copied");
    }
    folder
}

fn answer(running: &Running, method: &str, request: &Value) -> Value {
    let (code, answer, errors) = running.call(&[method, &request.to_string()]);
    assert_eq!(code, 0, "{method}: {errors}");
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{method}: {error}: {answer}"))
}

#[test]
fn the_classificator_answers_the_same_whatever_its_nodes_are_made_of() {
    let (Some(tools), Some(server)) = (tools(), nats::binary(CURRENT)) else { return };
    let folder = mix(&tools);
    let mut arguments = tools.runners();
    arguments.extend(["--nats".into(), "auto".into(), "--nats-server".into(), server.display().to_string()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let running = Running::start(folder.path(), &arguments);
    for component in [None].into_iter().chain(NODES.map(|(name, ..)| Some(name))) {
        let (_, method) = names(component);
        let batch = answer(&running, &method, &json!({"batch": "monday"}));
        assert_eq!(
            batch["path"],
            json!(["entrypoint", "etl", "email-classificator", "stats-storer", "exitpoint"]),
            "{method}"
        );
        assert_eq!((&batch["emails"], &batch["emailsSoFar"]), (&json!(32), &json!("32")), "{method}");
        let expected = [("repairs", 9), ("invoices", 7), ("spam", 6), ("complaints", 5), ("praise", 5)];
        let expected = expected.map(|(category, count)| json!({"category": category, "count": count}));
        assert_eq!(batch["categories"], json!(expected), "{method}");

        let early = answer(&running, &method, &json!({"batch": "monday", "acknowledge": true}));
        assert_eq!(early["path"], json!(["entrypoint", "etl", "exitpoint"]), "{method}");

        let (code, _, errors) = running.call(&[&method, &json!({"batch": "damaged"}).to_string()]);
        assert!(code == 1 && errors.contains("INTERNAL"), "{method}: {errors}");
    }
    assert!(running.stop().success());
}
