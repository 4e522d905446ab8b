//! What a user does with versions on a cluster: look, want another state, follow what becomes of it. Never changes anything but
//! the resource; the operator does the rest.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::{Value, json};

use super::client::Connection;
use super::crd::{ConfigEntry, LEAVE_BUS, LEFT_ON_BUS, Phase, State, Version};

/// Under this name fields are a user's for the API server.
const FIELD_MANAGER: &str = "krt";

/// Versions of one namespace.
#[derive(Clone)]
pub struct Versions {
    pub(super) api: Api<Version>,
    pub(super) pods: Api<Pod>,
    events: Api<Event>,
    namespace: String,
}

/// Why the cluster did not do it.
#[derive(Debug, thiserror::Error)]
pub enum VersionsError {
    /// There is no such version.
    #[error("there is no version {name:?} in namespace {namespace:?}")]
    NotFound {
        /// The version.
        name: String,
        /// Where it was looked for.
        namespace: String,
    },
    /// The cluster does not know versions.
    #[error("the cluster knows no versions: install krt's chart, or charts/krt/crds/versions.yaml")]
    NotInstalled,
    /// The version has no such node.
    #[error("version {name:?} has no node {node:?}; it has {nodes}")]
    NoNode {
        /// The version.
        name: String,
        /// What was asked for.
        node: String,
        /// Those that it has.
        nodes: String,
    },
    /// The API server says no.
    #[error("the cluster refuses: {0}")]
    Refused(String),
    /// The API server is away.
    #[error("the cluster does not answer: {0}")]
    Away(String),
}

/// What [`Versions::follow`] is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Go on watching.
    Watch,
    /// Enough.
    Enough,
}

impl Versions {
    /// Of `namespace`.
    pub fn new(connection: &Connection, namespace: &str) -> Self {
        Self {
            api: Api::namespaced(connection.client.clone(), namespace),
            pods: Api::namespaced(connection.client.clone(), namespace),
            events: Api::namespaced(connection.client.clone(), namespace),
            namespace: namespace.to_owned(),
        }
    }

    /// All namespaces that have versions, by name.
    ///
    /// # Errors
    /// See [`VersionsError`].
    pub async fn namespaces(connection: &Connection) -> Result<Vec<String>, VersionsError> {
        let api: Api<Version> = Api::all(connection.client.clone());
        let all =
            api.list(&ListParams::default()).await.map_err(|error| Self::new(connection, "").explained(error, ""))?;
        let names: BTreeSet<String> = all.items.into_iter().filter_map(|version| version.metadata.namespace).collect();
        Ok(names.into_iter().collect())
    }

    /// All of them, by name.
    ///
    /// # Errors
    /// See [`VersionsError`].
    pub async fn list(&self) -> Result<Vec<Version>, VersionsError> {
        let mut all = self.api.list(&ListParams::default()).await.map_err(|error| self.explained(error, ""))?.items;
        all.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        Ok(all)
    }

    /// One of them.
    ///
    /// # Errors
    /// See [`VersionsError`].
    pub async fn get(&self, name: &str) -> Result<Version, VersionsError> {
        self.api.get(name).await.map_err(|error| self.explained(error, name))
    }

    /// Makes a version of the package at `reference`, or gives another package to one that is stopped.
    ///
    /// # Errors
    /// See [`VersionsError`].
    pub async fn deploy(
        &self,
        name: &str,
        reference: &str,
        state: State,
        config: &[ConfigEntry],
    ) -> Result<Version, VersionsError> {
        let mut spec = json!({ "package": { "ref": reference }, "state": state });
        if !config.is_empty() {
            spec["config"] = json!(config);
        }
        if self.api.get_opt(name).await.map_err(|error| self.explained(error, name))?.is_some() {
            return self.patch(name, json!({ "spec": spec })).await;
        }
        let version = json!({
            "apiVersion": "krt.konstellation.io/v1alpha1", "kind": "Version", "metadata": { "name": name }, "spec": spec,
        });
        let version = serde_json::from_value(version).map_err(|error| VersionsError::Refused(error.to_string()))?;
        self.api.create(&PostParams::default(), &version).await.map_err(|error| self.explained(error, name))
    }

    /// Wants another state.
    ///
    /// # Errors
    /// See [`VersionsError`].
    pub async fn want(&self, name: &str, state: State) -> Result<Version, VersionsError> {
        self.patch(name, json!({ "spec": { "state": state } })).await
    }

