//! What is wrong with a manifest or a file of its package, where, and what to do about it.
//!
//! Rendering is in [`render()`]; nothing here decides what is a problem.

mod quote;
mod render;
mod report;
mod source;
mod suggest;

use std::ops::Range;

use serde::Serialize;

pub use quote::quote;
pub use render::render;
pub(crate) use report::Report;
pub use source::Source;
pub use suggest::did_you_mean;

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

impl Problem {
    /// An error about a file as a whole; for one with a position see [`Source::error`].
    pub fn about_file(
        file: impl Into<String>,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            file: file.into(),
            line: 0,
            column: 0,
            help: help.into(),
            span: None,
        }
    }

    /// The same problem as a warning.
    #[must_use]
    pub fn as_warning(self) -> Self {
        Self { severity: Severity::Warning, ..self }
    }

    /// Whether the version may not run.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
