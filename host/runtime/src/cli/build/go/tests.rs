//! What the recipe decides without starting Go.

use super::*;

fn module(text: &str) -> Module {
    Module::parse(text.to_owned()).unwrap()
}

#[test]
fn a_modules_path_is_found_with_quotes_and_comments() {
    assert_eq!(module("// a node\nmodule \"example.com/etl\" // here\n\ngo 1.26\n").path, "example.com/etl");
    assert_eq!(Module::parse("go 1.26\n".into()), None);
}

#[test]
fn a_sdk_of_the_authors_own_stays_theirs() {
    let own = module(&format!("module etl\nreplace {SDK} => ../krt/guest-sdk/go\n"));
    assert!(own.replaces_sdk && own.has_local_parts);
    let published = module(&format!("module etl\nrequire {SDK} v0.1.0\nreplace (\n\tx.y/z => x.y/fork v1.2.3\n)\n"));
    assert!(!published.replaces_sdk && !published.has_local_parts);
}

#[test]
fn a_module_is_built_by_the_go_that_it_asks_for_and_never_by_an_older_one_than_the_sdks() {
    assert_eq!(module("module etl\ngo 1.27.1\n").go, "1.27.1");
    assert_eq!(module("module etl\ngo 1.9\n").go, SDK_GO);
    assert_eq!(module("module etl\n").go, SDK_GO);
    let sdk = include_str!("../../../../../../guest-sdk/go/go.mod");
    assert!(sdk.contains(&format!("\ngo {SDK_GO}\n")) && sdk.starts_with(&format!("module {SDK}\n")));
    assert!(numbers("1.26rc1") < numbers("1.26.8") && numbers("1.9") < numbers(OLDEST_GO));
}

#[test]
fn messages_are_generated_by_the_version_whose_runtime_the_sdk_asks_for() {
    let sdk = include_str!("../../../../../../guest-sdk/go/go.mod");
    let (_, version) = messages::GENERATOR.split_once('@').unwrap();
    assert!(sdk.contains(&format!("google.golang.org/protobuf {version}\n")), "{sdk}");
}

/// Two allocators that answer 7000 and 8000, and a block from 1000 to 1100.
const MADE_BY_GO: &str = r#"(module
    (import "go" "tick" (func))
    (memory (export "memory") 1)
    (global i32 (i32.const 1))
    (func $arena (export "krt_arena") (result i32) (i32.const 64))
    (func (export "cabi_import_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 7000))
    (func (export "cabi_export_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8000))
    (func (export "other") (result i32) call $arena)
    (data (i32.const 64) "\e8\03\00\00\4c\04\00\00"))"#;

#[test]
fn the_host_takes_room_from_gos_block_and_asks_go_when_that_is_full() {
    let module = arena::quick(&wat::parse_str(MADE_BY_GO).unwrap()).unwrap();
    let engine = wasmtime::Engine::default();
    let module = wasmtime::Module::new(&engine, module).unwrap();
    assert!(module.get_export("krt_arena").is_none());
    let mut store = wasmtime::Store::new(&engine, ());
    let tick = wasmtime::Func::wrap(&mut store, || {});
    let instance = wasmtime::Instance::new(&mut store, &module, &[tick.into()]).unwrap();
    let mut function = |name: &str| instance.get_typed_func::<(i32, i32, i32, i32), i32>(&mut store, name).unwrap();
    let (import, export) = (function("cabi_import_realloc"), function("cabi_export_realloc"));
    let other = instance.get_typed_func::<(), i32>(&mut store, "other").unwrap();
    let mut take = |of: &wasmtime::TypedFunc<_, i32>, old_size, align, size| {
        of.call(&mut store, (0, old_size, align, size)).unwrap()
    };
    assert_eq!(take(&export, 0, 1, 5), 1000);
    assert_eq!(take(&import, 0, 4, 8), 1008, "aligned, and from the same block");
    assert_eq!(take(&export, 5, 1, 6), 8000, "what grows is Go's business");
    assert_eq!(take(&import, 0, 1, 85), 7000, "one more than is left");
    assert_eq!(take(&export, 0, 1, -1), 8000, "as much as there can be");
    assert_eq!(take(&export, 0, 1, 84), 1016, "all that is left");
    assert_eq!(take(&export, 0, 1, 1), 8000);
    assert_eq!(other.call(&mut store, ()).unwrap(), 64);
}

#[test]
fn a_module_that_names_no_block_stays_as_it_is() {
    let module = wat::parse_str(MADE_BY_GO.replace("krt_arena", "another")).unwrap();
    assert_eq!(arena::quick(&module).unwrap(), module);
}
