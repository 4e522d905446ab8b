//! What `load` refuses, in the words that a person reads; and what `node` does.

use std::time::Duration;

use super::guests::{component, contract, engine, hostile, hostile_with_init, options};
use crate::engine::{ExportProblem, ImportReason, LoadError, NotAComponent, StartError};
use crate::node::NodeError;

/// The least that is a node; `imports` go before, `extra` inside.
fn least(imports: &str) -> String {
    format!(
        r#"(module {imports}
            (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
            (func (export "krt:node/handler@0.1.1#init") (result i32) (i32.const 8))
            (func (export "krt:node/handler@0.1.1#handle")
              (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8)))"#
    )
}

/// The contract with another interface, which the world imports.
fn contract_importing(interface: &str, name: &str) -> String {
    let world = contract().replace("  import messaging;", &format!("  import {name};\n  import messaging;"));
    // Beside another package in braces, the contract needs braces, too.
    let world = world.replacen("package krt:node@0.1.1;", "package krt:root;\npackage krt:node@0.1.1 {", 1) + "}\n";
    format!("{world}\n{interface}\n").replacen("/// The messages that nodes", "// The messages that nodes", 1)
}

fn refusal(bytes: &[u8]) -> LoadError {
    match engine().load("node.wasm", bytes) {
        Ok(_) => panic!("it was loaded"),
        Err(error) => error,
    }
}

fn text(bytes: &[u8]) -> String {
    refusal(bytes).to_string()
}

#[test]
fn what_is_no_component_is_named_for_what_it_is() {
    let what = |bytes: &[u8]| match refusal(bytes) {
        LoadError::NotAComponent { what, .. } => what,
        error => panic!("{error}"),
    };
    assert_eq!(what(b""), NotAComponent::Empty);
    assert_eq!(what(&wat::parse_str("(module)").unwrap()), NotAComponent::CoreModule);
    assert_eq!(what(b"\0asm\x0d"), NotAComponent::Cut);
    assert_eq!(what(b"\0asm\x0e\0\x01\0rest"), NotAComponent::Version(0x1_000e));
    assert_eq!(what(b"(component)"), NotAComponent::Text);
    assert_eq!(what(b"#!/bin/sh\n"), NotAComponent::Script);
    assert_eq!(what(b"\x7fELF\x02\x01\x01\0"), NotAComponent::Native);
    assert_eq!(what(b"\x1f\x8b\x08\0"), NotAComponent::Archive);
    assert_eq!(what(b"hello, world"), NotAComponent::Unknown(b"hello, w".to_vec()));
    assert_eq!(text(b""), "node.wasm is not a WebAssembly component: the file is empty");
    assert_eq!(
        text(&wat::parse_str("(module)").unwrap()),
        "node.wasm is not a WebAssembly component: it is a core module; build it as a component \
         (in Rust: cargo build --target wasm32-wasip2)"
    );
}

#[test]
fn a_truncated_component_is_called_that_wherever_it_ends() {
    let whole = hostile();
    for length in [9, 100, whole.len() / 2, whole.len() - 1] {
        let text = text(&whole[..length]);
        assert!(text.starts_with("node.wasm is not a"), "{length}: {text}");
    }
    let text = text(&whole[..whole.len() / 2]);
    assert!(text.starts_with("node.wasm is not a valid component: it is truncated or damaged ("), "{text}");
}

#[test]
fn no_damage_to_a_component_panics() {
    let engine = engine();
    let whole = hostile();
    for at in (0..whole.len()).step_by(whole.len() / 60) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        // Some damage does no harm: to a name, or a text.
        if let Err(error) = engine.load("node.wasm", &damaged) {
            assert!(error.to_string().starts_with("node.wasm "), "{error}");
        }
    }
}

#[test]
fn a_component_of_another_world_is_told_what_it_lacks() {
    assert_eq!(
        text(&wat::parse_str("(component)").unwrap()),
        "node.wasm is not a node: it does not export krt:node/handler@0.1, nor anything"
    );
    let other = r#"(component (instance $run) (export "wasi:cli/run@0.2.0" (instance $run)))"#;
    assert_eq!(
        text(&wat::parse_str(other).unwrap()),
        "node.wasm is not a node: it does not export krt:node/handler@0.1; it is of another world, and exports \
         wasi:cli/run@0.2.0"
    );
}

