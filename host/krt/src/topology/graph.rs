//! Questions to a workflow as a graph: what is reached, who reads what, where it goes in circles.
//!
//! All are linear in nodes and edges and none recurses, for a manifest may hold thousands of nodes in a row.

use super::{Origin, Subscription, Workflow};

/// One edge: a message from `origin` on its `subscription` reaches `reader`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge<'w> {
    /// Who sends.
    pub origin: Origin,
    /// One channel of the origin, or its default output.
    pub channel: Option<&'w str>,
    /// Index of the reading node.
    pub reader: usize,
}

impl Workflow {
    /// All edges, in the order of readers and of their subscriptions.
    pub fn edges(&self) -> impl Iterator<Item = Edge<'_>> {
        self.nodes.iter().enumerate().flat_map(|(reader, node)| {
            node.subscriptions.iter().map(move |Subscription { origin, channel }| Edge {
                origin: *origin,
                channel: channel.as_deref(),
                reader,
            })
        })
    }

    /// The nodes that read any output of `origin`, each once, in the manifest's order.
    pub fn readers(&self, origin: Origin) -> Vec<usize> {
        let mut readers: Vec<usize> =
            self.edges().filter(|edge| edge.origin == origin).map(|edge| edge.reader).collect();
        readers.dedup();
        readers
    }

    /// The messages that an output carries, as far as nodes say: what the sender emits, or else what readers accept of it.
    pub fn carried(&self, origin: Origin, channel: Option<&str>) -> Vec<&str> {
        let emitted = match origin {
            Origin::Entrypoint => None,
            Origin::Node(sender) => self.nodes[sender].types.emitted(channel),
        };
        if let Some(emitted) = emitted {
            return emitted.iter().map(String::as_str).collect();
        }
        let mut accepted = Vec::new();
        for edge in self.edges().filter(|edge| edge.origin == origin && edge.channel == channel) {
            let said = self.nodes[edge.reader].types.accepted(self.origin_name(origin), channel);
            for name in said.into_iter().flat_map(|(_, messages)| messages) {
                if !accepted.contains(&name.as_str()) {
                    accepted.push(name);
                }
            }
        }
        accepted
    }

    /// How many inputs a node has; more than one means that messages of one request meet there.
    pub fn fan_in(&self, node: usize) -> usize {
        self.nodes[node].subscriptions.len()
    }

    /// For each node, whether a request can reach it.
    pub fn reachable(&self) -> Vec<bool> {
        let followers = self.followers();
        let mut reached = vec![false; self.nodes.len()];
        let mut next: Vec<usize> =
            self.edges().filter(|edge| edge.origin == Origin::Entrypoint).map(|edge| edge.reader).collect();
        while let Some(node) = next.pop() {
            if !std::mem::replace(&mut reached[node], true) {
                next.extend(&followers[node]);
            }
        }
        reached
    }

    /// The groups of nodes that read from each other in a circle, each sorted, in the manifest's order.
    /// A node that reads from itself is a group of one.
    pub fn cycles(&self) -> Vec<Vec<usize>> {
        let followers = self.followers();
        let mut components = Components::new(self.nodes.len());
        for node in 0..self.nodes.len() {
            components.visit(node, &followers);
        }
        let circular = |group: &Vec<usize>| group.len() > 1 || followers[group[0]].contains(&group[0]);
        let mut groups: Vec<Vec<usize>> = components.groups.into_iter().filter(circular).collect();
        for group in &mut groups {
            group.sort_unstable();
        }
        groups.sort();
        groups
    }

    /// For each node, the nodes that read from it.
    fn followers(&self) -> Vec<Vec<usize>> {
        let mut followers = vec![Vec::new(); self.nodes.len()];
        for edge in self.edges() {
            if let Origin::Node(origin) = edge.origin {
                followers[origin].push(edge.reader);
            }
        }
        followers
    }
}

/// Tarjan's strongly connected components, with the call stack on the heap.
struct Components {
    order: Vec<Option<usize>>,
    low: Vec<usize>,
    on_stack: Vec<bool>,
    stack: Vec<usize>,
    visited: usize,
    groups: Vec<Vec<usize>>,
}

impl Components {
    fn new(nodes: usize) -> Self {
        Self {
            order: vec![None; nodes],
            low: vec![0; nodes],
            on_stack: vec![false; nodes],
            stack: Vec::new(),
            visited: 0,
            groups: Vec::new(),
        }
    }

