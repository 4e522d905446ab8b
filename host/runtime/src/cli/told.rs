//! What the platform tells a node's process: the environment of the original's runners (contract, 4.1), checked.

use anyhow::{Context as _, bail};
use krt::topology::{NodeKind, Topology};

use crate::runtime::Placement;

/// Names of the one node that this process is told to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    workflow: String,
    node: String,
    version: String,
    version_id: Option<String>,
    src: String,
    stream: String,
    inputs: Vec<String>,
    output: String,
    project_bucket: String,
    workflow_bucket: String,
    node_bucket: String,
    object_store: Option<String>,
}

impl Told {
    /// What the environment says, or none when it names no node.
    ///
    /// # Errors
    /// A mandatory variable is absent: all that are, are named.
    pub(super) fn from(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Option<Self>> {
        let Some(node) = variable("KRT_NODE_NAME") else { return Ok(None) };
        let mut absent = Vec::new();
        let mut mandatory = |name: &'static str| {
            variable(name).unwrap_or_else(|| {
                absent.push(name);
                String::new()
            })
        };
        let told = Self {
            workflow: mandatory("KRT_WORKFLOW_NAME"),
            version: mandatory("KRT_VERSION"),
            src: mandatory("KRT_HANDLER_PATH"),
            stream: mandatory("KRT_NATS_STREAM"),
            inputs: mandatory("KRT_NATS_INPUTS").split(',').map(|input| input.trim().to_owned()).collect(),
            output: mandatory("KRT_NATS_OUTPUT"),
            project_bucket: mandatory("KRT_NATS_KEY_VALUE_STORE_PROJECT"),
            workflow_bucket: mandatory("KRT_NATS_KEY_VALUE_STORE_WORKFLOW"),
            node_bucket: mandatory("KRT_NATS_KEY_VALUE_STORE_NODE"),
            version_id: variable("KRT_VERSION_ID").filter(|id| !id.is_empty()),
            object_store: variable("KRT_NATS_OBJECT_STORE").filter(|name| !name.is_empty()),
            node,
        };
        if !absent.is_empty() {
            bail!("KRT_NODE_NAME is set, and {} not: a node's process needs all of them", absent.join(", "));
        }
        told.check()?;
        Ok(Some(told))
    }

    /// The placement that it is told of. What is not in the environment, such as limits, is in the manifest.
    ///
    /// # Errors
    /// The package's manifest has no such node, or one that is no component.
    pub(super) fn placement(self, topology: &Topology, runtime_id: &str) -> anyhow::Result<Placement> {
        let Self { workflow, node, .. } = &self;
        if self.version != topology.version {
            bail!("KRT_VERSION is {:?}; the package is version {:?}", self.version, topology.version);
        }
        let known = topology
            .workflows
            .iter()
            .find(|known| known.name == *workflow)
            .with_context(|| format!("the package has no workflow {workflow:?} (KRT_WORKFLOW_NAME)"))?;
        let known =
            known.nodes.iter().find(|known| known.name == *node).with_context(|| {
                format!("workflow {workflow:?} of the package has no node {node:?} (KRT_NODE_NAME)")
            })?;
        if let NodeKind::Native { image } = &known.kind {
            bail!("node {node:?} of workflow {workflow:?} is to run in the image {image}: `krt host` runs components");
        }
        let mut place = Placement::all(topology, runtime_id)
            .into_iter()
            .find(|place| place.identity.workflow == *workflow && place.identity.node == *node)
            .context("a component has a placement")?;
        if let Some(id) = self.version_id {
            place.identity.version_id = id;
        }
        // As many processes as there are replicas: each is one.
        place.replicas = 1;
        Ok(Placement {
            stream: self.stream,
            inputs: self.inputs,
            output: self.output,
            project_bucket: self.project_bucket,
            workflow_bucket: self.workflow_bucket,
            node_bucket: self.node_bucket,
            object_store: self.object_store,
            src: self.src,
            ..place
        })
    }

