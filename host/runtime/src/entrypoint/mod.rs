//! gRPC in, one shared reply consumer a workflow, answers matched by request id.
//!
//! The server is made at run time from the `.proto`. Payload bytes pass through untouched: a call over gRPC is never
//! decoded here. Beside it a web listener for people and probes: status page, metrics, the `.proto` files, JSON calls.
//!
//! # Layout
//! `calls` is one call, whoever made it: admission, envelope, publication, answer. `replies` matches answers by id.
//! `grpc` (with `frame`) and `web` (with `json`, `page` and `probes`) are its two front ends, `listen` what both stand
//! on: connections, TLS, drain.

mod calls;
pub mod codec;
mod frame;
mod grpc;
pub(crate) mod json;
mod listen;
mod page;
mod probes;
mod replies;
mod routes;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod text;
mod web;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use krt::names::{self, Names};
use krt::proto::{MethodError, Proto};
use krt::topology::Topology;
use prost_reflect::MethodDescriptor;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::bus::Bus;
use crate::telemetry::{Health, Metrics, Part};

use calls::Calls;
use grpc::Grpc;
use listen::{Acceptor, Connections};
pub use probes::Probes;
use replies::Replies;
use routes::Routes;
pub(crate) use routes::code_name;

/// How long connections may take to flush what the drain left them with.
const FLUSH: Duration = Duration::from_secs(1);

/// What an entrypoint is made of.
pub struct EntrypointOptions {
    /// The version's `.proto`: what is served, described, and shown.
    pub proto: Proto,
    /// What the status page shows.
    pub topology: Arc<Topology>,
    /// One a workflow.
    pub methods: Vec<MethodRoute>,
    /// Where requests go and answers come from.
    pub bus: Arc<dyn Bus>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What the probes answer.
    pub health: Health,
    /// What callers may use.
    pub limits: Limits,
    /// TLS on the gRPC listener.
    pub tls: Option<Tls>,
}

/// A method and the subjects of the workflow that answers it.
#[derive(Debug, Clone)]
pub struct MethodRoute {
    /// The unary method.
    pub method: MethodDescriptor,
    /// The workflow's name.
    pub workflow: String,
    /// The workflow's stream.
    pub stream: String,
    /// Where requests are published.
    pub request_subject: String,
    /// Where answers appear: the exitpoint's default subject.
    pub reply_subject: String,
}

/// What callers may use. Every resource that a caller can hold is bounded here.
#[derive(Debug, Clone)]
pub struct Limits {
    /// For calls without a deadline of their own. Default 30 s, as in the original's chart.
    pub default_timeout: Duration,
    /// Calls waiting for their answer; more are refused at once. Default 4096.
    pub max_in_flight: usize,
    /// Bytes of one request. Default 4 MiB, as in other gRPC servers.
    pub max_message: usize,
    /// Bytes of all requests in flight together. Default 256 MiB.
    pub max_buffered: usize,
    /// Connections per listener; more wait to be accepted. Default 4096.
    pub max_connections: usize,
    /// How long calls may go on after the drain began. Default 10 s.
    pub grace: Duration,
}

/// A certificate chain and its private key, as PEM.
#[derive(Clone)]
pub struct Tls {
    /// The chain, leaf first.
    pub certificate: Vec<u8>,
    /// The leaf's private key.
    pub key: Vec<u8>,
}

