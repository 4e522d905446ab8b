//! Takes one step for a version. Every step may be taken twice, and by two at once, without harm.

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Resource as _, ResourceExt as _};
use serde_json::{Value, json};

use super::decide::{Step, Wanted};
use super::holder::holder;
use super::live::{Found, Sort};
use super::observe::{Scene, claims, is_ours, leads_to};
use super::{Context, Failure, bus};
use crate::bus::nats::provision::{self, RemoveOptions};
use crate::cluster::crd::{FINALIZER, LEAVE_BUS, Version};
use crate::cluster::render::{self, ACTIVE_ENTRYPOINT};

/// Under this name fields are ours for the API server.
pub(super) const FIELD_MANAGER: &str = "krt-operator";

/// Requests that are under way at once for one version.
const AT_ONCE: usize = 8;

/// Takes `step`.
pub(super) async fn take(context: &Context, scene: &Scene, step: Step) -> Result<(), Failure> {
    match step {
        Step::Hold => finalizer(context, scene, true).await,
        Step::Release => finalizer(context, scene, false).await,
        Step::Provision => make_bus(context, scene).await,
        Step::Apply => apply(context, scene).await,
        Step::Expose => expose(context, scene).await,
        Step::Publish => publish(context, scene).await,
        Step::Hide => {
            let services: Api<Service> = Api::namespaced(context.client.clone(), &scene.namespace);
            gone(services.delete(&scene.name, &DeleteParams::default()).await.map(drop))
        }
        Step::RemoveEntrypoint => remove(context, scene, |found| is_deployment(found, true)).await,
        Step::RemoveNodes => remove(context, scene, |found| is_deployment(found, false)).await,
        Step::RemoveRest => remove(context, scene, |found| found.sort != Sort::Deployment).await,
        Step::Deprovision => remove_bus(context, scene).await,
        Step::AwaitCompiled
        | Step::AwaitReady
        | Step::AwaitBound
        | Step::AwaitEntrypointGone
        | Step::AwaitNodesGone
        | Step::Refuse
        | Step::Rest => Ok(()),
    }
}

/// Sets or removes ours among the finalizers, unless somebody changed the resource meanwhile.
async fn finalizer(context: &Context, scene: &Scene, held: bool) -> Result<(), Failure> {
    let metadata = &scene.version.metadata;
    let mut finalizers: Vec<&str> = metadata.finalizers.iter().flatten().map(String::as_str).collect();
    finalizers.retain(|finalizer| *finalizer != FINALIZER);
    if held {
        finalizers.push(FINALIZER);
    }
    let patch = json!({ "metadata": { "finalizers": finalizers, "resourceVersion": metadata.resource_version } });
    let versions: Api<Version> = Api::namespaced(context.client.clone(), &scene.namespace);
    let patched = versions.patch(&scene.name, &PatchParams::default(), &Patch::Merge(patch)).await;
    raced(patched.map(drop))
}

async fn make_bus(context: &Context, scene: &Scene) -> Result<(), Failure> {
    let (Some(plan), Some(uid)) = (&scene.plan, &scene.version.metadata.uid) else { return Ok(()) };
    // First what may be there, then what is: who comes after us knows what to remove.
    let before = scene.version.status.as_ref().and_then(|status| status.bus.as_ref());
    let record = bus::record(plan, before);
    if before != Some(&record) {
        let mut version = scene.version.clone();
        version.status.get_or_insert_default().bus = Some(record);
        let versions: Api<Version> = Api::namespaced(context.client.clone(), &scene.namespace);
        let written = versions.replace_status(&scene.name, &PostParams::default(), &version).await;
        if is_race(&written) {
            return Ok(());
        }
        written?;
    }
    context.provision(uid, plan).await
}

