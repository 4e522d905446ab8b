//! NetworkPolicies on a real node: what enforces them there, and connections tried from where a pod is. Knows no policy, and does
//! not judge who may connect.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::node::{NAME, Real, SERVICES};
use crate::script;

/// Where container runtimes keep the network namespaces of pods.
const NAMESPACES: &str = "/run/netns";

/// Seconds for a connection, which on one machine takes none.
const PATIENCE: &str = "3";

/// What enforces policies: kube-router's controller, as distributions have it. None, and said so, where it cannot be built.
pub fn enforcer() -> Option<PathBuf> {
    script(&["kube-router.sh"], "what enforces NetworkPolicies could not be built")
}

/// Somewhere on the node from which connections are tried.
pub struct Place<'a> {
    real: &'a Real,
    /// A network namespace, or the node's own.
    namespace: Option<PathBuf>,
}

/// A connection that is being tried.
pub struct Attempt(Child);

impl Real {
    /// From now on policies hold on the node: of a pod that has just come, within moments. `enforcer` is what [`enforcer`] found.
    ///
    /// # Panics
    /// When it does not start.
    pub fn enforce_policies(&mut self, enforcer: &Path) {
        let mut command = Command::new(enforcer);
        command.arg("--kubeconfig").arg(self.cluster.kubeconfig());
        self.run("kube-router", command.args(["--node", NAME, "--services", SERVICES]));
    }

    /// The node itself. Policies know nobody there.
    pub fn outside(&self) -> Place<'_> {
        Place { real: self, namespace: None }
    }

    /// Where the pod with this address is.
    ///
    /// # Panics
    /// When there is no such pod.
    pub fn place(&self, address: IpAddr) -> Place<'_> {
        let all = std::fs::read_dir(NAMESPACES).expect("a folder").flatten().map(|it| it.path());
        let has = |namespace: &PathBuf| {
            let output = self.within(Some(namespace), &["ip", "-4", "-o", "addr"]).output().expect("nsenter starts");
            String::from_utf8_lossy(&output.stdout).contains(&format!(" {address}/"))
        };
        let namespace = all.into_iter().find(has).unwrap_or_else(|| panic!("no pod has {address}"));
        Place { real: self, namespace: Some(namespace) }
    }

    /// Gives the node another address.
    ///
    /// # Panics
    /// When it cannot be given.
    pub fn has_address(&self, address: IpAddr) {
        let given = ["ip", "addr", "add", &format!("{address}/32"), "dev", "lo"];
        assert!(self.within(None, &given).status().expect("busybox starts").success(), "{address}");
    }

    /// Runs a part of busybox in a network namespace.
    fn within(&self, namespace: Option<&PathBuf>, arguments: &[&str]) -> Command {
        let busybox = self.busybox();
        let mut command = match namespace {
            Some(namespace) => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--net={}", namespace.display())).arg(busybox);
                command
            }
            None => Command::new(busybox),
        };
        command.args(arguments).stdin(Stdio::null());
        command
    }
}

impl Place<'_> {
    /// Tries a connection to `to`. Where a policy is against it, that may show only in no answer for some seconds: others may be
    /// tried meanwhile.
    ///
    /// # Panics
    /// When it cannot be tried.
    pub fn tries(&self, to: SocketAddr) -> Attempt {
        let (address, port) = (to.ip().to_string(), to.port().to_string());
        // Connected, it becomes another program, which ends.
        let connect = ["nc", "-w", PATIENCE, &address, &port, "-e", "/bin/true"];
        let mut command = self.real.within(self.namespace.as_ref(), &connect);
        Attempt(command.stderr(Stdio::piped()).spawn().expect("nsenter starts"))
    }
}

impl Attempt {
    /// Whether the connection came about.
    ///
    /// # Panics
    /// When it could not be tried.
    pub fn came_about(self) -> bool {
        let output = self.0.wait_with_output().expect("a status");
        let said = String::from_utf8_lossy(&output.stderr);
        let is_tried = output.status.success() || said.contains("can't connect") || said.contains("timed out");
        assert!(is_tried, "{said}");
        output.status.success()
    }
}
