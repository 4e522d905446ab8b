//! What the host keeps for one instance: the store's data. Knows the node and the delivery in hand; runs nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

use super::bindings::krt::node::logging::Level;
use super::drive::Slices;
use super::limits::Meter;
use super::network::Allowed;
use super::node::NodeShared;
use super::stdio::Stdio;
use crate::outbox::Outbox;

/// Where a guest finds the package.
pub(super) const PACKAGE: &str = "/krt-files";

/// Random bytes that a guest may ask for in one call.
const MAX_RANDOM: u64 = 1 << 20;

/// The data of a store.
pub(super) struct State {
    pub(super) node: Arc<NodeShared>,
    /// The delivery in hand; none during `init`.
    pub(super) outbox: Option<Outbox>,
    /// When the work in hand ends.
    pub(super) deadline: Instant,
    pub(super) meter: Meter,
    pub(super) slices: Arc<Slices>,
    table: ResourceTable,
    /// Made when first used: many guests never do, and it takes as long as the rest of an instance.
    wasi: Option<(WasiCtx, Stdio)>,
}

impl State {
    pub(super) fn new(node: Arc<NodeShared>, slices: Arc<Slices>, deadline: Instant) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(node.limits.handles);
        let meter = Meter::new(node.memory);
        Self { node, outbox: None, deadline, meter, slices, table, wasi: None }
    }

    /// Work begins: a delivery, or `init`.
    pub(super) fn begin(&mut self, outbox: Option<Outbox>, deadline: Instant) {
        self.deadline = deadline;
        self.meter.forget_refusal();
        if let Some((_, stdio)) = &self.wasi {
            stdio.switch(outbox.clone());
        }
        self.outbox = outbox;
    }

    /// Work is over: nothing is in hand.
    pub(super) fn end(&mut self) {
        self.outbox = None;
        if let Some((_, stdio)) = &self.wasi {
            stdio.switch(None);
        }
    }

    /// The request in hand, for the log.
    pub(super) fn request_id(&self) -> &str {
        self.outbox.as_ref().map_or("", |outbox| &outbox.origin().request_id)
    }

    /// How long the guest may still take.
    pub(super) fn time_remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let Self { node, outbox, table, wasi, .. } = self;
        let (ctx, _) = wasi.get_or_insert_with(|| wasi_of(node, outbox.as_ref()));
        WasiCtxView { ctx, table }
    }
}

/// Everything is denied but clocks, random numbers, output, the environment given, and the package, read-only.
fn wasi_of(node: &Arc<NodeShared>, outbox: Option<&Outbox>) -> (WasiCtx, Stdio) {
    let stdio = Stdio::new(node.clone());
    stdio.switch(outbox.cloned());
    let mut builder = WasiCtx::builder();
    builder
        .stdout(stdio.stream(Level::Info))
        .stderr(stdio.stream(Level::Warn))
        .envs(&node.environment)
        .max_random_size(MAX_RANDOM)
        .allow_tcp(!node.allowed.is_empty())
        .allow_udp(false)
        .allow_ip_name_lookup(node.allowed.needs_names());
    let allowed: Arc<Allowed> = node.allowed.clone();
    builder.socket_addr_check(move |address, usage| allowed.permits(address, usage));
    if let Some(package) = &node.package {
        // Checked when the node started; whoever removed it since leaves the guest without files, not without a life.
        if let Err(error) = builder.preopened_dir(package, PACKAGE, FsPerms::ReadOnly) {
            tracing::warn!(package = %package.display(), %error, "the package is not there for the guest");
        }
    }
    (builder.build(), stdio)
}
