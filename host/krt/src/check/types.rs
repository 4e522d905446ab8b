//! Whether messages fit: what nodes say they take and send, along every edge and against the `.proto` files.
//!
//! Concludes nothing from what is not said. Reads no file: what the `.proto` files hold is handed in.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::workflow::token;
use crate::manifest::{self, At, ByName, Krt, Messages};
use crate::problem::{Report, did_you_mean, quote};
use crate::proto::Method;
use crate::topology::{self, ANY, DEFAULT, Origin, Topology, Types};

/// Names in one list; more is a slip, and each is compared with each at the other end of an edge.
const MOST: usize = 16;

/// Bytes of a name. Those that people write have some fifty.
const LONGEST: usize = 256;

/// Messages that are looked through for a suggestion.
const MOST_SEARCHED: usize = 2000;

/// What the package's `.proto` files say, as far as they were read.
#[derive(Default)]
pub(super) struct Protos {
    /// Full names of all messages.
    pub(super) messages: Option<BTreeSet<String>>,
    /// For each workflow its method, if it has a good one.
    pub(super) methods: Vec<Option<Method>>,
}

/// What a node says, for its topology. Names that are wrong are among it.
pub(super) fn declared(types: Option<&manifest::Types>) -> Types {
    let Some(types) = types else { return Types::default() };
    let texts = |messages: &Messages| messages.0.iter().map(|name| name.value.clone()).collect::<Vec<_>>();
    let by_name = |entries: &ByName| {
        let entries = entries.0.iter().filter(|(_, messages)| !messages.is_empty());
        entries.map(|(name, messages)| (name.value.clone(), texts(messages))).collect()
    };
    Types { accepts: by_name(&types.accepts), emits: by_name(&types.emits), early: texts(&types.early) }
}

/// All names of messages that a manifest holds and that can be such names.
pub(super) fn named(krt: &Krt) -> impl Iterator<Item = &str> {
    let types = krt.workflows.iter().flat_map(|workflow| &workflow.nodes).filter_map(|node| node.types.as_ref());
    types.flat_map(all).map(|name| name.as_str()).filter(|name| *name != ANY && is_message(name))
}

/// Judges a version whose workflows, nodes and subscriptions stand at the same indices as in the manifest.
pub(super) fn judge(krt: &Krt, topology: &Topology, protos: &Protos, report: &mut Report<'_>) {
    for (index, (declared, workflow)) in krt.workflows.iter().zip(&topology.workflows).enumerate() {
        if declared.nodes.iter().all(|node| node.types.is_none()) {
            continue;
        }
        let method = protos.methods.get(index).and_then(Option::as_ref);
        let mut judge = Judge { declared, workflow, method, wrong: HashSet::new(), report: &mut *report };
        for node in &declared.nodes {
            judge.names(node, protos.messages.as_ref());
            judge.origins(node);
        }
        judge.channels();
        for reader in 0..workflow.nodes.len() {
            judge.edges(reader);
        }
        judge.answer();
        judge.early();
    }
}

struct Judge<'k, 'r, 's> {
    declared: &'k manifest::Workflow,
    workflow: &'k topology::Workflow,
    method: Option<&'k Method>,
    /// Names of which a problem tells already.
    wrong: HashSet<&'k str>,
    report: &'r mut Report<'s>,
}

impl<'k> Judge<'k, '_, '_> {
    /// Whether what a node names are messages.
    fn names(&mut self, node: &'k manifest::Node, known: Option<&BTreeSet<String>>) {
        let Some(types) = &node.types else { return };
        for messages in lists(types) {
            if let Some(name) = messages.0.get(MOST) {
                let message = format!("node {} names more than {MOST} messages in one place", quote(&node.name));
                let help = format!("`{ANY}` stands for every message");
                self.report.error("too-many-messages", name.at.clone(), message, help);
                self.wrong.extend(messages.0.iter().map(|name| name.as_str()));
            }
        }
        for name in all(types).filter(|name| name.value != ANY) {
            if !is_message(name) {
                let message = format!("{} is not the full name of a message", quote(name));
                self.report.error("bad-message", name.at.clone(), message, repaired(name));
                self.wrong.insert(name);
            } else if let Some(known) = known.filter(|known| !known.contains(name.as_str())) {
                let message = format!("no `.proto` of this version has a message {}", quote(name));
                let help = if self.report.is_full() { String::new() } else { nearest(name, known) };
                self.report.error("unknown-message", name.at.clone(), message, help);
                self.wrong.insert(name);
            }
        }
    }

