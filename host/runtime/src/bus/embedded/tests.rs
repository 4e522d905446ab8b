//! The embedded bus against the contract, and what is its own: bounds, time, cost.

use std::sync::Arc;

use super::{EmbeddedBus, EmbeddedBusOptions};
use crate::bus::contract::{Make, Provisioned};

mod contract {
    crate::bus_contract!(super::make());
}

fn make() -> Make {
    Make::new(|plan, tuning| async move {
        let defaults = EmbeddedBusOptions::default();
        let bus = EmbeddedBus::new(EmbeddedBusOptions {
            duplicate_window: tuning.duplicate_window,
            max_pending: tuning.max_pending.unwrap_or(defaults.max_pending),
            publish_wait: tuning.publish_wait,
            ..defaults
        });
        bus.apply(&plan);
        let same = Arc::clone(&bus);
        Provisioned {
            bus,
            apply: Box::new(move |plan| {
                same.apply(&plan);
                Box::pin(std::future::ready(()))
            }),
        }
    })
}
