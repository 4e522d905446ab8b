//! The imports of the world, as a [`TestHost`](super::TestHost) answers them: with the host's own rules and errors.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use super::database;
use super::outcome::{LogLine, Output, Point, Predicted};
use crate::capability::{Metadata, Scope, Value};
use crate::data::Problem;
use crate::error::{ConfigurationError, DatabaseError, MeasurementError, ObjectStoreError, PredictionError, SendError};
use crate::host::Host;
use crate::logging::Facade;
use crate::message::{Any, OutputType};

/// What one delivery sees. The stores are shared by all deliveries of a test host.
#[derive(Default)]
pub struct State {
    settings: Settings,
    /// The payload in hand, if a message is.
    in_hand: Option<Option<Any>>,
    pub(super) configuration: Rc<RefCell<BTreeMap<(Scope, String), String>>>,
    pub(super) objects: Rc<RefCell<Option<Objects>>>,
    pub(super) outputs: RefCell<Vec<Output>>,
    pub(super) logs: Rc<RefCell<Vec<LogLine>>>,
    pub(super) measurements: Rc<RefCell<Vec<Point>>>,
    pub(super) predictions: Rc<RefCell<Vec<Predicted>>>,
    pub(super) documents: Rc<RefCell<Vec<(String, serde_json::Value)>>>,
}

/// By name; sorted, as `list` answers.
type Objects = BTreeMap<String, Vec<u8>>;

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) base_path: PathBuf,
    pub(super) channel: Option<String>,
    pub(super) attempt: u32,
    pub(super) time_remaining: Option<Duration>,
    pub(super) traceparent: Option<String>,
    pub(super) node: String,
    pub(super) workflow: String,
    pub(super) version: String,
    pub(super) max_payload: u64,
    pub(super) unavailable: bool,
}

/// The host whose handler runs on this thread, for the log facade: it is the process's, handlers are a thread's.
pub(super) struct Current(Option<Rc<State>>);

thread_local! {
    static CURRENT: RefCell<Option<Rc<State>>> = const { RefCell::new(None) };
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            base_path: PathBuf::from("."),
            channel: None,
            attempt: 1,
            time_remaining: None,
            traceparent: None,
            node: "node".to_owned(),
            workflow: "workflow".to_owned(),
            version: "version".to_owned(),
            max_payload: 1 << 20,
            unavailable: false,
        }
    }
}

