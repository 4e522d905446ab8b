//! Packages, their signatures and compiled components in an object store of NATS, each by its digest. What comes from there
//! is believed only when its digest is the wanted one.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::jetstream::context::ObjectStoreErrorKind;
use async_nats::jetstream::object_store::{
    Config, DeleteErrorKind, GetErrorKind, InfoErrorKind, ObjectInfo, ObjectStore,
};
use async_nats::jetstream::stream::StorageType;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::StreamExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::sync::broadcast::error::RecvError;

use super::hashing::{Hashing, MAX_PACKED};
use super::remote::chain;
use super::signature::Signature;
use super::{Archive, Digest, Fetched, RemoteError};
use crate::nats::Nats;

/// A server that sends nothing for so long has lost the object, or its leader for good.
const SILENCE: Duration = Duration::from_secs(30);

/// Bytes of a signature's object.
const MAX_SIGNATURE: u64 = 4096;

/// Stores `archive` under its digest, and `signature` beside it. Makes the bucket if it is missing, with as many replicas.
///
/// # Errors
/// See [`RemoteError`].
pub async fn push(
    nats: &Nats,
    bucket: &str,
    archive: Archive,
    signature: Option<&Signature>,
    replicas: usize,
) -> Result<(), RemoteError> {
    let pushing = async {
        let store = made(nats, bucket, replicas).await?;
        // The signature first: whoever finds the package finds it signed.
        if let Some(signature) = signature {
            let text = signature.to_text();
            put(&store, &signature_name(&archive.digest), &mut text.as_bytes(), &Digest::of(text.as_bytes())).await?;
        }
        let mut file = tokio::fs::File::from_std(archive.file);
        put(&store, archive.digest.hex(), &mut file, &archive.digest).await
    };
    or_denied(nats, bucket, pushing).await
}

/// The package of this digest, with its signature if there is one.
///
/// # Errors
/// See [`RemoteError`].
pub async fn fetch(nats: &Nats, bucket: &str, digest: &Digest) -> Result<Fetched, RemoteError> {
    or_denied(nats, bucket, found(nats, bucket, digest)).await
}

async fn found(nats: &Nats, bucket: &str, digest: &Digest) -> Result<Fetched, RemoteError> {
    let store = opened(nats, bucket).await?;
    let archive = get(&store, digest.hex(), MAX_PACKED).await?;
    if archive.digest != *digest {
        return Err(RemoteError::Digest { wanted: digest.clone(), found: archive.digest });
    }
    let signature = match get(&store, &signature_name(digest), MAX_SIGNATURE).await {
        Ok(mut found) => {
            let mut text = Vec::new();
            std::io::Read::read_to_end(&mut found.file, &mut text).map_err(RemoteError::Disk)?;
            Some(Signature::from_text(&text)?)
        }
        Err(RemoteError::NotFound(_)) => None,
        Err(error) => return Err(error),
    };
    Ok(Fetched { archive, signature })
}

/// Stores a compiled component as `name`.
///
/// # Errors
/// See [`RemoteError`].
pub async fn push_compiled(
    nats: &Nats,
    bucket: &str,
    name: &str,
    bytes: &[u8],
    replicas: usize,
) -> Result<(), RemoteError> {
    let pushing = async {
        let store = made(nats, bucket, replicas).await?;
        put(&store, name, &mut &*bytes, &Digest::of(bytes)).await
    };
    or_denied(nats, bucket, pushing).await
}

/// The compiled component `name`, if it is the one of this digest.
///
/// # Errors
/// See [`RemoteError`].
pub async fn fetch_compiled(nats: &Nats, bucket: &str, name: &str, digest: &Digest) -> Result<Vec<u8>, RemoteError> {
    let getting = async { get(&opened(nats, bucket).await?, name, MAX_COMPILED).await };
    let mut found = or_denied(nats, bucket, getting).await?;
    if found.digest != *digest {
        return Err(RemoteError::Digest { wanted: digest.clone(), found: found.digest });
    }
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut found.file, &mut bytes).map_err(RemoteError::Disk)?;
    Ok(bytes)
}

/// Removes all objects of a bucket but those that are to be kept; their names. There need be no such bucket.
///
/// # Errors
/// See [`RemoteError`].
pub async fn keep_only(nats: &Nats, bucket: &str, kept: &BTreeSet<String>) -> Result<Vec<String>, RemoteError> {
    let removing = async {
        let store = match opened(nats, bucket).await {
            Err(RemoteError::NotFound(_)) => return Ok(Vec::new()),
            store => store?,
        };
        let mut all = store.list().await.map_err(away)?;
        let mut removed = Vec::new();
        loop {
            let next = tokio::time::timeout(SILENCE, all.next()).await.map_err(silent)?;
            let Some(object) = next.transpose().map_err(away)? else { break };
            if !kept.contains(&object.name) {
                removed.push(object.name);
            }
        }
        for name in &removed {
            match store.delete(name).await {
                Err(error) if error.kind() == DeleteErrorKind::NotFound => {}
                deleted => deleted.map_err(away)?,
            }
        }
        Ok(removed)
    };
    or_denied(nats, bucket, removing).await
}

