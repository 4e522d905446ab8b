//! The operator: makes of every `Version` what it says, and says of it what is there.
//!
//! # Layout
//! `observe` looks at what there is, `design` at what is to be, [`mod@decide`] says what is next, `act` does it, `status` says
//! so; `watch` calls them when something changes, and `asked` notes when publications were asked for. `ahead` has components
//! compiled meanwhile, and `sweep` removes what nobody has of them. Everything that decides is a function from values to values: [`mod@decide`], [`holder`],
//! `drift`, `nodes`, `status`, `bus`.
//!
//! # Guarantees
//! Whatever is stopped, killed or changed by somebody else at any moment, what is wanted comes about once all are back: each
//! look begins with what is there. One version's trouble holds up no other's.
//!
//! # Assumptions
//! One operator at a time works on a namespace: [`lease`] sees to that. Versions of one namespace share one runtime id.

mod act;
mod ahead;
mod asked;
mod bus;
pub mod decide;
mod design;
mod drift;
pub mod holder;
pub mod lease;
mod live;
mod nodes;
mod observe;
mod package;
mod status;
mod sweep;
mod watch;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use krt::plan::Plan;
use kube::api::{Api, PostParams};
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource as _};

use self::decide::{Step, decide};
use self::observe::Scene;
pub use self::package::{Built, PackageError, Packages, Read};
use self::status::{Told, Trouble};
pub use self::watch::{OperatorError, run};
use super::crd::{LEFT_ON_BUS, Phase, State, Version, VersionStatus, condition};
use super::render;
use crate::artifact::Reference;
use crate::bus::nats::provision::{self, ApplyOptions, ProvisionError};
use crate::nats::{Nats, NatsOptions};

/// From a namespace and a package to what its objects are rendered with.
pub type Placing = dyn Fn(&str, Reference) -> render::Options + Send + Sync;

/// What an operator is told.
#[derive(Clone)]
pub struct OperatorOptions {
    /// Where it works; empty = everywhere.
    pub namespaces: Vec<String>,
    /// The runtime whose names are used on the bus; none = each namespace is one, by its own name.
    pub runtime_id: Option<String>,
    /// Where NATS is.
    pub nats: NatsOptions,
    /// Copies of streams and buckets; none = as they are.
    pub replicas: Option<usize>,
    /// Where packages come from.
    pub packages: Arc<dyn Packages>,
    /// What a version in this namespace with this package is rendered with, configuration apart.
    pub place: Arc<Placing>,
    /// Who works of several; none = there is only one.
    pub lease: Option<lease::LeaseOptions>,
    /// Who says events: the pod's name.
    pub instance: String,
}

/// A version is looked at this often when nothing tells of a change: what is on the bus tells nobody.
const LOOK: Duration = Duration::from_secs(300);

/// While native nodes are awaited, which tell nobody that they read: at first, and at last.
const LOOK_BOUND: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// While pods are awaited, in case that a change was missed.
const LOOK_PODS: Duration = Duration::from_secs(30);

/// What was found on the bus holds so long.
const MADE: Duration = Duration::from_secs(120);

/// Pauses after failures: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// NATS is not asked again so soon after it did not answer.
const UNANSWERED: Duration = Duration::from_secs(3);

/// Steps in a row without waiting; more mean that two steps undo each other.
const STEPS: usize = 40;

