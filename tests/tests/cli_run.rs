//! `krt run` as a process: what it says when it cannot, and how it ends. Components are tiny `.wat` files.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use e2e::krt_binary;

const MANIFEST: &str = "\
krtVersion: v2
version: tiny
description: One node
entrypoint:
  proto: public_input.proto
workflows:
  - name: tiny
    entrypoint: Call
    exitpoint: only
    nodes:
      - name: only
        src: bin/only.wasm
        subscriptions: [entrypoint]
";

const PROTO: &str = "\
syntax = \"proto3\";
package main;
message Text { string text = 1; }
service Entrypoint { rpc Call(Text) returns (Text); }
";

fn version(component: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("bin")).expect("a folder");
    fs::write(folder.path().join("krt.yml"), MANIFEST).expect("written");
    fs::write(folder.path().join("public_input.proto"), PROTO).expect("written");
    fs::write(folder.path().join("bin/only.wasm"), component).expect("written");
    folder
}

fn run(path: &Path, arguments: &[&str]) -> Output {
    Command::new(krt_binary())
        .args(["run", "--grpc-addr", "127.0.0.1:0", "--web-addr", "127.0.0.1:0"])
        .args(arguments)
        .arg(path)
        .output()
        .expect("krt starts")
}

/// It failed with a message that has all of `words`, without a panic and without a backtrace.
fn refused(output: &Output, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in:\n{text}");
    }
    assert!(!text.contains("panicked") && !text.contains("backtrace"), "{text}");
}

#[test]
fn a_port_in_use_is_named_with_the_flag_that_changes_it() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let folder = version(b"");
    let output = Command::new(krt_binary())
        .args(["run", "--grpc-addr", &address, "--web-addr", "127.0.0.1:0"])
        .arg(folder.path())
        .output()
        .expect("krt starts");
    refused(&output, &[&address, "--grpc-addr", "in use"]);
}

#[test]
fn an_empty_component_is_refused_by_name() {
    refused(&run(version(b"").path(), &[]), &["bin/only.wasm", "empty"]);
}

#[test]
fn a_core_module_in_place_of_a_component_is_refused() {
    let module = wat::parse_str("(module)").expect("wat");
    refused(&run(version(&module).path(), &[]), &["bin/only.wasm", "core module"]);
}

#[test]
fn a_truncated_component_is_refused() {
    let mut component = wat::parse_str("(component (core module (func (export \"f\"))))").expect("wat");
    component.truncate(component.len() - 3);
    refused(&run(version(&component).path(), &[]), &["bin/only.wasm"]);
}

#[test]
fn a_component_of_another_world_is_refused_with_the_export_it_lacks() {
    let component = wat::parse_str("(component)").expect("wat");
    refused(&run(version(&component).path(), &[]), &["bin/only.wasm", "krt:node/handler"]);
}

#[test]
fn a_script_in_place_of_a_component_is_refused() {
    refused(&run(version(b"#!/usr/bin/env python3\nprint('hello')\n").path(), &[]), &["bin/only.wasm"]);
}

/// The version with its node in an image of the original.
fn native() -> tempfile::TempDir {
    let folder = version(b"");
    let manifest = MANIFEST.replace("src: bin/only.wasm", "src: main.py\n        image: konstellation/kre-py:latest");
    fs::write(folder.path().join("krt.yml"), manifest).expect("written");
    fs::write(folder.path().join("main.py"), "").expect("written");
    folder
}

#[test]
fn a_node_in_an_image_of_the_original_is_refused_by_name_with_the_flags_that_help() {
    refused(&run(native().path(), &[]), &["\"only\"", "konstellation/kre-py:latest", "--nats auto", "--runner"]);
}

#[test]
fn an_image_without_a_runner_is_told_with_the_node_before_anything_is_made() {
    // Nobody listens there, and nobody is asked.
    let nats = ["--nats", "nats://127.0.0.1:1"];
    let words = ["\"only\"", "konstellation/kre-py:latest", "--runner 'konstellation/kre-py=COMMAND'"];
    refused(&run(native().path(), &nats), &words);
    let runner = ["--runner", "konstellation/kre-go={src}"];
    refused(&run(native().path(), &[nats, runner].concat()), &words);
    let program = ["--runner", "konstellation/kre-py={src}"];
    refused(&run(native().path(), &[nats, program].concat()), &["\"only\"", "main.py", "chmod +x"]);
}

#[test]
fn a_nats_server_that_is_not_there_is_told_with_the_flag() {
    let auto = ["--nats", "auto", "--nats-server", "/nowhere/nats-server"];
    refused(&run(version(b"").path(), &auto), &["/nowhere/nats-server", "--nats-server PATH"]);
    let other = ["--nats", "auto", "--nats-server", "/bin/false"];
    refused(&run(version(b"").path(), &other), &["/bin/false", "does not become ready"]);
}

#[test]
fn configuration_variables_without_a_value_are_listed_before_anything_is_compiled() {
    let folder = version(b"");
    let manifest = format!("{MANIFEST}config:\n  variables: [FIRST_MISSING, SECOND_MISSING]\n");
    fs::write(folder.path().join("krt.yml"), manifest).expect("written");
    refused(&run(folder.path(), &[]), &["FIRST_MISSING, SECOND_MISSING", "--config"]);
}

#[test]
fn a_manifest_with_an_error_is_shown_with_its_place_and_nothing_runs() {
    let folder = version(b"");
    fs::write(folder.path().join("krt.yml"), MANIFEST.replace("[entrypoint]", "[nobody]")).expect("written");
    refused(&run(folder.path(), &[]), &["nobody", "krt.yml:13:"]);
}
