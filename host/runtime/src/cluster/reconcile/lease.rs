//! Who of several operators works: the one that holds a Lease and renews it. Never decides anything else.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ObjectMeta, PostParams};

use crate::cluster::inspect::LEASE_LABEL;

/// A Lease, and who we are.
#[derive(Clone)]
pub struct LeaseOptions {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub namespace: String,
    /// Who we are: unique among all that may hold it.
    pub holder: String,
    /// For how long it is held after the last renewal. It is renewed three times as often.
    pub duration: Duration,
}

/// The Lease could not be kept: another may work now, so we must not.
#[derive(Debug, thiserror::Error)]
#[error("the Lease {name} was lost: {why}")]
pub struct Lost {
    name: String,
    why: String,
}

/// A Lease that is ours while it is renewed.
pub struct Held {
    leases: Api<Lease>,
    options: LeaseOptions,
}

/// What we saw of somebody else's Lease, and when: clocks of machines differ, so that only our own tells how long ago it was.
struct Seen {
    version: Option<String>,
    at: Instant,
}

/// Waits until the Lease is ours.
///
/// # Errors
/// When the API server does not let us: waiting would not help.
pub async fn acquire(client: kube::Client, options: LeaseOptions) -> Result<Held, kube::Error> {
    let leases: Api<Lease> = Api::namespaced(client, &options.namespace);
    let mut seen: Option<Seen> = None;
    let mut said = false;
    loop {
        let lease = match leases.get_opt(&options.name).await {
            Ok(lease) => lease,
            Err(error) if forbids(&error) => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "the Lease could not be read");
                tokio::time::sleep(pause(&options)).await;
                continue;
            }
        };
        if may_take(lease.as_ref(), &options, &mut seen) {
            match take(&leases, lease, &options).await {
                Ok(()) => return Ok(Held { leases, options }),
                // Another was quicker: as well.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) if forbids(&error) => return Err(error),
                Err(error) => tracing::warn!(%error, "the Lease could not be taken"),
            }
        } else if !said {
            said = true;
            let holder = lease.and_then(|lease| lease.spec).and_then(|spec| spec.holder_identity);
            tracing::info!(holder, "another operator works; waiting for its Lease");
        }
        tokio::time::sleep(pause(&options)).await;
    }
}

impl Held {
    /// Renews it as long as that can be done. Ends when it is lost.
    pub async fn keep(&self) -> Lost {
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep(pause(&self.options)).await;
            let asked = Instant::now();
            // An API server that does not answer must not keep us for longer than the Lease is ours.
            let left = self.options.duration.saturating_sub(renewed.elapsed());
            let renewal = tokio::time::timeout(left, self.renew()).await;
            let why = match renewal.map_err(|late| kube::Error::Service(Box::new(late))).and_then(|renewed| renewed) {
                Ok(true) => {
                    renewed = asked;
                    continue;
                }
                Ok(false) => "another holds it".to_owned(),
                // Others may take it only after its whole duration.
                Err(error) if renewed.elapsed() + pause(&self.options) < self.options.duration => {
                    tracing::warn!(%error, "the Lease could not be renewed");
                    continue;
                }
                Err(error) => error.to_string(),
            };
            return Lost { name: self.options.name.clone(), why };
        }
    }

    /// Gives it back, so that another need not wait.
    pub async fn release(&self) {
        let released = async {
            let Some(mut lease) = self.leases.get_opt(&self.options.name).await? else { return Ok(()) };
            if !is_ours(&lease, &self.options) {
                return Ok(());
            }
            if let Some(spec) = &mut lease.spec {
                spec.holder_identity = None;
            }
            self.leases.replace(&self.options.name, &PostParams::default(), &lease).await.map(drop)
        };
        if let Err(error) = released.await {
            tracing::warn!(%error, "the Lease could not be given back: others wait until it expires");
        }
    }

    async fn renew(&self) -> kube::Result<bool> {
        let lease = self.leases.get_opt(&self.options.name).await?;
        match lease {
            Some(lease) if is_ours(&lease, &self.options) => match take(&self.leases, Some(lease), &self.options).await
            {
                Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
                taken => taken.map(|()| true),
            },
            _ => Ok(false),
        }
    }
}

