//! YAML to a tree whose every value knows its place. Bounded in depth and size; an alias costs what it stands for.
//!
//! The tree of a text with a syntax error holds what came before it. Nothing here knows what a manifest is.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span};

use crate::problem::{Report, quote};

/// A manifest is four collections deep, `wasm.allow.http` seven.
const MAX_DEPTH: usize = 64;

/// Values, each alias counted with all it stands for. A node has about twenty, so this is some 5000 nodes.
const MAX_VALUES: u64 = 100_000;

/// Index of a value in its tree.
pub(super) type Id = usize;

/// All values of a document.
#[derive(Debug)]
pub(super) struct Tree<'t> {
    values: Vec<Value<'t>>,
    /// The document's value, unless it is empty.
    pub(super) root: Option<Id>,
    /// Whether it was read to its end.
    pub(super) complete: bool,
}

/// One value. An alias is the very value it stands for.
#[derive(Debug)]
pub(super) struct Value<'t> {
    pub(super) at: Range<usize>,
    pub(super) data: Data<'t>,
    /// Whether a collection was read to its end.
    pub(super) complete: bool,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Data<'t> {
    /// Text, and whether it stood without quotes, so that it may be null, a number or a truth value.
    Scalar {
        text: Cow<'t, str>,
        plain: bool,
    },
    List(Vec<Id>),
    Map(Vec<(Id, Id)>),
    /// An alias that stands for nothing, which was reported: it is of whatever type is wanted.
    Unknown,
}

impl<'t> Tree<'t> {
    pub(super) fn get(&self, id: Id) -> &Value<'t> {
        &self.values[id]
    }

    /// Reads the first document of `text`, as the original does.
    pub(super) fn build(text: &'t str, report: &mut Report<'_>) -> Self {
        let options = granit_parser::options! {
            emit_unresolved_aliases: true,
            flow_nesting_limit: MAX_DEPTH,
            block_nesting_limit: MAX_DEPTH,
        };
        let mut builder = Builder::default();
        let mut documents = 0;
        for next in Parser::new_from_str_with_options(text, options) {
            let (event, span) = match next {
                Ok(next) => next,
                Err(error) => {
                    syntax(&error, text, report);
                    builder.abandon();
                    break;
                }
            };
            if let Event::DocumentStart(..) = event {
                documents += 1;
                if documents > 1 {
                    let help = "put everything into one document; a line of `---` begins another";
                    report.warning("second-document", range(&span), "only the first YAML document is read", help);
                    break;
                }
            }
            if builder.event(event, &span, report).is_err() {
                builder.abandon();
                break;
            }
        }
        Self { values: builder.values, root: builder.root, complete: builder.complete }
    }
}

impl Value<'_> {
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.data, Data::Scalar { text, plain: true } if matches!(&**text, "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What it is, for a message.
    pub(super) fn kind(&self) -> &'static str {
        match &self.data {
            _ if self.is_null() => "nothing",
            Data::Unknown => "unknown",
            Data::Scalar { .. } => "a single value",
            Data::List(_) => "a list",
            Data::Map(_) => "a mapping",
        }
    }
}

/// The document is too large to go on.
struct TooLarge;

struct Builder<'t> {
    values: Vec<Value<'t>>,
    /// What each value costs, aliases at their full size.
    weights: Vec<u64>,
    total: u64,
    /// Collections not yet ended, each with the key that awaits its value.
    open: Vec<(Id, Option<Id>)>,
    anchors: HashMap<usize, Id>,
    root: Option<Id>,
    complete: bool,
}

impl Default for Builder<'_> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            weights: Vec::new(),
            total: 0,
            open: Vec::new(),
            anchors: HashMap::new(),
            root: None,
            complete: true,
        }
    }
}

