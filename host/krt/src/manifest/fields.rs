//! The fields of one mapping: taken one by one, each of the type that is wanted, the rest reported as unknown.

use std::collections::HashMap;
use std::ops::Range;

use super::At;
use super::tree::{Data, Id, Tree, Value};
use crate::problem::{Report, did_you_mean, quote};

/// The whole text as fields are taken from it.
pub(super) struct Cursor<'t, 's> {
    pub(super) tree: &'t Tree<'t>,
    pub(super) report: Report<'s>,
}

/// A mapping in hand.
pub(super) struct Fields<'t> {
    /// How a message names it: ``node `etl` ``.
    pub(super) what: String,
    pub(super) at: Range<usize>,
    complete: bool,
    fields: HashMap<&'t str, Field>,
    /// Keys in the text's order, for reporting.
    order: Vec<&'t str>,
    taken: Vec<&'static str>,
}

#[derive(Clone)]
struct Field {
    key_at: Range<usize>,
    value: Id,
}

/// Whether a key that is not known is a mistake.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    /// The original ignores it; only one near a known key is worth a word.
    Ignored,
    /// A misspelt limit is no limit.
    Refused,
}

impl<'t> Fields<'t> {
    /// Keys that mean something, though nothing is taken from them here.
    pub(super) fn know(&mut self, keys: &[&'static str]) {
        self.taken.extend(keys);
    }

    /// Whether `key` is written, with or without a value.
    pub(super) fn has(&self, key: &str) -> Option<Range<usize>> {
        self.fields.get(key).map(|field| field.key_at.clone())
    }

    /// All keys with their places and values, for a mapping whose keys are not known beforehand.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'t str, Range<usize>, Id)> {
        self.order.iter().map(|key| (*key, self.fields[key].key_at.clone(), self.fields[key].value))
    }

    /// Where an empty list stands, if that is what `key` has.
    pub(super) fn empty_list(&self, key: &str, tree: &Tree<'t>) -> Option<Range<usize>> {
        let field = self.fields.get(key)?;
        match &tree.get(field.value) {
            Value { data: Data::List(items), complete: true, .. } if items.is_empty() => Some(field.key_at.clone()),
            _ => None,
        }
    }
}

