//! The web front end: status page, probes, metrics, the `.proto` files, and calls in JSON, so that curl works.
//!
//! Serves no files from disk: everything is in memory.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, Request, State as Shared};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Limited};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::routes::{Route, Target, code_name};
use super::{State, frame, grpc, json, page, probes};

/// Time in which a client must have sent its request's headers.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a connection's read buffer, hence of a request's headers.
const MAX_BUFFER: usize = 64 << 10;

/// An answer that is not one.
struct Failure {
    http: StatusCode,
    code: Code,
    message: String,
}

/// Serves one connection until it ends, or `closing` fires and its request is answered.
pub(super) async fn connection(router: Router, socket: TcpStream, closing: CancellationToken) {
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_TIMEOUT)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a web connection ended");
    }
}

/// All pages.
pub(super) fn router(state: Arc<State>) -> Router {
    let probes = probes::router(state.health.clone(), state.metrics.clone());
    Router::new()
        .route("/", get(status))
        .route("/proto", get(|| async { Redirect::permanent("/proto/") }))
        .route("/proto/", get(protos))
        .route("/proto/{*path}", get(proto))
        .route("/{service}/{method}", post(call))
        .fallback(|| async {
            let message = "nothing here: see / for what there is, and POST JSON to /<Service>/<Method>".to_owned();
            Failure { http: StatusCode::NOT_FOUND, code: Code::NotFound, message }
        })
        .with_state(state)
        .merge(probes)
}

async fn status(Shared(state): Shared<Arc<State>>) -> Response {
    let sources: Vec<_> = state.sources.keys().map(String::as_str).collect();
    let waiting = (!state.health.is_ready()).then(|| probes::waiting(&state.health));
    let in_flight = state.calls.in_flight();
    let shown = page::Shown { topology: &state.topology, routes: &state.routes, sources: &sources, waiting, in_flight };
    html(page::status(&shown))
}

async fn protos(Shared(state): Shared<Arc<State>>) -> Response {
    let sources: Vec<_> = state.sources.keys().map(String::as_str).collect();
    html(format!("<!doctype html><meta charset=utf-8><title>proto</title>{}", page::listing(&sources)))
}

async fn proto(Shared(state): Shared<Arc<State>>, Path(path): Path<String>) -> Response {
    match state.sources.get(&path) {
        Some(text) => ([(CONTENT_TYPE, "text/plain; charset=utf-8")], text.clone()).into_response(),
        None => {
            let message = "the version has no such .proto file: see /proto/".to_owned();
            Failure { http: StatusCode::NOT_FOUND, code: Code::NotFound, message }.into_response()
        }
    }
}

