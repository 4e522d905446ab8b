//! The component's side of the contract: generated bindings, and the crate's types put into them and taken out.
//!
//! The only place with generated code. Payload bytes are moved, never copied.

use std::cell::OnceCell;
use std::marker::PhantomData;
use std::time::Duration;

use bindings::exports::krt::node::handler as exported;
use bindings::krt::node::{
    configuration, database, delivery, logging, measurements, messaging, metadata, object_store, predictions, types,
};

use crate::capability::{Metadata, Scope, Value};
use crate::data::Problem;
use crate::error::{ConfigurationError, DatabaseError, MeasurementError, ObjectStoreError, PredictionError, SendError};
use crate::failure::{Failure, Result};
use crate::host::{Host, Received};
use crate::logging::Facade;
use crate::message::{Any, MessageType, OutputType};
use crate::node::Run;

#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "krt:node/node",
        pub_export_macro: true,
        default_bindings_module: "krt_node::__private::bindings",
    });
}

/// What [`export!`](crate::export) implements: where the node comes from.
pub trait Exported {
    /// Makes the node; called once per instance.
    fn node() -> Box<dyn Run>;
}

/// The exports of a component whose node is `E`'s.
pub struct Component<E>(PhantomData<E>);

/// The imports of the component.
#[derive(Clone, Copy)]
pub struct Imports;

impl<E: Exported> exported::Guest for Component<E> {
    fn init() -> std::result::Result<(), exported::Failure> {
        with_node::<E>(|node| node.init(&Imports))
    }

    fn handle(message: types::Message) -> std::result::Result<(), exported::Failure> {
        let received = Received {
            request_id: message.request_id,
            from_node: message.from_node,
            message_type: match message.message_type {
                types::MessageType::Undefined => MessageType::Undefined,
                types::MessageType::Ok => MessageType::Ok,
                types::MessageType::Error => MessageType::Error,
                types::MessageType::EarlyReply => MessageType::EarlyReply,
                types::MessageType::EarlyExit => MessageType::EarlyExit,
            },
            payload: message.payload.map(|payload| Any { type_url: payload.type_url, value: payload.data }),
            error: message.error,
        };
        with_node::<E>(|node| node.handle(&Imports, received))
    }
}

impl Host for Imports {
    fn send(&self, payload: Any, output: OutputType, channel: Option<&str>) -> Result<(), SendError> {
        let payload = types::Payload { type_url: payload.type_url, data: payload.value };
        messaging::send(&payload, output.into(), channel).map_err(SendError::from)
    }

    fn relay(&self, output: OutputType, channel: Option<&str>) -> Result<(), SendError> {
        messaging::relay(output.into(), channel).map_err(SendError::from)
    }

    fn max_payload(&self) -> u64 {
        messaging::max_payload()
    }

    fn attempt(&self) -> u32 {
        delivery::attempt()
    }

    fn time_remaining(&self) -> Option<Duration> {
        delivery::time_remaining().map(Duration::from_nanos)
    }

    fn channel(&self) -> Option<String> {
        delivery::channel()
    }

    fn traceparent(&self) -> Option<String> {
        delivery::traceparent()
    }

    fn get(&self, key: &str, scope: Option<Scope>) -> Result<Option<String>, ConfigurationError> {
        configuration::get(key, scope.map(Into::into)).map_err(Into::into)
    }

    fn set(&self, key: &str, value: &str, scope: Option<Scope>) -> Result<(), ConfigurationError> {
        configuration::set(key, value, scope.map(Into::into)).map_err(Into::into)
    }

    fn delete(&self, key: &str, scope: Option<Scope>) -> Result<(), ConfigurationError> {
        configuration::delete(key, scope.map(Into::into)).map_err(Into::into)
    }

    fn get_object(&self, name: &str) -> Result<Vec<u8>, ObjectStoreError> {
        object_store::get(name).map_err(Into::into)
    }

