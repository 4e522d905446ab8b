//! What a version is to be: its package and configuration, as objects and as a plan of the bus. Writes nothing.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use krt::names;
use krt::plan::{Plan, plan};
use krt::problem::Problem;
use krt::topology::Topology;
use kube::api::Api;

use super::ahead::{Job, Progress};
use super::package::{Built, Judged, PackageError};
use super::status::{Beforehand, Trouble};
use super::{Context, Failure, nodes};
use crate::artifact::Reference;
use crate::cluster::crd::{CompiledComponent, CompiledRecord, ValueSource, Version};
use crate::cluster::render::{self, Compiled, KeyRef, Objects, Variable};

/// What a version is to be.
#[derive(Default)]
pub(super) struct Design {
    /// None when its package or configuration does not let it run.
    pub(super) objects: Option<Objects>,
    pub(super) plan: Option<Plan>,
    pub(super) problems: Vec<Problem>,
    pub(super) trouble: Option<Trouble>,
    pub(super) beforehand: Beforehand,
}

/// Reads the package and renders its objects.
pub(super) async fn design(
    context: &Context,
    version: &Version,
    name: &str,
    namespace: &str,
) -> Result<Design, Failure> {
    let refused = |reason, message: &str, problems| Design {
        problems,
        trouble: Some(Trouble { reason, message: nodes::one_line(message) }),
        ..Design::default()
    };
    let reference: Reference = match version.spec.package.reference.parse() {
        Ok(reference) => reference,
        Err(error) => return Ok(refused("PackageInvalid", &error.to_string(), Vec::new())),
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
        return Ok(refused("PackageInvalid", &message, Vec::new()));
    }
    let judged = match context.known.get(&reference).await {
        Ok(judged) => judged,
        Err(PackageError::Refused(why)) => return Ok(refused("PackageInvalid", &why, Vec::new())),
        Err(PackageError::Away(why)) => return Err(Failure::Package(why)),
        Err(PackageError::NoBus(why)) => return Err(Failure::Away(why)),
    };
    let found = judged.digest.to_string();
    if let Some(wanted) = version.spec.package.digest.as_ref().filter(|wanted| **wanted != found) {
        let message = format!("the digest of the package is {found}, and spec.package.digest wants {wanted}");
        return Ok(refused("PackageInvalid", &message, Vec::new()));
    }
    let Some(topology) = &judged.topology else {
        let (reason, message) = ("ManifestInvalid", first_of(&judged.problems));
        return Ok(refused(reason, &message, judged.problems.clone()));
    };
    if topology.version != name {
        let message =
            format!("the package is version {:?}: name the resource so, or take another package", topology.version);
        return Ok(refused("WrongName", &message, judged.problems.clone()));
    }
    let job = Job { package: reference, runtime_id: runtime_id.to_owned() };
    let beforehand = match beforehand(context, version, &judged, &job)? {
        Ok(beforehand) => beforehand,
        Err(problems) => {
            let message = first_of(&problems);
            let all = judged.problems.iter().cloned().chain(problems).collect();
            return Ok(refused("ComponentRejected", &message, all));
        }
    };
    let variables = match variables(version, topology) {
        Ok(variables) => variables,
        Err(trouble) => return Ok(refused(trouble.reason, &trouble.message, judged.problems.clone())),
    };
    let plan = plan(topology, runtime_id);
    let mut options = (context.options.place)(namespace, job.package);
    options.variables_revision = revision(context, namespace, version).await?;
    options.variables = variables;
    if let Beforehand::Done(record) = &beforehand {
        let of = |it: &CompiledComponent| Compiled { src: it.src.clone(), reference: it.reference.clone() };
        options.compiled = record.components.iter().map(of).collect();
    }
    if let Some(image) = &version.spec.images.krt {
        options.images.krt.clone_from(image);
    }
    let objects = render::render(topology, &plan, &options);
    let problems = judged.problems.clone();
    Ok(Design { objects: Some(objects), plan: Some(plan), problems, trouble: None, beforehand })
}

/// The first error in one line, and how many more there are.
fn first_of(problems: &[Problem]) -> String {
    let mut errors = problems.iter().filter(|problem| problem.is_error());
    let Some(first) = errors.next() else { return "the package cannot run".to_owned() };
    let more = errors.count();
    let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
    let place = match first.line {
        // Who speaks of a file as a whole may begin with its name.
        0 if first.message.starts_with(&first.file) => String::new(),
        0 => format!("{}: ", first.file),
        line => format!("{}:{line}:{}: ", first.file, first.column),
    };
    format!("{place}{}{more}", first.message)
}

/// How far compiling beforehand is, or what is wrong with the components. What the status has of this package and engine is
/// not compiled again: the status is the operator's own.
fn beforehand(
    context: &Context,
    version: &Version,
    judged: &Judged,
    job: &Job,
) -> Result<Result<Beforehand, Vec<Problem>>, Failure> {
    if judged.components.is_empty() {
        return Ok(Ok(Beforehand::Nothing));
    }
    let mut record = CompiledRecord {
        package: job.package.to_string(),
        runtime_id: job.runtime_id.clone(),
        engine: context.options.packages.engine().to_owned(),
        components: Vec::new(),
    };
    let is_same = |it: &&CompiledRecord| {
        (&it.package, &it.runtime_id, &it.engine) == (&record.package, &record.runtime_id, &record.engine)
    };
    if let Some(known) = version.status.as_ref().and_then(|status| status.compiled.as_ref()).filter(is_same) {
        return Ok(Ok(Beforehand::Done(known.clone())));
    }
    let (namespace, name) = (version.metadata.namespace.as_deref(), version.metadata.name.as_deref());
    let progress = context.ahead.look(job, namespace.unwrap_or_default(), name.unwrap_or_default());
    Ok(Ok(match progress {
        Progress::Waiting => Beforehand::Waiting,
        Progress::UnderWay => Beforehand::UnderWay(judged.components.clone()),
        Progress::Done(Built::All(all)) => {
            let of = |it: Compiled| CompiledComponent { src: it.src, reference: it.reference };
            record.components = all.into_iter().map(of).collect();
            Beforehand::Done(record)
        }
        Progress::Done(Built::Not(why)) => Beforehand::Not(why),
        Progress::Done(Built::Rejected(problems)) => return Ok(Err(problems)),
        Progress::Failed(error) => return Err(Failure::Compiling(error.to_string())),
    }))
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
                let api: Api<ConfigMap> = Api::namespaced(context.client.clone(), namespace);
                api.get_metadata_opt(&key.name).await?.and_then(|it| it.metadata.resource_version)
            }
            (None, Some(key)) => {
                let api: Api<Secret> = Api::namespaced(context.client.clone(), namespace);
                api.get_metadata_opt(&key.name).await?.and_then(|it| it.metadata.resource_version)
            }
            (None, None) => continue,
        };
        revisions.push(found.unwrap_or_default());
    }
    Ok((!revisions.is_empty()).then(|| revisions.join(",")))
}
