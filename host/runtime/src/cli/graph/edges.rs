//! A workflow's outputs in the order in which a request meets them, each with its readers.

use std::collections::{BTreeMap, VecDeque};

use krt::topology::{Origin, Workflow};

/// What one end sends on one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Output<'w> {
    pub(super) origin: Origin,
    pub(super) channel: Option<&'w str>,
    /// Indices of nodes, in the manifest's order.
    pub(super) readers: Vec<usize>,
    /// Whether the caller is among the readers.
    pub(super) answers: bool,
    /// The messages on it, where nodes say so.
    pub(super) messages: Vec<&'w str>,
    /// Those that are early replies.
    pub(super) early: Vec<&'w str>,
}

impl Output<'_> {
    /// The messages for people; nothing where nobody says anything.
    pub(super) fn said(&self) -> String {
        let mut said = vec![self.messages.join(" or ")];
        if !self.early.is_empty() {
            said.push(format!("early {}", self.early.join(" or ")));
        }
        said.retain(|it| !it.is_empty());
        said.join(", ")
    }
}

/// All outputs: from the entrypoint breadth first, then of nodes that nothing reaches. Every node has its default one.
pub(super) fn outputs(workflow: &Workflow) -> Vec<Output<'_>> {
    let mut readers: BTreeMap<(Option<usize>, Option<&str>), Vec<usize>> = BTreeMap::new();
    for edge in workflow.edges() {
        readers.entry((key(edge.origin), edge.channel)).or_default().push(edge.reader);
    }
    let mut order = Vec::new();
    let mut met = vec![false; workflow.nodes.len()];
    let everyone = std::iter::once(Origin::Entrypoint).chain((0..workflow.nodes.len()).map(Origin::Node));
    for start in everyone {
        let mut waiting = VecDeque::from([start]);
        while let Some(origin) = waiting.pop_front() {
            if let Origin::Node(node) = origin
                && std::mem::replace(&mut met[node], true)
            {
                continue;
            }
            let own = (key(origin), None)..(key(origin).map_or(Some(0), |node| Some(node + 1)), None);
            let mut channels: Vec<_> =
                readers.range(own).map(|((_, channel), readers)| (*channel, readers.clone())).collect();
            if channels.first().is_none_or(|(channel, _)| channel.is_some()) {
                channels.insert(0, (None, Vec::new()));
            }
            for (channel, readers) in channels {
                waiting.extend(readers.iter().map(|reader| Origin::Node(*reader)));
                let answers = channel.is_none() && origin == Origin::Node(workflow.exitpoint);
                let early = match (origin, channel) {
                    (Origin::Node(node), None) => &workflow.nodes[node].types.early[..],
                    _ => &[],
                };
                let (messages, early) = (workflow.carried(origin, channel), early.iter().map(String::as_str).collect());
                order.push(Output { origin, channel, readers, answers, messages, early });
            }
        }
    }
    order
}

/// The entrypoint sorts before all nodes.
fn key(origin: Origin) -> Option<usize> {
    match origin {
        Origin::Entrypoint => None,
        Origin::Node(node) => Some(node),
    }
}
