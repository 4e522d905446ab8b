//! The guest of the benchmarks, built by `krt build`, and an engine to run it.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use krt::topology::{Topology, Wasm};
use krt_host::engine::{Component, Configuration, Engine, EngineOptions, Identity, Limits, NodeOptions, WasmNode};
use krt_host::store::Stores as _;
use krt_host::store::embedded::EmbeddedStores;
use krt_host::telemetry::{Dropped, Measurements, Metrics, Point};

/// The version `line` of the tests' guests, built.
pub(crate) struct Guests {
    /// Its folder.
    pub(crate) version: PathBuf,
    /// Its topology.
    pub(crate) topology: Topology,
    engine: Engine,
    component: Component,
    _folder: tempfile::TempDir,
}

impl Guests {
    /// Builds the guest and loads it.
    ///
    /// # Errors
    /// It cannot be built or loaded.
    pub(crate) fn build() -> anyhow::Result<Self> {
        let folder = e2e::built("tests/guests/line");
        let version = folder.path().to_owned();
        let manifest = std::fs::read(version.join("krt.yml"))?;
        let checked = krt::check::check("krt.yml", &manifest, None);
        let topology = checked.topology.context("the manifest has errors")?;
        let engine = Engine::new(engine_options(None))?;
        let component = engine.load("echo.wasm", &std::fs::read(version.join("bin/echo.wasm"))?)?;
        Ok(Self { version, topology, engine, component, _folder: folder })
    }

    /// A node of it.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) async fn node(&self, wasm: Wasm) -> anyhow::Result<Arc<WasmNode>> {
        Ok(self.engine.node(&self.component, node_options(&self.topology, wasm).await?).await?)
    }
}

/// The engine's defaults, with a cache or without.
pub(crate) fn engine_options(cache: Option<PathBuf>) -> EngineOptions {
    EngineOptions { cache, ..EngineOptions::default() }
}

/// A node of workflow `line`, with stores of its own.
///
/// # Errors
/// The stores lack a bucket of the plan.
pub(crate) async fn node_options(topology: &Topology, wasm: Wasm) -> anyhow::Result<NodeOptions> {
    let names = krt::names::Names::new("bench", &topology.version);
    let stores = EmbeddedStores::new();
    stores.apply(&krt::plan::plan(topology, "bench"));
    Ok(NodeOptions {
        identity: Identity {
            runtime_id: "bench".to_owned(),
            version: topology.version.clone(),
            version_id: topology.version.clone(),
            workflow: "line".to_owned(),
            node: "first".to_owned(),
        },
        wasm,
        replicas: 1,
        environment: Vec::new(),
        package: None,
        configuration: Configuration {
            node: stores.key_value(&names.key_value_node("line", "first")).await?,
            workflow: stores.key_value(&names.key_value_workflow("line")).await?,
            project: stores.key_value(&names.key_value_project()).await?,
        },
        object_store: None,
        database: Default::default(),
        measurements: Arc::new(Nowhere),
        metrics: Arc::new(Metrics::default()),
        max_payload: 1 << 20,
        limits: Limits::default(),
    })
}

/// Takes measurements and forgets them.
struct Nowhere;

impl Measurements for Nowhere {
    fn save(&self, _point: Point) -> Result<(), Dropped> {
        Ok(())
    }
}
