//! What a hostile node does to its neighbour: the neighbour's latency alone and beside each attack, in one process.

use std::time::Duration;

use e2e::load::{self, Load, Message};
use e2e::running::Running;

use crate::table::Table;

/// Calls of the neighbour under way at once: few, so that what is seen is waiting for the processor, not for each other.
const CALM: usize = 4;
/// Attacks under way at once.
const ATTACKS: usize = 8;
/// How long each stage runs.
const STAGE: Duration = Duration::from_secs(6);

/// Runs all attacks.
///
/// # Errors
/// The version does not start, or a call of the neighbour failed.
pub(crate) fn run() -> anyhow::Result<Table> {
    let version = e2e::built("tests/guests/hostile");
    let running = Running::start(version.path(), &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let load = |method: &str, message, in_flight| Load {
        address: running.grpc.clone(),
        path: format!("/hostile.Entrypoint/{method}"),
        in_flight,
        message,
        duration: STAGE,
    };
    let calm = load("Calm", Message::Command("echo"), CALM);
    runtime.block_on(load::run(&calm))?;
    let mut table = Table::new(
        "A well-behaved neighbour beside a hostile node (two workflows of one process)",
        &["attack", "attacks ended", "neighbour p50", "p99", "alone before, after", "p99 ÷ alone"],
    );
    let attacks = [
        ("endless loop", "loop"),
        ("memory bomb", "allocate 1000000000"),
        ("deep recursion", "recurse"),
        ("a trap on every message", "panic"),
        ("log flood", "flood"),
        ("sleep in a host call", "sleep 100"),
    ];
    let ms = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
    // The machine is not the same from one minute to the next: each attack stands between two stages without one.
    let alone = || anyhow::Ok(runtime.block_on(load::run(&calm))?.quantile(0.99));
    let mut before = alone()?;
    for (name, command) in attacks {
        let attack = load("Attack", Message::Text(command), ATTACKS);
        let (outcome, ended) = runtime.block_on(async { tokio::try_join!(load::run(&calm), load::attack(&attack)) })?;
        let after = alone()?;
        let p99 = outcome.quantile(0.99);
        table.row(&[
            name.to_owned(),
            ended.to_string(),
            ms(outcome.quantile(0.5)),
            ms(p99),
            format!("{}, {}", ms(before), ms(after)),
            format!("{:.2}", 2.0 * p99.as_secs_f64() / (before + after).as_secs_f64()),
        ]);
        before = after;
    }
    Ok(table)
}
