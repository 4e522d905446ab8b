//! Whole runs through three nodes in line on one NATS server, without a front door: requests are published and answers read by
//! the benchmark itself. Wasm nodes beside the Go and Python nodes of the tests, which stand for the original's.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use async_nats::jetstream::{self, consumer};
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
        let (rate, mut latency) = runtime.block_on(stage(&tools, &server, kind))?;
        let wasm = *wasm.get_or_insert(rate);
        latency.sort_unstable();
        let ms = |share: f64| {
            let index = ((latency.len() - 1) as f64 * share) as usize;
            format!("{:.1} ms", latency[index].as_secs_f64() * 1e3)
        };
        table.row(&[name.to_owned(), format!("{rate:.0}"), ms(0.5), ms(0.99), format!("{:.1}", wasm / rate)]);
    }
    Ok(table)
}

async fn stage(tools: &Tools, server: &Server, kind: Kind) -> anyhow::Result<(f64, Vec<Duration>)> {
    let version = probe::version(tools, &[Flow::line("Line", &[kind; 3])]);
    let runtime_id = format!("{kind:?}").to_lowercase();
    let url = server.url();
    let mut arguments = tools.runners();
    arguments.extend(["--nats".to_owned(), url.clone(), "--runtime-id".to_owned(), runtime_id.clone()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let running = Running::start(version.path(), &arguments);
    let context = jetstream::new(async_nats::connect(&url).await?);
    let stream = format!("{runtime_id}_probe_Line");
    let request_subject = krt::names::entrypoint_subject(&stream);
    let config = consumer::pull::Config {
        filter_subject: format!("{stream}.n2"),
        deliver_policy: consumer::DeliverPolicy::New,
        ack_policy: consumer::AckPolicy::None,
        ..Default::default()
    };
    let answers = context.create_consumer_on_stream(config, &stream).await?;
    let mut answers = answers.stream().max_messages_per_batch(256).messages().await?;
    let job = Job { data: vec![7; 1024].into(), ..Job::default() };
    let (mut under_way, mut next, mut latency) = (HashMap::new(), 0_u64, Vec::new());
    let start = Instant::now();
    loop {
        while under_way.len() < IN_FLIGHT && start.elapsed() < STAGE {
            let id = next.to_string();
            let message = Message {
                request_id: id.clone(),
                from_node: krt::names::ENTRYPOINT.to_owned(),
                message_type: MessageType::Ok,
                payload: Some(Payload {
                    type_url: "type.googleapis.com/main.Job".to_owned(),
                    data: job.encode_to_vec().into(),
                }),
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
    Ok((rate, latency))
}
