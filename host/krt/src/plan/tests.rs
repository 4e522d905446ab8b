//! Plans of the seeds' listing and of graphs made at random.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::topology::Topology;

fn topology(manifest: &str) -> Topology {
    let checked = crate::check("krt.yml", manifest.as_bytes(), None);
    let text = checked.render(false);
    checked.topology.unwrap_or_else(|| panic!("{text}\n{manifest}"))
}

fn seeds() -> Topology {
    topology(include_str!("../../tests/manifests/valid/seeds-listing.yml"))
}

#[test]
fn the_seeds_listing_has_one_stream_with_two_subjects_a_node() {
    let plan = plan(&seeds(), "kre");
    let [stream] = &plan.streams[..] else { panic!("{:?}", plan.streams) };
    assert_eq!(stream.name, "kre_classificator-v1_Classificator");
    let short: Vec<&str> = stream.subjects.iter().map(|subject| &subject[stream.name.len() + 1..]).collect();
    let expected = [
        "email-classificator",
        "email-classificator.*",
        "entrypoint",
        "etl",
        "etl.*",
        "exitpoint",
        "exitpoint.*",
        "repairs-handler",
        "repairs-handler.*",
        "stats-storer",
        "stats-storer.*",
    ];
    assert_eq!(short, expected);
}

#[test]
fn the_seeds_listing_has_a_push_durable_for_each_subscription() {
    let plan = plan(&seeds(), "kre");
    let durables: BTreeMap<&str, &Durable> =
        plan.durables.iter().map(|durable| (durable.name.as_str(), durable)).collect();
    assert_eq!(durables.len(), 6);
    let durable = durables["kre_classificator-v1_Classificator-email-classificator-repairs-repairs-handler"];
    assert_eq!(durable.filter_subject, "kre_classificator-v1_Classificator.email-classificator.repairs");
    assert_eq!(durable.deliver_group.as_deref(), Some(durable.name.as_str()));
    assert_eq!((durable.delivery, durable.ack_wait, durable.attempts), (DeliveryMode::Push, NATIVE_ACK_WAIT, None));
    assert!(durables.contains_key("kre_classificator-v1_Classificator-entrypoint-etl"));
    assert!(durables.contains_key("kre_classificator-v1_Classificator-stats-storer-exitpoint"));
}

#[test]
fn a_wasm_node_pulls_and_retries_by_its_own_schedule() {
    let plan = plan(&topology(include_str!("../../tests/manifests/valid/every-field.yml")), "kre");
    let durable = plan.durables.iter().find(|durable| durable.node == "classify").unwrap();
    assert_eq!((durable.delivery, durable.deliver_group.as_deref()), (DeliveryMode::Pull, None));
    assert_eq!((durable.ack_wait, durable.attempts), (ACK_WAIT, Some(3)));
    assert_eq!(durable.retry.delay_after(1), Duration::from_millis(50));
    assert_eq!(plan.object_stores, ["kre_every-field-v1_main_models", "kre_every-field-v1_shared"]);
}

#[test]
fn buckets_are_one_for_the_project_one_a_workflow_and_one_a_node() {
    let plan = plan(&topology(include_str!("../../tests/manifests/valid/two-workflows-one-node-name.yml")), "kre");
    let expected = [
        "key-store_kre_demo-v1",
        "key-store_kre_demo-v1_one",
        "key-store_kre_demo-v1_one_exitpoint",
        "key-store_kre_demo-v1_two",
        "key-store_kre_demo-v1_two_exitpoint",
    ];
    assert_eq!(plan.key_value_buckets, expected);
}

#[test]
fn a_store_that_two_nodes_declare_is_planned_once() {
    let plan = plan(&topology(include_str!("../../tests/manifests/valid/same-store-in-two-nodes.yml")), "kre");
    assert_eq!(plan.object_stores, ["kre_demo-v1_main_shared"]);
}

