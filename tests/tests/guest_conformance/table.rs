//! The table of languages and behaviours: for people, and as `guest-sdk/CONFORMANCE.md`.

use std::fmt::Write as _;
use std::path::Path;

const HEAD: &str = "\
# What guests of every language do

Each line is asked of a guest of each language, built by `krt build` and run by `krt run`, by one test
(`tests/tests/guest_conformance/`); [tests/guests/conformance](../tests/guests/conformance/README.md) says how. `make bless` writes this file
from what is seen.

";

/// What was seen of one language.
pub(crate) struct Column {
    pub language: &'static str,
    pub results: Vec<(&'static str, Result<(), String>)>,
}

/// The languages that have a guest.
#[derive(Default)]
pub(crate) struct Languages {
    pub asked: Vec<Column>,
    /// Not asked this time: what is known of them stays.
    pub left_out: Vec<&'static str>,
}

impl Column {
    /// What is not green, with why.
    pub(crate) fn failures(&self) -> Vec<String> {
        let red = self.results.iter().filter_map(|(name, result)| Some((name, result.as_ref().err()?)));
        red.map(|(name, why)| format!("{}: {name}: {why}", self.language)).collect()
    }

    fn is_green(&self, name: &str) -> bool {
        self.results.iter().any(|(is, result)| *is == name && result.is_ok())
    }
}

/// The names of all lines, the driver's own last one included.
fn lines<'a>(names: &[&'a str], columns: &'a [Column]) -> Vec<&'a str> {
    let mut all = names.to_vec();
    for (name, _) in columns.iter().flat_map(|column| &column.results) {
        if !all.contains(name) {
            all.push(name);
        }
    }
    all
}

fn breadth(column: &Column) -> usize {
    column.language.len().max("FAILED".len())
}

/// A table with a column a language.
pub(crate) fn for_people(names: &[&str], columns: &[Column]) -> String {
    let lines = lines(names, columns);
    let width = lines.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let mut text = format!("{:width$}", "");
    for column in columns {
        let _ = write!(text, "  {:width$}", column.language, width = breadth(column));
    }
    for name in lines {
        let _ = write!(text, "\n{name:width$}");
        for column in columns {
            let seen = if column.is_green(name) { "ok" } else { "FAILED" };
            let _ = write!(text, "  {seen:width$}", width = breadth(column));
        }
    }
    text
}

/// Compares with what is checked in, or writes it under `BLESS`.
pub(crate) fn compare_or_bless(path: &Path, names: &[&str], languages: &Languages) {
    let there = std::fs::read_to_string(path).unwrap_or_default();
    let known = |language: &str, name: &str| {
        let mut rows = there.lines().filter(|line| line.starts_with('|')).map(cells);
        let column = rows.next()?.iter().position(|cell| *cell == language)?;
        let row = rows.find(|row| row.first() == Some(&name))?;
        row.get(column).map(|cell| (*cell).to_owned())
    };
    let mut columns: Vec<&str> = languages.asked.iter().map(|column| column.language).collect();
    columns.extend(&languages.left_out);
    columns.sort_by_key(|language| super::LANGUAGES.iter().position(|(name, _)| name == language));
    let mut text = format!("{HEAD}| behaviour | {} |\n|---|{}\n", columns.join(" | "), ":-:|".repeat(columns.len()));
    for name in lines(names, &languages.asked) {
        let _ = write!(text, "| {name} |");
        for language in &columns {
            let asked = languages.asked.iter().find(|column| column.language == *language);
            let seen = asked.map(|column| if column.is_green(name) { "✓" } else { "✗" }.to_owned());
            let _ = write!(text, " {} |", seen.or_else(|| known(language, name)).unwrap_or_else(|| "?".into()));
        }
        text.push('\n');
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, text).expect("written");
    } else {
        assert_eq!(there, text, "{} is not current: run `make bless`", path.display());
    }
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}
