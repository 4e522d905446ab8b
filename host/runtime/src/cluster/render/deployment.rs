//! Deployments: of the entrypoint, of a node that is a component, of a node in an image of the original's.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{
    Container, Lifecycle, LifecycleHandler, PodSpec, PodTemplateSpec, SleepAction, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use krt::topology::{Node, NodeKind, Wasm, Workflow};

use super::probes::probed;
use super::{Role, Scene, environment, labels, pod, settings};

/// Of a pod's template: changes with the values of the configuration.
const CONFIGURATION: &str = "krt.konstellation.io/configuration";
/// Which of a pod's containers `kubectl logs` shows.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";
/// Earlier templates that are kept for looking back: none is gone back to, versions are.
const HISTORY: i32 = 2;

/// As many as the manifest says.
pub(super) fn replicas(scene: &Scene<'_>, role: Role<'_>) -> u32 {
    match role {
        Role::Entrypoint => scene.options.entrypoint_replicas,
        Role::Node(_, node) => node.replicas,
    }
}

pub(super) fn of(scene: &Scene<'_>, role: Role<'_>) -> Deployment {
    let selector = labels::selector(scene, role);
    let pod = match role {
        Role::Entrypoint => entrypoint(scene),
        Role::Node(workflow, node) => match &node.kind {
            NodeKind::Wasm(wasm) => component(scene, workflow, node, wasm),
            NodeKind::Native { image } => native(scene, workflow, node, image),
        },
    };
    let container = pod.containers.first().map(|container| container.name.clone()).unwrap_or_default();
    let mut annotations = BTreeMap::from([(DEFAULT_CONTAINER.to_owned(), container)]);
    if let (Role::Node(..), Some(digest)) = (role, settings::values_digest(scene)) {
        annotations.insert(CONFIGURATION.to_owned(), digest);
    }
    let has_gpu = matches!(role, Role::Node(_, node) if node.gpu);
    Deployment {
        metadata: labels::metadata(scene, role.name(scene), labels::of(scene, role)),
        spec: Some(DeploymentSpec {
            replicas: Some(i32::try_from(replicas(scene, role)).unwrap_or(i32::MAX)),
            revision_history_limit: Some(HISTORY),
            selector: LabelSelector { match_labels: Some(selector.clone()), ..LabelSelector::default() },
            strategy: Some(strategy(has_gpu)),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels::of(scene, role)),
                    annotations: Some(annotations),
                    ..ObjectMeta::default()
                }),
                spec: Some(PodSpec { topology_spread_constraints: Some(pod::spread(&selector)), ..pod }),
            },
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

/// The new pod is ready before the old one goes. There may be no GPU to spare for that: messages wait on the bus meanwhile.
fn strategy(has_gpu: bool) -> DeploymentStrategy {
    let (unavailable, surge) = if has_gpu { (1, 0) } else { (0, 1) };
    DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDeployment {
            max_unavailable: Some(IntOrString::Int(unavailable)),
            max_surge: Some(IntOrString::Int(surge)),
        }),
    }
}

