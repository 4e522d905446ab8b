//! What a wasm node adds to a message over a native closure: the same runner, bus and payloads, one after the other on
//! one thread, in alternating rounds; medians.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use futures::StreamExt as _;
use krt::plan::Plan;
use krt::topology::{InstanceMode, Retry, Topology, Wasm};
use krt_host::bus::embedded::{EmbeddedBus, EmbeddedBusOptions};
use krt_host::bus::{Bus, Consumer, Headers, Publication};
use krt_host::message::{Message, MessageType, Payload};
use krt_host::node::{FnNode, Node, NodeError};
use krt_host::outbox::{DEFAULT_MAX_OUTPUTS, OutboxOptions, OutputType};
use krt_host::runner::Runner;
use krt_host::telemetry::{Health, Metrics};
use tokio_util::sync::CancellationToken;

use crate::guests::Guests;
use crate::table::Table;

/// Messages under way at once: enough to keep the node busy.
const WINDOW: usize = 64;
/// Rounds of each kind; the median is reported.
const ROUNDS: usize = 7;

/// Runs all sizes and kinds.
///
/// # Errors
/// A node did not start or a message got lost.
pub(crate) fn run(guests: &Guests) -> anyhow::Result<Table> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut table = Table::new(
            "A message through one node on the embedded bus (µs, one thread)",
            &["payload", "native", "wasm, reuse", "adds", "ratio", "wasm, fresh", "adds"],
        );
        for (name, bytes, count) in [("16 B", 16, 40_000), ("1 KiB", 1024, 40_000), ("64 KiB", 65_536, 4_000)] {
            let reuse = guests.node(wasm(InstanceMode::Reuse)).await?;
            let fresh = guests.node(wasm(InstanceMode::Fresh)).await?;
            let kinds: [(Arc<dyn Node>, usize); 3] = [(native(), count), (reuse, count), (fresh, count / 8)];
            let mut rounds = [const { Vec::new() }; 3];
            for _ in 0..ROUNDS {
                for (kind, (node, count)) in kinds.iter().enumerate() {
                    rounds[kind].push(round(&guests.topology, node.clone(), bytes, *count).await?);
                }
            }
            let [native, reuse, fresh] = rounds.map(median);
            let us = |d: Duration| d.as_secs_f64() * 1e6;
            table.row(&[
                name.to_owned(),
                format!("{:.2}", us(native)),
                format!("{:.2}", us(reuse)),
                format!("{:+.2}", us(reuse) - us(native)),
                format!("{:.2}", us(reuse) / us(native)),
                format!("{:.1}", us(fresh)),
                format!("{:+.1}", us(fresh) - us(native)),
            ]);
        }
        Ok(table)
    })
}

fn wasm(instance: InstanceMode) -> Wasm {
    Wasm { instance, ..Wasm::default() }
}

pub(crate) fn native() -> Arc<dyn Node> {
    FnNode::new(|message: Message, outbox| {
        let payload = message.payload.ok_or_else(|| NodeError::Rejected("no payload".to_owned()))?;
        outbox.send(payload, OutputType::Ok, None).map_err(|error| NodeError::Rejected(error.to_string()))
    })
}

/// Sends `count` messages through `node` and waits for every output; the time per message.
async fn round(topology: &Topology, node: Arc<dyn Node>, bytes: usize, count: usize) -> anyhow::Result<Duration> {
    let plan = krt::plan::plan(topology, "bench");
    let bus = EmbeddedBus::new(EmbeddedBusOptions::default());
    bus.apply(&plan);
    let stream = plan.streams[0].name.clone();
    let subject = format!("{stream}.first");
    let ephemeral = Consumer::Ephemeral { stream: stream.clone(), filter_subject: subject };
    let mut outputs = bus.subscribe(ephemeral).await?;
    let stop = CancellationToken::new();
    let runner = runner(&plan, bus.clone(), node, 1)?;
    let running = tokio::spawn(runner.run(stop.clone()));
    let input: Arc<str> = krt::names::entrypoint_subject(&stream).into();
    let message = Message {
        request_id: "6f1c0d0e-3f0b-4f4e-9d5b-0a1b2c3d4e5f".to_owned(),
        from_node: "entrypoint".to_owned(),
        message_type: MessageType::Ok,
        payload: Some(Payload {
            type_url: "type.googleapis.com/main.Blob".to_owned(),
            data: Bytes::from(vec![7; bytes]),
        }),
        error: String::new(),
    };
    let envelope = message.encode(bus.max_payload())?;
    let publish = || {
        let (subject, payload) = (input.clone(), envelope.clone());
        bus.publish(Publication { subject, id: None, payload, headers: Headers::default() })
    };
    let start = Instant::now();
    for _ in 0..WINDOW {
        publish().await?;
    }
    for received in 0..count {
        let output = outputs.next().await.context("the consumer ended")??;
        anyhow::ensure!(output.payload.len() > bytes, "an output without its payload");
        if received + WINDOW < count {
            publish().await?;
        }
    }
    let elapsed = start.elapsed();
    stop.cancel();
    running.await?;
    Ok(elapsed / u32::try_from(count)?)
}

/// The runner of node `first` of version `line`, with one instance.
///
/// # Errors
/// The plan has no such node.
pub(crate) fn runner(plan: &Plan, bus: Arc<dyn Bus>, node: Arc<dyn Node>, prefetch: usize) -> anyhow::Result<Runner> {
    let durable = plan.durables.iter().find(|durable| durable.node == "first").context("a durable")?;
    let stream = durable.stream.clone();
    Ok(Runner {
        node,
        bus: bus.clone(),
        outbox: Arc::new(OutboxOptions {
            bus: bus.clone(),
            node: "first".to_owned(),
            subject: format!("{stream}.first").into(),
            max_outputs: DEFAULT_MAX_OUTPUTS,
        }),
        consumers: vec![Consumer::Durable { stream, name: durable.name.clone(), prefetch }],
        workflow: "line".to_owned(),
        node_name: "first".to_owned(),
        concurrency: 1,
        retry: Retry::default(),
        timeout: None,
        ack_wait: krt::plan::ACK_WAIT,
        dead_letters: "dead-letters".into(),
        ready: Arc::new(Health::default().part("subscriptions")),
        metrics: Arc::new(Metrics::default()),
        times: None,
        grace: Duration::from_secs(1),
    })
}

fn median(mut values: Vec<Duration>) -> Duration {
    values.sort_unstable();
    values[values.len() / 2]
}
