//! The flags by which every subcommand finds a cluster.

use std::path::PathBuf;

use crate::cluster::client::{ClusterOptions, ConnectError, Connection, connect};
use crate::cluster::versions::Versions;

/// Which cluster.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub(super) struct ClusterArgs {
    /// A kubeconfig [default: as kubectl finds it, else the pod's own account]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

/// Which namespace of which cluster.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// The namespace [default: the context's]
    #[arg(short, long, value_name = "NAME", help_heading = "Cluster")]
    namespace: Option<String>,
}

impl Place {
    /// Whether anything of it was said.
    pub(super) fn is_given(&self) -> bool {
        self.cluster.kubeconfig.is_some() || self.cluster.context.is_some() || self.namespace.is_some()
    }

    /// The connection and the namespace.
    pub(super) async fn connect(&self) -> Result<(Connection, String), ConnectError> {
        let connection = connect(&self.cluster.options()).await?;
        let namespace = self.namespace.clone().unwrap_or_else(|| connection.namespace.clone());
        Ok((connection, namespace))
    }

    /// The versions there.
    pub(super) async fn versions(&self) -> Result<Versions, ConnectError> {
        let (connection, namespace) = self.connect().await?;
        Ok(Versions::new(&connection, &namespace))
    }
}

impl ClusterArgs {
    /// As the client takes it.
    pub(super) fn options(&self) -> ClusterOptions {
        ClusterOptions { kubeconfig: self.kubeconfig.clone(), context: self.context.clone() }
    }
}
