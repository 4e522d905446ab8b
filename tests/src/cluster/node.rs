//! A real node beside a real control plane, on a stage: containerd, kubelet, kube-proxy and the names of Services, so that pods
//! run; [`policies`](super::policies) are enforced on it for who asks. Takes nothing down: the stage does, when the test ends.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::Api;
use kube::runtime::wait::await_condition;
use serde_json::json;

use super::stage::{self, ADDRESS, CGROUP, NAMES, Stage};
use super::{Cluster, tool};
use crate::nats::{CURRENT, binary};
use crate::{krt_binary, skipped, workspace};

/// The node's name.
pub(super) const NAME: &str = "node1";

/// Of krt, as the tests built it.
pub const KRT_IMAGE: &str = "localhost/krt:test";
/// Of a NATS server, as the chart asks for it.
pub const NATS_IMAGE: &str = "localhost/nats:test";
/// What holds a pod's namespaces: it sleeps, and has all of busybox.
pub const PAUSE_IMAGE: &str = "localhost/pause:test";

/// Where containerd listens.
const SOCKET: &str = "/run/containerd/containerd.sock";

/// Where an API server usually listens: the chart's policies know that.
const API: u16 = 6443;

/// Addresses of Services.
pub(super) const SERVICES: &str = "10.96.0.0/16";

/// A node takes 3 s to become ready on an idle machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A control plane with a node that runs pods.
pub struct Real {
    /// The control plane.
    pub cluster: Cluster,
    /// What was prepared outside.
    pub folder: PathBuf,
    tools: PathBuf,
    log: PathBuf,
    /// Ended with the stage.
    children: Vec<Child>,
}

/// Starts one on a stage of the test `test`, which calls this: see [`stage::enter`]. Images are there.
///
/// # Panics
/// When a part does not become ready, or the test's run on the stage fails.
pub fn start<T>(test: &str, prepare: impl FnOnce(&Path) -> Option<T>) -> Option<Real> {
    let tools = stage::node_tools()?;
    let stage = stage::enter(test, &tools, |folder| {
        tool("kube-apiserver")?;
        let start = std::time::Instant::now();
        images(folder, &tools)?;
        eprintln!("stage: images are made: {:.1} s", start.elapsed().as_secs_f64());
        prepare(folder)
    })?;
    Some(Real::start(stage, tools))
}

/// Makes the images' archives.
fn images(folder: &Path, tools: &Path) -> Option<()> {
    let made = |command: &mut Command| -> Option<()> {
        let output = command.current_dir(workspace()).output().expect("the script starts");
        if !output.status.success() {
            skipped(&format!("an image could not be made: {}", String::from_utf8_lossy(&output.stderr)));
        }
        output.status.success().then_some(())
    };
    made(Command::new("scripts/image.sh").arg(folder.join("krt.tar")).arg(krt_binary()).arg(KRT_IMAGE))?;
    // Its root is made as krt's own is, and its program has krt's name there.
    let nats = folder.join("nats");
    made(Command::new("scripts/rootfs.sh").arg(binary(CURRENT)?).arg(&nats))?;
    std::fs::rename(nats.join("krt"), nats.join("nats-server")).expect("renamed");
    let pause = folder.join("pause");
    std::fs::create_dir(&pause).expect("a folder");
    std::fs::copy(tools.join("bin/busybox"), pause.join("busybox")).expect("a copy");
    let entries = [(nats, NATS_IMAGE, &["/nats-server"][..]), (pause, PAUSE_IMAGE, &["/busybox", "sleep", "1000000"])];
    for (root, image, entry) in entries {
        let mut command = Command::new("scripts/oci-archive.py");
        made(command.arg(root.with_extension("tar")).arg(root).args([image, ""]).args(entry))?;
    }
    Some(())
}