fn entrypoint(scene: &Scene<'_>) -> PodSpec {
    let args = vec!["entrypoint".to_owned(), scene.options.package.to_string()];
    let container = Container {
        env: Some(environment::of_the_entrypoint(scene)),
        ports: Some(vec![pod::port("grpc", pod::GRPC_PORT), pod::port("web", pod::WEB_PORT)]),
        resources: Some(pod::resources_of_krt()),
        // Until every machine of the cluster knows that the pod is going, new connections come to it.
        lifecycle: Some(Lifecycle {
            pre_stop: Some(LifecycleHandler {
                sleep: Some(SleepAction { seconds: seconds(pod::UNROUTED) }),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        ..probed(pod::of_krt(scene, scene.topology.version.clone(), args))
    };
    let volumes = pod::volumes_of_krt(scene).into_iter().map(|(volume, _)| volume).collect();
    of_containers(scene, vec![container], volumes, pod::UNROUTED + pod::ENTRYPOINT_GRACE + pod::SPARE)
}

fn component(scene: &Scene<'_>, workflow: &Workflow, node: &Node, wasm: &Wasm) -> PodSpec {
    let args = vec!["host".to_owned(), scene.options.package.to_string()];
    let resources = pod::resources_of_host(wasm);
    let container = Container {
        env: Some(environment::of_a_node(scene, workflow, node)),
        env_from: environment::values(scene),
        ports: Some(vec![pod::port("web", pod::WEB_PORT)]),
        resources: Some(if node.gpu { pod::with_gpu(resources) } else { resources }),
        ..probed(pod::of_krt(scene, Role::Node(workflow, node).name(scene), args))
    };
    let volumes = pod::volumes_of_krt(scene).into_iter().map(|(volume, _)| volume).collect();
    with_gpu(node, of_containers(scene, vec![container], volumes, pod::grace(node) + pod::SPARE))
}

fn native(scene: &Scene<'_>, workflow: &Workflow, node: &Node, image: &str) -> PodSpec {
    let options = scene.options;
    let (package, package_mount) = pod::scratch("krt-base-path", pod::PACKAGE);
    let (log, log_mount) = pod::scratch("app-log-volume", "/var/log/app");
    // A container that is started again finds what the one before left.
    let args = vec!["fetch".to_owned(), options.package.to_string(), pod::PACKAGE.to_owned(), "--force".to_owned()];
    let mut downloader = Container {
        env: Some(environment::of_the_downloader(scene)),
        resources: Some(pod::resources_of_krt()),
        ..pod::of_krt(scene, "krt-files-downloader".to_owned(), args)
    };
    downloader.volume_mounts.get_or_insert_default().push(package_mount);
    let resources = pod::resources_of_native();
    let container = Container {
        name: Role::Node(workflow, node).name(scene),
        image: Some(options.images.replaced.get(image).cloned().unwrap_or_else(|| image.to_owned())),
        image_pull_policy: options.images.pull_policy.clone(),
        env: Some(environment::of_a_node(scene, workflow, node)),
        env_from: environment::values(scene),
        resources: Some(if node.gpu { pod::with_gpu(resources) } else { resources }),
        security_context: Some(pod::unconfined(options.images.native_user)),
        termination_message_policy: Some(pod::LAST_WORDS.to_owned()),
        volume_mounts: Some(vec![pod::mount("krt-base-path", pod::PACKAGE, true), log_mount]),
        ..Container::default()
    };
    let volumes = pod::volumes_of_krt(scene).into_iter().map(|(volume, _): (Volume, VolumeMount)| volume);
    let volumes = volumes.chain([package, log]).collect();
    let pod = of_containers(scene, vec![container], volumes, pod::grace(node) + pod::SPARE);
    with_gpu(node, PodSpec { init_containers: Some(vec![downloader]), ..pod })
}

fn of_containers(scene: &Scene<'_>, containers: Vec<Container>, volumes: Vec<Volume>, grace: Duration) -> PodSpec {
    PodSpec {
        automount_service_account_token: Some(false),
        containers,
        // Variables for every Service of the namespace would be in the nodes' environment otherwise.
        enable_service_links: Some(false),
        image_pull_secrets: pod::pull_secrets(scene),
        security_context: Some(pod::security()),
        service_account_name: Some(krt::names::kubernetes(scene.topology.version.clone())),
        termination_grace_period_seconds: Some(seconds(grace)),
        volumes: Some(volumes),
        ..PodSpec::default()
    }
}

fn with_gpu(node: &Node, pod: PodSpec) -> PodSpec {
    if !node.gpu {
        return pod;
    }
    PodSpec { node_selector: Some(pod::gpu_selector()), tolerations: Some(pod::gpu_tolerations()), ..pod }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
