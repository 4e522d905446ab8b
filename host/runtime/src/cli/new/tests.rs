//! Names, and krt.yml as it grows.

use krt::files::MemoryFiles;

use super::*;

const BLOCK: &str = "\
# A comment that stays.
krtVersion: v2
version:   demo
description: odd   spacing
entrypoint: { proto: public_input.proto }
workflows:
  - name: one
    entrypoint: One
    exitpoint: etl

    nodes:
      - name: etl # the first
        src: bin/etl.wasm
        subscriptions:
          - \"entrypoint\"

      -   src: bin/last.wasm
          name: last
          subscriptions: [etl]
          # of the last node

  - name: two
    entrypoint: Two
    exitpoint: only
    nodes:
    - {name: only, src: bin/only.wasm, subscriptions: [entrypoint]}
# the end";

fn topology(text: &str) -> Topology {
    krt::check::check("krt.yml", text.as_bytes(), None).topology.expect("a manifest without errors")
}

fn grown(text: &str, workflow: &str, from: &[&str]) -> anyhow::Result<String> {
    let from: Vec<String> = from.iter().map(|it| (*it).to_owned()).collect();
    let addition = Addition { workflow, node: "new", from: &from, package: "demo" };
    manifest::with_node(text, &topology(text), &addition, &protos())
}

/// What the manifests beneath say of the messages of method `One`.
fn protos() -> MemoryFiles {
    let proto = "syntax = \"proto3\"; package demo; message Greeting {} message Answer {} message Other {} \
                 service Entrypoint { rpc One(Greeting) returns (Answer); rpc Two(Other) returns (Other); }";
    [("public_input.proto", proto)].into_iter().collect()
}

/// The lines that `new` has more than `old`; everything else must be as it was.
fn added(old: &str, new: &str) -> String {
    let same = old.bytes().zip(new.bytes()).take_while(|(a, b)| a == b).count();
    let rest = &old[same..];
    assert!(new.ends_with(rest), "something else changed:\n{new}");
    new[same..new.len() - rest.len()].to_owned()
}

#[test]
fn a_node_is_added_at_the_end_of_its_workflow_and_every_other_byte_stays() {
    let new = grown(BLOCK, "one", &["etl", "last.spam"]).unwrap();
    let lines = "
      - name: new
        src: bin/new.wasm
        wasm: { build: new }
        subscriptions: [\"etl\", \"last.spam\"]
        types: { accepts: demo.Greeting, emits: demo.Answer }
";
    assert_eq!(added(BLOCK, &new).trim_end(), lines.trim_end());
    let new = grown(BLOCK, "two", &["only"]).unwrap();
    assert!(new.ends_with(
        "- name: new\n      src: bin/new.wasm\n      wasm: { build: new }\n      subscriptions: [\"only\"]\n      types: { accepts: demo.Greeting, emits: demo.Answer }\n# the end"
    ));
    assert!(new.starts_with(BLOCK.trim_end_matches("# the end")));
}

#[test]
fn what_a_template_takes_and_sends_is_said_only_where_it_fits() {
    let said = |text: &str, workflow: &str, from: &str| {
        let new = grown(text, workflow, &[from]).unwrap();
        assert!(new.contains("- name: new\n"), "{new}");
        new.contains("types: { accepts: demo.Greeting")
    };
    assert!(said(BLOCK, "one", "entrypoint"), "the method takes a greeting");
    assert!(!said(BLOCK, "two", "entrypoint"), "the method takes something else");
    let typed = BLOCK.replace("name: etl # the first", "name: etl\n        types: { emits: demo.Other }");
    assert!(!said(&typed, "one", "etl"), "the node that it reads sends something else");
}

#[test]
fn line_ends_stay_what_they_are_and_a_last_line_without_one_gets_it() {
    let dos = BLOCK.replace('\n', "\r\n");
    let new = grown(&dos, "one", &["etl"]).unwrap();
    assert_eq!(new.matches('\n').count(), new.matches("\r\n").count());
    let cut = BLOCK.trim_end_matches("\n# the end");
    assert!(grown(cut, "two", &["only"]).unwrap().starts_with(&format!("{cut}\n    - name: new\n")));
}

#[test]
fn a_list_that_cannot_grow_without_other_changes_is_left_alone_and_the_entry_is_told() {
    let flow = "
version: demo
description: x
entrypoint: { proto: public_input.proto }
workflows:
  - { name: one, entrypoint: One, exitpoint: a, nodes: [{ name: a, src: bin/a.wasm, subscriptions: [entrypoint] }] }
";
    let error = grown(flow, "one", &["a"]).unwrap_err().to_string();
    assert!(error.contains("nothing was changed") && error.contains("src: bin/new.wasm"), "{error}");
}

#[test]
fn what_the_check_says_of_the_added_node_is_told() {
    let error = grown(BLOCK, "one", &["nobody"]).unwrap_err().to_string();
    assert!(error.contains("nobody") && error.contains("help: "), "{error}");
}

#[test]
fn a_name_becomes_an_identifier_of_every_language() {
    assert_eq!(["hello", "my-version", "7-up"].map(identifier), ["hello", "my_version", "v7_up"]);
}

#[test]
fn the_first_manifest_has_no_problem_and_a_bad_name_is_explained() {
    let checked = krt::check::check("krt.yml", manifest::first("hello", "hello").as_bytes(), None);
    assert_eq!(checked.problems.len(), 0, "{:?}", checked.problems);
    let error = manifest::refuse_errors(&manifest::first("My_Version", "my_version")).unwrap_err().to_string();
    assert!(error.contains("My_Version") && error.contains("my-version"), "{error}");
}

#[test]
fn every_template_is_filled_in() {
    let names = Names { node: "my-node", package: "some.package", proto: "greeting" };
    for language in [Language::Rust, Language::Go, Language::JavaScript, Language::Python, Language::C] {
        // A language that has no template yet says so.
        let Ok(files) = template::node(language, &names) else { continue };
        assert!(files.len() > 1, "{language:?}");
        for file in files {
            assert!(!file.text.contains("{{") || file.text.contains("{{}}"), "{language:?}: {}", file.path.display());
            assert!(!file.text.contains("public_input"), "{language:?}: {}", file.path.display());
        }
    }
}