impl<'t> Cursor<'t, '_> {
    /// The value as a mapping; a problem and nothing if it is not one. Duplicate keys are problems, merge keys merged.
    pub(super) fn mapping(&mut self, id: Id, at: Range<usize>, what: String) -> Option<Fields<'t>> {
        let value = self.tree.get(id);
        let Data::Map(pairs) = &value.data else {
            let message = format!("{what} must be a mapping, but this is {}", value.kind());
            self.mistyped(id, at, message, "write `key: value` lines, indented alike");
            return None;
        };
        let mut fields = Fields {
            what,
            at: value.at.clone(),
            complete: value.complete && self.tree.complete,
            fields: HashMap::new(),
            order: Vec::new(),
            taken: Vec::new(),
        };
        let mut merged = Vec::new();
        for (key, value) in pairs {
            let key = self.tree.get(*key);
            let Data::Scalar { text, plain } = &key.data else {
                let message = format!("a key must be a single word, but this is {}", key.kind());
                self.report.error("bad-key", key.at.clone(), message, "write `key: value`");
                continue;
            };
            if *plain && text == "<<" {
                merged.push((*value, key.at.clone()));
                continue;
            }
            let field = Field { key_at: key.at.clone(), value: *value };
            if let Some(first) = fields.fields.get(&**text) {
                let line = self.line(first.key_at.start);
                let message = format!("{} has {} twice", fields.what, quote(text));
                self.report.error(
                    "duplicate-key",
                    key.at.clone(),
                    message,
                    format!("the first stands on line {line}; keep one of them"),
                );
                continue;
            }
            fields.order.push(text);
            fields.fields.insert(text, field);
        }
        for (value, at) in merged {
            self.merge(&mut fields, value, at);
        }
        Some(fields)
    }

    /// A text that must be there and not empty.
    pub(super) fn required(&mut self, fields: &mut Fields<'t>, key: &'static str, help: &str) -> At<String> {
        match self.optional(fields, key) {
            Some(text) if !text.is_empty() => text,
            Some(text) => {
                self.report.error("missing-key", text.at.clone(), format!("`{key}` of {} is empty", fields.what), help);
                At::new(String::new(), text.at)
            }
            None => {
                self.missing(fields, key, help);
                At::default()
            }
        }
    }

    /// A text that may be missing.
    pub(super) fn optional(&mut self, fields: &mut Fields<'t>, key: &'static str) -> Option<At<String>> {
        let (value, key_at) = self.take(fields, key)?;
        self.text(value, key_at, &format!("`{key}` of {}", fields.what))
    }

    /// A list of texts; empty when missing.
    pub(super) fn texts(&mut self, fields: &mut Fields<'t>, key: &'static str) -> Vec<At<String>> {
        let Some((items, what)) = self.list(fields, key) else { return Vec::new() };
        items
            .iter()
            .filter_map(|item| self.text(*item, self.tree.get(*item).at.clone(), &format!("each of {what}")))
            .collect()
    }

    /// A list and how to name it; a problem and nothing if it is something else.
    pub(super) fn list(&mut self, fields: &mut Fields<'t>, key: &'static str) -> Option<(&'t [Id], String)> {
        let (id, key_at) = self.take(fields, key)?;
        let what = format!("`{key}` of {}", fields.what);
        let value = self.tree.get(id);
        if let Data::List(items) = &value.data {
            return Some((items, what));
        }
        let message = format!("{what} must be a list, but this is {}", value.kind());
        self.mistyped(id, key_at, message, "write each on a line of its own, after `- `");
        None
    }

    /// A whole number.
    pub(super) fn integer(&mut self, fields: &mut Fields<'t>, key: &'static str) -> Option<At<i64>> {
        let (id, key_at) = self.take(fields, key)?;
        let value = self.tree.get(id);
        let at = self.place(id, key_at);
        let number = match &value.data {
            Data::Scalar { text, plain: true } => integer(text),
            _ => None,
        };
        if number.is_none() {
            let message = format!("`{key}` of {} must be a whole number, but this is {}", fields.what, self.shown(id));
            self.mistyped(id, at.clone(), message, &format!("write it in digits: `{key}: 2`"));
        }
        number.map(|number| At::new(number, at))
    }

    /// A truth value, in any spelling of YAML 1.1.
    pub(super) fn truth(&mut self, fields: &mut Fields<'t>, key: &'static str) -> Option<At<bool>> {
        let (id, key_at) = self.take(fields, key)?;
        let at = self.place(id, key_at);
        let truth = match &self.tree.get(id).data {
            Data::Scalar { text, plain: true } => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "y" => Some(true),
                "false" | "no" | "off" | "n" => Some(false),
                _ => None,
            },
            _ => None,
        };
        if truth.is_none() {
            let message = format!("`{key}` of {} must be true or false, but this is {}", fields.what, self.shown(id));
            self.mistyped(id, at.clone(), message, &format!("write `{key}: true` or leave it out"));
        }
        truth.map(|truth| At::new(truth, at))
    }

    /// The mapping under `key`, if there is one.
    pub(super) fn section(&mut self, fields: &mut Fields<'t>, key: &'static str) -> Option<(Fields<'t>, Range<usize>)> {
        let (id, key_at) = self.take(fields, key)?;
        let what = format!("`{key}` of {}", fields.what);
        Some((self.mapping(id, key_at.clone(), what)?, key_at))
    }

    /// The value of `key`, whatever it is, and where the key stands. Null is as good as missing.
    pub(super) fn take(&mut self, fields: &mut Fields<'t>, key: &'static str) -> Option<(Id, Range<usize>)> {
        fields.taken.push(key);
        let field = fields.fields.get(key)?;
        (!self.tree.get(field.value).is_null()).then(|| (field.value, field.key_at.clone()))
    }

    /// Says that `key` is missing, unless the text broke off.
    pub(super) fn missing(&mut self, fields: &Fields<'t>, key: &'static str, help: &str) {
        let written = fields.fields.get(key);
        // A value of the wrong type was reported as that already.
        if written.is_some_and(|field| !self.tree.get(field.value).is_null()) || !fields.complete {
            return;
        }
        let at = written.map_or(fields.at.clone(), |field| field.key_at.clone());
        self.report.error("missing-key", at, format!("{} has no `{key}`", fields.what), help);
    }

    /// Ends a mapping: what was never asked for is unknown.
    pub(super) fn finish(&mut self, fields: Fields<'t>, unknown: Unknown) {
        for key in &fields.order {
            if fields.taken.contains(key) || self.report.is_full() {
                continue;
            }
            let at = fields.fields[key].key_at.clone();
            let near = did_you_mean(key, fields.taken.iter().copied());
            let message = format!("{} has an unknown key {}", fields.what, quote(key));
            match (unknown, near) {
                (Unknown::Ignored, None) => {}
                (Unknown::Ignored, Some(near)) => {
                    self.report.warning(
                        "unknown-key",
                        at,
                        message,
                        format!("did you mean `{near}`? it is ignored as it stands"),
                    );
                }
                (Unknown::Refused, Some(near)) => {
                    self.report.error("unknown-key", at, message, format!("did you mean `{near}`?"));
                }
                (Unknown::Refused, None) => {
                    let known = fields.taken.join(", ");
                    self.report.error("unknown-key", at, message, format!("known are: {known}"));
                }
            }
        }
    }

    /// Any single value as text, as the original takes numbers for names.
    pub(super) fn text(&mut self, id: Id, fallback: Range<usize>, what: &str) -> Option<At<String>> {
        let value = self.tree.get(id);
        let at = self.place(id, fallback);
        match &value.data {
            Data::Scalar { text, .. } if !value.is_null() => Some(At::new(text.clone().into_owned(), at)),
            _ => {
                let message = format!("{what} must be a text, but this is {}", value.kind());
                self.mistyped(id, at, message, "write a single word or a text in quotes");
                None
            }
        }
    }

    /// Says that a value is of the wrong type, unless it is known already that it is none.
    fn mistyped(&mut self, id: Id, fallback: Range<usize>, message: String, help: &str) {
        if !matches!(self.tree.get(id).data, Data::Unknown) {
            self.report.error("wrong-type", self.place(id, fallback), message, help);
        }
    }

    /// Where a value stands; one that takes no room stands where its key does.
    fn place(&self, id: Id, fallback: Range<usize>) -> Range<usize> {
        let at = &self.tree.get(id).at;
        if at.is_empty() { fallback } else { at.clone() }
    }

    fn shown(&self, id: Id) -> String {
        match &self.tree.get(id).data {
            Data::Scalar { text, plain: true } => quote(text),
            Data::Scalar { text, .. } => format!("the text {}", quote(text)),
            _ => self.tree.get(id).kind().to_owned(),
        }
    }

    fn line(&self, offset: usize) -> usize {
        self.report.source().position(offset).0
    }

    /// `<<: *base`: the keys of the base that are not written here.
    fn merge(&mut self, fields: &mut Fields<'t>, id: Id, at: Range<usize>) {
        match &self.tree.get(id).data {
            Data::Map(_) => {
                let Some(base) = self.mapping(id, at, fields.what.clone()) else { return };
                for key in base.order {
                    if !fields.fields.contains_key(key) {
                        fields.order.push(key);
                        fields.fields.insert(key, base.fields[key].clone());
                    }
                }
            }
            Data::List(bases) => {
                for base in bases {
                    // A list in a list means nothing to a merge, so depth is bounded by that of mappings.
                    if let Data::Map(_) = self.tree.get(*base).data {
                        self.merge(fields, *base, at.clone());
                    }
                }
            }
            Data::Unknown => {}
            Data::Scalar { .. } => {
                let help = "merge a mapping: `<<: *name`";
                self.report.error("wrong-type", at, "only a mapping can be merged", help);
            }
        }
    }
}

/// A whole number in any notation of YAML 1.1, as the original reads it: `10`, `+1_000`, `0x0a`, `0o12`, `012`, `2.0`.
fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let digits = digits.replace('_', "");
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', b'o', ..] => (8, &digits[2..]),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', rest @ ..] if !rest.is_empty() && rest.iter().all(u8::is_ascii_digit) => (8, &digits[1..]),
        _ => (10, digits.strip_suffix(".0").unwrap_or(&digits)),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let number = i64::from_str_radix(digits, radix).ok()?;
    Some(if negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::integer;

    #[test]
    fn whole_numbers_are_read_as_the_original_reads_them() {
        for (text, number) in [
            ("0", 0),
            ("10", 10),
            ("-1", -1),
            ("+3", 3),
            ("1_000", 1000),
            ("0x1f", 31),
            ("0o17", 15),
            ("017", 15),
            ("2.0", 2),
        ] {
            assert_eq!(integer(text), Some(number), "{text}");
        }
    }

    #[test]
    fn what_is_no_whole_number_is_none() {
        for text in ["", "-", "two", "2.5", "1e3", "--1", "0x", "0x-1", "9223372036854775808", "08"] {
            assert_eq!(integer(text), None, "{text}");
        }
    }
}
