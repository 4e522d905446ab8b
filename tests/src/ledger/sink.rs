//! Reads every effect, and knows when nothing is pending any more. A client of its own, not krt's.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, consumer};
use futures::StreamExt as _;
use krt_host::message::Message;

use super::EFFECTS;

const STREAM: &str = "kre_ledger_Book";
const DEAD_LETTERS: &str = "dead-letters_kre_ledger";

/// Sequences of the messages that each request left, by subject.
type Effects = HashMap<u64, HashMap<&'static str, BTreeSet<u64>>>;

pub(super) struct Sink {
    context: jetstream::Context,
    effects: Arc<Mutex<Effects>>,
    reading: tokio::task::JoinHandle<()>,
}

impl Sink {
    /// Begins to read, before anything is there to be read.
    pub(super) async fn start(urls: &str) -> Self {
        let client = client(urls).await;
        let context = jetstream::new(client);
        let consumer = loop {
            let config = consumer::pull::Config {
                durable_name: Some("ledger-sink".to_owned()),
                filter_subjects: EFFECTS.iter().map(|(end, _)| format!("{STREAM}.{end}")).collect(),
                ack_policy: consumer::AckPolicy::Explicit,
                ack_wait: Duration::from_secs(10),
                max_ack_pending: 10_000,
                ..Default::default()
            };
            match context.create_consumer_on_stream(config, STREAM).await {
                Ok(consumer) => break consumer,
                Err(error) => eprintln!("the sink waits: {error}"),
            }
        };
        let effects = Arc::new(Mutex::new(Effects::new()));
        let reading = tokio::spawn(read(consumer, effects.clone()));
        Self { context, effects, reading }
    }

    /// Waits until no durable of the stream has anything pending; what still has after `limit` is named.
    pub(super) async fn until_settled(&self, limit: Duration) -> Vec<(String, u64)> {
        let end = Instant::now() + limit;
        let mut every = tokio::time::interval(Duration::from_millis(500));
        loop {
            every.tick().await;
            let pending = self.pending().await;
            match pending {
                Some(pending) if pending.is_empty() => return pending,
                Some(pending) if Instant::now() > end => return pending,
                None if Instant::now() > end => return vec![("no server answers".to_owned(), 0)],
                _ => {}
            }
        }
    }

    async fn pending(&self) -> Option<Vec<(String, u64)>> {
        let stream = self.context.get_stream(STREAM).await.ok()?;
        let mut consumers = stream.consumers();
        let mut pending = Vec::new();
        let mut durables = 0;
        while let Some(info) = consumers.next().await {
            let info = info.ok()?;
            // The entrypoints' own consumers acknowledge nothing.
            if info.config.durable_name.is_none() {
                continue;
            }
            durables += 1;
            let open = info.num_pending + info.num_ack_pending as u64;
            if open > 0 {
                pending.push((info.name, open));
            }
        }
        // Five of the nodes, one of the sink: a list that is shorter is not the whole.
        (durables == 6).then_some(pending)
    }

    pub(super) async fn dead_letters(&self) -> u64 {
        self.context.get_stream(DEAD_LETTERS).await.expect("the stream of dead letters").cached_info().state.messages
    }

    /// All effects; the sink ends.
    pub(super) async fn effects(self) -> HashMap<u64, HashMap<&'static str, u32>> {
        self.reading.abort();
        let effects = self.effects.lock().expect("no panic");
        let count = |seen: &HashMap<&'static str, BTreeSet<u64>>| {
            seen.iter().map(|(subject, sequences)| (*subject, sequences.len() as u32)).collect()
        };
        effects.iter().map(|(number, seen)| (*number, count(seen))).collect()
    }
}

async fn read(consumer: consumer::PullConsumer, effects: Arc<Mutex<Effects>>) {
    loop {
        let Ok(mut messages) = consumer.messages().await else { continue };
        while let Some(message) = messages.next().await {
            // A server went: the next request finds another.
            let Ok(message) = message else { continue };
            let sequence = message.info().expect("a message of JetStream").stream_sequence;
            let subject = EFFECTS.iter().map(|(end, _)| *end).find(|end| message.subject.ends_with(end));
            let number = number(message.payload.clone());
            if let (Some(subject), Some(number)) = (subject, number) {
                let mut effects = effects.lock().expect("no panic");
                effects.entry(number).or_default().entry(subject).or_default().insert(sequence);
            }
            // Lost, it comes again, as the same message.
            let _ = message.ack().await;
        }
    }
}

/// The request's number: the first eight bytes of the entry's data.
fn number(envelope: bytes::Bytes) -> Option<u64> {
    let data = Message::decode(envelope).ok()?.payload?.data;
    // One byte of tag, one of length: the requests are short.
    data.get(2..10)?.try_into().ok().map(u64::from_be_bytes)
}

/// The name of the server that leads the stream.
pub(super) async fn leader(client: &async_nats::Client) -> Option<String> {
    let stream = jetstream::new(client.clone()).get_stream(STREAM).await.ok()?;
    stream.cached_info().cluster.as_ref()?.leader.clone()
}

/// A client that connects, again and again, to whichever server there is.
pub(super) async fn client(urls: &str) -> async_nats::Client {
    let servers: Vec<async_nats::ServerAddr> = urls.split(',').map(|url| url.parse().expect("a URL")).collect();
    let options = async_nats::ConnectOptions::new().retry_on_initial_connect();
    options.connect(servers).await.expect("a client that connects again")
}
