//! The objects of a version on Kubernetes, as a function from values to values. No IO, no async, no client.
//!
//! # Layout
//! One file for each kind of object: `service`, `deployment` (with the `pod` that all of them share, its
//! `environment` and its `probes`), `network`, `settings` (ConfigMaps). `labels` has what they find each other
//! by, `objects` the result and its YAML.

mod deployment;
mod environment;
mod labels;
mod network;
mod objects;
mod options;
mod place;
mod pod;
mod probes;
mod service;
mod settings;

#[cfg(test)]
mod tests;

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use krt::names::Names;
use krt::plan::Plan;
use krt::topology::{Node, Topology, Workflow};

pub use self::objects::{Document, Objects};
pub use self::options::{Compiled, Databases, Images, KeyRef, NatsPlace, Options, Uri, Value, Variable};
pub use self::service::ACTIVE_ENTRYPOINT;

/// What the functions beneath share.
#[derive(Clone, Copy)]
struct Scene<'a> {
    topology: &'a Topology,
    plan: &'a Plan,
    names: &'a Names,
    options: &'a Options,
}

/// One Deployment's part of the version.
#[derive(Clone, Copy)]
enum Role<'a> {
    Entrypoint,
    Node(&'a Workflow, &'a Node),
}

/// All objects of a started version. `plan` is what it has on the bus, made for the same runtime.
///
/// Equal arguments give equal objects, in the same order.
pub fn render(topology: &Topology, plan: &Plan, options: &Options) -> Objects {
    let names = Names::new(&plan.runtime_id, &topology.version);
    let scene = Scene { topology, plan, names: &names, options };
    let mut roles = vec![Role::Entrypoint];
    for workflow in &topology.workflows {
        roles.extend(workflow.nodes.iter().map(|node| Role::Node(workflow, node)));
    }
    let mut services = vec![service::of_version(&scene)];
    if options.published {
        services.push(active_entrypoint(&topology.version, &options.namespace));
    }
    Objects {
        service_account: service_account(&scene),
        config_maps: settings::config_maps(&scene),
        network_policies: roles.iter().map(|role| network::policy(&scene, *role)).collect(),
        disruption_budgets: roles.iter().filter_map(|role| disruption_budget(&scene, *role)).collect(),
        deployments: roles.iter().map(|role| deployment::of(&scene, *role)).collect(),
        services,
    }
}

/// Service `active-entrypoint` of a namespace, leading to `version`: publishing another replaces its selector in place.
pub fn active_entrypoint(version: &str, namespace: &str) -> k8s_openapi::api::core::v1::Service {
    service::active(version, namespace)
}

/// Pods need no token: none of them speaks to the API.
fn service_account(scene: &Scene<'_>) -> ServiceAccount {
    ServiceAccount {
        metadata: labels::metadata(
            scene,
            krt::names::kubernetes(scene.topology.version.clone()),
            labels::of_version(scene),
        ),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

/// One pod at a time may be taken from where there are several. A budget for a single one would only hold up a drain.
fn disruption_budget(scene: &Scene<'_>, role: Role<'_>) -> Option<PodDisruptionBudget> {
    if deployment::replicas(scene, role) < 2 {
        return None;
    }
    Some(PodDisruptionBudget {
        metadata: labels::metadata(scene, role.name(scene), labels::of(scene, role)),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            // A pod that is not ready answers nobody: it may go.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            selector: Some(LabelSelector {
                match_labels: Some(labels::selector(scene, role)),
                ..LabelSelector::default()
            }),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    })
}

impl Role<'_> {
    /// Name of the Deployment, and of what goes with it.
    fn name(self, scene: &Scene<'_>) -> String {
        let version = &scene.topology.version;
        match self {
            Self::Entrypoint => krt::names::entrypoint_deployment(version),
            Self::Node(workflow, node) => krt::names::deployment(version, &workflow.name, &node.name),
        }
    }
}