    fn visit(&mut self, root: usize, followers: &[Vec<usize>]) {
        if self.order[root].is_some() {
            return;
        }
        let mut calls = vec![(root, 0)];
        self.enter(root);
        while let Some((node, edge)) = calls.last_mut() {
            let node = *node;
            if let Some(next) = followers[node].get(*edge).copied() {
                *edge += 1;
                match self.order[next] {
                    None => {
                        self.enter(next);
                        calls.push((next, 0));
                    }
                    Some(order) if self.on_stack[next] => self.low[node] = self.low[node].min(order),
                    Some(_) => {}
                }
                continue;
            }
            calls.pop();
            if let Some((caller, _)) = calls.last() {
                self.low[*caller] = self.low[*caller].min(self.low[node]);
            }
            if self.order[node] == Some(self.low[node]) {
                self.leave(node);
            }
        }
    }

    fn enter(&mut self, node: usize) {
        self.order[node] = Some(self.visited);
        self.low[node] = self.visited;
        self.visited += 1;
        self.stack.push(node);
        self.on_stack[node] = true;
    }

    fn leave(&mut self, root: usize) {
        let mut group = Vec::new();
        while let Some(node) = self.stack.pop() {
            self.on_stack[node] = false;
            group.push(node);
            if node == root {
                break;
            }
        }
        self.groups.push(group);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Node, NodeKind, Types};
    use super::*;

    /// A workflow from `name: subscriptions` with the last node as exitpoint.
    fn workflow(nodes: &[(&str, &[&str])]) -> Workflow {
        let index = |name: &str| nodes.iter().position(|(node, _)| *node == name).unwrap();
        let subscription = |text: &&str| {
            let (origin, channel) = text.split_once('.').map_or((*text, None), |(o, c)| (o, Some(c.to_owned())));
            let origin = if origin == "entrypoint" { Origin::Entrypoint } else { Origin::Node(index(origin)) };
            Subscription { origin, channel }
        };
        let made = nodes.iter().map(|(name, subscriptions)| Node {
            name: (*name).to_owned(),
            src: format!("{name}.wasm"),
            kind: NodeKind::Wasm(Box::default()),
            replicas: 1,
            gpu: false,
            subscriptions: subscriptions.iter().map(subscription).collect(),
            object_store: None,
            types: Types::default(),
        });
        Workflow { name: "w".into(), method: "M".into(), exitpoint: nodes.len() - 1, nodes: made.collect() }
    }

    #[test]
    fn channels_and_default_outputs_are_edges_alike() {
        let workflow = workflow(&[("a", &["entrypoint"]), ("b", &["a.x"]), ("c", &["a", "b"])]);
        let edges: Vec<_> = workflow.edges().map(|edge| (edge.origin, edge.channel, edge.reader)).collect();
        let expected = [
            (Origin::Entrypoint, None, 0),
            (Origin::Node(0), Some("x"), 1),
            (Origin::Node(0), None, 2),
            (Origin::Node(1), None, 2),
        ];
        assert_eq!(edges, expected);
        assert_eq!(workflow.readers(Origin::Node(0)), [1, 2]);
        assert_eq!(workflow.fan_in(2), 2);
    }

    #[test]
    fn a_circle_apart_from_the_entrypoint_is_not_reached() {
        let workflow = workflow(&[("a", &["entrypoint"]), ("b", &["c"]), ("c", &["b"]), ("d", &["c", "a"])]);
        assert_eq!(workflow.reachable(), [true, false, false, true]);
        assert_eq!(workflow.cycles(), [vec![1, 2]]);
    }

    #[test]
    fn a_graph_without_circles_has_none_however_it_branches() {
        let workflow = workflow(&[("a", &["entrypoint"]), ("b", &["a"]), ("c", &["a"]), ("d", &["b", "c", "a"])]);
        assert_eq!(workflow.cycles(), Vec::<Vec<usize>>::new());
        assert_eq!(workflow.reachable(), [true; 4]);
    }

    #[test]
    fn two_circles_that_touch_are_one_group_and_a_loop_is_a_group_of_one() {
        let workflow = workflow(&[("a", &["entrypoint", "b"]), ("b", &["a", "c"]), ("c", &["b"]), ("d", &["c", "d"])]);
        assert_eq!(workflow.cycles(), [vec![0, 1, 2], vec![3]]);
    }

    #[test]
    fn a_row_of_fifty_thousand_nodes_does_not_overflow_the_stack() {
        let names: Vec<String> = (0..50_000).map(|i| format!("n{i}")).collect();
        let mut chain = workflow(&[("n0", &["entrypoint"])]);
        for index in 1..names.len() {
            let mut node = chain.nodes[0].clone();
            node.subscriptions = vec![Subscription { origin: Origin::Node(index - 1), channel: None }];
            chain.nodes.push(node);
        }
        chain.nodes[0].subscriptions.push(Subscription { origin: Origin::Node(names.len() - 1), channel: None });
        assert!(chain.reachable().iter().all(|reached| *reached));
        assert_eq!(chain.cycles().len(), 1);
    }
}
