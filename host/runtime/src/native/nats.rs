//! The port to durables, on NATS.

use std::time::Duration;

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::{Durable, Durables, Unavailable};
use crate::bus::nats::recall;
use crate::nats::Nats;

impl Durables for Nats {
    fn is_bound(&self, durable: &Durable) -> BoxFuture<'static, Result<bool, Unavailable>> {
        let (nats, durable) = (self.clone(), durable.clone());
        Box::pin(async move {
            recall::is_bound(&nats, &durable.stream, &durable.name)
                .await
                .map_err(|error| Unavailable(error.to_string()))
        })
    }

    fn recall(
        &self,
        durable: &Durable,
        ack_wait: Duration,
        enough: CancellationToken,
    ) -> BoxFuture<'static, Result<u64, Unavailable>> {
        let (nats, durable) = (self.clone(), durable.clone());
        Box::pin(async move {
            recall::recall(&nats, &durable.stream, &durable.name, ack_wait, &enough)
                .await
                .map_err(|error| Unavailable(error.to_string()))
        })
    }
}
