//! Who is behind `host:port`, as far as a NetworkPolicy can say it: policies know addresses and labels, no names.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::networking::v1::{IPBlock, NetworkPolicyEgressRule, NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// The label by which every namespace bears its name.
const NAMESPACE: &str = "kubernetes.io/metadata.name";

/// Where nothing public is: clusters, their nodes and the metadata of clouds.
const PRIVATE: [&str; 5] = ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"];
const PRIVATE_6: [&str; 2] = ["fc00::/7", "fe80::/10"];

/// Registries listen here unless they are told otherwise.
const REGISTRY: u16 = 5000;

/// A host, and the ports of it that are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    host: String,
    ports: Vec<u16>,
}

impl Place {
    /// From `host:port`, with or without a scheme and a user before it; `ports` where it names none.
    pub(super) fn new(text: &str, ports: &[u16]) -> Self {
        let text = text.split_once("://").map_or(text, |(_, rest)| rest);
        let text = text.split(['/', '?']).next().unwrap_or_default();
        let text = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
            _ => (text, None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        Self { host, ports: port.map_or_else(|| ports.to_vec(), |port| vec![port]) }
    }

    /// What the platform itself names: may be anywhere. `namespace` is where pods are. A Service's port may lead to another of
    /// the pod, and policies know pods alone: `own` is where such a server listens that nobody told otherwise.
    pub(super) fn of_platform(&self, namespace: &str, own: u16) -> NetworkPolicyEgressRule {
        match self.within(namespace, 2) {
            Some(inside) => {
                let moved = Some(own).filter(|own| !self.ports.contains(own));
                let all: Vec<u16> = self.ports.iter().copied().chain(moved).collect();
                to(inside, Some(ports(&all, &["TCP"])))
            }
            None => to(self.address().unwrap_or_else(world), self.tcp()),
        }
    }

    /// The registry that a package is in. `ghcr.io` looks like a Service of the namespace `io`: a name of two labels may be
    /// either.
    pub(super) fn of_registry(&self, namespace: &str) -> NetworkPolicyEgressRule {
        let mut rule = self.of_platform(namespace, REGISTRY);
        if self.within(namespace, 2).is_some() && self.host.split('.').count() == 2 {
            rule.to.get_or_insert_default().extend(world());
        }
        rule
    }

    /// What a manifest grants to a node: a public name does not lead into private networks. The host holds the node to the
    /// name; the policy holds the pod to the ports.
    pub(super) fn of_grant(&self, namespace: &str) -> NetworkPolicyEgressRule {
        // Where the program behind a Service listens, nobody says.
        match self.within(namespace, 3) {
            Some(inside) => to(inside, None),
            None => to(
                self.address().unwrap_or_else(|| vec![block("0.0.0.0/0", &PRIVATE), block("::/0", &PRIVATE_6)]),
                self.tcp(),
            ),
        }
    }

    fn tcp(&self) -> Option<Vec<NetworkPolicyPort>> {
        Some(ports(&self.ports, &["TCP"]))
    }

    /// The namespace of a Service of the cluster: `name`, `name.namespace`, `name.namespace.svc` and longer. A name of two
    /// labels counts as one if `least` says so.
    fn within(&self, namespace: &str, least: usize) -> Option<Vec<NetworkPolicyPeer>> {
        if self.host.parse::<IpAddr>().is_ok() {
            return None;
        }
        let labels: Vec<_> = self.host.split('.').collect();
        let namespace = match labels.as_slice() {
            [_] => namespace,
            [_, namespace] if least <= 2 => namespace,
            [.., namespace, "svc"] | [.., namespace, "svc", _, _] => namespace,
            _ => return None,
        };
        Some(vec![peer(namespace, &[])])
    }

    fn address(&self) -> Option<Vec<NetworkPolicyPeer>> {
        match self.host.parse::<IpAddr>().ok()? {
            IpAddr::V4(address) => Some(vec![block(&format!("{address}/32"), &[])]),
            IpAddr::V6(address) => Some(vec![block(&format!("{address}/128"), &[])]),
        }
    }
}

/// The cluster's DNS, and the cache of it that nodes may have at an address of their own.
pub(super) fn dns() -> NetworkPolicyEgressRule {
    to(
        vec![peer("kube-system", &[("k8s-app", "kube-dns")]), block("169.254.20.10/32", &[])],
        Some(ports(&[53], &["UDP", "TCP"])),
    )
}

/// Pods of `namespace` with these labels.
pub(super) fn peer(namespace: &str, labels: &[(&str, &str)]) -> NetworkPolicyPeer {
    let selector = |labels: &[(&str, &str)]| LabelSelector {
        match_labels: Some(labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()),
        ..LabelSelector::default()
    };
    NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector {
            match_labels: Some(BTreeMap::from([(NAMESPACE.to_owned(), namespace.to_owned())])),
            ..LabelSelector::default()
        }),
        pod_selector: (!labels.is_empty()).then(|| selector(labels)),
        ..NetworkPolicyPeer::default()
    }
}

