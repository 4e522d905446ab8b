//! The JSON Schema of krt.yml, generated from the manifest's types.
//!
//! Editors use it for completion; it says less than [`mod@crate::check`], which knows how parts hang together.

use crate::manifest::Krt;

/// The schema as text, as it is checked in beside this crate's sources.
pub fn schema() -> String {
    let mut text = serde_json::to_string_pretty(schemars::schema_for!(Krt).as_value()).unwrap_or_default();
    text.push('\n');
    text
}
