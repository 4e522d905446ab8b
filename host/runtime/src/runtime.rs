//! The composition root: a checked package becomes a running version in this process, and ends in a drain.
//!
//! Everything is handed in: nothing here reads arguments or the environment, prints, or judges a manifest.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use futures::future::try_join_all;
use krt::names::{self, Names};
use krt::plan;
use krt::proto::Proto;
use krt::topology::{Node as NodeSpec, NodeKind, StoreScope, Topology, Wasm, Workflow};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::artifact::Package;
use crate::bus::embedded::{EmbeddedBus, EmbeddedBusOptions};
use crate::bus::{Bus, Consumer};
use crate::engine::{self, Component, Configuration, Engine, Identity, NodeOptions};
use crate::entrypoint::{self, Entrypoint, EntrypointOptions, MethodRoute};
use crate::outbox::{DEFAULT_MAX_OUTPUTS, OutboxOptions};
use crate::runner::Runner;
use crate::store::Stores;
use crate::store::embedded::EmbeddedStores;
use crate::telemetry::{Health, Measurements, Metrics};

/// Bytes of a component that are read at most. Python guests with their libraries reach some tens of MiB.
const MAX_COMPONENT: usize = 512 << 20;

/// How a version runs in this process.
pub struct RunOptions {
    /// The runtime (tenant) whose names are used on the bus.
    pub runtime_id: String,
    /// Values of the manifest's configuration variables: the nodes' environment.
    pub variables: Vec<(String, String)>,
    /// What compiles and holds components.
    pub engine: Engine,
    /// Limits of the embedded bus.
    pub bus: EmbeddedBusOptions,
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
}

/// A version that runs: its nodes read their subscriptions. Calls are answered while it is served.
pub struct Version {
    entrypoint: Entrypoint,
    runners: JoinSet<()>,
    /// Cancelled after the entrypoint has drained, so that calls in flight still find their nodes.
    stop_nodes: CancellationToken,
    health: Health,
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
    refuse_native_nodes(&topology)?;
    let plan = plan::plan(&topology, &options.runtime_id);
    let bus = EmbeddedBus::new(options.bus.clone());
    bus.apply(&plan);
    let stores = EmbeddedStores::new();
    stores.apply(&plan);

    let components = load_components(package, &topology, &options.engine).await?;
    let parts = Parts {
        names: Names::new(&options.runtime_id, &topology.version),
        package: package.root().to_owned(),
        bus: bus.clone(),
        stores,
        options: &options,
    };
    let starts = topology.workflows.iter().flat_map(|workflow| {
        let (parts, components) = (&parts, &components);
        workflow.nodes.iter().filter_map(move |node| match &node.kind {
            NodeKind::Wasm(wasm) => Some(parts.runner(workflow, node, wasm, &components[&node.src])),
            NodeKind::Native { .. } => None,
        })
    });
    let starting = try_join_all(starts).await?;
    let entrypoint = Entrypoint::new(EntrypointOptions {
        methods: MethodRoute::all(&topology, &options.runtime_id, &proto)?,
        proto,
        topology,
        bus,
        metrics: options.metrics,
        health: options.health.clone(),
        limits: options.limits,
        tls: options.tls,
    })?;
    let stop_nodes = CancellationToken::new();
    let mut runners = JoinSet::new();
    for runner in starting {
        runners.spawn(runner.run(stop_nodes.clone()));
    }
    Ok(Version { entrypoint, runners, stop_nodes, health: options.health })
}

impl Version {
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
        Ok(())
    }
}

/// What all nodes of a version are made from.
struct Parts<'a> {
    names: Names,
    package: PathBuf,
    bus: Arc<dyn Bus>,
    stores: Arc<EmbeddedStores>,
    options: &'a RunOptions,
}

