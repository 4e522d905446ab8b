//! A node that is a WebAssembly component. The only place that names wasmtime.
//!
//! [`Engine`] compiles components, keeps what it compiled, and checks that they fit the contract before anything runs;
//! [`WasmNode`] runs one, within limits, and lives on whatever its guest does. Never reads a manifest or a bus.

mod ahead;
mod bindings;
mod cache;
mod config;
mod drive;
mod imports;
mod instance;
mod lane;
mod limits;
mod load;
mod log;
mod network;
mod node;
mod outcome;
mod pool;
mod seen;
mod standing;
mod state;
mod stdio;
mod ticker;
mod usage;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use wasmtime::component::Linker;

use self::bindings::NodePre;
use self::cache::{Cache, Key, Miss};
use self::lane::{Lanes, Way, give_way};
use self::state::State;
use self::ticker::Ticker;

use crate::artifact::{FileError, read_open};

pub use self::ahead::{AdoptError, Entry};
pub use self::limits::Limits;
pub use self::load::{ExportProblem, ImportProblem, ImportReason, LoadError, NotAComponent};
pub use self::node::{Configuration, Identity, NodeOptions, StartError, WasmNode};
pub use self::usage::Usage;

/// How an engine is set up.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Folder for compiled components; made when missing. None = compile every time.
    pub cache: Option<PathBuf>,
    /// Instances at a time, of all nodes together. Each costs address space (8 GiB), not memory.
    pub max_instances: u32,
}

/// Runs components. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

/// A component that fits the contract, compiled. Cheap to clone.
#[derive(Clone)]
pub struct Component(Arc<Loaded>);

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The address space for the pool is not to be had: fewer instances, or a higher limit of the process.
    #[error("no room for {instances} instances (is the address space limited? see `ulimit -v`): {source}")]
    Pool {
        /// Instances asked for.
        instances: u32,
        /// The engine's words.
        source: wasmtime::Error,
    },
    /// No thread to be had.
    #[error("the engine's clock could not be started: {0}")]
    Thread(#[source] std::io::Error),
}

struct Inner {
    engine: wasmtime::Engine,
    linker: Linker<State>,
    cache: Option<Cache>,
    lanes: Arc<Lanes>,
    ticker: Arc<Ticker>,
    /// What is in use, so that two nodes made of the same component share its code.
    loaded: Mutex<HashMap<Key, Weak<Loaded>>>,
    /// For [`Engine::usage`].
    nodes: Mutex<Vec<Weak<WasmNode>>>,
}

struct Loaded {
    pre: NodePre<State>,
    /// Bytes of its largest initial memory.
    initial_memory: usize,
    /// Linear memories of an instance.
    memories: usize,
    /// Its file's name in the cache, if there is a cache.
    file: Option<String>,
    engine: Arc<Inner>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { cache: None, max_instances: 2048 }
    }
}

