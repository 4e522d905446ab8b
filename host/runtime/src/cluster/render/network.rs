//! One NetworkPolicy a Deployment: all is denied but what it needs, and what the manifest grants.

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use krt::topology::NodeKind;

use super::place::{Place, dns, peer, ports};
use super::{Options, Role, Scene, labels, pod};
use crate::artifact::Reference;

/// NATS, where a URL names no port.
const NATS: u16 = 4222;
/// Where a grant for HTTP names no port.
const HTTP: [u16; 2] = [80, 443];

pub(super) fn policy(scene: &Scene<'_>, role: Role<'_>) -> NetworkPolicy {
    let options = scene.options;
    let mut egress = vec![dns()];
    egress.extend(options.nats.urls.iter().map(|url| Place::new(url, &[NATS]).of_platform(&options.namespace, NATS)));
    egress.extend(registry(options));
    if let Role::Node(_, node) = role {
        let databases = [(&options.databases.influx, 8086), (&options.databases.mongo, 27017)];
        for (uri, port) in databases {
            egress.extend(uri.iter().map(|uri| Place::new(&uri.host, &[port]).of_platform(&options.namespace, port)));
        }
        if let NodeKind::Wasm(wasm) = &node.kind {
            let http = wasm.allow.http.iter().map(|host| Place::new(host, &HTTP));
            let tcp = wasm.allow.tcp.iter().map(|host| Place::new(host, &[]));
            egress.extend(http.chain(tcp).map(|place| place.of_grant(&options.namespace)));
        }
    }
    distinct(&mut egress);
    NetworkPolicy {
        metadata: labels::metadata(scene, role.name(scene), labels::of(scene, role)),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_labels: Some(labels::selector(scene, role)),
                ..LabelSelector::default()
            }),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(ingress(options, role)),
            egress: Some(egress),
        }),
    }
}

/// Callers come to the entrypoint from anywhere. Nobody comes to a node, but for its metrics; probes come from where the
/// pod runs, and no policy keeps those out.
fn ingress(options: &Options, role: Role<'_>) -> Vec<NetworkPolicyIngressRule> {
    let is_wasm = |role| matches!(role, Role::Node(_, node) if matches!(node.kind, NodeKind::Wasm(_)));
    match role {
        Role::Entrypoint => vec![NetworkPolicyIngressRule {
            from: None,
            ports: Some(ports(&[pod::GRPC_PORT, pod::WEB_PORT], &["TCP"])),
        }],
        Role::Node(..) if is_wasm(role) && !options.metrics_from.is_empty() => vec![NetworkPolicyIngressRule {
            from: Some(options.metrics_from.iter().map(|namespace| peer(namespace, &[])).collect()),
            ports: Some(ports(&[pod::WEB_PORT], &["TCP"])),
        }],
        Role::Node(..) => Vec::new(),
    }
}

/// Where the package comes from, if not from NATS.
fn registry(options: &Options) -> Option<NetworkPolicyEgressRule> {
    let Reference::Oci(oci) = &options.package else { return None };
    let port = if options.plain_http { 80 } else { 443 };
    Some(Place::new(&oci.registry, &[port]).of_registry(&options.namespace))
}

/// The servers of a cluster are often behind one rule.
fn distinct(rules: &mut Vec<NetworkPolicyEgressRule>) {
    let mut seen = Vec::new();
    rules.retain(|rule| {
        let is_new = !seen.contains(rule);
        if is_new {
            seen.push(rule.clone());
        }
        is_new
    });
}
