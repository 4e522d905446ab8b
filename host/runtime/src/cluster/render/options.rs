//! What a version's objects depend on beside its topology: where things are, and what is wanted.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::artifact::Reference;

/// What a version's objects depend on beside its topology.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the objects are made. The runtime's id is the plan's.
    pub namespace: String,
    /// Whether `active-entrypoint` leads to this version.
    pub published: bool,
    /// What pods fetch.
    pub package: Reference,
    /// Public key (PEM) by which pods verify the package's signature; none = unsigned packages are taken.
    pub verify_key: Option<String>,
    /// The registry of the package speaks HTTP without TLS.
    pub plain_http: bool,
    /// Secret of type `kubernetes.io/dockerconfigjson` by which pods fetch the package from a registry.
    pub registry_secret: Option<String>,
    /// What containers are made from.
    pub images: Images,
    /// Where NATS is.
    pub nats: NatsPlace,
    /// Where the databases of nodes are.
    pub databases: Databases,
    /// Values of the version's configuration.
    pub variables: Vec<Variable>,
    /// Anything that changes when what `variables` refers to changes: pods are rolled when it does.
    pub variables_revision: Option<String>,
    /// Components that were compiled beforehand.
    pub compiled: Vec<Compiled>,
    /// Pods of the entrypoint.
    pub entrypoint_replicas: u32,
    /// How long a call may take whose caller sets no deadline.
    pub request_timeout: Duration,
    /// Namespaces whose pods may read metrics.
    pub metrics_from: Vec<String>,
}

/// What containers are made from.
#[derive(Debug, Clone)]
pub struct Images {
    /// krt's own.
    pub krt: String,
    /// Images of native nodes that are replaced, by what the manifest names: for registries of one's own.
    pub replaced: BTreeMap<String, String>,
    /// `Always`, `IfNotPresent` or `Never`; none leaves it to Kubernetes.
    pub pull_policy: Option<String>,
    /// Secrets by which images are pulled.
    pub pull_secrets: Vec<String>,
    /// The user that native nodes run as, for images that name theirs in letters; none = the image's, which must not be root.
    pub native_user: Option<i64>,
}

/// Where NATS is and who pods are there.
#[derive(Debug, Clone)]
pub struct NatsPlace {
    /// URLs without secrets, at least one.
    pub urls: Vec<String>,
    /// Key of a Secret with a .creds file, for krt's own pods.
    pub credentials: Option<KeyRef>,
    /// Key of a Secret with the authorities (PEM) of the server's certificate.
    pub authorities: Option<KeyRef>,
    /// Key of a Secret with the URLs that krt's own pods get in place of `urls`, where who they are is a password in them.
    pub own_url: Option<KeyRef>,
    /// Key of a Secret with the URL that runners of the original get, which know no other way to say who they are.
    pub native_url: Option<KeyRef>,
}

/// Where the databases of nodes are; none = nowhere.
#[derive(Debug, Clone, Default)]
pub struct Databases {
    /// InfluxDB, for measurements.
    pub influx: Option<Uri>,
    /// MongoDB. The original's runner for Go does not start without it.
    pub mongo: Option<Uri>,
}

/// An address that may hold a password.
#[derive(Debug, Clone)]
pub struct Uri {
    /// The whole.
    pub value: Value,
    /// Its `host:port`, which pods may connect to.
    pub host: String,
}

/// A value of the version's configuration.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Its name in the manifest.
    pub name: String,
    /// What it is.
    pub value: Value,
}

/// A value, or where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Itself. Everyone who may read ConfigMaps sees it.
    Text(String),
    /// In a ConfigMap of the namespace.
    ConfigMap(KeyRef),
    /// In a Secret of the namespace.
    Secret(KeyRef),
}

/// A key of a ConfigMap or a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRef {
    /// Name of the object.
    pub name: String,
    /// The key.
    pub key: String,
}

/// A component that was compiled beforehand. Its digest is told here, by the control plane: what is at the place it comes
/// from has no say in what is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// The component's path in the package.
    pub src: String,
    /// Where it is, and the digest of what must be there, as `krt compile` says it.
    pub reference: String,
}

impl Options {
    /// Everything by default but where things are.
    pub fn new(namespace: String, package: Reference, krt_image: String, nats_urls: Vec<String>) -> Self {
        Self {
            namespace,
            published: false,
            package,
            verify_key: None,
            plain_http: false,
            registry_secret: None,
            images: Images {
                krt: krt_image,
                replaced: BTreeMap::new(),
                pull_policy: None,
                pull_secrets: Vec::new(),
                native_user: None,
            },
            nats: NatsPlace { urls: nats_urls, credentials: None, authorities: None, own_url: None, native_url: None },
            databases: Databases::default(),
            variables: Vec::new(),
            variables_revision: None,
            compiled: Vec::new(),
            entrypoint_replicas: 1,
            // What the original's chart sets.
            request_timeout: Duration::from_secs(30),
            metrics_from: Vec::new(),
        }
    }
}