impl Engine {
    /// An engine with a clock of its own.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn new(options: EngineOptions) -> Result<Self, EngineError> {
        let instances = options.max_instances.max(1);
        let pool = |source| EngineError::Pool { instances, source };
        let engine = config::engine(instances).map_err(pool)?;
        let linker = imports::linker(&engine).map_err(pool)?;
        let ticker = Ticker::start(engine.weak()).map_err(EngineError::Thread)?;
        let cache = options.cache.map(|folder| Cache::new(folder, &engine));
        let (lanes, loaded, nodes) = (Arc::default(), Mutex::default(), Mutex::default());
        Ok(Self(Arc::new(Inner { engine, linker, cache, lanes, ticker, loaded, nodes })))
    }

    /// Makes a component of `bytes`; `name` is for error texts. Blocks while it compiles, which may take seconds.
    ///
    /// # Errors
    /// See [`LoadError`]: the file is not a component, or not one that fits the contract.
    pub fn load(&self, name: &str, bytes: &[u8]) -> Result<Component, LoadError> {
        self.load_as(name, Key::of(bytes), bytes, None)
    }

    /// `missed`: what was just looked for in vain, and told what is wrong with it there.
    fn load_as(&self, name: &str, key: Key, bytes: &[u8], missed: Option<Key>) -> Result<Component, LoadError> {
        load::classify(name, bytes)?;
        if missed != Some(key)
            && let Some(component) = self.at_hand(name, key)?
        {
            return Ok(component);
        }
        self.component(name, key, self.compile(name, key, bytes)?)
    }

    /// As [`Self::load`], of a file, which is not even read if it was before, has not changed since, and its machine code is
    /// in the cache. `limit`: the most bytes that are read.
    ///
    /// # Errors
    /// See [`LoadError`], and [`LoadError::Unreadable`].
    pub fn load_file(&self, name: &str, file: &mut File, limit: usize) -> Result<Component, LoadError> {
        let unreadable = |source| LoadError::Unreadable { name: name.to_owned(), source };
        let before = file.metadata().map_err(|error| unreadable(error.into()))?;
        let known = self.0.cache.as_ref().and_then(|cache| cache.known(&before));
        if let Some(component) = known.map(|key| self.at_hand(name, key)).transpose()?.flatten() {
            return Ok(component);
        }
        let bytes = read_open(file, limit).map_err(unreadable)?;
        let key = Key::of(&bytes);
        let component = self.load_as(name, key, &bytes, known)?;
        self.know(file, &before, key);
        Ok(component)
    }

    /// Names the content of a file, which is not read if it was before and has not changed since. `limit`: the most bytes
    /// that are read.
    ///
    /// # Errors
    /// See [`FileError`].
    pub fn digest(&self, file: &mut File, limit: usize) -> Result<[u8; 32], FileError> {
        let before = file.metadata()?;
        if let Some(key) = self.0.cache.as_ref().and_then(|cache| cache.known(&before)) {
            return Ok(key.bytes());
        }
        let key = Key::of(&read_open(file, limit)?);
        self.know(file, &before, key);
        Ok(key.bytes())
    }

    fn know(&self, file: &File, before: &std::fs::Metadata, key: Key) {
        if let (Some(cache), Ok(after)) = (&self.0.cache, file.metadata()) {
            cache.know(before, &after, key);
        }
    }

    /// A component that is in use already, or whose machine code is in the cache.
    fn at_hand(&self, name: &str, key: Key) -> Result<Option<Component>, LoadError> {
        let known = self.0.loaded().get(&key).and_then(Weak::upgrade);
        if let Some(loaded) = known {
            return Ok(Some(Component(loaded)));
        }
        self.cached(name, key).map(|compiled| self.component(name, key, compiled)).transpose()
    }

    fn component(
        &self,
        name: &str,
        key: Key,
        compiled: wasmtime::component::Component,
    ) -> Result<Component, LoadError> {
        let pre = load::bind(name, &compiled, &self.0.linker)?;
        let initial_memory = load::check_size(name, &compiled)?;
        let memories = compiled.resources_required().map_or(1, |needed| needed.num_memories as usize);
        let file = self.0.cache.as_ref().map(|cache| cache.file_name(key));
        let loaded = Arc::new(Loaded { pre, initial_memory, memories, file, engine: self.0.clone() });
        let mut all = self.0.loaded();
        all.retain(|_, loaded| loaded.strong_count() > 0);
        all.insert(key, Arc::downgrade(&loaded));
        Ok(Component(loaded))
    }

    /// Starts a node: instantiates the component and runs `init` in each instance.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn node(&self, component: &Component, options: NodeOptions) -> Result<Arc<WasmNode>, StartError> {
        let node = WasmNode::start(component, options).await?;
        let mut nodes = self.0.nodes();
        nodes.retain(|node| node.strong_count() > 0);
        nodes.push(Arc::downgrade(&node));
        drop(nodes);
        Ok(node)
    }

    fn cached(&self, name: &str, key: Key) -> Option<wasmtime::component::Component> {
        let cache = self.0.cache.as_ref()?;
        match cache.load(key, &self.0.engine) {
            Ok(compiled) => Some(compiled),
            Err(Miss::Absent) => None,
            Err(miss) => {
                tracing::warn!(component = name, "the compiled component is not used: {miss}; it is compiled anew");
                None
            }
        }
    }

    fn compile(&self, name: &str, key: Key, bytes: &[u8]) -> Result<wasmtime::component::Component, LoadError> {
        load::check_names(name, bytes)?;
        let engine = &self.0.engine;
        // Threads of low priority: a host that starts a version goes on serving the others.
        let pool = rayon::ThreadPoolBuilder::new()
            .thread_name(|_| "krt-compile".into())
            .start_handler(|_| give_way(Way::Share))
            .build()
            .map_err(|error| LoadError::Host { name: name.into(), source: std::io::Error::other(error) })?;
        let code = pool.install(|| engine.precompile_component(bytes));
        let code = code.map_err(|error| load::uncompiled(name, &error))?;
        if let Some(cache) = &self.0.cache {
            match cache.store(key, &code) {
                // What runs is then mapped from the file, and shared with whoever runs it too.
                Ok(()) => {
                    if let Ok(compiled) = cache.load(key, engine) {
                        return Ok(compiled);
                    }
                }
                Err(miss) => tracing::warn!(component = name, "the compiled component is not kept: {miss}"),
            }
        }
        // SAFETY: these bytes were compiled by this engine, just above.
        unsafe { wasmtime::component::Component::deserialize(engine, &code) }
            .map_err(|error| load::uncompiled(name, &error))
    }
}

impl Component {
    fn pre(&self) -> &NodePre<State> {
        &self.0.pre
    }

    fn initial_memory(&self) -> usize {
        self.0.initial_memory
    }

    fn engine(&self) -> &Inner {
        &self.0.engine
    }
}

impl Inner {
    fn nodes(&self) -> std::sync::MutexGuard<'_, Vec<Weak<WasmNode>>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn loaded(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Weak<Loaded>>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