fn forbids(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403 || status.code == 401)
}

fn pause(options: &LeaseOptions) -> Duration {
    options.duration / 3
}

fn is_ours(lease: &Lease, options: &LeaseOptions) -> bool {
    let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
    holder == Some(options.holder.as_str())
}

/// Whether nobody holds it, or nobody has renewed it for as long as its holder said.
fn may_take(lease: Option<&Lease>, options: &LeaseOptions, seen: &mut Option<Seen>) -> bool {
    let Some(spec) = lease.and_then(|lease| lease.spec.as_ref()) else { return true };
    let holder = spec.holder_identity.as_deref().unwrap_or_default();
    if holder.is_empty() || holder == options.holder {
        return true;
    }
    let version = lease.and_then(|lease| lease.metadata.resource_version.clone());
    let seen = match seen {
        Some(seen) if seen.version == version => seen,
        _ => seen.insert(Seen { version, at: Instant::now() }),
    };
    let theirs = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    seen.at.elapsed() >= theirs.map_or(options.duration, Duration::from_secs)
}

async fn take(leases: &Api<Lease>, lease: Option<Lease>, options: &LeaseOptions) -> kube::Result<()> {
    // Whole seconds: there is no room for more.
    let seconds = i32::try_from(options.duration.as_secs().max(1)).unwrap_or(i32::MAX);
    let now = Timestamp::now().round(k8s_openapi::jiff::Unit::Microsecond).unwrap_or_else(|_| Timestamp::now());
    let old = lease.as_ref().and_then(|lease| lease.spec.clone()).unwrap_or_default();
    let ours = old.holder_identity.as_deref() == Some(options.holder.as_str());
    let spec = LeaseSpec {
        holder_identity: Some(options.holder.clone()),
        lease_duration_seconds: Some(seconds),
        acquire_time: if ours { old.acquire_time } else { Some(MicroTime(now)) },
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(old.lease_transitions.unwrap_or(0).saturating_add(i32::from(!ours))),
        ..LeaseSpec::default()
    };
    let params = PostParams::default();
    let (label, value) = LEASE_LABEL;
    match lease {
        Some(lease) => {
            // With the version that was read: of two, one is refused.
            let mut lease = Lease { spec: Some(spec), ..lease };
            lease.metadata.labels.get_or_insert_default().insert(label.to_owned(), value.to_owned());
            leases.replace(&options.name, &params, &lease).await.map(drop)
        }
        None => {
            let metadata = ObjectMeta {
                name: Some(options.name.clone()),
                labels: Some([(label.to_owned(), value.to_owned())].into()),
                ..ObjectMeta::default()
            };
            leases.create(&params, &Lease { metadata, spec: Some(spec) }).await.map(drop)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(holder: &str) -> LeaseOptions {
        let duration = Duration::from_millis(1500);
        LeaseOptions { name: "krt".to_owned(), namespace: "a".to_owned(), holder: holder.to_owned(), duration }
    }

    fn lease(holder: Option<&str>, version: &str) -> Lease {
        let spec = LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            lease_duration_seconds: Some(0),
            ..LeaseSpec::default()
        };
        let metadata = ObjectMeta { resource_version: Some(version.to_owned()), ..ObjectMeta::default() };
        Lease { metadata, spec: Some(spec) }
    }

    #[test]
    fn a_lease_is_taken_when_it_is_free_or_ours_or_its_holder_has_not_renewed_it_while_we_looked() {
        let me = options("me");
        let mut seen = None;
        assert!(may_take(None, &me, &mut seen));
        assert!(may_take(Some(&lease(None, "1")), &me, &mut seen));
        assert!(may_take(Some(&lease(Some("me"), "1")), &me, &mut seen));
        let mut other = lease(Some("other"), "1");
        other.spec.as_mut().unwrap().lease_duration_seconds = Some(3600);
        assert!(!may_take(Some(&other), &me, &mut seen));
        // Its own duration has passed since we first saw this version of it.
        assert!(may_take(Some(&lease(Some("other"), "1")), &me, &mut seen));
    }
}
