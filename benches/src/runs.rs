//! Whole runs through three nodes in line on one NATS server, without a front door: requests are published and answers read by
//! the benchmark itself. Wasm nodes beside the Go and Python nodes of the tests, which stand for the original's.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use async_nats::jetstream::{self, consumer};
use bytes::Bytes;
use e2e::interop::probe::{self, Flow, Job, Kind};
use e2e::interop::{Tools, tools};
use e2e::nats::Server;
use e2e::running::Running;
use futures::StreamExt as _;
use krt_host::message::{Message, MessageType, Payload};
use prost::Message as _;

use crate::guests::Guests;
use crate::table::Table;

/// Runs under way at once.
const IN_FLIGHT: usize = 200;
const STAGE: Duration = Duration::from_secs(6);

/// Runs all kinds.
///
/// # Errors
/// No server, no runners, or a run got lost.
pub(crate) fn run(_: &Guests) -> anyhow::Result<Table> {
    let tools = tools().context("there are no runners")?;
    let server = Server::start().context("there is no nats-server")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut table = Table::new(
        "Runs through three nodes in line on nats-server, 1 KiB, 200 under way, without a front door",
        &["nodes", "runs/s", "p50", "p99", "wasm ÷ these"],
    );
    let mut wasm = None;
    for (name, kind) in [("wasm", Kind::Wasm), ("Go", Kind::Go), ("Python", Kind::Python)] {
        let version = probe::version(&tools, &[Flow::line("Line", &[kind; 3])]);
        let runtime_id = format!("{kind:?}").to_lowercase();
        let stage = Stage {
            version: version.path(),
            runtime_id: &runtime_id,
            stream: format!("{runtime_id}_probe_Line"),
            answers: "n2",
            type_url: "type.googleapis.com/main.Job",
            request: Job { data: vec![7; 1024].into(), ..Job::default() }.encode_to_vec().into(),
        };
        let measured = runtime.block_on(self::stage(&tools, &server, &stage))?;
        let wasm = *wasm.get_or_insert(measured.rate);
        table.row(&[
            name.to_owned(),
            format!("{:.0}", measured.rate),
            measured.latency(0.5),
            measured.latency(0.99),
            format!("{:.1}", wasm / measured.rate),
        ]);
    }
    Ok(table)
}

/// What one stage runs.
pub(crate) struct Stage<'a> {
    /// The folder of the version, built.
    pub(crate) version: &'a Path,
    /// Its names on the server: another for each stage.
    pub(crate) runtime_id: &'a str,
    /// The stream of its workflow.
    pub(crate) stream: String,
    /// The node whose messages are the answers.
    pub(crate) answers: &'a str,
    /// Of a request.
    pub(crate) type_url: &'a str,
    /// A request's bytes.
    pub(crate) request: Bytes,
}

/// What came of it.
pub(crate) struct Measured {
    /// Runs a second.
    pub(crate) rate: f64,
    /// Of every run, in order of length.
    latency: Vec<Duration>,
}

impl Measured {
    /// What this share of the runs stayed within.
    pub(crate) fn latency(&self, share: f64) -> String {
        let index = ((self.latency.len() - 1) as f64 * share) as usize;
        format!("{:.1} ms", self.latency[index].as_secs_f64() * 1e3)
    }
}

/// Runs a version, with [`IN_FLIGHT`] requests under way for [`STAGE`].
///
/// # Errors
/// A run failed or got lost.
pub(crate) async fn stage(tools: &Tools, server: &Server, stage: &Stage<'_>) -> anyhow::Result<Measured> {
    let url = server.url();
    let mut arguments = tools.runners();
    arguments.extend(["--nats".to_owned(), url.clone(), "--runtime-id".to_owned(), stage.runtime_id.to_owned()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let running = Running::start(stage.version, &arguments);
    let context = jetstream::new(async_nats::connect(&url).await?);
    let request_subject = krt::names::entrypoint_subject(&stage.stream);
    let config = consumer::pull::Config {
        filter_subject: format!("{}.{}", stage.stream, stage.answers),
        deliver_policy: consumer::DeliverPolicy::New,
        ack_policy: consumer::AckPolicy::None,
        ..Default::default()
    };
    let answers = context.create_consumer_on_stream(config, &stage.stream).await?;
    let mut answers = answers.stream().max_messages_per_batch(256).messages().await?;
    let (mut under_way, mut next, mut latency) = (HashMap::new(), 0_u64, Vec::new());
    let start = Instant::now();
    loop {
        while under_way.len() < IN_FLIGHT && start.elapsed() < STAGE {
            let id = next.to_string();
            let message = Message {
                request_id: id.clone(),
                from_node: krt::names::ENTRYPOINT.to_owned(),
                message_type: MessageType::Ok,
                payload: Some(Payload { type_url: stage.type_url.to_owned(), data: stage.request.clone() }),
                error: String::new(),
            };
            // Its acknowledgement is not awaited: the answer says as much.
            drop(context.publish(request_subject.clone(), message.encode(1 << 20)?).await?);
            under_way.insert(id, Instant::now());
            next += 1;
        }
        if under_way.is_empty() {
            break;
        }
        let answer =
            tokio::time::timeout(Duration::from_secs(60), answers.next()).await.context("an answer is lost")?;
        let answer = Message::decode(answer.context("the consumer ended")??.payload.clone())?;
        anyhow::ensure!(answer.message_type == MessageType::Ok, "a run failed: {}", answer.error);
        let since = under_way.remove(&answer.request_id).context("an answer that nobody waits for")?;
        latency.push(since.elapsed());
    }
    let rate = latency.len() as f64 / start.elapsed().as_secs_f64();
    anyhow::ensure!(running.stop().success(), "krt run did not end well");
    latency.sort_unstable();
    Ok(Measured { rate, latency })
}
