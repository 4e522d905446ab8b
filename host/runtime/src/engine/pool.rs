//! The instances of one node: taken for a message, given back, replaced when lost or worn. The node lives on whatever
//! becomes of them. Never runs a message.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::Component;
use super::drive::{Abandoned, Slices, drive};
use super::instance::{InitError, Instance};
use super::node::NodeShared;
use crate::node::NodeError;

/// The share of its limit past which an instance is replaced: Python's toolchain leaks what a guest sends.
const WORN: f64 = 0.7;

/// Waits before a replacement that failed is tried again.
const BACKOFF: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// The instances of one node.
pub(super) struct Pool {
    pub(super) component: Component,
    pub(super) node: Arc<NodeShared>,
    /// Counts those that were replaced.
    replaced: Counter,
    /// One permit an idle instance.
    available: Semaphore,
    idle: Mutex<Idle>,
    next_id: AtomicU64,
    runtime: Handle,
}

#[derive(Default)]
struct Idle {
    instances: Vec<Instance>,
    /// Worn instances whose successors are being prepared, or are.
    successions: Vec<Succession>,
    /// Why the last replacement failed.
    trouble: Option<String>,
}

struct Succession {
    worn: u64,
    successor: Option<Instance>,
    /// The worn one died before its time.
    orphaned: bool,
}

/// A place in the pool, held for one message: whoever drops it without giving the instance back has lost that.
pub(super) struct Lease {
    pool: Arc<Pool>,
    id: Option<u64>,
}

impl Pool {
    pub(super) fn new(component: Component, node: Arc<NodeShared>, replaced: Counter) -> Arc<Self> {
        Arc::new(Self {
            component,
            node,
            replaced,
            available: Semaphore::new(0),
            idle: Mutex::default(),
            next_id: AtomicU64::new(0),
            runtime: Handle::current(),
        })
    }

    /// Makes an instance, `init` included, under the node's limits. That of a node that kills them gives way to others.
    pub(super) async fn prepare(&self) -> Result<Instance, InitError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let slices = Arc::new(Slices::default());
        let deadline = Instant::now() + self.node.timeout;
        let engine = self.component.engine();
        let (component, node) = (self.component.clone(), self.node.clone());
        let work = Box::pin(Instance::start(id, component, node, slices.clone(), deadline));
        match drive(work, &slices, deadline, &engine.lanes, self.node.standing.pace()).await {
            Ok(made) => made,
            Err(Abandoned::Late) => Err(InitError::Fault(NodeError::TimedOut(self.node.timeout))),
            Err(Abandoned::Panicked) => Err(InitError::Fault(host_panicked())),
        }
    }

    /// Takes in an instance that is ready.
    pub(super) fn add(&self, instance: Instance) {
        self.lock().instances.push(instance);
        self.available.add_permits(1);
    }

    /// An idle instance; waits for one no longer than a message may take.
    pub(super) async fn take(self: &Arc<Self>) -> Result<(Lease, Instance), NodeError> {
        let permit = match self.available.try_acquire() {
            Ok(permit) => permit,
            Err(_) => match tokio::time::timeout(self.node.timeout, self.available.acquire()).await {
                Ok(Ok(permit)) => permit,
                _ => return Err(self.no_instance()),
            },
        };
        permit.forget();
        match self.lock().instances.pop() {
            Some(instance) => Ok((Lease { pool: self.clone(), id: Some(instance.id) }, instance)),
            // Unreachable: permits are added after instances.
            None => Err(self.no_instance()),
        }
    }

    fn give_back(self: &Arc<Self>, instance: Instance) {
        let worn = instance.is_worn(WORN);
        let id = instance.id;
        let mut prepare = false;
        let mut retired = None;
        {
            let mut idle = self.lock();
            let succession = idle.successions.iter().position(|s| s.worn == id);
            let successor = match succession {
                Some(index) if idle.successions[index].successor.is_some() => {
                    idle.successions.swap_remove(index).successor
                }
                Some(_) => None,
                None if worn => {
                    idle.successions.push(Succession { worn: id, successor: None, orphaned: false });
                    prepare = true;
                    None
                }
                None => None,
            };
            if let Some(successor) = successor {
                idle.instances.push(successor);
                retired = Some(instance);
            } else {
                idle.instances.push(instance);
            }
        }
        self.available.add_permits(1);
        // Unmapping takes µs: not under the lock.
        drop(retired);
        if prepare {
            self.node.tell_replacement("its memory has grown");
            self.replace(Some(id));
        }
    }

    fn lost(self: &Arc<Self>, id: u64) {
        let mut idle = self.lock();
        if let Some(index) = idle.successions.iter().position(|s| s.worn == id) {
            if idle.successions[index].successor.is_none() {
                // Its successor is on the way, and takes its place when it comes.
                idle.successions[index].orphaned = true;
                return;
            }
            let successor = idle.successions.swap_remove(index).successor;
            idle.instances.extend(successor);
            drop(idle);
            self.available.add_permits(1);
            return;
        }
        drop(idle);
        self.replace(None);
    }

    /// Prepares another instance in the background, in the place of one that is lost or of a `worn` one.
    fn replace(self: &Arc<Self>, worn: Option<u64>) {
        self.runtime.spawn(replacement(Arc::downgrade(self), worn));
    }

    fn succeed(&self, worn: u64, successor: Instance) {
        let mut retired = None;
        {
            let mut idle = self.lock();
            let Some(index) = idle.successions.iter().position(|s| s.worn == worn) else { return };
            if idle.successions[index].orphaned {
                idle.successions.swap_remove(index);
                idle.instances.push(successor);
                drop(idle);
                self.available.add_permits(1);
                return;
            }
            if let Some(place) = idle.instances.iter().position(|i| i.id == worn) {
                idle.successions.swap_remove(index);
                retired = Some(std::mem::replace(&mut idle.instances[place], successor));
            } else {
                // It has a message in hand, and is exchanged when it comes back.
                idle.successions[index].successor = Some(successor);
            }
        }
        drop(retired);
    }

    fn no_instance(&self) -> NodeError {
        let timeout = self.node.timeout;
        NodeError::Transient(match &self.lock().trouble {
            Some(trouble) => format!("no instance is ready: {trouble}"),
            None => format!("no instance was free within {timeout:?}"),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// The message is over, its instance is whole.
    pub(super) fn give_back(mut self, instance: Instance) {
        self.id = None;
        self.pool.give_back(instance);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.pool.lost(id);
        }
    }
}

/// The host's own code panicked under a guest: a defect, but not one that may take the node along.
pub(super) fn host_panicked() -> NodeError {
    NodeError::Trapped { message: "the host's own code panicked".into(), backtrace: String::new() }
}

async fn replacement(pool: Weak<Pool>, worn: Option<u64>) {
    let mut delay = BACKOFF;
    loop {
        // Held only while there is something to do: the node may go away meanwhile.
        let Some(pool) = pool.upgrade() else { return };
        match pool.prepare().await {
            Ok(instance) => {
                pool.lock().trouble = None;
                pool.replaced.inc();
                match worn {
                    Some(worn) => pool.succeed(worn, instance),
                    None => pool.add(instance),
                }
                return;
            }
            Err(error) => {
                pool.node.tell_trouble(&error, delay);
                pool.lock().trouble = Some(error.to_string());
            }
        }
        drop(pool);
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(BACKOFF_MAX);
    }
}
