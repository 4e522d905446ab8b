//! What `krt build` decides without starting a toolchain.

use std::cell::Cell;
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
fn the_embedded_sdks_are_what_lies_in_the_repository() {
    // What tools leave behind, and what is nobody's dependency.
    const NOT_SHIPPED: [&str; 10] =
        ["tests", "tests.rs", "target", "node_modules", "dist", "build", "venv", "__pycache__", "messages", "docs"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let mut there = BTreeSet::from(["wit/krt-node.wit".to_owned()]);
    let ships = |entry: &walkdir::DirEntry| {
        let name = entry.file_name().to_str().unwrap();
        let in_template = entry.path().components().any(|part| part.as_os_str() == "template");
        let a_test = name.ends_with("_test.go") || ["tests", "tests.rs", "docs"].contains(&name);
        if in_template && a_test {
            return true;
        }
        let hidden = name.starts_with('.') && !in_template;
        !hidden && !a_test && !NOT_SHIPPED.contains(&name) && !name.ends_with(".egg-info")
    };
    for language in ["rust", "python", "js", "go", "c"] {
        let folder = root.join("guest-sdk").join(language);
        if !folder.is_dir() {
            continue;
        }
        for entry in walkdir::WalkDir::new(&folder).into_iter().filter_entry(|entry| entry.depth() == 0 || ships(entry))
        {
            let entry = entry.unwrap();
            if entry.file_type().is_file() {
                there.insert(entry.path().strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let embedded: BTreeSet<String> = sdk::files().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(embedded.difference(&there).collect::<Vec<_>>(), [""; 0], "listed, but not in the repository");
    assert_eq!(there.difference(&embedded).collect::<Vec<_>>(), [""; 0], "in no list of cli/build/sdk/");
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

/// The options of a build in `folder`, whose cache is `folder/cache`.
fn options(folder: &Path, offline: bool) -> Options {
    let cache = folder.join("cache");
    Options {
        root: folder.to_owned(),
        proto: "public_input.proto".into(),
        sdk: cache.join("sdk"),
        cache,
        release: true,
        offline,
        colour: false,
    }
}

fn quiet() -> Progress {
    Progress::new(&Globals { output: Output::Json, color: crate::cli::Color::Never, verbose: 0 })
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn a_folders_language_is_that_of_its_first_marker() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Language::of(folder.path()), None);
    assert_eq!(Language::of(&folder.path().join("missing")), None);
    let markers = [
        ("node.c", Language::C),
        ("pyproject.toml", Language::Python),
        ("package.json", Language::JavaScript),
        ("go.mod", Language::Go),
        ("Cargo.toml", Language::Rust),
    ];
    // The later in this list, the earlier it is looked for.
    for (marker, language) in markers {
        write(&folder.path().join(marker), "");
        assert_eq!(Language::of(folder.path()), Some(language), "{marker}");
    }
}

const PIECES: toolchain::Pieces<'_> = toolchain::Pieces { name: "test", title: "Test", pins: &["one==1", "two==2"] };

#[test]
fn a_toolchain_is_installed_once_and_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (options, progress, times) = (options(folder.path(), false), quiet(), Cell::new(0));
    let install = |fails: bool| {
        toolchain::installed(&PIECES, &options, &progress, |place| {
            times.set(times.get() + 1);
            std::fs::write(place.join("tool"), "x")?;
            if fails { bail!("half-way") } else { Ok(()) }
        })
    };
    assert_eq!(install(true).unwrap_err().to_string(), "half-way");
    let place = install(false).unwrap();
    assert_eq!((install(false).unwrap(), times.get()), (place.clone(), 2));
    assert!(place.join("tool").is_file());
    let other = toolchain::Pieces { pins: &["one==1", "two==3"], ..PIECES };
    assert_ne!(place.file_name().unwrap().to_str().unwrap(), other.folder_name());
}

#[test]
fn several_that_want_a_toolchain_at_once_install_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let times = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                toolchain::installed(&PIECES, &options(folder.path(), false), &quiet(), |place| {
                    times.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    Ok(std::fs::write(place.join("tool"), "x")?)
                })
                .unwrap();
            });
        }
    });
    assert_eq!(times.into_inner(), 1);
}

#[test]
fn a_missing_toolchain_offline_and_a_missing_program_are_failures_of_the_nodes() {
    let folder = tempfile::tempdir().unwrap();
    let offline = options(folder.path(), true);
    let error = toolchain::installed(&PIECES, &offline, &quiet(), |_| unreachable!()).unwrap_err();
    let stopped = error.downcast::<toolchain::Stopped>().unwrap();
    assert!(stopped.message.contains("help: run `krt build` once without --offline"), "{stopped:?}");

    let missing = std::process::Command::new("krt-no-such-program");
    let error = toolchain::succeed(missing, "install it by x", &quiet()).err().unwrap();
    assert_eq!(error.downcast::<toolchain::Stopped>().unwrap().message, "install it by x");

    let mut fails = std::process::Command::new("sh");
    fails.args(["-c", "echo out; echo err >&2; exit 3"]);
    let stopped = toolchain::succeed(fails, "", &quiet()).err().unwrap().downcast::<toolchain::Stopped>().unwrap();
    assert_eq!((stopped.message.as_str(), stopped.command.starts_with("sh -c ")), ("out\nerr\n", true));
}

#[test]
fn what_a_component_is_made_of_names_it_and_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path(), false);
    let source = folder.path().join("node");
    write(&folder.path().join("krt.yml"), TWO_WORKFLOWS);
    write(&folder.path().join("public_input.proto"), "syntax = \"proto3\"; import \"shared/types.proto\";");
    write(&folder.path().join("shared/types.proto"), "syntax = \"proto3\";");
    write(&folder.path().join("internal.proto"), "not a proto");
    write(&source.join("main.py"), "x");
    let digest = || {
        let mut inputs = inputs::Inputs::new("python", &options);
        inputs.folder(&source, &["messages", "__pycache__"]).unwrap();
        inputs.protos(&options).unwrap();
        inputs.digest()
    };
    assert_eq!(inputs::protos(&options).unwrap(), ["internal.proto", "public_input.proto", "shared/types.proto"]);
    let first = digest();
    write(&source.join("messages/made.py"), "x");
    write(&source.join("deep/__pycache__/made.pyc"), "x");
    write(&source.join(".hidden"), "x");
    assert_eq!(digest(), first);
    write(&source.join("deep/more.py"), "x");
    let second = digest();
    write(&folder.path().join("shared/types.proto"), "syntax = \"proto3\"; message M {}");
    assert!(second != first && digest() != second);
}

#[test]
fn a_component_is_kept_for_its_inputs_alone() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path(), false);
    let scratch = inputs::scratch(folder.path(), &options).unwrap();
    assert_eq!(inputs::unchanged(&scratch, "one"), None);
    let made = folder.path().join("made.wasm");
    write(&made, "component");
    let kept = inputs::keep(&scratch, "one", &made).unwrap();
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "component");
    assert_eq!(inputs::unchanged(&scratch, "one"), Some(kept.clone()));
    assert_eq!(inputs::unchanged(&scratch, "two"), None);
    // Somebody cut it.
    write(&kept, "comp");
    assert_eq!(inputs::unchanged(&scratch, "one"), None);
}
