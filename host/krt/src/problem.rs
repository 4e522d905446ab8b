//! What is wrong with a manifest, where, and what to do about it.

use std::ops::Range;

use serde::Serialize;

/// Whether a version with this problem may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It may not.
    Error,
    /// It may, but probably not as meant.
    Warning,
}

/// One problem. Serialises as `krt check --output json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whether the version may run.
    pub severity: Severity,
    /// A stable kebab-case word for scripts, for example `unknown-subscription`.
    pub code: &'static str,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// The file as the user named it.
    pub file: String,
    /// From 1; 0 when the problem is about the file as a whole.
    pub line: usize,
    /// From 1, in characters; 0 when the problem is about the file as a whole.
    pub column: usize,
    /// What to do.
    pub help: String,
    /// The offending bytes of the file's text, for the caret.
    #[serde(skip)]
    pub span: Option<Range<usize>>,
}
