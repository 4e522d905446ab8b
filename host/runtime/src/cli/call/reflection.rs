//! What a server serves, asked of it: gRPC reflection v1, or v1alpha where there is no v1.
//!
//! Answers are bounded: a server is not trusted with our memory.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::{anyhow, bail};
use prost_reflect::DescriptorPool;
use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::{FileDescriptorProto, FileDescriptorSet};
use tonic::{Code, Status};

use super::server::{Server, broken, is_transport};

/// Files that a server may describe itself with.
const MAX_FILES: usize = 1000;
/// Bytes of one answer.
const MAX_ANSWER: usize = 16 << 20;

/// What is asked.
enum Ask {
    Services,
    Symbol(String),
    File(String),
}

/// What is answered.
enum Answer {
    Services(Vec<String>),
    Files(Vec<Vec<u8>>),
}

/// Which reflection.
#[derive(Debug, Clone, Copy)]
pub(super) enum Version {
    /// `grpc.reflection.v1`.
    V1,
    /// `grpc.reflection.v1alpha`.
    V1Alpha,
}

/// Every message and service of the server, its own infrastructure left out.
pub(super) async fn describe(server: &Server) -> anyhow::Result<DescriptorPool> {
    match services(server, Version::V1).await {
        Err(status) if status.code() == Code::Unimplemented => describe_as(server, Version::V1Alpha).await,
        Err(status) => Err(explain(status)),
        Ok(services) => files(server, Version::V1, services).await,
    }
}

/// The same in one version of reflection.
pub(super) async fn describe_as(server: &Server, version: Version) -> anyhow::Result<DescriptorPool> {
    let services = services(server, version).await.map_err(explain)?;
    files(server, version, services).await
}

async fn services(server: &Server, version: Version) -> Result<Vec<String>, Status> {
    match ask(server, version, Ask::Services).await? {
        Answer::Services(services) => Ok(services),
        Answer::Files(_) => Err(Status::data_loss("it answers something else than was asked")),
    }
}

async fn files(server: &Server, version: Version, services: Vec<String>) -> anyhow::Result<DescriptorPool> {
    let services = services.into_iter().filter(|name| !name.starts_with("grpc."));
    let mut files: BTreeMap<String, FileDescriptorProto> = BTreeMap::new();
    for service in services {
        take(&mut files, ask(server, version, Ask::Symbol(service)).await.map_err(explain)?)?;
    }
    let mut absent = BTreeSet::new();
    loop {
        let needed = files.values().flat_map(|file| &file.dependency);
        let Some(name) = needed.into_iter().find(|name| !files.contains_key(*name) && !absent.contains(*name)).cloned()
        else {
            break;
        };
        match ask(server, version, Ask::File(name.clone())).await {
            Ok(answer) => take(&mut files, answer)?,
            Err(status) if status.code() == Code::NotFound => {}
            Err(status) => return Err(explain(status)),
        }
        if let Entry::Vacant(missing) = files.entry(name) {
            // Some servers leave out what everybody has.
            match DescriptorPool::global().get_file_by_name(missing.key()) {
                Some(known) => drop(missing.insert(known.file_descriptor_proto().clone())),
                None => drop(absent.insert(missing.into_key())),
            }
        }
        if files.len() > MAX_FILES {
            bail!("the server describes itself with more than {MAX_FILES} files");
        }
    }
    let file = files.into_values().collect();
    DescriptorPool::from_file_descriptor_set(FileDescriptorSet { file })
        .map_err(|e| anyhow!("the server's description of itself is not consistent: {e}"))
}

fn take(files: &mut BTreeMap<String, FileDescriptorProto>, answer: Answer) -> anyhow::Result<()> {
    let Answer::Files(encoded) = answer else {
        bail!("the server answers reflection with something else than was asked");
    };
    for bytes in encoded {
        let file = FileDescriptorProto::decode(&*bytes).map_err(|e: prost_reflect::prost::DecodeError| {
            anyhow!("the server's description of itself is broken: {e}")
        })?;
        files.insert(file.name().to_owned(), file);
    }
    Ok(())
}

fn explain(status: Status) -> anyhow::Error {
    let status = broken(status);
    let name = crate::entrypoint::code_name(status.code());
    match status.code() {
        Code::Unimplemented => anyhow!("the server has no gRPC reflection, so its methods cannot be found out"),
        Code::Unavailable | Code::Internal if is_transport(&status) => {
            anyhow!(
                "the server does not speak gRPC in plain text; is this the web port, or does it want --tls? ({})",
                status.message()
            )
        }
        _ => anyhow!("the server could not be asked for its methods: {name}: {}", status.message()),
    }
}

async fn ask(server: &Server, version: Version, ask: Ask) -> Result<Answer, Status> {
    match version {
        Version::V1 => v1(server, ask).await,
        Version::V1Alpha => v1alpha(server, ask).await,
    }
}

/// The two versions have the same messages under different names.
macro_rules! version {
    ($version:ident) => {
        async fn $version(server: &Server, ask: Ask) -> Result<Answer, Status> {
            use tonic_reflection::pb::$version::ServerReflectionRequest;
            use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
            use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
            use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;

            let message = match ask {
                Ask::Services => MessageRequest::ListServices(String::new()),
                Ask::Symbol(name) => MessageRequest::FileContainingSymbol(name),
                Ask::File(name) => MessageRequest::FileByFilename(name),
            };
            let request = ServerReflectionRequest { host: String::new(), message_request: Some(message) };
            let mut client = ServerReflectionClient::new(server.channel()).max_decoding_message_size(MAX_ANSWER);
            let stream = server.request(tokio_stream::once(request));
            let mut answers = client.server_reflection_info(stream).await?.into_inner();
            let answer = answers.message().await?.and_then(|answer| answer.message_response);
            match answer {
                Some(MessageResponse::ListServicesResponse(list)) => {
                    Ok(Answer::Services(list.service.into_iter().map(|service| service.name).collect()))
                }
                Some(MessageResponse::FileDescriptorResponse(files)) => Ok(Answer::Files(files.file_descriptor_proto)),
                Some(MessageResponse::ErrorResponse(error)) => {
                    Err(Status::new(Code::from_i32(error.error_code), error.error_message))
                }
                _ => Err(Status::data_loss("the server ended without an answer")),
            }
        }
    };
}

version!(v1);
version!(v1alpha);