/// Each port in each protocol.
pub(super) fn ports(ports: &[u16], protocols: &[&str]) -> Vec<NetworkPolicyPort> {
    let of = |port: &u16, protocol: &&str| NetworkPolicyPort {
        port: Some(IntOrString::Int(i32::from(*port))),
        protocol: Some((*protocol).to_owned()),
        ..NetworkPolicyPort::default()
    };
    ports.iter().flat_map(|port| protocols.iter().map(move |protocol| of(port, protocol))).collect()
}

fn to(peers: Vec<NetworkPolicyPeer>, ports: Option<Vec<NetworkPolicyPort>>) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule { to: Some(peers), ports }
}

fn world() -> Vec<NetworkPolicyPeer> {
    vec![block("0.0.0.0/0", &[]), block("::/0", &[])]
}

fn block(cidr: &str, except: &[&str]) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        ip_block: Some(IPBlock {
            cidr: cidr.to_owned(),
            except: (!except.is_empty()).then(|| except.iter().map(|&cidr| cidr.to_owned()).collect()),
        }),
        ..NetworkPolicyPeer::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside(text: &str, least: usize) -> Option<String> {
        let peers = Place::new(text, &[4222]).within("kre", least)?;
        peers[0].namespace_selector.clone()?.match_labels?.get(NAMESPACE).cloned()
    }

    #[test]
    fn services_of_the_cluster_are_told_from_the_world() {
        for (host, platform, grant) in [
            ("nats", Some("kre"), Some("kre")),
            ("nats://nats.bus:4222", Some("bus"), None),
            ("tls://nats.bus.svc", Some("bus"), Some("bus")),
            ("nats-0.nats.bus.svc.cluster.local:4222", Some("bus"), Some("bus")),
            ("example.org", Some("org"), None),
            ("api.example.org:443", None, None),
            ("10.1.2.3:4222", None, None),
            ("[fd00::1]:4222", None, None),
        ] {
            assert_eq!(inside(host, 2).as_deref(), platform, "{host}");
            assert_eq!(inside(host, 3).as_deref(), grant, "{host}");
        }
    }

    #[test]
    fn a_service_of_the_platform_may_listen_on_another_port_than_its_pods() {
        let allowed = |text: &str| -> Vec<IntOrString> {
            let rule = Place::new(text, &[8086]).of_platform("kre", 8086);
            rule.ports.expect("ports").into_iter().filter_map(|it| it.port).collect()
        };
        assert_eq!(allowed("http://influx.data.svc"), [IntOrString::Int(8086)]);
        assert_eq!(allowed("http://influx.data.svc:80"), [IntOrString::Int(80), IntOrString::Int(8086)]);
        assert_eq!(allowed("http://influx.example.org:80"), [IntOrString::Int(80)]);
    }

    #[test]
    fn a_registry_with_a_short_name_may_be_in_the_world() {
        let peers = |host: &str| Place::new(host, &[443]).of_registry("kre").to.expect("peers").len();
        assert_eq!(peers("ghcr.io"), 3, "a namespace `io`, and the world in both protocols");
        assert_eq!(peers("registry.tools.svc"), 1);
        assert_eq!(peers("registry"), 1);
        assert_eq!(peers("registry.example.org"), 2);
    }

    #[test]
    fn a_user_and_a_path_are_no_part_of_a_host() {
        assert_eq!(
            Place::new("mongodb://u:p@DB.data:27018/kre?x=a:1", &[1]),
            Place { host: "db.data".into(), ports: vec![27018] }
        );
        assert_eq!(Place::new("[::1]", &[80, 443]), Place { host: "::1".into(), ports: vec![80, 443] });
    }
}
