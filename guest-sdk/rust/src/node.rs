//! Which function handles what: the table that the original runners keep as `default_handler` and `custom_handlers`.

use std::cell::OnceCell;
use std::rc::Rc;

use prost::{Message, Name};

use crate::capability::Metadata;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::host::{Current, Received};
use crate::message::{Incoming, MessageType};

/// A node: what it does once, and the handlers of its messages. `S` is the state that `init` makes and handlers read.
///
/// ```
/// use krt_node::{Context, FailureExt, Incoming, Node, Result};
/// # use krt_node::testing::TestHost;
/// # #[derive(Clone, PartialEq, prost::Message)]
/// # struct Email { #[prost(string, tag = "1")] body: String }
/// # impl prost::Name for Email { const NAME: &'static str = "Email"; const PACKAGE: &'static str = "main"; }
///
/// struct Words(Vec<String>);
///
/// fn load(ctx: &Context) -> Result<Words> {
///     let path = ctx.path("model/words.txt")?;
///     let text = std::fs::read_to_string(&path).context(path.display())?;
///     Ok(Words(text.lines().map(str::to_owned).collect()))
/// }
///
/// fn classify(ctx: &Context<Words>, email: Email) -> Result {
///     let spam = ctx.state().0.iter().any(|word| email.body.contains(word));
///     Ok(if spam { ctx.send_to("spam", &email)? } else { ctx.send(&email)? })
/// }
///
/// fn anything_else(ctx: &Context<Words>, incoming: Incoming) -> Result {
///     log::warn!("ignored a {} from {}", incoming.message_name(), ctx.from_node());
///     Ok(())
/// }
///
/// fn node() -> Node<Words> {
///     Node::init(load).on("etl", classify).default(anything_else)
/// }
/// # let package = std::env::temp_dir().join(format!("krt-node-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(package.join("model")).unwrap();
/// # std::fs::write(package.join("model/words.txt"), "prize\n").unwrap();
/// # let outcome = TestHost::new().package(&package).from("etl").handle(&node(), &Email { body: "a prize".into() });
/// # assert_eq!(outcome.outputs()[0].channel.as_deref(), Some("spam"));
/// # std::fs::remove_dir_all(package).unwrap();
/// ```
///
/// # Which messages reach a handler
/// The handler [`on`](Self::on) the node that sent the message, else the [`default`](Self::default) one; without
/// either the message is rejected. A handler that takes [`Incoming`] is called for every message. A handler that takes
/// a protobuf type is called for ordinary messages only:
/// * an ERROR is passed on: the message is rejected with the same text, as if the handler had failed on it;
/// * early replies and exits are skipped: they are answers for the caller, and the exitpoint's business;
/// * a message of another type is rejected, with both types' names.
pub struct Node<S = ()> {
    init: Init<S>,
    origins: Vec<(String, Call<S>)>,
    default: Option<Call<S>>,
    state: OnceCell<Rc<S>>,
    metadata: Rc<OnceCell<Metadata>>,
}

/// A function that handles messages: `Fn(&Context<S>, T) -> Result` where `T` is a protobuf message or [`Incoming`].
///
/// `M` only tells the two apart; it is always inferred.
pub trait Handler<S, M>: 'static {
    /// Handles one message of any kind.
    ///
    /// # Errors
    /// Why the message was not handled.
    fn call(&self, ctx: &Context<S>, incoming: Incoming) -> Result;
}

/// Marks handlers of one protobuf type.
#[doc(hidden)]
pub struct Typed<T>(std::marker::PhantomData<T>);

/// Marks handlers of every message.
#[doc(hidden)]
pub struct Raw;

/// A node without its type of state: what the exports call.
#[doc(hidden)]
pub trait Run {
    fn init(&self, host: &Current) -> Result;
    fn handle(&self, host: &Current, received: Received) -> Result;
}

type Init<S> = Box<dyn Fn(&Context) -> Result<S>>;
type Call<S> = Box<dyn Fn(&Context<S>, Incoming) -> Result>;

