//! Versions of probe nodes: the same node as a component, in Python and in Go, in any order. Asserts nothing.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use prost::Message as _;

use super::{GO, PYTHON, Tools, source};
use crate::load::{self, Status};
use crate::{guests, workspace};

/// What a node is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A component in krt's host.
    Wasm,
    /// Python on the tests' runner.
    Python,
    /// Go on the tests' runner.
    Go,
}

/// A node of a probe version.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Its name.
    pub name: String,
    /// What it is made of.
    pub kind: Kind,
    /// What it reads.
    pub subscriptions: Vec<String>,
    /// How many of it run.
    pub replicas: u32,
}

/// A workflow of a probe version.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Its method; the workflow's name is the same in small letters.
    pub method: String,
    /// Its nodes; the last is the exitpoint.
    pub nodes: Vec<Probe>,
}

/// See tests/interop/proto/probe.proto.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Job {
    /// What nodes are to do besides passing the job on.
    #[prost(message, repeated, tag = "1")]
    pub orders: Vec<Order>,
    /// The nodes that it went through.
    #[prost(string, repeated, tag = "2")]
    pub path: Vec<String>,
    /// What the orders found.
    #[prost(string, repeated, tag = "3")]
    pub found: Vec<String>,
    /// Anything.
    #[prost(bytes = "bytes", tag = "4")]
    pub data: bytes::Bytes,
}

/// See tests/interop/proto/probe.proto.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Order {
    /// Who is meant.
    #[prost(string, tag = "1")]
    pub node: String,
    /// What it is to do.
    #[prost(string, tag = "2")]
    pub verb: String,
    /// Of a channel, a key, an object, a file.
    #[prost(string, tag = "3")]
    pub name: String,
    /// To be set, saved and so on.
    #[prost(string, tag = "4")]
    pub value: String,
    /// Of the configuration.
    #[prost(string, tag = "5")]
    pub scope: String,
}

impl Probe {
    /// One replica of a node.
    pub fn new(name: &str, kind: Kind, subscriptions: &[&str]) -> Self {
        let subscriptions = subscriptions.iter().map(ToString::to_string).collect();
        Self { name: name.to_owned(), kind, subscriptions, replicas: 1 }
    }
}

impl Flow {
    /// A workflow of these nodes.
    pub fn new(method: &str, nodes: Vec<Probe>) -> Self {
        Self { method: method.to_owned(), nodes }
    }

    /// Nodes of these kinds, `n0` and so on, each reading the one before.
    pub fn line(method: &str, kinds: &[Kind]) -> Self {
        let node = |(index, kind): (usize, &Kind)| {
            let before = index.checked_sub(1).map_or("entrypoint".to_owned(), |before| format!("n{before}"));
            Probe::new(&format!("n{index}"), *kind, &[&before])
        };
        Self::new(method, kinds.iter().enumerate().map(node).collect())
    }
}

/// An order.
pub fn order(node: &str, verb: &str, name: &str, value: &str, scope: &str) -> Order {
    let [node, verb, name, value, scope] = [node, verb, name, value, scope].map(str::to_owned);
    Order { node, verb, name, value, scope }
}

/// A version `probe` with these workflows, in a folder of its own. All nodes share one object store.
///
/// # Panics
/// When it cannot be written.
pub fn version(tools: &Tools, flows: &[Flow]) -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("krt-probe-").tempdir().expect("a temporary folder");
    let write = |path: &str, content: &[u8]| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, content).expect("written");
    };
    let mut manifest =
        "krtVersion: v2\nversion: probe\ndescription: Probes\nentrypoint:\n  proto: public_input.proto\nworkflows:\n"
            .to_owned();
    let mut methods = String::new();
    for Flow { method, nodes } in flows {
        let exitpoint = &nodes.last().expect("a node").name;
        let name = method.to_lowercase();
        manifest
            .push_str(&format!("  - name: {name}\n    entrypoint: {method}\n    exitpoint: {exitpoint}\n    nodes:\n"));
        methods.push_str(&format!("  rpc {method}(Job) returns (Job);\n"));
        for Probe { name, kind, subscriptions, replicas } in nodes {
            let made = match kind {
                Kind::Wasm => "src: bin/probe.wasm".to_owned(),
                Kind::Python => format!("src: src/probe.py, image: '{PYTHON}:latest'"),
                Kind::Go => format!("src: bin/probe, image: '{GO}:latest'"),
            };
            let reads = subscriptions.join(", ");
            manifest.push_str(&format!(
                "      - {{name: {name}, {made}, subscriptions: [{reads}], replicas: {replicas}, \
                 objectStore: {{name: shared, scope: project}}}}\n"
            ));
        }
    }
    let messages = fs::read_to_string(source("proto/probe.proto")).expect("the proto");
    write("krt.yml", manifest.as_bytes());
    write("public_input.proto", format!("{messages}\nservice Entrypoint {{\n{methods}}}\n").as_bytes());
    write("src/probe.py", &fs::read(source("python/nodes/probe.py")).expect("the node"));
    write("bin/probe.wasm", &guests::built("probe"));
    // Copied with its mode.
    fs::copy(tools.go("probe"), folder.path().join("bin/probe")).expect("the program");
    folder
}

/// Calls `method` of a probe version that serves gRPC at `address`: the answer, or how the call ended.
///
/// # Errors
/// The connection failed, or the answer is no job.
pub async fn call(address: &str, method: &str, job: &Job) -> anyhow::Result<Result<Job, Status>> {
    let path = format!("/main.Entrypoint/{method}");
    Ok(match load::ask(address, &path, job.encode_to_vec().into()).await? {
        Ok(answer) => Ok(Job::decode(answer).context("the answer is no job")?),
        Err(status) => Err(status),
    })
}

/// Where versions of tests may leave a mark.
pub fn marks() -> tempfile::TempDir {
    let target = workspace().join("target/tmp");
    fs::create_dir_all(&target).expect("a folder");
    tempfile::tempdir_in(target).expect("a temporary folder")
}

/// A file in `marks` by name, as an order names it.
pub fn mark(marks: &tempfile::TempDir, name: &str) -> String {
    Path::new(marks.path()).join(name).display().to_string()
}
