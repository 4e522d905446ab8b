//! The load generator: closed-loop gRPC calls on bare HTTP/2, so that it costs the cores it shares with the server
//! as little as possible. Checks every answer.

pub mod steady;

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::SendRequest;
use hdrhistogram::Histogram;

/// What to send.
#[derive(Debug, Clone)]
pub struct Load {
    /// `HOST:PORT`.
    pub address: String,
    /// `/<package>.<Service>/<Method>`.
    pub path: String,
    /// Calls under way at once.
    pub in_flight: usize,
    /// What each call sends.
    pub message: Message,
    /// How long.
    pub duration: Duration,
}

/// What a call sends; each call its own.
#[derive(Debug, Clone, Copy)]
pub enum Message {
    /// A protobuf message with a field of about so many bytes; the answer must be equal.
    Blob(usize),
    /// The text `<command> <number>`, as guest `hostile` understands it; the answer must be the number.
    Command(&'static str),
    /// This text as it is; nobody knows the answer.
    Text(&'static str),
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Calls answered right.
    pub calls: u64,
    /// Wall clock from first to last.
    pub elapsed: Duration,
    /// Microseconds a call.
    pub latency: Histogram<u64>,
}

impl Outcome {
    /// Calls a second.
    pub fn rate(&self) -> f64 {
        self.calls as f64 / self.elapsed.as_secs_f64()
    }

    /// A quantile of the latency.
    pub fn quantile(&self, q: f64) -> Duration {
        Duration::from_micros(self.latency.value_at_quantile(q))
    }
}

/// Calls until the time is over. Every answer must carry the bytes of its own call.
///
/// # Errors
/// The first call that failed or got another call's answer.
pub async fn run(load: &Load) -> anyhow::Result<Outcome> {
    let start = Instant::now();
    let end = start + load.duration;
    let mut tasks = tokio::task::JoinSet::new();
    // A connection carries at most 100 calls at once, as a fleet of callers would spread them.
    let connections = load.in_flight.div_ceil(100);
    for connection in 0..connections {
        let client = connect(&load.address).await?;
        let share = load.in_flight / connections + usize::from(connection < load.in_flight % connections);
        for caller in 0..share {
            let (client, load) = (client.clone(), load.clone());
            let seed = ((connection as u64) << 48) | ((caller as u64) << 32);
            tasks.spawn(caller_loop(client, load, seed, end));
        }
    }
    let mut outcome = Outcome { calls: 0, elapsed: Duration::ZERO, latency: histogram()? };
    while let Some(done) = tasks.join_next().await {
        let latency = done??;
        outcome.calls += latency.len();
        outcome.latency.add(latency)?;
    }
    outcome.elapsed = start.elapsed();
    Ok(outcome)
}

/// Calls as [`run`] does, but whatever the answers: the server is expected to fail them. How many calls ended.
///
/// # Errors
/// The server is gone.
pub async fn attack(load: &Load) -> anyhow::Result<u64> {
    let end = Instant::now() + load.duration;
    let client = connect(&load.address).await?;
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..load.in_flight as u64 {
        let (mut client, load) = (client.clone(), load.clone());
        tasks.spawn(async move {
            let mut ended = 0;
            while Instant::now() < end {
                let (message, _) = load.message.number((caller << 32) | ended);
                // A status is what is wanted; a broken connection shows when `run` uses the next.
                let _ = call(&mut client, &load.path, message).await;
                ended += 1;
            }
            ended
        });
    }
    Ok(tasks.join_all().await.into_iter().sum())
}

async fn caller_loop(
    mut client: SendRequest<Bytes>,
    load: Load,
    seed: u64,
    end: Instant,
) -> anyhow::Result<Histogram<u64>> {
    let mut latency = histogram()?;
    let mut n = seed;
    while Instant::now() < end {
        let (message, expected) = load.message.number(n);
        let start = Instant::now();
        let answer = call(&mut client, &load.path, message).await?;
        latency.record(start.elapsed().as_micros() as u64)?;
        ensure!(answer == expected, "the answer is not the call's own");
        n += 1;
    }
    Ok(latency)
}

async fn connect(address: &str) -> anyhow::Result<SendRequest<Bytes>> {
    let tcp = tokio::net::TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
    tcp.set_nodelay(true)?;
    let (client, connection) = h2::client::Builder::new()
        .initial_window_size(1 << 20)
        .initial_connection_window_size(16 << 20)
        .handshake(tcp)
        .await?;
    tokio::spawn(connection);
    Ok(client)
}

/// What a failed call was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// gRPC's number.
    pub code: u32,
    /// The text, as it stands in the trailers: percent-encoded.
    pub text: String,
}

/// A connection that makes calls; clones share it.
#[derive(Clone)]
pub struct Caller(SendRequest<Bytes>);

impl Caller {
    /// Connects to `HOST:PORT`.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn connect(address: &str) -> anyhow::Result<Self> {
        connect(address).await.map(Self)
    }

