//! The flags of whatever serves callers: where it listens, and what callers may use.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;

use crate::artifact;
use crate::entrypoint::{Limits, Tls};

/// Bytes of a PEM file: far more than any chain needs.
const MAX_PEM: usize = 1 << 20;

/// Where callers come in, and what they may use.
#[derive(Debug, clap::Args)]
pub(super) struct Door {
    /// Where gRPC listens; port 0 picks a free one
    #[arg(long, value_name = "HOST:PORT", env = "KRT_GRPC_ADDR", default_value = "127.0.0.1:9000")]
    pub(super) grpc_addr: String,
    /// Where the web listens (status page, .proto files, JSON calls, probes, metrics); port 0 picks a free one
    #[arg(long, value_name = "HOST:PORT", env = "KRT_WEB_ADDR", default_value = "127.0.0.1:8080")]
    pub(super) web_addr: String,
    /// Print a line for every request
    #[arg(long)]
    pub(super) requests: bool,
    /// Seconds that a call may take when the caller sets no deadline
    #[arg(long, value_name = "SECONDS", env = "KRT_REQUEST_TIMEOUT", default_value_t = 30.0, value_parser = super::positive_seconds)]
    timeout: f64,
    /// Calls under way at once; more are shed with RESOURCE_EXHAUSTED
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    max_in_flight: u32,
    /// Largest message in bytes, on the wire and on the embedded bus
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20, value_parser = clap::value_parser!(u32).range(1024..=64 << 20))]
    pub(super) max_message: u32,
    /// Seconds that a drain may take before what is in hand is abandoned
    #[arg(long, value_name = "SECONDS", env = "KRT_GRACE", default_value_t = 10.0, value_parser = super::positive_seconds)]
    grace: f64,
    /// PEM file with the certificate chain: serve gRPC over TLS
    #[arg(long, value_name = "FILE", env = "KRT_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// PEM file with the certificate's key
    #[arg(long, value_name = "FILE", env = "KRT_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

impl Door {
    /// What callers may use.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            default_timeout: Duration::from_secs_f64(self.timeout),
            max_in_flight: self.max_in_flight as usize,
            max_message: self.max_message as usize,
            grace: Duration::from_secs_f64(self.grace),
            ..Limits::default()
        }
    }

    /// The certificate and its key, if TLS is wanted.
    pub(super) fn tls(&self) -> anyhow::Result<Option<Tls>> {
        let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) else { return Ok(None) };
        let read =
            |path: &PathBuf| artifact::read_file(path, MAX_PEM).with_context(|| format!("reading {}", path.display()));
        Ok(Some(Tls { certificate: read(certificate)?, key: read(key)? }))
    }

    /// Both listeners, gRPC's first.
    pub(super) async fn listen(&self) -> anyhow::Result<(TcpListener, TcpListener)> {
        Ok((listen(&self.grpc_addr, "--grpc-addr").await?, listen(&self.web_addr, "--web-addr").await?))
    }
}

/// Listens on `address`, which `flag` gave.
pub(super) async fn listen(address: &str, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; choose another address with {flag} HOST:PORT (port 0 picks a free one)")
    })
}
