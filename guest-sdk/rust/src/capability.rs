//! What a node may use besides messages: configuration, object store, measurements, metadata.

use std::time::SystemTime;

use crate::error::{ConfigurationError, MeasurementError, ObjectStoreError};
use crate::host::{Current, Host};

/// Who shares a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// This node, in all its replicas.
    Node,
    /// The nodes of this workflow.
    Workflow,
    /// All nodes of the version.
    Project,
}

/// Settings that outlive a message: `ctx.configuration()`.
///
/// ```
/// # use krt_node::{Context, Result, Scope};
/// fn count(ctx: &Context) -> Result<u64> {
///     let settings = ctx.configuration();
///     let count = settings.get("count")?.and_then(|text| text.parse().ok()).unwrap_or(0) + 1;
///     settings.set("count", &count.to_string())?;
///     settings.set_in(Scope::Workflow, "last-counted-by", ctx.node())?;
///     Ok(count)
/// }
/// ```
pub struct Configuration<'a>(pub(crate) &'a Current);

/// The object store that the manifest declares for this node: `ctx.object_store()`.
///
/// ```
/// # use krt_node::{Context, Result};
/// fn archive(ctx: &Context, report: &[u8]) -> Result {
///     let store = ctx.object_store();
///     store.save(&format!("reports/{}", ctx.request_id()), report)?;
///     log::info!("{} reports so far", store.list_matching("^reports/")?.len());
///     Ok(())
/// }
/// ```
pub struct ObjectStore<'a>(pub(crate) &'a Current);

/// One point of a time series in the making: `ctx.measure("name")`.
///
/// ```
/// # use krt_node::{Context, Result};
/// fn report(ctx: &Context, spam: u64, share: f64) -> Result {
///     ctx.measure("batch").field("spam", spam).field("share", share).tag("kind", "nightly").save()?;
///     Ok(())
/// }
/// ```
#[must_use = "a measurement is taken by save()"]
pub struct Measurement<'a> {
    pub(crate) host: &'a Current,
    pub(crate) name: String,
    pub(crate) fields: Vec<(String, Value)>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) time: Option<i64>,
}

/// The value of a measurement's field.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A finite number.
    Float(f64),
    /// A signed integer.
    Signed(i64),
    /// An unsigned integer.
    Unsigned(u64),
    /// Yes or no.
    Boolean(bool),
    /// Text.
    Text(String),
}

/// What this node is. Constant for the life of the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The runtime (tenant).
    pub runtime_id: String,
    /// The version's name.
    pub version: String,
    /// The version's id.
    pub version_id: String,
    /// The workflow's name.
    pub workflow: String,
    /// The node's name.
    pub node: String,
    /// Where the package's files are.
    pub base_path: String,
}

impl Configuration<'_> {
    /// The value of `key`: this node's, else the workflow's, else the project's.
    ///
    /// # Errors
    /// Not a valid key, or the store cannot be reached.
    pub fn get(&self, key: &str) -> Result<Option<String>, ConfigurationError> {
        self.0.get(key, None)
    }

    /// The value of `key` in one scope alone.
    ///
    /// # Errors
    /// Not a valid key, or the store cannot be reached.
    pub fn get_in(&self, scope: Scope, key: &str) -> Result<Option<String>, ConfigurationError> {
        self.0.get(key, Some(scope))
    }

    /// Sets this node's value.
    ///
    /// # Errors
    /// Not a valid key, too large a value, or the store cannot be reached.
    pub fn set(&self, key: &str, value: &str) -> Result<(), ConfigurationError> {
        self.0.set(key, value, None)
    }

    /// Sets the value in one scope.
    ///
    /// # Errors
    /// Not a valid key, too large a value, or the store cannot be reached.
    pub fn set_in(&self, scope: Scope, key: &str, value: &str) -> Result<(), ConfigurationError> {
        self.0.set(key, value, Some(scope))
    }

    /// Deletes this node's value; it is no error if there is none.
    ///
    /// # Errors
    /// Not a valid key, or the store cannot be reached.
    pub fn delete(&self, key: &str) -> Result<(), ConfigurationError> {
        self.0.delete(key, None)
    }

    /// Deletes the value in one scope; it is no error if there is none.
    ///
    /// # Errors
    /// Not a valid key, or the store cannot be reached.
    pub fn delete_in(&self, scope: Scope, key: &str) -> Result<(), ConfigurationError> {
        self.0.delete(key, Some(scope))
    }
}

impl ObjectStore<'_> {
    /// The whole object.
    ///
    /// # Errors
    /// There is none of this name, it is too large for this node, or the store cannot be reached.
    pub fn get(&self, name: &str) -> Result<Vec<u8>, ObjectStoreError> {
        self.0.get_object(name)
    }

    /// Creates or replaces an object.
    ///
    /// # Errors
    /// Not a valid name, too large, or the store cannot be reached.
    pub fn save(&self, name: &str, data: &[u8]) -> Result<(), ObjectStoreError> {
        self.0.save_object(name, data)
    }

    /// All names, sorted.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub fn list(&self) -> Result<Vec<String>, ObjectStoreError> {
        self.0.list_objects(None)
    }

    /// The names in which `pattern`, a regular expression, is found; sorted.
    ///
    /// # Errors
    /// Not a regular expression, or the store cannot be reached.
    pub fn list_matching(&self, pattern: &str) -> Result<Vec<String>, ObjectStoreError> {
        self.0.list_objects(Some(pattern))
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// There is none of this name, or the store cannot be reached.
    pub fn delete(&self, name: &str) -> Result<(), ObjectStoreError> {
        self.0.delete_object(name)
    }

    /// Deletes all objects and says how many there were.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub fn purge(&self) -> Result<u32, ObjectStoreError> {
        self.0.purge_objects(None)
    }

    /// Deletes the objects in whose names `pattern` is found and says how many there were.
    ///
    /// # Errors
    /// Not a regular expression, or the store cannot be reached.
    pub fn purge_matching(&self, pattern: &str) -> Result<u32, ObjectStoreError> {
        self.0.purge_objects(Some(pattern))
    }
}

impl Measurement<'_> {
    /// Adds a field: what was measured. At least one is needed.
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Adds a tag: what to group by. The host adds `version`, `workflow` and `node`.
    pub fn tag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.push((name.into(), value.into()));
        self
    }

    /// When it was measured, in place of now.
    pub fn at(mut self, time: SystemTime) -> Self {
        self.time = Some(nanos(time));
        self
    }

    /// Hands it to the host, without waiting for the network.
    ///
    /// # Errors
    /// No name, no field, a number that is not finite, or the host's buffer is full.
    pub fn save(self) -> Result<(), MeasurementError> {
        self.host.measure(&self.name, self.fields, self.tags, self.time)
    }
}

/// Since the Unix epoch. Nanoseconds fit until the year 2262; later or earlier is cut there.
pub(crate) fn nanos(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
    }
}

macro_rules! value_from {
    ($($from:ty => $case:ident),* $(,)?) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$case(value.into())
            }
        }
    )*};
}

value_from! {
    f64 => Float, f32 => Float,
    i64 => Signed, i32 => Signed, i16 => Signed, i8 => Signed,
    u64 => Unsigned, u32 => Unsigned, u16 => Unsigned, u8 => Unsigned,
    bool => Boolean, String => Text, &str => Text,
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Unsigned(value as u64)
    }
}
