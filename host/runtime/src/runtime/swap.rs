//! Exchanging a running node for a newly built one. What is in hand ends with the node that began it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::future::BoxFuture;

use super::nodes::{NodeParts, load_components};
use super::place::Placement;
use crate::artifact::Package;
use crate::message::Message;
use crate::node::{Node, NodeError};
use crate::outbox::Outbox;

/// A node in whose place another may be put at any moment.
pub(super) struct Swap(RwLock<Arc<dyn Node>>);

/// The places of the nodes of a version, filled while they start.
#[derive(Clone, Default)]
pub struct Places(Arc<Mutex<Vec<Place>>>);

/// A node's place, and what is in it.
type Place = (Placement, Arc<Swap>);

/// Exchanges nodes of a running version; clones exchange the same.
#[derive(Clone)]
pub struct Swapper {
    pub(super) parts: NodeParts,
    pub(super) package: Package,
    pub(super) places: Places,
}

impl Node for Swap {
    fn handle(&self, message: Message, outbox: Outbox) -> BoxFuture<'_, Result<(), NodeError>> {
        let node = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(async move { node.handle(message, outbox).await })
    }
}

impl Places {
    /// A place with `node` in it.
    pub(super) fn add(&self, placement: &Placement, node: Arc<dyn Node>) -> Arc<dyn Node> {
        let swap = Arc::new(Swap(RwLock::new(node)));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((placement.clone(), swap.clone()));
        swap
    }

    fn of(&self, src: &str) -> Vec<Place> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|(placement, _)| placement.src == src).cloned().collect()
    }
}

impl Swapper {
    /// Puts what is in the package's file `src` now in the place of every node that was made of it: how long that took.
    /// New messages go to the new nodes as soon as all of them are initialised; until then, and if one of them fails, to the
    /// old ones.
    ///
    /// # Errors
    /// A component that cannot be loaded, a node whose `init` fails: nothing was exchanged.
    pub async fn swap(&self, src: &str) -> anyhow::Result<Duration> {
        let started = Instant::now();
        let places = self.places.of(src);
        let placements: Vec<Placement> = places.iter().map(|(placement, _)| placement.clone()).collect();
        let components = load_components(&self.package, &placements, &self.parts.engine).await?;
        let root: PathBuf = self.package.root().to_owned();
        let mut made = Vec::new();
        for (placement, swap) in places {
            let component = components.get(&placement.src).context("the component was just loaded")?;
            let identity = &placement.identity;
            let node = self.parts.handler(&placement, component, root.clone()).await;
            let node = node.with_context(|| format!("node {}/{}", identity.workflow, identity.node))?;
            made.push((swap, node));
        }
        for (swap, node) in made {
            *swap.0.write().unwrap_or_else(PoisonError::into_inner) = node;
        }
        Ok(started.elapsed())
    }
}
