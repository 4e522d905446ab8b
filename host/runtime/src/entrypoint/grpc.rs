//! The gRPC front end: a path to a workflow, the caller's deadline, status codes; reflection and health beside it.
//!
//! Never decodes a message.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use super::frame::{self, Reply};
use super::listen::Acceptor;
use super::routes::{Route, Target};
use super::{EntrypointError, State};
use crate::telemetry::Health;

/// Answers below this size are not compressed: the gzip header alone has 18 bytes, and such answers fit one packet.
const COMPRESSED_FROM: usize = 1024;
/// Bytes of headers that a call may have, `traceparent` and authorisation included.
const MAX_HEADERS: u32 = 16 << 10;
/// A dead peer is noticed after this much silence ...
const KEEPALIVE: Duration = Duration::from_secs(30);
/// ... and this much more without an answer to a ping.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes that a stream may have under way: a full envelope of the usual 1 MiB without waiting for the window.
const STREAM_WINDOW: u32 = 1 << 20;
/// Bytes that a connection may have under way.
const CONNECTION_WINDOW: u32 = 4 << 20;

type Inner = BoxCloneSyncService<Request<tonic::body::Body>, Response<tonic::body::Body>, Infallible>;

/// The gRPC services of an entrypoint. Cheap to clone.
#[derive(Clone)]
pub(super) struct Grpc {
    state: Arc<State>,
    /// tonic's own services by the name that their paths begin with.
    beside: Arc<[(&'static str, Inner)]>,
    reporter: HealthReporter,
}

impl Grpc {
    /// The workflows' methods, with reflection from the descriptor `set`, and health.
    pub(super) fn new(state: Arc<State>, set: &[u8]) -> Result<Self, EntrypointError> {
        let reflection = || {
            let builder = tonic_reflection::server::Builder::configure();
            builder
                .register_encoded_file_descriptor_set(set)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let v1 = reflection().build_v1()?;
        let v1alpha = reflection().build_v1alpha()?;
        let (reporter, health) = tonic_health::server::health_reporter();
        let beside = [beside(v1), beside(v1alpha), beside(health)].into();
        Ok(Self { state, beside, reporter })
    }

    /// Says to health checks, overall and by service name, what `health` says, for ever.
    pub(super) async fn follow(self, health: Health) {
        let mut ready = health.is_ready();
        loop {
            self.report(ready).await;
            health.until(!ready).await;
            ready = !ready;
        }
    }

    /// Says to health checks whether calls are served.
    pub(super) async fn report(&self, ready: bool) {
        let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in self.state.routes.services().chain([""]) {
            self.reporter.set_service_status(service, status).await;
        }
    }

    /// Serves one connection until it ends, or `closing` fires and its calls are done.
    pub(super) async fn connection(self, acceptor: Acceptor, socket: TcpStream, closing: CancellationToken) {
        let socket = match acceptor.accept(socket).await {
            Ok(socket) => socket,
            Err(error) => return tracing::debug!(%error, "a TLS handshake failed"),
        };
        let streams = u32::try_from(self.state.limits.max_in_flight).unwrap_or(u32::MAX);
        let service = service_fn(|request| {
            let (this, closing) = (self.clone(), closing.clone());
            async move { Ok::<_, Infallible>(this.handle(request, &closing).await) }
        });
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            // More than may be in flight, so that the excess is refused and does not queue in the client.
            .max_concurrent_streams(streams.saturating_mul(2).max(128))
            .max_header_list_size(MAX_HEADERS)
            .auto_date_header(false)
            .serve_connection(TokioIo::new(socket), service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = closing.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a gRPC connection ended");
        }
    }

    /// Answers one request.
    pub(super) async fn handle<B>(&self, request: Request<B>, closing: &CancellationToken) -> Response<Reply>
    where
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: std::fmt::Display + Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let subtype = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let subtype = subtype.strip_prefix(b"application/grpc");
        if !subtype.is_some_and(|rest| rest.is_empty() || rest.starts_with(b";") || rest.starts_with(b"+proto")) {
            // The specification's word on requests that are none of gRPC.
            let mut response = Response::new(Reply::Empty);
            *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return response;
        }
        let path = request.uri().path();
        match self.state.routes.get(path) {
            Some(Target::Workflow(route)) => {
                let route = route.clone();
                self.unary(&route, request).await.unwrap_or_else(Status::into_http)
            }
            Some(Target::Unserved { method, counted }) => {
                counted.record(tonic::Code::Unimplemented, Duration::ZERO);
                Status::unimplemented(format!("no workflow of this version answers {method}")).into_http()
            }
            None => {
                let service = path.trim_start_matches('/').split('/').next().unwrap_or_default();
                let Some((_, inner)) = self.beside.iter().find(|(name, _)| *name == service) else {
                    self.state.routes.count_unknown();
                    let path = super::text::bounded(path);
                    return Status::unimplemented(format!("the version's proto has no method {path}")).into_http();
                };
                let Ok(response) = inner.clone().oneshot(request.map(tonic::body::Body::new)).await;
                let closing = Some(Box::pin(closing.clone().cancelled_owned()));
                response.map(|body| Reply::Tonic { body, closing })
            }
        }
    }

    async fn unary<B>(&self, route: &Route, request: Request<B>) -> Result<Response<Reply>, Status>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let calls = &self.state.calls;
        let mut admitted = calls.admit(&route.counted)?;
        let (parts, body) = request.into_parts();
        let headers = parts.headers;
        let answer = async {
            let timeout = timeout(&headers)?;
            let deadline = calls.deadline(timeout);
            let gzip = encoding(&headers)?;
            let answering = async {
                let limit = self.state.limits.max_message;
                let message = frame::read(body, gzip, limit, |bytes| admitted.reserve(bytes)).await?;
                calls.call(route, message, trace(&headers)).await
            };
            tokio::time::timeout_at(deadline, answering).await.unwrap_or_else(|_| {
                let after = timeout.unwrap_or(self.state.limits.default_timeout);
                Err(Status::deadline_exceeded(format!("no answer from workflow {:?} within {after:?}", route.workflow)))
            })
        };
        let reply = match answer.await {
            Err(status) => Err(status),
            Ok(message) => {
                let gzip = message.len() >= COMPRESSED_FROM && accepts_gzip(&headers);
                frame::write(message, gzip).await.map(|reply| (reply, gzip))
            }
        };
        let (reply, gzip) = reply.inspect_err(|status| admitted.end(status.code()))?;
        admitted.end(tonic::Code::Ok);
        let mut response = Response::new(reply);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        if gzip {
            headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
        }
        Ok(response)
    }
}

fn beside<S>(service: S) -> (&'static str, Inner)
where
    S: tower::Service<
            Request<tonic::body::Body>,
            Response = Response<tonic::body::Body>,
            Error = Infallible,
            Future: Send + 'static,
        > + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
{
    (S::NAME, BoxCloneSyncService::new(service))
}

/// Whether compressed messages of the request are gzip.
fn encoding(headers: &HeaderMap) -> Result<bool, Status> {
    match headers.get("grpc-encoding").map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(false),
        Some(b"gzip") => Ok(true),
        Some(other) => {
            let other = super::text::bounded(&String::from_utf8_lossy(other));
            let mut status =
                Status::unimplemented(format!("grpc-encoding {other:?} is not known; gzip and identity are"));
            status
                .metadata_mut()
                .insert("grpc-accept-encoding", tonic::metadata::MetadataValue::from_static("gzip,identity"));
            Err(status)
        }
    }
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get("grpc-accept-encoding").and_then(|value| value.to_str().ok());
    accepted.is_some_and(|value| value.split(',').any(|encoding| encoding.trim() == "gzip"))
}

/// The caller's `grpc-timeout`, if it has one.
pub(super) fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    let parsed = value.to_str().ok().and_then(parse_timeout);
    parsed.map(Some).ok_or_else(|| {
        Status::invalid_argument("grpc-timeout is at most eight digits and one of H, M, S, m, u, n: for example 500m")
    })
}

fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// The caller's W3C `traceparent`, if it is one.
pub(super) fn trace(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let dashes = [2, 35, 52];
    let well_formed = text.len() == 55
        && text.bytes().enumerate().all(|(at, b)| match dashes.contains(&at) {
            true => b == b'-',
            false => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
        });
    well_formed.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[test]
    fn timeouts_are_read_as_the_specification_writes_them() {
        for (text, expected) in [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("3S", Duration::from_secs(3)),
            ("00000500m", Duration::from_millis(500)),
            ("500m", Duration::from_millis(500)),
            ("7u", Duration::from_micros(7)),
            ("99999999n", Duration::from_nanos(99_999_999)),
        ] {
            assert_eq!(timeout(&headers("grpc-timeout", text)).unwrap(), Some(expected), "{text}");
        }
        for text in ["", "S", "1", "1s", "-1S", "1.5S", " 1S", "100000000n"] {
            assert!(timeout(&headers("grpc-timeout", text)).is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_a_well_formed_traceparent_is_passed_on() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(trace(&headers("traceparent", good)).as_deref(), Some(good));
        for bad in ["", "00", &good.to_uppercase(), &good.replace('-', "_"), &format!("{good}-more")] {
            assert_eq!(trace(&headers("traceparent", bad)), None, "{bad}");
        }
    }
}