    fn save_object(&self, name: &str, data: &[u8]) -> Result<(), ObjectStoreError> {
        object_store::save(name, data).map_err(Into::into)
    }

    fn list_objects(&self, pattern: Option<&str>) -> Result<Vec<String>, ObjectStoreError> {
        object_store::list(pattern).map_err(Into::into)
    }

    fn delete_object(&self, name: &str) -> Result<(), ObjectStoreError> {
        object_store::delete(name).map_err(Into::into)
    }

    fn purge_objects(&self, pattern: Option<&str>) -> Result<u32, ObjectStoreError> {
        object_store::purge(pattern).map_err(Into::into)
    }

    fn measure(
        &self,
        name: &str,
        fields: Vec<(String, Value)>,
        tags: Vec<(String, String)>,
        time: Option<i64>,
    ) -> Result<(), MeasurementError> {
        let fields: Vec<_> = fields.into_iter().map(|(name, value)| (name, value.into())).collect();
        measurements::save(name, &fields, &tags, time).map_err(|error| match error {
            measurements::Error::Invalid(text) => MeasurementError::Invalid(text),
            measurements::Error::Dropped => MeasurementError::Dropped,
            measurements::Error::Other(text) => MeasurementError::Other(text),
        })
    }

    fn save_prediction(
        &self,
        outcome: std::result::Result<(String, String), Problem>,
        extra: Option<&str>,
        time: Option<i64>,
    ) -> Result<(), PredictionError> {
        let saved = match outcome {
            Ok((predicted, actual)) => predictions::save(&predicted, &actual, extra, time),
            Err(Problem::MissingValues) => predictions::save_error(predictions::Problem::MissingValues, extra, time),
            Err(Problem::NewLabels) => predictions::save_error(predictions::Problem::NewLabels, extra, time),
        };
        saved.map_err(Into::into)
    }

    fn save_document(&self, collection: &str, document: &str) -> Result<(), DatabaseError> {
        database::save(collection, document).map_err(Into::into)
    }

    fn find_documents(&self, collection: &str, query: &str) -> Result<Vec<String>, DatabaseError> {
        database::find(collection, query).map_err(Into::into)
    }

    fn log(&self, level: log::Level, text: &str, fields: &[(String, String)]) {
        let level = match level {
            log::Level::Trace => logging::Level::Trace,
            log::Level::Debug => logging::Level::Debug,
            log::Level::Info => logging::Level::Info,
            log::Level::Warn => logging::Level::Warn,
            log::Level::Error => logging::Level::Error,
        };
        logging::log(level, text, fields);
    }

    fn metadata(&self) -> Metadata {
        Metadata {
            runtime_id: metadata::runtime_id(),
            version: metadata::version(),
            version_id: metadata::version_id(),
            workflow: metadata::workflow(),
            node: metadata::node(),
            base_path: metadata::base_path(),
        }
    }
}

impl From<OutputType> for messaging::OutputType {
    fn from(output: OutputType) -> Self {
        match output {
            OutputType::Ok => Self::Ok,
            OutputType::EarlyReply => Self::EarlyReply,
            OutputType::EarlyExit => Self::EarlyExit,
        }
    }
}

impl From<Scope> for configuration::Scope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Node => Self::Node,
            Scope::Workflow => Self::Workflow,
            Scope::Project => Self::Project,
        }
    }
}

impl From<Value> for measurements::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Float(value) => Self::Float(value),
            Value::Signed(value) => Self::Signed(value),
            Value::Unsigned(value) => Self::Unsigned(value),
            Value::Boolean(value) => Self::Boolean(value),
            Value::Text(value) => Self::Text(value),
        }
    }
}

