//! What the operator costs: the time that it takes itself for a version of fifty nodes, and the memory that it keeps with many
//! versions. Prints the figures. Few versions unless `VERSIONS` says otherwise, so that the suite stays quick.

use std::time::{Duration, Instant};

use e2e::cluster::ground::{Ground, PATIENCE, Sample};
use e2e::cluster::kubelet::Fate;
use e2e::process::Process;
use k8s_openapi::api::apps::v1::Deployment;
use krt_host::cluster::crd::{Phase, State};
use kube::api::{Api, ListParams};

/// What a version of fifty nodes may take of the operator's own time.
const OWN: Duration = Duration::from_secs(10);

/// What the operator may keep in memory.
const MEMORY_KIB: u64 = 64 << 10;

/// CPU seconds of a process.
fn cpu(process: &Process) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).expect("it runs");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
    // utime and stime, in hundredths of a second.
    let ticks: u64 = fields[11].parse::<u64>().expect("a number") + fields[12].parse::<u64>().expect("a number");
    ticks as f64 / 100.0
}

/// KiB, as `/proc/PID/status` calls them.
fn memory(process: &Process, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':')).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

async fn all_ready(ground: &Ground, count: usize) {
    let deployments: Api<Deployment> = ground.space.api();
    let until = Instant::now() + PATIENCE;
    loop {
        let all = deployments.list(&ListParams::default()).await.expect("a list").items;
        let is_ready = |it: &&Deployment| {
            it.status
                .as_ref()
                .is_some_and(|status| status.available_replicas == it.spec.as_ref().and_then(|it| it.replicas))
        };
        if all.iter().filter(is_ready).count() == count {
            return;
        }
        assert!(Instant::now() < until, "pods of {count} nodes do not become ready");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_of_fifty_nodes_takes_little_of_the_operators_own_time() {
    let Some(ground) = Ground::new("fifty").await else { return };
    let operator = ground.operator();
    let kubelet = &ground.space.cluster.kubelet;
    kubelet.fate(&ground.space.name, "v1-", Fate::NotReady);
    let nodes = (0..50).map(|i| format!("n{i:02}")).collect();
    let reference = ground.push(&Sample { nodes, ..Sample::named("v1") }).await;
    let before = cpu(&operator);
    let started = Instant::now();
    ground.create("v1", &reference, State::Started).await;
    // Nobody's turn but the kubelet's.
    ground.until("v1", |status| status.message.starts_with("waiting for pods")).await;
    let applied = started.elapsed();
    kubelet.fate(&ground.space.name, "v1-", Fate::Ready);
    all_ready(&ground, 51).await;
    let ready = Instant::now();
    ground.phase("v1", Phase::Started).await;
    let told = ready.elapsed();
    let requests = ground.requests();
    let writes = requests.iter().filter(|it| !it.starts_with("get ") && !it.starts_with("list ")).count();
    eprintln!(
        "50 nodes: applied in {applied:.2?}, told {told:.2?} after the last pod was ready; {:.2} s of CPU, {} requests, {writes} \
         of them writes",
        cpu(&operator) - before,
        requests.len()
    );
    assert!(applied + told <= OWN, "{applied:?} and {told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_keeps_little_in_memory() {
    let count: usize = std::env::var("VERSIONS").map_or(10, |text| text.parse().expect("VERSIONS is a number"));
    let Some(ground) = Ground::new("many").await else { return };
    let operator = ground.operator();
    let started = Instant::now();
    let names: Vec<String> = (0..count).map(|i| format!("v{i:03}")).collect();
    for name in &names {
        ground.deploy(name, State::Started).await;
    }
    for name in &names {
        ground.phase(name, Phase::Started).await;
    }
    let took = started.elapsed();
    ground.looked_at("v000").await;
    let before = (cpu(&operator), ground.requests().len());
    let now = memory(&operator, "VmRSS");
    eprintln!(
        "{count} versions: {} MiB resident ({} of its own memory, {} of files), at most {} MiB; started in {took:.1?} with \
         {:.1} s of CPU and {} requests",
        now >> 10,
        memory(&operator, "RssAnon") >> 10,
        memory(&operator, "RssFile") >> 10,
        memory(&operator, "VmHWM") >> 10,
        before.0,
        before.1,
    );
    let own = memory(&operator, "RssAnon");
    assert!(own <= MEMORY_KIB, "{own} KiB");
}
