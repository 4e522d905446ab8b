//! The seam between a node's loop and what a node is made of. Never settles anything: see `runner`.

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::bus::PublishError;
use crate::message::Message;
use crate::outbox::Outbox;

/// Something that handles messages.
///
/// # Guarantees
/// Outputs go through the [`Outbox`] alone. Dropping the future abandons the message: nothing more is sent for it, and
/// the node stays usable.
///
/// # Assumptions
/// The caller awaits the outbox's outputs before it acknowledges.
pub trait Node: Send + Sync + 'static {
    /// Handles one message.
    fn handle(&self, message: Message, outbox: Outbox) -> BoxFuture<'_, Result<(), NodeError>>;
}

/// Why a message was not handled; the variant decides what happens to it (see `runner`).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NodeError {
    /// The message is at fault: data, not a reason to try again.
    #[error("{0}")]
    Rejected(String),
    /// The world is at fault: worth another attempt.
    #[error("{0}")]
    Transient(String),
    /// The guest trapped; its instance is gone.
    #[error("the node trapped: {message}")]
    Trapped {
        /// What the engine says of it.
        message: String,
        /// Guest frames, innermost first; empty when there are none.
        backtrace: String,
    },
    /// The handler took longer than it may.
    #[error("the handler was still running after {0:?}")]
    TimedOut(std::time::Duration),
    /// The handler wanted more of something than it may have.
    #[error("the node exceeded its limit: {0}")]
    LimitExceeded(String),
    /// An output was not accepted.
    #[error("an output could not be published: {0}")]
    Publish(#[from] PublishError),
}

/// A closure as a node: for tests, benches and native Rust nodes.
pub struct FnNode<F>(F);

/// A closure that returns a future, as a node.
pub struct AsyncFnNode<F>(F);

impl<F> FnNode<F>
where
    F: Fn(Message, Outbox) -> Result<(), NodeError> + Send + Sync + 'static,
{
    /// A node that calls `f`.
    pub fn new(f: F) -> Arc<Self> {
        Arc::new(Self(f))
    }
}

impl<F> Node for FnNode<F>
where
    F: Fn(Message, Outbox) -> Result<(), NodeError> + Send + Sync + 'static,
{
    fn handle(&self, message: Message, outbox: Outbox) -> BoxFuture<'_, Result<(), NodeError>> {
        Box::pin(std::future::ready((self.0)(message, outbox)))
    }
}

impl<F, R> AsyncFnNode<F>
where
    F: Fn(Message, Outbox) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), NodeError>> + Send + 'static,
{
    /// A node that awaits what `f` returns.
    pub fn new(f: F) -> Arc<Self> {
        Arc::new(Self(f))
    }
}

impl<F, R> Node for AsyncFnNode<F>
where
    F: Fn(Message, Outbox) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), NodeError>> + Send + 'static,
{
    fn handle(&self, message: Message, outbox: Outbox) -> BoxFuture<'_, Result<(), NodeError>> {
        Box::pin((self.0)(message, outbox))
    }
}
