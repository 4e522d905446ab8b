//! The entrypoint's Service, exactly as the documentation of KRT prints it: no label more, no field less.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Scene, labels, pod};

/// The Service of whichever version is published.
pub const ACTIVE_ENTRYPOINT: &str = "active-entrypoint";

/// Of a started version: by its own name. It stays when the version is published.
pub(super) fn of_version(scene: &Scene<'_>) -> Service {
    service(scene.topology.version.clone(), &scene.topology.version, &scene.options.namespace)
}

/// Of a published version.
pub(super) fn active(version: &str, namespace: &str) -> Service {
    service(ACTIVE_ENTRYPOINT.to_owned(), version, namespace)
}

fn service(name: String, version: &str, namespace: &str) -> Service {
    let labels = labels::entrypoint(version);
    Service {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: Some(namespace.to_owned()),
            labels: Some(labels.clone()),
            ..ObjectMeta::default()
        },
        spec: Some(ServiceSpec {
            ports: Some(vec![port("grpc", 9000, pod::GRPC_PORT), port("web", 80, pod::WEB_PORT)]),
            selector: Some(labels),
            session_affinity: Some("None".to_owned()),
            type_: Some("ClusterIP".to_owned()),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn port(name: &str, port: i32, target: u16) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port,
        protocol: Some("TCP".to_owned()),
        target_port: Some(IntOrString::Int(i32::from(target))),
        ..ServicePort::default()
    }
}