#[test]
fn the_plan_serialises_with_exact_names() {
    let json = serde_json::to_value(plan(&seeds(), "kre")).unwrap();
    assert_eq!(json["dead_letters"]["name"], "dead-letters_kre_classificator-v1");
    assert_eq!(json["durables"][0]["delivery"], "push");
    assert_eq!(json["durables"][0]["ack_wait"], 79200.0);
}

/// A pseudo-random sequence (xorshift), so that a failure comes again with the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

/// A valid manifest with a graph without circles, its nodes in a random order.
fn manifest(random: &mut Random) -> String {
    let nodes = 1 + random.below(8);
    let mut blocks = Vec::new();
    for index in 0..nodes {
        let mut origins: BTreeSet<String> = BTreeSet::new();
        for _ in 0..=random.below(3) {
            let origin = random.below(index + 1);
            let channel = ["", ".left", ".right"][random.below(3)];
            origins.insert(if origin == index { "entrypoint".to_owned() } else { format!("n{origin}{channel}") });
        }
        let source = ["src: a.wasm", "src: a.py, image: konstellation/kre-py"][random.below(2)];
        let store = ["", ", objectStore: {name: s}", ", objectStore: {name: s, scope: project}"][random.below(3)];
        let origins = origins.into_iter().collect::<Vec<_>>().join(", ");
        blocks.push(format!("      - {{name: n{index}, {source}, subscriptions: [{origins}]{store}}}\n"));
    }
    for index in (1..blocks.len()).rev() {
        blocks.swap(index, random.below(index + 1));
    }
    let head =
        "version: v1\ndescription: d\nworkflows:\n  - name: w\n    entrypoint: M\n    exitpoint: n0\n    nodes:\n";
    format!("{head}{}", blocks.concat())
}

#[test]
fn a_plan_holds_what_the_graph_needs_and_nothing_twice() {
    for seed in 1..200 {
        let topology = topology(&manifest(&mut Random(seed)));
        let plan = plan(&topology, "kre");
        let workflow = &topology.workflows[0];
        assert_eq!(plan.durables.len(), workflow.edges().count(), "seed {seed}");
        for durable in &plan.durables {
            let stream = plan.streams.iter().find(|stream| stream.name == durable.stream).unwrap();
            let covered = stream.subjects.iter().any(|subject| match subject.strip_suffix(".*") {
                None => *subject == durable.filter_subject,
                Some(node) => durable.filter_subject.strip_prefix(node).is_some_and(|rest| rest.starts_with('.')),
            });
            assert!(covered, "seed {seed}: no subject of the stream covers {}", durable.filter_subject);
        }
        let sorted_once = |names: Vec<&String>| names.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(sorted_once(plan.durables.iter().map(|durable| &durable.name).collect()), "seed {seed}");
        assert!(sorted_once(plan.streams[0].subjects.iter().collect()), "seed {seed}");
        assert!(sorted_once(plan.key_value_buckets.iter().collect()), "seed {seed}");
        assert!(sorted_once(plan.object_stores.iter().collect()), "seed {seed}");
    }
}

#[test]
fn the_order_of_nodes_in_the_manifest_does_not_change_the_plan() {
    for seed in 1..100 {
        let mut workflow = topology(&manifest(&mut Random(seed)));
        let before = plan(&workflow, "kre");
        assert_eq!(before, plan(&workflow, "kre"), "seed {seed}");
        // Turned round: every index i becomes n - 1 - i.
        let flow = &mut workflow.workflows[0];
        let last = flow.nodes.len() - 1;
        flow.nodes.reverse();
        flow.exitpoint = last - flow.exitpoint;
        for subscription in flow.nodes.iter_mut().flat_map(|node| &mut node.subscriptions) {
            if let crate::topology::Origin::Node(index) = &mut subscription.origin {
                *index = last - *index;
            }
        }
        assert_eq!(before, plan(&workflow, "kre"), "seed {seed}");
    }
}
