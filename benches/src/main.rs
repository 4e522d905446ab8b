//! Side-by-side benchmarks: prints tables of figures and ratios, and keeps the last ones in RESULTS.md.
//!
//! Figures of one run belong together; figures of two runs do not: machines differ and are shared.

#![allow(clippy::print_stdout, reason = "this is what it is for")]

mod calls;
mod containment;
mod front;
mod guests;
mod hops;
mod languages;
mod nodes;
mod process;
mod runs;
mod start;
mod table;

use std::fmt::Write as _;

use guests::Guests;

fn main() -> anyhow::Result<()> {
    let only = std::env::args().nth(1);
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let guests = Guests::build()?;
    let mut results = String::new();
    type Bench = fn(&Guests) -> anyhow::Result<table::Table>;
    for (name, bench) in [
        ("nodes", nodes::run as Bench),
        ("start", start::run),
        ("calls", calls::run),
        ("containment", |_| containment::run()),
        ("hops", hops::run),
        ("front", front::run),
        ("runs", runs::run),
        ("languages", languages::engine),
        ("native", languages::native),
    ] {
        if wanted(name) {
            let table = bench(&guests)?.to_string();
            println!("{table}");
            writeln!(results, "{table}")?;
        }
    }
    if only.is_none() {
        keep(&results)?;
    }
    Ok(())
}

/// Replaces what stands between the markers of RESULTS.md.
fn keep(results: &str) -> anyhow::Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/RESULTS.md");
    let text = std::fs::read_to_string(path)?;
    let (begin, end) = ("<!-- begin: make bench -->\n", "<!-- end: make bench -->");
    let from = text.find(begin).map(|at| at + begin.len());
    let (Some(from), Some(to)) = (from, text.find(end)) else {
        anyhow::bail!("{path} has lost its markers");
    };
    let machine = machine();
    std::fs::write(path, format!("{}{machine}\n\n{results}{}", &text[..from], &text[to..]))?;
    Ok(())
}

/// The machine's own words.
fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split(':').nth(1)).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("Machine: {}, {cores} cores, Linux.", model.trim())
}
