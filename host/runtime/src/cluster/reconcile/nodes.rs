//! What became of each node: Deployments and their pods to one line a node that says what is wrong. Pure.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use krt::names::ENTRYPOINT;

use crate::cluster::crd::NodeStatus;

/// Characters of a message that are kept: the status of fifty nodes must fit into one object.
const LONGEST: usize = 400;

/// What is wrong with a node, in one word; the message is the pod's or the cluster's own.
pub(super) mod reason {
    pub(in crate::cluster) const IMAGE: &str = "ImagePull";
    pub(in crate::cluster) const CRASH: &str = "CrashLoop";
    pub(in crate::cluster) const POD: &str = "PodConfig";
    pub(in crate::cluster) const UNSCHEDULABLE: &str = "Unschedulable";
    pub(in crate::cluster) const QUOTA: &str = "QuotaExceeded";
    pub(in crate::cluster) const REFUSED: &str = "PodsRefused";
    pub(in crate::cluster) const LATE: &str = "NotReadyInTime";
}

/// One line a Deployment, in the order of their names, the entrypoint first.
pub(super) fn of(deployments: &[Deployment], pods: &[Pod]) -> Vec<NodeStatus> {
    let mut nodes: Vec<NodeStatus> = deployments.iter().map(|deployment| node(deployment, pods)).collect();
    nodes.sort_by(|a, b| (&a.workflow, &a.name).cmp(&(&b.workflow, &b.name)));
    nodes
}

/// Whether all that is wanted is ready, and nothing older is left.
pub(super) fn rolled_out(deployment: &Deployment) -> bool {
    let wanted = replicas(deployment);
    let Some(status) = &deployment.status else { return wanted == 0 };
    let is_current = status.observed_generation >= deployment.metadata.generation;
    let (updated, all) = (status.updated_replicas.unwrap_or(0), status.replicas.unwrap_or(0));
    is_current && updated == wanted && all == updated && status.available_replicas.unwrap_or(0) >= wanted
}

fn replicas(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

fn node(deployment: &Deployment, pods: &[Pod]) -> NodeStatus {
    let label = |name: &str| deployment.metadata.labels.as_ref().and_then(|labels| labels.get(name)).cloned();
    let replicas = replicas(deployment);
    let status = deployment.status.as_ref();
    let ready = if rolled_out(deployment) {
        replicas
    } else {
        // Old pods that are still ready do not count for what is wanted now.
        let updated = status.and_then(|status| status.updated_replicas).unwrap_or(0);
        status.and_then(|status| status.ready_replicas).unwrap_or(0).min(updated).min(replicas)
    };
    let trouble = trouble(deployment, pods);
    let (reason, message) = trouble.map(|(reason, message)| (reason.to_owned(), one_line(&message))).unzip();
    let workflow = label("workflow-name").filter(|workflow| workflow != ENTRYPOINT);
    NodeStatus {
        name: label("node-name").unwrap_or_else(|| ENTRYPOINT.to_owned()),
        workflow,
        deployment: deployment.metadata.name.clone().unwrap_or_default(),
        replicas,
        ready,
        reason,
        message,
    }
}

/// What a person would have to know first.
fn trouble(deployment: &Deployment, pods: &[Pod]) -> Option<(&'static str, String)> {
    if rolled_out(deployment) {
        return None;
    }
    let mut own: Vec<&Pod> = pods.iter().filter(|pod| belongs(pod, deployment)).collect();
    // The newest tell of what is wanted now.
    own.sort_by(|a, b| b.metadata.creation_timestamp.cmp(&a.metadata.creation_timestamp));
    if let Some(found) = own.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).find_map(of_pod) {
        return Some(found);
    }
    let conditions = deployment.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let is = |kind: &str, status: &str| {
        let found = conditions.iter().find(|condition| condition.type_ == kind && condition.status == status);
        found
            .map(|condition| (condition.reason.as_deref().unwrap_or(""), condition.message.clone().unwrap_or_default()))
    };
    if let Some((_, message)) = is("ReplicaFailure", "True") {
        let reason = if message.contains("exceeded quota") { reason::QUOTA } else { reason::REFUSED };
        return Some((reason, message));
    }
    match is("Progressing", "False") {
        Some(("ProgressDeadlineExceeded", message)) => Some((reason::LATE, message)),
        _ => None,
    }
}

fn belongs(pod: &Pod, deployment: &Deployment) -> bool {
    let selector = deployment.spec.as_ref().and_then(|spec| spec.selector.match_labels.as_ref());
    let (Some(selector), Some(labels)) = (selector, &pod.metadata.labels) else { return false };
    pod.metadata.namespace == deployment.metadata.namespace
        && selector.iter().all(|(name, value)| labels.get(name) == Some(value))
}

fn of_pod(pod: &Pod) -> Option<(&'static str, String)> {
    let status = pod.status.as_ref()?;
    let unscheduled = status.conditions.iter().flatten().find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
    });
    if let Some(condition) = unscheduled {
        let says = condition.message.clone().unwrap_or_default();
        // The scheduler names the first thing that a machine lacks, which may be a label.
        let gpu = if wants_gpu(pod) { "no machine has a free GPU for it: " } else { "" };
        return Some((reason::UNSCHEDULABLE, format!("{gpu}{says}")));
    }
    let all = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    all.into_iter().find_map(of_container)
}