impl From<messaging::SendError> for SendError {
    fn from(error: messaging::SendError) -> Self {
        match error {
            messaging::SendError::NoMessage => Self::NoMessage,
            messaging::SendError::TooLarge(limit) => Self::TooLarge { limit },
            messaging::SendError::InvalidChannel(channel) => Self::InvalidChannel(channel),
            messaging::SendError::InvalidTypeUrl(url) => Self::InvalidTypeUrl(url),
            messaging::SendError::TooMany(limit) => Self::TooMany { limit },
            messaging::SendError::Unavailable(text) => Self::Unavailable(text),
            messaging::SendError::Other(text) => Self::Other(text),
        }
    }
}

impl From<configuration::Error> for ConfigurationError {
    fn from(error: configuration::Error) -> Self {
        match error {
            configuration::Error::InvalidKey(text) => Self::InvalidKey(text),
            configuration::Error::TooLarge(limit) => Self::TooLarge { limit },
            configuration::Error::Denied(text) => Self::Denied(text),
            configuration::Error::Unavailable(text) => Self::Unavailable(text),
            configuration::Error::Other(text) => Self::Other(text),
        }
    }
}

impl From<object_store::Error> for ObjectStoreError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotDeclared => Self::NotDeclared,
            object_store::Error::NotFound => Self::NotFound,
            object_store::Error::InvalidName(text) => Self::InvalidName(text),
            object_store::Error::TooLarge(limit) => Self::TooLarge { limit },
            object_store::Error::Denied(text) => Self::Denied(text),
            object_store::Error::Unavailable(text) => Self::Unavailable(text),
            object_store::Error::Other(text) => Self::Other(text),
        }
    }
}

impl From<predictions::Error> for PredictionError {
    fn from(error: predictions::Error) -> Self {
        match error {
            predictions::Error::Invalid(text) => Self::Invalid(text),
            predictions::Error::TooLarge(limit) => Self::TooLarge { limit },
            predictions::Error::Denied(text) => Self::Denied(text),
            predictions::Error::NotConfigured(text) => Self::NotConfigured(text),
            predictions::Error::Unavailable(text) => Self::Unavailable(text),
            predictions::Error::Other(text) => Self::Other(text),
        }
    }
}

impl From<database::Error> for DatabaseError {
    fn from(error: database::Error) -> Self {
        match error {
            database::Error::Invalid(text) => Self::Invalid(text),
            database::Error::TooLarge(limit) => Self::TooLarge { limit },
            database::Error::Denied(text) => Self::Denied(text),
            database::Error::NotConfigured(text) => Self::NotConfigured(text),
            database::Error::Unavailable(text) => Self::Unavailable(text),
            database::Error::Other(text) => Self::Other(text),
        }
    }
}

/// Runs `f` on this instance's node, which is made first if need be.
fn with_node<E: Exported>(f: impl FnOnce(&dyn Run) -> Result) -> std::result::Result<(), exported::Failure> {
    thread_local! {
        static NODE: OnceCell<Box<dyn Run>> = const { OnceCell::new() };
    }
    NODE.with(|node| {
        let node = node.get_or_init(|| {
            set_up();
            E::node()
        });
        f(node.as_ref()).map_err(|failure| match failure {
            Failure::Rejected(text) => exported::Failure::Rejected(text),
            Failure::Transient(text) => exported::Failure::Transient(text),
        })
    })
}

/// Log lines and panics go to the host's log.
fn set_up() {
    let level = match logging::min_level() {
        logging::Level::Trace => log::LevelFilter::Trace,
        logging::Level::Debug => log::LevelFilter::Debug,
        logging::Level::Info => log::LevelFilter::Info,
        logging::Level::Warn => log::LevelFilter::Warn,
        logging::Level::Error => log::LevelFilter::Error,
    };
    static FACADE: Facade<fn() -> Option<Imports>> = Facade(|| Some(Imports));
    crate::logging::install(&FACADE, level);
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload_as_str().unwrap_or("no text");
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        logging::log(logging::Level::Error, &format!("panicked: {text}"), &[("location".to_owned(), place)]);
    }));
}
