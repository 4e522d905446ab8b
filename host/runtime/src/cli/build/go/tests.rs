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