fn wants_gpu(pod: &Pod) -> bool {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut limits = containers.filter_map(|it| it.resources.as_ref()?.limits.as_ref());
    limits.any(|limits| limits.contains_key("nvidia.com/gpu"))
}

fn of_container(container: &ContainerStatus) -> Option<(&'static str, String)> {
    let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
    let why = waiting.and_then(|waiting| waiting.reason.as_deref()).unwrap_or_default();
    let says = || waiting.and_then(|waiting| waiting.message.clone()).unwrap_or_else(|| why.to_owned());
    match why {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" | "ImageInspectError" => {
            return Some((reason::IMAGE, says()));
        }
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            return Some((reason::POD, says()));
        }
        _ => {}
    }
    let ended = |state: &Option<k8s_openapi::api::core::v1::ContainerState>| {
        state.as_ref().and_then(|state| state.terminated.clone()).filter(|ended| ended.exit_code != 0)
    };
    let ended = ended(&container.state).or_else(|| ended(&container.last_state))?;
    if container.ready {
        return None;
    }
    let said = ended.message.as_deref().and_then(|text| text.lines().map(str::trim).rfind(|line| !line.is_empty()));
    let how = match ended.reason.as_deref() {
        Some(reason) if reason != "Error" => format!("{reason}, exit code {}", ended.exit_code),
        _ => format!("exit code {}", ended.exit_code),
    };
    Some((reason::CRASH, said.map_or_else(|| how.clone(), |said| format!("{how}: {said}"))))
}

/// Without line ends, and not longer than [`LONGEST`].
pub(super) fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn deployment(status: Value) -> Deployment {
        let value = json!({
            "metadata": {
                "name": "v1-w-etl", "namespace": "a", "generation": 2,
                "labels": { "node-name": "etl", "workflow-name": "w" },
            },
            "spec": { "replicas": 2, "selector": { "matchLabels": { "node-id": "x" } }, "template": {} },
            "status": status,
        });
        serde_json::from_value(value).expect("a Deployment")
    }

    fn pod(status: Value) -> Pod {
        let metadata = json!({ "name": "v1-w-etl-1", "namespace": "a", "labels": { "node-id": "x" } });
        serde_json::from_value(json!({ "metadata": metadata, "status": status })).expect("a Pod")
    }

    fn waiting(reason: &str, message: &str) -> Value {
        json!({ "containerStatuses": [{
            "name": "c", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "waiting": { "reason": reason, "message": message } },
        }] })
    }

    fn said(deployment: &Deployment, pods: &[Pod]) -> (Option<String>, Option<String>) {
        let node = of(std::slice::from_ref(deployment), pods).remove(0);
        (node.reason, node.message)
    }

    #[test]
    fn a_node_is_ready_when_all_its_pods_are_those_that_are_wanted_now() {
        let all = json!({ "observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2 });
        assert!(rolled_out(&deployment(all.clone())));
        for (field, value) in
            [("observedGeneration", 1), ("replicas", 3), ("updatedReplicas", 1), ("availableReplicas", 1)]
        {
            let mut other = all.clone();
            other[field] = value.into();
            assert!(!rolled_out(&deployment(other)), "{field}");
        }
        assert!(!rolled_out(&deployment(json!({}))));
    }

    #[test]
    fn what_is_wrong_is_told_in_the_words_of_the_pod() {
        let starting = deployment(json!({ "observedGeneration": 2 }));
        let pull = pod(waiting("ImagePullBackOff", "Back-off pulling image \"nope\""));
        assert_eq!(
            said(&starting, &[pull]),
            (Some("ImagePull".into()), Some("Back-off pulling image \"nope\"".into()))
        );
        let mut crash = waiting("CrashLoopBackOff", "back-off 10s");
        crash["containerStatuses"][0]["lastState"] =
            json!({ "terminated": { "exitCode": 1, "reason": "Error", "message": "warming up\nerror: no\n" } });
        assert_eq!(said(&starting, &[pod(crash)]), (Some("CrashLoop".into()), Some("exit code 1: error: no".into())));
        let gpu = json!({ "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.",
        }] });
        let (reason, message) = said(&starting, &[pod(gpu)]);
        assert_eq!(reason.as_deref(), Some("Unschedulable"));
        assert!(message.is_some_and(|message| message.contains("nvidia.com/gpu")));
        assert_eq!(said(&starting, &[pod(json!({}))]), (None, None));
    }

    #[test]
    fn a_quota_that_is_exceeded_is_told_though_there_is_no_pod() {
        let refused = |message: &str| {
            let failure =
                json!({ "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message });
            deployment(json!({ "observedGeneration": 2, "conditions": [failure] }))
        };
        let quota = refused("pods \"v1-w-etl-1\" is forbidden: exceeded quota: small, requested: pods=1");
        assert_eq!(said(&quota, &[]).0.as_deref(), Some("QuotaExceeded"));
        assert_eq!(said(&refused("violates PodSecurity"), &[]).0.as_deref(), Some("PodsRefused"));
    }

    #[test]
    fn messages_are_one_line_of_bounded_length() {
        let line = one_line(&"é \n".repeat(1000));
        assert!(!line.contains('\n') && line.chars().count() <= LONGEST + 2, "{line}");
    }
}
