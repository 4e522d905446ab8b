//! Runs KRT v2 versions: nodes that are WebAssembly components, a bus, a gRPC entrypoint.
//!
//! # Layout
//! Ports: [`message`], [`bus`], [`store`], [`data`], [`artifact`], with their adapters beneath them. On top of those
//! [`outbox`] and [`node`]; then [`engine`] (a node that is a component) and [`runner`] (a node's loop), which do not
//! know each other; then [`runtime`] (the composition root) and [`entrypoint`]. [`cluster`] has versions on Kubernetes. [`cli`] is all that a person sees.
//! `ARCHITECTURE.md` has the map.

pub mod artifact;
pub mod bus;
pub mod cli;
pub mod cluster;
pub mod data;
pub mod engine;
pub mod entrypoint;
pub mod message;
pub mod native;
pub mod nats;
pub mod node;
pub mod outbox;
pub mod runner;
pub mod runtime;
pub mod store;
pub mod telemetry;
