//! What all pods of a version share: the restricted profile, volumes, and what they may use.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, KeyToPath,
    LocalObjectReference, PodSecurityContext, ResourceRequirements, SeccompProfile, SecretVolumeSource,
    SecurityContext, Toleration, TopologySpreadConstraint, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use krt::topology::{Node, NodeKind, Wasm};

use super::labels::Labels;
use super::{Scene, settings};

pub(super) const GRPC_PORT: u16 = 9000;
pub(super) const WEB_PORT: u16 = 8080;

/// Where nodes find the package.
pub(super) const PACKAGE: &str = "/krt-files";
/// Where the original's platform puts the file with subjects.
pub(super) const SETTINGS: &str = "/src/conf";
/// Compiled components: a folder that the process makes in a volume, since it must be the process's own.
pub(super) const CACHE: &str = "/var/cache/krt/components";
pub(super) const CREDENTIALS: &str = "/etc/krt/nats-credentials";
pub(super) const AUTHORITIES: &str = "/etc/krt/nats-authorities";
pub(super) const REGISTRY: &str = "/etc/krt/registry";

/// Of the user in krt's image.
const USER: i64 = 65532;

/// How long calls in flight may take when the entrypoint stops.
pub(super) const ENTRYPOINT_GRACE: Duration = Duration::from_secs(30);
/// How long nodes of a cluster may take to learn that a pod gets no more connections.
pub(super) const UNROUTED: Duration = Duration::from_secs(5);
/// Between a process's own grace and the end that Kubernetes makes of it: to close connections, to send what is left.
pub(super) const SPARE: Duration = Duration::from_secs(10);
/// krt's own default for a node, and the longest that a pod holds up a drain for its sake.
const GRACE: std::ops::RangeInclusive<Duration> = Duration::from_secs(20)..=Duration::from_secs(600);

/// What a container that failed said last stands in its pod's status, where a person looks first.
pub(super) const LAST_WORDS: &str = "FallbackToLogsOnError";

const MIB: u64 = 1 << 20;

/// How long what a node has in hand may take when it stops: as long as a message may.
pub(super) fn grace(node: &Node) -> Duration {
    match &node.kind {
        NodeKind::Wasm(wasm) => (wasm.timeout + Duration::from_millis(999)).clamp(*GRACE.start(), *GRACE.end()),
        NodeKind::Native { .. } => *GRACE.start(),
    }
}

pub(super) fn security() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
        ..PodSecurityContext::default()
    }
}

/// Of krt's own containers.
pub(super) fn confined() -> SecurityContext {
    SecurityContext {
        read_only_root_filesystem: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        ..unprivileged()
    }
}

/// Of native nodes. Their images write beside their program: the launcher of the one for Go copies the node there.
pub(super) fn unconfined(user: Option<i64>) -> SecurityContext {
    SecurityContext { run_as_user: user, ..unprivileged() }
}

fn unprivileged() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { add: None, drop: Some(vec!["ALL".to_owned()]) }),
        run_as_non_root: Some(true),
        ..SecurityContext::default()
    }
}

