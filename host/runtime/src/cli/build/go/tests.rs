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
