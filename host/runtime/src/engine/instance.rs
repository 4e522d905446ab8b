//! One instance of a component: made, initialised, given messages one at a time. Never outlives a trap.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use wasmtime::{Store, UpdateDeadline};

use super::Component;
use super::bindings::Node as Guest;
use super::bindings::exports::krt::node::handler::{Failure, Message as GuestMessage};
use super::bindings::krt::node::types::{MessageType as GuestType, PayloadParam as GuestPayload};
use super::drive::Slices;
use super::node::NodeShared;
use super::outcome::{Circumstances, OutOfTime, fault};
use super::state::State;
use super::ticker::Ticker;
use crate::message::{Message, MessageType};
use crate::node::NodeError;
use crate::outbox::Outbox;

/// Epochs of a slice: the guest is asked to yield after one to two ticks.
const SLICE: u64 = 2;

/// An instance that is ready for messages.
pub(super) struct Instance {
    pub(super) id: u64,
    pub(super) slices: Arc<Slices>,
    store: Store<State>,
    guest: Guest,
    ticker: Arc<Ticker>,
    /// Bytes in use when it was new.
    floor: usize,
    _alive: Alive,
}

/// Counts an instance among those of its node for as long as it is there.
struct Alive(Arc<NodeShared>);

/// Why an instance could not be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum InitError {
    /// The guest says that it cannot serve.
    #[error("init rejected: {0}")]
    Rejected(String),
    /// The guest says that it cannot serve now.
    #[error("init failed: {0}")]
    Transient(String),
    /// The guest could not be asked.
    #[error("{0}")]
    Fault(NodeError),
}

impl Instance {
    /// Makes one and runs its `init`.
    pub(super) async fn start(
        id: u64,
        component: Component,
        node: Arc<NodeShared>,
        slices: Arc<Slices>,
        deadline: Instant,
    ) -> Result<Self, InitError> {
        let pre = component.pre();
        let ticker = component.engine().ticker.clone();
        let _running = ticker.running();
        let limits = &node.limits;
        let call_limit = node.call_limit();
        let handles = limits.handles;
        let alive = Alive::new(node.clone());
        let mut store = Store::new(pre.engine(), State::new(node, slices.clone(), deadline));
        store.limiter(|state| &mut state.meter);
        store.set_hostcall_fuel(call_limit);
        store.set_max_component_handles(handles);
        store.epoch_deadline_callback(|mut store| {
            let state = store.data_mut();
            if Instant::now() >= state.deadline {
                return Err(OutOfTime.into());
            }
            state.slices.count();
            Ok(UpdateDeadline::YieldCustom(SLICE, Box::pin(tokio::task::yield_now())))
        });
        store.set_epoch_deadline(SLICE);
        let guest = match pre.instantiate_async(&mut store).await {
            Ok(guest) => guest,
            Err(error) => return Err(InitError::Fault(blame(&error, store.data()))),
        };
        match guest.krt_node_handler().call_init(&mut store).await {
            Err(error) => Err(InitError::Fault(blame(&error, store.data()))),
            Ok(Err(Failure::Rejected(text))) => Err(InitError::Rejected(text)),
            Ok(Err(Failure::Transient(text))) => Err(InitError::Transient(text)),
            Ok(Ok(())) => {
                store.data_mut().end();
                let floor = store.data().meter.used();
                Ok(Self { id, slices, store, guest, ticker, floor, _alive: alive })
            }
        }
    }

    /// Handles one message. An instance comes back unless it trapped.
    pub(super) async fn handle(
        mut self,
        message: Message,
        outbox: Outbox,
        deadline: Instant,
    ) -> (Option<Self>, Result<(), NodeError>) {
        let _running = self.ticker.running();
        let Self { store, guest, .. } = &mut self;
        store.data_mut().begin(Some(outbox), deadline);
        store.set_epoch_deadline(SLICE);
        let result = guest.krt_node_handler().call_handle(&mut *store, as_guest(&message)).await;
        let outcome = match result {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Failure::Rejected(text))) => Err(NodeError::Rejected(text)),
            Ok(Err(Failure::Transient(text))) => Err(NodeError::Transient(text)),
            Err(error) => {
                let error = blame(&error, store.data());
                store.data_mut().end();
                return (None, Err(error));
            }
        };
        store.data_mut().end();
        (Some(self), outcome)
    }

    /// Whether it has grown so much that another should take its place: past `share` of its limit, or, if it was born
    /// there, past the middle of what it had left.
    pub(super) fn is_worn(&self, share: f64) -> bool {
        let meter = &self.store.data().meter;
        let limit = meter.used() + meter.left();
        let born = self.floor + (limit - self.floor) / 2;
        meter.used() > born.max((limit as f64 * share) as usize)
    }
}

impl Alive {
    fn new(node: Arc<NodeShared>) -> Self {
        node.instances.fetch_add(1, Ordering::Relaxed);
        Self(node)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.instances.fetch_sub(1, Ordering::Relaxed);
    }
}

fn blame(error: &wasmtime::Error, state: &State) -> NodeError {
    let known = Circumstances {
        timeout: state.node.timeout,
        refused: state.meter.refused(),
        call_limit: state.node.call_limit(),
    };
    fault(error, &known)
}

fn as_guest(message: &Message) -> GuestMessage<'_> {
    GuestMessage {
        request_id: &message.request_id,
        from_node: &message.from_node,
        message_type: match message.message_type {
            MessageType::Undefined => GuestType::Undefined,
            MessageType::Ok => GuestType::Ok,
            MessageType::Error => GuestType::Error,
            MessageType::EarlyReply => GuestType::EarlyReply,
            MessageType::EarlyExit => GuestType::EarlyExit,
        },
        payload: message.payload.as_ref().map(|p| GuestPayload { type_url: &p.type_url, data: &p.data }),
        error: message.is_error().then_some(&*message.error),
    }
}
