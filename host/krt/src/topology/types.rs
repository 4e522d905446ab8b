//! The messages that a node says it takes and sends. What is not said is not known, and nothing is concluded from it.

use std::collections::BTreeMap;

/// Stands for the default output, and for whatever a node reads and does not name.
pub const DEFAULT: &str = "default";

/// The message that says nothing: where it stands, any message may.
pub const ANY: &str = "google.protobuf.Any";

/// Full names of messages; of several, any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Types {
    /// By origin, by `origin.channel`, or [`DEFAULT`].
    pub accepts: BTreeMap<String, Vec<String>>,
    /// By channel, or [`DEFAULT`].
    pub emits: BTreeMap<String, Vec<String>>,
    /// As early reply or early exit, on the default output.
    pub early: Vec<String>,
}

impl Types {
    /// What the node takes from `origin` on `channel`, and the name under which it says so: the most exact one.
    pub fn accepted(&self, origin: &str, channel: Option<&str>) -> Option<(&str, &[String])> {
        let exact = channel.and_then(|channel| self.accepts.get_key_value(&format!("{origin}.{channel}")));
        exact
            .or_else(|| self.accepts.get_key_value(origin))
            .or_else(|| self.accepts.get_key_value(DEFAULT))
            .map(|(name, messages)| (name.as_str(), messages.as_slice()))
    }

    /// What the node sends on `channel`. Of a channel that is called `default` nothing can be said.
    pub fn emitted(&self, channel: Option<&str>) -> Option<&[String]> {
        let name = if channel == Some(DEFAULT) { None } else { channel.or(Some(DEFAULT)) };
        self.emits.get(name?).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::Types;

    #[test]
    fn the_most_exact_name_says_what_is_taken() {
        let said = |name: &str| (name.to_owned(), vec![name.to_uppercase()]);
        let mut types = Types { accepts: ["a.x", "a", "default"].map(said).into(), ..Types::default() };
        let name = |types: &Types, origin, channel| types.accepted(origin, channel).map(|(name, _)| name.to_owned());
        assert_eq!(name(&types, "a", Some("x")).as_deref(), Some("a.x"));
        assert_eq!(name(&types, "a", Some("y")).as_deref(), Some("a"));
        assert_eq!(name(&types, "b", None).as_deref(), Some("default"));
        types.accepts.remove("default");
        assert_eq!(name(&types, "b", None), None);
    }

    #[test]
    fn a_channel_that_is_not_named_sends_what_nobody_knows() {
        let said = |name: &str| (name.to_owned(), vec![name.to_uppercase()]);
        let types = Types { emits: ["default", "x"].map(said).into(), ..Types::default() };
        assert_eq!(types.emitted(None), Some(&["DEFAULT".to_owned()][..]));
        assert_eq!(types.emitted(Some("y")), None);
        assert_eq!(types.emitted(Some("default")), None);
    }
}
