//! gRPC's framing of one message: five bytes and the message, once in each direction. Payloads are not copied.
//!
//! Own code, and small, because a unary call needs less than tonic's streams do and must say more: too large is
//! RESOURCE_EXHAUSTED (tonic: OUT_OF_RANGE), a second message is refused (tonic drops it), and memory is reserved
//! before it is filled.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use flate2::Compression;
use flate2::read::{GzDecoder, GzEncoder};
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::Status;

/// Flag and length.
const HEADER: usize = 5;
/// Answers up to this size are one frame with their header; larger ones are sent without copying them.
const COPIED: usize = 16 << 10;
/// Work on more bytes than these is done on a thread that may block: at about 50 MB a second for gzip, a millisecond.
const OFF_THREAD: usize = 64 << 10;

/// A response's body.
#[derive(Default)]
pub(super) enum Reply {
    /// None: the status is in the headers.
    #[default]
    Empty,
    /// One message, then status OK.
    Message {
        /// Frames to be sent, the first first.
        frames: [Option<Bytes>; 2],
        /// Whether the trailers have been sent.
        ended: bool,
    },
    /// Whatever a tonic service says; cut off with UNAVAILABLE when the connection is to end.
    Tonic {
        /// What it says.
        body: tonic::body::Body,
        /// Fires when the connection is to end; none once it has been cut off.
        closing: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    },
}

/// Reads the one message of a unary request. `reserve` is asked before memory is taken.
pub(super) async fn read<B>(
    mut body: B,
    gzip: bool,
    limit: usize,
    mut reserve: impl FnMut(usize) -> Result<(), Status>,
) -> Result<Bytes, Status>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut received = Chunks::default();
    while received.len() < HEADER {
        let Some(data) = next(&mut body).await? else {
            return Err(match received.len() {
                0 => Status::unimplemented("the request has no message; a unary method takes exactly one"),
                _ => Status::invalid_argument("the request ends within its frame's header"),
            });
        };
        received.push(data);
    }
    let (compressed, length) = received.header()?;
    if length > limit {
        let text = format!("the request's message has {length} bytes; the limit is {limit}");
        return Err(Status::resource_exhausted(text));
    }
    if compressed && !gzip {
        // INTERNAL is what the specification of gRPC's compression asks for.
        return Err(Status::internal("the request's message is compressed, but grpc-encoding does not say how"));
    }
    reserve(length)?;
    while received.len() < HEADER + length {
        let Some(data) = next(&mut body).await? else {
            return Err(Status::invalid_argument("the request ends within its message"));
        };
        received.push(data);
    }
    if received.len() > HEADER + length || (!body.is_end_stream() && next(&mut body).await?.is_some()) {
        // The code that gRPC's table of statuses gives for a wrong number of requests.
        return Err(Status::unimplemented("the request has more than one message; a unary method takes exactly one"));
    }
    let message = received.message();
    if !compressed {
        return Ok(message);
    }
    let message = off_thread(message.len(), move || expand(&message, limit)).await??;
    reserve(message.len())?;
    Ok(message)
}

/// The body that answers with `message`.
pub(super) async fn write(message: Bytes, gzip: bool) -> Result<Reply, Status> {
    let message = match gzip {
        true => off_thread(message.len(), move || compress(&message)).await??,
        false => message,
    };
    let length = u32::try_from(message.len()).map_err(|_| Status::resource_exhausted("the answer exceeds 4 GiB"))?;
    let copied = if message.len() <= COPIED { message.len() } else { 0 };
    let mut head = BytesMut::with_capacity(HEADER + copied);
    head.put_u8(u8::from(gzip));
    head.put_u32(length);
    head.put_slice(&message[..copied]);
    let rest = (copied < message.len()).then_some(message);
    Ok(Reply::Message { frames: [Some(head.freeze()), rest], ended: false })
}

/// What has been received so far. Usually one chunk, which is then the message's memory.
#[derive(Default)]
struct Chunks {
    first: Bytes,
    rest: BytesMut,
}

impl Chunks {
    fn len(&self) -> usize {
        self.first.len() + self.rest.len()
    }

    fn push(&mut self, data: Bytes) {
        if self.len() == 0 {
            self.first = data;
        } else {
            if self.rest.is_empty() {
                self.rest.put(std::mem::take(&mut self.first));
            }
            self.rest.put(data);
        }
    }

    fn header(&self) -> Result<(bool, usize), Status> {
        let mut bytes = if self.rest.is_empty() { &self.first[..] } else { &self.rest[..] };
        let compressed = match bytes.get_u8() {
            0 => false,
            1 => true,
            flag => return Err(Status::invalid_argument(format!("the request's frame has the unknown flag {flag}"))),
        };
        Ok((compressed, bytes.get_u32() as usize))
    }

    fn message(self) -> Bytes {
        let whole = if self.rest.is_empty() { self.first } else { self.rest.freeze() };
        whole.slice(HEADER..)
    }
}

async fn next<B>(body: &mut B) -> Result<Option<Bytes>, Status>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(error)) => return Err(Status::cancelled(format!("the request broke off: {error}"))),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Ok(Some(data)),
                // Trailers of a request mean nothing to gRPC.
                Err(_) => return Ok(None),
            },
        }
    }
}

/// Does `work` on `size` bytes: here, or where it may block if it takes long.
pub(super) async fn off_thread<T: Send + 'static>(
    size: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Status> {
    if size <= OFF_THREAD {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|_| Status::internal("compression failed"))
}

fn expand(message: &[u8], limit: usize) -> Result<Bytes, Status> {
    use std::io::Read as _;
    let mut plain = Vec::new();
    // One byte more than allowed tells too large from just so.
    let read = GzDecoder::new(message).take(limit as u64 + 1).read_to_end(&mut plain);
    read.map_err(|e| Status::internal(format!("the request's message is not valid gzip: {e}")))?;
    if plain.len() > limit {
        return Err(Status::resource_exhausted(format!("the request's message expands to more than {limit} bytes")));
    }
    Ok(plain.into())
}

fn compress(message: &[u8]) -> Result<Bytes, Status> {
    use std::io::Read as _;
    let mut packed = Vec::with_capacity(message.len() / 2);
    let read = GzEncoder::new(message, Compression::fast()).read_to_end(&mut packed);
    read.map_err(|e| Status::internal(format!("the answer could not be compressed: {e}")))?;
    Ok(packed.into())
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Message { frames: [head, rest], ended } => {
                if let Some(data) = head.take().or_else(|| rest.take()) {
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                if std::mem::replace(ended, true) {
                    return Poll::Ready(None);
                }
                let mut trailers = HeaderMap::with_capacity(1);
                trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
            Self::Tonic { body, closing } => {
                let Some(fired) = closing else { return Poll::Ready(None) };
                if let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) {
                    return Poll::Ready(frame);
                }
                ready!(fired.as_mut().poll(cx));
                *closing = None;
                let mut trailers = HeaderMap::new();
                let added = Status::unavailable("the entrypoint is shutting down").add_header(&mut trailers);
                Poll::Ready(Some(added.map(|()| Frame::trailers(trailers))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Message { ended, .. } => *ended,
            Self::Tonic { body, closing } => closing.is_none() || body.is_end_stream(),
        }
    }
}
