//! What a cluster lacks for a user's versions: whether it answers, knows versions, lets this user, and has an operator at
//! work. Only looks; never changes anything.

use std::time::Duration;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{Api, ListParams, PostParams};

use super::client::Connection;
use super::crd::{GROUP, definition};

/// An API server that does not answer within this time is away.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the definition of the resource is.
const DEFINITION: &str = "charts/krt/crds/versions.yaml";

/// Leases of operators carry this label, so that they are found wherever they are.
pub const LEASE_LABEL: (&str, &str) = ("krt.konstellation.io/lease", "operator");

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It could not be found out, and need not be wrong.
    Unknown,
    /// Not as it should be.
    Wrong,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub what: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found, in a few words.
    pub found: String,
    /// What to do; empty where there is nothing to do.
    pub help: String,
}

/// What a user does, and the rights that it takes: resource, subresource, verbs.
struct Deed {
    what: &'static str,
    group: &'static str,
    resource: &'static str,
    subresource: &'static str,
    verbs: &'static [&'static str],
}

const DEEDS: [Deed; 4] = [
    Deed { what: "status", group: GROUP, resource: "versions", subresource: "", verbs: &["get", "list", "watch"] },
    Deed {
        what: "deploy, start, publish, config",
        group: GROUP,
        resource: "versions",
        subresource: "",
        verbs: &["create", "patch"],
    },
    Deed { what: "delete", group: GROUP, resource: "versions", subresource: "", verbs: &["delete"] },
    Deed { what: "logs", group: "", resource: "pods", subresource: "", verbs: &["list", "watch"] },
];

/// `logs` takes this right, too.
const POD_LOGS: Deed = Deed { what: "logs of pods", group: "", resource: "pods", subresource: "log", verbs: &["get"] };

impl Finding {
    /// One that is as it should be.
    pub fn good(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Good, found: found.into(), help: String::new() }
    }

    /// One that could not be found out.
    pub fn unknown(what: &'static str, found: impl Into<String>, help: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Unknown, found: found.into(), help: help.into() }
    }

    /// One that is not as it should be.
    pub fn wrong(what: &'static str, found: impl Into<String>, help: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Wrong, found: found.into(), help: help.into() }
    }
}

/// Looks at a cluster for what versions in `namespace` need of it. Of a cluster that does not answer that is all that is said.
pub async fn inspect(connection: &Connection, namespace: &str) -> Vec<Finding> {
    let server = api_server(connection).await;
    if server.verdict == Verdict::Wrong {
        return vec![server];
    }
    let mut findings = vec![server, versions_known(connection).await];
    for deed in DEEDS.iter().chain([&POD_LOGS]) {
        findings.push(may(connection, namespace, deed).await);
    }
    findings.extend(operators(connection, namespace).await);
    findings
}

async fn api_server(connection: &Connection) -> Finding {
    const WHAT: &str = "API server";
    let help = || format!("is {} the cluster that is meant? See kubectl config get-contexts", connection.server);
    match tokio::time::timeout(PATIENCE, connection.client.apiserver_version()).await {
        Ok(Ok(version)) => Finding::good(WHAT, format!("{} at {}", version.git_version, connection.server)),
        Ok(Err(error)) => Finding::wrong(WHAT, in_words(&error), help()),
        Err(_) => Finding::wrong(WHAT, format!("no answer within {} s", PATIENCE.as_secs()), help()),
    }
}