impl<'t> Builder<'t> {
    fn event(&mut self, event: Event<'t>, span: &Span, report: &mut Report<'_>) -> Result<(), TooLarge> {
        let at = range(span);
        let (id, opens) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none_or(|tag| !tag.is_yaml_core_schema_tag("str"));
                (self.value(at.clone(), Data::Scalar { text, plain }, anchor), false)
            }
            Event::SequenceStart(_, anchor, _) => (self.value(at.clone(), Data::List(Vec::new()), anchor), true),
            Event::MappingStart(_, anchor, _) => (self.value(at.clone(), Data::Map(Vec::new()), anchor), true),
            Event::SequenceEnd | Event::MappingEnd => {
                self.close(at);
                return Ok(());
            }
            Event::Alias(anchor) => (self.alias(anchor, at.clone(), report), false),
            Event::UnresolvedAlias(name) => {
                let message = format!("there is no anchor {}", quote(&name));
                let help = "write the value out, or put `&name` before the value that is meant";
                report.error("unknown-alias", at.clone(), message, help);
                (self.value(at.clone(), Data::Unknown, 0), false)
            }
            _ => return Ok(()),
        };
        self.total = self.total.saturating_add(self.weights[id]);
        if self.total > MAX_VALUES {
            let message = format!("the manifest holds more than {MAX_VALUES} values, counting each alias in full");
            report.error("too-many-values", at, message, "write fewer aliases; a krt.yml has a few hundred values");
            return Err(TooLarge);
        }
        self.attach(id, at);
        if opens {
            self.open.push((id, None));
        }
        Ok(())
    }

    fn value(&mut self, at: Range<usize>, data: Data<'t>, anchor: usize) -> Id {
        let id = self.values.len();
        self.values.push(Value { at, data, complete: true });
        self.weights.push(1);
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        id
    }

    fn alias(&mut self, anchor: usize, at: Range<usize>, report: &mut Report<'_>) -> Id {
        match self.anchors.get(&anchor) {
            Some(target) if self.open.iter().all(|(open, _)| open != target) => *target,
            _ => {
                let help = "an alias cannot stand inside the value that it names";
                report.error("recursive-alias", at.clone(), "this alias refers to a value that contains it", help);
                self.value(at, Data::Unknown, 0)
            }
        }
    }

    /// Makes `id` a part of the innermost open collection.
    fn attach(&mut self, id: Id, at: Range<usize>) {
        let Some((parent, key)) = self.open.last_mut() else {
            self.root = Some(id);
            return;
        };
        let weight = self.weights[id];
        self.weights[*parent] = self.weights[*parent].saturating_add(weight);
        let value = &mut self.values[*parent];
        value.at.start = value.at.start.min(at.start);
        value.at.end = value.at.end.max(at.end);
        match (&mut value.data, key.take()) {
            (Data::List(items), _) => items.push(id),
            (Data::Map(pairs), Some(key)) => pairs.push((key, id)),
            (_, None) => *key = Some(id),
            (Data::Scalar { .. } | Data::Unknown, _) => {}
        }
    }

    fn close(&mut self, end: Range<usize>) {
        let Some((id, _)) = self.open.pop() else { return };
        // Only a bracket has an extent; a block ends where its last value does.
        if !end.is_empty() {
            self.values[id].at.end = self.values[id].at.end.max(end.end);
        }
        let Some((parent, _)) = self.open.last() else { return };
        // What was inside counts for the parent too; the collection itself was counted when it was opened.
        self.weights[*parent] = self.weights[*parent].saturating_add(self.weights[id] - 1);
        let (own, parent) = (self.values[id].at.end, *parent);
        self.values[parent].at.end = self.values[parent].at.end.max(own);
    }

    /// Ends everything that is open where the text became unreadable.
    fn abandon(&mut self) {
        self.complete = false;
        for (id, _) in self.open.drain(..) {
            self.values[id].complete = false;
        }
    }
}

fn range(span: &Span) -> Range<usize> {
    span.byte_range().unwrap_or(0..0)
}

fn syntax(error: &ScanError, text: &str, report: &mut Report<'_>) {
    let start = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    let at = start..(start + 1).min(text.len());
    match error.kind() {
        ErrorKind::RecursionLimitExceeded => {
            let message = format!("the manifest is nested deeper than {MAX_DEPTH} levels");
            report.error("too-deep", at, message, "a krt.yml needs no more than eight levels");
        }
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar => {
            // The scanner may stand where the text before the tab began.
            let start = start + text[start..].find('\t').unwrap_or_default();
            report.error("syntax", start..start + 1, "a tab cannot indent YAML", "indent with spaces");
        }
        ErrorKind::InvalidQuotedScalarIndent => {
            let help = "end the text with the quote that it began with on a line above, or indent this line";
            report.error("syntax", at, "this is not YAML: a text in quotes has not ended before this line", help);
        }
        kind => report.error("syntax", at, format!("this is not YAML: {kind}"), advice(kind)),
    }
}

fn advice(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::UnclosedQuotedScalar => "end the text with the quote that it began with",
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::MismatchedFlowCollectionEnd { .. }
        | ErrorKind::MisplacedFlowCollectionEnd
        | ErrorKind::ExpectedFlowSequenceSeparator
        | ErrorKind::ExpectedFlowMappingSeparator => "look for a bracket or a comma that is missing",
        ErrorKind::MappingValueNotAllowed => "put quotes around a text that holds `: `, and look at the indentation",
        _ => "look at the indentation and the quotes here and on the lines above",
    }
}
