//! The messages of public_input.proto, by hand: three small ones are not worth a build script.

use prost::Name;

/// See the .proto.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Command {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, repeated, tag = "2")]
    pub args: Vec<String>,
    #[prost(bytes = "vec", tag = "3")]
    pub data: Vec<u8>,
}

/// See the .proto.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Answer {
    #[prost(string, tag = "1")]
    pub text: String,
    #[prost(string, repeated, tag = "2")]
    pub items: Vec<String>,
    #[prost(bytes = "vec", tag = "3")]
    pub data: Vec<u8>,
}

/// See the .proto.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Stranger {
    #[prost(string, tag = "1")]
    pub text: String,
}

impl Answer {
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub fn items(items: Vec<String>) -> Self {
        Self { items, ..Self::default() }
    }

    pub fn data(data: Vec<u8>) -> Self {
        Self { data, ..Self::default() }
    }

    /// A value, or that there is none.
    pub fn value(value: Option<String>) -> Self {
        match value {
            Some(value) => Self { text: "value".into(), items: vec![value], data: Vec::new() },
            None => Self::text("none"),
        }
    }
}

impl Name for Command {
    const PACKAGE: &'static str = "conformance";
    const NAME: &'static str = "Command";
}

impl Name for Answer {
    const PACKAGE: &'static str = "conformance";
    const NAME: &'static str = "Answer";
}

impl Name for Stranger {
    const PACKAGE: &'static str = "conformance";
    const NAME: &'static str = "Stranger";
}