impl Current {
    pub(super) fn set(host: &Rc<State>) -> Self {
        Self(CURRENT.replace(Some(host.clone())))
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

/// Makes the log facade end at the current host, unless the tests chose another logger.
pub(super) fn install_logger() {
    static FACADE: Facade<fn() -> Option<Rc<State>>> = Facade(|| CURRENT.with_borrow(Clone::clone));
    crate::logging::install(&FACADE, log::LevelFilter::Trace);
}

impl State {
    /// The same stores, for a delivery with `settings` and a payload in hand.
    pub(super) fn with(&self, settings: Settings, in_hand: Option<Option<Any>>) -> Rc<Self> {
        Rc::new(Self {
            settings,
            in_hand,
            configuration: self.configuration.clone(),
            objects: self.objects.clone(),
            outputs: RefCell::default(),
            logs: self.logs.clone(),
            measurements: self.measurements.clone(),
            predictions: self.predictions.clone(),
            documents: self.documents.clone(),
        })
    }

    fn put(&self, payload: Option<Any>, output_type: OutputType, channel: Option<&str>) -> Result<(), SendError> {
        if self.in_hand.is_none() {
            return Err(SendError::NoMessage);
        }
        if let Some(channel) = channel.filter(|channel| !is_token(channel)) {
            return Err(SendError::InvalidChannel(channel.to_owned()));
        }
        if let Some(any) = &payload {
            if any.message_name().is_empty() {
                return Err(SendError::InvalidTypeUrl(any.type_url.clone()));
            }
            if any.value.len() as u64 > self.settings.max_payload {
                return Err(SendError::TooLarge { limit: self.settings.max_payload });
            }
        }
        if self.settings.unavailable {
            return Err(SendError::Unavailable("the test host says so".to_owned()));
        }
        self.outputs.borrow_mut().push(Output { output_type, channel: channel.map(str::to_owned), payload });
        Ok(())
    }

    fn check_key(&self, key: &str) -> Result<(), ConfigurationError> {
        if self.settings.unavailable {
            return Err(ConfigurationError::Unavailable("the test host says so".to_owned()));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-/_=.".contains(c);
        if key.is_empty() || key.starts_with('.') || key.ends_with('.') || !key.chars().all(allowed) {
            return Err(ConfigurationError::InvalidKey(format!(
                "{key:?}: letters, digits and -/_=. only, no dot at either end"
            )));
        }
        Ok(())
    }

    fn with_objects<T>(
        &self,
        f: impl FnOnce(&mut Objects) -> Result<T, ObjectStoreError>,
    ) -> Result<T, ObjectStoreError> {
        let mut objects = self.objects.borrow_mut();
        let objects = objects.as_mut().ok_or(ObjectStoreError::NotDeclared)?;
        if self.settings.unavailable {
            return Err(ObjectStoreError::Unavailable("the test host says so".to_owned()));
        }
        f(objects)
    }
}

impl Host for Rc<State> {
    fn send(&self, payload: Any, output: OutputType, channel: Option<&str>) -> Result<(), SendError> {
        self.put(Some(payload), output, channel)
    }

    fn relay(&self, output: OutputType, channel: Option<&str>) -> Result<(), SendError> {
        let payload = self.in_hand.clone().ok_or(SendError::NoMessage)?;
        self.put(payload, output, channel)
    }

    fn max_payload(&self) -> u64 {
        self.settings.max_payload
    }

    fn attempt(&self) -> u32 {
        self.settings.attempt
    }

    fn time_remaining(&self) -> Option<Duration> {
        self.settings.time_remaining
    }

    fn channel(&self) -> Option<String> {
        self.settings.channel.clone()
    }

    fn traceparent(&self) -> Option<String> {
        self.settings.traceparent.clone()
    }

    fn get(&self, key: &str, scope: Option<Scope>) -> Result<Option<String>, ConfigurationError> {
        self.check_key(key)?;
        let values = self.configuration.borrow();
        let look = |scope| values.get(&(scope, key.to_owned())).cloned();
        Ok(match scope {
            Some(scope) => look(scope),
            None => [Scope::Node, Scope::Workflow, Scope::Project].into_iter().find_map(look),
        })
    }

    fn set(&self, key: &str, value: &str, scope: Option<Scope>) -> Result<(), ConfigurationError> {
        self.check_key(key)?;
        self.configuration.borrow_mut().insert((scope.unwrap_or(Scope::Node), key.to_owned()), value.to_owned());
        Ok(())
    }

    fn delete(&self, key: &str, scope: Option<Scope>) -> Result<(), ConfigurationError> {
        self.check_key(key)?;
        self.configuration.borrow_mut().remove(&(scope.unwrap_or(Scope::Node), key.to_owned()));
        Ok(())
    }

    fn get_object(&self, name: &str) -> Result<Vec<u8>, ObjectStoreError> {
        self.with_objects(|objects| objects.get(name).cloned().ok_or(ObjectStoreError::NotFound))
    }

    fn save_object(&self, name: &str, data: &[u8]) -> Result<(), ObjectStoreError> {
        self.with_objects(|objects| {
            if name.is_empty() || name.chars().any(char::is_control) {
                return Err(ObjectStoreError::InvalidName(format!("{name:?}")));
            }
            objects.insert(name.to_owned(), data.to_owned());
            Ok(())
        })
    }

    fn list_objects(&self, pattern: Option<&str>) -> Result<Vec<String>, ObjectStoreError> {
        let pattern = compile(pattern)?;
        self.with_objects(|objects| {
            Ok(objects.keys().filter(|name| pattern.as_ref().is_none_or(|p| p.is_match(name))).cloned().collect())
        })
    }

    fn delete_object(&self, name: &str) -> Result<(), ObjectStoreError> {
        self.with_objects(|objects| objects.remove(name).map(drop).ok_or(ObjectStoreError::NotFound))
    }

    fn purge_objects(&self, pattern: Option<&str>) -> Result<u32, ObjectStoreError> {
        let pattern = compile(pattern)?;
        self.with_objects(|objects| {
            let before = objects.len();
            objects.retain(|name, _| pattern.as_ref().is_some_and(|p| !p.is_match(name)));
            Ok((before - objects.len()) as u32)
        })
    }

    fn measure(
        &self,
        name: &str,
        fields: Vec<(String, Value)>,
        tags: Vec<(String, String)>,
        time: Option<i64>,
    ) -> Result<(), MeasurementError> {
        let infinite = fields.iter().find(|(_, value)| matches!(value, Value::Float(number) if !number.is_finite()));
        let wrong = match infinite {
            _ if name.is_empty() => Some("it has no name".to_owned()),
            _ if fields.is_empty() => Some("it has no field".to_owned()),
            Some((field, _)) => Some(format!("the field {field:?} is not finite")),
            None => None,
        };
        if let Some(wrong) = wrong {
            return Err(MeasurementError::Invalid(wrong));
        }
        self.measurements.borrow_mut().push(Point { name: name.to_owned(), fields, tags, time });
        Ok(())
    }

    fn save_prediction(
        &self,
        outcome: Result<(String, String), Problem>,
        extra: Option<&str>,
        time: Option<i64>,
    ) -> Result<(), PredictionError> {
        if let Some(extra) = extra {
            let json: Result<serde_json::Value, _> = serde_json::from_str(extra);
            json.map_err(|error| PredictionError::Invalid(format!("what is to be kept with it: {error}")))?;
        }
        if self.settings.unavailable {
            return Err(PredictionError::Unavailable("the test host says so".to_owned()));
        }
        self.predictions.borrow_mut().push(Predicted { outcome, extra: extra.map(str::to_owned), time });
        Ok(())
    }

    fn save_document(&self, collection: &str, document: &str) -> Result<(), DatabaseError> {
        database::check_collection(collection)?;
        let document = database::object(document)?;
        if self.settings.unavailable {
            return Err(DatabaseError::Unavailable("the test host says so".to_owned()));
        }
        self.documents.borrow_mut().push((collection.to_owned(), document));
        Ok(())
    }

    fn find_documents(&self, collection: &str, query: &str) -> Result<Vec<String>, DatabaseError> {
        database::check_collection(collection)?;
        let query = database::object(query)?;
        if self.settings.unavailable {
            return Err(DatabaseError::Unavailable("the test host says so".to_owned()));
        }
        let documents = self.documents.borrow();
        let mut found = Vec::new();
        for (_, document) in documents.iter().filter(|(name, _)| name == collection) {
            if database::matches(&query, document)? {
                found.push(document.to_string());
            }
        }
        Ok(found)
    }

    fn log(&self, level: log::Level, text: &str, fields: &[(String, String)]) {
        self.logs.borrow_mut().push(LogLine { level, text: text.to_owned(), fields: fields.to_vec() });
    }

    fn metadata(&self) -> Metadata {
        Metadata {
            runtime_id: "runtime".to_owned(),
            version: self.settings.version.clone(),
            version_id: "000000000000000000000000".to_owned(),
            workflow: self.settings.workflow.clone(),
            node: self.settings.node.clone(),
            base_path: self.settings.base_path.to_string_lossy().into_owned(),
        }
    }
}

fn compile(pattern: Option<&str>) -> Result<Option<regex::Regex>, ObjectStoreError> {
    pattern.map(regex::Regex::new).transpose().map_err(|error| ObjectStoreError::InvalidName(error.to_string()))
}

fn is_token(channel: &str) -> bool {
    !channel.is_empty() && !channel.contains(|c: char| matches!(c, '.' | '*' | '>' | ' ') || c.is_control())
}
