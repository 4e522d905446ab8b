//! Components of people who have the contract and no SDK of ours: what `wit-bindgen` writes, in Rust and in C. So the
//! contract is the interface, not the SDKs. And what `krt run --stats` tells of their memory.

use std::path::Path;
use std::process::Command;

use e2e::running::Running;
use e2e::{c_bindings, workspace, zig};

/// A copy of the version with both components.
fn built() -> tempfile::TempDir {
    let version = tempfile::Builder::new().prefix("krt-bare-").tempdir().expect("a temporary folder");
    let source = workspace().join("tests/guests/bare");
    for file in ["krt.yml", "public_input.proto"] {
        std::fs::copy(source.join(file), version.path().join(file)).expect("a copy");
    }
    std::fs::create_dir(version.path().join("bin")).expect("a folder");
    std::fs::write(version.path().join("bin/rust.wasm"), rust(&source.join("rust"))).expect("written");
    std::fs::write(version.path().join("bin/c.wasm"), c(&source.join("c"))).expect("written");
    version
}

fn rust(source: &Path) -> Vec<u8> {
    let target = workspace().join("target/guests/bare");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--release", "--target", "wasm32-wasip2", "--target-dir"]).arg(&target);
    // Flags for the host's code would be for the wrong machine.
    cargo.current_dir(source).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    run(&mut cargo);
    std::fs::read(target.join("wasm32-wasip2/release/rust.wasm")).expect("a component")
}

fn c(source: &Path) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, bytes) in c_bindings::generated(true) {
        std::fs::write(folder.path().join(name), bytes).expect("written");
    }
    std::fs::copy(source.join("bare.c"), folder.path().join("bare.c")).expect("a copy");
    // As the generator's documentation has it: its object holds the component's type.
    run(zig::cc(folder.path()).args(["bare.c", "node.c", "node_component_type.o", "-o", "bare.wasm"]));
    let module = std::fs::read(folder.path().join("bare.wasm")).expect("a module");
    let encoder = wit_component::ComponentEncoder::default().validate(true).module(&module);
    encoder.and_then(|mut encoder| encoder.encode()).unwrap_or_else(|error| panic!("no component: {error:#}"))
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn components_without_an_sdk_are_called_and_their_memory_is_told() {
    if Command::new("python3").arg("--version").output().is_err() {
        return e2e::skipped("components in C: there is no python3 to bring their compiler");
    }
    let version = built();
    let mut running = Running::start(version.path(), &["--stats=1"]);
    for method in ["Rust", "C"] {
        let (code, answer, said) = running.call(&[method, r#"{"text": "ä ping"}"#]);
        assert_eq!((code, answer.trim()), (0, r#"{"text":"ä ping"}"#), "{method}: {said}");
        let (code, _, said) = running.call(&[method, "{}"]);
        assert!(code != 0 && said.contains("nothing to answer"), "{method}: {said}");
    }
    let told = running.next_event();
    assert_eq!(told["event"], "stats", "{told}");
    let nodes = told["nodes"].as_array().expect("nodes");
    assert_eq!(nodes.iter().map(|node| &node["workflow"]).collect::<Vec<_>>(), ["rust", "c"], "{told}");
    for node in nodes {
        let bytes = |name: &str| node[name].as_u64().unwrap_or_default();
        assert_eq!(node["instances"], 1, "{told}");
        // It wrote to its stack and to its heap, and to no more than it has.
        assert!((4096..=bytes("linear_bytes")).contains(&bytes("private_bytes")), "{told}");
    }
    assert!(running.stop().success());
}
