//! A real Kubernetes control plane (etcd, API server, controller-manager, scheduler) on free ports of loopback, and a node
//! whose kubelet is written for the tests. Several may run side by side. Asserts nothing but that it starts.

pub mod ground;
pub mod kubelet;
pub mod node;
pub mod policies;
mod served;
pub mod stage;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::wait::{await_condition, conditions};

use self::kubelet::Kubelet;
use crate::nats::free_ports;
use crate::script;

/// A part that is not there within this time will not come: it takes 5 s on an idle machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often a part that gives no other sign is asked whether it is ready.
const ASK: Duration = Duration::from_millis(50);

/// The bearer of this token may do everything.
const ADMIN: &str = "admin-token";

/// Every request of operators is written down, when it is answered; watches are never.
const AUDIT: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
omitManagedFields: true
rules:
  - { level: Metadata, users: [operator], verbs: [get, list, create, update, patch, delete, deletecollection] }
  - { level: None }
";

/// A control plane, most often with one node; its processes are killed on drop.
pub struct Cluster {
    /// What the node's kubelet does with pods.
    pub kubelet: Kubelet,
    folder: tempfile::TempDir,
    kubectl: PathBuf,
    kubeconfig: Kubeconfig,
    /// In the order in which they were started.
    children: Vec<Child>,
}

/// A namespace of a test's own on a control plane that tests share.
pub struct Space {
    /// The control plane.
    pub cluster: Arc<Cluster>,
    /// The namespace.
    pub name: String,
    /// May do everything.
    pub client: kube::Client,
}

/// The path of a tool that `scripts/cluster.sh` builds. None, and said so, where it cannot be had.
pub fn tool(name: &str) -> Option<PathBuf> {
    script(&["cluster.sh", name], &format!("{name} could not be built"))
}

