//! Documents found in MongoDB, in the runtime's own database. Never writes, and never logs the URI: it holds a password.

use std::time::Duration;

use futures::TryStreamExt as _;
use futures::future::BoxFuture;
use mongodb::bson::Document;
use mongodb::error::{Error, ErrorKind};
use mongodb::options::ClientOptions;
use mongodb::{Client, Collection};
use serde_json::{Map, Value};

use super::{DataError, MAX_FOUND_DOCUMENTS, Reader};

/// How long it may take to reach a server, and how long a server may look for documents.
const REACH: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_secs(10);

/// Connections a process: nodes wait for each other beyond that.
const CONNECTIONS: u32 = 16;

/// Where the original's runners looked, while its writer wrote elsewhere.
const SHARED: &str = "data";

/// The numbers of errors by which a server says whose fault it is.
const UNAUTHORIZED: [i32; 2] = [13, 18];
const AWAY: [i32; 7] = [50, 89, 91, 189, 9001, 10107, 13436];

/// A runtime's database.
pub struct MongoReader {
    client: Client,
    database: String,
    shared: bool,
}

/// The URI is not one of a MongoDB. What is wrong with it is not said: it may be the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the URI of a MongoDB: mongodb://[USER:PASSWORD@]HOST[:PORT][/?OPTIONS], special characters as %XX")]
pub struct InvalidUri;

impl MongoReader {
    /// The database `<runtime_id>-data`, where the platform's writer saves. With `shared`, what is not there is looked for in
    /// the database `data`, too, where all runtimes' runners looked before: whoever asks sees what others put there.
    ///
    /// Connects when first asked.
    ///
    /// # Errors
    /// The URI is invalid.
    pub async fn new(uri: &str, runtime_id: &str, shared: bool) -> Result<Self, InvalidUri> {
        let mut options = ClientOptions::parse(uri).await.map_err(|_| InvalidUri)?;
        options.app_name.get_or_insert_with(|| "krt".to_owned());
        options.connect_timeout.get_or_insert(REACH);
        options.server_selection_timeout.get_or_insert(REACH);
        options.max_pool_size.get_or_insert(CONNECTIONS);
        let client = Client::with_options(options).map_err(|_| InvalidUri)?;
        Ok(Self { client, database: format!("{runtime_id}-data"), shared })
    }

    fn collection(&self, database: &str, name: &str) -> Collection<Document> {
        self.client.database(database).collection(name)
    }
}

impl Reader for MongoReader {
    fn find(
        &self,
        collection: String,
        query: Map<String, Value>,
        limit: usize,
    ) -> BoxFuture<'static, Result<Vec<String>, DataError>> {
        let own = self.collection(&self.database, &collection);
        let shared = self.shared.then(|| self.collection(SHARED, &collection));
        Box::pin(async move {
            // Extended JSON: `{"$oid": …}`, `{"$date": …}`.
            let query: Document = serde_json::from_value(Value::Object(query))
                .map_err(|error| DataError::Invalid(format!("the query: {error}")))?;
            let found = find(&own, query.clone(), limit).await?;
            match shared {
                Some(shared) if found.is_empty() => find(&shared, query, limit).await,
                _ => Ok(found),
            }
        })
    }
}

async fn find(collection: &Collection<Document>, query: Document, limit: usize) -> Result<Vec<String>, DataError> {
    // One more than may be found tells that there are more.
    let more = i64::try_from(MAX_FOUND_DOCUMENTS).unwrap_or(i64::MAX).saturating_add(1);
    let mut cursor = collection.find(query).limit(more).max_time(LOOK).await.map_err(|error| judge(&error))?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    while let Some(document) = cursor.try_next().await.map_err(|error| judge(&error))? {
        let text = serde_json::to_string(&document).map_err(|error| DataError::Refused(error.to_string()))?;
        bytes += text.len();
        if bytes > limit || found.len() == MAX_FOUND_DOCUMENTS {
            return Err(DataError::TooLarge { limit });
        }
        found.push(text);
    }
    Ok(found)
}

/// What an error means for whoever asked.
fn judge(error: &Error) -> DataError {
    match &*error.kind {
        ErrorKind::Authentication { .. } => DataError::Denied("the database does not take the credentials".to_owned()),
        ErrorKind::Command(command) if UNAUTHORIZED.contains(&command.code) => {
            DataError::Denied(command.message.clone())
        }
        ErrorKind::Command(command) if AWAY.contains(&command.code) => DataError::Unavailable(command.message.clone()),
        ErrorKind::Command(command) => DataError::Invalid(command.message.clone()),
        ErrorKind::InvalidArgument { message, .. } => DataError::Invalid(message.clone()),
        ErrorKind::BsonSerialization(error) => DataError::Invalid(error.to_string()),
        ErrorKind::InvalidResponse { message, .. } => DataError::Refused(message.clone()),
        ErrorKind::BsonDeserialization(error) => DataError::Refused(error.to_string()),
        ErrorKind::IncompatibleServer { message, .. } => DataError::Refused(message.clone()),
        ErrorKind::ServerSelection { .. } => DataError::Unavailable("no server answers".to_owned()),
        ErrorKind::Io(error) => DataError::Unavailable(error.to_string()),
        _ => DataError::Unavailable("the connection failed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wrong_uri_is_refused_without_a_word_of_it() {
        for uri in ["", "geheim", "http://u:geheim@h", "mongodb://u:ge/heim@h:x", "mongodb://u:geheim@:1"] {
            let error = MongoReader::new(uri, "kre", false).await.err();
            assert_eq!(error, Some(InvalidUri), "{uri}");
        }
        assert!(!InvalidUri.to_string().contains("geheim"));
    }

    #[tokio::test]
    async fn nobody_there_is_unavailable_and_tells_no_password() {
        let uri = "mongodb://u:geheim@127.0.0.1:1/?serverSelectionTimeoutMS=200";
        let reader = MongoReader::new(uri, "kre", false).await.unwrap();
        let error = reader.find("c".into(), Map::new(), 10).await.unwrap_err();
        assert!(matches!(error, DataError::Unavailable(_)), "{error}");
        assert!(!error.to_string().contains("geheim"), "{error}");
    }
}
