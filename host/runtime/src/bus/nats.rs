//! The bus on NATS JetStream: pull consumers, pipelined publications, and as little as possible between the two.
//!
//! Streams and durables are made by [`provision`]. Never asks the server about a stream on the path of a message.

mod awaited;
pub mod dead_letters;
mod delivery;
mod headers;
mod hold;
pub mod provision;
mod publish;
pub mod recall;
mod seat;
mod window;

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use async_nats::Subject;
use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use serde_json::json;
use tokio::sync::{Notify, broadcast};
use tokio::time::MissedTickBehavior;

use self::hold::Holders;
use self::publish::Publisher;
use self::seat::{Bound, Seat, Shared};
use super::{Acceptance, Bus, Consumer, Deliveries, HEADER_ROOM, Publication, SubscribeError};
use crate::nats::{ApiError, Nats};

/// How often what waits too long is looked for.
const TICK: Duration = Duration::from_millis(250);

/// Messages that may be under way to a consumer of a subscriber's own.
const OWN_PREFETCH: usize = 1024;

/// How long the server keeps a consumer whose subscriber does not come back.
const OWN_THRESHOLD: Duration = Duration::from_secs(60);

/// A reply that was lost with a connection comes again after this.
const OWN_ACK_WAIT: Duration = Duration::from_secs(5);

/// Waiting times of a bus on NATS.
#[derive(Debug, Clone)]
pub struct NatsBusOptions {
    /// How long a publication's acknowledgement may take. Then it is sent again, if its id lets the server tell. Default
    /// 5 s.
    pub ack_timeout: Duration,
    /// How long a publication waits for room in a full stream. Default 5 s: longer than a slow node's message.
    pub publish_wait: Duration,
    /// How long a publication is tried for while its stream has no leader, or its acknowledgements do not come. Default
    /// 30 s: a stream that lost its leader has another within 4 to 7 s, later on busy machines.
    pub outage_wait: Duration,
}

/// All subscribers that still are.
type Seats = Arc<Mutex<Vec<Weak<Shared>>>>;

/// The bus. What it handed out ends with it: deliveries with an error, acceptances likewise.
pub struct NatsBus {
    nats: Nats,
    publisher: Arc<Publisher>,
    seats: Seats,
    /// There is another seat.
    bound: Arc<Notify>,
    tasks: Vec<tokio::task::AbortHandle>,
}

/// The server cannot be used as a bus.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// Its `max_payload` leaves nothing beside krt's headers.
    #[error("the server takes messages of at most {limit} bytes; krt needs {needed} for headers alone")]
    Narrow {
        /// The server's `max_payload`.
        limit: usize,
        /// What headers may take.
        needed: usize,
    },
    /// The connection was closed.
    #[error("the connection is closed: {0}")]
    Closed(String),
}

impl Default for NatsBusOptions {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { ack_timeout: seconds(5), publish_wait: seconds(5), outage_wait: seconds(30) }
    }
}

impl NatsBus {
    /// A bus on a connection.
    ///
    /// # Errors
    /// See [`BusError`].
    pub async fn new(nats: Nats, options: NatsBusOptions) -> Result<Arc<Self>, BusError> {
        let limit = nats.client().max_payload();
        if limit <= HEADER_ROOM {
            return Err(BusError::Narrow { limit, needed: HEADER_ROOM });
        }
        let publisher = Publisher::new(nats.clone(), options);
        let answers = nats.client().subscribe(publisher.answers()).await;
        let mut answers = answers.map_err(|error| BusError::Closed(error.to_string()))?;
        let answered = {
            let publisher = publisher.clone();
            tokio::spawn(async move {
                while let Some(message) = answers.next().await {
                    publisher.answered(&message);
                }
            })
        };
        let (seats, bound) = (Seats::default(), Arc::new(Notify::new()));
        let kept = tokio::spawn(keep(nats.clone(), publisher.clone(), seats.clone()));
        let held = tokio::spawn(hold_acknowledged(nats.clone(), seats.clone(), bound.clone()));
        let tasks = vec![answered.abort_handle(), kept.abort_handle(), held.abort_handle()];
        Ok(Arc::new(Self { nats, publisher, seats, bound, tasks }))
    }
}

impl Drop for NatsBus {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::AbortHandle::abort);
        self.publisher.close();
        let seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        seats.iter().filter_map(Weak::upgrade).for_each(|seat| seat.end("the bus is gone"));
    }
}

impl Bus for NatsBus {
    fn publish(&self, publication: Publication) -> Acceptance {
        self.publisher.publish(publication)
    }

