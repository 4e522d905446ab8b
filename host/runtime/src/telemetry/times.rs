//! The original's measurement of every message: how long a node had it, where it came from, whether it went well.

use std::sync::Arc;
use std::time::Duration;

use super::{FieldValue, Measurements, Point};

/// Bytes of the sender's name that are kept: whoever sends chooses it.
const SENDER: usize = 64;

/// One node's times, and where they go.
#[derive(Clone)]
pub struct Times {
    /// Where to.
    pub sink: Arc<dyn Measurements>,
    /// The version's name.
    pub version: String,
    /// The workflow's name.
    pub workflow: String,
    /// The node's name.
    pub node: String,
}

impl Times {
    /// A message from `from_node` took so long. What the sink has no room for it counts itself.
    pub fn save(&self, from_node: &str, elapsed: Duration, success: bool) {
        let sender = &from_node[..from_node.floor_char_boundary(SENDER)];
        let tags =
            [("from_node", sender), ("version", &self.version), ("workflow", &self.workflow), ("node", &self.node)];
        let point = Point {
            name: "node_elapsed_time".to_owned(),
            fields: vec![
                ("elapsed_ms".to_owned(), FieldValue::Float(elapsed.as_secs_f64() * 1e3)),
                ("success".to_owned(), FieldValue::Boolean(success)),
            ],
            tags: tags.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            time: None,
        };
        let _ = self.sink.save(point);
    }
}
