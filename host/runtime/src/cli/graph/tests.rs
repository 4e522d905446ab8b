//! The seeds' workflow in every drawing, and graphs that are odd.

use krt::check::check;
use krt::topology::Topology;

use super::{draw, json};

const CLASSIFICATOR: &str = "\
krtVersion: v2
version: classificator-v1
description: Classifies e-mails
workflows:
  - name: classificator
    entrypoint: Classificator
    exitpoint: exitpoint
    nodes:
      - {name: etl, src: bin/etl.wasm, subscriptions: [entrypoint]}
      - {name: email-classificator, src: bin/email.wasm, subscriptions: [etl]}
      - {name: repairs-handler, image: 'konstellation/kre-go:latest', src: bin/repairs, replicas: 2, subscriptions: [email-classificator.repairs]}
      - {name: stats-storer, src: bin/stats.wasm, subscriptions: [email-classificator], objectStore: {name: stats, scope: workflow}}
      - {name: exitpoint, src: bin/exit.wasm, subscriptions: [etl, stats-storer]}
";

fn topology(text: &str) -> Topology {
    let checked = check("krt.yml", text.as_bytes(), None);
    checked.topology.unwrap_or_else(|| panic!("{:#?}", checked.problems))
}

fn drawn(text: &str, draw: impl Fn(&Topology, &[&krt::topology::Workflow]) -> String) -> String {
    let topology = topology(text);
    draw(&topology, &topology.workflows.iter().collect::<Vec<_>>())
}

#[test]
fn text_shows_every_edge_in_the_order_of_a_request() {
    let expected = "\
version classificator-v1

workflow classificator, method Classificator
  entrypoint                   → etl
  etl                          → email-classificator, exitpoint
  email-classificator          → stats-storer
  email-classificator.repairs  → repairs-handler
  exitpoint                    → the caller
  stats-storer                 → exitpoint
  repairs-handler              → nobody

  etl                  wasm    ×1  bin/etl.wasm
  email-classificator  wasm    ×1  bin/email.wasm
  repairs-handler      native  ×2  bin/repairs     konstellation/kre-go:latest
  stats-storer         wasm    ×1  bin/stats.wasm  object store stats
  exitpoint            wasm    ×1  bin/exit.wasm
";
    assert_eq!(drawn(CLASSIFICATOR, draw::text), expected);
}

