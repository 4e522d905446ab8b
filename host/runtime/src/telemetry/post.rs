//! One HTTP connection to one server, kept while it lasts: the little that a sink needs. Built on hyper's own connection,
//! which is in the program for gRPC anyway; a client with pools, redirects and proxies would bring much that is not wanted.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, pki_types::ServerName};

/// How long one request may take, connecting included.
const LIMIT: Duration = Duration::from_secs(10);

/// Bytes of an answer that are read: it says what was wrong, if anything.
const ANSWER: usize = 16 << 10;

/// Where requests go.
pub(super) struct Target {
    host: String,
    port: u16,
    tls: Option<TlsConnector>,
    host_header: HeaderValue,
    authorization: Option<HeaderValue>,
    path: String,
}

/// A target, and the connection to it if there is one.
pub(super) struct Post {
    target: Target,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// Not a URI to post to. What is wrong with it is not said: it may be the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a URI of the form http[s]://[USER:PASSWORD@]HOST[:PORT][/PATH]")]
pub struct InvalidUri;

impl Target {
    /// What `uri` and the path and query behind it lead to.
    pub(super) fn read(uri: &str, path: &str) -> Result<Self, InvalidUri> {
        let uri: Uri = uri.trim_end_matches('/').parse().map_err(|_| InvalidUri)?;
        let authority = uri.authority().ok_or(InvalidUri)?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(InvalidUri),
        };
        if uri.query().is_some() || authority.host().is_empty() {
            return Err(InvalidUri);
        }
        // InfluxDB 1.8 takes user and password as the token of its second version.
        let authorization = authority.as_str().rsplit_once('@').map(|(user, _)| {
            let mut value = HeaderValue::try_from(format!("Token {}", decoded(user)?)).map_err(|_| InvalidUri)?;
            value.set_sensitive(true);
            Ok(value)
        });
        let host_header = authority.as_str().rsplit('@').next().unwrap_or_default();
        let bare = authority.host().trim_start_matches('[').trim_end_matches(']');
        // Decided before the first use, so that a certificate's name cannot fail later.
        ServerName::try_from(bare.to_owned()).map_err(|_| InvalidUri)?;
        Ok(Self {
            host: bare.to_owned(),
            port: authority.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            tls: secure.then(connector).transpose()?,
            host_header: HeaderValue::try_from(host_header).map_err(|_| InvalidUri)?,
            authorization: authorization.transpose()?,
            path: format!("{}{path}", uri.path().trim_end_matches('/')),
        })
    }

    /// `host:port`, for the log.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl Post {
    pub(super) fn new(target: Target) -> Self {
        Self { target, connection: None }
    }

    /// Where it goes, for the log.
    pub(super) fn place(&self) -> String {
        self.target.place()
    }

    /// Posts text: the status and the beginning of the answer, or why there is none.
    pub(super) async fn send(&mut self, body: Bytes) -> Result<(StatusCode, String), String> {
        let sent = tokio::time::timeout(LIMIT, self.exchange(body)).await;
        let sent = sent.unwrap_or_else(|_| Err(format!("no answer within {} s", LIMIT.as_secs())));
        if sent.is_err() {
            self.connection = None;
        }
        sent
    }

    async fn exchange(&mut self, body: Bytes) -> Result<(StatusCode, String), String> {
        let mut connection = match self.connection.take() {
            Some(connection) if !connection.is_closed() => connection,
            _ => self.connect().await.map_err(|error| error.to_string())?,
        };
        connection.ready().await.map_err(|error| error.to_string())?;
        let answer = connection.send_request(self.request(body)?).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let text = Limited::new(answer.into_body(), ANSWER).collect().await.map_err(|error| error.to_string())?;
        self.connection = Some(connection);
        Ok((status, String::from_utf8_lossy(&text.to_bytes()).into_owned()))
    }

    fn request(&self, body: Bytes) -> Result<Request<Full<Bytes>>, String> {
        let mut request = Request::post(&self.target.path)
            .header(HOST, &self.target.host_header)
            .header(USER_AGENT, concat!("krt/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "text/plain; charset=utf-8");
        if let Some(authorization) = &self.target.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request.body(Full::new(body)).map_err(|error| error.to_string())
    }

    async fn connect(&self) -> std::io::Result<SendRequest<Full<Bytes>>> {
        let Target { host, port, tls, .. } = &self.target;
        let plain = TcpStream::connect((host.as_str(), *port)).await?;
        match tls {
            None => begin(plain).await,
            Some(tls) => {
                let name = ServerName::try_from(host.clone()).map_err(std::io::Error::other)?;
                begin(tls.connect(name, plain).await?).await
            }
        }
    }
}

async fn begin(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> std::io::Result<SendRequest<Full<Bytes>>> {
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
    // Its errors are those of the requests.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

/// Trusts what the system trusts.
fn connector() -> Result<TlsConnector, InvalidUri> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    // The versions are the provider's own.
    let config = config.map_err(|_| InvalidUri)?.with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Without `%XX`.
fn decoded(text: &str) -> Result<String, InvalidUri> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16)).ok_or(InvalidUri);
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| InvalidUri)?);
    }
    String::from_utf8(bytes).map_err(|_| InvalidUri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_says_where_as_whom_and_beneath_which_path() {
        let target = Target::read("http://us%40er:ge%20heim@influx:8086/base/", "/write?x=1").unwrap();
        assert_eq!((target.place().as_str(), target.path.as_str()), ("influx:8086", "/base/write?x=1"));
        assert_eq!(target.host_header, "influx:8086");
        let authorization = target.authorization.unwrap();
        assert_eq!(authorization, "Token us@er:ge heim");
        assert!(!format!("{authorization:?}").contains("heim"), "it is not shown");
        assert!(Target::read("http://[::1]", "/").is_ok_and(|target| target.place() == "::1:80"));
        assert!(Target::read("https://influx.example", "/").is_ok_and(|t| t.tls.is_some() && t.port == 443));
    }

    #[test]
    fn what_is_no_uri_is_refused_without_a_word_of_it() {
        for uri in [
            "",
            "influx:8086",
            "ftp://h",
            "http://",
            "http:///x",
            "http://u:geheim@",
            "http://h?q=1",
            "http://u%zz@h",
            "http://a b",
        ] {
            assert_eq!(Target::read(uri, "/").err(), Some(InvalidUri), "{uri}");
        }
        assert!(!InvalidUri.to_string().contains("geheim"));
    }
}
