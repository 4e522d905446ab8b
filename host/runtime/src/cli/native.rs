//! The flags of what runs beside `krt run` as processes of its own: nodes in the original's images, and a NATS server.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use krt::topology::{NodeKind, Topology};

use super::nats::NatsArgs;
use crate::artifact::{Origin, Package};
use crate::bus::HEADER_ROOM;
use crate::native::server::NatsServer;
use crate::native::{self, NativeNode, NativeOptions, Platform, Runner, Runners, Spawner};
use crate::nats::Nats;

/// Clients of the original's runners try to come back every 2 s.
const WATCH: Duration = Duration::from_secs(5);

/// How what is no component is run on this machine.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Native nodes")]
pub(super) struct NativeArgs {
    /// What stands for an image on this machine, with its tag or for all tags (repeatable); needs --nats
    ///
    /// The command is split as a shell would; {src} in it becomes the path of the node's src, {name} the node's name. It
    /// finds the rest in its environment, as in the image.
    #[arg(long = "runner", value_name = "IMAGE=COMMAND")]
    runners: Vec<Runner>,
    /// Seconds after which a message counts as lost that a replica of a native node holds when another has died; longer
    /// than the longest handler, or a slow one gets its message twice
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = super::positive_seconds)]
    native_ack_wait: f64,
    /// The program for --nats auto
    #[arg(long, value_name = "PATH", default_value = "nats-server")]
    nats_server: PathBuf,
}

/// What native nodes are told of the version.
pub(super) struct Told<'a> {
    pub(super) runtime_id: &'a str,
    pub(super) variables: &'a [(String, String)],
    pub(super) mongo_uri: &'a str,
    pub(super) influx_uri: &'a str,
    pub(super) grace: Duration,
}

impl NativeArgs {
    /// The server that `nats` asks for by the word auto, and the way to it; else the way that `nats` names.
    pub(super) async fn server(
        &self,
        nats: &NatsArgs,
        max_message: usize,
    ) -> anyhow::Result<(NatsArgs, Option<NatsServer>)> {
        if !nats.is_auto() {
            return Ok((nats.clone(), None));
        }
        // As large a message fits on the embedded bus.
        let max_payload = max_message + HEADER_ROOM;
        let server = NatsServer::start(&Spawner::new()?, &self.nats_server, max_payload).await?;
        Ok((nats.at(server.url()), Some(server)))
    }

    /// Says early what would keep native nodes from starting.
    pub(super) fn check(&self, package: &Package, topology: &Topology, told: &Told<'_>) -> anyhow::Result<()> {
        self.nodes(package, topology, told, String::new()).map(drop)
    }

    /// How the native nodes of `topology` run; none if there are none.
    pub(super) fn options(
        &self,
        package: &Package,
        topology: &Topology,
        told: &Told<'_>,
        (args, nats): (&NatsArgs, &Nats),
    ) -> anyhow::Result<Option<NativeOptions>> {
        let mut nodes = topology.workflows.iter().flat_map(|workflow| &workflow.nodes);
        if !nodes.any(|node| matches!(node.kind, NodeKind::Native { .. })) {
            return Ok(None);
        }
        Ok(Some(NativeOptions {
            nodes: self.nodes(package, topology, told, args.for_runners())?,
            durables: Arc::new(nats.clone()),
            ack_wait: Duration::from_secs_f64(self.native_ack_wait),
            grace: told.grace,
            watch: WATCH,
        }))
    }

    fn nodes(
        &self,
        package: &Package,
        topology: &Topology,
        told: &Told<'_>,
        nats_server: String,
    ) -> anyhow::Result<Vec<NativeNode>> {
        let platform = Platform {
            runtime_id: told.runtime_id.to_owned(),
            nats_server,
            mongo_uri: told.mongo_uri.to_owned(),
            influx_uri: told.influx_uri.to_owned(),
            package: package.root().to_owned(),
            is_own_copy: package.origin() == Origin::Archive,
            variables: told.variables.to_owned(),
            inherited: std::env::vars_os().collect(),
        };
        Ok(native::nodes(topology, &Runners(self.runners.clone()), &platform)?)
    }
}
