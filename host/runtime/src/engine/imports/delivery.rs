//! `krt:node/delivery`: facts about the delivery in hand.

use crate::engine::bindings::krt::node::delivery::Host;
use crate::engine::state::State;

impl Host for State {
    fn attempt(&mut self) -> wasmtime::Result<u32> {
        Ok(self.outbox.as_ref().map_or(0, |outbox| outbox.origin().attempt))
    }

    fn time_remaining(&mut self) -> wasmtime::Result<Option<u64>> {
        let left = State::time_remaining(self).as_nanos();
        Ok(Some(u64::try_from(left).unwrap_or(u64::MAX)))
    }

    fn channel(&mut self) -> wasmtime::Result<Option<String>> {
        // `<stream>.<node>[.<channel>]`; neither stream nor node has a dot in it.
        let subject = self.outbox.as_ref().map(|outbox| &*outbox.origin().subject);
        Ok(subject.and_then(|subject| subject.splitn(3, '.').nth(2)).map(str::to_owned))
    }

    fn traceparent(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(self.outbox.as_ref().and_then(|outbox| outbox.origin().traceparent.clone()))
    }
}
