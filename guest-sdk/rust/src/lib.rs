//! Write nodes of a KRT v2 version in Rust, as WebAssembly components.
//!
//! A node is a function that makes a [`Node`]: handlers by the node that a message comes from, and one for all others.
//! [`export!`] turns it into what the host calls.
//!
//! ```
//! use krt_node::{Context, Node, Result};
//!
//! #[derive(Clone, PartialEq, prost::Message)]
//! struct Greeting {
//!     #[prost(string, tag = "1")]
//!     text: String,
//! }
//! # impl prost::Name for Greeting {
//! #     const NAME: &'static str = "Greeting";
//! #     const PACKAGE: &'static str = "main";
//! # }
//!
//! fn shout(ctx: &Context, greeting: Greeting) -> Result {
//!     log::info!("shouting for {}", ctx.request_id());
//!     ctx.send(&Greeting { text: greeting.text.to_uppercase() })?;
//!     Ok(())
//! }
//!
//! fn node() -> Node {
//!     Node::new().default(shout)
//! }
//!
//! krt_node::export!(node);
//!
//! // The same node, tested natively:
//! use krt_node::testing::TestHost;
//! let outcome = TestHost::new().handle(&node(), &Greeting { text: "hello".into() });
//! assert_eq!(outcome.sent::<Greeting>(), [Greeting { text: "HELLO".into() }]);
//! ```
//!
//! Build it with `krt build`, or `cargo build --release --target wasm32-wasip2` in a crate of type `cdylib`.
//!
//! # Layout
//! * [`Node`]: which function handles what · [`Context`]: what a handler may do · [`Incoming`], [`Any`]: messages
//! * [`Failure`]: the two ways to fail; `?` works on any error · [`error`]: why an import said no
//! * [`testing`]: the host's part played natively, for unit tests
//!
//! # What a node gets from the standard library
//! `std::env::var` reads the version's configuration variables, `std::fs` the package (see [`Context::path`]),
//! `std::time` and randomness work, printed lines become log lines. Everything else is denied unless the manifest
//! allows it. Globals live as long as the instance; what `init` makes is better kept as the node's state ([`Node::init`]).
//!
//! # Panics
//! A panic is logged with its place and ends the instance; the message comes again, with a new instance. Return
//! an error where a message is at fault.

mod capability;
mod context;
mod data;
pub mod error;
mod failure;
mod host;
mod logging;
mod message;
mod node;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
#[cfg(target_family = "wasm")]
mod wasm;

pub use capability::{Configuration, Measurement, Metadata, ObjectStore, Scope, Value};
pub use context::Context;
pub use data::{Database, Prediction, Problem};
pub use failure::{Failure, FailureExt, Result};
pub use message::{Any, Incoming, MessageType, OutputType};
pub use node::{Handler, Node};

/// Makes `$node`, a function that returns a [`Node`], the component's node. Once per crate, at module level.
///
/// Natively it does nothing but check the function's type, so that `cargo test` works on the same crate.
#[macro_export]
macro_rules! export {
    ($node:path) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Exported;
            impl $crate::__private::Exported for Exported {
                fn node() -> ::std::boxed::Box<dyn $crate::__private::Run> {
                    ::std::boxed::Box::new($node())
                }
            }
            type Component = $crate::__private::Component<Exported>;
    $crate::__private::bindings::export!(Component with_types_in $crate::__private::bindings);
        };
        #[cfg(not(target_family = "wasm"))]
        const _: () = {
            const fn is_a_node<S: 'static>(_: fn() -> $crate::Node<S>) {}
            is_a_node($node);
        };
    };
}

/// For [`export!`] alone.
#[doc(hidden)]
pub mod __private {
    pub use crate::node::Run;
    #[cfg(target_family = "wasm")]
    pub use crate::wasm::{Component, Exported, bindings};
}
