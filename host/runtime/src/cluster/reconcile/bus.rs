//! What a version has on the bus, as its status remembers it. Pure.

use krt::names::Names;
use krt::plan::{Plan, Stream};

use crate::cluster::crd::BusRecord;

/// What `plan` will have made, and what `before` it may have been there.
pub(super) fn record(plan: &Plan, before: Option<&BusRecord>) -> BusRecord {
    let streams = plan.streams.iter().map(|stream| stream.name.clone());
    let mut record = BusRecord {
        runtime_id: plan.runtime_id.clone(),
        streams: streams.collect(),
        object_stores: plan.object_stores.clone(),
        key_value_buckets: plan.key_value_buckets.clone(),
    };
    if let Some(before) = before {
        record.streams.extend(before.streams.iter().cloned());
        record.object_stores.extend(before.object_stores.iter().cloned());
        record.key_value_buckets.extend(before.key_value_buckets.iter().cloned());
    }
    for names in [&mut record.streams, &mut record.object_stores, &mut record.key_value_buckets] {
        names.sort();
        names.dedup();
    }
    record
}

/// What is left of it when a version is stopped: values of its configuration outlive that, as on the original.
pub(super) fn kept(record: &BusRecord) -> Option<BusRecord> {
    let kept = BusRecord { streams: Vec::new(), object_stores: Vec::new(), ..record.clone() };
    (!kept.key_value_buckets.is_empty()).then_some(kept)
}

/// Whether there is something that goes when the version stops, or, with `all`, when its resource does.
pub(super) fn holds(record: Option<&BusRecord>, all: bool) -> bool {
    record.is_some_and(|record| {
        !record.streams.is_empty() || !record.object_stores.is_empty() || (all && !record.key_value_buckets.is_empty())
    })
}

/// As a plan of `version`, for removal: only names matter.
pub(super) fn removal(record: &BusRecord, version: &str) -> Plan {
    let dead = Names::new(&record.runtime_id, version).dead_letters();
    let stream = |name: &String| Stream { name: name.clone(), subjects: Vec::new() };
    Plan {
        runtime_id: record.runtime_id.clone(),
        version: version.to_owned(),
        streams: record.streams.iter().map(stream).collect(),
        durables: Vec::new(),
        key_value_buckets: record.key_value_buckets.clone(),
        object_stores: record.object_stores.clone(),
        dead_letters: Stream { name: dead, subjects: Vec::new() },
    }
}

/// What of it stays there when nobody can remove it, in one line.
pub(super) fn left(record: &BusRecord, version: &str) -> String {
    let dead = [Names::new(&record.runtime_id, version).dead_letters()];
    let all = [
        ("streams", &record.streams[..]),
        ("object stores", &record.object_stores),
        ("key-value buckets", &record.key_value_buckets),
        ("dead letters", &dead),
    ];
    let named = all.iter().filter(|(_, names)| !names.is_empty());
    named.map(|(kind, names)| format!("{kind} {}", names.join(", "))).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "\
krtVersion: v2
version: v1
description: One node
workflows:
  - name: w
    entrypoint: Ask
    exitpoint: a
    nodes:
      - { name: a, src: bin/a.wasm, subscriptions: [entrypoint], objectStore: { name: s } }
";

    #[test]
    fn what_was_there_before_is_not_forgotten_and_configuration_stays_when_a_version_is_stopped() {
        let topology = krt::check("krt.yml", MANIFEST.as_bytes(), None).topology.unwrap();
        let before = BusRecord { streams: vec!["kre_v1_Old".to_owned()], ..BusRecord::default() };
        let record = record(&krt::plan::plan(&topology, "kre"), Some(&before));
        assert_eq!(record.streams, ["kre_v1_Ask", "kre_v1_Old"]);
        assert!(holds(Some(&record), false) && !holds(None, true));
        let kept = kept(&record).unwrap();
        assert!(!holds(Some(&kept), false) && holds(Some(&kept), true));
        let plan = removal(&record, "v1");
        assert_eq!((plan.streams.len(), plan.object_stores.len(), plan.key_value_buckets.len()), (2, 1, 3));
        let said = left(&record, "v1");
        assert!(said.starts_with("streams kre_v1_Ask, kre_v1_Old; object stores "), "{said}");
    }
}
