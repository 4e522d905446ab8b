//! The connection to NATS that the bus and the stores share: where, as whom, whether it is there, and sending in order
//! without waiting. Never interprets a message, never logs a secret.

mod api;
mod options;
mod sender;
mod status;

use std::sync::Arc;
use std::time::Duration;

use async_nats::client::Client;
use async_nats::jetstream::Context;
use async_nats::{ConnectErrorKind, Event, ServerAddr};
use tokio::sync::{broadcast, watch};
use tokio_util::task::TaskTracker;

pub use self::api::ApiError;
pub(crate) use self::api::forbids;
pub use self::options::NatsOptions;
use self::sender::Sender;
pub(crate) use self::sender::{NotSent, Outbound};
use self::status::Status;
use crate::telemetry::Part;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// The server is asked for a sign of life this often when it says nothing; after two without an answer the connection is
/// given up. A server that hangs is noticed within three of them.
const PING: Duration = Duration::from_secs(4);

/// How long one request to the server's API may take. One that lost its leader has another within it or so.
const REQUEST: Duration = Duration::from_secs(5);

/// Longest pause between attempts to connect: a server that is back is noticed within it.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Messages of one subscription that wait in this process; more are lost, and come again.
const SUBSCRIPTION: usize = 1 << 16;

/// Messages that the connection's own task has yet to write. More wait in a queue of ours, which costs each a detour.
const TO_WRITE: usize = 1 << 14;

/// A connection. Cheap to clone; it is closed when the last clone is gone.
#[derive(Clone)]
pub struct Nats(Arc<Inner>);

struct Inner {
    client: Client,
    context: Context,
    sender: Sender,
    status: Arc<Status>,
    /// What must be told to the server before the process ends.
    closing: TaskTracker,
}

/// Why there is no connection; the variant decides whether waiting helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// Never: the options are wrong.
    #[error("{0}")]
    Invalid(String),
    /// Not by waiting alone: the server does not take the credentials, or its certificate is not trusted.
    #[error("NATS at {servers} refuses: {reason}")]
    Denied {
        /// Which servers.
        servers: String,
        /// What it says.
        reason: String,
    },
    /// Later: nobody answers there.
    #[error("NATS at {servers} is away: {reason}")]
    Away {
        /// Which servers.
        servers: String,
        /// What was tried last.
        reason: String,
    },
    /// Later, if at all: the server is there without JetStream, or its cluster has no leader yet.
    #[error("NATS at {servers} has no JetStream: {reason}")]
    NoJetStream {
        /// Which servers.
        servers: String,
        /// What it says.
        reason: String,
    },
}

impl ConnectError {
    /// Whether waiting may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Away { .. } | Self::NoJetStream { .. })
    }
}

/// Connects and asks for JetStream, once. `part` is ready as long as the connection is there.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(options: &NatsOptions, part: Option<Part>) -> Result<Nats, ConnectError> {
    connect_as(options, part.map(Arc::new)).await
}

