//! A table as Markdown: what is printed and what RESULTS.md keeps.

use std::fmt::Write as _;

/// Rows under a title.
pub(crate) struct Table {
    title: String,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(title: &str, columns: &[&str]) -> Self {
        Self { title: title.to_owned(), rows: vec![columns.iter().map(|&column| column.to_owned()).collect()] }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: &[String]) {
        self.rows.push(cells.to_vec());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let widths: Vec<usize> = (0..self.rows[0].len())
            .map(|column| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        writeln!(f, "### {}\n", self.title)?;
        for (index, row) in self.rows.iter().enumerate() {
            let mut line = String::from("|");
            for (cell, &width) in row.iter().zip(&widths) {
                write!(line, " {cell:width$} |")?;
            }
            writeln!(f, "{line}")?;
            if index == 0 {
                let rule: String = widths.iter().map(|width| format!("{:-<1$}|", "", width + 2)).collect();
                writeln!(f, "|{rule}")?;
            }
        }
        Ok(())
    }
}
