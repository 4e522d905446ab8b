//! NATS as the commands need it: whether it answers, is new enough, has JetStream, and lets these credentials at packages.

use std::time::Duration;

use serde::Deserialize;

use crate::cluster::inspect::Finding;
use crate::nats::{ApiError, ConnectError, Nats, NatsOptions, connect};

/// The oldest server that krt is tested with.
const AT_LEAST: (u64, u64, u64) = (2, 9, 10);

/// A server that does not answer within this time is away.
const PATIENCE: Duration = Duration::from_secs(10);

const SERVER: &str = "server";
const JETSTREAM: &str = "JetStream";
const PACKAGES: &str = "packages";

/// What is asked of an object store's stream.
#[derive(Deserialize)]
struct Info {
    state: State,
}

#[derive(Deserialize)]
struct State {
    bytes: u64,
}

/// Looks at NATS; at the packages of `runtime_id`, if that is known.
pub(super) async fn inspect(options: &NatsOptions, runtime_id: Option<&str>) -> Vec<Finding> {
    let connected = tokio::time::timeout(PATIENCE, connect(options, None)).await;
    let nats = match connected {
        Ok(Ok(nats)) => nats,
        Ok(Err(error)) => {
            let help = match error {
                ConnectError::Invalid(_) => "see krt push --help for how NATS is named",
                ConnectError::Denied { .. } => {
                    "ask for credentials: --nats-creds, --nats-nkey, --nats-token, --nats-ca"
                }
                ConnectError::Away { .. } => "is the server running, and reached from here?",
                ConnectError::NoJetStream { .. } => {
                    "start the server with JetStream (nats-server -js), for this account, too"
                }
            };
            let what = if matches!(error, ConnectError::NoJetStream { .. }) { JETSTREAM } else { SERVER };
            return vec![Finding::wrong(what, error.to_string(), help)];
        }
        Err(_) => return vec![Finding::wrong(SERVER, format!("no answer within {} s", PATIENCE.as_secs()), "")],
    };
    // Connecting asks for it.
    let mut findings = vec![server(&nats.server_version()), Finding::good(JETSTREAM, "enabled for this account")];
    if let Some(runtime_id) = runtime_id {
        findings.push(packages(&nats, runtime_id).await);
    }
    findings
}

fn server(version: &str) -> Finding {
    let least = format!("{}.{}.{}", AT_LEAST.0, AT_LEAST.1, AT_LEAST.2);
    match numbers(version) {
        Some(is) if is >= AT_LEAST => Finding::good(SERVER, version),
        Some(_) => Finding::wrong(SERVER, format!("{version}, too old"), format!("install {least} or newer")),
        None => Finding::unknown(SERVER, format!("says to be {version:?}"), format!("{least} or newer is needed")),
    }
}

fn numbers(version: &str) -> Option<(u64, u64, u64)> {
    let mut parts = version.split(['.', '-', '+']).map(str::parse::<u64>);
    Some((parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?))
}

/// Whether these credentials may look at the runtime's packages. Whether they may write is known when something is written.
async fn packages(nats: &Nats, runtime_id: &str) -> Finding {
    let bucket = krt::names::packages(runtime_id);
    match nats.api::<_, Info>(&format!("STREAM.INFO.OBJ_{bucket}"), &()).await {
        Ok(info) => Finding::good(PACKAGES, format!("{bucket} holds {} KiB", info.state.bytes.div_ceil(1024))),
        Err(error) if error.is_no_stream() => Finding::good(PACKAGES, format!("no {bucket} yet: krt push makes it")),
        Err(ApiError::Denied(_)) => {
            let help = "are these the runtime's credentials? Say another with --runtime-id";
            Finding::wrong(PACKAGES, format!("not permitted to look at {bucket}"), help)
        }
        Err(error) => Finding::unknown(PACKAGES, error.to_string(), ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::inspect::Verdict;

    #[test]
    fn a_server_is_new_enough_from_the_oldest_on_that_is_tested() {
        for (version, verdict) in [
            ("2.9.9", Verdict::Wrong),
            ("2.9.10", Verdict::Good),
            ("2.15.2", Verdict::Good),
            ("2.10.0-beta.1", Verdict::Good),
            ("1.4.1", Verdict::Wrong),
            ("", Verdict::Unknown),
            ("next", Verdict::Unknown),
        ] {
            assert_eq!(server(version).verdict, verdict, "{version}");
        }
    }
}