async fn remove_bus(context: &Context, scene: &Scene) -> Result<(), Failure> {
    let Some(record) = scene.version.status.as_ref().and_then(|status| status.bus.as_ref()) else { return Ok(()) };
    let all = scene.observed.wanted == Wanted::Gone;
    context.forget(scene.version.metadata.uid.as_deref().unwrap_or_default());
    let options = RemoveOptions { key_value: all, dead_letters: all };
    let removing = async {
        let nats = context.nats().await?;
        provision::remove(&nats, &bus::removal(record, &scene.name), &options).await.map_err(Failure::from)
    };
    match removing.await {
        // Nothing else lets a resource go whose NATS is gone for good.
        Err(failure) if all && scene.version.annotations().contains_key(LEAVE_BUS) => {
            context.left(&scene.version, &bus::left(record, &scene.name), &failure).await;
        }
        Err(failure) if all => {
            let hint = format!("; krt delete {} --force lets it go, and leaves there what it has", scene.name);
            return Err(match failure {
                Failure::Away(why) => Failure::Away(format!("{why}{hint}")),
                Failure::Bus(error) => Failure::Refused("BusRefused", format!("{error}{hint}")),
                other => other,
            });
        }
        removed => drop(removed?),
    }
    let mut version = scene.version.clone();
    version.status.get_or_insert_default().bus = if all { None } else { bus::kept(record) };
    let versions: Api<Version> = Api::namespaced(context.client.clone(), &scene.namespace);
    raced(versions.replace_status(&scene.name, &PostParams::default(), &version).await.map(drop))
}

