//! Components that are compiled beforehand, in another process of the same krt. Never decides whom to believe.

use super::cache::{Cache, Key, Miss};
use super::{Engine, LoadError};

/// A compiled component, as a cache keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its file's name: the component's digest, and what the engine must be.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Why an entry is not taken; the component is compiled here then.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// This engine keeps nothing.
    #[error("this host has no cache for compiled components")]
    NoCache,
    /// Of another engine, or of no component.
    #[error("{name:?} was compiled for another engine; this one wants {wanted:?}")]
    OtherEngine {
        /// What it is called.
        name: String,
        /// How one of the same component for this engine is called.
        wanted: String,
    },
    /// Damaged, or the disk says no.
    #[error("{0}")]
    Refused(String),
}

impl Engine {
    /// What another engine must have for its own, to take what this one compiles; none when this one keeps nothing.
    pub fn ahead_key(&self) -> Option<&str> {
        self.0.cache.as_ref().map(Cache::engine)
    }

    /// Compiles the component `bytes`, or takes what was compiled before, for caches elsewhere. `name` is for error texts.
    /// Blocks while it compiles. None when this engine keeps nothing, or the disk says no.
    ///
    /// # Errors
    /// See [`LoadError`]: what no host would load is not compiled beforehand either.
    pub fn compile_ahead(&self, name: &str, bytes: &[u8]) -> Result<Option<Entry>, LoadError> {
        let _loaded = self.load(name, bytes)?;
        let Some(cache) = &self.0.cache else { return Ok(None) };
        let key = Key::of(bytes);
        match cache.entry(key) {
            Ok(bytes) => Ok(Some(Entry { name: cache.file_name(key), bytes })),
            Err(miss) => {
                tracing::warn!(component = name, "the compiled component is not to be had: {miss}");
                Ok(None)
            }
        }
    }

    /// Keeps what [`compile_ahead`](Self::compile_ahead) made elsewhere, so that loading its component finds it.
    ///
    /// # Errors
    /// See [`AdoptError`].
    ///
    /// # Assumptions
    /// The bytes are what a krt of the control plane made: native code is taken on trust. Whoever calls has compared them
    /// with a digest that came with the arguments of this process, not with the entry.
    pub fn adopt(&self, entry: &Entry) -> Result<(), AdoptError> {
        let cache = self.0.cache.as_ref().ok_or(AdoptError::NoCache)?;
        let key = key(cache, &entry.name)?;
        cache.adopt(key, &entry.bytes).map_err(|miss| match miss {
            Miss::Damaged => {
                AdoptError::Refused("it is damaged, or of another component than its name says".to_owned())
            }
            miss => AdoptError::Refused(miss.to_string()),
        })
    }
}

fn key(cache: &Cache, name: &str) -> Result<Key, AdoptError> {
    let key = name.split_once('-').and_then(|(digest, _)| Key::from_hex(digest));
    let wanted = key.map_or_else(|| "DIGEST-ENGINE.cwasm".to_owned(), |key| cache.file_name(key));
    match key {
        Some(key) if wanted == name => Ok(key),
        _ => Err(AdoptError::OtherEngine { name: name.to_owned(), wanted }),
    }
}
