//! The package's `.proto` files: services and methods, found at run time without protoc.
//!
//! Imports are looked for from the package's root, then from the importing file's folder; `google/protobuf/*` is built
//! in. Never decodes a message.

mod load;
mod nesting;
mod report;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{DescriptorPool, MethodDescriptor, ServiceDescriptor};
use prost_types::{FileDescriptorSet, SourceCodeInfo};

use crate::files::Files;
use crate::problem::Problem;

/// The service that the original serves; one of this name is preferred to others.
pub const ENTRYPOINT_SERVICE: &str = "Entrypoint";

/// A `.proto` with all that it imports, ready to be asked for methods.
#[derive(Debug, Clone)]
pub struct Proto {
    /// The descriptors of all files.
    pub pool: DescriptorPool,
    path: String,
    sources: BTreeMap<String, String>,
    /// What the package's own files say beside their definitions: the pool does without.
    comments: BTreeMap<String, SourceCodeInfo>,
}

/// The facts of one method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    /// Its name alone.
    pub name: String,
    /// The path of gRPC: `/package.Service/Method`.
    pub path: String,
    /// Full name of the request's type.
    pub input: String,
    /// Full name of the answer's type.
    pub output: String,
    /// Whether the caller sends a stream.
    pub client_streaming: bool,
    /// Whether the answer is a stream.
    pub server_streaming: bool,
}

/// Why a name is not that of a method.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MethodError {
    /// No service has it.
    #[error("no service has a method `{name}`")]
    Unknown {
        /// The name.
        name: String,
        /// The methods that there are.
        known: Vec<String>,
    },
    /// Several have it and none of them is called `Entrypoint`.
    #[error("method `{name}` is in several services: {}", services.join(", "))]
    Ambiguous {
        /// The name.
        name: String,
        /// Full names of the services.
        services: Vec<String>,
    },
}

impl Proto {
    /// Reads the `.proto` at `path` in the package and all that it imports.
    ///
    /// # Errors
    /// All problems found: what cannot be read, what is not a proto, what is imported and missing, what is undefined.
    /// Their `file` is a path in the package.
    pub fn load(files: &dyn Files, path: &str) -> Result<Self, Vec<Problem>> {
        load::load(files, path)
    }

    /// Path of the file that was asked for.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The `google.protobuf.FileDescriptorSet` of all files, encoded.
    pub fn descriptor_set_bytes(&self) -> Vec<u8> {
        self.pool.encode_to_vec()
    }

    /// The descriptors of all files, imported ones first, with the comments of the package's own: what generators of code want.
    pub fn commented(&self) -> FileDescriptorSet {
        let described = |file: &prost_types::FileDescriptorProto| {
            let source_code_info = self.comments.get(file.name()).cloned();
            prost_types::FileDescriptorProto { source_code_info, ..file.clone() }
        };
        FileDescriptorSet { file: self.pool.file_descriptor_protos().map(described).collect() }
    }

    /// The package's own proto files: path and text.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sources.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// All services of the package, those of the file that was asked for first.
    pub fn services(&self) -> Vec<ServiceDescriptor> {
        let (mut own, imported): (Vec<_>, Vec<_>) = self
            .pool
            .services()
            .filter(|service| self.sources.contains_key(service.parent_file().name()))
            .partition(|service| service.parent_file().name() == self.path);
        own.extend(imported);
        own
    }

    /// The method called `name`: the one of a service `Entrypoint`, in whatever package, or else the only one of that
    /// name. Services of imported files count only if the file itself has none with such a method.
    ///
    /// # Errors
    /// When there is none, or several and no rule to choose by.
    pub fn method(&self, name: &str) -> Result<MethodDescriptor, MethodError> {
        let services = self.services();
        let with_method = |own: bool| {
            let here = services.iter().filter(|service| (service.parent_file().name() == self.path) == own);
            here.filter_map(|service| service.methods().find(|method| method.name() == name)).collect::<Vec<_>>()
        };
        let mut found = with_method(true);
        if found.is_empty() {
            found = with_method(false);
        }
        let preferred = |method: &&MethodDescriptor| method.parent_service().name() == ENTRYPOINT_SERVICE;
        let mut entrypoints = found.iter().filter(preferred);
        match (entrypoints.next(), entrypoints.next(), found.as_slice()) {
            (Some(method), None, _) | (None, None, [method]) => Ok(method.clone()),
            (_, _, []) => {
                let known = services
                    .iter()
                    .flat_map(|service| service.methods().map(|m| m.name().to_owned()).collect::<Vec<_>>());
                let mut known: Vec<_> = known.collect();
                known.sort();
                known.dedup();
                Err(MethodError::Unknown { name: name.to_owned(), known })
            }
            _ => {
                let services = found.iter().map(|method| method.parent_service().full_name().to_owned()).collect();
                Err(MethodError::Ambiguous { name: name.to_owned(), services })
            }
        }
    }
}

/// Full names of all messages in the files at `paths` and in all that these import. What is undefined in a file is left to
/// whoever needs more than names.
///
/// # Errors
/// All problems found, as for [`Proto::load`].
pub fn message_names(files: &dyn Files, paths: &[String]) -> Result<BTreeSet<String>, Vec<Problem>> {
    load::message_names(files, paths)
}

impl Method {
    /// Whether one request gets one answer.
    pub fn is_unary(&self) -> bool {
        !self.client_streaming && !self.server_streaming
    }
}

impl From<&MethodDescriptor> for Method {
    fn from(method: &MethodDescriptor) -> Self {
        Self {
            name: method.name().to_owned(),
            path: format!("/{}/{}", method.parent_service().full_name(), method.name()),
            input: method.input().full_name().to_owned(),
            output: method.output().full_name().to_owned(),
            client_streaming: method.is_client_streaming(),
            server_streaming: method.is_server_streaming(),
        }
    }
}
