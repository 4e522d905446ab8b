//! Which path leads to which workflow, and what is counted for each method. Made once, from the proto.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prost_reflect::{DescriptorPool, MessageDescriptor};
use tonic::Code;

use super::replies::Replies;
use super::{EntrypointError, MethodRoute};
use crate::bus::Consumer;
use crate::telemetry::{CallLabels, Health, Metrics};

/// Prefix of every type URL, as the original runners write it.
const TYPE_URL: &str = "type.googleapis.com/";
/// Label of calls to paths that the proto does not have: one, whatever the paths.
const UNKNOWN: &str = "unknown";
/// gRPC status codes, by number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Every path that the proto has.
pub(super) struct Routes {
    paths: HashMap<String, Target>,
    services: BTreeSet<String>,
    unknown: Counted,
}

/// Where a path leads.
pub(super) enum Target {
    /// To a workflow.
    Workflow(Arc<Route>),
    /// To a method that no workflow answers.
    Unserved {
        /// Full name.
        method: String,
        /// What is counted.
        counted: Box<Counted>,
    },
}

/// One workflow's method.
pub(super) struct Route {
    /// Workflow name.
    pub(super) workflow: String,
    /// `/<package>.<Service>/<Method>`.
    pub(super) path: String,
    /// What it takes.
    pub(super) input: MessageDescriptor,
    /// What it answers with.
    pub(super) output: MessageDescriptor,
    /// Type URL of what it takes.
    pub(super) type_url: String,
    /// Full name of what it answers with.
    pub(super) output_name: String,
    /// Where requests are published.
    pub(super) subject: Arc<str>,
    /// Where answers are read.
    pub(super) consumer: Consumer,
    /// The calls that wait for one.
    pub(super) replies: Arc<Replies>,
    /// What is counted.
    pub(super) counted: Counted,
}

/// What is counted for one method. Looked up once: a label set is allocated and hashed at every look-up.
pub(super) struct Counted {
    method: String,
    metrics: Arc<Metrics>,
    seconds: Histogram,
    by_code: [OnceLock<Counter>; CODES.len()],
}

impl Routes {
    /// The routes of `methods`, and of all other methods in `pool`.
    pub(super) fn new(
        pool: &DescriptorPool,
        methods: Vec<MethodRoute>,
        metrics: &Arc<Metrics>,
        health: &Health,
    ) -> Result<Self, EntrypointError> {
        let mut paths = HashMap::new();
        let mut services = BTreeSet::new();
        for service in pool.services() {
            for method in service.methods() {
                let target = Target::Unserved {
                    method: method.full_name().to_owned(),
                    counted: Box::new(Counted::new(method.name(), metrics)),
                };
                paths.insert(format!("/{}/{}", service.full_name(), method.name()), target);
            }
        }
        for MethodRoute { method, workflow, stream, request_subject, reply_subject } in methods {
            let refused = |reason| EntrypointError::Method {
                method: method.full_name().to_owned(),
                workflow: workflow.clone(),
                reason,
            };
            if method.is_client_streaming() || method.is_server_streaming() {
                return Err(refused("it streams; a workflow answers one request with one answer"));
            }
            let service = method.parent_service().full_name().to_owned();
            let path = format!("/{service}/{}", method.name());
            services.insert(service);
            let route = Route {
                path: path.clone(),
                type_url: format!("{TYPE_URL}{}", method.input().full_name()),
                output_name: method.output().full_name().to_owned(),
                input: method.input(),
                output: method.output(),
                subject: request_subject.into(),
                consumer: Consumer::Ephemeral { stream, filter_subject: reply_subject },
                replies: Replies::new(health.part(format!("answers of workflow {workflow}"))),
                counted: Counted::new(method.name(), metrics),
                workflow: workflow.clone(),
            };
            match paths.insert(path, Target::Workflow(Arc::new(route))) {
                None => return Err(refused("the proto does not have it")),
                Some(Target::Workflow(_)) => return Err(refused("another workflow answers it")),
                Some(Target::Unserved { .. }) => {}
            }
        }
        Ok(Self { paths, services, unknown: Counted::new(UNKNOWN, metrics) })
    }

    /// Where `path` (`/<package>.<Service>/<Method>`) leads.
    pub(super) fn get(&self, path: &str) -> Option<&Target> {
        self.paths.get(path)
    }

    /// Where `service` and `method` lead, the package left out if that is clear enough.
    pub(super) fn find(&self, service: &str, method: &str) -> Option<&Target> {
        self.get(&format!("/{service}/{method}")).or_else(|| {
            let suffix = format!(".{service}/{method}");
            let mut found = self.paths.iter().filter(|(path, _)| path.ends_with(&suffix)).map(|(_, target)| target);
            found.next().filter(|_| found.next().is_none())
        })
    }

    /// The workflows' routes.
    pub(super) fn workflows(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.paths.values().filter_map(|target| match target {
            Target::Workflow(route) => Some(route),
            Target::Unserved { .. } => None,
        })
    }

    /// Full names of the services that workflows answer.
    pub(super) fn services(&self) -> impl Iterator<Item = &str> {
        self.services.iter().map(String::as_str)
    }

    /// Counts a call to a path that the proto does not have.
    pub(super) fn count_unknown(&self) {
        self.unknown.record(Code::Unimplemented, Duration::ZERO);
    }
}

impl Counted {
    fn new(method: &str, metrics: &Arc<Metrics>) -> Self {
        let labels = CallLabels { method: method.to_owned(), status: "" };
        Self {
            method: method.to_owned(),
            metrics: metrics.clone(),
            seconds: metrics.call_seconds.get_or_create_owned(&labels),
            by_code: [const { OnceLock::new() }; CODES.len()],
        }
    }

    /// Counts one call.
    /// The method's name.
    pub(super) fn method(&self) -> &str {
        &self.method
    }

    /// Counts a call that ended so.
    pub(super) fn record(&self, code: Code, elapsed: Duration) {
        self.seconds.observe(elapsed.as_secs_f64());
        let counter = self.by_code[code as usize].get_or_init(|| {
            let labels = CallLabels { method: self.method.clone(), status: code_name(code) };
            self.metrics.calls.get_or_create_owned(&labels)
        });
        counter.inc();
    }
}

/// The code's name as the gRPC specification writes it.
pub(crate) fn code_name(code: Code) -> &'static str {
    CODES[code as usize]
}
