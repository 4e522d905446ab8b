//! What a handler did with one message.

use std::rc::Rc;

use prost::{Message, Name};

use super::State;
use crate::capability::{Scope, Value};
use crate::data::Problem;
use crate::error::UnpackError;
use crate::failure::{Failure, Result};
use crate::message::{Any, OutputType};

/// What a handler did with one message, and what its stores hold afterwards.
pub struct Outcome {
    result: Result,
    state: Rc<State>,
    outputs: Vec<Output>,
    logs: Vec<LogLine>,
    measurements: Vec<Point>,
    predictions: Vec<Predicted>,
}

/// One message that a handler sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its kind.
    pub output_type: OutputType,
    /// The channel it was sent on; none for the node's default output.
    pub channel: Option<String>,
    /// The message; none only when an ERROR was relayed.
    pub payload: Option<Any>,
}

/// One line that a handler logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Its level.
    pub level: log::Level,
    /// Its text.
    pub text: String,
    /// Its key-value pairs.
    pub fields: Vec<(String, String)>,
}

/// One measurement that a handler saved.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The series.
    pub name: String,
    /// What was measured.
    pub fields: Vec<(String, Value)>,
    /// What to group by.
    pub tags: Vec<(String, String)>,
    /// Nanoseconds since the Unix epoch; none = when it was saved.
    pub time: Option<i64>,
}

/// One prediction that a handler saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predicted {
    /// What was predicted and what is true, or why nothing was.
    pub outcome: std::result::Result<(String, String), Problem>,
    /// JSON that was kept with it.
    pub extra: Option<String>,
    /// Nanoseconds since the Unix epoch; none = when it was saved.
    pub time: Option<i64>,
}

impl Outcome {
    pub(super) fn new(result: Result, state: Rc<State>) -> Self {
        let outputs = state.outputs.take();
        let logs = state.logs.take();
        let measurements = state.measurements.take();
        let predictions = state.predictions.take();
        Self { result, state, outputs, logs, measurements, predictions }
    }

    /// What the handler returned.
    ///
    /// # Errors
    /// As the handler failed.
    pub fn result(&self) -> Result {
        self.result.clone()
    }

    /// Why the handler failed, if it did.
    pub fn failure(&self) -> Option<&Failure> {
        self.result.as_ref().err()
    }

    /// What it sent, in order. A handler that fails has sent what it sent before.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// All that it sent, as `T`s.
    ///
    /// # Panics
    /// It failed, or sent something else: a test fails with the reason.
    pub fn sent<T: Message + Name + Default>(&self) -> Vec<T> {
        if let Err(failure) = &self.result {
            panic!("the handler failed: {failure}");
        }
        let decode = |output: &Output| output.decode().unwrap_or_else(|error| panic!("{error}"));
        self.outputs.iter().map(decode).collect()
    }

    /// What it logged, `init`'s lines first if that ran.
    pub fn logs(&self) -> &[LogLine] {
        &self.logs
    }

    /// What it measured.
    pub fn measurements(&self) -> &[Point] {
        &self.measurements
    }

    /// The predictions it saved.
    pub fn predictions(&self) -> &[Predicted] {
        &self.predictions
    }

    /// The documents of a collection, afterwards, as compact JSON with sorted keys.
    pub fn documents(&self, collection: &str) -> Vec<String> {
        let documents = self.state.documents.borrow();
        documents.iter().filter(|(name, _)| name == collection).map(|(_, document)| document.to_string()).collect()
    }

    /// A setting, afterwards.
    pub fn configuration(&self, scope: Scope, key: &str) -> Option<String> {
        self.state.configuration.borrow().get(&(scope, key.to_owned())).cloned()
    }

    /// An object, afterwards.
    pub fn object(&self, name: &str) -> Option<Vec<u8>> {
        self.state.objects.borrow().as_ref()?.get(name).cloned()
    }

    /// The names of all objects, afterwards; sorted.
    pub fn objects(&self) -> Vec<String> {
        self.state.objects.borrow().iter().flat_map(|objects| objects.keys().cloned()).collect()
    }
}

impl Output {
    /// The message as a `T`.
    ///
    /// # Errors
    /// It is another one, or none.
    pub fn decode<T: Message + Name + Default>(&self) -> Result<T, UnpackError> {
        match &self.payload {
            Some(any) => any.unpack(),
            None => Err(UnpackError::NoPayload { expected: T::full_name() }),
        }
    }
}
