//! The messages of tests/interop/proto/probe.proto, by hand: two small ones are not worth a build script.

use prost::Name;

/// See the .proto.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Job {
    #[prost(message, repeated, tag = "1")]
    pub orders: Vec<Order>,
    #[prost(string, repeated, tag = "2")]
    pub path: Vec<String>,
    #[prost(string, repeated, tag = "3")]
    pub found: Vec<String>,
    #[prost(bytes = "vec", tag = "4")]
    pub data: Vec<u8>,
}

/// See the .proto.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Order {
    #[prost(string, tag = "1")]
    pub node: String,
    #[prost(string, tag = "2")]
    pub verb: String,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(string, tag = "4")]
    pub value: String,
    #[prost(string, tag = "5")]
    pub scope: String,
}

impl Name for Job {
    const PACKAGE: &'static str = "main";
    const NAME: &'static str = "Job";
}