#[test]
fn dot_has_a_cluster_a_workflow_and_labels_channels() {
    let expected = "\
digraph \"classificator-v1\" {
  rankdir=LR;
  node [shape=box];
  subgraph cluster_0 {
    label=\"classificator (Classificator)\";
    w0_entrypoint [label=\"entrypoint\", shape=oval];
    w0_caller [label=\"caller\", shape=oval];
    w0_n0 [label=\"etl\"];
    w0_n1 [label=\"email-classificator\"];
    w0_n2 [label=\"repairs-handler ×2\", style=dashed];
    w0_n3 [label=\"stats-storer\"];
    w0_n4 [label=\"exitpoint\"];
    w0_entrypoint -> w0_n0;
    w0_n0 -> w0_n1;
    w0_n0 -> w0_n4;
    w0_n1 -> w0_n3;
    w0_n1 -> w0_n2 [label=\"repairs\"];
    w0_n4 -> w0_caller;
    w0_n3 -> w0_n4;
  }
}
";
    assert_eq!(drawn(CLASSIFICATOR, draw::dot), expected);
}

#[test]
fn mermaid_has_a_subgraph_a_workflow_and_labels_channels() {
    let chart = drawn(CLASSIFICATOR, |_, workflows| draw::mermaid(workflows));
    for line in [
        "flowchart LR",
        "  subgraph w0 [\"classificator (Classificator)\"]",
        "    w0_entrypoint([\"entrypoint\"])",
        "    w0_n2[[\"repairs-handler ×2\"]]",
        "    w0_n1 -->|\"repairs\"| w0_n2",
        "    w0_n4 --> w0_caller",
        "  end",
    ] {
        assert!(chart.lines().any(|there| there == line), "{line} is not in\n{chart}");
    }
}

/// The same with what nodes say of their messages.
fn typed() -> String {
    let said = [
        ("[entrypoint]", "{accepts: main.Request, emits: internal.Batch, early: main.Response}"),
        ("[email-classificator.repairs]", "{accepts: [internal.Repair, internal.Order]}"),
        ("[email-classificator]", "{emits: {default: internal.Statistics}}"),
    ];
    said.iter().fold(CLASSIFICATOR.to_owned(), |text, (subscriptions, types)| {
        text.replace(
            &format!("subscriptions: {subscriptions}"),
            &format!("subscriptions: {subscriptions}, types: {types}"),
        )
    })
}

#[test]
fn an_edge_shows_the_messages_that_its_sender_or_else_its_readers_name() {
    let expected = "
  entrypoint                   → etl                             main.Request
  etl                          → email-classificator, exitpoint  internal.Batch, early main.Response
  email-classificator          → stats-storer
  email-classificator.repairs  → repairs-handler                 internal.Repair or internal.Order
  exitpoint                    → the caller
  stats-storer                 → exitpoint                       internal.Statistics
  repairs-handler              → nobody
";
    let text = drawn(&typed(), draw::text);
    assert!(text.contains(expected), "{text}");
    let dot = drawn(&typed(), draw::dot);
    for line in [
        "    w0_n0 -> w0_n1 [label=\"internal.Batch, early main.Response\"];",
        "    w0_n1 -> w0_n3;",
        "    w0_n1 -> w0_n2 [label=\"repairs: internal.Repair or internal.Order\"];",
    ] {
        assert!(dot.lines().any(|there| there == line), "{line} is not in\n{dot}");
    }
    let chart = drawn(&typed(), |_, workflows| draw::mermaid(workflows));
    assert!(chart.contains("w0_n3 -->|\"internal.Statistics\"| w0_n4"), "{chart}");
    let topology = topology(&typed());
    let json = json(&topology, &topology.workflows.iter().collect::<Vec<_>>());
    let edges = json["workflows"][0]["edges"].as_array().unwrap();
    let repairs = edges.iter().find(|edge| edge["channel"] == "repairs").unwrap();
    assert_eq!(repairs["messages"], serde_json::json!(["internal.Repair", "internal.Order"]));
    assert_eq!(json["workflows"][0]["nodes"][0]["early"], serde_json::json!(["main.Response"]));
}

#[test]
fn json_names_every_edge_and_node() {
    let topology = topology(CLASSIFICATOR);
    let json = json(&topology, &topology.workflows.iter().collect::<Vec<_>>());
    let workflow = &json["workflows"][0];
    assert_eq!((&json["version"], &workflow["exitpoint"]), (&"classificator-v1".into(), &"exitpoint".into()));
    let repairs = serde_json::json!(
        {"from": "email-classificator", "channel": "repairs", "to": "repairs-handler", "messages": []}
    );
    assert!(workflow["edges"].as_array().unwrap().contains(&repairs));
    assert_eq!(workflow["nodes"][2]["kind"], "native");
    assert_eq!(workflow["nodes"][3]["object_store"]["scope"], "workflow");
}

#[test]
fn a_chain_of_a_thousand_nodes_and_a_circle_are_drawn() {
    let mut text = CLASSIFICATOR.split("    nodes:").next().unwrap().to_owned() + "    nodes:\n";
    for number in 0..1000 {
        let from = if number == 0 { "entrypoint".to_owned() } else { format!("n{}", number - 1) };
        text.push_str(&format!("      - {{name: n{number}, src: a.wasm, subscriptions: [{from}]}}\n"));
    }
    text.push_str("      - {name: exitpoint, src: a.wasm, subscriptions: [n999, back]}\n");
    text.push_str("      - {name: back, src: a.wasm, subscriptions: [exitpoint.again]}\n");
    let drawing = drawn(&text, draw::text);
    assert_eq!(drawing.lines().filter(|line| line.contains('→')).count(), 1004);
    assert!(drawing.contains("→ the caller"));
}