/// Why a step failed. What is wrong is told in the status; it is tried again later in any case.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The API server says no, or is away.
    #[error("{0}")]
    Cluster(#[from] kube::Error),
    /// NATS is away, or does not let us in.
    #[error("{0}")]
    Away(String),
    /// NATS says no.
    #[error("{0}")]
    Bus(ProvisionError),
    /// The package cannot be read now.
    #[error("the package could not be read: {0}")]
    Package(String),
    /// Components cannot be compiled now.
    #[error("its components could not be compiled beforehand: {0}")]
    Compiling(String),
    /// Something that should not be; the first is a word for it.
    #[error("{1}")]
    Refused(&'static str, String),
}

impl From<ProvisionError> for Failure {
    fn from(error: ProvisionError) -> Self {
        match error {
            ProvisionError::Away(text) => Self::Away(format!("NATS does not answer: {text}")),
            error => Self::Bus(error),
        }
    }
}

impl Failure {
    fn trouble(&self) -> Trouble {
        let reason = match self {
            Self::Cluster(kube::Error::Api(status)) if status.message.contains("exceeded quota") => "QuotaExceeded",
            Self::Cluster(kube::Error::Api(_)) => "ClusterRefused",
            Self::Cluster(_) => "ClusterAway",
            Self::Away(_) => "BusAway",
            Self::Bus(ProvisionError::WouldDestroy(_)) => "BusWouldLoseData",
            Self::Bus(_) => "BusRefused",
            Self::Package(_) => "PackageUnavailable",
            Self::Compiling(_) => "NotCompiled",
            Self::Refused(reason, _) => reason,
        };
        let message = match self {
            Self::Cluster(kube::Error::Api(status)) => nodes::one_line(&status.message),
            other => nodes::one_line(&other.to_string()),
        };
        Trouble { reason, message }
    }
}

/// What all reconciliations share.
pub(super) struct Context {
    client: Client,
    options: OperatorOptions,
    known: package::Known,
    ahead: Arc<ahead::Ahead>,
    asked: asked::Asked,
    pokes: Arc<watch::Pokes>,
    recorder: Recorder,
    nats: tokio::sync::Mutex<Bus>,
    /// By the resource's uid: what was found or made on the bus, and when.
    made: Mutex<HashMap<String, (Plan, Instant)>>,
    /// By the resource's uid: failures in a row, and what the last one was.
    failures: Mutex<HashMap<String, Failed>>,
    /// By the resource's uid: how often it was looked at in vain for native nodes that read.
    looks: Mutex<HashMap<String, u32>>,
    /// Namespaces whose compiled components are about to be looked through.
    sweeping: Mutex<BTreeSet<String>>,
    /// Held while it is decided who is published.
    publishing: tokio::sync::Mutex<()>,
}

/// The connection to NATS, or why there was none a moment ago.
#[derive(Default)]
struct Bus {
    nats: Option<Nats>,
    failed: Option<(String, Instant)>,
}

/// What went wrong with a version, and how often.
#[derive(Default)]
struct Failed {
    count: u32,
    /// The step that failed, which is taken again.
    last: Option<(Step, Trouble)>,
}

impl Context {
    fn new(client: Client, options: OperatorOptions) -> Self {
        let reporter = Reporter { controller: act::FIELD_MANAGER.to_owned(), instance: Some(options.instance.clone()) };
        let pokes: Arc<watch::Pokes> = Arc::default();
        Self {
            ahead: ahead::Ahead::new(options.packages.clone(), pokes.clone()),
            asked: asked::Asked::default(),
            pokes,
            recorder: Recorder::new(client.clone(), reporter),
            known: package::Known::new(options.packages.clone()),
            client,
            options,
            nats: tokio::sync::Mutex::default(),
            made: Mutex::default(),
            failures: Mutex::default(),
            looks: Mutex::default(),
            sweeping: Mutex::default(),
            publishing: tokio::sync::Mutex::default(),
        }
    }

    /// The connection to NATS, which is made when it is first wanted, and mends itself.
    async fn nats(&self) -> Result<Nats, Failure> {
        let mut bus = self.nats.lock().await;
        if let Some(nats) = &bus.nats {
            // A request would wait for its time-out.
            return if nats.is_connected() {
                Ok(nats.clone())
            } else {
                Err(Failure::Away("the connection to NATS is lost".to_owned()))
            };
        }
        // All versions ask at once: one waits for an answer, the others take it.
        if let Some((why, _)) = bus.failed.as_ref().filter(|(_, at)| at.elapsed() < UNANSWERED) {
            return Err(Failure::Away(why.clone()));
        }
        match crate::nats::connect(&self.options.nats, None).await {
            Ok(nats) => Ok(bus.nats.insert(nats).clone()),
            Err(error) => {
                bus.failed = Some((error.to_string(), Instant::now()));
                Err(Failure::Away(error.to_string()))
            }
        }
    }

    /// Makes what is planned on the bus, or finds it so.
    async fn provision(&self, uid: &str, plan: &Plan) -> Result<(), Failure> {
        let nats = self.nats().await?;
        // Patience is the caller's: it tries again, and says so meanwhile.
        let patience = Duration::from_secs(5);
        let options = ApplyOptions { replicas: self.options.replicas, patience, ..ApplyOptions::default() };
        provision::apply(&nats, plan, &options).await?;
        lock(&self.made).insert(uid.to_owned(), (plan.clone(), Instant::now()));
        Ok(())
    }

    /// Whether this was found or made on the bus a short while ago.
    fn has_made(&self, uid: &str, plan: &Plan) -> bool {
        lock(&self.made).get(uid).is_some_and(|(made, at)| made == plan && at.elapsed() < MADE)
    }

    fn forget(&self, uid: &str) {
        lock(&self.made).remove(uid);
    }

    /// How long to wait after another failure.
    fn pause(&self, uid: &str) -> Duration {
        let mut failures = lock(&self.failures);
        let failed = failures.entry(uid.to_owned()).or_default();
        let pause = PAUSES.0.saturating_mul(1 << failed.count.min(16)).min(PAUSES.1);
        failed.count += 1;
        pause
    }

    /// How long to wait before looking once more for native nodes that read: ever longer, for one may never do.
    fn patience(&self, uid: &str) -> Duration {
        let mut looks = lock(&self.looks);
        let count = looks.entry(uid.to_owned()).or_default();
        *count += 1;
        LOOK_BOUND.0.saturating_mul(1 << (*count / 16).min(4)).min(LOOK_BOUND.1)
    }

    /// Why `step` failed when it was last taken: that is what is wrong until it has succeeded.
    fn failed(&self, uid: &str, step: Step) -> Option<Trouble> {
        let failures = lock(&self.failures);
        let (failed, trouble) = failures.get(uid)?.last.as_ref()?;
        (*failed == step).then(|| trouble.clone())
    }

    /// Writes the status if it is another than before, and says what became of it.
    async fn tell(&self, scene: &Scene, step: Step, trouble: Option<Trouble>) -> Result<(), Failure> {
        let told = Told {
            observed: &scene.observed,
            step,
            nodes: scene.nodes.clone(),
            unread: &scene.unread,
            problems: &scene.problems,
            beforehand: &scene.beforehand,
            trouble,
            published: scene.published.as_deref(),
            asked: scene.asked,
        };
        let status = status::status(&scene.version, told, now());
        if scene.version.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let version = Version { status: Some(status.clone()), ..scene.version.clone() };
        let versions: Api<Version> = Api::namespaced(self.client.clone(), &scene.namespace);
        match versions.replace_status(&scene.name, &PostParams::default(), &version).await {
            // Somebody changed it: it is looked at anew, and told then.
            Err(kube::Error::Api(answer)) if answer.code == 409 || answer.code == 404 => return Ok(()),
            result => drop(result?),
        }
        self.announce(&scene.version, &status).await;
        Ok(())
    }

    /// One event for each condition that has become another.
    async fn announce(&self, version: &Version, status: &VersionStatus) {
        let before = version.status.clone().unwrap_or_default();
        for now in &status.conditions {
            let was = condition(&before, &now.type_);
            if was.is_some_and(|was| was.status == now.status && was.reason == now.reason && was.message == now.message)
                || (was.is_none() && now.status != "True")
            {
                continue;
            }
            let is_bad = now.type_ == "Degraded" && now.status == "True";
            let note = format!("{} is {}: {}", now.type_, now.status.to_lowercase(), now.message);
            let event = Event {
                type_: if is_bad { EventType::Warning } else { EventType::Normal },
                reason: now.reason.clone(),
                note: Some(note),
                action: "Reconcile".to_owned(),
                secondary: None,
            };
            self.record(version, &event).await;
        }
    }

    /// Says what stays on the bus of a version that goes: nothing else will know of it.
    async fn left(&self, version: &Version, what: &str, why: &Failure) {
        let name = version.metadata.name.as_deref().unwrap_or_default();
        let namespace = version.metadata.namespace.as_deref().unwrap_or_default();
        tracing::warn!(namespace, version = name, %why, what, "left on the bus");
        let event = Event {
            type_: EventType::Warning,
            reason: LEFT_ON_BUS.to_owned(),
            note: Some(nodes::one_line(&format!("left on NATS: {what}"))),
            action: "Deprovision".to_owned(),
            secondary: None,
        };
        self.record(version, &event).await;
    }

    async fn record(&self, version: &Version, event: &Event) {
        if let Err(error) = self.recorder.publish(event, &version.object_ref(&())).await {
            // Conditions, or the log, say the same.
            tracing::debug!(%error, "an event could not be written");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// In whole seconds, as resources have them: what is written is then what is read.
fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Takes steps until something has to be waited for.
async fn reconcile(version: Arc<Version>, context: Arc<Context>) -> Result<Action, Failure> {
    let (Some(name), Some(namespace)) = (&version.metadata.name, &version.metadata.namespace) else {
        return Ok(Action::await_change());
    };
    let uid = version.metadata.uid.clone().unwrap_or_default();
    let versions: Api<Version> = Api::namespaced(context.client.clone(), namespace);
    for _ in 0..STEPS {
        // What the watch has may be older than what we wrote last.
        let Some(version) = versions.get_opt(name).await? else {
            context.forget(&uid);
            context.asked.forget(&uid);
            lock(&context.failures).remove(&uid);
            lock(&context.looks).remove(&uid);
            sweep::sweep(&context, namespace);
            return Ok(Action::await_change());
        };
        let scene = match observe::observe(&context, version.clone()).await {
            Ok(scene) => scene,
            Err(failure) => {
                blind(&context, version, &failure).await;
                return Err(failure);
            }
        };
        let step = decide(&scene.observed);
        tracing::debug!(namespace, version = name, ?step, "next");
        let trouble = scene.trouble.clone().or_else(|| context.failed(&uid, step));
        context.tell(&scene, step, trouble).await?;
        if step.waits() {
            // Who has begun to compile again may fail again.
            if scene.trouble.is_none() && step != Step::AwaitCompiled {
                lock(&context.failures).remove(&uid);
            }
            if step != Step::AwaitBound {
                lock(&context.looks).remove(&uid);
            }
            return Ok(Action::requeue(match step {
                _ if scene.trouble.is_some() => context.pause(&uid).max(Duration::from_secs(5)),
                Step::AwaitBound => context.patience(&uid),
                Step::AwaitCompiled | Step::AwaitReady | Step::AwaitEntrypointGone | Step::AwaitNodesGone => LOOK_PODS,
                _ => LOOK,
            }));
        }
        if let Err(failure) = act::take(&context, &scene, step).await {
            let trouble = failure.trouble();
            lock(&context.failures).entry(uid.clone()).or_default().last = Some((step, trouble.clone()));
            context.tell(&scene, step, Some(trouble)).await?;
            return Err(failure);
        }
        if let Some(failed) = lock(&context.failures).get_mut(&uid) {
            failed.last = None;
        }
    }
    Err(Failure::Refused("Restless", format!("{STEPS} steps did not lead anywhere")))
}

/// Says why nothing can be said of a version.
async fn blind(context: &Context, version: Version, failure: &Failure) {
    let (mut status, trouble) = (version.status.clone().unwrap_or_default(), failure.trouble());
    let said = super::crd::Said { kind: "Degraded", is: Some(true), reason: trouble.reason, message: &trouble.message };
    super::crd::set(&mut status, now(), version.metadata.generation, said);
    status.message = trouble.message;
    status.observed_generation = version.metadata.generation;
    status.publish_requested =
        status::requested(&version, context.asked.since(version.metadata.uid.as_deref().unwrap_or_default()));
    if status.phase == Phase::Stopped && version.spec.state != State::Stopped {
        status.phase = Phase::Failed;
    }
    if version.status.as_ref() == Some(&status) {
        return;
    }
    let (name, namespace) = (version.metadata.name.clone(), version.metadata.namespace.clone());
    let versions: Api<Version> = Api::namespaced(context.client.clone(), &namespace.unwrap_or_default());
    let new = Version { status: Some(status.clone()), ..version.clone() };
    match versions.replace_status(&name.unwrap_or_default(), &PostParams::default(), &new).await {
        Ok(_) => context.announce(&version, &status).await,
        Err(error) => tracing::debug!(%error, "the status could not be written"),
    }
}

/// After a failure.
fn again(version: Arc<Version>, failure: &Failure, context: Arc<Context>) -> Action {
    let pause = context.pause(version.metadata.uid.as_deref().unwrap_or_default());
    let name = version.metadata.name.as_deref().unwrap_or_default();
    let namespace = version.metadata.namespace.as_deref().unwrap_or_default();
    tracing::warn!(namespace, version = name, error = %failure, ?pause, "a step failed; it is tried again");
    Action::requeue(pause)
}
