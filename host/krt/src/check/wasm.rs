//! The `wasm:` section of a node: limits, grants and build, with defaults filled in.

use std::time::Duration;

use super::{quantity, rules};
use crate::manifest::{self, At};
use crate::problem::{Report, quote};
use crate::topology::{Allow, Build, InstanceMode, Retry, Wasm};

/// A guest needs some pages to stand on; 4 GiB is what 32-bit addresses reach.
const MEMORY: std::ops::RangeInclusive<u64> = (1 << 20)..=(4 << 30);
const LONGEST: Duration = Duration::from_secs(24 * 3600);
const SHORTEST: Duration = Duration::from_millis(1);
/// Each holds its instance's memory; more than this is a slip.
const MOST_CONCURRENCY: i64 = 1024;
const MOST_ATTEMPTS: i64 = 100;

/// Judges a section. What is wrong is the default in the result.
pub(super) fn wasm(wasm: &manifest::Wasm, report: &mut Report<'_>) -> Wasm {
    let default = Wasm::default();
    Wasm {
        memory: wasm.memory.as_ref().map_or(default.memory, |memory| self::memory(memory, report)),
        timeout: wasm
            .timeout
            .as_ref()
            .map_or(default.timeout, |timeout| duration("timeout", timeout, SHORTEST, report)),
        concurrency: bounded("concurrency", wasm.concurrency.as_ref(), default.concurrency, MOST_CONCURRENCY, report),
        instance: wasm.instance.as_ref().map_or(default.instance, |mode| instance(mode, report)),
        retry: wasm.retry.as_ref().map_or(default.retry, |retry| self::retry(retry, report)),
        allow: wasm.allow.as_ref().map_or(default.allow, |allow| self::allow(allow, report)),
        build: wasm.build.as_ref().map(|build| self::build(build, report)),
    }
}

fn memory(memory: &At<String>, report: &mut Report<'_>) -> u64 {
    let bounds = "give 1Mi to 4Gi, for example `memory: 64Mi`";
    match quantity::bytes(memory) {
        Some(bytes) if MEMORY.contains(&bytes) => bytes,
        Some(_) => {
            let message = format!("a node cannot have {} of memory", quote(memory));
            report.error("bad-limit", memory.at.clone(), message, bounds);
            Wasm::default().memory
        }
        None => {
            report.error(
                "bad-limit",
                memory.at.clone(),
                format!("{} is not an amount of memory", quote(memory)),
                bounds,
            );
            Wasm::default().memory
        }
    }
}

fn duration(key: &str, text: &At<String>, shortest: Duration, report: &mut Report<'_>) -> Duration {
    let fault = match quantity::duration(text) {
        Some(duration) if (shortest..=LONGEST).contains(&duration) => return duration,
        Some(duration) if duration < shortest => format!("`{key}` is too short: {}", quote(text)),
        Some(_) => format!("`{key}` is too long: {}", quote(text)),
        None if text.parse::<f64>().is_ok() => format!("`{key}` has no unit: {}", quote(text)),
        None => format!("{} is not a duration", quote(text)),
    };
    let least = if shortest.is_zero() { "0s" } else { "1ms" };
    report.error(
        "bad-limit",
        text.at.clone(),
        fault,
        format!("give {least} to 24h, for example `{key}: 30s`, `500ms` or `1m30s`"),
    );
    SHORTEST
}

fn bounded(key: &str, number: Option<&At<i64>>, default: u32, most: i64, report: &mut Report<'_>) -> u32 {
    let Some(number) = number else { return default };
    if (1..=most).contains(&number.value) {
        return u32::try_from(number.value).unwrap_or(default);
    }
    let message = format!("`{key}` cannot be {}", number.value);
    report.error("bad-limit", number.at.clone(), message, format!("give a number from 1 to {most}"));
    default
}

fn instance(mode: &At<String>, report: &mut Report<'_>) -> InstanceMode {
    match mode.as_str() {
        "reuse" => InstanceMode::Reuse,
        "fresh" => InstanceMode::Fresh,
        _ => {
            let message = format!("{} is not a way to keep instances", quote(mode));
            let help = "write `reuse` (an instance serves many messages) or `fresh` (each message gets a new one)";
            report.error("bad-instance", mode.at.clone(), message, help);
            InstanceMode::Reuse
        }
    }
}

fn retry(retry: &manifest::Retry, report: &mut Report<'_>) -> Retry {
    let default = Retry::default();
    let backoff = retry.backoff.as_ref().map(|backoff| duration("backoff", backoff, Duration::ZERO, report));
    let longest = retry.backoff_max.as_ref().map(|longest| duration("backoffMax", longest, Duration::ZERO, report));
    let made = Retry {
        attempts: bounded("attempts", retry.attempts.as_ref(), default.attempts, MOST_ATTEMPTS, report),
        backoff: backoff.unwrap_or(default.backoff.min(longest.unwrap_or(default.backoff))),
        backoff_max: longest.unwrap_or(default.backoff_max.max(backoff.unwrap_or_default())),
    };
    if let (Some(longest), true) = (&retry.backoff_max, made.backoff > made.backoff_max) {
        let message = format!("`backoffMax` is shorter than `backoff`: {}", quote(longest));
        report.error("bad-limit", longest.at.clone(), message, "the delay grows from `backoff` to `backoffMax`");
    }
    made
}

fn allow(allow: &manifest::Allow, report: &mut Report<'_>) -> Allow {
    for host in &allow.http {
        let fault = quantity::http_host(host);
        if let Err(help) = fault {
            report.error("bad-host", host.at.clone(), format!("{} is not a host for outbound HTTP", quote(host)), help);
        }
    }
    for host in &allow.tcp {
        if let Err(help) = quantity::tcp_host(host) {
            report.error("bad-host", host.at.clone(), format!("{} is not a host and port", quote(host)), help);
        }
    }
    let texts = |hosts: &[At<String>]| hosts.iter().map(|host| host.value.to_ascii_lowercase()).collect();
    Allow { http: texts(&allow.http), tcp: texts(&allow.tcp) }
}

fn build(build: &manifest::Build, report: &mut Report<'_>) -> Build {
    match build {
        manifest::Build::Source(source) => {
            rules::folder(report, "the source folder", source);
            Build { source: rules::normal_folder(source), command: None, output: None }
        }
        manifest::Build::Recipe(recipe) => {
            rules::folder(report, "the source folder", &recipe.source);
            if let Some(output) = &recipe.output {
                rules::path(report, "the path of the output", output);
                if recipe.command.is_none() {
                    let help = "add `command:`, or leave `output` out: krt knows where its own toolchains put it";
                    report.error("missing-key", output.at.clone(), "`output` is given without a `command`", help);
                }
            }
            if let Some(command) = &recipe.command
                && command.trim().is_empty()
            {
                report.error(
                    "missing-key",
                    command.at.clone(),
                    "the `command` is empty",
                    "write the command, or leave the key out",
                );
            }
            Build {
                source: rules::normal_folder(&recipe.source),
                command: recipe.command.as_ref().map(|command| command.value.clone()),
                output: recipe.output.as_ref().map(|output| rules::normal(output)),
            }
        }
    }
}
