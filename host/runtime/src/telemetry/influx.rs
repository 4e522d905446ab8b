//! Points to InfluxDB 1.8, in batches over its HTTP endpoint of the second version. Taking a point never waits: what does
//! not fit into the buffer while the server is away is dropped and counted. Never logs the URI: it may hold a password.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::line::line;
use super::post::{InvalidUri, Post, Target};
use super::{Dropped, GaugeMeasurements, Measurements, Metrics, Point};

/// A batch goes out with so many lines or bytes, or when its first line is so old: what the original's Python runner does.
const BATCH: usize = 1000;
const BATCH_BYTES: usize = 1 << 20;
const AGE: Duration = Duration::from_secs(1);

/// Pauses between attempts while the server is away, doubled from the first to the last.
const PAUSE: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// How long the end waits for what is in the buffer.
const LAST: Duration = Duration::from_secs(5);

/// Lines and bytes that wait, batches under way included.
#[derive(Debug, Clone)]
pub struct InfluxLimits {
    /// Lines. Default 100 000.
    pub lines: usize,
    /// Bytes. Default 16 MiB.
    pub bytes: usize,
}

/// See the module.
pub struct InfluxMeasurements {
    lines: mpsc::UnboundedSender<Item>,
    buffer: Arc<Buffer>,
}

/// The task that sends.
pub struct InfluxTask {
    lines: mpsc::UnboundedSender<Item>,
    task: JoinHandle<()>,
}

/// Both kinds of measurements at once: the last values as gauges, all values in InfluxDB.
pub struct GaugesAndInflux {
    /// The last values.
    pub gauges: GaugeMeasurements,
    /// All of them.
    pub influx: Arc<InfluxMeasurements>,
}

/// What the task is told.
enum Item {
    Line(String),
    /// Nothing more comes.
    End,
}

/// What waits, and what was lost.
struct Buffer {
    lines: AtomicUsize,
    bytes: AtomicUsize,
    limits: InfluxLimits,
    metrics: Arc<Metrics>,
}

impl Default for InfluxLimits {
    fn default() -> Self {
        Self { lines: 100_000, bytes: 16 << 20 }
    }
}

impl InfluxMeasurements {
    /// Measurements that go to the database `runtime_id` of the server at `uri`. Starts the task that sends them.
    ///
    /// # Errors
    /// Not a URI.
    pub fn start(
        uri: &str,
        runtime_id: &str,
        limits: InfluxLimits,
        metrics: Arc<Metrics>,
    ) -> Result<(Arc<Self>, InfluxTask), InvalidUri> {
        // InfluxDB 1.8: no organisation, and a bucket is a database. A runtime's id has no characters to protect.
        let target = Target::read(uri, &format!("/api/v2/write?org=&bucket={runtime_id}&precision=ns"))?;
        let (sender, receiver) = mpsc::unbounded_channel();
        let buffer = Arc::new(Buffer { lines: AtomicUsize::new(0), bytes: AtomicUsize::new(0), limits, metrics });
        let task = tokio::spawn(send(receiver, Post::new(target), buffer.clone()));
        Ok((Arc::new(Self { lines: sender.clone(), buffer }), InfluxTask { lines: sender, task }))
    }
}

impl Measurements for InfluxMeasurements {
    fn save(&self, point: Point) -> Result<(), Dropped> {
        // Nothing in it that could be written is nothing lost.
        let Some(line) = line(&point, now()) else { return Ok(()) };
        if !self.buffer.take(line.len()) {
            return Err(Dropped);
        }
        // Nobody sends any more when the process ends.
        self.lines.send(Item::Line(line)).map_err(|_| Dropped)
    }
}

impl Measurements for GaugesAndInflux {
    fn save(&self, point: Point) -> Result<(), Dropped> {
        // One being full is no reason for the other not to have it.
        let kept = self.influx.save(point.clone());
        self.gauges.save(point).and(kept)
    }

    fn times(&self) -> Option<Arc<dyn Measurements>> {
        Some(self.influx.clone())
    }
}

impl InfluxTask {
    /// Waits until all is sent that was taken, at most 5 s; for the end of a process. What is measured later is dropped.
    pub async fn end(self) {
        // Already gone is as good.
        let _ = self.lines.send(Item::End);
        if tokio::time::timeout(LAST, self.task).await.is_err() {
            tracing::warn!("measurements are lost: InfluxDB did not take the last ones");
        }
    }
}

impl Buffer {
    /// Room for a line, unless there is none: then it counts as dropped.
    fn take(&self, bytes: usize) -> bool {
        let lines = self.lines.fetch_add(1, Ordering::Relaxed);
        let held = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if lines < self.limits.lines && held + bytes <= self.limits.bytes {
            return true;
        }
        self.give_back(1, bytes);
        self.metrics.measurements_dropped.inc();
        false
    }

    fn give_back(&self, lines: usize, bytes: usize) {
        self.lines.fetch_sub(lines, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

async fn send(mut lines: mpsc::UnboundedReceiver<Item>, mut post: Post, buffer: Arc<Buffer>) {
    let mut open = true;
    while open {
        let batch = batch(&mut lines, &mut open).await;
        let count = batch.lines;
        if count > 0 {
            let bytes = batch.text.len() - count;
            deliver(&mut post, count, batch.text.into(), &buffer).await;
            buffer.give_back(count, bytes);
        }
    }
}

/// Lines that go out together.
#[derive(Default)]
struct Batch {
    text: String,
    lines: usize,
}

/// The next batch; not `open` any more when it is the last, and it may be empty then.
async fn batch(lines: &mut mpsc::UnboundedReceiver<Item>, open: &mut bool) -> Batch {
    let mut batch = Batch::default();
    let mut end = None;
    while batch.lines < BATCH && batch.text.len() < BATCH_BYTES {
        let item = match end {
            None => lines.recv().await,
            Some(end) => match tokio::time::timeout_at(end, lines.recv()).await {
                Ok(item) => item,
                Err(_) => break,
            },
        };
        let Some(Item::Line(line)) = item else {
            *open = false;
            break;
        };
        batch.text.push_str(&line);
        batch.text.push('\n');
        batch.lines += 1;
        end.get_or_insert_with(|| Instant::now() + AGE);
    }
    batch
}

/// Sends a batch until the server has it, or says that it never will.
async fn deliver(post: &mut Post, count: usize, batch: Bytes, buffer: &Buffer) {
    let mut pause = PAUSE;
    loop {
        let trouble = match post.send(batch.clone()).await {
            Ok((status, _)) if status.is_success() => return,
            Ok((status, answer)) if !may_pass(status) => {
                buffer.metrics.measurements_dropped.inc_by(count as u64);
                let answer: String = answer.chars().take(256).collect();
                tracing::warn!(influx = post.place(), %status, ?answer, points = count, "InfluxDB refuses measurements");
                return;
            }
            Ok((status, _)) => status.to_string(),
            Err(error) => error,
        };
        if pause == PAUSE {
            tracing::warn!(influx = post.place(), error = trouble, "InfluxDB takes no measurements; they wait");
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Whether the same request may be taken later.
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

fn now() -> i64 {
    // Until the year 2262.
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
