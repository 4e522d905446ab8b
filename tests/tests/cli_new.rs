//! `krt new`: what it makes in each language is built, tested by the language's own tool, run and called; and what it
//! refuses.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use e2e::running::Running;
use e2e::{krt_binary, workspace};
use serde_json::Value;

fn krt(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(krt_binary()).args(arguments).current_dir(folder).output().expect("krt starts")
}

/// What krt said on standard error, when it failed as it should have.
fn refusal(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    text
}

fn made(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A command as `krt new` tells it, as a shell would run it.
fn shell(folder: &Path, command: &str) {
    let krt = krt_binary().parent().expect("a folder").display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(folder)
        .env("PATH", format!("{krt}:{path}"))
        // What Rust needs is compiled once for all runs of these tests.
        .env("CARGO_TARGET_DIR", workspace().join("target/guests/new"))
        .output()
        .expect("a shell starts");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command}:\n{}", String::from_utf8_lossy(&said));
}

/// Makes a version, does all that it says to do next, and calls it.
fn from_nothing_to_an_answer(language: &str, needs: &[&str]) {
    for tool in needs {
        if Command::new(tool).arg("--version").output().is_err() {
            return e2e::skipped(&format!("krt new in {language}: there is no {tool}"));
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let report = made(&krt(folder.path(), &["new", "hello-you", "--lang", language, "--output", "json"]));
    assert_eq!((&report["version"], &report["node"]), (&"hello-you".into(), &"greeter".into()));
    let version = folder.path().join("hello-you");
    for file in report["files"].as_array().expect("files") {
        assert!(folder.path().join(file.as_str().expect("a path")).is_file(), "{file}");
    }
    let next: Vec<_> = report["next"].as_array().expect("commands").iter().filter_map(Value::as_str).collect();
    let [cd, build, test, run, call] = next[..] else { panic!("{next:?}") };
    assert_eq!((cd, build, run), ("cd hello-you", "krt build", "krt run"));
    shell(&version, build);
    shell(&version, test);

    // One more node, that answers as the first one does.
    let old = fs::read_to_string(version.join("krt.yml")).expect("a manifest");
    let report = made(&krt(&version, &["new", "--node", "second", "--lang", language, "--output", "json"]));
    assert_eq!(report["workflow"], "greeting");
    let new = fs::read_to_string(version.join("krt.yml")).expect("a manifest");
    assert!(new.starts_with(&old) && new.contains("- name: second"), "{new}");
    // What both say of their messages is true of the version.
    assert_eq!(new.matches("types: { accepts: hello_you.Greeting, emits: hello_you.Answer }").count(), 2, "{new}");
    assert!(krt(&version, &["check", "."]).status.success());
    for command in report["next"].as_array().expect("commands") {
        shell(&version, command.as_str().expect("a command"));
    }

    let running = Running::start(&version, &[]);
    let call: Vec<String> = shlex(call.split('#').next().expect("a command"));
    assert_eq!(call[..3], ["krt", "call", "Greet"]);
    assert_eq!(running.call(&["Greet", &call[3]]), (0, "{\"text\":\"Hello, Ada!\"}\n".into(), String::new()));
    let (code, _, error) = running.call(&["Greet", "{}"]);
    assert!(code == 1 && error.contains("a greeting needs a name"), "{error}");
    assert!(running.stop().success());
}

/// The words of a command with one argument in single quotes.
fn shlex(command: &str) -> Vec<String> {
    let (plain, quoted) = command.trim().split_once('\'').expect("a quote");
    plain.split_whitespace().map(str::to_owned).chain([quoted.trim_end_matches('\'').to_owned()]).collect()
}

#[test]
fn a_new_version_in_rust_is_built_tested_and_called() {
    from_nothing_to_an_answer("rust", &["cargo"]);
}

#[test]
fn a_new_version_in_python_is_built_tested_and_called() {
    from_nothing_to_an_answer("python", &["python3"]);
}

#[test]
fn a_new_version_in_javascript_is_built_tested_and_called() {
    from_nothing_to_an_answer("js", &["node", "npm"]);
}

#[test]
fn a_new_version_in_go_is_built_tested_and_called() {
    from_nothing_to_an_answer("go", &["go"]);
}

#[test]
fn a_new_version_in_c_is_built_tested_and_called() {
    from_nothing_to_an_answer("c", &["python3", "make"]);
}

#[test]
fn what_is_there_is_never_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("there")).expect("a folder");
    let text = refusal(&krt(folder.path(), &["new", "there", "--lang", "rust"]));
    assert!(text.contains("there is there already"), "{text}");
    made(&krt(folder.path(), &["new", "hello", "--lang", "rust", "--output", "json"]));
    let version = folder.path().join("hello");
    let before = fs::read(version.join("krt.yml")).expect("a manifest");
    for (node, why) in [("greeter", "has a node \"greeter\" already"), ("bin", "is there already")] {
        fs::create_dir_all(version.join("bin")).expect("a folder");
        let text = refusal(&krt(&version, &["new", "--node", node, "--lang", "rust"]));
        assert!(text.contains(why), "{text}");
    }
    assert_eq!(fs::read(version.join("krt.yml")).expect("a manifest"), before);
    assert!(!version.join("greeting.proto").exists());
}

