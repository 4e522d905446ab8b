//! Calls the reconciler when something of a version changes. Watches only what tells which version it is of, and keeps
//! nothing but the resources themselves.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{FutureExt as _, Stream, StreamExt as _};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::jiff::Timestamp;
use kube::api::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::controller::{Config, applier};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{self, watcher};
use kube::runtime::{WatchStreamExt as _, reflector};
use kube::{Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Context, OperatorOptions, again, lease, reconcile};
use crate::cluster::crd::{Phase, State, Version, VersionStatus};
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
    if let Some(nats) = context.nats.lock().await.nats.take() {
        nats.close().await;
    }
    Ok(())
}

/// Reconciles the versions of one namespace, or of all. Ends when told to, after what is under way.
async fn controller(context: &Arc<Context>, space: Option<String>, stop: CancellationToken) {
    let (client, space) = (&context.client, space.as_deref());
    let (store, writer) = reflector::store();
    let versions = watcher(api::<Version>(client, space), watcher::Config::default());
    let versions = versions.default_backoff().modify(slim).reflect(writer).applied_objects();
    let hearing = context.clone();
    let versions = said(versions, move |version: &Version| {
        hearing.asked.hear(version, Timestamp::now());
        vec![ObjectRef::from_obj(version)]
    });
    let ours = || watcher::Config::default().labels("app.kubernetes.io/managed-by=krt");
    let (by_service, by_map, by_secret) = (store.clone(), store.clone(), store.clone());
    let poked =
        futures::stream::unfold(context.pokes.listen(space), |mut poked| async { Some((poked.recv().await?, poked)) });
    let changes = [
        versions,
        poked.boxed(),
        changes::<Pod>(client, space, ours(), instance),
        changes::<Deployment>(client, space, ours(), instance),
        changes::<ServiceAccount>(client, space, ours(), instance),
        changes::<NetworkPolicy>(client, space, ours(), instance),
        changes::<PodDisruptionBudget>(client, space, ours(), instance),
        changes::<Service>(client, space, watcher::Config::default().labels("type=entrypoint"), move |it| {
            led(it, &by_service)
        }),
        changes::<ConfigMap>(client, space, watcher::Config::default(), move |it| {
            let own = it.labels().get("app.kubernetes.io/managed-by").is_some_and(|by| by == "krt");
            let mut all = referring(it, &by_map, false);
            all.extend(own.then(|| instance(it)).into_iter().flatten());
            all
        }),
        changes::<Secret>(client, space, watcher::Config::default(), move |it| referring(it, &by_secret, true)),
    ];
    let queue = futures::stream::select_all(changes).map(Ok::<_, Infallible>).take_until(stop.cancelled_owned());
    let config = Config::default().debounce(DEBOUNCE).concurrency(AT_ONCE);
    let reconcile = |version, context| reconcile(version, context).boxed();
    let results = applier(reconcile, again, context.clone(), store, queue, config);
    results
        .for_each(|result| async move {
            if let Err(error) = result {
                // Failures of versions have been said; this is of one that has gone meanwhile.
                tracing::debug!(%error, "reconciling");
            }
        })
        .await;
}

/// What is to be looked at.
type Queue = BoxStream<'static, ObjectRef<Version>>;

/// What is to be looked at when something of this kind changes. Only metadata comes over the wire.
fn changes<K>(
    client: &Client,
    space: Option<&str>,
    config: watcher::Config,
    of: impl Fn(&PartialObjectMeta<K>) -> Vec<ObjectRef<Version>> + Send + 'static,
) -> Queue
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let objects = watcher(api::<PartialObjectMeta<K>>(client, space), config);
    said(objects.default_backoff().touched_objects(), of)
}

fn said<K: Send + 'static>(
    objects: impl Stream<Item = Result<K, watcher::Error>> + Send + 'static,
    of: impl Fn(&K) -> Vec<ObjectRef<Version>> + Send + 'static,
) -> Queue {
    let all = objects.map(move |object| match object {
        Ok(object) => of(&object),
        Err(error) => {
            // It goes on by itself.
            tracing::debug!(%error, "watching");
            Vec::new()
        }
    });
    all.flat_map(futures::stream::iter).boxed()
}

/// Without what fills memory and is not asked for here: whoever reconciles reads the whole.
fn slim(version: &mut Version) {
    version.metadata.managed_fields = None;
    version.metadata.annotations = None;
    version.spec.config.iter_mut().for_each(|entry| entry.value = None);
    let phase = version.status.take().map(|status| status.phase);
    version.status = phase.map(|phase| VersionStatus { phase, ..VersionStatus::default() });
}

/// Versions that are to be looked at although nothing in the cluster has changed.
#[derive(Default)]
pub(super) struct Pokes {
    listeners: Mutex<Vec<Listener>>,
}

/// Who hears of the versions of one namespace, or of all.
struct Listener {
    space: Option<String>,
    to: mpsc::UnboundedSender<ObjectRef<Version>>,
}

impl Pokes {
    /// Hears of every version of `space` that is poked from now on; of all if there is none.
    pub(super) fn listen(&self, space: Option<&str>) -> mpsc::UnboundedReceiver<ObjectRef<Version>> {
        let (to, from) = mpsc::unbounded_channel();
        let listener = Listener { space: space.map(str::to_owned), to };
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
        from
    }

    /// Has a version looked at.
    pub(super) fn poke(&self, version: ObjectRef<Version>) {
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let hears = |it: &&Listener| it.space.is_none() || it.space == version.namespace;
        for listener in listeners.iter().filter(hears) {
            // Whoever has gone looks at everything when it comes back.
            let _ = listener.to.send(version.clone());
        }
    }
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

/// The version that an object says it is of.
fn instance(object: &impl Resource<DynamicType = ()>) -> Vec<ObjectRef<Version>> {
    match (object.labels().get("app.kubernetes.io/instance"), object.namespace()) {
        (Some(name), Some(namespace)) => vec![ObjectRef::new(name).within(&namespace)],
        _ => Vec::new(),
    }
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
