//! The objects of a version together, and their YAML.

use k8s_openapi::Resource;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde_saphyr::{SerializerOptions, to_string_with_options};

/// The objects of a version, each kind in the order of the manifest, the entrypoint's first.
#[derive(Debug, Clone, PartialEq)]
pub struct Objects {
    /// What pods run as; without a token.
    pub service_account: ServiceAccount,
    /// Values of the configuration, if there are any, and what the version has on the bus.
    pub config_maps: Vec<ConfigMap>,
    /// One a Deployment, by the same name.
    pub network_policies: Vec<NetworkPolicy>,
    /// One a Deployment of several pods, by the same name.
    pub disruption_budgets: Vec<PodDisruptionBudget>,
    /// The entrypoint's and one a node.
    pub deployments: Vec<Deployment>,
    /// The version's, and `active-entrypoint` if it is published. To be made when pods are ready.
    pub services: Vec<Service>,
}

/// One object as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its kind.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its text.
    pub yaml: String,
}

impl Objects {
    /// Every object as YAML that readers of YAML 1.1 and 1.2 understand alike, in the order in which they are to be made.
    ///
    /// # Errors
    /// When the writer cannot write a value; those that are made here it can.
    pub fn documents(&self) -> Result<Vec<Document>, serde_saphyr::SerializeError> {
        let mut all = vec![document(&self.service_account, &self.service_account.metadata)?];
        for it in &self.config_maps {
            all.push(document(it, &it.metadata)?);
        }
        for it in &self.network_policies {
            all.push(document(it, &it.metadata)?);
        }
        for it in &self.disruption_budgets {
            all.push(document(it, &it.metadata)?);
        }
        for it in &self.deployments {
            all.push(document(it, &it.metadata)?);
        }
        for it in &self.services {
            all.push(document(it, &it.metadata)?);
        }
        Ok(all)
    }

    /// Every object as JSON, in the same order.
    ///
    /// # Errors
    /// As [`Self::documents`].
    pub fn values(&self) -> Result<Vec<serde_json::Value>, serde_json::Error> {
        let mut all = vec![serde_json::to_value(&self.service_account)?];
        for it in &self.config_maps {
            all.push(serde_json::to_value(it)?);
        }
        for it in &self.network_policies {
            all.push(serde_json::to_value(it)?);
        }
        for it in &self.disruption_budgets {
            all.push(serde_json::to_value(it)?);
        }
        for it in &self.deployments {
            all.push(serde_json::to_value(it)?);
        }
        for it in &self.services {
            all.push(serde_json::to_value(it)?);
        }
        Ok(all)
    }

    /// Lets `change` see the metadata of every object: owners, labels of one's own.
    pub fn each_metadata(&mut self, mut change: impl FnMut(&mut ObjectMeta)) {
        change(&mut self.service_account.metadata);
        self.config_maps.iter_mut().for_each(|it| change(&mut it.metadata));
        self.network_policies.iter_mut().for_each(|it| change(&mut it.metadata));
        self.disruption_budgets.iter_mut().for_each(|it| change(&mut it.metadata));
        self.deployments.iter_mut().for_each(|it| change(&mut it.metadata));
        self.services.iter_mut().for_each(|it| change(&mut it.metadata));
    }
}

fn document<T: Resource + Serialize>(
    object: &T,
    metadata: &ObjectMeta,
) -> Result<Document, serde_saphyr::SerializeError> {
    // Long values stay on one line: folding them would make a diff of a change in one word.
    let mut options = SerializerOptions::default();
    options.folded_wrap_chars = usize::MAX;
    Ok(Document {
        kind: T::KIND,
        name: metadata.name.clone().unwrap_or_default(),
        yaml: to_string_with_options(object, options)?,
    })
}
