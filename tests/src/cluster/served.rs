//! The part of the tests' kubelet that the API server itself connects to, over TLS: what containers log, and ways to their ports. Serves what it is
//! told that pods said; asserts nothing.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{SinkExt as _, StreamExt as _};
use k8s_openapi::jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::kubelet::Orders;

/// More than any head of a request of the API server's.
const MAX_HEAD: usize = 16 << 10;

/// What a pod said, and when.
#[derive(Debug, Clone)]
pub(super) struct Word {
    pub(super) namespace: String,
    /// How the pod's name begins.
    pub(super) pods: String,
    pub(super) at: Timestamp,
    pub(super) text: Vec<u8>,
}

/// A request of the API server's for what a container logs.
struct Wanted {
    namespace: String,
    pod: String,
    follow: bool,
    timestamps: bool,
    since: Option<Timestamp>,
    tail: Option<usize>,
}

/// Answers on `listener` until it is dropped.
pub(super) async fn serve(listener: TcpListener, orders: Arc<Mutex<Orders>>, changed: watch::Receiver<()>) {
    let acceptor = TlsAcceptor::from(Arc::new(certificate()));
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (acceptor, orders, changed) = (acceptor.clone(), orders.clone(), changed.clone());
        tokio::spawn(async move {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                // The API server hears of it by the connection.
                let _ = answer(&mut stream, &orders, changed).await;
            }
        });
    }
}

/// Nobody verifies it.
fn certificate() -> ServerConfig {
    let made = rcgen::generate_simple_self_signed(["fake0".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a configuration")
}

async fn answer(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    orders: &Mutex<Orders>,
    mut changed: watch::Receiver<()>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() > MAX_HEAD || stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split(' ').nth(1).unwrap_or_default();
    if target.starts_with("/portForward/") {
        let port = led(target, &orders.lock().unwrap_or_else(PoisonError::into_inner));
        return forward(stream, &head, port).await;
    }
    let Some(wanted) = wanted(target) else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    };
    let begin =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    stream.write_all(begin).await?;
    let look = || orders.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let cuts = look().cuts;
    let mut told = 0;
    loop {
        let orders = look();
        let is_of = |word: &&Word| word.namespace == wanted.namespace && wanted.pod.starts_with(&word.pods);
        let words: Vec<&Word> = orders.words.iter().filter(is_of).collect();
        let skipped = if told == 0 { words.len().saturating_sub(wanted.tail.unwrap_or(words.len())) } else { 0 };
        for word in words.iter().skip(told.max(skipped)) {
            // As a kubelet does: to the second.
            if wanted.since.is_some_and(|since| word.at.as_second() < since.as_second()) {
                continue;
            }
            let mut line = if wanted.timestamps { format!("{} ", word.at).into_bytes() } else { Vec::new() };
            line.extend_from_slice(&word.text);
            line.push(b'\n');
            let is_cut = orders.cuts > cuts;
            if is_cut {
                line.truncate(line.len() - word.text.len() / 2);
            }
            stream.write_all(format!("{:x}\r\n", line.len()).as_bytes()).await?;
            stream.write_all(&line).await?;
            stream.write_all(b"\r\n").await?;
            if is_cut {
                break;
            }
        }
        told = words.len();
        stream.flush().await?;
        if orders.cuts > cuts {
            return Ok(());
        }
        if !wanted.follow || orders.gone.contains(&(wanted.namespace.clone(), wanted.pod.clone())) {
            stream.write_all(b"0\r\n\r\n").await?;
            return stream.shutdown().await;
        }
        if changed.changed().await.is_err() {
            return Ok(());
        }
    }
}

/// The port that stands for a pod's: `/portForward/NAMESPACE/POD?...`
fn led(target: &str, orders: &Orders) -> Option<u16> {
    let mut parts = target.strip_prefix("/portForward/")?.split(['/', '?']);
    let (namespace, pod) = (parts.next()?, parts.next()?);
    orders.doors.iter().find(|(of, pods, _)| of == namespace && pod.starts_with(pods)).map(|(.., port)| *port)
}

/// Leads to a port, over a WebSocket with two channels: what is said, and what is wrong.
async fn forward(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    head: &str,
    port: Option<u16>,
) -> std::io::Result<()> {
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
    });
    let (Some(key), Some(port)) = (key, port) else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    };
    let accepted = derive_accept_key(key.as_bytes());
    let begin = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: \
         {accepted}\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n"
    );
    stream.write_all(begin.as_bytes()).await?;
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    let mut there = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    // Each channel begins with the pod's port, which is asked for as the one of NATS.
    for channel in [0, 1] {
        let [low, high] = 4222_u16.to_le_bytes();
        socket.send(Message::binary(vec![channel, low, high])).await.map_err(std::io::Error::other)?;
    }
    let mut buffer = vec![0; 16 << 10];
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) if bytes.first() == Some(&0) => there.write_all(&bytes[1..]).await?,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
                Some(Ok(_)) => {}
            },
            read = there.read(&mut buffer) => {
                let n = read?;
                if n == 0 {
                    return Ok(());
                }
                let framed = [&[0], &buffer[..n]].concat();
                socket.send(Message::binary(framed)).await.map_err(std::io::Error::other)?;
            }
        }
    }
}

/// `/containerLogs/NAMESPACE/POD/CONTAINER?...`
fn wanted(target: &str) -> Option<Wanted> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut parts = path.strip_prefix("/containerLogs/")?.split('/');
    let (namespace, pod) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let value =
        |name: &str| query.split('&').filter_map(|it| it.split_once('=')).find(|it| it.0 == name).map(|it| it.1);
    let since = value("sinceTime").map(|time| time.replace("%3A", ":"));
    Some(Wanted {
        namespace,
        pod,
        follow: value("follow") == Some("true"),
        timestamps: value("timestamps") == Some("true"),
        since: since.and_then(|time| time.parse().ok()),
        tail: value("tailLines").and_then(|lines| lines.parse().ok()),
    })
}