    /// Whether a node takes messages only of whom it reads.
    fn origins(&mut self, node: &manifest::Node) {
        let Some(types) = &node.types else { return };
        let mut read: HashSet<&str> = HashSet::from([DEFAULT]);
        for subscription in &node.subscriptions {
            read.insert(subscription);
            read.extend(subscription.split('.').next());
        }
        for (name, _) in types.accepts.0.iter().filter(|(name, _)| !read.contains(name.as_str())) {
            let message = format!(
                "node {} says what it accepts from {}, but does not subscribe to that",
                quote(&node.name),
                quote(name)
            );
            let subscriptions = node.subscriptions.iter().map(|it| it.as_str());
            let help = match did_you_mean(name, subscriptions.clone().chain([DEFAULT])) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    let names: Vec<String> = subscriptions.take(12).map(quote).collect();
                    format!("name what it subscribes to ({}), or `{DEFAULT}` for all", names.join(", "))
                }
            };
            self.report.error("unknown-origin", name.at.clone(), message, help);
        }
    }

    /// Whether channels can be such, and somebody reads them.
    fn channels(&mut self) {
        let mut read: HashMap<usize, BTreeSet<&str>> = HashMap::new();
        for edge in self.workflow.edges() {
            if let (Origin::Node(origin), Some(channel)) = (edge.origin, edge.channel) {
                read.entry(origin).or_default().insert(channel);
            }
        }
        let none = BTreeSet::new();
        for (index, node) in self.declared.nodes.iter().enumerate() {
            let read = read.get(&index).unwrap_or(&none);
            let emits = node.types.iter().flat_map(|types| &types.emits.0);
            for (channel, _) in emits.filter(|(channel, _)| channel.value != DEFAULT) {
                if let Err(fault) = token(channel) {
                    let message = format!("{} is no channel of node {}: {fault}", quote(channel), quote(&node.name));
                    let help = format!("a channel is one word, as in `repairs`; `{DEFAULT}` is the default output");
                    self.report.error("bad-channel", channel.at.clone(), message, help);
                } else if !read.contains(channel.as_str()) {
                    let message = format!("nobody reads channel {} of node {}", quote(channel), quote(&node.name));
                    let help = match did_you_mean(channel, read.iter().copied()) {
                        Some(near) => format!("what is read is `{}.{near}`: did you mean `{near}`?", node.name.value),
                        None => format!("subscribe a node to `{}.{}`, or drop it", node.name.value, channel.value),
                    };
                    self.report.warning("unread-channel", channel.at.clone(), message, help);
                }
            }
        }
    }

    /// Whether a node takes what comes along its subscriptions.
    fn edges(&mut self, reader: usize) {
        let (declared, node) = (&self.declared.nodes[reader], &self.workflow.nodes[reader]);
        if node.types.accepts.is_empty() {
            return;
        }
        let mut seen = HashSet::new();
        for (subscription, text) in node.subscriptions.iter().zip(&declared.subscriptions) {
            let origin = self.workflow.origin_name(subscription.origin);
            // What could not be resolved is a problem of its own, and so is what is read twice.
            let resolved = text.split('.').next() == Some(origin);
            if !resolved || !seen.insert(text.as_str()) || subscription.origin == Origin::Node(reader) {
                continue;
            }
            let channel = subscription.channel.as_deref();
            let Some((name, accepted)) = node.types.accepted(origin, channel) else { continue };
            let sent = match subscription.origin {
                Origin::Entrypoint => self.method.map(|method| std::slice::from_ref(&method.input)),
                Origin::Node(sender) => self.workflow.nodes[sender].types.emitted(channel),
            };
            let Some(strange) = sent.and_then(|sent| self.strange(sent, accepted)) else { continue };
            let at = place(declared.types.as_ref().map(|types| &types.accepts), name);
            let (reads, takes) = (quote(&declared.name), any_of(accepted));
            match subscription.origin {
                Origin::Entrypoint => {
                    let method = quote(&self.declared.entrypoint);
                    let message = format!(
                        "node {reads} accepts {takes} from the entrypoint, but method {method} takes {strange}"
                    );
                    let help = format!("accept {strange}, or change the method in the `.proto`");
                    self.report.error("type-mismatch", at, message, help);
                }
                Origin::Node(sender) => {
                    let message = format!("node {reads} accepts {takes} from {}, which emits {strange}", quote(text));
                    let emits = self.declared.nodes[sender].types.as_ref().map(|types| &types.emits);
                    let said = place(emits, channel.unwrap_or(DEFAULT));
                    let line = self.report.source().position(said.start).0;
                    let help = format!("let both name one message; what is emitted stands on line {line}");
                    self.report.error("type-mismatch", at, message, help);
                }
            }
        }
    }

    /// Whether what the exitpoint sends is what the method answers with.
    fn answer(&mut self) {
        let Some(method) = self.method else { return };
        let Some((declared, exitpoint)) = self.exitpoint() else { return };
        let Some(types) = &declared.types else { return };
        let default = types.emits.0.iter().find(|(name, _)| name.value == DEFAULT).map(|(_, messages)| messages);
        for (messages, how) in [(default, "emits"), (Some(&types.early), "answers early with")] {
            for name in messages.iter().flat_map(|messages| &messages.0) {
                if !self.is_strange(name, std::slice::from_ref(&method.output)) {
                    continue;
                }
                let output = quote(&method.output);
                let message = format!(
                    "the exitpoint {} {how} {}, but method {} answers with {output}",
                    quote(&exitpoint.name),
                    quote(name),
                    quote(&self.declared.entrypoint),
                );
                let help = format!("let it send {output}, or change the method in the `.proto`");
                self.report.error("type-mismatch", name.at.clone(), message, help);
            }
        }
    }

    /// Whether early replies reach the exitpoint, which hands them to the caller, as something that it knows.
    fn early(&mut self) {
        let Some((_, exitpoint)) = self.exitpoint() else { return };
        for (index, node) in self.declared.nodes.iter().enumerate() {
            let Some(first) = node.types.as_ref().and_then(|types| types.early.0.first()) else { continue };
            if index == self.workflow.exitpoint {
                continue;
            }
            let (sends, answers) = (quote(&node.name), quote(&exitpoint.name));
            let reads =
                exitpoint.subscriptions.iter().any(|it| it.origin == Origin::Node(index) && it.channel.is_none());
            if !reads {
                let message = format!("node {sends} replies early, but the exitpoint {answers} does not read it");
                let help = format!("let {answers} subscribe to {sends}: it hands early replies to the caller");
                self.report.warning("unread-early-reply", first.at.clone(), message, help);
                continue;
            }
            let Some((_, accepted)) = exitpoint.types.accepted(&node.name, None) else { continue };
            // Without the method nobody knows whether a relayed message is an answer.
            let Some(method) = self.method else { continue };
            let mut known = accepted.to_vec();
            known.push(method.output.clone());
            for name in node.types.iter().flat_map(|types| &types.early.0) {
                if self.is_strange(name, &known) {
                    let message = format!(
                        "node {sends} replies early with {}, of which the exitpoint {answers} knows nothing",
                        quote(name)
                    );
                    let help = format!(
                        "reply with {}, which is relayed to the caller, or let the exitpoint accept it from {sends}",
                        quote(&method.output)
                    );
                    self.report.error("type-mismatch", name.at.clone(), message, help);
                }
            }
        }
    }

    /// The exitpoint, if the manifest names one that is there.
    fn exitpoint(&self) -> Option<(&'k manifest::Node, &'k topology::Node)> {
        let index = self.workflow.exitpoint;
        let (declared, node) = (self.declared.nodes.get(index)?, self.workflow.nodes.get(index)?);
        (declared.name.value == self.declared.exitpoint.value).then_some((declared, node))
    }

    /// What of `sent` is not among `accepted`, for a message.
    fn strange(&self, sent: &[String], accepted: &[String]) -> Option<String> {
        let strange: Vec<String> = sent.iter().filter(|name| self.is_strange(name, accepted)).cloned().collect();
        (!strange.is_empty()).then(|| any_of(&strange))
    }

    /// Whether `name` is surely none of `accepted`: a misspelt name may be meant to be any.
    fn is_strange(&self, name: &str, accepted: &[String]) -> bool {
        name != ANY
            && !self.wrong.contains(name)
            && !accepted.iter().any(|it| it == name || it == ANY || self.wrong.contains(it.as_str()))
    }
}

