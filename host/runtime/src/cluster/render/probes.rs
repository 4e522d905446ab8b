//! Probes on the web of krt's own processes. Runners of the original have no place to ask.

use k8s_openapi::api::core::v1::{Container, HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// `container`, asked whether it lives and is ready.
pub(super) fn probed(container: Container) -> Container {
    Container {
        // Answered from the first moment on, but a node of a cluster may be busy: a minute.
        startup_probe: Some(Probe { failure_threshold: Some(60), ..get("/live", 1) }),
        liveness_probe: Some(Probe { failure_threshold: Some(3), ..get("/live", 10) }),
        // A process that is not ready gets no calls; what it says then tells what it waits for.
        readiness_probe: Some(Probe { failure_threshold: Some(2), ..get("/ready", 2) }),
        ..container
    }
}

fn get(path: &str, period: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("web".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(5),
        ..Probe::default()
    }
}
