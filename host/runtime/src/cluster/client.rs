//! The connection to a cluster: which, and as whom.

use std::path::PathBuf;

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

/// Which cluster. What is none is as `kubectl` has it: `$KUBECONFIG`, `~/.kube/config`, else the pod's own account.
#[derive(Debug, Clone, Default)]
pub struct ClusterOptions {
    /// A kubeconfig.
    pub kubeconfig: Option<PathBuf>,
    /// A context in it.
    pub context: Option<String>,
}

/// A client and where it looks unless told otherwise.
#[derive(Clone)]
pub struct Connection {
    /// The client.
    pub client: Client,
    /// The context's namespace.
    pub namespace: String,
    /// Where the API server is.
    pub server: String,
}

/// There is no way to a cluster.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig is not there, or not as it should be.
    #[error("the kubeconfig is of no use: {0}")]
    Kubeconfig(#[from] KubeconfigError),
    /// Neither a kubeconfig nor a pod's account.
    #[error("which cluster? {0}")]
    Nowhere(#[from] kube::config::InferConfigError),
    /// The client cannot be made: certificates, above all.
    #[error("no client can be made: {0}")]
    Client(#[from] kube::Error),
}

impl ConnectError {
    /// Whether no cluster is named at all: there is neither a kubeconfig nor a pod's account.
    pub fn is_nowhere(&self) -> bool {
        let Self::Nowhere(error) = self else { return false };
        let kubeconfig = std::error::Error::source(error).and_then(|it| it.downcast_ref::<KubeconfigError>());
        match kubeconfig {
            Some(KubeconfigError::FindPath) => true,
            Some(KubeconfigError::ReadConfig(error, _)) => error.kind() == std::io::ErrorKind::NotFound,
            _ => false,
        }
    }
}

/// Reads who and where; the API server is not asked yet.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(options: &ClusterOptions) -> Result<Connection, ConnectError> {
    let chosen = KubeConfigOptions { context: options.context.clone(), ..KubeConfigOptions::default() };
    let config = match (&options.kubeconfig, &options.context) {
        (Some(path), _) => Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &chosen).await?,
        (None, Some(_)) => Config::from_kubeconfig(&chosen).await?,
        (None, None) => Config::infer().await?,
    };
    let (namespace, server) = (config.default_namespace.clone(), config.cluster_url.to_string());
    Ok(Connection { client: Client::try_from(config)?, namespace, server })
}
