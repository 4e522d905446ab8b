//! `.krtignore`: which files of a folder stay out of its archive.
//!
//! As in the original, a pattern is matched against the whole path: `*.pyc` is about the top folder, `**/*.pyc` about
//! all. Unlike there, whatever is in an ignored folder is ignored too.

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// A list of patterns.
#[derive(Debug, Clone)]
pub struct Ignore {
    any: GlobSet,
    folders: GlobSet,
}

/// A line that is not a pattern.
#[derive(Debug, thiserror::Error)]
pub enum IgnoreError {
    /// Not a glob.
    #[error("line {line}: `{pattern}` is not a pattern: {reason}")]
    Pattern {
        /// From 1.
        line: usize,
        /// The line.
        pattern: String,
        /// Why.
        reason: String,
    },
    /// As git understands it and the original does not.
    #[error("line {line}: `{pattern}` takes back what another line ignores, which .krtignore cannot do")]
    Negated {
        /// From 1.
        line: usize,
        /// The line.
        pattern: String,
    },
    /// More patterns or longer ones than anybody writes.
    #[error("it has more than {MOST_PATTERNS} lines or is longer than {LONGEST} bytes")]
    TooLarge,
}

const MOST_PATTERNS: usize = 10_000;
const LONGEST: usize = 256 << 10;

impl Ignore {
    /// Patterns, one a line: globs with `*`, `?`, `[a-z]`, `{a,b}` and `**`; a `/` at the end makes it folders only.
    /// Empty lines and those that begin with `#` say nothing.
    ///
    /// # Errors
    /// At the first line that is no pattern.
    pub fn parse(text: &str) -> Result<Self, IgnoreError> {
        if text.len() > LONGEST || text.lines().count() > MOST_PATTERNS {
            return Err(IgnoreError::TooLarge);
        }
        let mut any = GlobSetBuilder::new();
        let mut folders = GlobSetBuilder::new();
        for (index, line) in text.lines().enumerate() {
            let pattern = line.trim();
            if pattern.is_empty() || pattern.starts_with('#') {
                continue;
            }
            let line = index + 1;
            if pattern.starts_with('!') {
                return Err(IgnoreError::Negated { line, pattern: pattern.to_owned() });
            }
            let path = pattern.trim_start_matches("./").trim_start_matches('/');
            let set = if path.ends_with('/') { &mut folders } else { &mut any };
            let compiled = glob(path.trim_end_matches('/'));
            set.add(compiled.map_err(|reason| IgnoreError::Pattern { line, pattern: pattern.to_owned(), reason })?);
        }
        let build = |set: GlobSetBuilder| {
            let failed = |e: globset::Error| IgnoreError::Pattern {
                line: 0,
                pattern: String::new(),
                reason: e.kind().to_string(),
            };
            set.build().map_err(failed)
        };
        Ok(Self { any: build(any)?, folders: build(folders)? })
    }

    /// Whether a file or folder stays out. Who walks a tree need not enter an ignored folder.
    pub fn is_ignored(&self, path: &str, is_directory: bool) -> bool {
        self.any.is_match(path) || (is_directory && self.folders.is_match(path))
    }
}

fn glob(pattern: &str) -> Result<Glob, String> {
    if pattern.is_empty() {
        return Err("nothing is left of it".to_owned());
    }
    GlobBuilder::new(pattern)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map_err(|error| error.kind().to_string())
}

#[cfg(test)]
mod tests {
    use super::{Ignore, IgnoreError};

    #[test]
    fn a_pattern_is_about_the_whole_path() {
        let ignore = Ignore::parse("# comment\n*.pyc\n\n**/__pycache__\n./docs/draft?.md\n/build/\n").unwrap();
        assert!(ignore.is_ignored("a.pyc", false));
        assert!(!ignore.is_ignored("src/a.pyc", false));
        assert!(ignore.is_ignored("__pycache__", true));
        assert!(ignore.is_ignored("src/x/__pycache__", true));
        assert!(ignore.is_ignored("docs/draft1.md", false));
        assert!(!ignore.is_ignored("docs/draft12.md", false));
        assert!(ignore.is_ignored("build", true));
        assert!(!ignore.is_ignored("build", false));
    }

    #[test]
    fn a_line_that_is_no_pattern_is_named() {
        assert!(matches!(Ignore::parse("a\n[\n"), Err(IgnoreError::Pattern { line: 2, .. })));
        assert!(matches!(Ignore::parse("!a"), Err(IgnoreError::Negated { line: 1, .. })));
        assert!(matches!(Ignore::parse("/"), Err(IgnoreError::Pattern { line: 1, .. })));
        assert!(matches!(Ignore::parse(&"a\n".repeat(10_001)), Err(IgnoreError::TooLarge)));
    }
}
