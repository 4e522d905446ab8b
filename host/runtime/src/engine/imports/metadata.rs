//! `krt:node/metadata`: what the node is.

use crate::engine::bindings::krt::node::metadata::Host;
use crate::engine::state::{PACKAGE, State};

impl Host for State {
    fn runtime_id(&mut self) -> wasmtime::Result<String> {
        Ok(self.node.identity.runtime_id.clone())
    }

    fn version(&mut self) -> wasmtime::Result<String> {
        Ok(self.node.identity.version.clone())
    }

    fn version_id(&mut self) -> wasmtime::Result<String> {
        Ok(self.node.identity.version_id.clone())
    }

    fn workflow(&mut self) -> wasmtime::Result<String> {
        Ok(self.node.identity.workflow.clone())
    }

    fn node(&mut self) -> wasmtime::Result<String> {
        Ok(self.node.identity.node.clone())
    }

    fn base_path(&mut self) -> wasmtime::Result<String> {
        Ok(PACKAGE.into())
    }
}
