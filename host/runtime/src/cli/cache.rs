//! `krt cache`, and the bounds of the folder in which krt keeps what it can make again: what was not used for long goes, then
//! what was used longest ago until the rest is small enough. Removes only what krt itself has put there.

use std::fs::{self, File, FileTimes};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use serde_json::json;
use walkdir::WalkDir;

use super::{Globals, Output, print};

/// MiB that are kept by default: some hundred components of the largest languages.
const MAX_MIB: u64 = 4096;
/// Days after which what was not used goes, by default.
const MAX_DAYS: u64 = 30;

const DAY: Duration = Duration::from_secs(86_400);
/// What was used or made this lately stays whatever the bounds are: somebody may be about to open it.
const RECENT: Duration = Duration::from_secs(3600);

/// When it was looked through last is this file's time.
const PRUNED: &str = "pruned";
/// Ends compiled components.
const COMPILED: &str = ".cwasm";
/// Begins what is being written beside its place.
const NEW: &str = ".new-";
/// Begins what is being removed.
const OLD: &str = ".old-";

/// What else there may be, of which the folders go only when everything does.
const OTHERS: [&str; 5] = ["sdk", "toolchains", "tools", "seen", PRUNED];

/// Show, bound or empty the folder in which krt keeps what it can make again
///
/// Compiled components and what builds leave behind. It is $KRT_CACHE_DIR, else $XDG_CACHE_HOME/krt, else ~/.cache/krt. Once a
/// day, in the background, what was not used for KRT_CACHE_MAX_DAYS goes, then what was used longest ago until the rest has at
/// most KRT_CACHE_MAX_MIB. Nothing is lost by it but the time to make it again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  krt cache                            where it is and how much is in it
  krt cache prune                      keep to the bounds now
  krt cache prune --max-mib 500        and to another size
  krt cache clean                      empty it, toolchains included")]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Keep to the bounds now
    #[command(after_help = "Example:\n  krt cache prune --max-days 7")]
    Prune(BoundArgs),
    /// Empty it: the next start compiles, the next build installs its toolchain
    #[command(after_help = "Example:\n  krt cache clean")]
    Clean,
}

/// The bounds.
#[derive(Debug, clap::Args)]
struct BoundArgs {
    /// MiB that are kept of compiled components and builds
    #[arg(long, value_name = "MIB", env = "KRT_CACHE_MAX_MIB", default_value_t = MAX_MIB)]
    max_mib: u64,
    /// Days for which is kept what is not used
    #[arg(long, value_name = "DAYS", env = "KRT_CACHE_MAX_DAYS", default_value_t = MAX_DAYS)]
    max_days: u64,
}

/// What is kept.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    bytes: u64,
    unused: Duration,
}

/// Something that can be made again.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    path: PathBuf,
    bytes: u64,
    /// Within a day.
    used: SystemTime,
}

/// The folder, if anything names one: `$KRT_CACHE_DIR`, else `$XDG_CACHE_HOME/krt`, else `~/.cache/krt`. None when nothing
/// does, or only by a relative path, which would mean another folder each time. Has it kept to its bounds when that was not
/// done for a day: in the background, so that nobody waits.
pub(super) fn folder() -> Option<PathBuf> {
    let folder = place()?;
    if is_due(&folder, SystemTime::now()) {
        let (folder, bounds) = (folder.clone(), bounds());
        let pruning = std::thread::Builder::new().name("krt-prune".to_owned()).spawn(move || {
            match prune(&folder, bounds, SystemTime::now()) {
                Ok(removed) if removed.is_empty() => {}
                Ok(removed) => {
                    tracing::debug!(entries = removed.len(), bytes = total(&removed), "the cache was pruned")
                }
                Err(error) => tracing::debug!(%error, "the cache is not pruned"),
            }
        });
        if let Err(error) = pruning {
            tracing::debug!(%error, "the cache is not pruned");
        }
    }
    Some(folder)
}

/// Says of a folder or file in the cache that it is used; whoever prunes goes by that.
pub(super) fn used(path: &Path) {
    // What cannot be said is not: then it goes sooner, and is made again.
    let _ = File::open(path).and_then(|file| file.set_times(FileTimes::new().set_modified(SystemTime::now())));
}

