//! What the operator says of a version: conditions, phase, one line for a person. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use krt::problem::Problem;

use super::decide::{Door, Observed, Step, Wanted};
use super::nodes::one_line;
use crate::cluster::crd::{CompiledRecord, NodeStatus, Phase, ProblemStatus, Said, State, Version, VersionStatus, set};

/// Problems that are told: the first hundred are enough to begin with, and an object has bounds.
const PROBLEMS: usize = 100;

/// Why it is not as wanted, and waiting alone may not mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    /// One word.
    pub(super) reason: &'static str,
    /// One line.
    pub(super) message: String,
}

/// What is known of components that are compiled beforehand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Beforehand {
    /// Nobody asks now: it does not run, or what it is to be is not known.
    #[default]
    Unasked,
    /// The version has none.
    Nothing,
    /// Other packages are before it.
    Waiting,
    /// These are being compiled.
    UnderWay(Vec<String>),
    /// All are.
    Done(CompiledRecord),
    /// They are not, for this reason.
    Not(String),
}

/// What is told of.
pub(super) struct Told<'a> {
    pub(super) observed: &'a Observed,
    pub(super) step: Step,
    pub(super) nodes: Vec<NodeStatus>,
    /// Durables that native nodes should read and do not.
    pub(super) unread: &'a [String],
    pub(super) problems: &'a [Problem],
    pub(super) beforehand: &'a Beforehand,
    /// What went wrong, nodes apart.
    pub(super) trouble: Option<Trouble>,
    /// Who is published in the namespace.
    pub(super) published: Option<&'a str>,
    /// Since when publishing it has been wanted, if that was heard of.
    pub(super) asked: Option<Timestamp>,
}

/// The status, given the one before.
pub(super) fn status(version: &Version, told: Told<'_>, now: Timestamp) -> VersionStatus {
    let Told { observed, step, nodes, unread, problems, beforehand, trouble, published, asked } = told;
    let mut status = version.status.clone().unwrap_or_default();
    let name = version.metadata.name.as_deref().unwrap_or_default();
    let generation = version.metadata.generation;
    status.observed_generation = generation;
    let wants_publication = version.spec.state == State::Published && observed.wanted == Wanted::Running;
    status.publish_requested = requested(version, asked);
    status.problems = problems.iter().take(PROBLEMS).map(problem).collect();
    let ready = nodes.iter().filter(|node| node.ready >= node.replicas).count();
    status.ready = if nodes.is_empty() { String::new() } else { format!("{ready}/{}", nodes.len()) };
    let trouble = trouble.or_else(|| of_nodes(&nodes));
    let waiting = match step {
        Step::AwaitCompiled => Some(compiling(beforehand)),
        Step::AwaitBound => Some(one_line(&format!("waiting until native nodes read: {}", unread.join(", ")))),
        step => waiting(step, observed, &nodes),
    };
    status.nodes = nodes;
    let is_published = published == Some(name);
    status.phase = phase(observed, trouble.is_some(), is_published);
    let mut say =
        |kind, is, reason: &str, message: &str| set(&mut status, now, generation, Said { kind, is, reason, message });
    match beforehand {
        Beforehand::Unasked => {}
        Beforehand::Nothing => say("Compiled", Some(true), "Nothing", "it has no components"),
        Beforehand::Waiting => say("Compiled", None, "Waiting", "another package is being compiled"),
        Beforehand::UnderWay(all) => say("Compiled", None, "UnderWay", &one_line(&all.join(", "))),
        Beforehand::Done(record) => {
            let message = format!("{} beforehand: pods take them as they are", components(record.components.len()));
            say("Compiled", Some(true), "Compiled", &message);
        }
        Beforehand::Not(why) => {
            let message = one_line(&format!("pods compile for themselves: {why}"));
            say("Compiled", Some(false), "LeftToPods", &message);
        }
    }
    match (observed.bus_made, observed.bus_touched) {
        (true, _) => say("Provisioned", Some(true), "Applied", "streams, durables and buckets are as planned"),
        (false, true) => {
            say("Provisioned", None, "UnderWay", "streams, durables and buckets are being made or removed")
        }
        (false, false) => say("Provisioned", Some(false), "Nothing", "nothing of it is on the bus"),
    }
    let running = observed.wanted == Wanted::Running;
    if running && observed.ready && observed.bound && observed.service == Door::Open {
        say("Ready", Some(true), "AllReady", "all pods are ready, and all nodes read");
    } else if running {
        say("Ready", Some(false), "NotReady", waiting.as_deref().unwrap_or("it is being started"));
    } else {
        say("Ready", Some(false), "NotWanted", "it is to be stopped");
    }
    match (wants_publication, is_published, published) {
        (_, true, _) => say("Published", Some(true), "Published", "active-entrypoint leads here"),
        (false, ..) => say("Published", Some(false), "NotWanted", "its state is not Published"),
        (true, false, Some(other)) if observed.service == Door::Open && step == Step::Rest => {
            let message = format!("version {other} is published, which was asked for later");
            say("Published", Some(false), "Displaced", &message);
        }
        (true, false, _) => say("Published", Some(false), "NotReady", "it is not ready yet"),
    }
    match &trouble {
        Some(Trouble { reason, message }) => say("Degraded", Some(true), reason, message),
        None => say("Degraded", Some(false), "AsWanted", "nothing is known to be wrong"),
    }
    if let Beforehand::Done(record) = beforehand {
        status.compiled = Some(record.clone());
    }
    status.message = trouble.map(|trouble| trouble.message).or(waiting).unwrap_or_default();
    status
}

