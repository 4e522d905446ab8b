//! `krt:node/logging`: lines for the log.

use crate::engine::bindings::krt::node::logging::{Host, Level};
use crate::engine::log::min_level;
use crate::engine::state::State;

impl Host for State {
    fn min_level(&mut self) -> wasmtime::Result<Level> {
        Ok(min_level())
    }

    fn log(&mut self, level: Level, text: String, fields: Vec<(String, String)>) -> wasmtime::Result<()> {
        self.node.log.write(level, self.request_id(), &text, &fields);
        Ok(())
    }
}
