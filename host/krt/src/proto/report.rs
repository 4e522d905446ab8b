//! Errors of the parser and of the descriptor pool as problems with a place and advice.

use std::ops::Range;

use miette::Diagnostic;
use prost_reflect::{DescriptorError, DescriptorPool};
use prost_types::FileDescriptorProto;

use crate::problem::{Problem, Source};

/// More than anybody reads at once. Also bounds the time: finding the place of one error walks through the file.
pub(super) const MOST: usize = 50;

/// Shorter than any text that is meant to be read.
const LONGEST_MESSAGE: usize = 300;

const ADVICE: &str = "see https://protobuf.dev/reference/protobuf/proto3-spec/";

/// Errors of syntax.
pub(super) fn syntax(source: &Source, error: &protox::Error) -> Vec<Problem> {
    problems(source, "proto-syntax", error, None)
}

/// Errors of meaning: what is undefined, defined twice or of the wrong type. `error` is of a descriptor without places;
/// `descriptor` has them, and adding it to `pool` fails likewise.
pub(super) fn definition(
    source: &Source,
    error: DescriptorError,
    pool: &mut DescriptorPool,
    descriptor: FileDescriptorProto,
) -> Vec<Problem> {
    let beyond = error.related().map_or(0, Iterator::count);
    let first = error.path().and_then(|path| span_of_path(source.text(), &descriptor, path));
    let with_places = (beyond < MOST).then(|| pool.add_file_descriptor_proto(descriptor)).and_then(Result::err);
    let error = with_places.map_or(error, |error| error.with_source_code(source.text()));
    problems(source, "proto-definition", &error, first)
}

/// The bytes that a path into a descriptor stands for.
pub(super) fn span_of_path(text: &str, descriptor: &FileDescriptorProto, path: &[i32]) -> Option<Range<usize>> {
    let number = |part: &i32| usize::try_from(*part).ok();
    let location = descriptor.source_code_info.iter().flat_map(|info| &info.location).find(|l| l.path == path)?;
    match location.span.iter().filter_map(number).collect::<Vec<_>>()[..] {
        [line, from, to] => Some(offset(text, line, from)..offset(text, line, to)),
        [line, from, last, to] => Some(offset(text, line, from)..offset(text, last, to)),
        _ => None,
    }
}

/// Byte offset of a line and a column as descriptors have them: from 0, the column in bytes.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start = match line {
        0 => 0,
        line => text.match_indices('\n').nth(line - 1).map_or(text.len(), |(at, _)| at + 1),
    };
    let mut at = (start + column).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn problems(source: &Source, code: &'static str, error: &dyn Diagnostic, first: Option<Range<usize>>) -> Vec<Problem> {
    let related: Vec<&dyn Diagnostic> = error.related().into_iter().flatten().collect();
    let beyond = (1 + related.len()).saturating_sub(MOST);
    let mut problems: Vec<_> = std::iter::once(error)
        .chain(related)
        .take(MOST)
        .enumerate()
        .filter_map(|(index, error)| {
            let span = span(error).or_else(|| first.clone().filter(|_| index == 0));
            // Beyond the bound, only the first has a place; one without is of no use.
            (index == 0 || span.is_some()).then(|| problem(source, code, error, span))
        })
        .collect();
    if beyond > 0 {
        let message = format!("there are {beyond} more errors in this file, which are not shown");
        problems.push(Problem::about_file(source.file(), code, message, "repair the ones above first"));
    }
    problems
}

fn problem(source: &Source, code: &'static str, error: &dyn Diagnostic, span: Option<Range<usize>>) -> Problem {
    let help = error.help().map_or_else(|| ADVICE.to_owned(), |help| bounded(help.to_string()));
    let message = match help.strip_prefix("imports ") {
        // The parser's own message is about something else here.
        Some(_) => "this is not a path that an import may have".to_owned(),
        None => bounded(error.to_string()),
    };
    match span {
        Some(span) => source.error(code, span, message, help),
        None => Problem::about_file(source.file(), code, message, help),
    }
}

/// Of several labels the one that shows the offence, not what it collides with.
fn span(error: &dyn Diagnostic) -> Option<Range<usize>> {
    let labels: Vec<_> = error.labels()?.collect();
    let offends = |label: &&miette::LabeledSpan| {
        label.label().is_some_and(|text| ["again", "found", "used"].iter().any(|word| text.contains(word)))
    };
    let label = labels.iter().find(offends).or(labels.last())?;
    Some(label.offset()..label.offset() + label.len())
}

/// Texts from a hostile file stand in messages: cut, and without control characters.
fn bounded(text: String) -> String {
    let mut shown: String = text.chars().take(LONGEST_MESSAGE).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(LONGEST_MESSAGE).is_some() {
        shown.push('…');
    }
    shown
}
