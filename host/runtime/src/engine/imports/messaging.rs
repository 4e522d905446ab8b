//! `krt:node/messaging`: outputs. The outbox decides; nothing is judged twice.

use crate::engine::bindings::krt::node::messaging::{Host, OutputType, Payload, SendError};
use crate::engine::lane::Lane;
use crate::engine::state::State;
use crate::message;
use crate::outbox;

impl Host for State {
    async fn send(
        &mut self,
        payload: Payload,
        output: OutputType,
        channel: Option<String>,
    ) -> wasmtime::Result<Result<(), SendError>> {
        let Some(outbox) = &self.outbox else { return Ok(Err(SendError::NoMessage)) };
        let limit = outbox.max_payload();
        let large = payload.data.len() >= limit;
        let payload = message::Payload { type_url: payload.type_url, data: payload.data.into() };
        if payload.data.len() > message::MAX_EXPANDED {
            // Nobody would decompress it.
            return Ok(Err(SendError::TooLarge(limit as u64)));
        }
        if !large {
            return Ok(outbox.send(payload, output.into(), channel.as_deref()).map_err(Into::into));
        }
        // It will be compressed, which takes too long for a thread that serves others.
        let outbox = outbox.clone();
        aside(&self.node.lanes.sharing, move || outbox.send(payload, output.into(), channel.as_deref())).await
    }

    async fn relay(&mut self, output: OutputType, channel: Option<String>) -> wasmtime::Result<Result<(), SendError>> {
        let Some(outbox) = &self.outbox else { return Ok(Err(SendError::NoMessage)) };
        let size = outbox.origin().payload.as_ref().map_or(0, |payload| payload.data.len());
        if size < outbox.max_payload() {
            return Ok(outbox.relay(output.into(), channel.as_deref()).map_err(Into::into));
        }
        let outbox = outbox.clone();
        aside(&self.node.lanes.sharing, move || outbox.relay(output.into(), channel.as_deref())).await
    }

    fn max_payload(&mut self) -> wasmtime::Result<u64> {
        Ok(self.outbox.as_ref().map_or(self.node.max_payload, outbox::Outbox::max_payload) as u64)
    }
}

impl From<OutputType> for outbox::OutputType {
    fn from(output: OutputType) -> Self {
        match output {
            OutputType::Ok => Self::Ok,
            OutputType::EarlyReply => Self::EarlyReply,
            OutputType::EarlyExit => Self::EarlyExit,
        }
    }
}

impl From<outbox::SendError> for SendError {
    fn from(error: outbox::SendError) -> Self {
        match error {
            outbox::SendError::NoMessage => Self::NoMessage,
            outbox::SendError::TooLarge { limit } => Self::TooLarge(limit),
            outbox::SendError::InvalidChannel(channel) => Self::InvalidChannel(channel),
            outbox::SendError::InvalidTypeUrl(url) => Self::InvalidTypeUrl(url),
            outbox::SendError::TooMany { limit } => Self::TooMany(limit),
        }
    }
}

/// Sends on a thread where compressing disturbs nobody.
async fn aside(
    lane: &Lane,
    send: impl FnOnce() -> Result<(), outbox::SendError> + Send + 'static,
) -> wasmtime::Result<Result<(), SendError>> {
    Ok(match lane.run_blocking(send).await {
        Some(sent) => sent.map_err(Into::into),
        None => Err(SendError::Other("the host is shutting down".into())),
    })
}