/// Bytes of a compiled component: as many as the engine's cache takes.
const MAX_COMPILED: u64 = 1 << 30;

fn signature_name(digest: &Digest) -> String {
    format!("{}.sig", digest.hex())
}

async fn made(nats: &Nats, bucket: &str, replicas: usize) -> Result<ObjectStore, RemoteError> {
    match opened(nats, bucket).await {
        Err(RemoteError::NotFound(_)) => {}
        other => return other,
    }
    let config =
        Config { bucket: bucket.to_owned(), storage: StorageType::File, num_replicas: replicas, ..Config::default() };
    // Somebody else may have been quicker: the same layout is no conflict.
    nats.jetstream().create_object_store(config).await.map_err(away)
}

async fn opened(nats: &Nats, bucket: &str) -> Result<ObjectStore, RemoteError> {
    nats.jetstream().get_object_store(bucket).await.map_err(|error| {
        // The stream's name stands in the error that is the source.
        let is_absent = error.kind() == ObjectStoreErrorKind::GetStore && chain(&error).contains("stream not found");
        if is_absent { RemoteError::NotFound(format!("object store {bucket:?}")) } else { away(error) }
    })
}

/// Stores what `data` holds unless that is there.
async fn put(
    store: &ObjectStore,
    name: &str,
    data: &mut (impl tokio::io::AsyncRead + Unpin),
    digest: &Digest,
) -> Result<(), RemoteError> {
    match store.info(name).await {
        Ok(info) if is_of(&info, digest) => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == InfoErrorKind::NotFound => {}
        Err(error) => return Err(away(error)),
    }
    let stored = store.put(name, data).await.map_err(away)?;
    // The file may have changed meanwhile.
    if is_of(&stored, digest) {
        return Ok(());
    }
    store.delete(name).await.map_err(away)?;
    Err(RemoteError::Changed)
}

fn is_of(info: &ObjectInfo, digest: &Digest) -> bool {
    let said = info.digest.as_deref().and_then(|said| said.strip_prefix("SHA-256="));
    let bytes = said.and_then(|said| URL_SAFE_NO_PAD.decode(said.trim_end_matches('=')).ok());
    !info.deleted && bytes.is_some_and(|bytes| Digest::from_hash(&bytes) == *digest)
}

async fn get(store: &ObjectStore, name: &str, limit: u64) -> Result<Archive, RemoteError> {
    let getting = tokio::time::timeout(SILENCE, store.get(name)).await.map_err(silent)?;
    let mut object = getting.map_err(|error| match error.kind() {
        GetErrorKind::NotFound => RemoteError::NotFound(format!("object {name}")),
        _ => away(error),
    })?;
    // The size is somebody else's word; what comes is counted.
    if object.info().size as u64 > limit {
        return Err(RemoteError::TooLarge { limit });
    }
    let mut file = Hashing::new(limit).map_err(RemoteError::Disk)?;
    let mut buffer = vec![0; 128 << 10];
    loop {
        let read = tokio::time::timeout(SILENCE, object.read(&mut buffer)).await.map_err(silent)?;
        let n = read.map_err(away)?;
        if n == 0 {
            break;
        }
        tokio::io::AsyncWriteExt::write_all(&mut file, &buffer[..n]).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::FileTooLarge => RemoteError::TooLarge { limit },
            _ => RemoteError::Disk(error),
        })?;
    }
    file.finish().await.map_err(RemoteError::Disk)
}

/// `work` on `bucket`, or what the server refuses of it: it answers such a request by an error that belongs to no request.
async fn or_denied<T>(
    nats: &Nats,
    bucket: &str,
    work: impl Future<Output = Result<T, RemoteError>>,
) -> Result<T, RemoteError> {
    let mut said = nats.server_errors();
    tokio::pin!(work);
    loop {
        let text = tokio::select! {
            done = &mut work => return done,
            text = said.recv() => text,
        };
        match text {
            Ok(text) if text.contains("ermissions") && text.contains(bucket) => {
                return Err(RemoteError::Denied(text.to_string()));
            }
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return work.await,
        }
    }
}

fn silent(_: tokio::time::error::Elapsed) -> RemoteError {
    RemoteError::Away(format!("the object store has said nothing for {} s", SILENCE.as_secs()))
}

fn away(error: impl std::error::Error) -> RemoteError {
    RemoteError::Away(chain(&error))
}