async fn versions_known(connection: &Connection) -> Finding {
    const WHAT: &str = "resource Version";
    let ours = definition();
    let version = ours.spec.versions.first().map(|it| it.name.clone()).unwrap_or_default();
    let missing = || Finding::wrong(WHAT, "missing", format!("install krt's chart, or kubectl apply -f {DEFINITION}"));
    let name = ours.metadata.name.clone().unwrap_or_default();
    match Api::<CustomResourceDefinition>::all(connection.client.clone()).get_opt(&name).await {
        Ok(None) => missing(),
        Ok(Some(theirs)) if schema(&theirs, &version) == schema(&ours, &version) => {
            Finding::good(WHAT, format!("{version}, as this krt knows it"))
        }
        Ok(Some(_)) => {
            let help = format!("use the krt of the cluster's chart, or kubectl apply --server-side -f {DEFINITION}");
            Finding::wrong(WHAT, format!("{version}, of another krt"), help)
        }
        // Who may not read definitions may still ask what is served.
        Err(error) if is_forbidden(&error) => {
            let served = connection.client.list_api_group_resources(&format!("{GROUP}/{version}")).await;
            match served {
                Ok(served) if served.resources.iter().any(|it| it.kind == "Version") => {
                    Finding::good(WHAT, format!("{version}; you may not read its definition"))
                }
                Ok(_) => missing(),
                Err(error) if is_status(&error, 404) => missing(),
                Err(error) => Finding::unknown(WHAT, in_words(&error), ""),
            }
        }
        Err(error) => Finding::unknown(WHAT, in_words(&error), ""),
    }
}

/// The part of a definition that says what a `version` of the resource is. What the API server fills in is not in it.
fn schema(definition: &CustomResourceDefinition, version: &str) -> Option<serde_json::Value> {
    let version = definition.spec.versions.iter().find(|it| it.name == version)?;
    serde_json::to_value(&version.schema).ok()
}

async fn may(connection: &Connection, namespace: &str, deed: &Deed) -> Finding {
    let mut refused = Vec::new();
    for verb in deed.verbs {
        match allowed(connection, namespace, deed, verb).await {
            Ok(true) => {}
            Ok(false) => refused.push(*verb),
            Err(error) => return Finding::unknown(deed.what, in_words(&error), ""),
        }
    }
    let resource =
        [deed.resource, deed.subresource].into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join("/");
    if refused.is_empty() {
        return Finding::good(deed.what, format!("you may {} {resource}", deed.verbs.join(", ")));
    }
    let found = format!("you may not {} {resource} in {namespace}", refused.join(", "));
    Finding::wrong(deed.what, found, "ask for a role with it: members of a tenant in krt's chart have one")
}

