//! Printing that outlives its reader: when `head` has seen enough, that is no failure and surely no panic.

use std::io::{self, Write};

/// Prints `text` as it is to standard output.
pub(super) fn out(text: &str) -> anyhow::Result<()> {
    on(text).map(drop)
}

/// As [`out`], for what goes on printing: whether anybody still reads.
pub(super) fn on(text: &str) -> anyhow::Result<bool> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        result => Ok(result.map(|()| true)?),
    }
}

/// Prints `value` as indented JSON to standard output.
pub(super) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    out(&text)
}

/// Prints `text` as it is to standard error. Nobody can be told when that fails.
pub(super) fn error(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// Rows with columns as wide as their widest cell, two spaces apart, indented by two.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max();
    let widths: Vec<_> = (0..count).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_are_aligned_by_characters_and_lines_end_without_spaces() {
        let rows = [["é", "b", ""], ["long", "", "c"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(super::columns(&rows), "  é     b\n  long     c\n");
    }
}
