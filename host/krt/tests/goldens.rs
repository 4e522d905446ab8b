//! Every manifest in `tests/manifests`, and every package in `tests/packages` with its files, says exactly what the text
//! beside it holds. `BLESS=1` rewrites the texts.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its files must fail")]

use std::path::{Path, PathBuf};

use krt::files::MemoryFiles;
use krt::problem::Severity;

fn manifests(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests").join(kind);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .collect();
    files.sort();
    files
}

fn check(path: &Path) -> krt::Checked {
    let name = path.file_name().unwrap().to_str().unwrap();
    krt::check(name, &std::fs::read(path).unwrap(), None)
}

/// The folders of packages, each with a `krt.yml`.
fn packages(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packages").join(kind);
    let mut folders: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

fn check_package(folder: &Path) -> krt::Checked {
    let mut files = MemoryFiles::default();
    let mut waiting = vec![folder.to_owned()];
    while let Some(inner) = waiting.pop() {
        for entry in std::fs::read_dir(inner).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            files.0.insert(name, std::fs::read(path).unwrap());
        }
    }
    krt::check("krt.yml", &files.0["krt.yml"].clone(), Some(&files))
}

/// Compares with the golden beside the manifest, or writes it; a difference is returned as text.
fn compare(golden: &Path, said: &str) -> Option<String> {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(golden, said).unwrap();
        return None;
    }
    match std::fs::read_to_string(golden) {
        Ok(expected) if expected == said => None,
        Ok(expected) => Some(format!("{}\n--- expected\n{expected}\n--- said\n{said}", golden.display())),
        Err(_) => Some(format!("{} is missing; BLESS=1 writes it:\n{said}", golden.display())),
    }
}

fn demand(differences: Vec<String>) {
    assert!(differences.is_empty(), "{}\n\n`make bless` accepts what is said", differences.join("\n\n"));
}

#[test]
fn each_invalid_manifest_has_its_exact_text() {
    let files = manifests("invalid");
    let mut differences = Vec::new();
    for path in files {
        let checked = check(&path);
        assert!(checked.topology.is_none(), "{} has a topology", path.display());
        assert!(checked.has_errors(), "{} has no error", path.display());
        differences.extend(compare(&path.with_extension("txt"), &checked.render(false)));
    }
    demand(differences);
}

#[test]
fn each_valid_manifest_has_its_exact_text_and_no_error() {
    let files = manifests("valid");
    let mut differences = Vec::new();
    for path in files {
        let checked = check(&path);
        let said = checked.render(false);
        assert!(checked.topology.is_some(), "{} has no topology:\n{said}", path.display());
        let said = if said.is_empty() { "no problems\n".to_owned() } else { said };
        differences.extend(compare(&path.with_extension("txt"), &said));
    }
    demand(differences);
}

#[test]
fn each_package_has_its_exact_text() {
    let mut differences = Vec::new();
    for kind in ["valid", "invalid"] {
        for folder in packages(kind) {
            let checked = check_package(&folder);
            let said = checked.render(false);
            assert_eq!(checked.has_errors(), kind == "invalid", "{}:\n{said}", folder.display());
            assert_eq!(checked.topology.is_none(), kind == "invalid", "{}:\n{said}", folder.display());
            let said = if said.is_empty() { "no problems\n".to_owned() } else { said };
            differences.extend(compare(&folder.join("problems.txt"), &said));
        }
    }
    demand(differences);
}

#[test]
fn there_are_enough_examples() {
    assert!(manifests("valid").len() >= 15);
    assert!(manifests("invalid").len() >= 45);
}

#[test]
fn each_text_belongs_to_a_manifest() {
    for kind in ["valid", "invalid"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests").join(kind);
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            assert!(path.with_extension("yml").exists(), "{} stands alone", path.display());
        }
    }
}

#[test]
fn a_problem_with_a_line_shows_that_line() {
    for path in manifests("invalid") {
        let checked = check(&path);
        let text = checked.sources[0].text().to_owned();
        for problem in &checked.problems {
            let Some(span) = &problem.span else { continue };
            let line = text.bytes().take(span.start).filter(|b| *b == b'\n').count() + 1;
            assert_eq!(problem.line, line, "{}: {}", path.display(), problem.message);
            assert!(problem.column > 0);
        }
    }
}

#[test]
fn every_problem_says_what_to_do_and_ends_without_a_full_stop() {
    let files = manifests("invalid").into_iter().chain(manifests("valid")).map(|path| check(&path));
    let packages = packages("invalid").into_iter().chain(packages("valid")).map(|folder| check_package(&folder));
    for problem in files.chain(packages).flat_map(|checked| checked.problems) {
        assert!(!problem.help.is_empty(), "{problem:?}");
        assert!(!problem.message.ends_with('.') && !problem.help.ends_with('.'), "{problem:?}");
        assert!(problem.code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{problem:?}");
        assert!(matches!(problem.severity, Severity::Error | Severity::Warning));
    }
}
