//! Which stream a subject belongs to. One look-up for a subject without wildcard; subjects of no stream are found out.

use std::collections::HashMap;
use std::sync::Arc;

use super::stream::Stream;

/// All subjects of a bus.
#[derive(Default)]
pub(super) struct Routes {
    streams: HashMap<String, Arc<Stream>>,
    /// Subjects that a stream names, or that some consumer reads.
    literals: HashMap<Arc<str>, Route>,
    /// `X` of each subject `X.*`.
    parents: HashMap<String, Arc<Stream>>,
    /// All other patterns.
    patterns: Vec<(String, Arc<Stream>)>,
}

/// Where a message goes.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) stream: Arc<Stream>,
    /// Index in the stream; none when no consumer has ever read the subject.
    pub(super) topic: Option<usize>,
}

impl Routes {
    pub(super) fn stream(&self, name: &str) -> Option<&Arc<Stream>> {
        self.streams.get(name)
    }

    pub(super) fn add(&mut self, stream: Arc<Stream>) {
        self.streams.insert(stream.name().to_string(), stream);
    }

    /// Gives `subject`, which may be a pattern, to a stream.
    pub(super) fn own(&mut self, stream: &Arc<Stream>, subject: &str) {
        let stream = stream.clone();
        match subject.strip_suffix(".*") {
            Some(parent) if is_literal(parent) => {
                self.parents.entry(parent.to_owned()).or_insert(stream);
            }
            _ if is_literal(subject) => {
                self.literals.entry(subject.into()).or_insert(Route { stream, topic: None });
            }
            _ => {
                if !self.patterns.iter().any(|(pattern, _)| pattern == subject) {
                    self.patterns.push((subject.to_owned(), stream));
                }
            }
        }
    }

    /// Makes `subject` one that a consumer of `stream` reads; none if the stream does not own it.
    pub(super) fn read(&mut self, stream: &Arc<Stream>, subject: &str) -> Option<usize> {
        let route = self.find(subject).filter(|route| Arc::ptr_eq(&route.stream, stream))?;
        let topic = route.topic.unwrap_or_else(|| stream.add_topic());
        self.literals.insert(subject.into(), Route { topic: Some(topic), ..route });
        Some(topic)
    }

    pub(super) fn find(&self, subject: &str) -> Option<Route> {
        if let Some(route) = self.literals.get(subject) {
            return Some(route.clone());
        }
        if !is_literal(subject) {
            return None;
        }
        let parent = subject.rsplit_once('.').and_then(|(parent, _)| self.parents.get(parent));
        let stream = parent.or_else(|| self.patterns.iter().find(|(p, _)| matches(p, subject)).map(|(_, s)| s))?;
        Some(Route { stream: stream.clone(), topic: None })
    }
}

/// A subject of non-empty tokens without wildcard.
fn is_literal(subject: &str) -> bool {
    subject.split('.').all(|t| !t.is_empty() && t != "*" && t != ">" && !t.contains(|c: char| c.is_whitespace()))
}

/// NATS's rule: `*` is one token, a final `>` one or more.
fn matches(pattern: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for wanted in pattern.split('.') {
        match (wanted, tokens.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (wanted, Some(token)) if wanted == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_token_and_a_final_angle_one_or_more() {
        assert!(matches("a.*.c", "a.b.c"));
        assert!(!matches("a.*", "a.b.c"));
        assert!(matches("a.>", "a.b.c"));
        assert!(!matches("a.>", "a"));
        assert!(!matches("a.b", "a.b.c"));
        assert!(!matches("a.b.c", "a.b"));
    }

    #[test]
    fn empty_tokens_wildcards_and_spaces_are_not_published_on() {
        for subject in ["", ".", "a.", "a..b", "a.*", "a.>", "a. b"] {
            assert!(!is_literal(subject), "{subject:?}");
        }
        assert!(is_literal("a.b-c_d.E"));
    }
}
