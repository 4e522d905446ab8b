//! The version's ConfigMaps, by the names that the original's have after the runtime's id: values of its configuration, and
//! what it has on the bus.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use krt::names::{self, Names};
use krt::topology::Topology;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Scene, Value, labels};

/// In [`plan_name`]: methods with their subjects, as the original's entrypoint reads them (contract, 4.5).
pub(super) const SUBJECTS: &str = "nats_subject.json";
/// In [`plan_name`]: the public key that signs packages.
pub(super) const VERIFY_KEY: &str = "package.pub";

/// Name of the ConfigMap with values of the configuration.
pub(super) fn values_name(version: &str) -> String {
    names::kubernetes(format!("{version}-krt-conf"))
}

/// Name of the ConfigMap with what the version has on the bus.
pub(super) fn plan_name(version: &str) -> String {
    names::kubernetes(format!("{version}-conf-files"))
}

pub(super) fn config_maps(scene: &Scene<'_>) -> Vec<ConfigMap> {
    let version = &scene.topology.version;
    let mut maps = Vec::new();
    let values = values(scene);
    if !values.is_empty() {
        maps.push(config_map(scene, values_name(version), values));
    }
    maps.push(config_map(scene, plan_name(version), plan(scene)));
    maps
}

/// Values that are given as such, by name.
fn values(scene: &Scene<'_>) -> BTreeMap<String, String> {
    let text = |value: &Value| if let Value::Text(text) = value { Some(text.clone()) } else { None };
    scene.options.variables.iter().filter_map(|it| Some((it.name.clone(), text(&it.value)?))).collect()
}

/// Whether pods take values from the ConfigMap.
pub(super) fn has_values(scene: &Scene<'_>) -> bool {
    scene.options.variables.iter().any(|it| matches!(it.value, Value::Text(_)))
}

fn plan(scene: &Scene<'_>) -> BTreeMap<String, String> {
    let pretty = |value: &serde_json::Value| format!("{value:#}\n");
    let mut data = BTreeMap::from([
        ("package".to_owned(), scene.options.package.to_string()),
        // A value of strings and numbers always has a JSON form.
        ("plan.json".to_owned(), pretty(&json!(scene.plan))),
        (SUBJECTS.to_owned(), pretty(&subjects(scene.topology, scene.names))),
    ]);
    data.extend(scene.options.verify_key.clone().map(|key| (VERIFY_KEY.to_owned(), key)));
    data
}

fn subjects(topology: &Topology, names: &Names) -> serde_json::Value {
    let of = |workflow: &krt::topology::Workflow| {
        let stream = names.stream(&workflow.method);
        let exitpoint = &workflow.nodes[workflow.exitpoint].name;
        let subjects = json!({
            "stream": stream,
            "input_subject": names::node_subject(&stream, exitpoint),
            "output_subject": names::entrypoint_subject(&stream),
        });
        (workflow.method.clone(), subjects)
    };
    serde_json::Value::Object(topology.workflows.iter().map(of).collect())
}

/// Changes when a value does that nodes get, so that their pods are rolled; none when they get none.
pub(super) fn values_digest(scene: &Scene<'_>) -> Option<String> {
    let options = scene.options;
    if options.variables.is_empty() {
        return None;
    }
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    for variable in &options.variables {
        add(&variable.name);
        match &variable.value {
            Value::Text(text) => add(text),
            // Those are in the pod's template, which changes with them; what is there is the revision's to say.
            Value::ConfigMap(_) | Value::Secret(_) => {}
        }
    }
    add(options.variables_revision.as_deref().unwrap_or_default());
    Some(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

fn config_map(scene: &Scene<'_>, name: String, data: BTreeMap<String, String>) -> ConfigMap {
    ConfigMap {
        metadata: labels::metadata(scene, name, labels::of_version(scene)),
        data: Some(data),
        ..ConfigMap::default()
    }
}