#[test]
fn a_component_of_another_version_of_the_contract_is_to_be_rebuilt() {
    let wit = contract().replace("krt:node@0.1.1", "krt:node@0.2.0");
    let module = least("").replace("0.1.1", "0.2.0");
    assert_eq!(
        text(&component(&module, &wit)),
        "node.wasm is not a node: it exports krt:node/handler@0.2.0: it was built for krt:node@0.2.0, and this krt \
         serves krt:node@0.1; rebuild it: by `krt build` of this krt, or with the SDK or the wit/ folder of one that \
         serves 0.1"
    );
}

#[test]
fn what_was_built_against_a_released_contract_is_loaded() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/components");
    for module in ["0.1.0/everything", "0.1.0/minimal", "0.1.1/everything"] {
        let bytes = wat::parse_file(format!("{folder}/{module}.wat")).unwrap();
        engine().load("node.wasm", &bytes).map(drop).unwrap();
    }
}

#[test]
fn a_later_patch_of_the_contract_is_welcome() {
    let wit = contract().replace("krt:node@0.1.1", "krt:node@0.1.7");
    let imports = r#"(import "krt:node/delivery@0.1.7" "attempt" (func (result i32)))"#;
    let module = least(imports).replace("0.1.1", "0.1.7");
    engine().load("node.wasm", &component(&module, &wit)).map(drop).unwrap();
}

