//! Looks at everything that there is of one version: the cluster, the bus, its package. Writes nothing to the cluster.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::jiff::Timestamp;
use krt::names;
use krt::plan::{DeliveryMode, Plan};
use krt::problem::Problem;
use kube::api::{Api, ListParams};
use serde_json::Value;

use super::bus;
use super::decide::{Door, Observed, PackageState, Part, Wanted};
use super::design::{Design, design};
use super::drift::covers;
use super::holder::{Claim, holder};
use super::live::{Found, Sort};
use super::nodes;
use super::status::{Beforehand, Trouble};
use super::{Context, Failure};
use crate::bus::nats::provision::{self, ProvisionError};
use crate::cluster::crd::{FINALIZER, NodeStatus, Phase, State, Version, condition};
use crate::cluster::render::{self, ACTIVE_ENTRYPOINT, Objects};

/// What there is of one version.
pub(super) struct Scene {
    pub(super) version: Version,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) observed: Observed,
    /// What is wanted on the bus; none unless it is to run and can.
    pub(super) plan: Option<Plan>,
    /// What is to be made or changed, Services apart.
    pub(super) off: Vec<(Sort, Value)>,
    /// What is to go while the version runs.
    pub(super) stray: Vec<Found>,
    /// Everything of it that is there, Services apart.
    pub(super) there: Vec<Found>,
    /// The Service of its name, as wanted.
    pub(super) service: Option<Service>,
    pub(super) nodes: Vec<NodeStatus>,
    /// Durables that native nodes should read and do not.
    pub(super) unread: Vec<String>,
    pub(super) problems: Vec<Problem>,
    pub(super) beforehand: Beforehand,
    pub(super) trouble: Option<Trouble>,
    /// Who is published.
    pub(super) published: Option<String>,
    /// Since when publishing it has been wanted, if that was heard of.
    pub(super) asked: Option<Timestamp>,
}

/// Looks at all of it.
pub(super) async fn observe(context: &Context, version: Version) -> Result<Scene, Failure> {
    let name = version.metadata.name.clone().unwrap_or_default();
    let namespace = version.metadata.namespace.clone().unwrap_or_default();
    let wanted = match (version.metadata.deletion_timestamp.is_some(), version.spec.state) {
        (true, _) => Wanted::Gone,
        (false, State::Stopped) => Wanted::Stopped,
        (false, State::Started | State::Published) => Wanted::Running,
    };
    let design = match wanted {
        Wanted::Running => design(context, &version, &name, &namespace).await?,
        _ => {
            context.ahead.leave(&namespace, &name);
            Design::default()
        }
    };
    let Design { objects, plan, problems, mut trouble, beforehand } = design;
    let refused = wanted == Wanted::Running && objects.is_none();
    let mut scene = Scene {
        observed: Observed {
            wanted,
            held: version.metadata.finalizers.iter().flatten().any(|it| it == FINALIZER),
            package: if refused { PackageState::Refused } else { PackageState::Fine },
            compiling: matches!(beforehand, Beforehand::Waiting | Beforehand::UnderWay(_)),
            ..Observed::default()
        },
        plan: None,
        off: Vec::new(),
        stray: Vec::new(),
        there: Vec::new(),
        service: None,
        nodes: Vec::new(),
        unread: Vec::new(),
        problems,
        beforehand,
        trouble: None,
        published: None,
        asked: context.asked.since(version.metadata.uid.as_deref().unwrap_or_default()),
        version,
        name,
        namespace,
    };
    objects_of(context, &mut scene, objects).await?;
    scene.on_bus(context, plan.as_ref(), &mut trouble).await;
    scene.plan = plan;
    scene.trouble = trouble;
    publication(context, &mut scene).await?;
    Ok(scene)
}

