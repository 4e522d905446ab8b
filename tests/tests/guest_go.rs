//! Nodes in Go, as an author meets them: the template, what `krt build` makes of it, and what it says when it cannot.
//! And the SDK's own tests.

use std::path::Path;
use std::process::{Command, Output};

use e2e::running::Running;
use e2e::workspace;

const MANIFEST: &str = "krtVersion: v2
version: demo
description: greets
entrypoint: { proto: public_input.proto }
workflows:
  - name: greet
    entrypoint: Greet
    exitpoint: greeter
    nodes:
      - { name: greeter, src: bin/greeter.wasm, wasm: { build: greeter }, subscriptions: [entrypoint] }
";

const PROTO: &str = "syntax = \"proto3\";
package demo;
import \"shared/texts.proto\";
service Entrypoint { rpc Greet (Greeting) returns (Answer); }
message Greeting { string name = 1; shared.Text more = 2; }
message Answer { string text = 1; }
";

const SHARED: &str = "syntax = \"proto3\"; package shared; message Text { string text = 1; }";

/// Whether Go is there; says so if it is not.
fn go_is_there() -> bool {
    let there = Command::new("go").arg("version").output().is_ok();
    if !there {
        e2e::skipped("nodes in Go: there is no go");
    }
    there
}

/// A version with one node, made of the template. Removed on drop.
fn version() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("written");
    };
    write("krt.yml", MANIFEST);
    write("public_input.proto", PROTO);
    write("shared/texts.proto", SHARED);
    let template = workspace().join("guest-sdk/go/template");
    for file in ["go.mod", "go.sum", "main.go", "main_test.go"] {
        let text = std::fs::read_to_string(template.join(file)).expect("a file of the template");
        write(&format!("greeter/{file}"), &text.replace("{{name}}", "greeter"));
    }
    folder
}

fn krt_build(version: &Path, cache: &Path, arguments: &[&str]) -> Output {
    let mut krt = Command::new(e2e::krt_binary());
    krt.arg("build").args(arguments).current_dir(version).env("KRT_CACHE_DIR", cache).output().expect("krt starts")
}

fn said(output: &Output) -> String {
    [output.stdout.as_slice(), &output.stderr].concat().iter().map(|byte| char::from(*byte)).collect()
}

#[test]
fn the_same_source_makes_the_same_bytes_in_any_folder_and_the_templates_tests_pass() {
    if !go_is_there() {
        return;
    }
    let component = || {
        let (version, cache) = (version(), tempfile::tempdir().expect("a temporary folder"));
        let output = krt_build(version.path(), cache.path(), &[]);
        assert!(output.status.success(), "{}", said(&output));
        (std::fs::read(version.path().join("bin/greeter.wasm")).expect("a component"), version, cache)
    };
    let ((one, version, cache), (other, ..)) = (component(), component());
    assert!(one == other, "{} bytes, and {} others", one.len(), other.len());
    let place = cache.path().to_string_lossy().into_owned();
    assert!(!one.windows(place.len()).any(|bytes| bytes == place.as_bytes()), "it knows where krt keeps its things");

    // What an author's own Go sees: the generated messages, and the SDK where krt unpacked it.
    for arguments in [["test", "./..."], ["vet", "./..."]] {
        let output = Command::new("go").args(arguments).current_dir(version.path().join("greeter")).output();
        let output = output.expect("go starts");
        assert!(output.status.success(), "go {arguments:?}: {}", said(&output));
    }
    assert!(version.path().join("greeter/messages/shared_texts.pb.go").is_file());

    // Nothing changed, nothing is asked of anybody.
    let output = krt_build(version.path(), cache.path(), &["--offline"]);
    assert!(output.status.success() && said(&output).contains("unchanged"), "{}", said(&output));
    assert!(!said(&output).contains("with go"), "{}", said(&output));
}

