//! `krt run --stats`: what the instances of each node have to themselves, while they are warm. Never stops a version.

use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Globals, Output, print};
use crate::engine::{Engine, Usage};

/// What of the memory is told, and when.
#[derive(Debug, clap::Args)]
pub(super) struct StatsArgs {
    /// Print the memory of each node's warm instances when the version ends, and every so many seconds before
    ///
    /// Private is what an instance wrote to, as the kernel counts it: pages of the component's file are shared by all
    /// instances. Linear is what counts against `wasm.memory`. With --output json, one line of JSON each time.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "0")]
    stats: Option<u32>,
}

impl StatsArgs {
    /// Tells it in the background until `stop`, and once more then. What is returned stops after that: the instances
    /// must not go before.
    pub(super) fn tell(&self, engine: &Engine, globals: &Globals, stop: CancellationToken) -> CancellationToken {
        let Some(every) = self.stats else { return stop };
        let told = CancellationToken::new();
        let (engine, output, done) = (engine.clone(), globals.output, told.clone().drop_guard());
        tokio::spawn(async move {
            let _done = done;
            loop {
                let next = async {
                    match every {
                        0 => std::future::pending().await,
                        seconds => tokio::time::sleep(Duration::from_secs(seconds.into())).await,
                    }
                };
                let last = tokio::select! {
                    () = stop.cancelled() => true,
                    () = next => false,
                };
                let engine = engine.clone();
                // Reading the kernel's tables takes ms.
                let told = tokio::task::spawn_blocking(move || engine.usage()).await;
                match told {
                    Ok(Ok(usage)) => show(&usage, output),
                    Ok(Err(error)) => tracing::warn!("the memory of instances is not known: {error}"),
                    Err(error) => tracing::warn!("the memory of instances was not measured: {error}"),
                }
                if last {
                    return;
                }
            }
        });
        told
    }
}

fn show(usage: &[Usage], output: Output) {
    let text = match output {
        Output::Json => format!("{}\n", as_json(usage)),
        Output::Text => as_text(usage),
    };
    if let Err(error) = print::out(&text) {
        tracing::warn!("standard output is of no use: {error:#}");
    }
}

fn as_json(usage: &[Usage]) -> serde_json::Value {
    let node = |usage: &Usage| {
        json!({
            "workflow": usage.identity.workflow,
            "node": usage.identity.node,
            "instances": usage.instances,
            "private_bytes": usage.private,
            "linear_bytes": usage.linear,
        })
    };
    json!({"event": "stats", "nodes": usage.iter().map(node).collect::<Vec<_>>()})
}

fn as_text(usage: &[Usage]) -> String {
    let mib = |bytes: u64| format!("{:.2} MiB", bytes as f64 / f64::from(1 << 20));
    let mut rows = vec![["node", "instances", "private", "linear memory, each"].map(str::to_owned).to_vec()];
    for one in usage {
        let name = format!("{}/{}", one.identity.workflow, one.identity.node);
        rows.push(vec![name, one.instances.to_string(), mib(one.private), mib(one.linear)]);
    }
    format!("\nmemory of warm instances\n\n{}", print::columns(&rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Identity;

    #[test]
    fn people_see_mebibytes_and_scripts_see_bytes() {
        let identity = Identity { workflow: "w".into(), node: "n".into(), ..Identity::default() };
        let usage = [Usage { identity, instances: 2, linear: 1 << 20, private: 1 << 19 }];
        assert_eq!(
            as_text(&usage),
            "\nmemory of warm instances\n\n  node  instances  private   linear memory, each\n  \
             w/n   2          0.50 MiB  1.00 MiB\n"
        );
        assert_eq!(as_json(&usage)["nodes"][0]["private_bytes"], 1 << 19);
    }
}
