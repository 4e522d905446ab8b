//! Looks at everything that there is of one version: the cluster, the bus, its package. Writes nothing to the cluster.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use k8s_openapi::jiff::Timestamp;
use krt::names;
use krt::plan::{DeliveryMode, Plan, plan};
use krt::problem::Problem;
use krt::topology::Topology;
use kube::api::{Api, ListParams};
use kube::core::PartialObjectMeta;
use serde_json::Value;

use super::bus;
use super::decide::{Door, Observed, PackageState, Part, Wanted};
use super::drift::covers;
use super::holder::{Claim, holder};
use super::live::{Found, Sort};
use super::nodes;
use super::status::Trouble;
use super::{Context, Failure};
use crate::artifact::Reference;
use crate::bus::nats::provision::{self, ProvisionError};
use crate::cluster::crd::{FINALIZER, NodeStatus, Phase, State, ValueSource, Version, condition};
use crate::cluster::render::{self, ACTIVE_ENTRYPOINT, KeyRef, Objects, Variable};

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
    pub(super) problems: Vec<Problem>,
    pub(super) trouble: Option<Trouble>,
    /// Who is published.
    pub(super) published: Option<String>,
}

/// What a version is to be; none when its package or configuration does not let it run.
struct Design {
    topology: Option<Topology>,
    objects: Option<Objects>,
    plan: Option<Plan>,
    problems: Vec<Problem>,
    trouble: Option<Trouble>,
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
        _ => Design { topology: None, objects: None, plan: None, problems: Vec::new(), trouble: None },
    };
    let Design { topology, objects, plan, problems, mut trouble } = design;
    let refused = wanted == Wanted::Running && (topology.is_none() || objects.is_none());
    let mut scene = Scene {
        observed: Observed {
            wanted,
            held: version.metadata.finalizers.iter().flatten().any(|it| it == FINALIZER),
            package: if refused { PackageState::Refused } else { PackageState::Fine },
            ..Observed::default()
        },
        plan: None,
        off: Vec::new(),
        stray: Vec::new(),
        there: Vec::new(),
        service: None,
        nodes: Vec::new(),
        problems,
        trouble: None,
        published: None,
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

/// Reads the package and renders its objects.
async fn design(context: &Context, version: &Version, name: &str, namespace: &str) -> Result<Design, Failure> {
    let refused = |reason, message: String, problems| Design {
        topology: None,
        objects: None,
        plan: None,
        problems,
        trouble: Some(Trouble { reason, message: nodes::one_line(&message) }),
    };
    let reference: Reference = match version.spec.package.reference.parse() {
        Ok(reference) => reference,
        Err(error) => return Ok(refused("PackageInvalid", format!("{error}"), Vec::new())),
    };
    let runtime_id = context.options.runtime_id.as_deref().unwrap_or(namespace);
    let packages = names::packages(runtime_id);
    // The operator may reach those of others, whom this namespace has nothing to do with.
    if let Reference::Nats { bucket, .. } = &reference
        && *bucket != packages
    {
        let message = format!(
            "packages of this namespace are in {packages}, not in {bucket}: krt push --runtime-id {runtime_id}"
        );
        return Ok(refused("PackageInvalid", message, Vec::new()));
    }
    let judged = match context.known.get(&reference).await {
        Ok(judged) => judged,
        Err(super::PackageError::Refused(why)) => return Ok(refused("PackageInvalid", why, Vec::new())),
        Err(super::PackageError::Away(why)) => return Err(Failure::Package(why)),
    };
    let Some(topology) = judged.topology.clone() else {
        let errors: Vec<&Problem> = judged.problems.iter().filter(|problem| problem.is_error()).collect();
        let Some(first) = errors.first() else {
            return Ok(refused("PackageInvalid", "the package cannot run".to_owned(), Vec::new()));
        };
        let more = if errors.len() > 1 { format!(" (and {} more)", errors.len() - 1) } else { String::new() };
        let place =
            if first.line > 0 { format!("{}:{}:{}", first.file, first.line, first.column) } else { first.file.clone() };
        let reason = if first.code == "bad-component" { "ComponentRejected" } else { "ManifestInvalid" };
        return Ok(refused(reason, format!("{place}: {}{more}", first.message), judged.problems.clone()));
    };
    if topology.version != name {
        let message =
            format!("the package is version {:?}: name the resource so, or take another package", topology.version);
        return Ok(refused("WrongName", message, judged.problems.clone()));
    }
    let variables = match variables(version, &topology) {
        Ok(variables) => variables,
        Err(trouble) => return Ok(refused(trouble.reason, trouble.message, judged.problems.clone())),
    };
    let plan = plan(&topology, runtime_id);
    let mut options = (context.options.place)(namespace, reference);
    options.variables_revision = revision(context, namespace, version).await?;
    options.variables = variables;
    if let Some(image) = &version.spec.images.krt {
        options.images.krt.clone_from(image);
    }
    let objects = render::render(&topology, &plan, &options);
    Ok(Design {
        topology: Some(topology),
        objects: Some(objects),
        plan: Some(plan),
        problems: judged.problems.clone(),
        trouble: None,
    })
}

/// Values for all variables that the manifest names, and for no others.
fn variables(version: &Version, topology: &Topology) -> Result<Vec<Variable>, Trouble> {
    let declared = || topology.files.iter().chain(&topology.variables);
    let mut variables: Vec<Variable> = Vec::new();
    for entry in &version.spec.config {
        if !declared().any(|name| *name == entry.name) {
            let message =
                format!("the manifest declares no configuration variable {:?}: remove it from spec.config", entry.name);
            return Err(Trouble { reason: "ConfigInvalid", message });
        }
        let key = |key: &crate::cluster::crd::KeyRef| KeyRef { name: key.name.clone(), key: key.key.clone() };
        let value = match (&entry.value, &entry.value_from) {
            (Some(text), _) => render::Value::Text(text.clone()),
            (None, Some(ValueSource { config_map_key_ref: Some(it), .. })) => render::Value::ConfigMap(key(it)),
            (None, Some(ValueSource { secret_key_ref: Some(it), .. })) => render::Value::Secret(key(it)),
            (None, _) => continue,
        };
        variables.retain(|variable| variable.name != entry.name);
        variables.push(Variable { name: entry.name.clone(), value });
    }
    let missing: Vec<&str> =
        declared().filter(|name| variables.iter().all(|it| it.name != **name)).map(String::as_str).collect();
    if missing.is_empty() {
        return Ok(variables);
    }
    let message = format!("no value for the configuration variables {}: give them in spec.config", missing.join(", "));
    Err(Trouble { reason: "ConfigIncomplete", message })
}

/// Changes when a ConfigMap or Secret does that the configuration refers to. Their content is not read.
async fn revision(context: &Context, namespace: &str, version: &Version) -> Result<Option<String>, Failure> {
    let mut revisions = Vec::new();
    for source in version.spec.config.iter().filter_map(|entry| entry.value_from.as_ref()) {
        let found = match (&source.config_map_key_ref, &source.secret_key_ref) {
            (Some(key), _) => {
                let api: Api<PartialObjectMeta<ConfigMap>> = Api::namespaced(context.client.clone(), namespace);
                api.get_opt(&key.name).await?.and_then(|it| it.metadata.resource_version)
            }
            (None, Some(key)) => {
                let api: Api<PartialObjectMeta<Secret>> = Api::namespaced(context.client.clone(), namespace);
                api.get_opt(&key.name).await?.and_then(|it| it.metadata.resource_version)
            }
            (None, None) => continue,
        };
        revisions.push(found.unwrap_or_default());
    }
    Ok((!revisions.is_empty()).then(|| revisions.join(",")))
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
            found.push(Found::new(sort, object).map_err(|error| Failure::Refused("Unreadable", error.to_string()))?);
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
                Ok(unread) => self.observed.bound = unread.is_empty(),
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
        (Some(live), Some(wanted)) if !same_service(live, wanted, &scene.version) => Door::Off,
        // A Service of this name that is not the version's is not ours to remove.
        (Some(live), None) if !is_ours(live, &scene.name) => Door::Missing,
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
            Some(Scene { observed, .. }) => {
                let able = observed.ready && observed.bound && observed.service == Door::Open;
                // It is about to be noticed.
                (able, requested.or_else(|| Some(Timestamp::now())))
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

fn is_ours(service: &Service, version: &str) -> bool {
    leads_to(service, version)
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