async fn allowed(connection: &Connection, namespace: &str, deed: &Deed, verb: &str) -> kube::Result<bool> {
    let attributes = ResourceAttributes {
        group: Some(deed.group.to_owned()),
        resource: Some(deed.resource.to_owned()),
        subresource: Some(deed.subresource.to_owned()).filter(|it| !it.is_empty()),
        namespace: Some(namespace.to_owned()),
        verb: Some(verb.to_owned()),
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    let reviewed = Api::all(connection.client.clone()).create(&PostParams::default(), &review).await?;
    Ok(reviewed.status.is_some_and(|status: SubjectAccessReviewStatus| status.allowed))
}

/// A line for each operator's Lease: everywhere, or only in `namespace` for who may not look elsewhere.
async fn operators(connection: &Connection, namespace: &str) -> Vec<Finding> {
    const WHAT: &str = "operator";
    let list = ListParams::default().labels(&format!("{}={}", LEASE_LABEL.0, LEASE_LABEL.1));
    let everywhere: Api<Lease> = Api::all(connection.client.clone());
    let mut place = String::new();
    let mut leases = everywhere.list(&list).await;
    if leases.as_ref().is_err_and(is_forbidden) {
        place = format!(" in {namespace}");
        leases = Api::<Lease>::namespaced(connection.client.clone(), namespace).list(&list).await;
    }
    match leases {
        Ok(leases) if leases.items.is_empty() => {
            let help = "install krt's chart, or see kubectl get pods -A -l krt.konstellation.io/operator=true";
            let found = format!("no operator has a Lease{place}");
            // It may be where this user may not look.
            vec![if place.is_empty() { Finding::wrong(WHAT, found, help) } else { Finding::unknown(WHAT, found, "") }]
        }
        Ok(leases) => leases.items.iter().map(|lease| held(WHAT, lease, Timestamp::now())).collect(),
        Err(error) if is_forbidden(&error) => {
            vec![Finding::unknown(WHAT, "you may not read Leases", "who may can say whether an operator works")]
        }
        Err(error) => vec![Finding::unknown(WHAT, in_words(&error), "")],
    }
}

/// Who holds a Lease, and since when. By the clock of this machine: a little off is not taken for expired.
fn held(what: &'static str, lease: &Lease, now: Timestamp) -> Finding {
    let metadata = &lease.metadata;
    let name = [&metadata.namespace, &metadata.name].map(|it| it.as_deref().unwrap_or_default()).join("/");
    let help = "see kubectl get pods -A -l krt.konstellation.io/operator=true, and what they log";
    let spec: LeaseSpec = lease.spec.clone().unwrap_or_default();
    let Some(holder) = spec.holder_identity.filter(|it| !it.is_empty()) else {
        return Finding::wrong(what, format!("nobody holds the Lease {name}"), help);
    };
    let Some(renewed) = spec.renew_time.map(|it| it.0) else {
        return Finding::wrong(what, format!("{holder} has never renewed the Lease {name}"), help);
    };
    let silent = now.duration_since(renewed);
    let lasts = SignedDuration::from_secs(i64::from(spec.lease_duration_seconds.unwrap_or(0)).max(15) * 2);
    if silent > lasts {
        let found = format!("{holder} has not renewed the Lease {name} for {}", told(silent));
        return Finding::wrong(what, found, help);
    }
    let since = spec.acquire_time.map(|it| format!(" for {}", told(now.duration_since(it.0)))).unwrap_or_default();
    Finding::good(what, format!("{holder} holds the Lease {name}{since}"))
}

/// A span as people say it: its largest unit.
fn told(span: SignedDuration) -> String {
    let seconds = span.as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn is_forbidden(error: &kube::Error) -> bool {
    is_status(error, 403)
}

fn is_status(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

fn in_words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        error => {
            // The outermost says only that something failed.
            let mut innermost: &dyn std::error::Error = error;
            while let Some(source) = innermost.source() {
                innermost = source;
            }
            innermost.to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
    use kube::api::ObjectMeta;

    use super::*;

    fn lease(holder: &str, renewed: i64) -> Lease {
        let time = |seconds| Some(MicroTime(Timestamp::from_second(seconds).unwrap()));
        let spec = LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            acquire_time: time(100),
            renew_time: time(renewed),
            ..LeaseSpec::default()
        };
        let metadata = ObjectMeta {
            name: Some("krt-operator".to_owned()),
            namespace: Some("krt".to_owned()),
            ..ObjectMeta::default()
        };
        Lease { metadata, spec: Some(spec) }
    }

    #[test]
    fn an_operator_works_while_it_renews_its_lease() {
        let now = Timestamp::from_second(10_000).unwrap();
        let good = held("operator", &lease("pod-1", 9_990), now);
        assert_eq!(good, Finding::good("operator", "pod-1 holds the Lease krt/krt-operator for 2 h"));
        // Clocks differ.
        assert_eq!(held("operator", &lease("pod-1", 10_005), now).verdict, Verdict::Good);
        let silent = held("operator", &lease("pod-1", 9_000), now);
        assert_eq!(silent.verdict, Verdict::Wrong);
        assert!(silent.found.contains("pod-1 has not renewed the Lease krt/krt-operator for 16 min"), "{silent:?}");
        let given_back = held("operator", &lease("", 9_990), now);
        assert!(given_back.found.contains("nobody holds the Lease krt/krt-operator"), "{given_back:?}");
        assert_eq!(held("operator", &Lease::default(), now).verdict, Verdict::Wrong);
    }
}
