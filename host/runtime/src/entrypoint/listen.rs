//! Connections: accepted up to a limit, encrypted if asked for, dropped when they stay mute, drained when told.
//!
//! Never looks at what a connection carries. tonic's own server is not used: it answers an expired `grpc-timeout` with
//! CANCELLED, and bounds neither the number of connections nor the time to the first byte.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{EntrypointError, Limits, Tls};

/// A connection must have said this much ...
const PREFACE: usize = 24;
/// ... in this time: an HTTP/2 client's preface; HTTP/1 clients are watched by hyper.
const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after the process ran out of file descriptors: accepting at once would spin.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// The connections of one listener.
pub(super) struct Connections {
    open: TaskTracker,
    closing: CancellationToken,
    aborting: CancellationToken,
}

/// Turns sockets into streams of plain bytes.
#[derive(Clone)]
pub(super) struct Acceptor(Option<TlsAcceptor>);

/// A socket that must say something soon.
pub(super) struct Prompt<S> {
    inner: S,
    missing: usize,
    timer: Option<Pin<Box<Sleep>>>,
}

/// A socket, encrypted or not.
pub(super) enum Stream {
    /// As it came.
    Plain(TcpStream),
    /// Within TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connections {
    /// Accepts from `listener` until closed; `connect` serves one connection and ends it soon after its token fires.
    pub(super) fn serve<F>(
        listener: TcpListener,
        limits: &Limits,
        connect: impl Fn(TcpStream, CancellationToken) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let this =
            Self { open: TaskTracker::new(), closing: CancellationToken::new(), aborting: CancellationToken::new() };
        let (open, closing, aborting) = (this.open.clone(), this.closing.clone(), this.aborting.clone());
        let slots = Arc::new(Semaphore::new(limits.max_connections));
        let accept = async move {
            loop {
                // The semaphore is never closed.
                let Ok(slot) = slots.clone().acquire_owned().await else { return };
                let socket = match listener.accept().await {
                    Ok((socket, _)) => socket,
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(EXHAUSTED).await;
                        continue;
                    }
                };
                // An answer is one small write: waiting for more would cost its latency.
                let _ = socket.set_nodelay(true);
                let serving = connect(socket, closing.clone());
                let aborting = aborting.clone();
                open.spawn(async move {
                    tokio::select! {
                        () = serving => {}
                        () = aborting.cancelled() => {}
                    }
                    drop(slot);
                });
            }
        };
        let closing = this.closing.clone();
        this.open.spawn(async move {
            tokio::select! {
                () = accept => {}
                () = closing.cancelled() => {}
            }
        });
        this
    }

    /// Accepts no more, asks all connections to end, and waits for them.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        self.open.close();
        self.open.wait().await;
    }

    /// Ends all connections where they stand.
    pub(super) async fn abort(&self) {
        self.aborting.cancel();
        self.close().await;
    }
}

impl Acceptor {
    /// Plain, or TLS with ALPN for HTTP/2.
    pub(super) fn new(tls: Option<&Tls>) -> Result<Self, EntrypointError> {
        let Some(tls) = tls else { return Ok(Self(None)) };
        let config = configure(tls).map_err(EntrypointError::Tls)?;
        Ok(Self(Some(Arc::new(config).into())))
    }

    /// Shakes hands, if that is to be done.
    pub(super) async fn accept(&self, socket: TcpStream) -> io::Result<Prompt<Stream>> {
        let stream = match &self.0 {
            None => Stream::Plain(socket),
            Some(acceptor) => {
                let shaken = tokio::time::timeout(PREFACE_TIMEOUT, acceptor.accept(socket)).await;
                Stream::Tls(Box::new(shaken.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??))
            }
        };
        let timer = Some(Box::pin(tokio::time::sleep(PREFACE_TIMEOUT)));
        Ok(Prompt { inner: stream, missing: PREFACE, timer })
    }
}

fn configure(tls: &Tls) -> Result<ServerConfig, Box<dyn std::error::Error + Send + Sync>> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&tls.certificate).collect::<Result<_, _>>()?;
    if chain.is_empty() {
        return Err("there is no certificate in it".into());
    }
    let key = PrivateKeyDer::from_pem_slice(&tls.key)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

impl<S: AsyncRead + Unpin> AsyncRead for Prompt<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(timer) = &mut this.timer else { return Pin::new(&mut this.inner).poll_read(cx, buf) };
        if timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        this.missing = this.missing.saturating_sub(buf.filled().len() - before);
        if this.missing == 0 {
            this.timer = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prompt<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    fn prompt<S>(inner: S) -> Prompt<S> {
        Prompt { inner, missing: PREFACE, timer: Some(Box::pin(tokio::time::sleep(PREFACE_TIMEOUT))) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_trickles_its_first_bytes_is_given_up() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(b"PRI").await.unwrap();
        let mut server = prompt(server);
        let mut text = Vec::new();
        let error = server.read_to_end(&mut text).await.unwrap_err();
        assert_eq!((error.kind(), &text[..]), (io::ErrorKind::TimedOut, &b"PRI"[..]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_said_enough_may_be_silent() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(&[b'x'; PREFACE]).await.unwrap();
        let mut server = prompt(server);
        server.read_exact(&mut [0; PREFACE]).await.unwrap();
        let later = tokio::time::timeout(PREFACE_TIMEOUT * 10, server.read_u8()).await;
        assert!(later.is_err(), "{later:?}");
    }

    #[test]
    fn a_certificate_without_one_is_refused() {
        let tls = Tls { certificate: b"nothing".to_vec(), key: Vec::new() };
        assert!(matches!(Acceptor::new(Some(&tls)), Err(EntrypointError::Tls(_))));
    }
}
