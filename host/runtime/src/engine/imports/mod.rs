//! What the host does for a guest: one file an interface. Every number a guest gives is checked, and every failure is a
//! value of the contract; nothing here traps or panics because of what a guest passed.

mod configuration;
mod database;
mod delivery;
mod logging;
mod measurements;
mod messaging;
mod metadata;
mod object_store;
mod predictions;

use wasmtime::component::{HasSelf, Linker};

use super::bindings::Node;
use super::bindings::krt::node::types;
use super::state::State;

/// All that a component may import: the contract, and WASI 0.2 with everything denied that reaches out.
pub(super) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    Node::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    Ok(linker)
}

impl types::Host for State {}
