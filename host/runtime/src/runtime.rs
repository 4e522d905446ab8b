//! The composition root: a checked package becomes a running version in this process, and ends in a drain.
//!
//! Everything is handed in: nothing here reads arguments or the environment, prints, or judges a manifest.

pub mod ahead;
mod host;
mod nodes;
mod place;
mod swap;

use std::sync::Arc;

use anyhow::{Context as _, bail};
use krt::plan::Plan;
use krt::proto::Proto;
use krt::topology::{NodeKind, Topology};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::artifact::Package;
use crate::bus::Bus;
use crate::bus::embedded::{EmbeddedBus, EmbeddedBusOptions};
use crate::bus::nats::{NatsBus, NatsBusOptions};
use crate::data::Database;
use crate::data::embedded::EmbeddedData;
use crate::data::nats::NatsWriter;
use crate::engine::Engine;
use crate::entrypoint::{self, Entrypoint, EntrypointOptions, MethodRoute};
use crate::native::{self, NativeOptions};
use crate::nats::Nats;
use crate::store::Stores;
use crate::store::embedded::EmbeddedStores;
use crate::store::nats::NatsStores;
use crate::telemetry::{Health, Measurements, Metrics};

pub use host::Host;
pub use nodes::NodeParts;
pub use place::Placement;
pub use swap::{Places, Swapper};

/// The bus and the stores of a version, with its plan applied.
#[derive(Clone)]
pub struct Backend {
    /// Where messages go and come from.
    pub bus: Arc<dyn Bus>,
    /// What nodes keep things in.
    pub stores: Arc<dyn Stores>,
    /// Where the documents and predictions of nodes go, and documents come from.
    pub database: Database,
    /// Deliveries that may be on their way to a node beyond those it holds: about a round trip's worth.
    pub prefetch: usize,
    /// The connection that both stand on; none = they are in this process.
    pub nats: Option<Nats>,
}

/// On NATS: what a node of microseconds takes while a request for more goes there and back. The bus asks for fewer when a
/// node takes longer.
const NATS_PREFETCH: usize = 256;

/// How a version runs in this process.
pub struct RunOptions {
    /// The runtime (tenant) whose names are used on the bus.
    pub runtime_id: String,
    /// Values of the manifest's configuration variables: the nodes' environment.
    pub variables: Vec<(String, String)>,
    /// What compiles and holds components.
    pub engine: Engine,
    /// Bus and stores.
    pub backend: Backend,
    /// The version's native nodes; none = nobody runs them here, and a version that has any is refused.
    pub native: Option<NativeOptions>,
    /// What callers may use; its grace bounds the nodes' drain, too.
    pub limits: entrypoint::Limits,
    /// TLS for gRPC.
    pub tls: Option<entrypoint::Tls>,
    /// Where metrics go.
    pub metrics: Arc<Metrics>,
    /// Where the measurements of nodes go.
    pub measurements: Arc<dyn Measurements>,
    /// What the probes answer.
    pub health: Health,
    /// Whether nodes can be exchanged while they run: see [`Version::swapper`].
    pub swappable: bool,
}

/// A version that runs: its nodes read their subscriptions. Calls are answered while it is served.
pub struct Version {
    entrypoint: Entrypoint,
    runners: JoinSet<()>,
    /// Cancelled after the entrypoint has drained, so that calls in flight still find their nodes.
    stop_nodes: CancellationToken,
    health: Health,
    backend: Backend,
    swapper: Option<Swapper>,
}

impl Backend {
    /// Of this process alone, with `plan` applied; gone with it.
    pub fn embedded(plan: &Plan, options: EmbeddedBusOptions) -> Self {
        let bus = EmbeddedBus::new(options);
        bus.apply(plan);
        let stores = EmbeddedStores::new();
        stores.apply(plan);
        // There is no way between the two that would have to be kept full.
        Self { bus, stores, database: EmbeddedData::database(), prefetch: 1, nats: None }
    }

