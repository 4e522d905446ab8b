//! The node that is a component: what it is made of, and one message through it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use krt::topology::{InstanceMode, Wasm};

use super::Component;
use super::drive::{Abandoned, Slices, Work, drive};
use super::instance::{InitError, Instance};
use super::limits::{Bytes, Limits};
use super::log::GuestLog;
use super::network::Allowed;
use super::pool::{Pool, host_panicked};
#[cfg(test)]
use super::standing::Pace;
use super::standing::Standing;
use crate::data::Database;
use crate::message::Message;
use crate::node::{Node, NodeError};
use crate::outbox::Outbox;
use crate::store::{KeyValue, ObjectStore};
use crate::telemetry::{Measurements, Metrics, NodeLabels};

/// Bytes that a host call may pass beside the data it is about: names, keys, type URLs.
const CALL_MARGIN: usize = 1 << 20;

/// Lines beyond the node's allowance during one message that make it a flood: far more than a talkative handler writes.
const FLOOD: u64 = 1000;

/// Which node it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The runtime (tenant).
    pub runtime_id: String,
    /// The version's name.
    pub version: String,
    /// The version's id.
    pub version_id: String,
    /// The workflow's name.
    pub workflow: String,
    /// The node's name.
    pub node: String,
}

/// The three scopes of configuration.
#[derive(Clone)]
pub struct Configuration {
    /// Of the node.
    pub node: Arc<dyn KeyValue>,
    /// Of the workflow.
    pub workflow: Arc<dyn KeyValue>,
    /// Of the version.
    pub project: Arc<dyn KeyValue>,
}

/// What a node is made of beside its component.
pub struct NodeOptions {
    /// Which node it is.
    pub identity: Identity,
    /// The manifest's `wasm:` section.
    pub wasm: Wasm,
    /// How many times `wasm.concurrency` instances there are.
    pub replicas: u32,
    /// All that the guest sees of an environment.
    pub environment: Vec<(String, String)>,
    /// The folder that the guest finds at `/krt-files`, read-only.
    pub package: Option<PathBuf>,
    /// Largest envelope that the bus takes.
    pub max_payload: usize,
    /// The key-value buckets.
    pub configuration: Configuration,
    /// The object store that the manifest declares.
    pub object_store: Option<Arc<dyn ObjectStore>>,
    /// Where documents and predictions go, and documents come from.
    pub database: Database,
    /// Where measurements go.
    pub measurements: Arc<dyn Measurements>,
    /// Where replaced instances are counted.
    pub metrics: Arc<Metrics>,
    /// Caps that do not stand in the manifest.
    pub limits: Limits,
}

/// Why a node does not come up; the variant decides whether to try again.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StartError {
    /// Never: its `init` says that it cannot serve.
    #[error("node {node:?}: init rejected: {text}")]
    Rejected {
        /// The node.
        node: String,
        /// The guest's words.
        text: String,
    },
    /// Later: its `init` says that something it needs is away.
    #[error("node {node:?}: init failed for now: {text}")]
    Transient {
        /// The node.
        node: String,
        /// The guest's words.
        text: String,
    },
    /// Never as things stand: its instance or `init` trapped, took too long, or wanted more than it may have.
    #[error("node {node:?} could not be initialised: {error}")]
    Failed {
        /// The node.
        node: String,
        /// What happened.
        #[source]
        error: NodeError,
    },
    /// Never as things stand: the component begins with more memory than the manifest allows.
    #[error(
        "node {node:?}: its component starts with {} of memory, but `wasm.memory` is {}: raise it",
        Bytes(*needed),
        Bytes(*allowed)
    )]
    Memory {
        /// The node.
        node: String,
        /// Bytes of its largest initial memory.
        needed: usize,
        /// Bytes that it may have.
        allowed: usize,
    },
    /// Never as things stand: the package's folder is not there.
    #[error("node {node:?}: the package folder {} cannot be opened: {error}", path.display())]
    Package {
        /// The node.
        node: String,
        /// The folder.
        path: PathBuf,
        /// Why not.
        error: String,
    },
}