#[test]
fn an_import_of_another_type_is_named_with_its_function() {
    let wit = contract().replace("attempt: func() -> u32", "attempt: func() -> u64");
    let module = least(r#"(import "krt:node/delivery@0.1.1" "attempt" (func (result i64)))"#);
    let text = text(&component(&module, &wit));
    assert!(
        text.starts_with(
            "node.wasm cannot run here: its import krt:node/delivery@0.1.1 is of another type than the host's: \
             instance export `attempt` has the wrong type"
        ),
        "{text}"
    );
    assert!(text.ends_with("rebuild it with the SDK"), "{text}");
}

#[test]
fn an_export_of_another_type_is_named_with_its_function() {
    let wit = contract().replace("init: func() -> result<_, failure>", "init: func()");
    let module = least("").replace("#init\") (result i32) (i32.const 8)", "#init\")");
    let error = refusal(&component(&module, &wit));
    let LoadError::Exports { problem: ExportProblem::Type(detail), .. } = &error else { panic!("{error}") };
    assert!(detail.contains("init"), "{detail}");
}

#[test]
fn an_interface_that_a_newer_contract_has_is_named() {
    let wit = contract()
        .replace("krt:node@0.1.1", "krt:node@0.1.2")
        .replace("  import messaging;", "  import forecasts;\n  import messaging;");
    let wit = format!("{wit}\ninterface forecasts {{\n  save: func();\n}}\n");
    let module = least(r#"(import "krt:node/forecasts@0.1.2" "save" (func))"#).replace("0.1.1", "0.1.2");
    assert_eq!(
        text(&component(&module, &wit)),
        "node.wasm cannot run here: it imports krt:node/forecasts@0.1.2, which this host's krt:node@0.1 does not \
         have: use a newer host, or rebuild it with an older SDK"
    );
}

#[test]
fn every_import_that_the_host_lacks_is_listed_with_what_would_help() {
    let foreign = "package wasi:http@0.2.0 { interface outgoing-handler { f: func(); } }\n\
                   package wasi:cli@0.3.0 { interface environment { f: func(); } }\n\
                   package acme:things@1.0.0 { interface store { f: func(); } }";
    let names = ["wasi:http/outgoing-handler@0.2.0", "wasi:cli/environment@0.3.0", "acme:things/store@1.0.0"];
    let wit = contract_importing(foreign, &names.join(";\n  import "));
    let imports: String = names.iter().map(|name| format!("(import \"{name}\" \"f\" (func))")).collect();
    let error = refusal(&component(&least(&imports), &wit));
    let LoadError::Imports { problems, .. } = &error else { panic!("{error}") };
    let why = |name: &str| problems.iter().find(|p| p.import == name).map(|p| p.why.clone());
    assert_eq!(why(names[0]), Some(ImportReason::Http), "{error}");
    assert_eq!(why(names[1]), Some(ImportReason::Wasi("0.3.0".into())), "{error}");
    assert_eq!(why(names[2]), Some(ImportReason::Unknown), "{error}");
    assert!(error.to_string().contains("would need the grant `wasm.allow.http`"), "{error}");
}

#[test]
fn a_component_larger_than_the_pool_is_refused_with_the_limit() {
    let module = least("").replace("(memory (export", "(table 60000 funcref) (memory (export");
    let text = text(&component(&module, &contract()));
    assert!(text.starts_with("node.wasm is larger than this host allows: "), "{text}");
    assert!(text.contains("60000") && text.contains("50000"), "{text}");
}

#[test]
fn the_same_bytes_are_loaded_once() {
    let engine = engine();
    let one = engine.load("a.wasm", &hostile()).unwrap();
    let two = engine.load("b.wasm", &hostile()).unwrap();
    assert!(std::sync::Arc::ptr_eq(&one.0, &two.0));
}

async fn start(init: &str, change: impl FnOnce(&mut crate::engine::NodeOptions)) -> StartError {
    let engine = engine();
    let component = engine.load("node.wasm", &hostile_with_init(init)).unwrap();
    match engine.node(&component, options(change)).await {
        Ok(_) => panic!("it started"),
        Err(error) => error,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_init_that_fails_says_whether_to_try_again() {
    let node = || "hostile".to_owned();
    let rejected = "(return (call $failure (i32.const 0) (i32.const 1600) (i32.const 16)))";
    assert_eq!(start(rejected, |_| {}).await, StartError::Rejected { node: node(), text: "rejected by init".into() });
    let transient = "(return (call $failure (i32.const 1) (i32.const 1200) (i32.const 12)))";
    assert_eq!(start(transient, |_| {}).await, StartError::Transient { node: node(), text: "away for now".into() });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_init_lives_under_the_limits_of_a_message() {
    let short = |o: &mut crate::engine::NodeOptions| o.wasm.timeout = Duration::from_millis(100);
    let error = |error| match error {
        StartError::Failed { error, .. } => error,
        error => panic!("{error}"),
    };
    let looping = start("(loop $forever (br $forever))", short).await;
    assert_eq!(error(looping), NodeError::TimedOut(Duration::from_millis(100)));
    let waits = "(call $get (i32.const 1300) (i32.const 4) (i32.const 1) (i32.const 0) (i32.const 512))";
    assert_eq!(error(start(waits, short).await), NodeError::TimedOut(Duration::from_millis(100)));
    let hungry = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable";
    assert!(matches!(error(start(hungry, |_| {}).await), NodeError::LimitExceeded(_)));
    assert!(matches!(error(start("unreachable", |_| {}).await), NodeError::Trapped { .. }));
    // Nothing is in hand: what it sends is refused, and read as that.
    let sends = "(call $reply (i32.const 1024) (i32.const 4))
        (if (i32.ne (i32.load8_u (i32.const 512)) (i32.const 1)) (then unreachable))
        (if (i32.ne (i32.load8_u (i32.const 520)) (i32.const 0)) (then unreachable))
        (return (call $failure (i32.const 0) (i32.const 1600) (i32.const 16)))";
    assert!(matches!(start(sends, |_| {}).await, StartError::Rejected { .. }));
}

#[tokio::test]
async fn a_component_that_begins_with_more_memory_than_allowed_does_not_start() {
    let error = start("", |o| o.wasm.memory = 64 << 10).await;
    assert_eq!(
        error.to_string(),
        "node \"hostile\": its component starts with 128 KiB of memory, but `wasm.memory` is 64 KiB: raise it"
    );
}

#[tokio::test]
async fn a_package_that_is_not_there_keeps_the_node_from_starting() {
    let error = start("", |o| o.package = Some("/nonexistent/package".into())).await;
    assert!(matches!(error, StartError::Package { .. }), "{error}");
}
