//! The invariants of ARCHITECTURE.md that can be read off the source tree. Reads files; runs nothing.

use std::path::{Path, PathBuf};

use e2e::workspace;

/// One source file: its path relative to the workspace, and its text.
struct Source {
    path: String,
    text: String,
}

fn sources(under: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for root in under {
        walk(&workspace().join(root), &mut found);
    }
    assert!(!found.is_empty(), "no sources under {under:?}");
    found
}

fn walk(folder: &Path, found: &mut Vec<Source>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            if !path.ends_with("target") {
                walk(&path, found);
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            let relative = path.strip_prefix(workspace()).expect("inside").to_string_lossy().into_owned();
            found.push(Source { text: std::fs::read_to_string(&path).expect("text"), path: relative });
        }
    }
}

/// The file without comments, and without what follows `#[cfg(test)]` at the start of a line.
fn code(source: &Source) -> String {
    source
        .text
        .lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// Files of the host whose code has `needle`, apart from tests and from those that `may`.
fn offenders(needle: &str, may: impl Fn(&str) -> bool) -> Vec<String> {
    let pattern = regex(needle);
    sources(&["host"])
        .iter()
        .filter(|source| !is_test(&source.path) && !may(&source.path) && pattern.is_match(&code(source)))
        .map(|source| source.path.clone())
        .collect()
}

fn regex(pattern: &str) -> regex::Regex {
    regex::Regex::new(pattern).expect("a valid pattern")
}

#[test]
fn only_the_engine_names_wasmtime() {
    assert_eq!(offenders(r"\bwasmtime(_wasi)?::", |p| p.starts_with("host/runtime/src/engine/")), [""; 0]);
}

#[test]
fn only_message_names_prost() {
    // `prost_reflect::prost` is how descriptors are read: not ours to hide.
    assert_eq!(offenders(r"(^|[^:\w])prost::", |p| p.starts_with("host/runtime/src/message")), [""; 0]);
}

#[test]
fn only_the_nats_adapters_name_async_nats_and_only_cluster_names_kube() {
    assert_eq!(offenders(r"\basync_nats::", |p| p.contains("/nats")), [""; 0]);
    assert_eq!(offenders(r"\b(kube|k8s_openapi)::", |p| p.contains("/cluster")), [""; 0]);
}

#[test]
fn the_pure_crate_does_no_io_and_has_no_async() {
    let io = regex(
        r"\bstd::(fs|process|env|thread)\b|\bstd::net::(Tcp|Udp|Unix|ToSocket)|\btokio\b|\basync fn\b|\bprintln!",
    );
    for source in sources(&["host/krt/src"]) {
        if !is_test(&source.path) {
            assert!(!io.is_match(&code(&source)), "{} does IO or has async", source.path);
        }
    }
    let manifest = std::fs::read_to_string(workspace().join("host/krt/Cargo.toml")).expect("a manifest");
    for forbidden in ["tokio", "wasmtime", "async-nats", "kube"] {
        assert!(!manifest.contains(forbidden), "host/krt depends on {forbidden}");
    }
}

#[test]
fn only_the_command_line_prints_exits_or_reads_the_environment() {
    let cli = |p: &str| p.starts_with("host/runtime/src/cli/") || p == "host/runtime/src/main.rs";
    assert_eq!(offenders(r"\be?print(ln)?!|\bprocess::exit|\bstd::env::|\benv::var", cli), [""; 0]);
}

#[test]
fn there_are_no_statics_and_no_features_that_change_behaviour() {
    assert_eq!(offenders(r"(?m)^\s*(pub(\([a-z]+\))? )?static |\bthread_local!|\bcfg\(feature", |_| false), [""; 0]);
}

#[test]
fn one_bindgen_makes_all_bindings_of_the_host() {
    let count: usize = sources(&["host"]).iter().map(|source| code(source).matches("bindgen!(").count()).sum();
    assert_eq!(count, 1);
}

#[test]
fn one_place_settles_a_delivery() {
    // Adapters implement `ack`; only the runner and the contract suite of the bus call it.
    let may = |p: &str| p.starts_with("host/runtime/src/runner") || p.starts_with("host/runtime/src/bus/");
    assert_eq!(offenders(r"\.n?ack\(", may), [""; 0]);
}

#[test]
fn engine_and_runner_do_not_know_each_other() {
    for (module, other) in [("engine", "runner"), ("runner", "engine")] {
        let pattern = regex(&format!(r"crate::{other}\b"));
        for source in sources(&["host/runtime/src"]) {
            if source.path.starts_with(&format!("host/runtime/src/{module}")) {
                assert!(!pattern.is_match(&code(&source)), "{} names {other}", source.path);
            }
        }
    }
}

#[test]
fn the_cluster_knows_no_runtime_and_rendering_is_a_function_from_values_to_values() {
    let runs = regex(r"crate::(runtime|engine|runner|native)\b");
    let acts = regex(r"\bkube::|\btokio\b|\basync \b|\bstd::(fs|process|env|time::(Instant|SystemTime))\b");
    for source in sources(&["host/runtime/src/cluster"]) {
        assert!(!runs.is_match(&code(&source)), "{} names what runs nodes", source.path);
        let is_pure = source.path.contains("/render/");
        assert!(!is_pure || !acts.is_match(&code(&source)), "{} does more than render", source.path);
    }
}

#[test]
fn the_sdks_depend_on_the_contract_and_not_on_the_host() {
    let manifest = std::fs::read_to_string(workspace().join("guest-sdk/rust/Cargo.toml")).expect("a manifest");
    assert!(!manifest.contains("krt-host") && !manifest.contains("../../host"), "{manifest}");
}

#[test]
fn every_file_says_what_it_is_and_has_one_subject() {
    for source in sources(&["host", "guest-sdk", "tests", "benches", "examples"]) {
        let first = source.text.lines().next().unwrap_or_default();
        assert!(first.starts_with("//!"), "{} does not begin with a //! header", source.path);
        let lines = source.text.lines().count();
        assert!(lines <= 600, "{} has {lines} lines: it has two subjects, part them", source.path);
    }
}

#[test]
fn the_map_has_a_line_for_every_module() {
    let map = std::fs::read_to_string(workspace().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    for (root, package) in [("host/krt/src", "krt"), ("host/runtime/src", "krt-host")] {
        for entry in std::fs::read_dir(workspace().join(root)).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            if name != "lib" {
                assert!(map.contains(&format!("`{name}`")), "ARCHITECTURE.md has no line for {name} of {package}");
            }
        }
    }
}

#[test]
fn every_invariant_of_the_map_names_a_test_that_exists() {
    let map = std::fs::read_to_string(workspace().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let section = map.split("## Invariants").nth(1).and_then(|s| s.split("\n## ").next()).expect("a section");
    let all: String = sources(&["host", "tests"]).iter().map(|source| source.text.as_str()).collect();
    let name = regex(r"\(`([a-z0-9_]+)`\)");
    let mut count = 0;
    for line in section.lines().filter(|line| line.starts_with("* ")) {
        let test = &name.captures(line).unwrap_or_else(|| panic!("no test named in {line:?}"))[1];
        assert!(all.contains(&format!("{test}(")) || all.contains(&format!("{test},")), "no test {test}: {line}");
        count += 1;
    }
    assert!(count >= 10, "the section lists {count} invariants");
}

#[test]
fn every_example_is_claimed_by_a_test() {
    let tests: String = sources(&["tests/tests"]).iter().map(|source| source.text.as_str()).collect();
    for entry in std::fs::read_dir(workspace().join("examples")).expect("examples") {
        let path = entry.expect("an entry").path();
        if path.join("krt.yml").exists() {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            assert!(tests.contains(&format!("\"{name}\"")), "no test claims examples/{name}");
        }
    }
}
