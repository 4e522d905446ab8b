//! What the crate needs of whoever runs the node: the imports of the world, in Rust's types.
//!
//! Two implement it: the component's imports, and the test kit. Which one is decided by the target, so a call costs no
//! more than the import, and imports that a node does not use are not in its component.

use std::time::Duration;

use crate::capability::{Metadata, Scope, Value};
use crate::data::Problem;
use crate::error::{ConfigurationError, DatabaseError, MeasurementError, ObjectStoreError, PredictionError, SendError};
use crate::message::{Any, MessageType, OutputType};

/// The one in use: costs nothing to clone in a component.
#[cfg(target_family = "wasm")]
pub(crate) type Current = crate::wasm::Imports;
/// The one in use: the test kit's.
#[cfg(not(target_family = "wasm"))]
pub(crate) type Current = std::rc::Rc<crate::testing::State>;

/// One message with its envelope.
#[derive(Debug)]
pub struct Received {
    pub(crate) request_id: String,
    pub(crate) from_node: String,
    pub(crate) message_type: MessageType,
    pub(crate) payload: Option<Any>,
    pub(crate) error: Option<String>,
}

/// The imports of the world.
pub(crate) trait Host {
    fn send(&self, payload: Any, output: OutputType, channel: Option<&str>) -> Result<(), SendError>;
    fn relay(&self, output: OutputType, channel: Option<&str>) -> Result<(), SendError>;
    fn max_payload(&self) -> u64;

    fn attempt(&self) -> u32;
    fn time_remaining(&self) -> Option<Duration>;
    fn channel(&self) -> Option<String>;
    fn traceparent(&self) -> Option<String>;

    fn get(&self, key: &str, scope: Option<Scope>) -> Result<Option<String>, ConfigurationError>;
    fn set(&self, key: &str, value: &str, scope: Option<Scope>) -> Result<(), ConfigurationError>;
    fn delete(&self, key: &str, scope: Option<Scope>) -> Result<(), ConfigurationError>;

    fn get_object(&self, name: &str) -> Result<Vec<u8>, ObjectStoreError>;
    fn save_object(&self, name: &str, data: &[u8]) -> Result<(), ObjectStoreError>;
    fn list_objects(&self, pattern: Option<&str>) -> Result<Vec<String>, ObjectStoreError>;
    fn delete_object(&self, name: &str) -> Result<(), ObjectStoreError>;
    fn purge_objects(&self, pattern: Option<&str>) -> Result<u32, ObjectStoreError>;

    fn measure(
        &self,
        name: &str,
        fields: Vec<(String, Value)>,
        tags: Vec<(String, String)>,
        time: Option<i64>,
    ) -> Result<(), MeasurementError>;

    fn save_prediction(
        &self,
        outcome: Result<(String, String), Problem>,
        extra: Option<&str>,
        time: Option<i64>,
    ) -> Result<(), PredictionError>;

    fn save_document(&self, collection: &str, document: &str) -> Result<(), DatabaseError>;
    fn find_documents(&self, collection: &str, query: &str) -> Result<Vec<String>, DatabaseError>;

    fn log(&self, level: log::Level, text: &str, fields: &[(String, String)]);

    fn metadata(&self) -> Metadata;
}
