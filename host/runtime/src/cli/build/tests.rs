//! What `krt build` decides without starting a toolchain.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;

const TWO_WORKFLOWS: &str = "
krtVersion: v2
version: demo
description: two workflows that both have a node etl
entrypoint: { proto: public_input.proto }
workflows:
  - name: one
    entrypoint: One
    exitpoint: etl
    nodes:
      - { name: etl, src: bin/one.wasm, wasm: { build: one }, subscriptions: [entrypoint] }
  - name: two
    entrypoint: Two
    exitpoint: exit
    nodes:
      - { name: etl, src: bin/two.wasm, wasm: { build: two }, subscriptions: [entrypoint] }
      - { name: made, src: bin/made.wasm, subscriptions: [etl] }
      - { name: exit, image: konstellation/kre-py, src: exit.py, subscriptions: [made] }
";

fn topology() -> Topology {
    let checked = krt::check::check("krt.yml", TWO_WORKFLOWS.as_bytes(), None);
    checked.topology.unwrap_or_else(|| panic!("{:?}", checked.problems))
}

fn sources_of(only: &[&str]) -> Vec<String> {
    let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
    jobs(&topology(), &only).unwrap().into_iter().map(|job| job.build.source).collect()
}

fn refusal(only: &str) -> String {
    format!("{:#}", jobs(&topology(), &[only.to_owned()]).unwrap_err())
}

#[test]
fn every_wasm_node_that_says_how_is_built() {
    assert_eq!(sources_of(&[]), ["one", "two"]);
}

#[test]
fn a_node_name_means_the_nodes_of_that_name_in_every_workflow() {
    assert_eq!(sources_of(&["etl"]), ["one", "two"]);
}

#[test]
fn a_node_can_be_named_with_its_workflow() {
    assert_eq!(sources_of(&["two/etl"]), ["two"]);
}

#[test]
fn a_named_node_that_cannot_be_built_is_refused_with_the_reason() {
    assert_eq!(refusal("nobody"), "the version has no node \"nobody\"");
    assert!(refusal("made").contains("does not say how it is built"), "{}", refusal("made"));
    assert!(refusal("two/exit").contains("not a wasm node"), "{}", refusal("two/exit"));
}

#[test]
fn an_archive_is_not_built_in() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("demo.krt");
    std::fs::write(&archive, b"x").unwrap();
    assert!(manifest(&archive).unwrap_err().to_string().contains("unpack it"));
}

#[test]
fn the_manifest_is_found_under_both_of_its_names() {
    let folder = tempfile::tempdir().unwrap();
    assert!(manifest(folder.path()).unwrap_err().to_string().contains("krt.yml"));
    std::fs::write(folder.path().join("krt.yaml"), TWO_WORKFLOWS).unwrap();
    assert!(manifest(folder.path()).unwrap().ends_with("krt.yaml"));
}

#[test]
fn the_embedded_sdk_is_what_lies_in_the_repository() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut there = BTreeSet::new();
    for file in ["guest-sdk/rust/Cargo.toml", "guest-sdk/rust/README.md", "wit/krt-node.wit"] {
        there.insert(file.to_owned());
    }
    for entry in walkdir::WalkDir::new(root.join("guest-sdk/rust/src")) {
        let entry = entry.unwrap();
        // Tests are nobody's dependency.
        if entry.file_type().is_file() && entry.file_name() != "tests.rs" {
            there.insert(entry.path().strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
        }
    }
    let embedded: BTreeSet<String> = sdk::FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(embedded, there);
}

#[test]
fn the_sdk_is_unpacked_once_and_again_when_somebody_wrote_into_it() {
    let cache = tempfile::tempdir().unwrap();
    let folder = sdk::unpack(cache.path()).unwrap();
    let file = folder.join("guest-sdk/rust/src/lib.rs");
    let whole = std::fs::read(&file).unwrap();
    let first = std::fs::metadata(&file).unwrap().modified().unwrap();
    assert_eq!(sdk::unpack(cache.path()).unwrap(), folder);
    assert_eq!(std::fs::metadata(&file).unwrap().modified().unwrap(), first);

    std::fs::write(&file, "changed").unwrap();
    assert_eq!(sdk::unpack(cache.path()).unwrap(), folder);
    assert_eq!(std::fs::read(&file).unwrap(), whole);
}

#[test]
fn the_unpacked_sdk_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let cache = tempfile::tempdir().unwrap();
    let folder = sdk::unpack(&cache.path().join("new")).unwrap();
    for folder in [cache.path().join("new"), cache.path().join("new/sdk"), folder] {
        assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o077, 0, "{}", folder.display());
    }
}

#[test]
fn two_that_unpack_at_once_both_get_the_whole_sdk() {
    let cache = tempfile::tempdir().unwrap();
    let folders: Vec<PathBuf> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| sdk::unpack(cache.path()).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(folders.iter().all(|folder| folder.join("wit/krt-node.wit").is_file()));
}
