//! The classificator in five languages: the same graph, and the same answers as the one in Rust, byte for byte.

use std::path::Path;
use std::process::Command;

use e2e::running::Running;
use e2e::{krt_binary, workspace};

/// What a machine needs beside Rust to build all nodes.
const TOOLS: [(&str, &str); 3] = [("python3", "--version"), ("node", "--version"), ("go", "version")];

/// What both have alike; a difference would only be a mistake.
const SHARED: [&str; 9] = [
    "public_input.proto",
    "internal_nodes.proto",
    "emails/monday.mbox",
    "emails/damaged.mbox",
    "model/training.tsv",
    "requests/acknowledge.json",
    "requests/batch.json",
    "requests/damaged.json",
    "requests/emails.json",
];

fn example(name: &str) -> std::path::PathBuf {
    workspace().join("examples").join(name)
}

/// Exit code, standard output and standard error of every request of the example, in order.
fn answers(version: &Path) -> Vec<(i32, String, String)> {
    let running = Running::start(version, &[]);
    let requests = ["batch", "damaged", "acknowledge", "emails", "batch", "emails"];
    let call = |name: &str| {
        let file = example("classificator").join(format!("requests/{name}.json"));
        running.call(&["Classificator", "--data", &format!("@{}", file.display())])
    };
    let mut answers: Vec<_> = requests.into_iter().map(call).collect();
    for wrong in [r#"{"batch": "../etc/passwd"}"#, "{}", r#"{"emails": ["no headers at all\n"]}"#] {
        answers.push(running.call(&["Classificator", wrong]));
    }
    assert!(running.stop().success());
    answers
}

#[test]
fn nodes_of_five_languages_answer_as_those_of_one() {
    for (tool, version) in TOOLS {
        if Command::new(tool).arg(version).output().is_err() {
            e2e::skipped(&format!("there is no {tool}"));
            return;
        }
    }
    let rust = e2e::built_example("classificator");
    let polyglot = tempfile::Builder::new().prefix("krt-polyglot-").tempdir().unwrap();
    e2e::copy_tree(&example("classificator-polyglot"), polyglot.path());
    let built = Command::new(krt_binary())
        .args(["build", "."])
        .current_dir(polyglot.path())
        // What the exitpoint is made of was compiled for the other one.
        .env("CARGO_TARGET_DIR", workspace().join("target/guests/examples/classificator"))
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    for (ours, theirs) in answers(polyglot.path()).iter().zip(answers(rust.path())) {
        assert_eq!(*ours, theirs);
    }
}

#[test]
fn the_examples_differ_in_their_nodes_alone() {
    let read = |example: &str, file: &str| std::fs::read(self::example(example).join(file)).unwrap();
    for file in SHARED {
        assert!(read("classificator", file) == read("classificator-polyglot", file), "{file} differs");
    }
}
