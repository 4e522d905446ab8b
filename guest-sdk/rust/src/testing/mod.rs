//! The host's part, played natively: handlers are tested by `cargo test`, without wasm and without a bus.
//!
//! A [`TestHost`] has the settings, objects and facts that a test needs; handling a message gives an [`Outcome`] with
//! what was sent, logged and measured. The host lives on between messages, as the real one's stores do.
//!
//! ```
//! # use krt_node::{Context, Incoming, Node, Result};
//! use krt_node::{Failure, Scope, testing::TestHost};
//!
//! # #[derive(Clone, PartialEq, prost::Message)]
//! # struct Ping { #[prost(uint32, tag = "1")] number: u32 }
//! # impl prost::Name for Ping { const NAME: &'static str = "Ping"; const PACKAGE: &'static str = "main"; }
//! fn count(ctx: &Context, ping: Ping) -> Result {
//!     let limit: u32 = ctx.configuration().get("limit")?.unwrap_or_default().parse()?;
//!     if ping.number > limit {
//!         return Err(Failure::rejected("too many"));
//!     }
//!     ctx.configuration().set("seen", &ping.number.to_string())?;
//!     ctx.object_store().save("last", &[1, 2])?;
//!     ctx.measure("pings").field("number", ping.number).save()?;
//!     if ctx.database().find("pings", r#"{"number": {"$lt": 3}}"#)?.is_empty() {
//!         ctx.database().save("pings", &format!(r#"{{"number": {}}}"#, ping.number))?;
//!     }
//!     ctx.prediction("odd", "odd").save()?;
//!     log::info!(limit; "counted");
//!     Ok(ctx.send(&ping)?)
//! }
//! fn node() -> Node {
//!     Node::new().on("etl", count)
//! }
//!
//! let host = TestHost::new().config(Scope::Workflow, "limit", "7").object_store().from("etl");
//! let outcome = host.handle(&node(), &Ping { number: 5 });
//! assert_eq!(outcome.result(), Ok(()));
//! assert_eq!(outcome.sent::<Ping>(), [Ping { number: 5 }]);
//! assert_eq!(outcome.configuration(Scope::Node, "seen").as_deref(), Some("5"));
//! assert_eq!(outcome.object("last"), Some(vec![1, 2]));
//! assert_eq!(outcome.measurements()[0].name, "pings");
//! assert_eq!(outcome.documents("pings"), [r#"{"number":5}"#]);
//! assert_eq!(outcome.predictions()[0].outcome, Ok(("odd".to_owned(), "odd".to_owned())));
//! assert_eq!(outcome.logs()[0].text, "counted");
//! assert_eq!(outcome.logs()[0].fields, [("limit".to_owned(), "7".to_owned())]);
//!
//! assert_eq!(host.handle(&node(), &Ping { number: 9 }).result(), Err(Failure::rejected("too many")));
//! ```

mod database;
mod outcome;
mod state;

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use prost::{Message, Name};

use crate::capability::Scope;
use crate::failure::Result;
use crate::host::Received;
use crate::message::{Any, MessageType};
use crate::node::{Node, Run as _};

pub use outcome::{LogLine, Outcome, Output, Point, Predicted};
#[doc(hidden)]
pub use state::State;
use state::{Current, Settings};

/// A host for unit tests. Everything has a default: a request of the entrypoint, empty stores, no time limit.
pub struct TestHost {
    settings: Settings,
    from_node: String,
    request_id: String,
    message_type: MessageType,
    state: Rc<State>,
}

impl TestHost {
    /// A host with nothing in it.
    #[expect(clippy::new_without_default, reason = "a test says what it makes")]
    pub fn new() -> Self {
        state::install_logger();
        Self {
            settings: Settings::default(),
            from_node: "entrypoint".to_owned(),
            request_id: "00000000-0000-4000-8000-000000000000".to_owned(),
            message_type: MessageType::Ok,
            state: Rc::default(),
        }
    }

    /// Puts a value into the configuration.
    pub fn config(self, scope: Scope, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.state.configuration.borrow_mut().insert((scope, key.into()), value.into());
        self
    }

    /// Declares an object store, as the manifest does. It is empty unless objects are added.
    pub fn object_store(self) -> Self {
        self.state.objects.borrow_mut().get_or_insert_default();
        self
    }