impl Real {
    fn start(stage: Stage, tools: PathBuf) -> Self {
        let cluster = Cluster::without_node("0.0.0.0", ADDRESS, Some(API)).expect("it was there outside");
        let log = stage.folder.join("log");
        std::fs::create_dir(&log).expect("a folder");
        let mut real = Self { cluster, folder: stage.folder, tools, log, children: Vec::new() };
        real.containerd();
        real.kubelet();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let nodes: Api<Node> = Api::all(real.cluster.client().await);
            let ready = |node: Option<&Node>| {
                let conditions = node.and_then(|it| it.status.as_ref()).and_then(|it| it.conditions.as_ref());
                conditions.is_some_and(|all| all.iter().any(|it| it.type_ == "Ready" && it.status == "True"))
            };
            let waiting = tokio::time::timeout(PATIENCE, await_condition(nodes, NAME, ready)).await;
            assert!(waiting.is_ok(), "no node:\n{}", real.said("kubelet"));
            real.names().await;
        });
        real
    }

    fn containerd(&mut self) {
        let plugins = self.tools.join("usr/lib/cni");
        let text = format!(
            r#"
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  stream_server_address = "127.0.0.1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{}"
    conf_dir = "/var/lib/cni/conf"
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
"#,
            plugins.display()
        );
        let path = self.folder.join("containerd.toml");
        std::fs::write(&path, text).expect("written");
        let bridge = json!({ "cniVersion": "0.4.0", "name": "pods", "plugins": [{
            "type": "bridge", "bridge": "pods0", "isGateway": true, "hairpinMode": true,
            "ipam": {
                "type": "host-local", "ranges": [[{ "subnet": "10.244.0.0/24" }]],
                "routes": [{ "dst": "0.0.0.0/0" }], "dataDir": "/var/lib/cni/addresses",
            },
        }] });
        std::fs::create_dir_all("/var/lib/cni/conf").expect("a folder");
        std::fs::write("/var/lib/cni/conf/10-bridge.conflist", bridge.to_string()).expect("written");
        let program = self.tools.join("usr/bin/containerd");
        self.run("containerd", Command::new(program).arg("-c").arg(path));
        for image in ["pause", "krt", "nats"] {
            self.import(&self.folder.join(image).with_extension("tar"));
        }
    }

    /// Brings an image to the node.
    fn import(&self, archive: &Path) {
        let mut command = self.with_tools(Command::new(self.tools.join("usr/bin/ctr")));
        // It waits for containerd by itself.
        command
            .args(["--address", SOCKET, "--connect-timeout", "60s", "-n", "k8s.io", "images", "import"])
            .arg(archive);
        let output = command.output().expect("ctr starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}\n{}", archive.display(), self.said("containerd"));
    }

    fn kubelet(&mut self) {
        let config = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": ADDRESS,
            "failCgroupV1": false,
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": CGROUP,
            "failSwapOn": false,
            "containerRuntimeEndpoint": format!("unix://{SOCKET}"),
            // Nobody else is on the stage.
            "authentication": { "anonymous": { "enabled": true }, "webhook": { "enabled": false } },
            "authorization": { "mode": "AlwaysAllow" },
            "enforceNodeAllocatable": [],
            "evictionHard": { "nodefs.available": "1%", "imagefs.available": "1%", "nodefs.inodesFree": "1%" },
            "makeIPTablesUtilChains": false,
            "resolvConf": "",
            "clusterDNS": [NAMES],
            "clusterDomain": "cluster.local",
            "localStorageCapacityIsolation": false,
        });
        let path = self.folder.join("kubelet.yaml");
        std::fs::write(&path, config.to_string()).expect("written");
        let mut kubelet = Command::new(self.cluster.part("kubelet"));
        kubelet.arg(format!("--config={}", path.display()));
        kubelet.arg(format!("--kubeconfig={}", self.cluster.kubeconfig().display()));
        kubelet.args([format!("--hostname-override={NAME}"), format!("--node-ip={ADDRESS}")]);
        kubelet.args(["--root-dir=/var/lib/kubelet", "--cert-dir=/var/lib/kubelet/pki"]);
        self.run("kubelet", &mut kubelet);
        let mut proxy = Command::new(self.cluster.part("kube-proxy"));
        proxy.arg(format!("--kubeconfig={}", self.cluster.kubeconfig().display()));
        proxy.args(["--proxy-mode=nftables", "--cluster-cidr=10.244.0.0/16", "--conntrack-max-per-core=0"]);
        proxy.arg(format!("--hostname-override={NAME}"));
        self.run("kube-proxy", &mut proxy);
    }

    /// CoreDNS in a pod, as clusters have it: policies know DNS by that pod's labels.
    async fn names(&self) {
        let corefile = ".:53 {\n errors\n kubernetes cluster.local in-addr.arpa {\n ttl 1\n }\n}\n";
        std::fs::write(self.folder.join("Corefile"), corefile).expect("written");
        let (namespace, labels) = ("kube-system", json!({ "k8s-app": "kube-dns" }));
        let program = self.cluster.part("coredns");
        let mount = |name: &str, path: &str| json!({ "name": name, "mountPath": path, "readOnly": true });
        let of_node = |name: &str, path: &Path| json!({ "name": name, "hostPath": { "path": path } });
        let ports = |name: &str, protocol: &str| json!({ "name": name, "port": 53, "protocol": protocol });
        self.apply(&json!({ "apiVersion": "v1", "kind": "List", "items": [
            {
                "apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": { "name": "coredns", "namespace": namespace },
            },
            {
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                "metadata": { "name": "coredns" },
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
                "subjects": [{ "kind": "ServiceAccount", "name": "coredns", "namespace": namespace }],
            },
            {
                "apiVersion": "v1", "kind": "Service", "metadata": { "name": "kube-dns", "namespace": namespace },
                "spec": {
                    "clusterIP": NAMES, "selector": labels, "ports": [ports("dns", "UDP"), ports("dns-tcp", "TCP")],
                },
            },
            {
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "name": "coredns", "namespace": namespace, "labels": labels },
                "spec": {
                    "serviceAccountName": "coredns", "dnsPolicy": "Default", "terminationGracePeriodSeconds": 1,
                    "containers": [{
                        "name": "coredns", "image": PAUSE_IMAGE,
                        "command": ["/parts/coredns", "-conf", "/stage/Corefile"],
                        "volumeMounts": [mount("parts", "/parts"), mount("stage", "/stage")],
                        // It answers when it has heard of all Services.
                        "readinessProbe": { "tcpSocket": { "port": 53 }, "periodSeconds": 1 },
                    }],
                    "volumes": [
                        of_node("parts", program.parent().expect("a folder")), of_node("stage", &self.folder),
                    ],
                },
            },
        ] }));
        self.ready(namespace, "coredns").await;
    }

    /// Waits until a pod is ready.
    ///
    /// # Panics
    /// When it does not become so.
    pub async fn ready(&self, namespace: &str, pod: &str) {
        let pods: Api<Pod> = Api::namespaced(self.cluster.client().await, namespace);
        let ready = |pod: Option<&Pod>| {
            let conditions = pod.and_then(|it| it.status.as_ref()).and_then(|it| it.conditions.as_ref());
            conditions.is_some_and(|all| all.iter().any(|it| it.type_ == "Ready" && it.status == "True"))
        };
        let waiting = tokio::time::timeout(PATIENCE, await_condition(pods, pod, ready)).await;
        let see = || self.cluster.kubectl(&["-n", namespace, "describe", "pod", pod]);
        assert!(waiting.is_ok(), "{pod} does not become ready:\n{}", see());
    }

    /// Applies objects, as `kubectl apply` does.
    ///
    /// # Panics
    /// When they are refused.
    pub fn apply(&self, objects: &serde_json::Value) {
        let path = self.folder.join("objects.json");
        std::fs::write(&path, objects.to_string()).expect("written");
        let said = self.cluster.kubectl(&["apply", "-f", &path.to_string_lossy()]);
        assert!(!said.contains("rror"), "{said}");
    }

    /// What a part of the node logged.
    pub fn said(&self, part: &str) -> String {
        let log = std::fs::read_to_string(self.log.join(part)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(40).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    pub(super) fn busybox(&self) -> PathBuf {
        self.tools.join("bin/busybox")
    }

    /// With the programs of the distribution's packages, and the libraries of those.
    pub(super) fn with_tools(&self, mut command: Command) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let own = ["usr/bin", "usr/sbin"].map(|it| self.tools.join(it).display().to_string()).join(":");
        let libraries = std::fs::read_dir(self.tools.join("usr/lib")).expect("a folder").flatten();
        let mut libraries = libraries.map(|it| it.path()).filter(|it| it.to_string_lossy().ends_with("-linux-gnu"));
        command.env("PATH", format!("{own}:{path}"));
        let libraries = libraries.next().expect("libraries");
        command.env("XTABLES_LIBDIR", libraries.join("xtables"));
        command.env("LD_LIBRARY_PATH", libraries);
        command
    }

    /// Starts a part of the node, which ends with the stage.
    pub(super) fn run(&mut self, name: &str, command: &mut Command) {
        let log = std::fs::File::create(self.log.join(name)).expect("a log file");
        let program = command.get_program().to_owned();
        let mut whole = self.with_tools(Command::new(program));
        whole.args(command.get_args()).stdin(Stdio::null()).stdout(log.try_clone().expect("a log file")).stderr(log);
        self.children.push(whole.spawn().expect("it starts"));
    }
}
