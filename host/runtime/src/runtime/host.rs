//! Nodes without a front door: what one pod of a node runs. Serves probes and metrics beside them.

use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::nodes::NodeParts;
use super::place::Placement;
use crate::artifact::Package;
use crate::entrypoint::Probes;
use crate::runner::Runner;

/// Nodes that are initialised, and read their subscriptions once served.
pub struct Host {
    runners: Vec<Runner>,
    parts: NodeParts,
}

impl Host {
    /// Loads and starts the nodes of `placements`, whose files are in `package`.
    ///
    /// # Errors
    /// A component that cannot be loaded, a bucket that is not there, a node whose `init` fails.
    pub async fn start(parts: NodeParts, placements: &[Placement], package: &Package) -> anyhow::Result<Self> {
        let runners = parts.start(placements, package).await?;
        Ok(Self { runners, parts })
    }

    /// Runs the nodes until `stop`, then drains: not ready at once, nothing more is taken, what is in hand is finished
    /// within the grace period, and what is left goes back to the bus.
    ///
    /// `ready` is called once, as soon as every subscription is heard.
    ///
    /// # Errors
    /// A node's loop panicked.
    pub async fn serve(self, web: Probes, stop: CancellationToken, ready: impl FnOnce()) -> anyhow::Result<()> {
        let health = self.parts.health.clone();
        health.set_ready(true);
        let mut running = JoinSet::new();
        for runner in self.runners {
            running.spawn(runner.run(stop.clone()));
        }
        tokio::select! {
            () = health.until(true) => ready(),
            () = stop.cancelled() => {}
        }
        stop.cancelled().await;
        health.set_ready(false);
        while let Some(ended) = running.join_next().await {
            ended.context("a node's loop panicked")?;
        }
        self.parts.backend.close().await;
        web.close().await;
        Ok(())
    }
}
