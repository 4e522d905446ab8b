//! The names of the original, byte for byte, as its contract prints them.

use super::*;

fn names() -> Names {
    Names::new("kre", "classificator-v1")
}

#[test]
fn a_stream_is_named_by_the_method_and_not_by_the_workflow() {
    assert_eq!(names().stream("GoClassificator"), "kre_classificator-v1_GoClassificator");
}

#[test]
fn subjects_are_the_stream_the_node_and_the_channel() {
    let stream = names().stream("GoClassificator");
    assert_eq!(entrypoint_subject(&stream), "kre_classificator-v1_GoClassificator.entrypoint");
    assert_eq!(node_subject(&stream, "etl"), "kre_classificator-v1_GoClassificator.etl");
    assert_eq!(channel_subject(&stream, "etl", "repairs"), "kre_classificator-v1_GoClassificator.etl.repairs");
}

#[test]
fn a_durable_is_the_subject_with_dashes_and_the_reader() {
    let stream = names().stream("GoClassificator");
    assert_eq!(
        durable(&node_subject(&stream, "email-classificator"), "stats-storer"),
        "kre_classificator-v1_GoClassificator-email-classificator-stats-storer"
    );
    assert_eq!(
        durable(&channel_subject(&stream, "email-classificator", "repairs"), "repairs-handler"),
        "kre_classificator-v1_GoClassificator-email-classificator-repairs-repairs-handler"
    );
}

#[test]
fn durables_are_ambiguous_as_in_the_original() {
    assert_eq!(durable("s.a", "b-c"), durable("s.a.b", "c"));
}

#[test]
fn buckets_are_named_by_the_workflow_and_not_by_the_method() {
    let names = names();
    assert_eq!(names.key_value_project(), "key-store_kre_classificator-v1");
    assert_eq!(names.key_value_workflow("classificator"), "key-store_kre_classificator-v1_classificator");
    assert_eq!(names.key_value_node("classificator", "etl"), "key-store_kre_classificator-v1_classificator_etl");
    assert_eq!(names.object_store_project("models"), "kre_classificator-v1_models");
    assert_eq!(names.object_store_workflow("classificator", "models"), "kre_classificator-v1_classificator_models");
}

#[test]
fn dead_letters_survive_the_deletion_pattern_of_the_original() {
    // It deletes what begins with `<runtime>_<version>_`.
    assert!(!names().dead_letters().starts_with("kre_classificator-v1_"));
}

#[test]
fn a_deployment_of_regular_names_is_never_shortened() {
    let longest = "a".repeat(19);
    let name = deployment(&longest, &longest, &longest);
    assert_eq!(name, deployment_exact(&longest, &longest, &longest));
    assert!(name.len() <= KUBERNETES_LONGEST);
    assert_eq!(deployment("v1", "classificator", "etl"), "v1-classificator-etl");
    assert_eq!(entrypoint_deployment("v1"), "v1-entrypoint");
}

#[test]
fn a_long_name_keeps_its_beginning_and_gets_a_hash_of_the_whole() {
    let name = kubernetes(format!("{}-{}", "a".repeat(60), "end"));
    assert_eq!(name.len(), KUBERNETES_LONGEST);
    assert!(name.starts_with(&"a".repeat(52)));
    assert_ne!(name, kubernetes(format!("{}-{}", "a".repeat(60), "eng")));
    assert_eq!(name, kubernetes(format!("{}-{}", "a".repeat(60), "end")));
}

#[test]
fn a_shortened_name_is_a_dns_label_whatever_it_was_cut_at() {
    for length in 40..64 {
        let name = kubernetes(format!("{}-{}", "a".repeat(length), "b".repeat(64)));
        assert!(name.len() <= KUBERNETES_LONGEST && !name.contains("--") && !name.ends_with('-'), "{name}");
    }
    assert!(kubernetes("é".repeat(64)).len() <= KUBERNETES_LONGEST);
}