    /// One call: the answer's message bytes, or the status it ended with.
    ///
    /// # Errors
    /// The connection failed.
    pub async fn ask(&mut self, path: &str, message: Bytes) -> anyhow::Result<Result<Bytes, Status>> {
        self.ask_with(path, message, &[]).await
    }

    /// As [`Self::ask`], with these headers beside gRPC's own.
    ///
    /// # Errors
    /// The connection failed.
    pub async fn ask_with(
        &mut self,
        path: &str,
        message: Bytes,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<Result<Bytes, Status>> {
        exchange(&mut self.0, path, message, headers).await
    }
}

/// One call on a connection of its own: the answer's message bytes, or the status it ended with.
///
/// # Errors
/// The connection failed.
pub async fn ask(address: &str, path: &str, message: Bytes) -> anyhow::Result<Result<Bytes, Status>> {
    exchange(&mut connect(address).await?, path, message, &[]).await
}

/// One gRPC call that must succeed: the answer's message bytes.
async fn call(client: &mut SendRequest<Bytes>, path: &str, message: Bytes) -> anyhow::Result<Bytes> {
    exchange(client, path, message, &[]).await?.map_err(|status| anyhow::anyhow!("the call failed: {status:?}"))
}

async fn exchange(
    client: &mut SendRequest<Bytes>,
    path: &str,
    message: Bytes,
    headers: &[(&str, &str)],
) -> anyhow::Result<Result<Bytes, Status>> {
    let (head, trailers, mut answer) = bytes_of(client, path, message, headers).await?;
    let told = trailers.as_ref().unwrap_or(&head);
    let value = |name: &str| told.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let code: u32 = value("grpc-status").parse().context("no grpc-status")?;
    if code != 0 {
        return Ok(Err(Status { code, text: value("grpc-message").to_owned() }));
    }
    ensure!(answer.len() >= 5, "the answer has no message");
    Ok(Ok(answer.split_off(5).freeze()))
}

async fn bytes_of(
    client: &mut SendRequest<Bytes>,
    path: &str,
    message: Bytes,
    headers: &[(&str, &str)],
) -> anyhow::Result<(http::HeaderMap, Option<http::HeaderMap>, BytesMut)> {
    let mut request = http::Request::post(format!("http://krt{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(())?;
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len())?);
    frame.extend_from_slice(&message);
    std::future::poll_fn(|cx| client.poll_ready(cx)).await?;
    let (response, mut body) = client.send_request(request, false)?;
    body.send_data(frame.freeze(), true)?;
    let (head, mut body) = response.await?.into_parts();
    let mut answer = BytesMut::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        answer.extend_from_slice(&chunk);
    }
    Ok((head.headers, body.trailers().await?, answer))
}

impl Message {
    /// The message of call `n`, and the answer it must get.
    fn number(self, n: u64) -> (Bytes, Bytes) {
        match self {
            Self::Blob(bytes) => {
                let message = blob(n, bytes);
                (message.clone(), message)
            }
            Self::Text(text) => (text.into(), Bytes::new()),
            Self::Command(command) => (format!("{command} {n}").into(), n.to_string().into()),
        }
    }
}

/// `Blob { data }` of about `bytes` bytes that begin with `n`, as protobuf.
pub fn blob(n: u64, bytes: usize) -> Bytes {
    let data = bytes.max(8);
    let mut message = BytesMut::with_capacity(data + 6);
    message.put_u8(0x0a);
    let mut length = data;
    while length >= 0x80 {
        message.put_u8((length as u8 & 0x7f) | 0x80);
        length >>= 7;
    }
    message.put_u8(length as u8);
    message.put_u64(n);
    message.put_bytes(7, data - 8);
    message.freeze()
}

fn histogram() -> anyhow::Result<Histogram<u64>> {
    // One microsecond to one minute, three digits.
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}
