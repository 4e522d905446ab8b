//! What a handler may do, and the facts about the message in hand.

use std::cell::OnceCell;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use prost::{Message, Name};

use crate::capability::{Configuration, Measurement, Metadata, ObjectStore};
use crate::data::{Database, Prediction, Problem};
use crate::error::{PathError, SendError};
use crate::host::{Current, Host as _};
use crate::message::{Any, MessageType, OutputType};

/// The message in hand, and everything that a handler may do. `S` is the state that [`Node::init`](crate::Node::init)
/// made.
///
/// Sending means that the host has taken the message over; the message in hand is acknowledged only after the bus has
/// accepted everything that was sent. A handler that is run again for the same message sends each output once, as
/// long as it sends them in the same order.
pub struct Context<S = ()> {
    pub(crate) host: Current,
    pub(crate) state: Rc<S>,
    pub(crate) metadata: Rc<OnceCell<Metadata>>,
    pub(crate) request_id: String,
    pub(crate) from_node: String,
    pub(crate) message_type: MessageType,
}

/// Sending.
impl<S> Context<S> {
    /// Sends a message to the nodes that subscribe to this one; from the exitpoint, to the caller.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was sent.
    pub fn send<T: Message + Name>(&self, message: &T) -> Result<(), SendError> {
        self.host.send(Any::pack(message), OutputType::Ok, None)
    }

    /// Sends a message to the nodes that subscribe to one channel of this one (`<node>.<channel>`), and to no others.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was sent.
    pub fn send_to<T: Message + Name>(&self, channel: &str, message: &T) -> Result<(), SendError> {
        self.host.send(Any::pack(message), OutputType::Ok, Some(channel))
    }

    /// Sends a packed message as it is.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was sent.
    pub fn send_any(&self, any: Any) -> Result<(), SendError> {
        self.host.send(any, OutputType::Ok, None)
    }

    /// Sends a packed message as it is, on a channel.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was sent.
    pub fn send_any_to(&self, channel: &str, any: Any) -> Result<(), SendError> {
        self.host.send(any, OutputType::Ok, Some(channel))
    }

    /// Sends the payload in hand on, without copying it out of the host again. If an ERROR is in hand, an ordinary
    /// message without payload goes out.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was sent.
    pub fn relay(&self) -> Result<(), SendError> {
        self.host.relay(OutputType::Ok, None)
    }

    /// Sends the payload in hand on, on a channel.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was sent.
    pub fn relay_to(&self, channel: &str) -> Result<(), SendError> {
        self.host.relay(OutputType::Ok, Some(channel))
    }

    /// Sends the payload in hand on as another kind of message.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was sent.
    pub fn relay_as(&self, output: OutputType, channel: Option<&str>) -> Result<(), SendError> {
        self.host.relay(output, channel)
    }

    /// Sends an answer for the caller and goes on. The exitpoint must subscribe to this node and relay it.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was sent.
    pub fn early_reply<T: Message + Name>(&self, message: &T) -> Result<(), SendError> {
        self.host.send(Any::pack(message), OutputType::EarlyReply, None)
    }

    /// Sends an answer for the caller; the handler should return then. The exitpoint must subscribe to this node and
    /// relay it.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was sent.
    pub fn early_exit<T: Message + Name>(&self, message: &T) -> Result<(), SendError> {
        self.host.send(Any::pack(message), OutputType::EarlyExit, None)
    }

    /// Sends a packed message as any kind, on a channel or not.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was sent.
    pub fn send_as(&self, any: Any, output: OutputType, channel: Option<&str>) -> Result<(), SendError> {
        self.host.send(any, output, channel)
    }

    /// Largest message in bytes that the bus takes, envelope included, before compression.
    pub fn max_payload(&self) -> u64 {
        self.host.max_payload()
    }
}

/// The message in hand.
impl<S> Context<S> {
    /// The call that the message belongs to; empty in `init`.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The node that sent it; `entrypoint` for a request, empty in `init`.
    pub fn from_node(&self) -> &str {
        &self.from_node
    }

    /// Its kind.
    pub fn message_type(&self) -> MessageType {
        self.message_type
    }

    /// Whether it is an ordinary output.
    pub fn is_ok(&self) -> bool {
        self.message_type == MessageType::Ok
    }

    /// Whether it reports an error of the node that sent it.
    pub fn is_error(&self) -> bool {
        self.message_type == MessageType::Error
    }

    /// Whether it is an answer for the caller from a node that goes on.
    pub fn is_early_reply(&self) -> bool {
        self.message_type == MessageType::EarlyReply
    }

    /// Whether it is an answer for the caller from a node that stopped.
    pub fn is_early_exit(&self) -> bool {
        self.message_type == MessageType::EarlyExit
    }

    /// 1 the first time, more when the message comes again; 0 in `init`.
    pub fn attempt(&self) -> u32 {
        self.host.attempt()
    }

    /// How long the handler may go on; none without a limit.
    pub fn time_remaining(&self) -> Option<Duration> {
        self.host.time_remaining()
    }

    /// The channel of the origin node that the message came on; none for its default output.
    pub fn channel(&self) -> Option<String> {
        self.host.channel()
    }

    /// W3C `traceparent` of the span in hand, for calls that the node makes itself.
    pub fn traceparent(&self) -> Option<String> {
        self.host.traceparent()
    }
}

/// What the node may use.
impl<S> Context<S> {
    /// What `init` made.
    pub fn state(&self) -> &S {
        &self.state
    }

    /// Settings that outlive a message.
    pub fn configuration(&self) -> Configuration<'_> {
        Configuration(&self.host)
    }

    /// The object store that the manifest declares for this node.
    pub fn object_store(&self) -> ObjectStore<'_> {
        ObjectStore(&self.host)
    }

    /// Starts a measurement: add fields and tags, then `save()`.
    pub fn measure(&self, name: impl Into<String>) -> Measurement<'_> {
        Measurement { host: &self.host, name: name.into(), fields: Vec::new(), tags: Vec::new(), time: None }
    }

    /// Starts a prediction beside what is true, for the version's metrics: `save()` it.
    pub fn prediction(&self, predicted: impl Into<String>, actual: impl Into<String>) -> Prediction<'_> {
        let outcome = Ok((predicted.into(), actual.into()));
        Prediction { host: &self.host, outcome, extra: None, time: None }
    }

    /// Starts the note that nothing could be predicted, for the version's metrics: `save()` it.
    pub fn no_prediction(&self, problem: Problem) -> Prediction<'_> {
        Prediction { host: &self.host, outcome: Err(problem), extra: None, time: None }
    }

    /// The runtime's database.
    pub fn database(&self) -> Database<'_> {
        Database(&self.host)
    }

    /// What this node is.
    pub fn metadata(&self) -> &Metadata {
        self.metadata.get_or_init(|| self.host.metadata())
    }

    /// The node's name.
    pub fn node(&self) -> &str {
        &self.metadata().node
    }

    /// Where a file of the package is: `std::fs` can read it. The package is read-only.
    ///
    /// # Errors
    /// `relative` is absolute or contains `..`.
    pub fn path(&self, relative: impl AsRef<Path>) -> Result<PathBuf, PathError> {
        let relative = relative.as_ref();
        let inside = relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside || relative.as_os_str().is_empty() {
            return Err(PathError(relative.to_string_lossy().into_owned()));
        }
        Ok(Path::new(&self.metadata().base_path).join(relative))
    }
}