impl Node {
    /// A node that does nothing before its first message.
    #[expect(clippy::new_without_default, reason = "`default` is the word of the contract for a handler")]
    pub fn new() -> Self {
        Node::init(|_| Ok(()))
    }
}

impl<S: 'static> Node<S> {
    /// A node that calls `init` once per instance, before its first message. What it returns is the handlers' state.
    ///
    /// If it fails, the node does not become ready; a transient failure is tried again.
    pub fn init(init: impl Fn(&Context) -> Result<S> + 'static) -> Self {
        Self {
            init: Box::new(init),
            origins: Vec::new(),
            default: None,
            state: OnceCell::new(),
            metadata: Rc::default(),
        }
    }

    /// Handles the messages that come from the node `origin` (`entrypoint` for requests). The last one named wins.
    pub fn on<M>(mut self, origin: impl Into<String>, handler: impl Handler<S, M>) -> Self {
        let origin = origin.into();
        self.origins.retain(|(name, _)| *name != origin);
        self.origins.push((origin, Box::new(move |ctx, incoming| handler.call(ctx, incoming))));
        self
    }

    /// Handles the messages of all nodes that have no handler of their own.
    pub fn default<M>(mut self, handler: impl Handler<S, M>) -> Self {
        self.default = Some(Box::new(move |ctx, incoming| handler.call(ctx, incoming)));
        self
    }

    fn initialised(&self, host: &Current) -> Result<Rc<S>> {
        if let Some(state) = self.state.get() {
            return Ok(state.clone());
        }
        let ctx = Context {
            host: host.clone(),
            state: Rc::new(()),
            metadata: self.metadata.clone(),
            request_id: String::new(),
            from_node: String::new(),
            message_type: MessageType::Undefined,
        };
        let state = Rc::new((self.init)(&ctx)?);
        Ok(self.state.get_or_init(|| state).clone())
    }
}

impl<S: 'static> Run for Node<S> {
    fn init(&self, host: &Current) -> Result {
        self.initialised(host).map(drop)
    }

    fn handle(&self, host: &Current, received: Received) -> Result {
        let Received { request_id, from_node, mut message_type, payload, error } = received;
        let error = error.filter(|text| !text.is_empty());
        if error.is_some() {
            // Both marks count, the text and the type: peers set either.
            message_type = MessageType::Error;
        }
        let state = self.initialised(host)?;
        let ctx =
            Context { host: host.clone(), state, metadata: self.metadata.clone(), request_id, from_node, message_type };
        let own = self.origins.iter().find(|(origin, _)| *origin == ctx.from_node).map(|(_, call)| call);
        match own.or(self.default.as_ref()) {
            Some(call) => call(&ctx, Incoming { message_type, payload, error }),
            None => Err(Failure::Rejected(format!(
                "node {:?} has no handler for messages of node {:?}, and no default one",
                ctx.node(),
                ctx.from_node
            ))),
        }
    }
}

impl<S, T, F> Handler<S, Typed<T>> for F
where
    S: 'static,
    T: Message + Name + Default,
    F: Fn(&Context<S>, T) -> Result + 'static,
{
    fn call(&self, ctx: &Context<S>, incoming: Incoming) -> Result {
        match incoming.message_type {
            MessageType::Error => Err(Failure::Rejected(match incoming.error {
                Some(text) => text,
                None => format!("node {:?} failed without saying why", ctx.from_node()),
            })),
            MessageType::EarlyReply | MessageType::EarlyExit => {
                log::debug!("skipped an early answer of node {:?}: it is for the caller", ctx.from_node());
                Ok(())
            }
            MessageType::Ok | MessageType::Undefined => self(ctx, incoming.unpack()?),
        }
    }
}

impl<S, F> Handler<S, Raw> for F
where
    S: 'static,
    F: Fn(&Context<S>, Incoming) -> Result + 'static,
{
    fn call(&self, ctx: &Context<S>, incoming: Incoming) -> Result {
        self(ctx, incoming)
    }
}
