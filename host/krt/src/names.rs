//! The names that the original platform fixed: streams, subjects, durables, buckets.
//!
//! Interoperation with unmodified runners stands on these being byte-identical. Never looks at a manifest.

#[cfg(test)]
mod tests;

use sha2::{Digest, Sha256};

/// The name under which the entrypoint sends; reserved, no node may bear it.
pub const ENTRYPOINT: &str = "entrypoint";

/// A DNS label, which names of Deployments, Services and containers must be.
pub const KUBERNETES_LONGEST: usize = 63;

/// Characters of a hash in a name that was shortened: 40 bits, so that two of a thousand nodes collide once in a million.
const HASH_CHARACTERS: usize = 10;

/// All names of one version of one runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    runtime_id: String,
    version: String,
}

impl Names {
    /// Names for `version` in the runtime (tenant) `runtime_id`.
    pub fn new(runtime_id: impl Into<String>, version: impl Into<String>) -> Self {
        Self { runtime_id: runtime_id.into(), version: version.into() }
    }

    /// The runtime's id.
    pub fn runtime_id(&self) -> &str {
        &self.runtime_id
    }

    /// The version's name.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// `<runtime>_<version>_<method>`: one stream a workflow, named by its RPC *method*, not by the workflow.
    pub fn stream(&self, method: &str) -> String {
        format!("{}_{}_{}", self.runtime_id, self.version, method)
    }

    /// `key-store_<runtime>_<version>`: configuration of scope project.
    pub fn key_value_project(&self) -> String {
        format!("key-store_{}_{}", self.runtime_id, self.version)
    }

    /// `key-store_<runtime>_<version>_<workflow>`: by the workflow's *name*, not its method.
    pub fn key_value_workflow(&self, workflow: &str) -> String {
        format!("{}_{workflow}", self.key_value_project())
    }

    /// `key-store_<runtime>_<version>_<workflow>_<node>`.
    pub fn key_value_node(&self, workflow: &str, node: &str) -> String {
        format!("{}_{node}", self.key_value_workflow(workflow))
    }

    /// `<runtime>_<version>_<store>`: an object store of scope project.
    pub fn object_store_project(&self, store: &str) -> String {
        format!("{}_{}_{store}", self.runtime_id, self.version)
    }

    /// `<runtime>_<version>_<workflow>_<store>`: an object store of scope workflow.
    pub fn object_store_workflow(&self, workflow: &str, store: &str) -> String {
        format!("{}_{}_{workflow}_{store}", self.runtime_id, self.version)
    }

    /// `dead-letters_<runtime>_<version>`: krt's own addition, outside the prefix that the original deletes by.
    pub fn dead_letters(&self) -> String {
        format!("dead-letters_{}_{}", self.runtime_id, self.version)
    }
}

/// `packages_<runtime>`: the object store with a runtime's packages, each by its digest. krt's own addition.
pub fn packages(runtime_id: &str) -> String {
    format!("packages_{runtime_id}")
}

/// `compiled_<runtime>`: the object store with components that were compiled beforehand. krt's own addition; a store of its
/// own, so that those who run them need not be able to write there.
pub fn compiled(runtime_id: &str) -> String {
    format!("compiled_{runtime_id}")
}

/// `<stream>.entrypoint`: where requests enter a workflow.
pub fn entrypoint_subject(stream: &str) -> String {
    format!("{stream}.{ENTRYPOINT}")
}

/// `<stream>.<node>`: the default output of a node.
pub fn node_subject(stream: &str, node: &str) -> String {
    format!("{stream}.{node}")
}

/// `<stream>.<node>.<channel>`: a channel is exactly one subject token.
pub fn channel_subject(stream: &str, node: &str, channel: &str) -> String {
    format!("{stream}.{node}.{channel}")
}

/// The durable by which `node` reads `subject`: every `.` becomes `-`, then `-<node>`. Also the deliver group.
///
/// Ambiguous by construction (node `b-c` reading `a` and node `c` reading `a.b`): manifests in which two are equal are refused.
pub fn durable(subject: &str, node: &str) -> String {
    format!("{}-{node}", subject.replace('.', "-"))
}

/// `<version>-<workflow>-<node>`, however long: what labels and collision checks go by.
pub fn deployment_exact(version: &str, workflow: &str, node: &str) -> String {
    format!("{version}-{workflow}-{node}")
}

/// The Deployment of a node: `<version>-<workflow>-<node>`, shortened with a hash beyond 63 characters.
pub fn deployment(version: &str, workflow: &str, node: &str) -> String {
    kubernetes(deployment_exact(version, workflow, node))
}

/// The Deployment of the entrypoint, and the value of its `version-name` label: `<version>-entrypoint`.
pub fn entrypoint_deployment(version: &str) -> String {
    kubernetes(format!("{version}-{ENTRYPOINT}"))
}

/// A name that Kubernetes accepts: itself up to 63 characters, else its beginning and a hash of the whole.
pub fn kubernetes(name: String) -> String {
    if name.len() <= KUBERNETES_LONGEST { name } else { shortened(&name, &name) }
}

/// The beginning of `name`, and a hash of `whole`: at most 63 characters together.
pub fn shortened(name: &str, whole: &str) -> String {
    let digest = Sha256::digest(whole.as_bytes());
    let mut hash = String::with_capacity(HASH_CHARACTERS);
    for byte in digest.iter().take(HASH_CHARACTERS / 2) {
        hash.push_str(&format!("{byte:02x}"));
    }
    let mut end = name.len().min(KUBERNETES_LONGEST - HASH_CHARACTERS - 1);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}-{hash}", name[..end].trim_end_matches('-'))
}