#[test]
fn what_go_says_of_a_mistake_is_shown_as_it_says_it() {
    if !go_is_there() {
        return;
    }
    let version = version();
    let main = version.path().join("greeter/main.go");
    let text = std::fs::read_to_string(&main).expect("the node");
    std::fs::write(&main, text.replace("greeting.Name == \"\"", "greeting.Nome == \"\"")).expect("written");
    let cache = tempfile::tempdir().expect("a temporary folder");
    let output = krt_build(version.path(), cache.path(), &[]);
    assert!(!output.status.success());
    let text = said(&output);
    assert!(text.contains("./main.go:14:14: greeting.Nome undefined"), "{text}");
    assert!(text.contains("error: could not build greet/greeter; the command was: go build "), "{text}");
}

#[test]
fn a_module_of_others_is_built_in_when_its_bytes_are_those_of_go_sum() {
    const SUM: &str = "NIvaJDMOsjHA8n1jAhLSgzrAzy1Hgr+hNrb57e+94F0=";
    if !go_is_there() {
        return;
    }
    let version = version();
    let build =
        || Command::new(e2e::krt_binary()).arg("build").current_dir(version.path()).output().expect("krt starts");
    let change = |file: &str, from: &str, to: &str| {
        let path = version.path().join("greeter").join(file);
        let text = std::fs::read_to_string(&path).expect("a file of the node");
        assert!(text.contains(from), "{file}: {text}");
        std::fs::write(path, text.replacen(from, to, 1)).expect("written");
    };
    change("main.go", "import (", "import (\n\t\"github.com/google/uuid\"");
    change("main.go", "greeting.Name +", "uuid.NewSHA1(uuid.NameSpaceURL, []byte(greeting.Name)).String() +");
    change("go.mod", "require (", "require (\n\tgithub.com/google/uuid v1.6.0");
    let module = "github.com/google/uuid v1.6.0";
    let other = SUM.replace("NIvaJ", "AAAAA");
    let sums = format!("{module} h1:{other}\n{module}/go.mod h1:TIyPZe4MgqvfeYDBFedMoGGpEw/LqOeaOT+nhxU+yHo=\n");
    change("go.sum", "", &sums);
    let output = build();
    assert!(!output.status.success() && said(&output).contains("checksum mismatch"), "{}", said(&output));
    change("go.sum", &other, SUM);
    let output = build();
    assert!(output.status.success(), "{}", said(&output));
    let running = Running::start(version.path(), &[]);
    let (code, answer, told) = running.call(&["Greet", r#"{"name": "you"}"#]);
    assert!(code == 0 && answer.contains("be0ffc4c-ec9c-58e8-9246-903a570276df"), "{answer}{told}");
    assert!(running.stop().success());
}

#[test]
fn a_machine_without_go_is_told_how_to_get_it() {
    let (version, cache) = (version(), tempfile::tempdir().expect("a temporary folder"));
    let nothing = tempfile::tempdir().expect("a temporary folder");
    let mut krt = Command::new(e2e::krt_binary());
    krt.arg("build").current_dir(version.path()).env("KRT_CACHE_DIR", cache.path()).env("PATH", nothing.path());
    let output = krt.output().expect("krt starts");
    assert!(!output.status.success());
    assert!(said(&output).contains("Go is not installed\nhelp: install Go 1.26 or newer"), "{}", said(&output));
}

#[test]
fn the_go_sdk_passes_its_own_tests() {
    if !go_is_there() {
        return;
    }
    for (arguments, system) in [(["vet", "./..."], ""), (["test", "./..."], ""), (["build", "./..."], "wasip1")] {
        let mut go = Command::new("go");
        go.args(arguments).current_dir(workspace().join("guest-sdk/go")).env("GOWORK", "off").env("GOFLAGS", "");
        if !system.is_empty() {
            go.env("GOOS", system).env("GOARCH", "wasm");
        }
        let output = go.output().expect("go starts");
        assert!(output.status.success(), "go {arguments:?} failed:\n{}", said(&output));
    }
}