    /// Declares an object store and puts an object into it.
    pub fn object(self, name: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        self.state.objects.borrow_mut().get_or_insert_default().insert(name.into(), data.into());
        self
    }

    /// Puts a document into the database.
    ///
    /// # Panics
    /// `document` is not a JSON object.
    pub fn document(self, collection: impl Into<String>, document: &str) -> Self {
        let document = database::object(document).unwrap_or_else(|error| panic!("{error}"));
        self.state.documents.borrow_mut().push((collection.into(), document));
        self
    }

    /// The package: a folder whose files `ctx.path` finds. Default: the crate's own folder.
    pub fn package(mut self, folder: impl Into<PathBuf>) -> Self {
        self.settings.base_path = folder.into();
        self
    }

    /// The node that the messages come from. Default: `entrypoint`.
    pub fn from(mut self, node: impl Into<String>) -> Self {
        self.from_node = node.into();
        self
    }

    /// The kind of the messages. Default: [`MessageType::Ok`].
    pub fn message_type(mut self, message_type: MessageType) -> Self {
        self.message_type = message_type;
        self
    }

    /// The call that the messages belong to.
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = id.into();
        self
    }

    /// The channel that the messages come on.
    pub fn channel(mut self, channel: impl Into<String>) -> Self {
        self.settings.channel = Some(channel.into());
        self
    }

    /// Which attempt it is. Default: 1.
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.settings.attempt = attempt;
        self
    }

    /// How long a handler may take, as it is told. Nothing enforces it.
    pub fn time_remaining(mut self, time: Duration) -> Self {
        self.settings.time_remaining = Some(time);
        self
    }

    /// The trace that the messages belong to.
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.settings.traceparent = Some(traceparent.into());
        self
    }

    /// The name of the node under test. Default: `node`.
    pub fn node(mut self, name: impl Into<String>) -> Self {
        self.settings.node = name.into();
        self
    }

    /// The name of the workflow. Default: `workflow`.
    pub fn workflow(mut self, name: impl Into<String>) -> Self {
        self.settings.workflow = name.into();
        self
    }

    /// The name of the version. Default: `version`.
    pub fn version(mut self, name: impl Into<String>) -> Self {
        self.settings.version = name.into();
        self
    }

    /// The largest message that the bus takes. Default: 1 MiB, as the original's chart leaves it.
    pub fn max_payload(mut self, bytes: u64) -> Self {
        self.settings.max_payload = bytes;
        self
    }

    /// Stores and bus cannot be reached: what uses them fails as unavailable.
    pub fn unavailable(mut self) -> Self {
        self.settings.unavailable = true;
        self
    }

    /// Runs the node's `init`, if it has not run yet.
    ///
    /// # Errors
    /// As `init` failed.
    pub fn init<S: 'static>(&self, node: &Node<S>) -> Result {
        let host = self.state.with(Settings { attempt: 0, ..self.settings.clone() }, None);
        let _current = Current::set(&host);
        node.init(&host)
    }

    /// Hands the node a message, after `init` if that has not run yet.
    pub fn handle<S: 'static, T: Message + Name>(&self, node: &Node<S>, message: &T) -> Outcome {
        self.handle_any(node, Any::pack(message))
    }

    /// Hands the node a packed message.
    pub fn handle_any<S: 'static>(&self, node: &Node<S>, any: Any) -> Outcome {
        self.deliver(node, self.message_type, Some(any), None)
    }

    /// Hands the node an ERROR with this text.
    pub fn handle_error<S: 'static>(&self, node: &Node<S>, text: impl Into<String>) -> Outcome {
        self.deliver(node, MessageType::Error, None, Some(text.into()))
    }

    fn deliver<S: 'static>(
        &self,
        node: &Node<S>,
        message_type: MessageType,
        payload: Option<Any>,
        error: Option<String>,
    ) -> Outcome {
        if let Err(failure) = self.init(node) {
            return Outcome::new(Err(failure), self.state.with(self.settings.clone(), None));
        }
        let host = self.state.with(self.settings.clone(), Some(payload.clone()));
        let _current = Current::set(&host);
        let received = Received {
            request_id: self.request_id.clone(),
            from_node: self.from_node.clone(),
            message_type,
            payload,
            error,
        };
        Outcome::new(node.handle(&host, received), host)
    }
}