/// As [`connect`], waiting for a server that is not there yet, and saying why now and then.
///
/// # Errors
/// What waiting does not mend.
pub async fn connect_when_there(options: &NatsOptions, part: Option<Part>) -> Result<Nats, ConnectError> {
    let part = part.map(Arc::new);
    let mut pause = Duration::from_millis(100);
    // Said at once, and then the more rarely the longer it lasts.
    let (mut attempts, mut say) = (0_u32, 1_u32);
    loop {
        match connect_as(options, part.clone()).await {
            Err(error) if error.is_transient() => {
                attempts += 1;
                if attempts == say {
                    tracing::warn!(%error, attempts, "waiting for NATS");
                    say = say.saturating_mul(2).min(say + 30);
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            Err(error) => return Err(error),
            Ok(nats) => {
                if attempts > 0 {
                    tracing::info!(attempts, "NATS is there");
                }
                return Ok(nats);
            }
        }
    }
}

async fn connect_as(options: &NatsOptions, part: Option<Arc<Part>>) -> Result<Nats, ConnectError> {
    let (addresses, client) = options.read().await?;
    let status = Arc::new(Status::new(part));
    let servers = names(&addresses);
    let heard = status.clone();
    let client = client
        .connection_timeout(HANDSHAKE)
        .request_timeout(Some(REQUEST))
        .ping_interval(PING)
        .subscription_capacity(SUBSCRIPTION)
        .client_capacity(TO_WRITE)
        .reconnect_delay_callback(pause_before)
        .event_callback(move |event| {
            hear(&heard, &event);
            std::future::ready(())
        })
        .connect(addresses)
        .await
        .map_err(|error| refused(&error, servers.clone()))?;
    let mut context = async_nats::jetstream::new(client.clone());
    context.set_timeout(REQUEST);
    let nats = Nats(Arc::new(Inner {
        sender: Sender::new(client.clone()),
        client,
        context,
        status,
        closing: TaskTracker::new(),
    }));
    match nats.account().await {
        Ok(()) => {
            nats.0.status.usable();
            Ok(nats)
        }
        Err(error) => Err(ConnectError::NoJetStream { servers, reason: error.to_string() }),
    }
}

impl Nats {
    /// The client, for what is not on the path of a message.
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// JetStream's API, for what is not on the path of a message.
    pub fn jetstream(&self) -> &Context {
        &self.0.context
    }

    /// The version of the server that this is a connection to, as it says it.
    pub fn server_version(&self) -> String {
        self.client().server_info().version
    }

    /// Whether the connection is there at this moment.
    pub fn is_connected(&self) -> bool {
        self.0.status.away_for().is_none()
    }

    /// What the server says of this connection's doings, refusals above all: it names the subject, and the request that
    /// broke the rule is never answered.
    pub fn server_errors(&self) -> broadcast::Receiver<Arc<str>> {
        self.0.status.errors()
    }

    /// Sends what is still to be said (what was given back, acknowledgements) and waits until it has left, at most 5 s.
    pub async fn close(&self) {
        self.0.closing.close();
        let said = async {
            self.0.closing.wait().await;
            self.0.sender.idle().await;
            // The server has read all before it when it answers.
            self.account().await
        };
        match tokio::time::timeout(REQUEST, said).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "NATS was away at the end; what it was not told comes again"),
            Err(_) => tracing::warn!("NATS did not listen to the end; what it was not told comes again"),
        }
    }

    /// Rises with every connection after the first: requests that were under way are lost then.
    pub fn connections(&self) -> watch::Receiver<u64> {
        self.0.status.connections()
    }

    /// How long the connection has been away; none = it is there.
    pub(crate) fn away_for(&self) -> Option<Duration> {
        self.0.status.away_for()
    }

    /// Sends in the order of calls, without waiting. While the connection is away it is kept, within bounds.
    pub(crate) fn send(&self, message: Outbound) -> Result<(), NotSent> {
        self.0.sender.send(message)
    }

    /// Runs something that [`Self::close`] waits for.
    pub(crate) fn before_close(&self, task: impl Future<Output = ()> + Send + 'static) {
        // Outside of a runtime there is nobody to run it: the process ends.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.0.closing.spawn_on(task, &runtime);
        }
    }
}

impl std::fmt::Debug for Nats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nats").field("connected", &self.is_connected()).finish_non_exhaustive()
    }
}

/// At once, then later each time: a cluster has other servers, and a server that restarts needs a moment.
fn pause_before(attempt: usize) -> Duration {
    match u32::try_from(attempt) {
        Ok(0 | 1) => Duration::ZERO,
        Ok(attempt) => Duration::from_millis(20).saturating_mul(1 << (attempt - 2).min(10)).min(PAUSE_MAX),
        Err(_) => PAUSE_MAX,
    }
}

fn hear(status: &Status, event: &Event) {
    match event {
        Event::Connected => status.connected(),
        Event::Disconnected => status.disconnected(),
        Event::ServerError(error) => status.server_said(&error.to_string()),
        Event::ClientError(error) => tracing::warn!(%error, "connecting to NATS"),
        Event::SlowConsumer(_) => tracing::warn!("a subscription was too slow for NATS; what was dropped comes again"),
        Event::LameDuckMode => tracing::info!("the NATS server is about to stop"),
        // The last clone is gone.
        Event::Draining | Event::Closed => {}
    }
}

fn refused(error: &async_nats::ConnectError, servers: String) -> ConnectError {
    // A certificate that is not trusted arrives as an IO error with invalid data in it.
    let mut source = std::error::Error::source(error);
    let mut untrusted = false;
    let mut reason = error.kind().to_string();
    while let Some(inner) = source {
        untrusted |= inner
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| matches!(io.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput));
        reason = format!("{reason}: {inner}");
        source = inner.source();
    }
    match error.kind() {
        ConnectErrorKind::ServerParse => ConnectError::Invalid(reason),
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Tls => {
            ConnectError::Denied { servers, reason }
        }
        _ if untrusted => ConnectError::Denied { servers, reason },
        _ => ConnectError::Away { servers, reason },
    }
}

/// `host:port` of each, without what else a URL may hold.
fn names(addresses: &[ServerAddr]) -> String {
    let name = |address: &ServerAddr| format!("{}:{}", address.host(), address.port());
    addresses.iter().map(name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_nothing_and_stay_bounded() {
        let pauses: Vec<_> = [0, 1, 2, 3, 4, 100, usize::MAX].map(pause_before).map(|p| p.as_millis()).into();
        assert_eq!(pauses, [0, 0, 20, 40, 80, 2000, 2000]);
    }

    #[tokio::test]
    async fn nobody_there_is_told_by_name_and_worth_waiting_for() {
        let options = NatsOptions { urls: vec!["nats://user:geheim@127.0.0.1:1".to_owned()], ..NatsOptions::default() };
        let error = connect(&options, None).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
        assert!(!error.to_string().contains("geheim"), "{error}");
    }
}
