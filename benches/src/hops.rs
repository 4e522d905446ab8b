//! One hop on a real NATS server (file storage): read a message, publish another with an id, await its acknowledgement,
//! acknowledge. A bare client of NATS, which is the ceiling, beside a native and a wasm node in krt's runner.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use async_nats::jetstream::{self, consumer};
use bytes::Bytes;
use e2e::nats::Server;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use krt::plan::Plan;
use krt::topology::{InstanceMode, Wasm};
use krt_host::bus::nats::provision::{ApplyOptions, apply};
use krt_host::message::{Message, MessageType, Payload};
use krt_host::nats::{NatsOptions, connect};
use krt_host::node::Node;
use krt_host::runtime::Backend;
use tokio_util::sync::CancellationToken;

use crate::guests::Guests;
use crate::nodes;
use crate::table::Table;

/// Messages of one round.
const COUNT: u64 = 40_000;
/// Rounds of each kind; the best is reported: the others were disturbed.
const ROUNDS: usize = 3;
/// What the bare client has under way: as much as krt's runner.
const UNDER_WAY: usize = 1024;
/// Messages of one request of the bare client.
const BATCH: usize = 256;

/// Runs all kinds.
///
/// # Errors
/// No server, or a message got lost.
pub(crate) fn run(guests: &Guests) -> anyhow::Result<Table> {
    let server = Server::start().context("there is no nats-server")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut best = [Duration::MAX; 3];
        for round in 0..ROUNDS {
            for (kind, best) in best.iter_mut().enumerate() {
                let runtime_id = format!("bench-{round}-{kind}");
                let ground = Ground::new(guests, &server, &runtime_id).await?;
                let took = match kind {
                    0 => ground.bare().await?,
                    1 => ground.krt(nodes::native()).await?,
                    _ => {
                        ground
                            .krt(guests.node(Wasm { instance: InstanceMode::Reuse, ..Wasm::default() }).await?)
                            .await?
                    }
                };
                *best = took.min(*best);
            }
        }
        let mut table = Table::new(
            "One hop on nats-server (file storage), 1 KiB: read, publish with an id, acknowledge",
            &["what", "messages/s", "÷ bare client", "÷ native node"],
        );
        let rate = |took: Duration| COUNT as f64 / took.as_secs_f64();
        for (name, took) in ["bare client (async-nats)", "native Rust node", "wasm node"].into_iter().zip(best) {
            table.row(&[
                name.to_owned(),
                format!("{:.0}", rate(took)),
                format!("{:.2}", rate(took) / rate(best[0])),
                format!("{:.2}", rate(took) / rate(best[1])),
            ]);
        }
        Ok(table)
    })
}

/// A fresh set of streams with messages waiting for node `first`.
struct Ground {
    backend: Backend,
    context: jetstream::Context,
    plan: Plan,
    stream: String,
    durable: String,
}

impl Ground {
    async fn new(guests: &Guests, server: &Server, runtime_id: &str) -> anyhow::Result<Self> {
        let options = NatsOptions { urls: vec![server.url()], ..NatsOptions::default() };
        let nats = connect(&options, None).await?;
        let plan = krt::plan::plan(&guests.topology, runtime_id);
        apply(&nats, &plan, &ApplyOptions::default()).await?;
        let stream = plan.streams[0].name.clone();
        let durable = plan.durables.iter().find(|durable| durable.node == "first").context("a durable")?.name.clone();
        let context = jetstream::new(async_nats::connect(server.url()).await?);
        let ground = Self { backend: Backend::on_nats(nats, runtime_id).await?, context, plan, stream, durable };
        ground.fill().await?;
        Ok(ground)
    }

    async fn fill(&self) -> anyhow::Result<()> {
        let envelope = envelope()?;
        let subject = krt::names::entrypoint_subject(&self.stream);
        let mut under_way = FuturesUnordered::new();
        for _ in 0..COUNT {
            under_way.push(self.context.publish(subject.clone(), envelope.clone()).await?.into_future());
            if under_way.len() >= UNDER_WAY {
                under_way.next().await.context("one is under way")??;
            }
        }
        while let Some(accepted) = under_way.next().await {
            accepted?;
        }
        Ok(())
    }

    /// What nothing built on this client can pass.
    async fn bare(self) -> anyhow::Result<Duration> {
        let consumer: consumer::PullConsumer =
            self.context.get_consumer_from_stream(&self.durable, &self.stream).await?;
        let subject = format!("{}.first", self.stream);
        let start = Instant::now();
        let mut messages = consumer.stream().max_messages_per_batch(BATCH).messages().await?;
        let (mut under_way, mut done) = (FuturesUnordered::new(), 0);
        while done < COUNT {
            tokio::select! {
                message = messages.next(), if under_way.len() < UNDER_WAY => {
                    let message = message.context("the consumer ended")??;
                    let sequence = message.info().map_err(anyhow::Error::from_boxed)?.stream_sequence;
                    let mut headers = async_nats::HeaderMap::new();
                    headers.insert("Nats-Msg-Id", format!("{}/{sequence}/first/0", self.stream));
                    let accepted = self.context.publish_with_headers(subject.clone(), headers, message.payload.clone()).await?;
                    under_way.push(accepted.into_future().map(|accepted| (accepted, message)));
                }
                Some((accepted, message)) = under_way.next() => {
                    accepted?;
                    message.ack().await.map_err(anyhow::Error::from_boxed)?;
                    done += 1;
                }
            }
        }
        Ok(start.elapsed())
    }

    async fn krt(self, node: Arc<dyn Node>) -> anyhow::Result<Duration> {
        let stop = CancellationToken::new();
        let Backend { bus, prefetch, .. } = &self.backend;
        let runner = nodes::runner(&self.plan, bus.clone(), node, *prefetch)?;
        let start = Instant::now();
        let running = tokio::spawn(runner.run(stop.clone()));
        self.until_done().await?;
        let took = start.elapsed();
        stop.cancel();
        running.await?;
        self.backend.close().await;
        Ok(took)
    }

    /// Asks the server until all are acknowledged.
    async fn until_done(&self) -> anyhow::Result<()> {
        let mut consumer: consumer::PullConsumer =
            self.context.get_consumer_from_stream(&self.durable, &self.stream).await?;
        let mut every = tokio::time::interval(Duration::from_millis(10));
        loop {
            every.tick().await;
            let info = consumer.info().await?;
            if info.num_pending == 0 && info.num_ack_pending == 0 {
                return Ok(());
            }
        }
    }
}

fn envelope() -> anyhow::Result<Bytes> {
    let message = Message {
        request_id: "6f1c0d0e-3f0b-4f4e-9d5b-0a1b2c3d4e5f".to_owned(),
        from_node: "entrypoint".to_owned(),
        message_type: MessageType::Ok,
        payload: Some(Payload {
            type_url: "type.googleapis.com/main.Blob".to_owned(),
            data: Bytes::from(vec![7; 1024]),
        }),
        error: String::new(),
    };
    Ok(message.encode(1 << 20)?)
}