    /// On NATS, where a plan has been applied. Documents go to the writer of `runtime_id`; who finds them is for the caller
    /// to say.
    ///
    /// # Errors
    /// The server cannot be used as a bus.
    pub async fn on_nats(nats: Nats, runtime_id: &str) -> anyhow::Result<Self> {
        let bus = NatsBus::new(nats.clone(), NatsBusOptions::default()).await?;
        let stores = NatsStores::new(nats.client().clone(), nats.server_errors().into());
        let writer = NatsWriter::new(nats.client().clone(), runtime_id, nats.server_errors().into());
        let database = Database { writer: Some(Arc::new(writer)), reader: None };
        Ok(Self { bus, stores, database, prefetch: NATS_PREFETCH, nats: Some(nats) })
    }

    /// Says what is still to be said before the process ends: what was given back, what was acknowledged last.
    pub async fn close(&self) {
        if let Some(nats) = &self.nats {
            nats.close().await;
        }
    }
}

/// Loads and starts every node of `topology`, whose methods are those of `proto`.
///
/// # Errors
/// A component that cannot be loaded, a node whose `init` fails, a node that this process cannot run, a method that
/// cannot be served.
pub async fn start(
    package: &Package,
    topology: Arc<Topology>,
    proto: Proto,
    options: RunOptions,
) -> anyhow::Result<Version> {
    let RunOptions { runtime_id, variables, engine, backend, native, limits, tls, metrics, measurements, .. } = options;
    let health = options.health;
    if native.is_none() {
        refuse_native_nodes(&topology)?;
    }
    let bus = backend.bus.clone();
    let parts = NodeParts {
        backend: backend.clone(),
        engine,
        variables,
        measurements,
        metrics: metrics.clone(),
        health: health.clone(),
        grace: limits.grace,
        places: options.swappable.then(Places::default),
    };
    let swapper = parts.places.clone().map(|places| Swapper { parts: parts.clone(), package: package.clone(), places });
    let starting = parts.start(&Placement::all(&topology, &runtime_id), package).await?;
    let entrypoint = Entrypoint::new(EntrypointOptions {
        methods: MethodRoute::all(&topology, &runtime_id, &proto)?,
        proto,
        topology,
        bus,
        metrics,
        health: health.clone(),
        limits,
        tls,
    })?;
    let stop_nodes = CancellationToken::new();
    let mut runners = JoinSet::new();
    for runner in starting {
        runners.spawn(runner.run(stop_nodes.clone()));
    }
    if let Some(native) = native {
        let supervisor = native::supervise(native, &stop_nodes).context("starting native nodes")?;
        let part = health.part("native nodes");
        let stop = stop_nodes.clone();
        runners.spawn(async move {
            tokio::select! {
                () = supervisor.ready() => part.set_ready(true),
                () = stop.cancelled() => {}
            }
            supervisor.ended().await;
        });
    }
    Ok(Version { entrypoint, runners, stop_nodes, health, backend, swapper })
}

impl Version {
    /// What exchanges its nodes, if it was started so.
    pub fn swapper(&self) -> Option<Swapper> {
        self.swapper.clone()
    }

    /// Answers calls until `stop`, then drains: no new calls, those in flight are answered, then the nodes end.
    ///
    /// `ready` is called once, as soon as calls can be answered.
    ///
    /// # Errors
    /// A node's loop panicked.
    pub async fn serve(
        mut self,
        grpc: TcpListener,
        web: TcpListener,
        stop: CancellationToken,
        ready: impl FnOnce(),
    ) -> anyhow::Result<()> {
        self.health.set_ready(true);
        let serving = self.entrypoint.serve(grpc, web, stop);
        tokio::pin!(serving);
        tokio::select! {
            () = &mut serving => {}
            () = self.health.until(true) => {
                ready();
                serving.await;
            }
        }
        self.stop_nodes.cancel();
        while let Some(ended) = self.runners.join_next().await {
            ended.context("a node's loop panicked")?;
        }
        self.backend.close().await;
        Ok(())
    }
}

fn refuse_native_nodes(topology: &Topology) -> anyhow::Result<()> {
    for workflow in &topology.workflows {
        for node in &workflow.nodes {
            if let NodeKind::Native { image } = &node.kind {
                bail!(
                    "node {:?} of workflow {:?} runs in the image {image}, not as a component, and programs of their own \
                     cannot reach the embedded bus: add --nats auto, or --nats URL, and --runner '{image}=COMMAND'",
                    node.name,
                    workflow.name
                );
            }
        }
    }
    Ok(())
}
