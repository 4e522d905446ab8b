//! What goes and what stays, with made-up times.

use super::*;

const MIB: u64 = 1 << 20;

fn bounds(mib: u64, max_days: u64) -> Bounds {
    Bounds { bytes: mib * MIB, unused: days(max_days) }
}

/// An entry of a MiB that was used this long ago.
fn entry(name: &str, hours: u64, now: SystemTime) -> Entry {
    Entry { path: name.into(), bytes: MIB, used: now - Duration::from_secs(hours * 3600) }
}

fn names(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.path.to_str().unwrap()).collect()
}

#[test]
fn what_was_not_used_for_long_goes_and_then_what_was_used_longest_ago() {
    let now = SystemTime::now();
    let all = || vec![entry("week", 24 * 7, now), entry("day", 24, now), entry("month", 24 * 31, now)];
    assert_eq!(names(&going(all(), bounds(10, 30), now)), ["month"]);
    assert_eq!(names(&going(all(), bounds(2, 100), now)), ["month"]);
    assert_eq!(names(&going(all(), bounds(1, 30), now)), ["month", "week"]);
    assert_eq!(names(&going(all(), bounds(3, 100), now)), [""; 0]);
}

#[test]
fn what_was_used_just_now_or_in_the_future_stays_whatever_the_bounds_are() {
    let now = SystemTime::now();
    let tomorrow = Entry { used: now + DAY, ..entry("tomorrow", 0, now) };
    let all = vec![entry("now", 0, now), entry("hours", 2, now), tomorrow];
    assert_eq!(names(&going(all, bounds(0, 0), now)), ["hours"]);
}

/// A cache with two components, two builds, and what others leave.
fn cache(now: SystemTime) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str, hours: u64| {
        let path = folder.path().join(path);
        let file = File::open(path).unwrap();
        file.set_times(FileTimes::new().set_modified(now - Duration::from_secs(hours * 3600))).unwrap();
    };
    for build in ["build/old", "build/new", "build/.old-1-x", "toolchains", "mine"] {
        fs::create_dir_all(folder.path().join(build)).unwrap();
        fs::write(folder.path().join(build).join("file"), vec![0; 1000]).unwrap();
    }
    for file in ["old.cwasm", "new.cwasm", ".new-old", ".new-new", "seen", "mine.txt"] {
        fs::write(folder.path().join(file), vec![0; 1000]).unwrap();
    }
    std::os::unix::fs::symlink(folder.path().join("mine.txt"), folder.path().join("link.cwasm")).unwrap();
    for old in ["build/old", "old.cwasm", ".new-old", "mine", "mine.txt"] {
        at(old, 24 * 40);
    }
    folder
}

fn there(folder: &Path) -> Vec<String> {
    let both = listed(folder).unwrap().into_iter().chain(listed(&folder.join("build")).unwrap());
    let mut there: Vec<String> = both.map(|(path, _)| name(&path)).collect();
    there.sort();
    there
}

#[test]
fn pruning_removes_components_builds_and_leavings_and_nothing_that_is_not_krt_s() {
    let now = SystemTime::now();
    let folder = cache(now);
    assert!(is_due(folder.path(), now));
    let mut gone: Vec<String> =
        prune(folder.path(), bounds(1, 30), now).unwrap().iter().map(|it| name(&it.path)).collect();
    gone.sort();
    assert_eq!(gone, ["old", "old.cwasm"]);
    let left =
        [".new-new", "build", "link.cwasm", "mine", "mine.txt", "new", "new.cwasm", "pruned", "seen", "toolchains"];
    assert_eq!(there(folder.path()), left);
    // Once a day.
    assert!(!is_due(folder.path(), now + DAY / 2) && is_due(folder.path(), now + DAY * 2));
    assert!(!is_due(&folder.path().join("nowhere"), now));
}

#[test]
fn a_component_that_is_mapped_outlives_its_removal_and_what_was_used_is_young_again() {
    let now = SystemTime::now();
    let folder = cache(now);
    let open = File::open(folder.path().join("old.cwasm")).unwrap();
    used(&folder.path().join("build/old"));
    let gone = prune(folder.path(), bounds(1, 30), now).unwrap();
    assert_eq!(gone.iter().map(|it| name(&it.path)).collect::<Vec<_>>(), ["old.cwasm"]);
    assert_eq!(open.metadata().unwrap().len(), 1000);
}

#[test]
fn cleaning_removes_all_that_is_krt_s() {
    let folder = cache(SystemTime::now());
    clean(folder.path()).unwrap();
    assert_eq!(there(folder.path()), [".new-new", "build", "link.cwasm", "mine", "mine.txt"]);
}