/// Makes, changes and removes what is not as wanted: what pods need first, then their Deployments.
async fn apply(context: &Context, scene: &Scene) -> Result<(), Failure> {
    all(scene.off.iter().map(|(sort, value)| free(context, scene, *sort, value).boxed()).collect()).await?;
    for sort in Sort::ALL {
        let api = sort.api(&context.client, &scene.namespace);
        let mut applied = Vec::new();
        for (_, value) in scene.off.iter().filter(|(of, _)| *of == sort) {
            let (api, value) = (api.clone(), owned(value.clone(), &scene.version));
            let applying = async move {
                let name = value["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                server_side(&api, &name, &value).await
            };
            applied.push(applying.boxed());
        }
        all(applied).await?;
    }
    delete(context, scene, scene.stray.clone()).await
}

/// Whether the name of an object is the version's to use: nothing is there, or something of its own.
async fn free(context: &Context, scene: &Scene, sort: Sort, value: &Value) -> Result<(), Failure> {
    let name = value["metadata"]["name"].as_str().unwrap_or_default();
    if scene.there.iter().any(|found| found.is(sort, value)) {
        return Ok(());
    }
    match sort.api(&context.client, &scene.namespace).get_metadata_opt(name).await? {
        None => Ok(()),
        // Made a moment ago, and not seen yet.
        Some(found)
            if controller(&found.metadata).is_some_and(|it| Some(&it.uid) == scene.version.metadata.uid.as_ref()) =>
        {
            Ok(())
        }
        Some(found) => Err(taken(&format!("{sort:?} {name:?}"), &found.metadata)),
    }
}

/// Somebody else's object stands where one of ours is to be.
fn taken(what: &str, metadata: &ObjectMeta) -> Failure {
    let whose = match controller(metadata) {
        Some(owner) => format!("belongs to {} {:?}", owner.kind, owner.name),
        None => "was not made by krt".to_owned(),
    };
    Failure::Refused("NameTaken", format!("{what} is there already and {whose}: remove it, or rename the version"))
}

fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

async fn remove(context: &Context, scene: &Scene, goes: impl Fn(&Found) -> bool) -> Result<(), Failure> {
    let found = scene.there.iter().filter(|found| goes(found)).cloned().collect();
    delete(context, scene, found).await
}

async fn delete(context: &Context, scene: &Scene, found: Vec<Found>) -> Result<(), Failure> {
    let mut deleted = Vec::new();
    for found in found {
        let api = found.sort.api(&context.client, &scene.namespace);
        // Not one that was made anew under the name.
        let uid = found.value["metadata"]["uid"].as_str().map(str::to_owned);
        let preconditions = Some(Preconditions { uid, resource_version: None });
        let params = DeleteParams { preconditions, ..DeleteParams::background() };
        deleted.push(async move { gone(api.delete(&found.name, &params).await.map(drop)) }.boxed());
    }
    all(deleted).await
}

/// Some at a time, to the end of the last or to the first failure.
async fn all(requests: Vec<BoxFuture<'_, Result<(), Failure>>>) -> Result<(), Failure> {
    futures::stream::iter(requests).buffer_unordered(AT_ONCE).try_collect().await
}

async fn expose(context: &Context, scene: &Scene) -> Result<(), Failure> {
    let Some(service) = &scene.service else { return Ok(()) };
    let services: Api<Service> = Api::namespaced(context.client.clone(), &scene.namespace);
    if let Some(live) = services.get_opt(&scene.name).await?.filter(|live| !is_ours(live, &scene.version)) {
        return Err(taken(&format!("Service {:?}", scene.name), &live.metadata));
    }
    let value = owned(to_value(service)?, &scene.version);
    server_side(&services, &scene.name, &value).await
}

/// Leads `active-entrypoint` to whom it is to lead, by changing its selector; removes it when there is nobody.
async fn publish(context: &Context, scene: &Scene) -> Result<(), Failure> {
    // Of two versions of a namespace only one decides at a time.
    let _alone = context.publishing.lock().await;
    let versions: Api<Version> = Api::namespaced(context.client.clone(), &scene.namespace);
    let services: Api<Service> = Api::namespaced(context.client.clone(), &scene.namespace);
    let claims = claims(&versions.list(&ListParams::default()).await?.items, Some(scene));
    let active = services.get_opt(ACTIVE_ENTRYPOINT).await?;
    let current = active.as_ref().and_then(|active| claims.iter().find(|claim| leads_to(active, &claim.name)));
    match holder(&claims, current.map(|claim| claim.name.as_str())) {
        Some(version) => {
            let service = to_value(&render::active_entrypoint(version, &scene.namespace))?;
            server_side(&services, ACTIVE_ENTRYPOINT, &service).await
        }
        None => gone(services.delete(ACTIVE_ENTRYPOINT, &DeleteParams::default()).await.map(drop)),
    }
}

/// Server-side apply. Fields that somebody else has set otherwise become ours again: what runs is what the resource says.
async fn server_side<K>(api: &Api<K>, name: &str, value: &Value) -> Result<(), Failure>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch(name, &params, &Patch::Apply(value)).await?;
    Ok(())
}

fn owned(mut value: Value, version: &Version) -> Value {
    let owner = OwnerReference {
        api_version: Version::api_version(&()).into_owned(),
        kind: Version::kind(&()).into_owned(),
        name: version.metadata.name.clone().unwrap_or_default(),
        uid: version.metadata.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    };
    value["metadata"]["ownerReferences"] = json!([owner]);
    value
}

fn is_deployment(found: &Found, entrypoint: bool) -> bool {
    let kind = found.value["metadata"]["labels"]["type"].as_str();
    found.sort == Sort::Deployment && (kind == Some(krt::names::ENTRYPOINT)) == entrypoint
}

fn to_value(service: &Service) -> Result<Value, Failure> {
    serde_json::to_value(service).map_err(|error| Failure::Refused("RenderFailed", error.to_string()))
}

/// What is not there need not be removed.
fn gone(result: kube::Result<()>) -> Result<(), Failure> {
    match result {
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
        result => Ok(result?),
    }
}

/// Whoever was quicker changed it; it is looked at anew.
fn raced(result: kube::Result<()>) -> Result<(), Failure> {
    if is_race(&result) { Ok(()) } else { Ok(result?) }
}

fn is_race<T>(result: &kube::Result<T>) -> bool {
    matches!(result, Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409)
}
