//! `krt:node/predictions`: what a model predicted, beside the truth.

use crate::data::{DataError, Prediction, Problem as Kind};
use crate::engine::bindings::krt::node::predictions::{Error, Host, Problem};
use crate::engine::node::NodeShared;
use crate::engine::state::State;

impl Host for State {
    async fn save(
        &mut self,
        predicted_value: String,
        true_value: String,
        extra: Option<String>,
        time: Option<i64>,
    ) -> wasmtime::Result<Result<(), Error>> {
        Ok(predict(&self.node, Prediction { outcome: Ok((predicted_value, true_value)), extra, time }).await)
    }

    async fn save_error(
        &mut self,
        problem: Problem,
        extra: Option<String>,
        time: Option<i64>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let problem = match problem {
            Problem::MissingValues => Kind::MissingValues,
            Problem::NewLabels => Kind::NewLabels,
        };
        Ok(predict(&self.node, Prediction { outcome: Err(problem), extra, time }).await)
    }
}

async fn predict(node: &NodeShared, prediction: Prediction) -> Result<(), Error> {
    let identity = &node.identity;
    Ok(node.database.predict(&prediction, &identity.version, &identity.version_id).await?)
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