impl Cluster {
    /// Starts one with a node. None, and said so, where it cannot be had.
    ///
    /// # Panics
    /// When a part does not become ready.
    pub fn start() -> Option<Self> {
        // Nobody but the controllers calls it where it says that it is.
        let mut cluster = Self::without_node("127.0.0.1", "10.244.0.1", None)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async { define(cluster.client().await).await });
        cluster.kubelet.start(&cluster.kubeconfig);
        Some(cluster)
    }

    /// Starts one without any node, and without the resource `Version`. The API server listens on `bind` and `port`, a free one
    /// if none is said, and pods find it on `address`. None, and said so, where it cannot be had.
    ///
    /// # Panics
    /// When a part does not become ready.
    pub fn without_node(bind: &str, address: &str, port: Option<u16>) -> Option<Self> {
        let api = tool("kube-apiserver")?;
        let part = |name: &str| api.with_file_name(name);
        let folder = tempfile::Builder::new().prefix("krt-cluster-").tempdir().expect("a temporary folder");
        let ports = free_ports(5);
        let [api_port, etcd_port, peers, controllers, scheduler] = ports[..] else { panic!("five ports") };
        let api_port = port.unwrap_or(api_port);
        let files = Files::write(folder.path(), api_port);
        let mut children = Vec::new();
        let mut run = |name: &str, arguments: Vec<String>| {
            let log = std::fs::File::create(folder.path().join(format!("{name}.log"))).expect("a log file");
            let child = Command::new(part(name))
                .args(arguments)
                .current_dir(folder.path())
                .stdin(Stdio::null())
                .stdout(log.try_clone().expect("a log file"))
                .stderr(log)
                .spawn()
                .expect("it starts");
            children.push(child);
        };
        let (etcd, peer) = (format!("http://127.0.0.1:{etcd_port}"), format!("http://127.0.0.1:{peers}"));
        run(
            "etcd",
            words(&format!(
                "--data-dir etcd --listen-client-urls {etcd} --advertise-client-urls {etcd} --listen-peer-urls {peer} \
             --initial-advertise-peer-urls {peer} --initial-cluster default={peer} --unsafe-no-fsync --log-level warn"
            )),
        );
        // It waits for etcd by itself.
        run(
            "kube-apiserver",
            words(&format!(
                "--etcd-servers={etcd} --bind-address={bind} --secure-port={api_port} --advertise-address={address} \
             --tls-cert-file=api.crt --tls-private-key-file=api.key --token-auth-file=tokens.csv \
             --authorization-mode=RBAC --service-cluster-ip-range=10.96.0.0/16 \
             --service-account-issuer=https://kubernetes.default.svc --service-account-key-file=sa.pub \
             --service-account-signing-key-file=sa.key --allow-privileged=true --enable-priority-and-fairness=false \
             --kubelet-preferred-address-types=InternalIP --audit-policy-file=audit.yaml --audit-log-path=audit.log"
            )),
        );
        // Both wait for the API server by themselves.
        run(
            "kube-controller-manager",
            words(&format!(
                "--kubeconfig=controllers.kubeconfig --bind-address=127.0.0.1 --secure-port={controllers} --leader-elect=false \
             --kube-api-qps=500 --kube-api-burst=1000 --use-service-account-credentials \
             --service-account-private-key-file=sa.key --root-ca-file=ca.crt"
            )),
        );
        run(
            "kube-scheduler",
            words(&format!(
                "--kubeconfig=scheduler.kubeconfig --bind-address=127.0.0.1 --secure-port={scheduler} --leader-elect=false"
            )),
        );
        let mut cluster = Self {
            kubelet: Kubelet::default(),
            kubectl: part("kubectl"),
            kubeconfig: files.kubeconfig,
            folder,
            children,
        };
        cluster.wait_ready();
        Some(cluster)
    }

    /// The one that tests of this process share, as long as one of them holds it: tests that follow each other start
    /// another.
    pub fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = shared.upgrade() {
            return Some(cluster);
        }
        let cluster = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&cluster);
        Some(cluster)
    }

    /// A client that may do everything. Belongs to the async runtime that it is made in.
    ///
    /// # Panics
    /// When the credentials are of no use.
    pub async fn client(&self) -> kube::Client {
        client(&self.kubeconfig).await
    }

    /// Where the API server listens.
    ///
    /// # Panics
    /// When the kubeconfig does not say so.
    pub fn port(&self) -> u16 {
        let cluster = self.kubeconfig.clusters.first().and_then(|it| it.cluster.as_ref());
        let server = cluster.and_then(|it| it.server.as_deref()).expect("a server");
        server.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port")
    }

    /// Path of a kubeconfig whose bearer may do everything.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("admin.kubeconfig")
    }

    /// Path of a kubeconfig for operators, who may do everything, too, and whose requests are written down.
    pub fn kubeconfig_of_operators(&self) -> PathBuf {
        self.folder.path().join("operator.kubeconfig")
    }

    /// What operators have asked of the API server about what is in `namespace`, in the order of the answers, Leases apart:
    /// `verb resource/name`.
    ///
    /// # Panics
    /// When the API server writes what is no JSON.
    pub fn requests(&self, namespace: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("audit.log")).unwrap_or_default();
        // The last line may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let of = |line: &str| {
            let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let (object, verb) = (&event["objectRef"], event["verb"].as_str()?);
            let resource = object["resource"].as_str().filter(|it| *it != "leases")?;
            let name = object["name"].as_str().unwrap_or_default();
            (object["namespace"] == namespace).then(|| format!("{verb} {resource}/{name}"))
        };
        whole.lines().filter_map(of).collect()
    }

    /// Path of a kubeconfig for the bearer of `token`.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn kubeconfig_for(&self, name: &str, token: &str) -> PathBuf {
        let text = serde_json::to_value(&self.kubeconfig).expect("JSON");
        let mut config: serde_json::Value = text;
        config["users"][0]["user"]["token"] = token.into();
        let path = self.folder.path().join(format!("{name}.kubeconfig"));
        std::fs::write(&path, config.to_string()).expect("written");
        path
    }

    /// Runs `kubectl` with `arguments` as who may do everything: what it prints, with what it complains of.
    ///
    /// # Panics
    /// When it does not start.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let output = Command::new(&self.kubectl)
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .args(arguments)
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .output()
            .expect("kubectl starts");
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }

    /// The path of a part or tool of the same build.
    pub fn part(&self, name: &str) -> PathBuf {
        self.kubectl.with_file_name(name)
    }

    /// What a part has logged.
    pub fn log(&self, part: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(format!("{part}.log"))).unwrap_or_default()
    }

    /// Waits for the API server, then for the controllers' first work.
    fn wait_ready(&mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let until = Instant::now() + PATIENCE;
        runtime.block_on(async {
            let client = self.client().await;
            let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
            // There is nothing that it prints or holds open by which it could be told.
            while accounts.get_opt("default").await.ok().flatten().is_none() {
                for (child, part) in self.children.iter_mut().zip(PARTS) {
                    if let Some(status) = child.try_wait().expect("a status") {
                        panic!("{part} ended with {status}:\n{}", tail(self.folder.path(), part));
                    }
                }
                assert!(Instant::now() < until, "no control plane:\n{}", tail(self.folder.path(), "kube-apiserver"));
                tokio::time::sleep(ASK).await;
            }
        });
    }
}

