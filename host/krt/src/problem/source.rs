//! A text with its name: turns byte offsets into lines and columns, and makes problems at them.

use std::ops::Range;

use super::{Problem, Severity};

/// A text that problems point into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    file: String,
    text: String,
    line_starts: Vec<usize>,
}

impl Source {
    /// The text of `file`, as the user named it.
    pub fn new(file: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let line_starts = std::iter::once(0)
            .chain(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1))
            .collect();
        Self { file: file.into(), text, line_starts }
    }

    /// The file's name as the user gave it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line and column of a byte offset, both from 1, the column in characters. An offset beyond the end is the end.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let offset = self.floor(offset);
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts[line - 1];
        (line, self.text[start..offset].chars().count() + 1)
    }

    /// The byte offset of a line and column, both from 1; what lies beyond the end is the end.
    pub fn offset(&self, line: usize, column: usize) -> usize {
        let Some(start) = self.line_starts.get(line.saturating_sub(1)) else { return self.text.len() };
        let rest = &self.text[*start..];
        rest.char_indices().nth(column.saturating_sub(1)).map_or(self.text.len(), |(at, _)| start + at)
    }

    /// An error at `at`.
    pub fn error(
        &self,
        code: &'static str,
        at: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Problem {
        let (line, column) = self.position(at.start);
        Problem {
            severity: Severity::Error,
            code,
            message: message.into(),
            file: self.file.clone(),
            line,
            column,
            help: help.into(),
            span: Some(at),
        }
    }

    /// The line that holds `offset`, without its line break, and the offset at which it begins.
    pub(super) fn line_at(&self, offset: usize) -> (usize, &str) {
        let (line, _) = self.position(offset);
        let start = self.line_starts[line - 1];
        let end = self.line_starts.get(line).map_or(self.text.len(), |next| next - 1);
        (start, self.text[start..end].trim_end_matches('\r'))
    }

    fn floor(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[test]
    fn columns_count_characters_and_start_at_one() {
        let source = Source::new("f", "aé\nüx\n");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(3), (1, 3));
        assert_eq!(source.position(4), (2, 1));
        assert_eq!(source.position(6), (2, 2));
        assert_eq!(source.position(99), (3, 1));
    }

    #[test]
    fn an_offset_is_the_inverse_of_a_position() {
        let source = Source::new("f", "aé\nüx\n");
        for offset in [0, 1, 3, 4, 6, 7, 8] {
            let (line, column) = source.position(offset);
            assert_eq!(source.offset(line, column), offset);
        }
    }

    #[test]
    fn a_line_has_no_line_break_of_either_kind() {
        let source = Source::new("f", "one\r\ntwo\nthree");
        assert_eq!(source.line_at(1), (0, "one"));
        assert_eq!(source.line_at(5), (5, "two"));
        assert_eq!(source.line_at(13), (9, "three"));
    }
}
