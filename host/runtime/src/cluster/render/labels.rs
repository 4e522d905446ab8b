//! What objects find each other by. Values are exact wherever Kubernetes takes them as they are.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use krt::environment::{node_id, workflow_id};
use krt::names::{self, ENTRYPOINT};

use super::{Role, Scene};

pub(super) type Labels = BTreeMap<String, String>;

/// Characters that a label's value may have.
const LONGEST: usize = 63;

/// Metadata of an object of the version.
pub(super) fn metadata(scene: &Scene<'_>, name: String, labels: Labels) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(scene.options.namespace.clone()),
        labels: Some(labels),
        ..ObjectMeta::default()
    }
}

/// By which a Deployment, a Service and a policy find pods. They never change: a Deployment's selector cannot.
pub(super) fn selector(scene: &Scene<'_>, role: Role<'_>) -> Labels {
    match role {
        Role::Entrypoint => entrypoint(&scene.topology.version),
        Role::Node(workflow, node) => labels([
            ("type", "node"),
            ("version-name", &scene.topology.version),
            ("workflow-name", &workflow.name),
            ("node-name", &node.name),
        ]),
    }
}

/// The two labels of the entrypoint's Service, which are its selector, too.
pub(super) fn entrypoint(version: &str) -> Labels {
    labels([("type", ENTRYPOINT), ("version-name", &names::entrypoint_deployment(version))])
}

/// Of a Deployment, its pods and what goes with it.
pub(super) fn of(scene: &Scene<'_>, role: Role<'_>) -> Labels {
    let mut all = of_krt(scene, role_name(role));
    all.extend(selector(scene, role));
    all.extend(match role {
        Role::Entrypoint => labels([("workflow-name", ENTRYPOINT), ("node-name", ENTRYPOINT), ("node-id", ENTRYPOINT)]),
        Role::Node(workflow, node) => {
            labels([("node-id", &node_id(workflow, node)), ("workflow-id", &workflow_id(workflow))])
        }
    });
    all
}

/// Of what belongs to the version as a whole.
pub(super) fn of_version(scene: &Scene<'_>) -> Labels {
    let mut all = of_krt(scene, "version");
    all.extend(labels([("type", "version"), ("version-name", &scene.topology.version)]));
    all
}

fn of_krt(scene: &Scene<'_>, component: &str) -> Labels {
    labels([
        ("runtime-id", scene.names.runtime_id()),
        ("app.kubernetes.io/name", "krt"),
        ("app.kubernetes.io/instance", &scene.topology.version),
        ("app.kubernetes.io/component", component),
        ("app.kubernetes.io/managed-by", "krt"),
    ])
}

fn role_name(role: Role<'_>) -> &'static str {
    match role {
        Role::Entrypoint => ENTRYPOINT,
        Role::Node(..) => "node",
    }
}

fn labels<const N: usize>(pairs: [(&str, &str); N]) -> Labels {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), label_value(value))).collect()
}

/// `text` if it may stand as a label's value; else what of it may, and a hash of it.
pub(super) fn label_value(text: &str) -> String {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let edge = |b: Option<u8>| b.is_none_or(|b| b.is_ascii_alphanumeric());
    let is_legal = text.bytes().all(inner) && edge(text.bytes().next()) && edge(text.bytes().last());
    if is_legal && text.len() <= LONGEST {
        return text.to_owned();
    }
    // A legal beginning; the hash of the whole tells it from others.
    let begun: String = text.bytes().map(|b| if inner(b) { char::from(b) } else { '-' }).collect();
    let begun = format!("krt-{begun}");
    names::shortened(&begun, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legal_values_stay_and_others_become_legal_and_distinct() {
        for text in ["kre", "Team_a-1", "a.b", "", &"a".repeat(63)] {
            assert_eq!(label_value(text), text);
        }
        let long = "a".repeat(64);
        let odd = ["-a", "a-", "_", "a b", "é", &long].map(label_value);
        for value in &odd {
            assert_eq!(label_value(value), *value, "is legal");
        }
        assert_eq!(odd.iter().collect::<std::collections::BTreeSet<_>>().len(), odd.len());
    }
}