#[test]
fn a_name_that_is_none_is_refused_with_one_that_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = refusal(&krt(folder.path(), &["new", "My_Version", "--lang", "rust"]));
    assert!(text.contains("my-version"), "{text}");
    made(&krt(folder.path(), &["new", "hello", "--lang", "rust", "--output", "json"]));
    let version = folder.path().join("hello");
    for (arguments, why) in [
        (vec!["--node", "Bad Name"], "bad-name"),
        (vec!["--node", "x", "--from", "nobody"], "nobody"),
        (vec!["--node", "x", "--workflow", "nothing"], "it has greeting"),
    ] {
        let text = refusal(&krt(&version, &[&["new", "--lang", "rust"], arguments.as_slice()].concat()));
        assert!(text.contains(why), "{arguments:?}: {text}");
    }
    assert_eq!(fs::read_dir(&version).expect("a folder").count(), 4, "something was left");
    let without = krt(folder.path(), &["new", "--lang", "rust"]);
    assert_eq!(without.status.code(), Some(2));
}

#[test]
fn a_version_with_messages_of_its_own_gets_those_of_the_greeting_beside_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let version = folder.path();
    let manifest = "\
version: shop
description: A shop
workflows:
  - name: sell
    entrypoint: Sell
    exitpoint: till
    nodes:
      - name: till
        src: bin/till.wasm
        subscriptions: [entrypoint]
";
    let proto =
        "syntax = \"proto3\"; package shop; message Order {} service Entrypoint { rpc Sell (Order) returns (Order); }";
    fs::write(version.join("krt.yml"), manifest).expect("written");
    fs::write(version.join("public_input.proto"), proto).expect("written");
    let add = |node: &str| {
        made(&krt(version, &["new", "--node", node, "--lang", "rust", "--from", "till", "--output", "json"]))
    };
    add("one");
    let code = fs::read_to_string(version.join("one/src/lib.rs")).expect("a source");
    assert!(code.contains("use messages::greeting::{Answer, Greeting};"), "{code}");
    assert!(fs::read_to_string(version.join("greeting.proto")).expect("a proto").contains("package greeting;"));
    add("two");
    let text = fs::read_to_string(version.join("krt.yml")).expect("a manifest");
    // What the till sends is not known, so nothing speaks against it.
    let types = "types: { accepts: greeting.Greeting, emits: greeting.Answer }";
    let entry = |node: &str| {
        format!(
            "      - name: {node}\n        src: bin/{node}.wasm\n        wasm: {{ build: {node} }}\n        subscriptions: [\"till\"]\n        {types}\n"
        )
    };
    assert_eq!(text, format!("{manifest}{}{}", entry("one"), entry("two")));
}