pub(super) fn run(args: Args, globals: &Globals) -> anyhow::Result<ExitCode> {
    let folder = place().context("nothing says where the cache is: set KRT_CACHE_DIR to an absolute path")?;
    let looking = || format!("looking through {}", folder.display());
    match args.action {
        None => {
            let entries = entries(&folder).with_context(looking)?;
            let others = OTHERS.iter().map(|name| size(&folder.join(name))).sum::<u64>();
            let (components, builds): (Vec<_>, Vec<_>) =
                entries.into_iter().partition(|it| it.path.parent() == Some(&folder));
            if globals.output == Output::Json {
                print::json(&json!({
                    "folder": folder, "components": { "count": components.len(), "bytes": total(&components) },
                    "builds": { "count": builds.len(), "bytes": total(&builds) }, "toolchains": { "bytes": others },
                }))?;
                return Ok(ExitCode::SUCCESS);
            }
            let row = |what: &str, bytes: u64, count: String| vec![what.to_owned(), mib(bytes), count];
            let rows = [
                row("compiled components", total(&components), components.len().to_string()),
                row("builds", total(&builds), builds.len().to_string()),
                row("toolchains and SDKs", others, String::new()),
            ];
            print::out(&format!("{}\n{}", folder.display(), print::columns(&rows)))?;
        }
        Some(Action::Prune(args)) => {
            let bounds = Bounds { bytes: args.max_mib.saturating_mul(1 << 20), unused: days(args.max_days) };
            removed(&prune(&folder, bounds, SystemTime::now()).with_context(looking)?, globals)?;
        }
        Some(Action::Clean) => removed(&clean(&folder).with_context(looking)?, globals)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn removed(entries: &[Entry], globals: &Globals) -> anyhow::Result<()> {
    match globals.output {
        Output::Json => print::json(&json!({ "removed": { "count": entries.len(), "bytes": total(entries) } })),
        Output::Text => print::out(&format!("removed {}, {} in all\n", entries.len(), mib(total(entries)))),
    }
}

fn place() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("KRT_CACHE_DIR")
        .or_else(|| absolute("XDG_CACHE_HOME").map(|path| path.join("krt")))
        .or_else(|| absolute("HOME").map(|path| path.join(".cache/krt")))
}

/// As the environment says; what is no number is not heeded here, and refused by `krt cache prune`.
fn bounds() -> Bounds {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    Bounds {
        bytes: number("KRT_CACHE_MAX_MIB").unwrap_or(MAX_MIB).saturating_mul(1 << 20),
        unused: days(number("KRT_CACHE_MAX_DAYS").unwrap_or(MAX_DAYS)),
    }
}

fn days(days: u64) -> Duration {
    Duration::from_secs(days.saturating_mul(DAY.as_secs()))
}

/// Whether nobody has looked through the folder for a day. A folder that is not there need not be looked through.
fn is_due(folder: &Path, now: SystemTime) -> bool {
    match fs::metadata(folder.join(PRUNED)).and_then(|it| it.modified()) {
        Ok(pruned) => age(pruned, now) >= DAY,
        Err(_) => folder.is_dir(),
    }
}

/// Removes what the bounds say; what that was.
fn prune(folder: &Path, bounds: Bounds, now: SystemTime) -> io::Result<Vec<Entry>> {
    let entries = entries(folder)?;
    let going = going(entries, bounds, now);
    for entry in &going {
        remove(&entry.path)?;
    }
    left_behind(folder, now)?;
    // Told when it is done: who was cut short is followed by the next.
    fs::write(folder.join(PRUNED), "")?;
    Ok(going)
}

/// Removes everything.
fn clean(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut all = entries(folder)?;
    let now = SystemTime::now();
    let others = OTHERS.iter().map(|name| folder.join(name)).filter(|path| path.symlink_metadata().is_ok());
    all.extend(others.map(|path| Entry { bytes: size(&path), used: now, path }));
    for entry in &all {
        remove(&entry.path)?;
    }
    left_behind(folder, now)?;
    Ok(all)
}

/// What is to go of `entries`: what was not used for long, then the oldest until the others are within the size. What was
/// used just now stays.
fn going(mut entries: Vec<Entry>, bounds: Bounds, now: SystemTime) -> Vec<Entry> {
    entries.sort_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
    let mut left = total(&entries);
    let mut going = Vec::new();
    for entry in entries {
        let unused = age(entry.used, now);
        if unused > RECENT && (unused > bounds.unused || left > bounds.bytes) {
            left = left.saturating_sub(entry.bytes);
            going.push(entry);
        }
    }
    going
}

/// Compiled components, and folders of builds.
fn entries(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for (path, found) in listed(folder)? {
        if found.is_file() && name(&path).ends_with(COMPILED) {
            entries.push(Entry { bytes: found.len(), used: found.modified()?, path });
        }
    }
    for (path, found) in listed(&folder.join("build"))? {
        if found.is_dir() && !name(&path).starts_with('.') {
            entries.push(Entry { bytes: size(&path), used: found.modified()?, path });
        }
    }
    Ok(entries)
}

/// What those left who were killed while they wrote or removed.
fn left_behind(folder: &Path, now: SystemTime) -> io::Result<()> {
    for (path, found) in listed(folder)?.into_iter().chain(listed(&folder.join("build"))?) {
        let is_new = name(&path).starts_with(NEW) && found.modified().is_ok_and(|it| age(it, now) > RECENT);
        if is_new || name(&path).starts_with(OLD) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// What is in a folder, without following links; nothing is in one that is not there.
fn listed(folder: &Path) -> io::Result<Vec<(PathBuf, fs::Metadata)>> {
    let there = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        there => there?,
    };
    let mut listed = Vec::new();
    for entry in there {
        let entry = entry?;
        match entry.metadata() {
            Ok(found) => listed.push((entry.path(), found)),
            // Another removes, too.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(listed)
}

/// Removes a file, or a folder: it goes from its place at once, so that nobody finds half of it. Who has a file open or
/// mapped keeps it.
fn remove(path: &Path) -> io::Result<()> {
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    };
    if !path.symlink_metadata().is_ok_and(|it| it.is_dir()) {
        return gone(fs::remove_file(path));
    }
    let old = if name(path).starts_with(OLD) {
        path.to_owned()
    } else {
        let old = path.with_file_name(format!("{OLD}{}-{}", std::process::id(), name(path)));
        gone(fs::rename(path, &old))?;
        old
    };
    gone(fs::remove_dir_all(old))
}

fn size(path: &Path) -> u64 {
    let files = WalkDir::new(path).into_iter().filter_map(Result::ok);
    files.filter_map(|entry| entry.metadata().ok()).filter(|it| it.is_file()).map(|it| it.len()).sum()
}

fn total(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| entry.bytes).sum()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Nothing for a time that is yet to come: clocks are set back.
fn age(time: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(time).unwrap_or_default()
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests;
