//! `krt build` of nodes in Python: what a new node can do at once, what a build says that fails, what goes into a component.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get is a failure of the test")]

use std::path::Path;
use std::process::{Command, Output};

use e2e::running::Running;
use e2e::{krt_binary, workspace};

const MANIFEST: &str = "
krtVersion: v2
version: hello
description: a greeting
entrypoint: { proto: public_input.proto }
workflows:
  - name: greet
    entrypoint: Greet
    exitpoint: greeter
    nodes:
      - { name: greeter, src: bin/greeter.wasm, wasm: { build: nodes/greeter }, subscriptions: [entrypoint] }
";
const PROTO: &str = "
syntax = \"proto3\";
package hello;
import \"inner/names.proto\";
service Entrypoint { rpc Greet (Greeting) returns (Answer); }
message Greeting { string name = 1; inner.Name more = 2; }
message Answer { string text = 1; }
";
const INNER: &str = "syntax = \"proto3\"; package inner; message Name { string first = 1; }";

/// A version whose one node is the template's.
fn version() -> Option<tempfile::TempDir> {
    if Command::new("python3").arg("--version").output().is_err() {
        e2e::skipped("there is no python3");
        return None;
    }
    let version = tempfile::Builder::new().prefix("krt-python-").tempdir().unwrap();
    write(version.path(), "krt.yml", MANIFEST);
    write(version.path(), "public_input.proto", PROTO);
    write(version.path(), "inner/names.proto", INNER);
    for file in ["main.py", "test_main.py", "pyproject.toml"] {
        let text = std::fs::read_to_string(workspace().join("guest-sdk/python/template").join(file)).unwrap();
        write(version.path(), &format!("nodes/greeter/{file}"), &text.replace("{{name}}", "greeter"));
    }
    Some(version)
}

fn write(version: &Path, path: &str, text: &str) {
    let path = version.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn build(version: &Path, arguments: &[&str]) -> Output {
    Command::new(krt_binary()).arg("build").args(arguments).current_dir(version).output().unwrap()
}

/// What a build says that has to fail.
fn complaint(version: &Path) -> String {
    let output = build(version, &[]);
    assert!(!output.status.success(), "it was built");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_new_node_is_built_tested_run_and_not_built_again() {
    let Some(version) = version() else { return };
    // What only Python itself, or a function, would import when it runs.
    write(
        version.path(),
        "nodes/greeter/later.py",
        "def later(text):\n    import email\n    import datetime\n    import tomli_w\n    from lazily import told\n\
         \x20   day = datetime.datetime.strptime('2024-02-03', '%Y-%m-%d').day\n\
         \x20   text = told(email.message_from_string(text)['To'].encode('cp1252').decode('cp1252'), day)\n\
         \x20   return tomli_w.dumps({'to': text})\n",
    );
    // Names that krt brings are left to it, however they are written.
    let project = "[project]\nname = \"greeter\"\nversion = \"1\"\n\
                   dependencies = [\"krt_node>=0.1\", \"tomli-w==1.2.0\", \"Protobuf\"]\n";
    write(version.path(), "nodes/greeter/pyproject.toml", project);
    write(version.path(), "nodes/greeter/lazily.py", "def told(name, day):\n    return f'{name} {day}'\n");
    let main = std::fs::read_to_string(version.path().join("nodes/greeter/main.py")).unwrap();
    let main = main.replace("Hello, {greeting.name}!", "Hello, {later('To: ' + greeting.name)}!");
    write(version.path(), "nodes/greeter/main.py", &main.replacen("\n\n\n", "\n\nfrom later import later\n\n\n", 1));
    let output = build(version.path(), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let component = version.path().join("bin/greeter.wasm");
    // With the memory of a compiler in it, it would have 30 MB.
    let size = component.metadata().unwrap().len();
    assert!(size < 27_000_000, "{size} bytes");

    let node = version.path().join("nodes/greeter");
    let python = || Command::new(node.join(".venv/bin/python"));
    write(version.path(), "nodes/greeter/main.py", &main.replace("{later('To: ' + greeting.name)}", "{greeting.name}"));
    let tested = python().args(["-m", "unittest", "-v"]).current_dir(&node).output().unwrap();
    let said = String::from_utf8_lossy(&tested.stderr).into_owned();
    assert!(tested.status.success() && said.contains("Ran 2 tests"), "{said}");
    write(version.path(), "nodes/greeter/main.py", &main.replacen("\n\n\n", "\n\nfrom later import later\n\n\n", 1));

    // The SDK's own tests want no more than that either.
    let tests = workspace().join("guest-sdk/python/tests");
    let tested = python()
        .args(["-B", "-m", "unittest"])
        .current_dir(&tests)
        .env("PYTHONPATH", workspace().join("guest-sdk/python/src"))
        .output()
        .unwrap();
    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stderr));

    let made = component.metadata().unwrap().modified().unwrap();
    let output = build(version.path(), &["--offline"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("componentize"), "it was built again");
    assert_eq!(component.metadata().unwrap().modified().unwrap(), made);

    // What is for editors and tests is no part of the package; it has links that lead out.
    let packed = Command::new(krt_binary()).args(["pack", "."]).current_dir(version.path()).output().unwrap();
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));

    let running = Running::start(version.path(), &[]);
    let (code, said, told) = running.call(&["Greet", r#"{"name": "you"}"#]);
    assert_eq!(code, 0, "{told}");
    assert!(said.contains(r#"Hello, to = \"you 3\""#), "{said}");
    let (_, _, told) = running.call(&["Greet", "{}"]);
    assert!(told.contains("a greeting needs a name"), "{told}");
    assert!(running.stop().success());
}

#[test]
fn a_build_that_fails_says_what_python_says_and_where() {
    let Some(version) = version() else { return };
    let main = version.path().join("nodes/greeter/main.py");
    for (text, said) in [
        ("def init(ctx)\n", "SyntaxError: expected ':'"),
        ("import numpy_of_mine\n", "ModuleNotFoundError: No module named 'numpy_of_mine'"),
    ] {
        std::fs::write(&main, text).unwrap();
        let complaint = complaint(version.path());
        assert!(complaint.contains(said), "{complaint}");
        assert!(complaint.contains("error: could not build greet/greeter; the command was: "), "{complaint}");
        assert!(!complaint.contains("Stack backtrace") && !complaint.contains("Caused by"), "{complaint}");
        if text.contains("numpy") {
            assert!(complaint.contains("nodes/greeter/main.py\", line 1"), "{complaint}");
        }
    }
    std::fs::remove_file(&main).unwrap();
    assert!(complaint(version.path()).contains("main.py: it is where a node in Python begins"));
}

#[test]
fn packages_that_are_not_in_python_alone_are_refused_with_the_reason() {
    let Some(version) = version() else { return };
    let project = |dependencies: &str| {
        let text = format!("[project]\nname = \"greeter\"\nversion = \"1\"\ndependencies = [{dependencies}]\n");
        write(version.path(), "nodes/greeter/pyproject.toml", &text);
    };
    project("\"krt-node>=0.1\", \"numpy\"");
    let said = complaint(version.path());
    assert!(said.contains("No matching distribution found for numpy"), "{said}");
    assert!(said.contains("help: a component takes packages that are in Python alone"), "{said}");
    project("5");
    assert!(complaint(version.path()).contains("`dependencies` is not a list of texts"));
}