    fn subscribe(&self, consumer: Consumer) -> BoxFuture<'static, Result<Deliveries, SubscribeError>> {
        let (nats, seats, another) = (self.nats.clone(), self.seats.clone(), self.bound.clone());
        Box::pin(async move {
            let bound = match consumer {
                Consumer::Durable { stream, name, prefetch } => bind(nats, stream, name, prefetch).await?,
                Consumer::Ephemeral { stream, filter_subject } => make_own(nats, stream, filter_subject).await?,
            };
            let nats = bound.nats.clone();
            let inbox = Subject::from(nats.client().new_inbox());
            let subscriber = nats.client().subscribe(inbox.clone()).await;
            let subscriber = subscriber.map_err(|error| SubscribeError::Unavailable(error.to_string()))?;
            let seat = Seat::new(bound, inbox, subscriber);
            let mut seats = seats.lock().unwrap_or_else(PoisonError::into_inner);
            seats.retain(|seat: &Weak<Shared>| seat.strong_count() > 0);
            seats.push(seat.shared());
            another.notify_one();
            Ok(Box::pin(seat) as Deliveries)
        })
    }

    fn max_payload(&self) -> usize {
        self.publisher.max_payload()
    }
}

async fn bind(nats: Nats, stream: String, consumer: String, prefetch: usize) -> Result<Bound, SubscribeError> {
    let none = || SubscribeError::NoConsumer { stream: stream.clone(), consumer: consumer.clone() };
    if !is_name(&stream) || !is_name(&consumer) {
        return Err(none());
    }
    let info: consumer::Info = nats
        .api(&format!("CONSUMER.INFO.{stream}.{consumer}"), &())
        .await
        .map_err(|error| not_bound(&error, none()))?;
    if info.config.deliver_subject.is_some() {
        tracing::error!(stream, consumer, "this durable pushes to a native node; it cannot be read from");
        return Err(none());
    }
    let ack_wait = info.config.ack_wait;
    Ok(Bound { nats, stream, consumer, own: false, prefetch, ack_wait })
}

async fn make_own(nats: Nats, stream: String, filter_subject: String) -> Result<Bound, SubscribeError> {
    let none = SubscribeError::NoConsumer { stream: stream.clone(), consumer: filter_subject.clone() };
    if !is_name(&stream) {
        return Err(none);
    }
    let name = nats.client().new_inbox().rsplit('.').next().unwrap_or_default().to_owned();
    let config = consumer::Config {
        name: Some(name.clone()),
        filter_subject: filter_subject.clone(),
        deliver_policy: DeliverPolicy::New,
        ack_policy: AckPolicy::All,
        ack_wait: OWN_ACK_WAIT,
        max_ack_pending: -1,
        inactive_threshold: OWN_THRESHOLD,
        memory_storage: true,
        ..consumer::Config::default()
    };
    let subject = format!("CONSUMER.CREATE.{stream}.{name}.{filter_subject}");
    let made = nats.api::<_, consumer::Info>(&subject, &json!({ "stream_name": stream, "config": config })).await;
    made.map_err(|error| not_bound(&error, none))?;
    Ok(Bound { nats, stream, consumer: name, own: true, prefetch: OWN_PREFETCH, ack_wait: OWN_ACK_WAIT })
}

fn not_bound(error: &ApiError, none: SubscribeError) -> SubscribeError {
    if error.is_no_consumer() { none } else { SubscribeError::Unavailable(error.to_string()) }
}

/// Whether a name can stand in a subject of the API.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| matches!(c, '.' | '*' | '>') || c.is_whitespace() || c.is_control())
}

/// Housekeeping for all subscribers and publications.
async fn keep(nats: Nats, publisher: Arc<Publisher>, seats: Seats) {
    let living = || living(&seats);
    let (mut connections, mut words) = (nats.connections(), nats.server_errors());
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let now = Instant::now();
                publisher.tick(now);
                living().iter().for_each(|seat| seat.tick(now));
            }
            changed = connections.changed() => {
                if changed.is_err() {
                    return;
                }
                publisher.reconnected();
                living().iter().for_each(|seat| seat.reconnected());
            }
            word = words.recv() => match word {
                Ok(text) => {
                    publisher.server_said(&text);
                    living().iter().for_each(|seat| seat.server_said(&text));
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            },
        }
    }
}

fn living(seats: &Seats) -> Vec<Arc<Shared>> {
    let seats = seats.lock().unwrap_or_else(PoisonError::into_inner);
    seats.iter().filter_map(Weak::upgrade).collect()
}

/// Sees to it that what is acknowledged on the streams of all subscribers is held for a while.
async fn hold_acknowledged(nats: Nats, seats: Seats, another: Arc<Notify>) {
    let mut holders = Holders::default();
    let mut every = tokio::time::interval(hold::EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = another.notified() => {}
        }
        let mut streams: Vec<String> = living(&seats).iter().map(|seat| seat.stream().to_owned()).collect();
        streams.sort_unstable();
        streams.dedup();
        holders.hold(&nats, streams).await;
    }
}