/// Since when publishing has been wanted: what was noted once stays.
pub(super) fn requested(version: &Version, asked: Option<Timestamp>) -> Option<MicroTime> {
    let wants = version.spec.state == State::Published && version.metadata.deletion_timestamp.is_none();
    let noted = version.status.as_ref().and_then(|status| status.publish_requested.clone());
    if wants { noted.or(asked.map(MicroTime)) } else { None }
}

fn phase(observed: &Observed, troubled: bool, is_published: bool) -> Phase {
    match (observed.wanted, observed.service) {
        (Wanted::Running, Door::Missing) if troubled => Phase::Failed,
        (Wanted::Running, Door::Missing) => Phase::Starting,
        (Wanted::Running, _) if is_published => Phase::Published,
        (Wanted::Running, _) => Phase::Started,
        (Wanted::Stopped | Wanted::Gone, _) if is_stopped(observed) => Phase::Stopped,
        (Wanted::Stopped | Wanted::Gone, _) => Phase::Stopping,
    }
}

fn is_stopped(observed: &Observed) -> bool {
    let empty = |part: &super::decide::Part| part.there == 0 && part.pods == 0;
    let parts = [&observed.rest, &observed.entrypoint, &observed.nodes];
    observed.service == Door::Missing && parts.into_iter().all(empty) && !observed.bus_touched
}

/// The first node with something wrong, and how many more there are.
fn of_nodes(nodes: &[NodeStatus]) -> Option<Trouble> {
    let mut wrong = nodes.iter().filter_map(|node| Some((node, node.reason.as_deref()?)));
    let (node, reason) = wrong.next()?;
    let more = wrong.count();
    let of = node.workflow.as_ref().map_or_else(|| node.name.clone(), |workflow| format!("{workflow}/{}", node.name));
    let message = node.message.as_deref().unwrap_or_default();
    let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
    Some(Trouble { reason: known(reason), message: one_line(&format!("{of}: {message}{more}")) })
}

/// The reason as it is known to us; they come from [`super::nodes`] alone.
fn known(reason: &str) -> &'static str {
    use super::nodes::reason::{CRASH, IMAGE, LATE, POD, QUOTA, REFUSED, UNSCHEDULABLE};
    [CRASH, IMAGE, LATE, POD, QUOTA, UNSCHEDULABLE].into_iter().find(|known| *known == reason).unwrap_or(REFUSED)
}

/// What is awaited, in one line; none when nothing is.
fn waiting(step: Step, observed: &Observed, nodes: &[NodeStatus]) -> Option<String> {
    let missing = || {
        let of = |node: &NodeStatus| match &node.workflow {
            Some(workflow) => format!("{workflow}/{} {}/{}", node.name, node.ready, node.replicas),
            None => format!("{} {}/{}", node.name, node.ready, node.replicas),
        };
        let missing: Vec<String> = nodes.iter().filter(|node| node.ready < node.replicas).map(of).collect();
        one_line(&format!("waiting for pods: {}", missing.join(", ")))
    };
    let text = match step {
        Step::Hold | Step::Provision => "making streams, durables and buckets".to_owned(),
        Step::Apply => "making what its pods need".to_owned(),
        Step::AwaitReady => missing(),
        Step::Expose | Step::Publish => "making its Service".to_owned(),
        Step::Hide | Step::RemoveEntrypoint | Step::AwaitEntrypointGone => {
            format!("waiting until the entrypoint has answered what it has: {} pods", observed.entrypoint.pods)
        }
        Step::RemoveNodes | Step::AwaitNodesGone => {
            format!("waiting until the nodes have finished what they have: {} pods", observed.nodes.pods)
        }
        Step::Deprovision | Step::RemoveRest | Step::Release => "removing what it has on the bus".to_owned(),
        Step::AwaitCompiled | Step::AwaitBound | Step::Refuse | Step::Rest => return None,
    };
    Some(text)
}