    /// They become subjects, and names of durables.
    fn check(&self) -> anyhow::Result<()> {
        let Self { stream, inputs, output, .. } = self;
        let subjects = inputs.iter().map(|input| ("KRT_NATS_INPUTS", input));
        for (name, subject) in subjects.chain([("KRT_NATS_OUTPUT", output)]) {
            let tokens = subject.strip_prefix(stream.as_str()).and_then(|rest| rest.strip_prefix('.'));
            let fine = |token: &str| !token.is_empty() && !token.chars().any(|c| "*>".contains(c) || c.is_whitespace());
            if stream.is_empty() || tokens.is_none_or(|tokens| !tokens.split('.').all(fine)) {
                bail!("{name} has {subject:?}, which is no subject of the stream {stream:?} (KRT_NATS_STREAM)");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const MANIFEST: &str = "\
krtVersion: v2
version: v1
description: Two nodes
workflows:
  - name: w
    entrypoint: Ask
    exitpoint: last
    nodes:
      - { name: first, src: bin/first.wasm, subscriptions: [entrypoint], wasm: { concurrency: 3 }, replicas: 4 }
      - { name: last, src: main.py, image: konstellation/kre-py, subscriptions: [first] }
";

    fn topology() -> Topology {
        krt::check::check("krt.yml", MANIFEST.as_bytes(), None).topology.expect("a valid manifest")
    }

    fn environment() -> BTreeMap<&'static str, &'static str> {
        BTreeMap::from([
            ("KRT_NODE_NAME", "first"),
            ("KRT_WORKFLOW_NAME", "w"),
            ("KRT_VERSION", "v1"),
            ("KRT_VERSION_ID", "0123456789abcdef01234567"),
            ("KRT_HANDLER_PATH", "bin/first.wasm"),
            ("KRT_NATS_STREAM", "kre_v1_Ask"),
            ("KRT_NATS_INPUTS", "kre_v1_Ask.entrypoint,kre_v1_Ask.last.again"),
            ("KRT_NATS_OUTPUT", "kre_v1_Ask.first"),
            ("KRT_NATS_KEY_VALUE_STORE_PROJECT", "p"),
            ("KRT_NATS_KEY_VALUE_STORE_WORKFLOW", "q"),
            ("KRT_NATS_KEY_VALUE_STORE_NODE", "r"),
        ])
    }

    fn told(environment: &BTreeMap<&'static str, &'static str>) -> anyhow::Result<Option<Told>> {
        Told::from(|name| environment.get(name).map(ToString::to_string))
    }

    fn refusal(name: &'static str, value: &'static str) -> String {
        let mut environment = environment();
        environment.insert(name, value);
        let placed = told(&environment).and_then(|told| told.expect("a node").placement(&topology(), "kre"));
        placed.expect_err("not a node to run").to_string()
    }

    #[test]
    fn the_environment_gives_the_names_and_the_manifest_the_limits() {
        let place = told(&environment()).unwrap().unwrap().placement(&topology(), "kre").unwrap();
        assert_eq!(place.inputs, ["kre_v1_Ask.entrypoint", "kre_v1_Ask.last.again"]);
        assert_eq!((place.project_bucket.as_str(), place.object_store.as_deref()), ("p", None));
        assert_eq!((place.wasm.concurrency, place.replicas), (3, 1));
        assert_eq!(place.identity.version_id, "0123456789abcdef01234567");
    }

    #[test]
    fn an_environment_without_a_node_tells_nothing() {
        assert_eq!(told(&BTreeMap::from([("KRT_VERSION", "v1")])).unwrap(), None);
    }

    #[test]
    fn absent_variables_are_named_all_at_once() {
        let mut environment = environment();
        environment.remove("KRT_NATS_STREAM");
        environment.remove("KRT_NATS_OUTPUT");
        let error = told(&environment).unwrap_err().to_string();
        assert!(error.contains("KRT_NATS_STREAM, KRT_NATS_OUTPUT"), "{error}");
    }

    #[test]
    fn what_the_package_does_not_have_is_refused_by_name() {
        for (name, value, words) in [
            ("KRT_VERSION", "v2", "the package is version \"v1\""),
            ("KRT_WORKFLOW_NAME", "x", "no workflow \"x\""),
            ("KRT_NODE_NAME", "x", "no node \"x\""),
            ("KRT_NODE_NAME", "last", "image konstellation/kre-py"),
            ("KRT_NATS_INPUTS", "other.entrypoint", "no subject of the stream"),
            ("KRT_NATS_INPUTS", "kre_v1_Ask.*", "no subject of the stream"),
            ("KRT_NATS_OUTPUT", "", "no subject of the stream"),
        ] {
            let error = refusal(name, value);
            assert!(error.contains(words), "{name}={value}: {error}");
        }
    }
}
