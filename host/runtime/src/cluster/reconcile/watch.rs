//! Calls the reconciler when something of a version changes. Watches only what tells which version it is of, and keeps
//! nothing but the resources themselves.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::controller::{Config, Controller};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::{Context, OperatorOptions, again, lease, reconcile};
use crate::cluster::crd::{Phase, State, Version};
use crate::cluster::render::ACTIVE_ENTRYPOINT;
use crate::telemetry::Part;

/// Changes that come so close together are looked at once: a Deployment's pods become ready one after the other.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// Versions that are looked at at once.
const AT_ONCE: u16 = 16;

/// Why an operator ended.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The API server does not let it work.
    #[error("the API server refuses: {0}")]
    Refused(#[from] kube::Error),
    /// Another may work now.
    #[error(transparent)]
    Lost(#[from] lease::Lost),
}

/// Works until `stop`, once it is this one's turn. `working` is ready meanwhile.
///
/// # Errors
/// See [`OperatorError`]. Then the process must end: another may be at work.
pub async fn run(
    client: Client,
    options: OperatorOptions,
    working: Part,
    stop: CancellationToken,
) -> Result<(), OperatorError> {
    let held = match &options.lease {
        None => None,
        Some(lease) => {
            // Who waits for its turn is as well as who works.
            working.set_ready(true);
            tokio::select! {
                held = lease::acquire(client.clone(), lease.clone()) => Some(held?),
                () = stop.cancelled() => return Ok(()),
            }
        }
    };
    tracing::info!(namespaces = ?options.namespaces, "the operator works");
    working.set_ready(true);
    let context = Arc::new(Context::new(client, options));
    let work = async {
        let spaces = &context.options.namespaces;
        let spaces: Vec<Option<String>> =
            if spaces.is_empty() { vec![None] } else { spaces.iter().cloned().map(Some).collect() };
        let all = spaces.into_iter().map(|space| controller(&context, space, stop.clone()));
        futures::future::join_all(all).await;
    };
    let keep = async {
        match &held {
            Some(held) => held.keep().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = work => {}
        lost = keep => return Err(lost.into()),
    }
    if let Some(held) = held {
        held.release().await;
    }
    if let Some(nats) = context.nats.lock().await.take() {
        nats.close().await;
    }
    Ok(())
}

/// Reconciles the versions of one namespace, or of all. Ends when told to, after what is under way.
async fn controller(context: &Arc<Context>, space: Option<String>, stop: CancellationToken) {
    let client = &context.client;
    let ours = watcher::Config::default().labels("app.kubernetes.io/managed-by=krt");
    let controller = Controller::new(api::<Version>(client, space.as_deref()), watcher::Config::default());
    let store = controller.store();
    let (by_service, by_map, by_secret) = (store.clone(), store.clone(), store);
    let entrypoints = watcher::Config::default().labels("type=entrypoint");
    let controller = controller
        .with_config(Config::default().debounce(DEBOUNCE).concurrency(AT_ONCE))
        .watches(metadata::<Pod>(client, space.as_deref()), ours.clone(), |it| instance(&it))
        .watches(metadata::<Deployment>(client, space.as_deref()), ours.clone(), |it| instance(&it))
        .watches(metadata::<ServiceAccount>(client, space.as_deref()), ours.clone(), |it| instance(&it))
        .watches(metadata::<NetworkPolicy>(client, space.as_deref()), ours.clone(), |it| instance(&it))
        .watches(metadata::<PodDisruptionBudget>(client, space.as_deref()), ours, |it| instance(&it))
        .watches(metadata::<Service>(client, space.as_deref()), entrypoints, move |it| led(&it, &by_service))
        .watches(metadata::<ConfigMap>(client, space.as_deref()), watcher::Config::default(), move |it| {
            let own = instance(&it);
            own.into_iter().chain(referring(&it, &by_map, false)).collect::<Vec<_>>()
        })
        .watches(metadata::<Secret>(client, space.as_deref()), watcher::Config::default(), move |it| {
            referring(&it, &by_secret, true)
        })
        .graceful_shutdown_on(async move { stop.cancelled().await });
    let results = controller.run(reconcile, again, context.clone());
    results
        .for_each(|result| async move {
            if let Err(error) = result {
                // Failures of versions have been said; these are of watches, which go on by themselves.
                tracing::debug!(%error, "watching");
            }
        })
        .await;
}

fn api<K>(client: &Client, space: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match space {
        Some(space) => Api::namespaced(client.clone(), space),
        None => Api::all(client.clone()),
    }
}

/// Without what fills memory and does not matter here.
fn metadata<K>(client: &Client, space: Option<&str>) -> Api<PartialObjectMeta<K>>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    api(client, space)
}

/// The version that an object says it is of.
fn instance(object: &impl Resource<DynamicType = ()>) -> Option<ObjectRef<Version>> {
    let name = object.labels().get("app.kubernetes.io/instance")?;
    Some(ObjectRef::new(name).within(&object.namespace()?))
}

/// The versions that a Service concerns: `active-entrypoint` all that are published or want to be.
fn led(service: &impl Resource<DynamicType = ()>, store: &Store<Version>) -> Vec<ObjectRef<Version>> {
    let (Some(name), Some(namespace)) = (service.meta().name.clone(), service.namespace()) else { return Vec::new() };
    if name != ACTIVE_ENTRYPOINT {
        return vec![ObjectRef::new(&name).within(&namespace)];
    }
    let concerns = |version: &Version| {
        let is_published = version.status.as_ref().is_some_and(|status| status.phase == Phase::Published);
        version.metadata.namespace.as_deref() == Some(&namespace)
            && (version.spec.state == State::Published || is_published)
    };
    store.state().iter().filter(|version| concerns(version)).map(|version| ObjectRef::from_obj(&**version)).collect()
}

/// The versions whose configuration refers to an object.
fn referring(
    object: &impl Resource<DynamicType = ()>,
    store: &Store<Version>,
    secret: bool,
) -> Vec<ObjectRef<Version>> {
    let (Some(name), Some(namespace)) = (object.meta().name.as_deref(), object.namespace()) else { return Vec::new() };
    let refers = |version: &Version| {
        let sources = version.spec.config.iter().filter_map(|entry| entry.value_from.as_ref());
        let named: BTreeSet<&str> = sources
            .filter_map(|it| if secret { it.secret_key_ref.as_ref() } else { it.config_map_key_ref.as_ref() })
            .map(|key| key.name.as_str())
            .collect();
        version.metadata.namespace.as_deref() == Some(&namespace) && named.contains(name)
    };
    store.state().iter().filter(|version| refers(version)).map(|version| ObjectRef::from_obj(&**version)).collect()
}
