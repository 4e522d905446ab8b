//! Canonical proto3 JSON to message bytes and back, with errors that a person can act on. Pure.

use std::fmt::{self, Write as _};

use prost_reflect::prost::Message as _;
use prost_reflect::{DeserializeOptions, DynamicMessage, Kind, MessageDescriptor, SerializeOptions};
use serde_json::Value;

/// How deep a template goes into nested messages; beyond it stands `{}`.
const TEMPLATE_DEPTH: usize = 5;
/// Likeness from which a field's name is suggested in place of an unknown one (Jaro–Winkler, 0 to 1).
const ALIKE: f64 = 0.8;

/// Why a text is not the JSON of a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) struct JsonError {
    /// From 1; 0 when it is about the text as a whole.
    pub(crate) line: usize,
    /// From 1; 0 when it is about the text as a whole.
    pub(crate) column: usize,
    /// What is wrong.
    pub(crate) message: String,
    /// What would be right.
    pub(crate) help: String,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}, column {}: ", self.line, self.column)?;
        }
        write!(f, "{}; {}", self.message, self.help)
    }
}

/// The bytes of the message that `text` describes. An empty text is the message without fields.
pub(crate) fn parse(descriptor: &MessageDescriptor, text: &[u8]) -> Result<Vec<u8>, JsonError> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    let message = DynamicMessage::deserialize_with_options(descriptor.clone(), &mut reader, &DeserializeOptions::new())
        .and_then(|message| reader.end().map(|()| message));
    message.map(|message| message.encode_to_vec()).map_err(|error| explain(descriptor, text, &error))
}

/// The JSON of the message in `bytes`.
pub(crate) fn print(descriptor: &MessageDescriptor, bytes: &[u8]) -> Result<String, String> {
    let message = DynamicMessage::decode(descriptor.clone(), bytes)
        .map_err(|e| format!("the answer is not a {}: {e}", descriptor.full_name()))?;
    let mut text = Vec::new();
    message
        .serialize_with_options(&mut serde_json::Serializer::new(&mut text), &SerializeOptions::new())
        .map_err(|e| format!("the answer has no JSON form: {e}"))?;
    String::from_utf8(text).map_err(|e| e.to_string())
}

/// A message with every field in it, as JSON to be edited.
pub(crate) fn template(descriptor: &MessageDescriptor) -> String {
    let mut text = String::new();
    write_message(&mut text, descriptor, 0);
    text
}

/// The fields of a message, as a person reads them.
pub(crate) fn fields(descriptor: &MessageDescriptor) -> String {
    let named: Vec<_> = descriptor.fields().map(|field| field.json_name().to_owned()).collect();
    match named.is_empty() {
        true => format!("{} has no fields", descriptor.full_name()),
        false => format!("{} has the fields {}", descriptor.full_name(), named.join(", ")),
    }
}

fn explain(descriptor: &MessageDescriptor, text: &[u8], error: &serde_json::Error) -> JsonError {
    let (line, column) = (error.line(), error.column());
    let whole = error.to_string();
    let message = whole.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&whole).to_owned();
    let name = message.strip_prefix("unrecognized field name '").and_then(|rest| rest.strip_suffix('\''));
    let unknown = name.and_then(|name| {
        let value: Value = serde_json::from_slice(text).ok()?;
        Some((name.to_owned(), unknown_field(descriptor, &value, name)?))
    });
    let Some((name, inner)) = unknown else { return JsonError { line, column, message, help: fields(descriptor) } };
    // serde_json stands on the quote that ends the name; a person looks for the one that begins it.
    let column = match text.split(|b| *b == b'\n').nth(line.saturating_sub(1)).and_then(|line| line.get(..column)) {
        Some(read) if read.ends_with(format!("\"{name}\"").as_bytes()) => column - name.len() - 1,
        _ => column,
    };
    let likeness = |field: &String| strsim::jaro_winkler(field, &name);
    let alike = inner
        .fields()
        .map(|field| field.json_name().to_owned())
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
        .filter(|field| likeness(field) >= ALIKE);
    let help = match alike {
        Some(field) => format!("did you mean {field:?}? {}", fields(&inner)),
        None => fields(&inner),
    };
    JsonError { line, column, message: format!("{} has no field {name:?}", inner.full_name()), help }
}

/// The message that has no field `name`, though `value` says so.
fn unknown_field(descriptor: &MessageDescriptor, value: &Value, name: &str) -> Option<MessageDescriptor> {
    // Well-known types have a JSON of their own.
    if descriptor.full_name().starts_with("google.protobuf.") {
        return None;
    }
    let Value::Object(object) = value else { return None };
    object.iter().find_map(|(key, value)| {
        let field = descriptor.get_field_by_json_name(key).or_else(|| descriptor.get_field_by_name(key));
        let Some(field) = field else { return (key == name).then(|| descriptor.clone()) };
        let Kind::Message(inner) = field.kind() else { return None };
        match value {
            Value::Object(entries) if field.is_map() => match inner.map_entry_value_field().kind() {
                Kind::Message(inner) => entries.values().find_map(|value| unknown_field(&inner, value, name)),
                _ => None,
            },
            Value::Array(items) => items.iter().find_map(|value| unknown_field(&inner, value, name)),
            value => unknown_field(&inner, value, name),
        }
    })
}

fn write_message(text: &mut String, descriptor: &MessageDescriptor, depth: usize) {
    let known = match descriptor.full_name() {
        "google.protobuf.Timestamp" => "\"1970-01-01T00:00:00Z\"",
        "google.protobuf.Duration" => "\"0s\"",
        "google.protobuf.Any" => "{\"@type\": \"\"}",
        "google.protobuf.ListValue" => "[]",
        "google.protobuf.FieldMask" | "google.protobuf.StringValue" | "google.protobuf.BytesValue" => "\"\"",
        "google.protobuf.Int64Value" | "google.protobuf.UInt64Value" => "\"0\"",
        "google.protobuf.BoolValue" => "false",
        "google.protobuf.Value" => "null",
        name if name.starts_with("google.protobuf.") && name.ends_with("Value") => "0",
        name if name.starts_with("google.protobuf.") => "{}",
        _ if depth > TEMPLATE_DEPTH => "{}",
        _ => "",
    };
    if !known.is_empty() {
        return text.push_str(known);
    }
    text.push('{');
    for (index, field) in descriptor.fields().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        let _ = write!(text, "{:?}: ", field.json_name());
        match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let key = match entry.map_entry_key_field().kind() {
                    Kind::String => "key",
                    Kind::Bool => "true",
                    _ => "1",
                };
                let _ = write!(text, "{{{key:?}: ");
                write_value(text, &entry.map_entry_value_field().kind(), depth + 1);
                text.push('}');
            }
            kind if field.is_list() => {
                text.push('[');
                write_value(text, &kind, depth + 1);
                text.push(']');
            }
            kind => write_value(text, &kind, depth + 1),
        }
    }
    text.push('}');
}

fn write_value(text: &mut String, kind: &Kind, depth: usize) {
    match kind {
        Kind::Message(inner) => write_message(text, inner, depth),
        Kind::Enum(inner) => {
            let _ = write!(text, "{:?}", inner.default_value().name());
        }
        Kind::String | Kind::Bytes => text.push_str("\"\""),
        Kind::Bool => text.push_str("false"),
        // 64-bit integers are strings in canonical JSON.
        Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64 => text.push_str("\"0\""),
        _ => text.push('0'),
    }
}