fn lists(types: &manifest::Types) -> impl Iterator<Item = &Messages> {
    types.accepts.0.iter().chain(&types.emits.0).map(|(_, messages)| messages).chain([&types.early])
}

fn all(types: &manifest::Types) -> impl Iterator<Item = &At<String>> {
    lists(types).flat_map(|messages| &messages.0)
}

/// Where the messages stand that are said of `name`.
fn place(entries: Option<&ByName>, name: &str) -> std::ops::Range<usize> {
    let said = entries.and_then(|entries| entries.0.iter().find(|(it, _)| it.value == name));
    said.and_then(|(_, messages)| messages.0.first()).map(|first| first.at.clone()).unwrap_or_default()
}

fn any_of(names: &[String]) -> String {
    names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(" or ")
}

/// Identifiers with dots between them.
fn is_message(name: &str) -> bool {
    name.len() <= LONGEST && name.split('.').all(super::rules::is_method)
}

fn repaired(name: &str) -> String {
    let rule = "write the package and the message, as in `package.Message`";
    // As it stands in a message's type URL, and as protoc writes it.
    match name.rsplit('/').next().map(|last| last.trim_start_matches('.')) {
        Some(last) if last != name && is_message(last) => format!("write `{last}`"),
        _ => rule.to_owned(),
    }
}

/// Help for a message that is none: one of the same last name, the nearest, or all if they are few.
fn nearest(name: &str, known: &BTreeSet<String>) -> String {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let wanted = last(name);
    let own = || known.iter().map(String::as_str).filter(|it| !it.starts_with("google.protobuf.")).take(MOST_SEARCHED);
    let near = own().find(|it| last(it) == wanted).or_else(|| did_you_mean(name, own()));
    if let Some(near) = near {
        return format!("did you mean `{near}`?");
    }
    let names: Vec<String> = own().take(12).map(quote).collect();
    match own().count() {
        0 => "they have no messages at all; add it to one of them".to_owned(),
        count => format!("their messages are {}{}", names.join(", "), if count > names.len() { ", …" } else { "" }),
    }
}
