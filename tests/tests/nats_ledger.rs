//! Whatever is killed, nothing is lost and nothing is doubled. A short run here; `make ledger` makes long ones.

use std::time::Duration;

use e2e::ledger::{Ledger, Verdict};

/// A number from the environment: `make ledger` sets them.
fn given(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_effect_is_there_once_whatever_is_killed() {
    let ledger = Ledger {
        requests: given("KRT_LEDGER_REQUESTS", 10_000),
        in_flight: given("KRT_LEDGER_IN_FLIGHT", 200) as usize,
        kill_every: Duration::from_secs(2),
        seed: given("KRT_LEDGER_SEED", 1),
        settle: Duration::from_secs(120),
    };
    // Were all of one kind gone for good, callers would wait for ever.
    let patience = Duration::from_secs(300 + ledger.requests / 20);
    let run = tokio::time::timeout(patience, ledger.run()).await.expect("it ends");
    let Some(account) = run else { return };
    println!("{account}");
    assert_eq!(account.verdicts.len() as u64, ledger.requests, "every request ended");
    assert_eq!(account.count(|verdict| matches!(verdict, Verdict::Foreign)), 0, "an answer went to another caller");
    assert_eq!(account.unbalanced(), [], "request, subject, effects");
    assert_eq!(account.pending, []);
    assert_eq!(account.dead_letters, 0);
}