    /// Sets values of configuration variables; the others stay.
    ///
    /// # Errors
    /// See [`VersionsError`].
    pub async fn configure(&self, name: &str, entries: &[ConfigEntry]) -> Result<Version, VersionsError> {
        let version = self.get(name).await?;
        let mut config = version.spec.config.clone();
        for entry in entries {
            config.retain(|known| known.name != entry.name);
            config.push(entry.clone());
        }
        // With the version that was read: who changed it meanwhile is not overwritten.
        let patch = json!({ "metadata": { "resourceVersion": version.metadata.resource_version }, "spec": { "config": config } });
        self.patch(name, patch).await
    }

    /// Removes a version; the operator stops it first. With `force` it goes although NATS is away or refuses: then what it has
    /// there stays.
    ///
    /// # Errors
    /// See [`VersionsError`].
    pub async fn delete(&self, name: &str, force: bool) -> Result<(), VersionsError> {
        if force {
            self.patch(name, json!({ "metadata": { "annotations": { LEAVE_BUS: "true" } } })).await?;
        }
        self.api.delete(name, &DeleteParams::default()).await.map(drop).map_err(|error| self.explained(error, name))
    }

    /// What the operator says that it has left on NATS of a version that is gone; nothing where events may not be read.
    pub async fn left_on_bus(&self, name: &str, uid: &str) -> Vec<String> {
        let fields = format!("reason={LEFT_ON_BUS},involvedObject.name={name},involvedObject.uid={uid}");
        match self.events.list(&ListParams::default().fields(&fields)).await {
            Ok(events) => events.items.into_iter().filter_map(|event| event.message).collect(),
            Err(error) => {
                tracing::debug!(%error, "events could not be read");
                Vec::new()
            }
        }
    }

    /// Shows the version to `see` whenever it changes, `None` when it is gone, until that has seen enough.
    ///
    /// # Errors
    /// See [`VersionsError`].
    pub async fn follow(&self, name: &str, mut see: impl FnMut(Option<&Version>) -> Next) -> Result<(), VersionsError> {
        let watched = watcher::watch_object(self.api.clone(), name).default_backoff();
        let mut watched = std::pin::pin!(watched);
        while let Some(seen) = watched.next().await {
            match seen {
                Ok(version) if see(version.as_ref()) == Next::Enough => return Ok(()),
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "watching"),
            }
        }
        Err(VersionsError::Away("the watch ended".to_owned()))
    }

    async fn patch(&self, name: &str, patch: Value) -> Result<Version, VersionsError> {
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        self.api.patch(name, &params, &Patch::Merge(patch)).await.map_err(|error| self.explained(error, name))
    }

    pub(super) fn explained(&self, error: kube::Error, name: &str) -> VersionsError {
        match error {
            kube::Error::Api(status) if status.code == 404 && name.is_empty() => VersionsError::NotInstalled,
            // Where the resource is not known, the path is not.
            kube::Error::Api(status)
                if status.code == 404 && status.details.as_ref().is_none_or(|it| it.kind.is_empty()) =>
            {
                VersionsError::NotInstalled
            }
            kube::Error::Api(status) if status.code == 404 => {
                VersionsError::NotFound { name: name.to_owned(), namespace: self.namespace.clone() }
            }
            kube::Error::Api(status) => VersionsError::Refused(status.message.clone()),
            error => VersionsError::Away(error.to_string()),
        }
    }
}

/// Whether the status is about the resource as it is now.
pub fn is_current(version: &Version) -> bool {
    version.status.as_ref().is_some_and(|status| status.observed_generation == version.metadata.generation)
}

/// Whether a version has become what its resource says.
pub fn has_settled(version: &Version) -> bool {
    let Some(status) = version.status.as_ref().filter(|_| is_current(version)) else { return false };
    let ready = super::crd::condition(status, "Ready").is_some_and(|it| it.status == "True");
    match version.spec.state {
        State::Stopped => status.phase == Phase::Stopped,
        State::Started => status.phase == Phase::Started && ready,
        State::Published => status.phase == Phase::Published && ready,
    }
}

/// What is wrong with a version that waiting does not mend, in one line.
pub fn refusal(version: &Version) -> Option<String> {
    let status = version.status.as_ref().filter(|_| is_current(version))?;
    let degraded = super::crd::condition(status, "Degraded").filter(|it| it.status == "True")?;
    let lasting =
        ["ManifestInvalid", "ComponentRejected", "PackageInvalid", "WrongName", "ConfigIncomplete", "ConfigInvalid"];
    lasting.contains(&degraded.reason.as_str()).then(|| format!("{}: {}", degraded.reason, degraded.message))
}
