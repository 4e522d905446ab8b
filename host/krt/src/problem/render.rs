//! Problems as text for people: title, place, the line with a caret under the offending part, help.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::{Problem, Severity, Source};

/// A line longer than this is not shown: the place alone is more useful than a wall of text.
const LONGEST_LINE: usize = 400;

/// All problems as rustc would print them, then one line that counts them. Empty when there are none.
///
/// `sources` are the texts that problems point into, found by their file name; a problem without its text is printed
/// with its place only. `colour` adds ANSI colours.
pub fn render(problems: &[Problem], sources: &[Source], colour: bool) -> String {
    if problems.is_empty() {
        return String::new();
    }
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for problem in problems {
        let source = sources.iter().find(|source| source.file() == problem.file);
        text.push_str(&renderer.render(&[group(problem, source)]));
        text.push_str("\n\n");
    }
    text.push_str(&summary(problems));
    text.push('\n');
    text
}

fn group<'a>(problem: &'a Problem, source: Option<&'a Source>) -> Group<'a> {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let group = Group::with_title(level.primary_title(problem.message.as_str()).id(problem.code));
    let group = match (source, &problem.span) {
        (Some(source), Some(span)) => match excerpt(source, span) {
            Some((line, within)) => group.element(
                Snippet::source(line)
                    .line_start(problem.line)
                    .path(problem.file.as_str())
                    .annotation(AnnotationKind::Primary.span(within)),
            ),
            None => group.element(place(problem)),
        },
        _ => group.element(place(problem)),
    };
    if problem.help.is_empty() { group } else { group.element(Level::HELP.message(problem.help.as_str())) }
}

/// The line that a span begins in, and the part of the span that lies within it.
fn excerpt<'s>(source: &'s Source, span: &Range<usize>) -> Option<(&'s str, Range<usize>)> {
    let (start, line) = source.line_at(span.start);
    if line.len() > LONGEST_LINE {
        return None;
    }
    let from = (span.start - start.min(span.start)).min(line.len());
    let to = span.end.saturating_sub(start).clamp(from, line.len());
    let to = from + line.get(from..to)?.trim_end().len();
    Some((line, from..to))
}

fn place(problem: &Problem) -> Origin<'_> {
    let origin = Origin::path(problem.file.as_str());
    if problem.line == 0 { origin } else { origin.line(problem.line).char_column(problem.column) }
}

fn summary(problems: &[Problem]) -> String {
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    let counted = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    match (errors, problems.len() - errors) {
        (errors, 0) => counted(errors, "error"),
        (0, warnings) => counted(warnings, "warning"),
        (errors, warnings) => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Source {
        Source::new("krt.yml", "version: v1\nworkflows:\n  - näme: X\n")
    }

    #[test]
    fn a_caret_stands_under_the_offending_text() {
        let source = source();
        let start = source.text().find('X').unwrap();
        let problem = source.error("name", start..start + 1, "`X` is not a name", "use lower case");
        let expected = "\
error[name]: `X` is not a name
 --> krt.yml:3:11
  |
3 |   - näme: X
  |           ^
  |
  = help: use lower case

1 error
";
        assert_eq!(render(&[problem], &[source], false), expected);
    }

    #[test]
    fn a_problem_about_a_whole_file_names_the_file_only() {
        let problem = Problem::about_file("a.proto", "missing-proto", "there is no a.proto", "write it");
        let expected = "\
error[missing-proto]: there is no a.proto
--> a.proto
 = help: write it

1 error
";
        assert_eq!(render(&[problem], &[], false), expected);
    }

    #[test]
    fn the_summary_counts_errors_and_warnings_apart() {
        let problem = Problem::about_file("f", "c", "m", "h");
        let both = [problem.clone(), problem.clone(), problem.as_warning()];
        assert!(render(&both, &[], false).ends_with("\n2 errors, 1 warning\n"));
        assert_eq!(render(&[], &[], false), "");
    }

    #[test]
    fn a_terminal_gets_colours_and_a_file_none() {
        let problem = [Problem::about_file("f", "c", "m", "h")];
        assert!(render(&problem, &[], true).contains('\u{1b}'));
        assert!(!render(&problem, &[], false).contains('\u{1b}'));
    }

    #[test]
    fn a_span_over_many_lines_is_shown_by_its_first() {
        let source = source();
        let problem = source.error("c", 12..source.text().len(), "m", "h");
        let text = render(&[problem], &[source], false);
        assert!(text.contains("2 | workflows:\n  | ^^^^^^^^^^\n"), "{text}");
    }

    #[test]
    fn a_line_of_a_mebibyte_is_not_printed() {
        let source = Source::new("krt.yml", "x".repeat(1 << 20));
        let problem = source.error("c", 5..6, "m", "h");
        let text = render(&[problem], &[source], false);
        assert!(text.contains("krt.yml:1:6") && text.len() < 200, "{text}");
    }
}
