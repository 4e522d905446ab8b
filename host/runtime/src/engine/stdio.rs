//! Standard output and error of a guest: every line becomes a log line of the request in hand. Never blocks.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::bindings::krt::node::logging::Level;
use super::node::NodeShared;
use crate::outbox::Outbox;

/// What a guest may write in one go; the size that wasi streams have elsewhere.
const PERMIT: usize = 64 << 10;

/// Both streams of one instance.
#[derive(Clone)]
pub(super) struct Stdio(Arc<Inner>);

/// One of them.
#[derive(Clone)]
pub(super) struct Stream {
    stdio: Stdio,
    level: Level,
}

struct Inner {
    node: Arc<NodeShared>,
    lines: Mutex<Lines>,
}

#[derive(Default)]
struct Lines {
    /// The delivery in hand: its request id stands in each line.
    outbox: Option<Outbox>,
    out: Line,
    err: Line,
}

/// A line that is not complete yet.
#[derive(Default)]
struct Line {
    bytes: Vec<u8>,
    /// It is longer than a line may be: what follows is not kept.
    full: bool,
}

impl Stdio {
    pub(super) fn new(node: Arc<NodeShared>) -> Self {
        Self(Arc::new(Inner { node, lines: Mutex::default() }))
    }

    pub(super) fn stream(&self, level: Level) -> Stream {
        Stream { stdio: self.clone(), level }
    }

    /// Another delivery is in hand, or none; what was not a whole line becomes one.
    pub(super) fn switch(&self, outbox: Option<Outbox>) {
        let mut lines = self.lock();
        let Lines { outbox: request, out, err } = &mut *lines;
        for (line, level) in [(out, Level::Info), (err, Level::Warn)] {
            if !line.bytes.is_empty() {
                self.emit(line, level, request.as_ref());
            }
        }
        *request = outbox;
    }

    fn write(&self, level: Level, bytes: &[u8]) {
        let limit = self.0.node.log.line_limit();
        let mut lines = self.lock();
        let Lines { outbox, out, err } = &mut *lines;
        let line = if level == Level::Info { out } else { err };
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let (text, ended) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            let room = limit.saturating_sub(line.bytes.len());
            line.full |= text.len() > room;
            line.bytes.extend_from_slice(&text[..text.len().min(room)]);
            if ended {
                self.emit(line, level, outbox.as_ref());
            }
        }
    }

    fn emit(&self, line: &mut Line, level: Level, outbox: Option<&Outbox>) {
        let mut text = String::from_utf8_lossy(&line.bytes);
        if line.full {
            text.to_mut().push('…');
        }
        let request_id = outbox.map_or("", |outbox| &outbox.origin().request_id);
        self.0.node.log.write(level, request_id, text.trim_end_matches('\r'), &[]);
        line.bytes.clear();
        line.full = false;
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IsTerminal for Stream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Stream {
    async fn ready(&mut self) {}
}

impl OutputStream for Stream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.stdio.write(self.level, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.stdio.write(self.level, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