/// A node that is a component.
pub struct WasmNode {
    pool: Arc<Pool>,
    mode: InstanceMode,
}

/// What all instances of a node share.
pub(super) struct NodeShared {
    pub(super) identity: Identity,
    pub(super) memory: u64,
    pub(super) timeout: Duration,
    pub(super) environment: Vec<(String, String)>,
    pub(super) package: Option<PathBuf>,
    pub(super) max_payload: usize,
    pub(super) configuration: Configuration,
    pub(super) object_store: Option<Arc<dyn ObjectStore>>,
    pub(super) database: Database,
    pub(super) measurements: Arc<dyn Measurements>,
    pub(super) limits: Limits,
    pub(super) log: GuestLog,
    pub(super) allowed: Arc<Allowed>,
    pub(super) lanes: Arc<super::lane::Lanes>,
    pub(super) standing: Standing,
    /// How many there are, those with a message in hand included.
    pub(super) instances: AtomicUsize,
}

impl WasmNode {
    /// Instantiates the component and runs `init` in each instance.
    pub(super) async fn start(component: &Component, options: NodeOptions) -> Result<Arc<Self>, StartError> {
        let NodeOptions { identity, wasm, replicas, environment, package, .. } = options;
        let node = identity.node.clone();
        let allowed = usize::try_from(wasm.memory).unwrap_or(usize::MAX);
        let needed = component.initial_memory();
        if needed > allowed {
            return Err(StartError::Memory { node, needed, allowed });
        }
        if let Some(path) = &package
            && let Err(error) = std::fs::read_dir(path)
        {
            return Err(StartError::Package { node, path: path.clone(), error: error.to_string() });
        }
        let labels = NodeLabels { workflow: identity.workflow.clone(), node: identity.node.clone() };
        let replaced = options.metrics.replaced_instances.get_or_create(&labels).clone();
        let limits = options.limits;
        let shared = Arc::new(NodeShared {
            log: GuestLog::new(&identity, limits.log_line, limits.log_bytes_per_second),
            identity,
            memory: wasm.memory,
            timeout: wasm.timeout,
            environment,
            package,
            max_payload: options.max_payload,
            configuration: options.configuration,
            object_store: options.object_store,
            database: options.database,
            measurements: options.measurements,
            limits,
            allowed: Arc::new(Allowed::new(&wasm.allow.tcp)),
            lanes: component.engine().lanes.clone(),
            standing: Standing::default(),
            instances: AtomicUsize::new(0),
        });
        let pool = Pool::new(component.clone(), shared, replaced);
        // In fresh mode the first instance shows that there can be others; it serves nobody.
        let count = match wasm.instance {
            InstanceMode::Reuse => replicas.max(1).saturating_mul(wasm.concurrency.max(1)),
            InstanceMode::Fresh => 1,
        };
        for _ in 0..count {
            match pool.prepare().await {
                Ok(instance) if wasm.instance == InstanceMode::Reuse => pool.add(instance),
                Ok(_) => {}
                Err(InitError::Rejected(text)) => return Err(StartError::Rejected { node, text }),
                Err(InitError::Transient(text)) => return Err(StartError::Transient { node, text }),
                Err(InitError::Fault(error)) => {
                    tell_fault(&pool.node, "", &error);
                    return Err(StartError::Failed { node, error });
                }
            }
        }
        Ok(Arc::new(Self { pool, mode: wasm.instance }))
    }

    pub(super) fn component(&self) -> &Component {
        &self.pool.component
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.pool.node.identity
    }

    /// How many instances there are.
    pub(super) fn instances(&self) -> usize {
        self.pool.node.instances.load(Ordering::Relaxed)
    }

    /// Where its next message begins.
    #[cfg(test)]
    pub(super) fn pace(&self) -> Pace {
        self.pool.node.standing.pace()
    }

