//! `krt:node/object-store`: the store that the manifest declares for the node.

use regex::{Regex, RegexBuilder};

use crate::engine::bindings::krt::node::object_store::{Error, Host};
use crate::engine::state::State;
use crate::store::{ObjectStore, StoreError};

/// Bytes of a pattern, and of what it is compiled to: matching is linear, making one is not free.
const MAX_PATTERN: usize = 4 << 10;
const MAX_COMPILED: usize = 1 << 20;

impl Host for State {
    async fn get(&mut self, name: String) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        // The guest has to hold a copy: more than it has left would kill it.
        let limit = self.node.limits.object.min(self.meter.left());
        let Some(store) = &self.node.object_store else { return Ok(Err(Error::NotDeclared)) };
        Ok(store.get(name, limit).await.map(Into::into).map_err(Into::into))
    }

    async fn save(&mut self, name: String, data: Vec<u8>) -> wasmtime::Result<Result<(), Error>> {
        let limit = self.node.limits.object;
        let Some(store) = &self.node.object_store else { return Ok(Err(Error::NotDeclared)) };
        if data.len() > limit {
            return Ok(Err(Error::TooLarge(limit as u64)));
        }
        Ok(store.save(name, data.into()).await.map_err(Into::into))
    }

    async fn list(&mut self, pattern: Option<String>) -> wasmtime::Result<Result<Vec<String>, Error>> {
        let Some(store) = &self.node.object_store else { return Ok(Err(Error::NotDeclared)) };
        Ok(matching(&**store, pattern).await)
    }

    async fn delete(&mut self, name: String) -> wasmtime::Result<Result<(), Error>> {
        let Some(store) = &self.node.object_store else { return Ok(Err(Error::NotDeclared)) };
        Ok(store.delete(name).await.map_err(Into::into))
    }

    async fn purge(&mut self, pattern: Option<String>) -> wasmtime::Result<Result<u32, Error>> {
        let Some(store) = &self.node.object_store else { return Ok(Err(Error::NotDeclared)) };
        Ok(purge(&**store, pattern).await)
    }
}

async fn matching(store: &dyn ObjectStore, pattern: Option<String>) -> Result<Vec<String>, Error> {
    let pattern = pattern.as_deref().map(compile).transpose()?;
    let mut names = store.list().await?;
    if let Some(pattern) = pattern {
        names.retain(|name| pattern.is_match(name));
    }
    Ok(names)
}

async fn purge(store: &dyn ObjectStore, pattern: Option<String>) -> Result<u32, Error> {
    let mut deleted = 0;
    for name in matching(store, pattern).await? {
        match store.delete(name).await {
            Ok(()) => deleted += 1,
            // Somebody else was faster.
            Err(StoreError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(deleted)
}

fn compile(pattern: &str) -> Result<Regex, Error> {
    if pattern.len() > MAX_PATTERN {
        return Err(Error::InvalidName(format!("the pattern has more than {MAX_PATTERN} bytes")));
    }
    let built = RegexBuilder::new(pattern).size_limit(MAX_COMPILED).dfa_size_limit(MAX_COMPILED).build();
    built.map_err(|error| Error::InvalidName(error.to_string()))
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(_) => Self::NotFound,
            StoreError::InvalidName(why) => Self::InvalidName(why),
            StoreError::TooLarge { limit } => Self::TooLarge(limit as u64),
            StoreError::Denied(why) => Self::Denied(why),
            StoreError::Unavailable(why) => Self::Unavailable(why),
            StoreError::NoBucket(_) | StoreError::Unreadable(_) => Self::Other(error.to_string()),
        }
    }
}
