//! Namespaces of a test's own (network, mounts, processes): the test is run in them a second time, and whatever it starts there
//! is gone when it ends, however it ends. One at a time on a machine. Knows nothing of Kubernetes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::script;

/// Set for the second run, to the folder that the first one prepared.
const FOLDER: &str = "KRT_TEST_STAGE";

/// Where the node of the stage has its bridge; others reach it there.
pub const ADDRESS: &str = "10.250.0.1";

/// Names are asked for here, by the test and by pods.
pub const NAMES: &str = "10.96.0.10";

/// The cgroup below which pods have theirs.
pub const CGROUP: &str = "/krt-stage";

/// Folders of stages begin so.
const PREFIX: &str = "krt-stage-";

/// The first process of the stage: lays the ground, and waits for all who lose their parent. What the machine refuses is
/// written down; everything else that fails is a failure.
const GROUND: &str = r#"
folder=$1 node=$2 address=$3 names=$4; shift 4
touch "$folder/entered"
refused() { echo "$1" >"$folder/refused"; exit 1; }
busybox=$node/bin/busybox
for place in /run /var/lib /var/log; do
  mount -t tmpfs tmpfs "$place" || refused "file systems may not be mounted"
done
mkdir /var/lib/lower /var/lib/upper /var/lib/work /var/lib/merged
mount -t overlay overlay -o lowerdir=/var/lib/lower,upperdir=/var/lib/upper,workdir=/var/lib/work /var/lib/merged ||
  refused "there is no overlay file system"
umount /var/lib/merged
"$busybox" ip link set lo up
"$busybox" ip link add node0 type bridge || refused "there are no network bridges"
"$busybox" ip addr add "$address/24" dev node0
"$busybox" ip link set node0 up
"$busybox" ip route add default dev node0
echo 1 >/proc/sys/net/ipv4/ip_forward || refused "packets may not be forwarded"
libraries=$(echo "$node"/usr/lib/*-linux-gnu)
filter() { tool=$1; shift; LD_LIBRARY_PATH=$libraries XTABLES_LIBDIR=$libraries/xtables "$node/usr/sbin/$tool" "$@"; }
filter nft add table ip krt_probe || refused "there is no nftables"
filter nft delete table ip krt_probe
filter ipset create krt_probe hash:net || refused "there are no sets of addresses (ipset)"
filter iptables -A INPUT -m set --match-set krt_probe src -j REJECT || refused "iptables knows no sets of addresses"
filter iptables -F INPUT
filter ipset destroy krt_probe
# Names of Services mean something to the test, too.
file=$(readlink -f /etc/resolv.conf)
mkdir -p "$(dirname "$file")" && touch "$file"
printf 'nameserver %s\nsearch svc.cluster.local cluster.local\noptions ndots:5\n' "$names" >"$folder/resolv.conf"
mount --bind "$folder/resolv.conf" "$file"
"$@"
exit $?
"#;

/// What the second run finds.
pub struct Stage {
    /// What the first run prepared.
    pub folder: PathBuf,
}

/// Runs the test `test`, which calls this, in namespaces of its own. In these, some; outside none, when that run is over, or,
/// and said so, where the machine does not allow it or a tool cannot be had. Before, `prepare` puts what needs the machine
/// as it is into a folder; what it returns is kept for as long. `node` is the folder that `scripts/node.sh` prints.
///
/// # Panics
/// When the second run fails.
pub fn enter<T>(test: &str, node: &Path, prepare: impl FnOnce(&Path) -> Option<T>) -> Option<Stage> {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return Some(Stage { folder: folder.into() });
    }
    if !rustix::process::geteuid().is_root() {
        refused("this is not root");
        return None;
    }
    let lock = File::create(std::env::temp_dir().join("krt-stage.lock")).expect("a lock file");
    lock.lock().expect("locked");
    sweep();
    let groups = cgroups()?;
    let folder = tempfile::Builder::new().prefix(PREFIX).tempdir().expect("a folder");
    let kept = prepare(folder.path())?;
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary).expect("a folder");
    let status = Command::new("setpriv")
        // Whoever kills this run ends the other.
        .args(["--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .args(["sh", "-c", GROUND, "ground"])
        .arg(folder.path())
        .arg(node)
        .args([ADDRESS, NAMES])
        .arg(std::env::current_exe().expect("a program"))
        .args([test, "--exact", "--nocapture"])
        .env(FOLDER, folder.path())
        .env("TMPDIR", &temporary)
        .status()
        .expect("setpriv starts");
    // All processes of the stage are gone with the first of them, before its end is told.
    groups.iter().for_each(|group| remove(group));
    drop(kept);
    if !folder.path().join("entered").exists() {
        refused("a process may not have namespaces of its own");
    } else if let Ok(why) = fs::read_to_string(folder.path().join("refused")) {
        refused(why.trim());
    } else {
        assert!(status.success(), "it failed in its namespaces: see above");
    }
    None
}

/// The folder that `scripts/node.sh` prints. None, and said so, where it cannot be had.
pub fn node_tools() -> Option<PathBuf> {
    script(&["node.sh"], "containerd and what belongs to it could not be fetched")
}

/// Says that the machine does not allow it: no failure, also not under `CI=true`, for nothing can be installed against it.
fn refused(why: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "skipped: no stage with real pods on this machine: {why}");
}

/// What an earlier run left that was killed.
fn sweep() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            // Nobody else is on a stage now. What cannot be removed is in nobody's way.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Our group in each hierarchy, new. None, and said so, where none can be made.
fn cgroups() -> Option<Vec<PathBuf>> {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies: Vec<PathBuf> = if root.join("cgroup.controllers").exists() {
        vec![root.to_owned()]
    } else {
        let entries = fs::read_dir(root).into_iter().flatten().flatten();
        entries.map(|it| it.path()).filter(|it| it.is_dir() && it.join("cgroup.procs").exists()).collect()
    };
    let mut groups = Vec::new();
    for hierarchy in hierarchies {
        let group = hierarchy.join(CGROUP.trim_start_matches('/'));
        remove(&group);
        if let Err(error) = fs::create_dir(&group) {
            refused(&format!("{}: {error}", group.display()));
            return None;
        }
        // What else the machine does, it does as processes of the root group: together pods count as many of them.
        for (file, weight) in [("cpu.shares", "20480"), ("cpu.weight", "2000")] {
            if group.join(file).exists() {
                fs::write(group.join(file), weight).expect("a weight");
            }
        }
        groups.push(group);
    }
    if groups.is_empty() {
        refused("there are no cgroups");
        return None;
    }
    Some(groups)
}

/// Removes a group with those below it. None has a process.
fn remove(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove(&entry.path());
        }
    }
    // Not there: as wanted.
    let _ = fs::remove_dir(group);
}