    async fn run(&self, message: Message, outbox: Outbox) -> Result<(), NodeError> {
        let node = &self.pool.node;
        // Kept for the log alone, which wants it when the message is gone.
        let delivery = outbox.clone();
        let result = match self.mode {
            InstanceMode::Reuse => self.reuse(message, outbox).await,
            InstanceMode::Fresh => self.fresh(message, outbox).await,
        };
        if let Err(error) = &result
            && is_fault(error)
        {
            tell_fault(node, &delivery.origin().request_id, error);
        }
        result
    }

    async fn reuse(&self, message: Message, outbox: Outbox) -> Result<(), NodeError> {
        let (lease, instance) = self.pool.take().await?;
        let deadline = self.deadline(&outbox);
        let slices = instance.slices.clone();
        slices.reset();
        let work = Box::pin(instance.handle(message, outbox, deadline));
        let (instance, result) = self.drive(work, &slices, deadline, |(instance, _)| instance.is_none()).await?;
        if let Some(instance) = instance {
            lease.give_back(instance);
        }
        result
    }

    async fn fresh(&self, message: Message, outbox: Outbox) -> Result<(), NodeError> {
        let deadline = self.deadline(&outbox);
        let slices = Arc::new(Slices::default());
        let work = {
            let (component, node, slices) = (self.pool.component.clone(), self.pool.node.clone(), slices.clone());
            Box::pin(async move {
                match Instance::start(0, component, node, slices, deadline).await {
                    Ok(instance) => instance.handle(message, outbox, deadline).await.1,
                    Err(InitError::Fault(error)) => Err(error),
                    Err(error) => Err(NodeError::Transient(error.to_string())),
                }
            })
        };
        self.drive(work, &slices, deadline, |result| result.as_ref().is_err_and(is_fault)).await?
    }

    async fn drive<T: Send + 'static>(
        &self,
        work: Work<T>,
        slices: &Arc<Slices>,
        deadline: Instant,
        is_fault: impl Fn(&T) -> bool,
    ) -> Result<T, NodeError> {
        let NodeShared { standing, lanes, log, .. } = &*self.pool.node;
        let before = log.excess();
        let done = drive(work, slices, deadline, lanes, standing.pace()).await;
        let flood = log.excess() - before > FLOOD;
        standing.record(slices.busy(), flood || done.as_ref().map_or(true, is_fault));
        done.map_err(|abandoned| match abandoned {
            Abandoned::Late => NodeError::TimedOut(self.pool.node.timeout),
            Abandoned::Panicked => host_panicked(),
        })
    }

    fn deadline(&self, outbox: &Outbox) -> Instant {
        let own = Instant::now() + self.pool.node.timeout;
        outbox.origin().deadline.map_or(own, |given| given.min(own))
    }
}

impl Node for WasmNode {
    fn handle(&self, message: Message, outbox: Outbox) -> BoxFuture<'_, Result<(), NodeError>> {
        Box::pin(self.run(message, outbox))
    }
}

impl NodeShared {
    /// Bytes that a guest may pass to the host in one call; more of it ends the instance before it is copied.
    pub(super) fn call_limit(&self) -> usize {
        self.limits.object.max(self.max_payload).saturating_add(CALL_MARGIN)
    }

    pub(super) fn tell_replacement(&self, why: &str) {
        let Identity { workflow, node, .. } = &self.identity;
        tracing::info!(%workflow, %node, "an instance is replaced: {why}");
    }

    pub(super) fn tell_trouble(&self, error: &InitError, delay: Duration) {
        let Identity { workflow, node, .. } = &self.identity;
        tracing::warn!(%workflow, %node, "an instance could not be replaced: {error}; next try in {delay:?}");
    }
}

/// Whether it killed the instance.
fn is_fault(error: &NodeError) -> bool {
    matches!(error, NodeError::Trapped { .. } | NodeError::TimedOut(_) | NodeError::LimitExceeded(_))
}

/// What killed an instance, for the log: at the cost of what the guest itself may write.
fn tell_fault(node: &NodeShared, request_id: &str, error: &NodeError) {
    match error {
        NodeError::Trapped { message, backtrace } => {
            node.log.fault(request_id, &format!("the guest trapped: {message}"), backtrace);
        }
        error => node.log.fault(request_id, &error.to_string(), ""),
    }
}
