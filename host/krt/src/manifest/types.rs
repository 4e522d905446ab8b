//! The `types:` section of a node: which messages it takes and sends, by their full protobuf names.
//!
//! Values only: whether there are such messages, and whether they fit along the edges, is judged by [`crate::check()`].

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::At;

/// The messages that a node takes and sends. For nodes of any kind; the original platform ignores this section.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Types {
    /// What it takes: of everybody, or by what it reads: `entrypoint`, a node, `node.channel`, or `default` for the rest.
    #[serde(skip_serializing_if = "ByName::is_empty", default)]
    pub accepts: ByName,
    /// What it sends: on its default output, or by channel, with `default` for the default output.
    #[serde(skip_serializing_if = "ByName::is_empty", default)]
    pub emits: ByName,
    /// What it sends as early reply or early exit.
    #[serde(skip_serializing_if = "Messages::is_empty", default)]
    pub early: Messages,
}

/// Messages by the name of an origin or a channel, in the order of the text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ByName(pub Vec<(At<String>, Messages)>);

/// Full names of messages, as in `package.Message`: any of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Messages(pub Vec<At<String>>);

impl ByName {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Messages {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for ByName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, messages) in &self.0 {
            map.serialize_entry(&name.value, messages)?;
        }
        map.end()
    }
}

impl Serialize for Messages {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [only] => only.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl JsonSchema for ByName {
    fn schema_name() -> Cow<'static, str> {
        "MessagesByName".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let messages = generator.subschema_for::<Messages>();
        json_schema!({
            "description": "Messages for all, or by name.",
            "anyOf": [messages, { "type": "object", "additionalProperties": messages }],
        })
    }
}

impl JsonSchema for Messages {
    fn schema_name() -> Cow<'static, str> {
        "Messages".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let name = json_schema!({ "type": "string", "pattern": MESSAGE });
        json_schema!({
            "description": "A message by its full name, `package.Message`, or a list of which any may come. `google.protobuf.Any` is every message.",
            "anyOf": [name, { "type": "array", "items": name, "minItems": 1, "maxItems": 16 }],
        })
    }
}

/// Identifiers with dots between them.
const MESSAGE: &str = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$";
