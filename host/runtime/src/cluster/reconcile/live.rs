//! Objects of the cluster whatever their kind: the kinds that a version is made of, Services apart.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject};
use serde_json::Value;

use crate::cluster::crd::Version;

/// A kind of object, in the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    ServiceAccount,
    ConfigMap,
    NetworkPolicy,
    DisruptionBudget,
    Deployment,
}

/// An object that is there.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) sort: Sort,
    pub(super) name: String,
    pub(super) value: Value,
}

impl Sort {
    pub(super) const ALL: [Self; 5] =
        [Self::ServiceAccount, Self::ConfigMap, Self::NetworkPolicy, Self::DisruptionBudget, Self::Deployment];

    /// Of an object as it is written; none for a Service.
    pub(super) fn of(value: &Value) -> Option<Self> {
        let kind = value["kind"].as_str()?;
        Self::ALL.into_iter().find(|sort| sort.resource().kind == kind)
    }

    fn resource(self) -> ApiResource {
        match self {
            Self::ServiceAccount => ApiResource::erase::<ServiceAccount>(&()),
            Self::ConfigMap => ApiResource::erase::<ConfigMap>(&()),
            Self::NetworkPolicy => ApiResource::erase::<NetworkPolicy>(&()),
            Self::DisruptionBudget => ApiResource::erase::<PodDisruptionBudget>(&()),
            Self::Deployment => ApiResource::erase::<Deployment>(&()),
        }
    }

    /// All of this kind in a namespace.
    pub(super) fn api(self, client: &Client, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(client.clone(), namespace, &self.resource())
    }
}

impl Found {
    /// What a list had.
    pub(super) fn new(sort: Sort, object: DynamicObject) -> Result<Self, serde_json::Error> {
        let name = object.metadata.name.clone().unwrap_or_default();
        let mut value = serde_json::to_value(object)?;
        // Lists do not repeat them.
        let resource = sort.resource();
        value["apiVersion"] = resource.api_version.into();
        value["kind"] = resource.kind.into();
        Ok(Self { sort, name, value })
    }

    /// Whether it is the object that `wanted` is written for.
    pub(super) fn is(&self, sort: Sort, wanted: &Value) -> bool {
        self.sort == sort && Some(self.name.as_str()) == wanted["metadata"]["name"].as_str()
    }

    /// Whether it goes with this resource.
    pub(super) fn is_owned_by(&self, version: &Version) -> bool {
        let owners = self.value["metadata"]["ownerReferences"].as_array();
        owners.is_some_and(|all| all.iter().any(|owner| owner["uid"].as_str() == version.metadata.uid.as_deref()))
    }

    /// Whether another looks after it.
    pub(super) fn is_of_another(&self, version: &Version) -> bool {
        let owners = self.value["metadata"]["ownerReferences"].as_array();
        let controls = |owner: &&Value| owner["controller"].as_bool() == Some(true);
        owners.is_some_and(|all| {
            all.iter().find(controls).is_some_and(|it| it["uid"].as_str() != version.metadata.uid.as_deref())
        })
    }

    /// As a Deployment, if it is one.
    pub(super) fn deployment(&self) -> Option<Deployment> {
        if self.sort != Sort::Deployment {
            return None;
        }
        serde_json::from_value(self.value.clone()).ok()
    }
}