/// Compares what is there with what is wanted.
async fn objects_of(context: &Context, scene: &mut Scene, objects: Option<Objects>) -> Result<(), Failure> {
    let selector = format!("app.kubernetes.io/managed-by=krt,app.kubernetes.io/instance={}", scene.name);
    let list = ListParams::default().labels(&selector);
    let running = objects.is_some();
    let mut wanted = Vec::new();
    if let Some(objects) = &objects {
        scene.service = objects.services.first().cloned();
        for value in objects.values().map_err(|error| Failure::Refused("RenderFailed", error.to_string()))? {
            wanted.extend(Sort::of(&value).map(|sort| (sort, value)));
        }
    }
    let mut found = Vec::new();
    for sort in Sort::ALL {
        for object in sort.api(&context.client, &scene.namespace).list(&list).await?.items {
            let object = Found::new(sort, object).map_err(|error| Failure::Refused("Unreadable", error.to_string()))?;
            // Whoever controls it looks after it, whatever its labels say.
            if !object.is_of_another(&scene.version) {
                found.push(object);
            }
        }
    }
    for (sort, value) in wanted {
        let live = found.iter().position(|live| live.is(sort, &value)).map(|at| found.swap_remove(at));
        let same = live.as_ref().is_some_and(|live| live.is_owned_by(&scene.version) && covers(&live.value, &value));
        let part = part(&mut scene.observed, sort, &value);
        part.there += usize::from(live.is_some());
        if !same {
            part.off += 1;
            scene.off.push((sort, value));
        }
        scene.there.extend(live);
    }
    for stray in found {
        let part = part(&mut scene.observed, stray.sort, &stray.value);
        part.there += 1;
        if running {
            part.off += 1;
            scene.stray.push(stray);
        } else {
            scene.there.push(stray);
        }
    }
    let pods = Api::<Pod>::namespaced(context.client.clone(), &scene.namespace).list(&list).await?.items;
    for pod in &pods {
        let is_entrypoint =
            pod.metadata.labels.as_ref().and_then(|it| it.get("type")).is_some_and(|it| it == names::ENTRYPOINT);
        let part = if is_entrypoint { &mut scene.observed.entrypoint } else { &mut scene.observed.nodes };
        part.pods += 1;
    }
    let deployments: Vec<Deployment> = scene.there.iter().filter_map(Found::deployment).collect();
    scene.observed.ready = !deployments.is_empty() && deployments.iter().all(nodes::rolled_out);
    scene.nodes = nodes::of(&deployments, &pods);
    Ok(())
}

/// Where an object counts.
fn part<'a>(observed: &'a mut Observed, sort: Sort, value: &Value) -> &'a mut Part {
    match (sort, value["metadata"]["labels"]["type"].as_str()) {
        (Sort::Deployment, Some(names::ENTRYPOINT)) => &mut observed.entrypoint,
        (Sort::Deployment, _) => &mut observed.nodes,
        _ => &mut observed.rest,
    }
}

impl Scene {
    /// Whether the bus is as planned, and read.
    async fn on_bus(&mut self, context: &Context, plan: Option<&Plan>, trouble: &mut Option<Trouble>) {
        let status = self.version.status.as_ref();
        let record = status.and_then(|status| status.bus.as_ref());
        self.observed.bus_touched = bus::holds(record, self.observed.wanted == Wanted::Gone);
        let Some(plan) = plan else { return };
        let told = status.and_then(|status| condition(status, "Provisioned")).is_some_and(|it| it.status == "True");
        let covered = record.is_some_and(|record| bus::record(plan, Some(record)) == *record);
        let uid = self.version.metadata.uid.clone().unwrap_or_default();
        self.observed.bus_made = context.has_made(&uid, plan);
        if !self.observed.bus_made && told && covered {
            // It was so; whether it still is can be seen without saying meanwhile that it is not.
            self.observed.bus_made = true;
            if let Err(failure) = context.provision(&uid, plan).await {
                trouble.get_or_insert(failure.trouble());
            }
        }
        if self.observed.bus_made && self.observed.ready {
            match unread(context, plan).await {
                Ok(unread) => {
                    self.observed.bound = unread.is_empty();
                    self.unread = unread;
                }
                Err(failure) => {
                    trouble.get_or_insert(failure.trouble());
                    // What runs goes on to be shown as what it was.
                    self.observed.bound = self.version.status.as_ref().is_some_and(|it| it.phase != Phase::Starting);
                }
            }
        }
    }
}

/// Durables that runners of the original should read and do not: they have no readiness of their own.
async fn unread(context: &Context, plan: &Plan) -> Result<Vec<String>, Failure> {
    if plan.durables.iter().all(|durable| durable.delivery == DeliveryMode::Pull) {
        return Ok(Vec::new());
    }
    let nats = context.nats().await?;
    provision::unread(&nats, plan).await.map_err(|error: ProvisionError| Failure::from(error))
}

