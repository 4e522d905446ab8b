//! `/live`, `/ready` and `/metrics`: of every process, with or without calls.

use std::sync::Arc;

use axum::Router;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use tokio::net::TcpListener;

use super::listen::Connections;
use super::{FLUSH, Limits, web};
use crate::telemetry::{Health, Metrics};

/// What the three pages show.
#[derive(Clone)]
struct Shown {
    health: Health,
    metrics: Arc<Metrics>,
}

/// The web of a process that answers no calls.
pub struct Probes(Connections);

impl Probes {
    /// Serves on `listener` until closed.
    pub fn serve(listener: TcpListener, health: Health, metrics: Arc<Metrics>) -> Self {
        let router = router(health, metrics);
        let connect = move |socket, closing| web::connection(router.clone(), socket, closing);
        Self(Connections::serve(listener, &Limits::default(), connect))
    }

    /// Ends once what is being answered is answered.
    pub async fn close(self) {
        if tokio::time::timeout(FLUSH, self.0.close()).await.is_err() {
            self.0.abort().await;
        }
    }
}

/// The three pages.
pub(super) fn router(health: Health, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/live", get(|| async { "alive\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(encoded))
        .with_state(Shown { health, metrics })
}

async fn ready(Shared(shown): Shared<Shown>) -> Response {
    if shown.health.is_ready() {
        return "ready\n".into_response();
    }
    let text = format!("not ready: {}\n", waiting(&shown.health).join(", "));
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn encoded(Shared(shown): Shared<Shown>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], shown.metrics.encode()).into_response()
}

/// What is not ready, in words.
pub(super) fn waiting(health: &Health) -> Vec<String> {
    let parts: Vec<_> = health.waiting_for().iter().map(ToString::to_string).collect();
    if parts.is_empty() { vec!["nodes are starting or stopping".to_owned()] } else { parts }
}
