//! From a cached component to its first instance, and what idle components weigh.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use krt::topology::Wasm;
use krt_host::engine::Engine;

use crate::guests::{Guests, engine_options, node_options};
use crate::process::Usage;
use crate::table::Table;

/// Idle components at once.
const IDLE: usize = 1000;

/// Runs both.
///
/// # Errors
/// A component does not load or a node does not start.
pub(crate) fn run(guests: &Guests) -> anyhow::Result<Table> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let cache = tempfile::tempdir()?;
        let bytes = std::fs::read(guests.version.join("bin/echo.wasm"))?;
        let options = || node_options(&guests.topology, Wasm::default());

        let cold = Instant::now();
        Engine::new(engine_options(Some(cache.path().to_owned())))?.load("echo.wasm", &bytes)?;
        let cold = cold.elapsed();

        let (mut loads, mut starts) = (Vec::new(), Vec::new());
        for _ in 0..21 {
            // A new engine each time: nothing is left in memory from the load before.
            let engine = Engine::new(engine_options(Some(cache.path().to_owned())))?;
            let options = options().await?;
            let begin = Instant::now();
            let component = engine.load("echo.wasm", &bytes)?;
            loads.push(begin.elapsed());
            let _node = engine.node(&component, options).await?;
            starts.push(begin.elapsed());
        }

        // Different components, as a thousand nodes of a fleet of versions are: nothing is shared but the engine.
        let compiler = Engine::new(engine_options(Some(cache.path().to_owned())))?;
        let different: Vec<Vec<u8>> = (0..IDLE).map(|n| with_custom_section(&bytes, n)).collect();
        for bytes in &different {
            compiler.load("echo.wasm", bytes)?;
        }
        drop(compiler);
        let engine = Engine::new(engine_options(Some(cache.path().to_owned())))?;
        let before = Usage::of(std::process::id())?;
        let mut idle = Vec::with_capacity(IDLE);
        for bytes in &different {
            let component = engine.load("echo.wasm", bytes)?;
            idle.push(engine.node(&component, options().await?).await?);
        }
        let after = Usage::of(std::process::id())?;
        let mut table = Table::new("Start and memory of an example node", &["what", "figure"]);
        let mut row = |what: &str, figure: String| table.row(&[what.to_owned(), figure]);
        row("compile, nothing cached", milliseconds(cold));
        row("load from the cache", milliseconds(median(loads).context("loads")?));
        row("load from the cache + first instance + init", milliseconds(median(starts).context("starts")?));
        row(
            &format!("resident memory of {IDLE} idle components, a warm instance each"),
            format!("{:.0} MiB", (after.resident.saturating_sub(before.resident)) as f64 / f64::from(1 << 20)),
        );
        Ok(table)
    })
}

/// The same component with another digest: a custom section (id 0) that holds nothing but a name of eight bytes.
fn with_custom_section(component: &[u8], n: usize) -> Vec<u8> {
    let name = format!("{n:08}");
    let mut bytes = component.to_vec();
    bytes.extend([0, 1 + name.len() as u8, name.len() as u8]);
    bytes.extend(name.as_bytes());
    bytes
}

fn median(mut values: Vec<Duration>) -> Option<Duration> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}