/// Whether the Services lead where they are to lead.
async fn publication(context: &Context, scene: &mut Scene) -> Result<(), Failure> {
    let services: Api<Service> = Api::namespaced(context.client.clone(), &scene.namespace);
    let own = services.get_opt(&scene.name).await?;
    scene.observed.service = match (&own, &scene.service) {
        (None, _) => Door::Missing,
        // In the way: it is said so by who would make ours.
        (Some(live), Some(_)) if !is_ours(live, &scene.version) => Door::Missing,
        (Some(live), Some(wanted)) if !same_service(live, wanted, &scene.version) => Door::Off,
        // A Service of this name that is not the version's is not ours to remove.
        (Some(live), None) if !is_ours(live, &scene.version) => Door::Missing,
        (Some(_), _) => Door::Open,
    };
    let active = services.get_opt(ACTIVE_ENTRYPOINT).await?;
    let ours = active.as_ref().is_some_and(|active| leads_to(active, &scene.name));
    if !ours && scene.version.spec.state != State::Published {
        return Ok(());
    }
    let versions = Api::<Version>::namespaced(context.client.clone(), &scene.namespace);
    let claims = claims(&versions.list(&ListParams::default()).await?.items, Some(scene));
    let current = active.as_ref().and_then(|active| claims.iter().find(|claim| leads_to(active, &claim.name)));
    let current = current.map(|claim| claim.name.as_str());
    let next = holder(&claims, current);
    let drifted = || {
        let wanted = render::active_entrypoint(&scene.name, &scene.namespace);
        active.as_ref().is_some_and(|active| !same_spec(active, &wanted))
    };
    let concerns = ours || next == Some(scene.name.as_str());
    scene.observed.publication_off = concerns && (next != current || (ours && drifted()));
    scene.published = current.map(str::to_owned);
    Ok(())
}

/// What all versions of a namespace want of `active-entrypoint`; `scene` knows its own better.
pub(super) fn claims(versions: &[Version], scene: Option<&Scene>) -> Vec<Claim> {
    let claim = |version: &Version| {
        let name = version.metadata.name.clone().unwrap_or_default();
        let status = version.status.as_ref();
        let requested = status.and_then(|status| status.publish_requested.as_ref()).map(|time| time.0);
        let told_able = status.is_some_and(|status| matches!(status.phase, Phase::Started | Phase::Published));
        let (able, requested) = match scene.filter(|scene| scene.name == name) {
            Some(Scene { observed, asked, .. }) => {
                let able = observed.ready && observed.bound && observed.service == Door::Open;
                // It is about to be noted.
                (able, requested.or(*asked))
            }
            None => (told_able, requested),
        };
        Claim {
            wanted: version.spec.state == State::Published && version.metadata.deletion_timestamp.is_none(),
            able,
            requested,
            created: version.metadata.creation_timestamp.as_ref().map(|time| time.0),
            name,
        }
    };
    versions.iter().map(claim).collect()
}

/// Whether a Service leads to the entrypoint of this version.
pub(super) fn leads_to(service: &Service, version: &str) -> bool {
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    selector.and_then(|it| it.get("version-name")).is_some_and(|it| *it == names::entrypoint_deployment(version))
}

/// Whether a Service of the version's name is its own, or one that was made for it and that nobody looks after.
pub(super) fn is_ours(service: &Service, version: &Version) -> bool {
    let controller = service.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    match controller {
        Some(owner) => Some(&owner.uid) == version.metadata.uid.as_ref(),
        None => leads_to(service, version.metadata.name.as_deref().unwrap_or_default()),
    }
}

fn same_service(live: &Service, wanted: &Service, owner: &Version) -> bool {
    let uid = owner.metadata.uid.as_deref();
    let owned = live.metadata.owner_references.iter().flatten().any(|it| Some(it.uid.as_str()) == uid);
    owned && same_spec(live, wanted)
}

fn same_spec(live: &Service, wanted: &Service) -> bool {
    match (serde_json::to_value(live), serde_json::to_value(wanted)) {
        (Ok(live), Ok(wanted)) => {
            // A selector has no more labels than are wanted.
            covers(&live, &wanted) && live["spec"]["selector"] == wanted["spec"]["selector"]
        }
        _ => false,
    }
}
