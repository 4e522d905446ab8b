//! The environment of containers: what runners of the original insist on, for all nodes alike, and what krt's own read.

use k8s_openapi::api::core::v1::{
    ConfigMapEnvSource, ConfigMapKeySelector, EnvFromSource, EnvVar, EnvVarSource, SecretKeySelector,
};
use krt::environment::{Places, of_node};
use krt::names::ENTRYPOINT;
use krt::topology::{Node, NodeKind, Workflow};

use super::{KeyRef, Scene, Value, pod, settings};

/// Of a node's container, wasm or native: the version's references first, then what the platform sets. Names are unique.
pub(super) fn of_a_node(scene: &Scene<'_>, workflow: &Workflow, node: &Node) -> Vec<EnvVar> {
    let places = Places { package: pod::PACKAGE, nats: &nats_server(scene), mongo: "", influx: "" };
    let mut set: Vec<EnvVar> =
        of_node(&places, scene.names, workflow, node).into_iter().map(|(name, value)| text(name, value)).collect();
    let databases = &scene.options.databases;
    for (name, uri) in [("KRT_MONGO_URI", &databases.mongo), ("KRT_INFLUX_URI", &databases.influx)] {
        if let Some(uri) = uri {
            replace(&mut set, of(name, &uri.value));
        }
    }
    match &node.kind {
        NodeKind::Wasm(_) => {
            set.extend(of_krt(scene));
            set.push(text("KRT_GRACE", pod::grace(node).as_secs().to_string()));
            let compiled = scene.options.compiled.iter().find(|compiled| compiled.src == node.src);
            set.extend(compiled.map(|compiled| text("KRT_COMPILED", compiled.reference.clone())));
        }
        NodeKind::Native { .. } => {
            if let Some(url) = &scene.options.nats.native_url {
                replace(&mut set, of("KRT_NATS_SERVER", &Value::Secret(url.clone())));
            }
        }
    }
    with_references(scene, set)
}

/// Of the entrypoint's container, which gets none of the version's configuration.
pub(super) fn of_the_entrypoint(scene: &Scene<'_>) -> Vec<EnvVar> {
    let seconds = scene.options.request_timeout.as_secs_f64().to_string();
    let mut all = vec![
        text("KRT_RUNTIME_ID", scene.names.runtime_id()),
        text("KRT_VERSION_ID", scene.names.version()),
        text("KRT_VERSION", scene.names.version()),
        text("KRT_WORKFLOW_NAME", ENTRYPOINT),
        text("KRT_WORKFLOW_ID", ENTRYPOINT),
        text("KRT_NODE_NAME", ENTRYPOINT),
        text("KRT_NODE_ID", ENTRYPOINT),
        text("KRT_BASE_PATH", pod::PACKAGE),
        text("KRT_NATS_SERVER", nats_server(scene)),
        text("KRT_NATS_SUBJECTS_FILE", format!("{}/{}", pod::SETTINGS, settings::SUBJECTS)),
        text("KRT_REQUEST_TIMEOUT", seconds),
        text("KRT_JS_REQUEST_TIMEOUT", "5"),
        text("KRT_GRPC_ADDR", format!("0.0.0.0:{}", pod::GRPC_PORT)),
        text("KRT_GRACE", pod::ENTRYPOINT_GRACE.as_secs().to_string()),
    ];
    all.extend(of_krt(scene));
    all
}

/// Of the container that fetches the package for a native node.
pub(super) fn of_the_downloader(scene: &Scene<'_>) -> Vec<EnvVar> {
    let mut all = vec![text("KRT_RUNTIME_ID", scene.names.runtime_id()), text("KRT_NATS_SERVER", nats_server(scene))];
    all.extend(reaching(scene));
    all
}

/// Where a container takes the values of the configuration from that are given as such.
pub(super) fn values(scene: &Scene<'_>) -> Option<Vec<EnvFromSource>> {
    settings::has_values(scene).then(|| {
        vec![EnvFromSource {
            config_map_ref: Some(ConfigMapEnvSource {
                name: settings::values_name(&scene.topology.version),
                optional: None,
            }),
            ..EnvFromSource::default()
        }]
    })
}

/// What krt's own pods read, and no runner of the original.
fn of_krt(scene: &Scene<'_>) -> Vec<EnvVar> {
    let mut all = vec![text("KRT_WEB_ADDR", format!("0.0.0.0:{}", pod::WEB_PORT)), text("KRT_CACHE_DIR", pod::CACHE)];
    all.extend(reaching(scene));
    all
}

/// How NATS and the registry are reached.
fn reaching(scene: &Scene<'_>) -> Vec<EnvVar> {
    let options = scene.options;
    let mut all = vec![match &options.nats.own_url {
        Some(key) => of("KRT_NATS_URL", &Value::Secret(key.clone())),
        None => text("KRT_NATS_URL", options.nats.urls.join(",")),
    }];
    if let Some(key) = &options.nats.credentials {
        all.push(text("KRT_NATS_CREDS", format!("{}/{}", pod::CREDENTIALS, key.key)));
    }
    if let Some(key) = &options.nats.authorities {
        all.push(text("KRT_NATS_CA", format!("{}/{}", pod::AUTHORITIES, key.key)));
    }
    if options.registry_secret.is_some() {
        all.push(text("DOCKER_CONFIG", pod::REGISTRY));
    }
    if options.verify_key.is_some() {
        all.push(text("KRT_VERIFY_KEY", format!("{}/{}", pod::SETTINGS, settings::VERIFY_KEY)));
    }
    if options.plain_http {
        all.push(text("KRT_PLAIN_HTTP", "true"));
    }
    all
}

/// `host:port` as the original's platform writes it, of one server: clients find the others of a cluster by it.
fn nats_server(scene: &Scene<'_>) -> String {
    let url = scene.options.nats.urls.first().map_or("", String::as_str);
    url.strip_prefix("nats://").unwrap_or(url).trim_end_matches('/').to_owned()
}

/// What the platform sets wins over the version's configuration, and a name may stand only once.
fn with_references(scene: &Scene<'_>, set: Vec<EnvVar>) -> Vec<EnvVar> {
    let is_free = |name: &str| !set.iter().any(|known| known.name == name);
    let referred = scene.options.variables.iter().filter(|it| !matches!(it.value, Value::Text(_)));
    let mut all: Vec<EnvVar> = Vec::new();
    for variable in referred {
        if is_free(&variable.name) && !all.iter().any(|known| known.name == variable.name) {
            all.push(of(&variable.name, &variable.value));
        }
    }
    all.extend(set);
    all
}

fn replace(all: &mut [EnvVar], with: EnvVar) {
    if let Some(known) = all.iter_mut().find(|known| known.name == with.name) {
        *known = with;
    }
}

fn of(name: &str, value: &Value) -> EnvVar {
    let refers = |source| EnvVar { name: name.to_owned(), value: None, value_from: Some(source) };
    match value {
        Value::Text(value) => text(name, value),
        Value::ConfigMap(KeyRef { name, key }) => refers(EnvVarSource {
            config_map_key_ref: Some(ConfigMapKeySelector { name: name.clone(), key: key.clone(), optional: None }),
            ..EnvVarSource::default()
        }),
        Value::Secret(KeyRef { name, key }) => refers(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector { name: name.clone(), key: key.clone(), optional: None }),
            ..EnvVarSource::default()
        }),
    }
}

fn text(name: &str, value: impl Into<String>) -> EnvVar {
    // `$(NAME)` in a value would be replaced; `$$` stands for `$`.
    EnvVar { name: name.to_owned(), value: Some(value.into().replace("$(", "$$(")), value_from: None }
}