/// What a container of krt's image has in any case.
pub(super) fn of_krt(scene: &Scene<'_>, name: String, args: Vec<String>) -> Container {
    let mounts = volumes_of_krt(scene).into_iter().map(|(_, mount)| mount).collect();
    Container {
        name,
        image: Some(scene.options.images.krt.clone()),
        image_pull_policy: scene.options.images.pull_policy.clone(),
        args: Some(args),
        security_context: Some(confined()),
        termination_message_policy: Some(LAST_WORDS.to_owned()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

/// Volumes of containers of krt's image, and where each is mounted.
pub(super) fn volumes_of_krt(scene: &Scene<'_>) -> Vec<(Volume, VolumeMount)> {
    let options = scene.options;
    let mut all = vec![scratch("tmp", "/tmp"), scratch("cache", "/var/cache/krt")];
    all.push((
        Volume {
            name: "settings".to_owned(),
            config_map: Some(ConfigMapVolumeSource {
                name: settings::plan_name(&scene.topology.version),
                ..ConfigMapVolumeSource::default()
            }),
            ..Volume::default()
        },
        mount("settings", SETTINGS, true),
    ));
    let mut secret = |volume: &str, name: &str, key: &str, file: &str, path: &str| {
        let item = KeyToPath { key: key.to_owned(), path: file.to_owned(), mode: None };
        let source = SecretVolumeSource {
            secret_name: Some(name.to_owned()),
            items: Some(vec![item]),
            ..SecretVolumeSource::default()
        };
        let volume = Volume { name: volume.to_owned(), secret: Some(source), ..Volume::default() };
        let mounted = mount(&volume.name, path, true);
        all.push((volume, mounted));
    };
    if let Some(key) = &options.nats.credentials {
        secret("nats-credentials", &key.name, &key.key, &key.key, CREDENTIALS);
    }
    if let Some(key) = &options.nats.authorities {
        secret("nats-authorities", &key.name, &key.key, &key.key, AUTHORITIES);
    }
    if let Some(name) = &options.registry_secret {
        secret("registry", name, ".dockerconfigjson", "config.json", REGISTRY);
    }
    all
}

/// An empty folder that ends with the pod.
pub(super) fn scratch(name: &str, path: &str) -> (Volume, VolumeMount) {
    let volume =
        Volume { name: name.to_owned(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Volume::default() };
    (volume, mount(name, path, false))
}

pub(super) fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

pub(super) fn port(name: &str, port: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: i32::from(port),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

pub(super) fn pull_secrets(scene: &Scene<'_>) -> Option<Vec<LocalObjectReference>> {
    let names = &scene.options.images.pull_secrets;
    (!names.is_empty()).then(|| names.iter().map(|name| LocalObjectReference { name: name.clone() }).collect())
}

/// Over machines and zones as far as there are any. A pod that could not be spread still runs.
pub(super) fn spread(selector: &Labels) -> Vec<TopologySpreadConstraint> {
    let over = |key: &str| TopologySpreadConstraint {
        max_skew: 1,
        topology_key: key.to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(LabelSelector { match_labels: Some(selector.clone()), ..LabelSelector::default() }),
        // Pods of the template before are on their way out.
        match_label_keys: Some(vec!["pod-template-hash".to_owned()]),
        ..TopologySpreadConstraint::default()
    };
    vec![over("kubernetes.io/hostname"), over("topology.kubernetes.io/zone")]
}

/// Of a host: as much memory as its instances may hold, the successor of one of them included, and its own.
pub(super) fn resources_of_host(wasm: &Wasm) -> ResourceRequirements {
    let instances = u64::from(wasm.concurrency) + 1;
    // 256 MiB: compiled code, messages in hand, and what compiling takes where nothing was compiled beforehand.
    let limit = (256 * MIB).saturating_add(wasm.memory.saturating_mul(instances));
    resources(64, Some(limit.div_ceil(MIB)))
}

/// Of krt's other containers.
pub(super) fn resources_of_krt() -> ResourceRequirements {
    resources(64, Some(512))
}

/// Of a native node. What it may use is not in the manifest, so there is no limit but what the namespace sets.
pub(super) fn resources_of_native() -> ResourceRequirements {
    resources(128, None)
}

fn resources(request: u64, limit: Option<u64>) -> ResourceRequirements {
    let mebibytes = |n: u64| ("memory".to_owned(), Quantity(format!("{n}Mi")));
    let cpu = ("cpu".to_owned(), Quantity("50m".to_owned()));
    ResourceRequirements {
        requests: Some(BTreeMap::from([cpu, mebibytes(request)])),
        limits: limit.map(|limit| BTreeMap::from([mebibytes(limit)])),
        claims: None,
    }
}

/// One GPU, as the original asks for it.
pub(super) fn with_gpu(mut resources: ResourceRequirements) -> ResourceRequirements {
    let one = || ("nvidia.com/gpu".to_owned(), Quantity("1".to_owned()));
    resources.requests.get_or_insert_default().extend([one()]);
    resources.limits.get_or_insert_default().extend([one()]);
    resources
}

pub(super) fn gpu_selector() -> BTreeMap<String, String> {
    BTreeMap::from([("konstellation.io/gpu".to_owned(), "true".to_owned())])
}

pub(super) fn gpu_tolerations() -> Vec<Toleration> {
    let exists = |key: &str| Toleration {
        key: Some(key.to_owned()),
        operator: Some("Exists".to_owned()),
        effect: Some("NoSchedule".to_owned()),
        ..Toleration::default()
    };
    vec![exists("konstellation.io/gpu"), exists("nvidia.com/gpu")]
}