/// Why there is no entrypoint.
#[derive(Debug, thiserror::Error)]
pub enum EntrypointError {
    /// A workflow's method cannot be served.
    #[error("method {method:?} of workflow {workflow:?} cannot be served: {reason}")]
    Method {
        /// Full name of the method.
        method: String,
        /// Workflow name.
        workflow: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The certificate or its key is of no use.
    #[error("the TLS certificate or key cannot be used: {0}")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The descriptors cannot be served by reflection.
    #[error("the proto cannot be served by reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// The entrypoint of one version, ready to be served.
pub struct Entrypoint {
    state: Arc<State>,
    acceptor: Acceptor,
    grpc: Grpc,
}

/// What all parts of an entrypoint share.
struct State {
    calls: Calls,
    routes: Routes,
    sources: BTreeMap<String, String>,
    topology: Arc<Topology>,
    bus: Arc<dyn Bus>,
    metrics: Arc<Metrics>,
    health: Health,
    limits: Limits,
    accepting: Part,
}

impl MethodRoute {
    /// The routes of all workflows.
    ///
    /// # Errors
    /// A workflow's method is not in the proto.
    pub fn all(topology: &Topology, runtime_id: &str, proto: &Proto) -> Result<Vec<Self>, MethodError> {
        let names = Names::new(runtime_id, &topology.version);
        let route = |workflow: &krt::topology::Workflow| {
            let stream = names.stream(&workflow.method);
            Ok(Self {
                method: proto.method(&workflow.method)?,
                workflow: workflow.name.clone(),
                request_subject: names::entrypoint_subject(&stream),
                reply_subject: names::node_subject(&stream, &workflow.nodes[workflow.exitpoint].name),
                stream,
            })
        };
        topology.workflows.iter().map(route).collect()
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            default_timeout: Duration::from_secs(30),
            max_in_flight: 4096,
            max_message: 4 << 20,
            max_buffered: 256 << 20,
            max_connections: 4096,
            grace: Duration::from_secs(10),
        }
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls { .. }")
    }
}

impl Entrypoint {
    /// Makes the entrypoint. It is not ready before [`Self::serve`] has bound all reply consumers.
    ///
    /// # Errors
    /// See [`EntrypointError`].
    pub fn new(options: EntrypointOptions) -> Result<Self, EntrypointError> {
        let EntrypointOptions { proto, topology, methods, bus, metrics, health, limits, tls } = options;
        let routes = Routes::new(&proto.pool, methods, &metrics, &health)?;
        let acceptor = Acceptor::new(tls.as_ref())?;
        let state = Arc::new(State {
            calls: Calls::new(bus.clone(), limits.clone(), metrics.in_flight.clone()),
            accepting: health.part("entrypoint"),
            routes,
            sources: proto.sources().map(|(path, text)| (path.to_owned(), text.to_owned())).collect(),
            topology,
            bus,
            metrics,
            health,
            limits,
        });
        let grpc = Grpc::new(state.clone(), &proto.descriptor_set_bytes())?;
        Ok(Self { state, acceptor, grpc })
    }

    /// Serves gRPC on one listener and web on the other until `stop`, then drains: not ready at once, no new
    /// connections, calls in flight go on for the grace period, and what is left then is answered `UNAVAILABLE`.
    pub async fn serve(self, grpc: TcpListener, web: TcpListener, stop: CancellationToken) {
        let Self { state, acceptor, grpc: service } = self;
        let consumers: Vec<_> = state
            .routes
            .workflows()
            .map(|route| {
                let consume = Replies::consume(route.replies.clone(), state.bus.clone(), route.consumer.clone());
                AbortOnDrop(tokio::spawn(consume))
            })
            .collect();
        let following = AbortOnDrop(tokio::spawn(service.clone().follow(state.health.clone())));
        let calls = Connections::serve(grpc, &state.limits, {
            let service = service.clone();
            move |socket, closing| service.clone().connection(acceptor.clone(), socket, closing)
        });
        let pages = Connections::serve(web, &state.limits, {
            let router = web::router(state.clone());
            move |socket, closing| web::connection(router.clone(), socket, closing)
        });
        state.accepting.set_ready(true);

        stop.cancelled().await;
        state.accepting.set_ready(false);
        service.report(false).await;
        state.calls.drain();
        // The web listener stays: probes must learn that we are alive, and not ready.
        let drained = async {
            calls.close().await;
            state.calls.idle().await;
        };
        if tokio::time::timeout(state.limits.grace, drained).await.is_err() {
            tracing::warn!(calls = state.calls.in_flight(), "the grace period is over; calls are cut off");
            state.routes.workflows().for_each(|route| route.replies.fail_all());
        }
        if tokio::time::timeout(FLUSH, async { tokio::join!(calls.close(), pages.close()) }).await.is_err() {
            tokio::join!(calls.abort(), pages.abort());
        }
        drop((consumers, following));
    }
}

/// A task that ends with its owner.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
