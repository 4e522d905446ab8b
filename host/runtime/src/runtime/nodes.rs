//! Wasm nodes, from placements to runners: components loaded once each, instances made, `init` run.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::future::try_join_all;
use krt::plan;
use tokio::task::JoinSet;

use super::Backend;
use super::place::Placement;
use super::swap::Places;
use crate::artifact::Package;
use crate::engine::{self, Component, Configuration, Engine, NodeOptions, StartError};
use crate::node::Node;
use crate::outbox::{DEFAULT_MAX_OUTPUTS, OutboxOptions};
use crate::runner::Runner;
use crate::store::StoreError;
use crate::telemetry::{Health, Measurements, Metrics, Times};

/// Bytes of a component that are read at most. Python guests with their libraries reach some tens of MiB.
pub(super) const MAX_COMPONENT: usize = 512 << 20;

/// First pause before another try to start a node; it doubles.
const PAUSE: Duration = Duration::from_millis(200);
/// Longest pause: what is back is noticed within it.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
enum NotStarted {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Node(#[from] StartError),
}

impl NotStarted {
    /// Whether waiting may help.
    fn may_pass(&self) -> bool {
        matches!(self, Self::Store(StoreError::Unavailable(_)) | Self::Node(StartError::Transient { .. }))
    }
}

/// What nodes are made from, beside their placements.
#[derive(Clone)]
pub struct NodeParts {
    /// Bus and stores.
    pub backend: Backend,
    /// What compiles and holds components.
    pub engine: Engine,
    /// Values of the manifest's configuration variables: the nodes' environment.
    pub variables: Vec<(String, String)>,
    /// Where the measurements of nodes go.
    pub measurements: Arc<dyn Measurements>,
    /// Where metrics go.
    pub metrics: Arc<Metrics>,
    /// Where each node says whether it hears its subscriptions.
    pub health: Health,
    /// How long a drain waits for what is in hand.
    pub grace: Duration,
    /// Where nodes can be exchanged while they run; none = they cannot, and a message has one step less to go.
    pub places: Option<Places>,
}

impl NodeParts {
    /// Loads and starts the nodes of `placements`, whose files are in `package`.
    ///
    /// # Errors
    /// A component that cannot be loaded, a bucket that is not there, a node whose `init` fails.
    pub async fn start(&self, placements: &[Placement], package: &Package) -> anyhow::Result<Vec<Runner>> {
        let components = load_components(package, placements, &self.engine).await?;
        let root = package.root();
        try_join_all(placements.iter().map(|place| self.runner(place, &components[&place.src], root.to_owned()))).await
    }

    async fn runner(&self, place: &Placement, component: &Component, root: PathBuf) -> anyhow::Result<Runner> {
        let Placement { identity, wasm, replicas, .. } = place;
        let engine::Identity { workflow, node, .. } = identity;
        let handler = self
            .handler(place, component, root)
            .await
            .with_context(|| format!("node {node:?} of workflow {workflow:?} did not start"))?;
        let handler = match &self.places {
            Some(places) => places.add(place, handler),
            None => handler,
        };
        let Backend { bus, prefetch, .. } = &self.backend;
        Ok(Runner {
            consumers: place.consumers(*prefetch),
            outbox: Arc::new(OutboxOptions {
                bus: bus.clone(),
                node: node.clone(),
                subject: place.output.as_str().into(),
                max_outputs: DEFAULT_MAX_OUTPUTS,
            }),
            node: handler,
            bus: bus.clone(),
            workflow: workflow.clone(),
            node_name: node.clone(),
            // One replica is `concurrency` instances; in one process all replicas share the node's loop.
            concurrency: (*replicas as usize).saturating_mul(wasm.concurrency as usize),
            retry: wasm.retry.clone(),
            // The engine bounds each message, host calls included.
            timeout: None,
            ack_wait: plan::ACK_WAIT,
            dead_letters: place.dead_letters().into(),
            metrics: self.metrics.clone(),
            times: self.measurements.times().map(|sink| Times {
                sink,
                version: identity.version.clone(),
                workflow: workflow.clone(),
                node: node.clone(),
            }),
            ready: Arc::new(self.health.part(format!("the subscriptions of {workflow}/{node}"))),
            grace: self.grace,
        })
    }

    /// The node, once it can be had. What is away comes back: a process that gave up would only be started again, and a
    /// person sees why it waits.
    pub(super) async fn handler(
        &self,
        place: &Placement,
        component: &Component,
        root: PathBuf,
    ) -> anyhow::Result<Arc<dyn Node>> {
        let engine::Identity { workflow, node, .. } = &place.identity;
        let mut pause = PAUSE;
        loop {
            let starting = async {
                let options = self.options(place, root.clone()).await?;
                Ok::<Arc<dyn Node>, NotStarted>(self.engine.node(component, options).await?)
            };
            match starting.await {
                Ok(node) => return Ok(node),
                Err(error) if error.may_pass() => {
                    tracing::warn!(workflow, node, %error, ?pause, "a node did not start; again after a pause");
                }
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn options(&self, place: &Placement, root: PathBuf) -> Result<NodeOptions, StoreError> {
        let stores = &self.backend.stores;
        let object_store = match &place.object_store {
            None => None,
            Some(bucket) => Some(stores.object_store(bucket).await?),
        };
        Ok(NodeOptions {
            identity: place.identity.clone(),
            wasm: place.wasm.clone(),
            replicas: place.replicas,
            environment: self.variables.clone(),
            package: Some(root),
            configuration: Configuration {
                node: stores.key_value(&place.node_bucket).await?,
                workflow: stores.key_value(&place.workflow_bucket).await?,
                project: stores.key_value(&place.project_bucket).await?,
            },
            object_store,
            database: self.backend.database.clone(),
            measurements: self.measurements.clone(),
            metrics: self.metrics.clone(),
            max_payload: self.backend.bus.max_payload(),
            limits: engine::Limits::default(),
        })
    }
}

/// Each component once, however many nodes are made of it; compiled side by side.
pub(super) async fn load_components(
    package: &Package,
    placements: &[Placement],
    engine: &Engine,
) -> anyhow::Result<HashMap<String, Component>> {
    let mut tasks = JoinSet::new();
    let mut seen = HashMap::new();
    for Placement { src, .. } in placements {
        if seen.insert(src.clone(), ()).is_some() {
            continue;
        }
        let (package, engine, src) = (package.clone(), engine.clone(), src.clone());
        tasks.spawn_blocking(move || {
            // Reading and compiling both block, the latter for seconds when nothing is cached.
            let mut file = package.open_file(&src).with_context(|| format!("component {src:?} cannot be read"))?;
            let loaded = engine.load_file(&src, &mut file, MAX_COMPONENT);
            let component = loaded.with_context(|| format!("component {src:?} was refused"))?;
            anyhow::Ok((src, component))
        });
    }
    let mut components = HashMap::new();
    while let Some(loaded) = tasks.join_next().await {
        let (src, component) = loaded.context("loading a component panicked")??;
        components.insert(src, component);
    }
    Ok(components)
}
