//! A value and where it stands, so that whoever judges it later can point at it.

use std::borrow::Cow;
use std::ops::{Deref, Range};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

/// A value of the manifest with the bytes of the text that say it. For serde and schemars it is the value alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct At<T> {
    /// What it says.
    pub value: T,
    /// Where it says so; empty when the value is missing.
    #[serde(skip)]
    pub at: Range<usize>,
}

impl<T> At<T> {
    /// `value`, said at `at`.
    pub fn new(value: T, at: Range<usize>) -> Self {
        Self { value, at }
    }
}

impl<T> Deref for At<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}