/// As they are started.
const PARTS: [&str; 4] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kubelet.stop();
        for child in self.children.iter_mut().rev() {
            // Already gone: as wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Space {
    /// A new namespace, named after `test`, on the shared control plane. None, and said so, where there is none.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn new(test: &str) -> Option<Self> {
        let cluster = tokio::task::spawn_blocking(Cluster::shared).await.expect("it does not panic")?;
        let client = cluster.client().await;
        let metadata = ObjectMeta { generate_name: Some(format!("{test}-")), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        let made = Api::all(client.clone()).create(&PostParams::default(), &namespace).await.expect("a namespace");
        Some(Self { cluster, name: made.metadata.name.expect("a name"), client })
    }

    /// Resources of a kind in it.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Runs `kubectl -n NAMESPACE`.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.cluster.kubectl(&[&["-n", &self.name], arguments].concat())
    }
}

/// Makes the resource `Version` known, and waits until it is served.
async fn define(client: kube::Client) {
    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    let definition = krt_host::cluster::crd::definition();
    let name = definition.metadata.name.clone().expect("a name");
    definitions.create(&PostParams::default(), &definition).await.expect("the definition is accepted");
    let served = await_condition(definitions, &name, conditions::is_crd_established());
    tokio::time::timeout(PATIENCE, served).await.expect("served in time").expect("watched");
}

async fn client(kubeconfig: &Kubeconfig) -> kube::Client {
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig.clone(), &options).await.expect("a configuration");
    kube::Client::try_from(config).expect("a client")
}

/// What the parts read.
struct Files {
    kubeconfig: Kubeconfig,
}

impl Files {
    fn write(folder: &Path, port: u16) -> Self {
        use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

        let write = |name: &str, text: String| std::fs::write(folder.join(name), text).expect("written");
        let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let signed = authority.self_signed(&key).expect("a certificate");
        let issuer = Issuer::new(authority, key);
        let names = ["127.0.0.1", "localhost", "kubernetes.default.svc", "10.96.0.1"].map(str::to_owned);
        let server = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(names).expect("parameters").signed_by(&server, &issuer);
        write("ca.crt", signed.pem());
        write("api.crt", certificate.expect("a certificate").pem());
        write("api.key", server.serialize_pem());
        let accounts = KeyPair::generate().expect("a key");
        write("sa.key", accounts.serialize_pem());
        write("sa.pub", accounts.public_key_pem());
        write("audit.yaml", AUDIT.to_owned());
        let users = [
            (ADMIN, "admin", "system:masters", "admin.kubeconfig"),
            ("operator-token", "operator", "system:masters", "operator.kubeconfig"),
            ("controllers-token", "system:kube-controller-manager", "", "controllers.kubeconfig"),
            ("scheduler-token", "system:kube-scheduler", "", "scheduler.kubeconfig"),
        ];
        let mut tokens = String::new();
        for (token, user, group, file) in users {
            tokens.push_str(&format!("{token},{user},{user},\"{group}\"\n"));
            write(file, kubeconfig(folder, port, token).to_string());
        }
        write("tokens.csv", tokens);
        let kubeconfig = serde_json::from_value(kubeconfig(folder, port, ADMIN)).expect("a kubeconfig");
        Self { kubeconfig }
    }
}

fn kubeconfig(folder: &Path, port: u16, token: &str) -> serde_json::Value {
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "c", "cluster": {
            "server": format!("https://127.0.0.1:{port}"),
            "certificate-authority": folder.join("ca.crt"),
        } }],
        "users": [{ "name": "u", "user": { "token": token } }],
        "contexts": [{ "name": "test", "context": { "cluster": "c", "user": "u" } }],
        "current-context": "test",
    })
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn tail(folder: &Path, part: &str) -> String {
    let log = std::fs::read_to_string(folder.join(format!("{part}.log"))).unwrap_or_default();
    let lines: Vec<&str> = log.lines().rev().take(20).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
