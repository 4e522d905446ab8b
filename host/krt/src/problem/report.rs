//! Collects the problems of one source, at most so many that a hostile manifest cannot drown a terminal.

use std::ops::Range;

use super::{Problem, Source};

/// More problems than anybody reads at once; what is beyond is counted.
const MOST: usize = 200;

/// The problems found so far in one source.
pub(crate) struct Report<'s> {
    source: &'s Source,
    problems: Vec<Problem>,
    beyond: usize,
}

impl<'s> Report<'s> {
    pub(crate) fn new(source: &'s Source) -> Self {
        Self { source, problems: Vec::new(), beyond: 0 }
    }

    /// Goes on where another left off.
    pub(crate) fn resume(source: &'s Source, problems: Vec<Problem>, beyond: usize) -> Self {
        Self { source, problems, beyond }
    }

    /// Interrupts the collecting: the problems in the order of the text, and how many were only counted.
    pub(crate) fn pause(mut self) -> (Vec<Problem>, usize) {
        self.sort();
        (self.problems, self.beyond)
    }

    pub(crate) fn source(&self) -> &'s Source {
        self.source
    }

    pub(crate) fn error(
        &mut self,
        code: &'static str,
        at: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        if self.is_full() {
            self.beyond += 1;
        } else {
            self.problems.push(self.source.error(code, at, message, help));
        }
    }

    pub(crate) fn warning(
        &mut self,
        code: &'static str,
        at: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        if self.is_full() {
            self.beyond += 1;
        } else {
            self.problems.push(self.source.error(code, at, message, help).as_warning());
        }
    }

    /// A problem that has its place already, perhaps in another file.
    pub(crate) fn push(&mut self, problem: Problem) {
        if self.is_full() {
            self.beyond += 1;
        } else {
            self.problems.push(problem);
        }
    }

    /// Whether further problems are only counted, so that no work need go into them.
    pub(crate) fn is_full(&self) -> bool {
        self.problems.len() >= MOST
    }

    /// All of them in the order of the text, each file by itself, then how many were left out.
    pub(crate) fn finish(mut self) -> Vec<Problem> {
        self.sort();
        if self.beyond > 0 {
            let message = format!("there are {} more problems, which are not shown", self.beyond);
            let help = "repair the ones above first";
            // Errors may hide among those left out, so this cannot be a mere warning.
            self.problems.push(Problem::about_file(self.source.file(), "too-many-problems", message, help));
        }
        self.problems
    }

    fn sort(&mut self) {
        let own = self.source.file();
        self.problems.sort_by(|a, b| {
            let key = |p: &Problem| (p.file != own, p.line, p.column, p.severity);
            key(a).cmp(&key(b)).then_with(|| a.file.cmp(&b.file))
        });
    }
}