impl Parts<'_> {
    async fn runner(
        &self,
        workflow: &Workflow,
        node: &NodeSpec,
        wasm: &Wasm,
        component: &Component,
    ) -> anyhow::Result<Runner> {
        let stream = self.names.stream(&workflow.method);
        let options = self.node_options(workflow, node, wasm).await?;
        let handler = self
            .options
            .engine
            .node(component, options)
            .await
            .with_context(|| format!("node {:?} of workflow {:?} did not start", node.name, workflow.name))?;
        let subject: Arc<str> = names::node_subject(&stream, &node.name).into();
        let consumers = node.subscriptions.iter().map(|subscription| Consumer::Durable {
            name: names::durable(&workflow.subject(&stream, subscription), &node.name),
            stream: stream.clone(),
            prefetch: 1,
        });
        let concurrency = instances(node, wasm);
        Ok(Runner {
            consumers: consumers.collect(),
            outbox: Arc::new(OutboxOptions {
                bus: self.bus.clone(),
                node: node.name.clone(),
                subject,
                max_outputs: DEFAULT_MAX_OUTPUTS,
            }),
            node: handler,
            bus: self.bus.clone(),
            workflow: workflow.name.clone(),
            node_name: node.name.clone(),
            concurrency,
            retry: wasm.retry.clone(),
            // The engine bounds each message, host calls included.
            timeout: None,
            ack_wait: plan::ACK_WAIT,
            dead_letters: format!("{}.{}.{}", self.names.dead_letters(), workflow.name, node.name).into(),
            metrics: self.options.metrics.clone(),
            grace: self.options.limits.grace,
        })
    }

    async fn node_options(&self, workflow: &Workflow, node: &NodeSpec, wasm: &Wasm) -> anyhow::Result<NodeOptions> {
        let Self { names, stores, options, .. } = self;
        let object_store = match &node.object_store {
            None => None,
            Some(store) => {
                let bucket = match store.scope {
                    StoreScope::Project => names.object_store_project(&store.name),
                    StoreScope::Workflow => names.object_store_workflow(&workflow.name, &store.name),
                };
                Some(stores.object_store(&bucket).await?)
            }
        };
        Ok(NodeOptions {
            identity: Identity {
                runtime_id: names.runtime_id().to_owned(),
                version: names.version().to_owned(),
                // There is no database that numbers versions: the name is the id.
                version_id: names.version().to_owned(),
                workflow: workflow.name.clone(),
                node: node.name.clone(),
            },
            wasm: wasm.clone(),
            replicas: node.replicas,
            environment: options.variables.clone(),
            package: Some(self.package.clone()),
            configuration: Configuration {
                node: stores.key_value(&names.key_value_node(&workflow.name, &node.name)).await?,
                workflow: stores.key_value(&names.key_value_workflow(&workflow.name)).await?,
                project: stores.key_value(&names.key_value_project()).await?,
            },
            object_store,
            measurements: options.measurements.clone(),
            metrics: options.metrics.clone(),
            max_payload: self.bus.max_payload(),
            limits: engine::Limits::default(),
        })
    }
}

/// One replica is `concurrency` instances; in one process all replicas share the node's loop.
fn instances(node: &NodeSpec, wasm: &Wasm) -> usize {
    (node.replicas as usize).saturating_mul(wasm.concurrency as usize)
}

fn refuse_native_nodes(topology: &Topology) -> anyhow::Result<()> {
    for workflow in &topology.workflows {
        for node in &workflow.nodes {
            if let NodeKind::Native { image } = &node.kind {
                bail!(
                    "node {:?} of workflow {:?} runs in the image {image}, not as a component: `krt run` on the \
                     embedded bus runs nodes whose `src` ends in .wasm",
                    node.name,
                    workflow.name
                );
            }
        }
    }
    Ok(())
}

/// Each component once, however many nodes are made of it; compiled side by side.
async fn load_components(
    package: &Package,
    topology: &Topology,
    engine: &Engine,
) -> anyhow::Result<HashMap<String, Component>> {
    let mut tasks = JoinSet::new();
    let mut seen = HashMap::new();
    for node in topology.workflows.iter().flat_map(|workflow| &workflow.nodes) {
        if seen.insert(node.src.clone(), ()).is_some() {
            continue;
        }
        let (package, engine, src) = (package.clone(), engine.clone(), node.src.clone());
        tasks.spawn_blocking(move || {
            // Reading and compiling both block, the latter for seconds when nothing is cached.
            let bytes =
                package.read(&src, MAX_COMPONENT).with_context(|| format!("component {src:?} cannot be read"))?;
            let component = engine.load(&src, &bytes).with_context(|| format!("component {src:?} was refused"))?;
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
