//! What outlives a version: predictions beside the truth, and documents in the runtime's database.

use std::time::SystemTime;

use crate::capability::nanos;
use crate::error::{DatabaseError, PredictionError};
use crate::host::{Current, Host as _};

/// A prediction in the making: `ctx.prediction("predicted", "true")` or `ctx.no_prediction(why)`.
///
/// ```
/// # use krt_node::{Context, Problem, Result};
/// fn judge(ctx: &Context, predicted: Option<&str>, truth: &str) -> Result {
///     match predicted {
///         Some(label) => ctx.prediction(label, truth).extra(r#"{"model": "v3"}"#).save()?,
///         None => ctx.no_prediction(Problem::MissingValues).save()?,
///     }
///     Ok(())
/// }
/// ```
#[must_use = "a prediction is saved by save()"]
pub struct Prediction<'a> {
    pub(crate) host: &'a Current,
    pub(crate) outcome: Result<(String, String), Problem>,
    pub(crate) extra: Option<String>,
    pub(crate) time: Option<i64>,
}

/// Why there is no prediction to be compared with the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Problem {
    /// The input had values missing.
    MissingValues,
    /// The truth is a label that the model does not know.
    NewLabels,
}

/// The runtime's database, which all its versions share: `ctx.database()`. Documents and queries are JSON objects as
/// text.
///
/// ```
/// # use krt_node::{Context, Result};
/// fn remember(ctx: &Context, sender: &str, score: f64) -> Result<usize> {
///     let database = ctx.database();
///     let document = serde_json::json!({"sender": sender, "score": score});
///     database.save("senders", &document.to_string())?;
///     let query = serde_json::json!({"sender": sender, "score": {"$gte": 0.5}});
///     Ok(database.find("senders", &query.to_string())?.len())
/// }
/// ```
pub struct Database<'a>(pub(crate) &'a Current);

impl Prediction<'_> {
    /// JSON to keep with it.
    pub fn extra(mut self, json: impl Into<String>) -> Self {
        self.extra = Some(json.into());
        self
    }

    /// When it was made, in place of now.
    pub fn at(mut self, time: SystemTime) -> Self {
        self.time = Some(nanos(time));
        self
    }

    /// Saves it; a message that is handled twice counts twice.
    ///
    /// # Errors
    /// What goes with it is not JSON, something is too large, or the database cannot be reached.
    pub fn save(self) -> Result<(), PredictionError> {
        self.host.save_prediction(self.outcome, self.extra.as_deref(), self.time)
    }
}

impl Database<'_> {
    /// Saves a document. A message that is handled twice saves twice, unless the document has an `_id` of its own.
    ///
    /// # Errors
    /// Not a collection's name, not a JSON object, too large, refused, or the database cannot be reached.
    pub fn save(&self, collection: &str, document: &str) -> Result<(), DatabaseError> {
        self.0.save_document(collection, document)
    }

    /// The documents that match a query of MongoDB's language; `{}` matches all. Everywhere, `krt run` included:
    /// equality, also of fields within (`a.b`), `$eq $ne $gt $gte $lt $lte $in $exists $and $or`.
    ///
    /// # Errors
    /// Not a collection's name or a query, more than fits, or the database cannot be reached.
    pub fn find(&self, collection: &str, query: &str) -> Result<Vec<String>, DatabaseError> {
        self.0.find_documents(collection, query)
    }
}