async fn call(
    Shared(state): Shared<Arc<State>>,
    Path((service, method)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let route = match state.routes.find(&service, &method) {
        Some(Target::Workflow(route)) => route.clone(),
        Some(Target::Unserved { method, counted }) => {
            counted.record(Code::Unimplemented, Duration::ZERO);
            return Failure::from(Status::unimplemented(format!("no workflow of this version answers {method}")))
                .into_response();
        }
        None => {
            state.routes.count_unknown();
            let mut paths: Vec<_> = state.routes.workflows().map(|route| route.path.as_str()).collect();
            paths.sort_unstable();
            let message = format!("no such method; there are {}", paths.join(", "));
            return Failure { http: StatusCode::NOT_FOUND, code: Code::NotFound, message }.into_response();
        }
    };
    match answer(&state, &route, query.as_deref(), request).await {
        Ok(json) => ([(CONTENT_TYPE, "application/json")], json + "\n").into_response(),
        Err(failure) => failure.into_response(),
    }
}

async fn answer(state: &State, route: &Route, query: Option<&str>, request: Request) -> Result<String, Failure> {
    let (parts, body) = request.into_parts();
    same_origin(&parts.headers)?;
    json_content(&parts.headers)?;
    if state.calls.is_draining() {
        return Err(Status::unavailable("the entrypoint is shutting down").into());
    }
    let mut admitted = state.calls.admit(&route.counted)?;
    let answering = async {
        let asked = match grpc::timeout(&parts.headers)? {
            Some(timeout) => Some(timeout),
            None => query_timeout(query)?,
        };
        let deadline = state.calls.deadline(asked);
        let within = async {
            let limit = state.limits.max_message;
            admitted
                .reserve(body.size_hint().exact().map_or(limit, |n| usize::try_from(n).unwrap_or(limit).min(limit)))?;
            let text = read(body, limit).await?;
            let input = route.input.clone();
            let request = frame::off_thread(text.len(), move || json::parse(&input, &text)).await?;
            let request = request.map_err(|e| Status::invalid_argument(e.to_string()))?;
            let answer = state.calls.call(route, request.into(), grpc::trace(&parts.headers)).await?;
            Ok::<Bytes, Failure>(answer)
        };
        let after = asked.unwrap_or(state.limits.default_timeout);
        let late =
            || Status::deadline_exceeded(format!("no answer from workflow {:?} within {after:?}", route.workflow));
        let bytes = tokio::time::timeout_at(deadline, within).await.unwrap_or_else(|_| Err(late().into()))?;
        let output = route.output.clone();
        let json = frame::off_thread(bytes.len(), move || json::print(&output, &bytes)).await?;
        json.map_err(|e| Status::internal(super::text::bounded(&e)).into())
    };
    let answer: Result<String, Failure> = answering.await;
    match &answer {
        Ok(_) => admitted.end(Code::Ok),
        Err(failure) => admitted.end(failure.code),
    }
    answer
}

/// A page elsewhere may post forms here, but its requests say so.
fn same_origin(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let host = headers.get(HOST).map(HeaderValue::as_bytes).unwrap_or_default();
    let origin = origin.as_bytes();
    let origin = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    if origin == Some(host) {
        return Ok(());
    }
    Err(Status::permission_denied("calls from pages of another origin are not taken").into())
}

/// JSON by its name, or what curl calls a body when nobody tells it.
fn json_content(headers: &HeaderMap) -> Result<(), Failure> {
    let Some(kind) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let kind = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind == "application/json" || kind.ends_with("+json") || kind == "application/x-www-form-urlencoded" {
        return Ok(());
    }
    let message = format!("the body's type is {kind:?}; only application/json is understood");
    Err(Failure { http: StatusCode::UNSUPPORTED_MEDIA_TYPE, code: Code::InvalidArgument, message })
}

/// `timeout=500ms`, `timeout=5s`, `timeout=2m` or `timeout=1.5` (seconds).
fn query_timeout(query: Option<&str>) -> Result<Option<Duration>, Status> {
    let mut pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let Some((_, text)) = pairs.find(|(name, _)| *name == "timeout") else { return Ok(None) };
    super::text::duration(text)
        .map(Some)
        .ok_or_else(|| Status::invalid_argument("timeout is a number and one of ms, s, m, h: for example 500ms"))
}

async fn read(body: Body, limit: usize) -> Result<Bytes, Failure> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Failure {
            http: StatusCode::PAYLOAD_TOO_LARGE,
            code: Code::ResourceExhausted,
            message: format!("the body has more than {limit} bytes"),
        }),
        Err(error) => Err(Status::cancelled(format!("the request broke off: {error}")).into()),
    }
}

fn html(text: String) -> Response {
    let headers = [
        (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, Html(text)).into_response()
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        // The mapping of grpc-gateway; 499 is nginx's word for a client that went away.
        let http = match status.code() {
            Code::Ok => 200,
            Code::Cancelled => 499,
            Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => 400,
            Code::Unauthenticated => 401,
            Code::PermissionDenied => 403,
            Code::NotFound => 404,
            Code::AlreadyExists | Code::Aborted => 409,
            Code::ResourceExhausted => 429,
            Code::Unimplemented => 501,
            Code::Unavailable => 503,
            Code::DeadlineExceeded => 504,
            Code::Unknown | Code::Internal | Code::DataLoss => 500,
        };
        let http = StatusCode::from_u16(http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { http, code: status.code(), message: status.message().to_owned() }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = serde_json::json!({
            "code": self.code as i32,
            "status": code_name(self.code),
            "message": self.message,
        });
        (self.http, [(CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
    }
}
