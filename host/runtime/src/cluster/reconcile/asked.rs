//! When publications were asked for: in the order in which the API server tells of them, whatever else the operator has to do
//! until it looks at the version. Remembers it until the status does.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::cluster::crd::{State, Version};

/// What was heard of, by the resource's uid. No two have the same time.
#[derive(Default)]
pub(super) struct Asked(Mutex<Heard>);

#[derive(Default)]
struct Heard {
    since: HashMap<String, Timestamp>,
    last: Option<Timestamp>,
}

impl Asked {
    /// The API server tells of a version that is new, or has changed.
    pub(super) fn hear(&self, version: &Version, now: Timestamp) {
        let Some(uid) = &version.metadata.uid else { return };
        let mut heard = self.lock();
        if version.spec.state != State::Published {
            heard.since.remove(uid);
        } else if !heard.since.contains_key(uid) {
            let next = heard.last.map(|last| last.saturating_add(RESOLUTION).unwrap_or(last));
            // As the status has it.
            let now = Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
            let time = next.map_or(now, |next| next.max(now));
            heard.last = Some(time);
            heard.since.insert(uid.clone(), time);
        }
    }

    /// Since when it has been wanted, if that was heard of.
    pub(super) fn since(&self, uid: &str) -> Option<Timestamp> {
        self.lock().since.get(uid).copied()
    }

    /// It is gone.
    pub(super) fn forget(&self, uid: &str) {
        self.lock().since.remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of the times in a status.
const RESOLUTION: SignedDuration = SignedDuration::from_micros(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::crd::VersionSpec;

    #[test]
    fn publications_at_the_same_moment_are_in_the_order_in_which_they_were_heard_of() {
        let version = |name: &str, state: State| {
            let mut version = Version::new(name, VersionSpec { state, ..VersionSpec::default() });
            version.metadata.uid = Some(name.to_owned());
            version
        };
        let (asked, now) = (Asked::default(), Timestamp::from_nanosecond(1_234_567).unwrap());
        for name in ["b", "a", "c"] {
            asked.hear(&version(name, State::Published), now);
        }
        let micros = |name: &str| asked.since(name).map(Timestamp::as_microsecond);
        assert_eq!([micros("b"), micros("a"), micros("c")], [Some(1234), Some(1235), Some(1236)]);
        // Told of again, it is not asked for anew; taken back, it is.
        asked.hear(&version("b", State::Published), now);
        assert_eq!(micros("b"), Some(1234));
        asked.hear(&version("b", State::Started), now);
        assert_eq!(micros("b"), None);
        asked.hear(&version("b", State::Published), now);
        assert_eq!(micros("b"), Some(1237));
        asked.forget("b");
        assert_eq!(micros("b"), None);
    }
}