fn compiling(beforehand: &Beforehand) -> String {
    match beforehand {
        Beforehand::UnderWay(all) => format!("compiling {}", components(all.len())),
        _ => "waiting until another package is compiled".to_owned(),
    }
}

fn components(count: usize) -> String {
    if count == 1 { "1 component".to_owned() } else { format!("{count} components") }
}

fn problem(problem: &Problem) -> ProblemStatus {
    let number = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    ProblemStatus {
        severity: if problem.is_error() { "error" } else { "warning" }.to_owned(),
        code: problem.code.to_owned(),
        file: problem.file.clone(),
        line: number(problem.line),
        column: number(problem.column),
        message: one_line(&problem.message),
        help: one_line(&problem.help),
    }
}

#[cfg(test)]
mod tests {
    use super::super::decide::Part;
    use super::*;
    use crate::cluster::crd::{VersionSpec, condition};

    fn told(observed: &Observed, step: Step) -> Told<'_> {
        let beforehand = &Beforehand::Unasked;
        Told {
            observed,
            step,
            nodes: Vec::new(),
            unread: &[],
            problems: &[],
            beforehand,
            trouble: None,
            published: None,
            asked: None,
        }
    }

    fn version(state: State) -> Version {
        let mut version = Version::new("v1", VersionSpec { state, ..VersionSpec::default() });
        version.metadata.generation = Some(3);
        version
    }

    fn running() -> Observed {
        let part = Part { there: 1, off: 0, pods: 1 };
        Observed {
            wanted: Wanted::Running,
            held: true,
            bus_touched: true,
            bus_made: true,
            rest: part,
            entrypoint: part,
            nodes: part,
            ready: true,
            bound: true,
            service: Door::Open,
            ..Observed::default()
        }
    }

    #[test]
    fn a_running_version_says_so_and_a_published_one_too() {
        let (now, observed) = (Timestamp::UNIX_EPOCH, running());
        let said = status(&version(State::Started), told(&observed, Step::Rest), now);
        assert_eq!((said.phase, said.message.as_str()), (Phase::Started, ""));
        for (kind, is) in [("Provisioned", "True"), ("Ready", "True"), ("Published", "False"), ("Degraded", "False")] {
            assert_eq!(condition(&said, kind).unwrap().status, is, "{kind}");
        }
        assert_eq!(said.observed_generation, Some(3));
        let said =
            status(&version(State::Published), Told { published: Some("v1"), ..told(&observed, Step::Rest) }, now);
        assert_eq!((said.phase, said.publish_requested), (Phase::Published, None));
        let said =
            status(&version(State::Published), Told { published: Some("v2"), ..told(&observed, Step::Rest) }, now);
        assert!(condition(&said, "Published").unwrap().message.contains("version v2"));
    }

    #[test]
    fn saying_it_again_later_changes_nothing() {
        let observed = running();
        let mut version = version(State::Published);
        let said =
            |version: &Version, now| status(version, Told { asked: Some(now), ..told(&observed, Step::Rest) }, now);
        let first = said(&version, Timestamp::UNIX_EPOCH);
        version.status = Some(first.clone());
        assert_eq!(said(&version, Timestamp::MAX), first);
        assert_eq!(first.publish_requested, Some(MicroTime(Timestamp::UNIX_EPOCH)));
        version.spec.state = State::Started;
        assert_eq!(said(&version, Timestamp::MAX).publish_requested, None);
    }

    #[test]
    fn what_is_wrong_with_a_node_is_told_in_one_line_with_its_name() {
        let observed = Observed { ready: false, service: Door::Missing, ..running() };
        let node = NodeStatus {
            name: "etl".to_owned(),
            workflow: Some("w".to_owned()),
            replicas: 1,
            reason: Some("ImagePull".to_owned()),
            message: Some("not found".to_owned()),
            ..NodeStatus::default()
        };
        let nodes = vec![node.clone(), node];
        let said =
            status(&version(State::Started), Told { nodes, ..told(&observed, Step::AwaitReady) }, Timestamp::MIN);
        assert_eq!(said.phase, Phase::Failed);
        assert_eq!(said.message, "w/etl: not found (and 1 more)");
        assert_eq!(condition(&said, "Degraded").unwrap().reason, "ImagePull");
        assert_eq!(said.ready, "0/2");
    }

    #[test]
    fn a_version_is_stopping_until_nothing_is_left() {
        let left = Observed { bus_touched: true, ..Observed::default() };
        let said =
            |observed: &Observed| status(&version(State::Stopped), told(observed, Step::Rest), Timestamp::MIN).phase;
        assert_eq!(said(&left), Phase::Stopping);
        assert_eq!(said(&Observed::default()), Phase::Stopped);
    }
}
