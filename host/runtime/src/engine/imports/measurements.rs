//! `krt:node/measurements`: points of time series, tagged with where they come from.

use crate::engine::bindings::krt::node::measurements::{Error, Host, Value};
use crate::engine::state::State;
use crate::telemetry::{FieldValue, Point};

/// Fields, and tags, of one point; bytes of a name or text in it. What line protocols take with ease.
const MAX_ENTRIES: usize = 64;
const MAX_TEXT: usize = 4 << 10;

/// Tags that say where a point comes from: the host's, whatever a guest calls its own.
const OWN_TAGS: [&str; 3] = ["version", "workflow", "node"];

impl Host for State {
    fn save(
        &mut self,
        name: String,
        fields: Vec<(String, Value)>,
        tags: Vec<(String, String)>,
        time: Option<i64>,
    ) -> wasmtime::Result<Result<(), Error>> {
        if let Some(problem) = problem(&name, &fields, &tags) {
            return Ok(Err(Error::Invalid(problem)));
        }
        let identity = &self.node.identity;
        let own = [&identity.version, &identity.workflow, &identity.node];
        let mut tags: Vec<_> = tags.into_iter().filter(|(name, _)| !OWN_TAGS.contains(&&**name)).collect();
        tags.extend(OWN_TAGS.iter().zip(own).map(|(name, value)| ((*name).to_owned(), value.clone())));
        let fields = fields.into_iter().map(|(name, value)| (name, value.into())).collect();
        let point = Point { name, fields, tags, time };
        Ok(self.node.measurements.save(point).map_err(|_| Error::Dropped))
    }
}

fn problem(name: &str, fields: &[(String, Value)], tags: &[(String, String)]) -> Option<String> {
    if name.is_empty() {
        return Some("the measurement has no name".into());
    }
    if fields.is_empty() {
        return Some("the measurement has no field".into());
    }
    if fields.len() > MAX_ENTRIES || tags.len() > MAX_ENTRIES {
        return Some(format!("more than {MAX_ENTRIES} fields or tags"));
    }
    for (field, value) in fields {
        match value {
            _ if field.is_empty() => return Some("a field has no name".into()),
            Value::Float(number) if !number.is_finite() => return Some(format!("field {field:?} is not finite")),
            Value::Text(text) if text.len() > MAX_TEXT => {
                return Some(format!("field {field:?} has more than {MAX_TEXT} bytes"));
            }
            _ => {}
        }
    }
    if tags.iter().any(|(tag, _)| tag.is_empty()) {
        return Some("a tag has no name".into());
    }
    let tags = tags.iter().flat_map(|(tag, value)| [tag, value]);
    let mut texts = fields.iter().map(|(field, _)| field).chain(tags).map(String::len).chain([name.len()]);
    texts.any(|length| length > MAX_TEXT).then(|| format!("a name or tag has more than {MAX_TEXT} bytes"))
}

impl From<Value> for FieldValue {
    fn from(value: Value) -> Self {
        match value {
            Value::Float(number) => Self::Float(number),
            Value::Signed(number) => Self::Signed(number),
            Value::Unsigned(number) => Self::Unsigned(number),
            Value::Boolean(yes) => Self::Boolean(yes),
            Value::Text(text) => Self::Text(text),
        }
    }
}
