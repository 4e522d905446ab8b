//! The connection to a gRPC server and one call over it. Names in words why there is none.

use std::error::Error;
use std::io;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use http::uri::PathAndQuery;
use tokio::time::Instant;
use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

use crate::entrypoint::codec::BytesCodec;

/// A server that does not take a connection in this time is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A peer that is silent is asked whether it lives this often ...
const KEEPALIVE: Duration = Duration::from_secs(10);
/// Bytes of an answer: as much as an envelope may expand to.
const MAX_ANSWER: usize = 64 << 20;
/// Bytes under way on a stream and on the connection.
const WINDOW: u32 = 4 << 20;

/// How to connect, and what to send with each call.
pub(super) struct Options<'a> {
    /// TLS, trusting the system's authorities.
    pub(super) tls: bool,
    /// TLS, trusting these authorities (PEM).
    pub(super) ca: Option<&'a [u8]>,
    /// `name: value`.
    pub(super) headers: &'a [String],
}

/// A connected server. Cheap to clone.
#[derive(Clone)]
pub(super) struct Server {
    channel: Channel,
    metadata: MetadataMap,
}

impl Server {
    /// Connects to `to` (`host:port`, with or without a scheme).
    pub(super) async fn connect(to: &str, options: &Options<'_>) -> anyhow::Result<Self> {
        let metadata = metadata(options.headers)?;
        let (scheme, address) = match to.split_once("://") {
            Some((scheme @ ("http" | "https"), address)) => (Some(scheme), address.trim_end_matches('/')),
            Some((scheme, _)) => bail!("--to takes HOST:PORT, or a URL of http or https; {scheme:?} is neither"),
            None => (None, to),
        };
        let tls = options.tls || options.ca.is_some() || scheme == Some("https");
        let scheme = if tls { "https" } else { "http" };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"));
        let mut endpoint = endpoint
            .ok()
            .filter(|e| e.uri().port_u16().is_some() && e.uri().path() == "/")
            .with_context(|| format!("--to takes HOST:PORT, for example 127.0.0.1:9000; {to:?} is none"))?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .tcp_nodelay(true);
        if tls {
            let config = match options.ca {
                Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
                None => ClientTlsConfig::new().with_native_roots(),
            };
            endpoint = endpoint.tls_config(config).map_err(|e| anyhow!("TLS cannot be set up: {}", chain(&e)))?;
        }
        let channel = endpoint.connect().await.map_err(|error| unreachable(address, tls, &error))?;
        Ok(Self { channel, metadata })
    }

    /// The channel, for clients of other services.
    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// `message` with the metadata that each call bears.
    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        *request.metadata_mut() = self.metadata.clone();
        request
    }

    /// Calls `path` once.
    pub(super) async fn call(
        &self,
        path: PathAndQuery,
        message: Bytes,
        timeout: Option<Duration>,
    ) -> Result<Bytes, Status> {
        let begin = Instant::now();
        let mut client = tonic::client::Grpc::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER);
        let answer = async {
            client.ready().await.map_err(|e| Status::unavailable(format!("the connection was lost: {}", chain(&e))))?;
            let mut request = self.request(message);
            if let Some(timeout) = timeout {
                request.set_timeout(timeout);
            }
            client.unary(request, path, BytesCodec).await.map(tonic::Response::into_inner)
        };
        answer.await.map_err(|status| match timeout {
            // tonic's client keeps the deadline, too, and calls that a cancellation.
            Some(timeout) if status.code() == Code::Cancelled && begin.elapsed() >= timeout => {
                Status::deadline_exceeded(format!("no answer within {timeout:?}"))
            }
            _ => broken(status),
        })
    }
}

/// Whether it was not the server's word, but the connection's end.
pub(super) fn is_transport(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        if error.is::<tonic::transport::Error>() || error.is::<hyper::Error>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// UNAVAILABLE, with the cause, for what tonic calls UNKNOWN: the connection broke.
pub(super) fn broken(status: Status) -> Status {
    if status.code() != Code::Unknown || !is_transport(&status) {
        return status;
    }
    let cause = status.source().map_or_else(|| status.message().to_owned(), chain);
    let mut unavailable = Status::unavailable(format!("the connection broke: {cause}"));
    unavailable.set_source(std::sync::Arc::new(status));
    unavailable
}

fn metadata(headers: &[String]) -> anyhow::Result<MetadataMap> {
    let mut metadata = MetadataMap::new();
    for header in headers {
        // The value may be a secret: it is not repeated.
        let (name, value) = header.split_once(':').context("--header takes NAME:VALUE; a ':' is missing")?;
        let key: MetadataKey<Ascii> =
            name.trim().parse().map_err(|_| anyhow!("--header: {name:?} cannot be the name of metadata"))?;
        let value: MetadataValue<Ascii> =
            value.trim().parse().map_err(|_| anyhow!("--header: the value of {name:?} is not plain text"))?;
        metadata.append(key, value);
    }
    Ok(metadata)
}

fn unreachable(address: &str, tls: bool, error: &tonic::transport::Error) -> anyhow::Error {
    let mut source: Option<&(dyn Error + 'static)> = Some(error);
    let mut kind = None;
    while let Some(error) = source {
        kind = error.downcast_ref::<io::Error>().map(io::Error::kind).or(kind);
        source = error.source();
    }
    let text = chain(error);
    match kind {
        Some(io::ErrorKind::ConnectionRefused) => {
            anyhow!(
                "nothing listens on {address}; start a version with `krt run`, or say where it is with --to HOST:PORT"
            )
        }
        Some(io::ErrorKind::TimedOut) => anyhow!("{address} does not answer"),
        _ if text.contains("HandshakeTimedOut") || text.contains("deadline has elapsed") => {
            anyhow!("{address} does not answer")
        }
        _ if text.contains("InvalidContentType") => anyhow!("{address} speaks no TLS; leave --tls and --ca out"),
        _ if tls => anyhow!("no TLS connection to {address}: {text}"),
        _ => anyhow!("no connection to {address}: {text}"),
    }
}

/// An error with all that caused it, in one line, nothing twice.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}
