//! `krt:node/configuration`: settings in three scopes.

use futures::TryStreamExt as _;
use futures::stream::FuturesOrdered;

use crate::engine::bindings::krt::node::configuration::{Error, Host, Scope};
use crate::engine::node::Configuration;
use crate::engine::state::State;
use crate::store::{KeyValue, StoreError};

/// Scopes that a key without one is looked up in, in this order.
const UPWARD: [Scope; 3] = [Scope::Node, Scope::Workflow, Scope::Project];

impl Host for State {
    async fn get(&mut self, key: String, scope: Option<Scope>) -> wasmtime::Result<Result<Option<String>, Error>> {
        Ok(look_up(&self.node.configuration, key, scope).await)
    }

    async fn set(&mut self, key: String, value: String, scope: Option<Scope>) -> wasmtime::Result<Result<(), Error>> {
        let limit = self.node.limits.value;
        if value.len() > limit {
            return Ok(Err(Error::TooLarge(limit as u64)));
        }
        let buckets = &self.node.configuration;
        Ok(bucket(buckets, scope.unwrap_or(Scope::Node)).put(key, value).await.map_err(Into::into))
    }

    async fn delete(&mut self, key: String, scope: Option<Scope>) -> wasmtime::Result<Result<(), Error>> {
        let buckets = &self.node.configuration;
        Ok(bucket(buckets, scope.unwrap_or(Scope::Node)).delete(key).await.map_err(Into::into))
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::InvalidName(why) => Self::InvalidKey(why),
            StoreError::TooLarge { limit } => Self::TooLarge(limit as u64),
            StoreError::Denied(why) => Self::Denied(why),
            StoreError::Unavailable(why) => Self::Unavailable(why),
            error @ (StoreError::NoBucket(_) | StoreError::NotFound(_) | StoreError::Unreadable(_)) => {
                Self::Other(error.to_string())
            }
        }
    }
}

async fn look_up(buckets: &Configuration, key: String, scope: Option<Scope>) -> Result<Option<String>, Error> {
    let Some(scope) = scope else {
        // Asked side by side, so that the answer takes one round trip wherever it is; the narrowest scope still wins, and
        // what a wider one would have said does not matter then.
        let mut answers: FuturesOrdered<_> =
            UPWARD.into_iter().map(|scope| bucket(buckets, scope).get(key.clone())).collect();
        while let Some(value) = answers.try_next().await? {
            if value.is_some() {
                return Ok(value);
            }
        }
        return Ok(None);
    };
    Ok(bucket(buckets, scope).get(key).await?)
}

fn bucket(buckets: &Configuration, scope: Scope) -> &dyn KeyValue {
    match scope {
        Scope::Node => &*buckets.node,
        Scope::Workflow => &*buckets.workflow,
        Scope::Project => &*buckets.project,
    }
}
