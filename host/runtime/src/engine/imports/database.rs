//! `krt:node/database`: documents that outlive a version.

use crate::data::DataError;
use crate::engine::bindings::krt::node::database::{Error, Host};
use crate::engine::state::State;

impl Host for State {
    async fn save(&mut self, collection: String, document: String) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.node.database.save(collection, document).await.map_err(Into::into))
    }

    async fn find(&mut self, collection: String, query: String) -> wasmtime::Result<Result<Vec<String>, Error>> {
        // The guest has to hold a copy: more than it has left would kill it.
        let limit = self.meter.left();
        Ok(self.node.database.find(collection, &query, limit).await.map_err(Into::into))
    }
}

impl From<DataError> for Error {
    fn from(error: DataError) -> Self {
        match error {
            DataError::NotConfigured(why) => Self::NotConfigured(why),
            DataError::Invalid(why) => Self::Invalid(why),
            DataError::TooLarge { limit } => Self::TooLarge(limit as u64),
            DataError::Denied(why) => Self::Denied(why),
            DataError::Unavailable(why) => Self::Unavailable(why),
            error @ DataError::Refused(_) => Self::Other(error.to_string()),
        }
    }
}
