//! The conformance suite: what a guest of every language must be able to do, asked of each by one driver.
//!
//! Guests and their commands: `tests/guests/conformance/README.md`. The result is `guest-sdk/CONFORMANCE.md`.
//! `CONFORMANCE_ONLY=rust,go` asks these languages alone.

mod failures;
mod host;
mod messages;
mod stores;
mod table;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{krt_binary, workspace};
use table::{Column, Languages};
use world::World;

/// A sentence, and what tells whether it holds.
type Behaviour = (&'static str, fn(&mut World) -> anyhow::Result<()>);

/// A language: the folder of its guest, and what a machine needs to build it. What follows a dash is another way to build
/// the same guest.
const LANGUAGES: [(&str, &[&str]); 6] = [
    ("rust", &["cargo"]),
    ("python", &["python3"]),
    ("js", &["node", "npm"]),
    ("js-spidermonkey", &["node", "npm"]),
    ("go", &["go"]),
    ("c", &["python3"]),
];

fn behaviours() -> Vec<Behaviour> {
    [messages::ALL, failures::ALL, stores::ALL, host::ALL].concat()
}

#[test]
fn guests_of_every_language_do_what_the_contract_says() {
    let only = std::env::var("CONFORMANCE_ONLY").ok();
    let asked = |language: &str| only.as_ref().is_none_or(|only| only.split(',').any(|name| name == language));
    let mut languages = Languages::default();
    for (language, tools) in LANGUAGES {
        if !guest(language).is_dir() {
            continue;
        }
        if !asked(language) {
            languages.left_out.push(language);
            continue;
        }
        if let Some(missing) = tools.iter().find(|tool| !is_there(tool)) {
            e2e::skipped(&format!("conformance of {language}: there is no {missing}"));
            languages.left_out.push(language);
            continue;
        }
        languages.asked.push(column(language));
    }
    let names: Vec<_> = behaviours().iter().map(|(name, _)| *name).collect();
    println!("{}", table::for_people(&names, &languages.asked));
    let red: Vec<String> = languages.asked.iter().flat_map(Column::failures).collect();
    assert!(red.is_empty(), "{}", red.join("\n"));
    table::compare_or_bless(&workspace().join("guest-sdk/CONFORMANCE.md"), &names, &languages);
}

fn guest(language: &str) -> PathBuf {
    let folder = language.split_once('-').map_or(language, |(folder, _)| folder);
    workspace().join("tests/guests/conformance").join(folder)
}

fn is_there(tool: &str) -> bool {
    Command::new(tool).arg("--version").output().is_ok() || Command::new(tool).arg("version").output().is_ok()
}

/// Builds the guest of a language and asks it everything.
fn column(language: &'static str) -> Column {
    let version = built(language);
    let mut column = Column { language, results: Vec::new() };
    let mut world = World::start(version.path(), "fine", times_within(language))
        .unwrap_or_else(|error| panic!("{language}: {error:#}"));
    for (name, check) in behaviours() {
        // The shared servers of tests panic where they give up.
        let checked = catch_unwind(AssertUnwindSafe(|| check(&mut world)));
        let result = match checked {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("{error:#}")),
            Err(panic) => Err(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "it panicked".into())),
        };
        column.results.push((name, result));
    }
    let drained = if world.stop() { Ok(()) } else { Err("it ended badly".into()) };
    column.results.push(("a version of it ends well when it is told to", drained));
    column
}

/// How exact times must arrive, in nanoseconds. The bindings of QuickJS pass integers of 64 bits as floats, of which those of
/// today are 256 ns apart.
fn times_within(language: &str) -> u128 {
    if language == "js" { 256 } else { 0 }
}

/// A copy of the suite's version with the guest of one language, built by `krt build`. Removed on drop.
fn built(language: &str) -> tempfile::TempDir {
    let copy = tempfile::Builder::new().prefix("krt-conformance-").tempdir().expect("a temporary folder");
    let suite = workspace().join("tests/guests/conformance");
    for file in ["krt.yml", "public_input.proto"] {
        std::fs::copy(suite.join(file), copy.path().join(file)).expect("a copy");
    }
    e2e::copy_tree(&suite.join("data"), &copy.path().join("data"));
    e2e::copy_tree(&guest(language), &copy.path().join("node"));
    if let Some(("js", engine)) = language.split_once('-') {
        let file = copy.path().join("node/package.json");
        let mut package: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&file).expect("a package.json")).expect("JSON");
        package["krt"] = serde_json::json!({ "engine": engine });
        std::fs::write(file, package.to_string()).expect("written");
    }
    build(copy.path(), language);
    copy
}

fn build(version: &Path, language: &str) {
    let output = Command::new(krt_binary())
        .args(["build", "."])
        .current_dir(version)
        .env("CARGO_TARGET_DIR", workspace().join("target/guests/conformance"))
        .output()
        .expect("krt starts");
    assert!(output.status.success(), "{language}: krt build failed:\n{}", String::from_utf8_lossy(&output.stderr));
}
