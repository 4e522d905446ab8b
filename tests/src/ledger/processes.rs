//! The processes of the ledger's version: three servers, two hosts a node, two entrypoints. One of them is killed when told,
//! and started again at once.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tokio::sync::watch;

use crate::krt_binary;
use crate::nats::Cluster;
use crate::process::Process;

const NODES: [&str; 4] = ["split", "left", "right", "join"];
/// Hosts a node, and entrypoints.
const REPLICAS: usize = 2;

/// How long the servers are asked who leads.
const ASK: Duration = Duration::from_millis(500);

/// What can be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Victim {
    Host(usize),
    Entrypoint(usize),
    Follower,
    Leader,
}

pub(super) struct Processes {
    cluster: Cluster,
    client: async_nats::Client,
    urls: String,
    hosts: Vec<Process>,
    entrypoints: Vec<(Process, watch::Sender<Option<String>>)>,
    random: Random,
    kills: [u32; 4],
}

/// A small generator: which victim is next need not be more random than this, but must be the same again.
struct Random(u64);

impl Processes {
    pub(super) async fn start(version: &Path, cluster: Cluster, seed: u64) -> Self {
        let urls = cluster.urls();
        let path = version.to_string_lossy().into_owned();
        let arguments = ["provision", &path, "--nats", &urls, "--replicas", "3"];
        // A cluster that has just begun has no leader yet: krt waits for one.
        let output = Command::new(krt_binary()).args(arguments).output().expect("krt starts");
        assert!(output.status.success(), "krt provision failed:\n{}", String::from_utf8_lossy(&output.stderr));
        let host = |node: &str| {
            let node = format!("ledger/{node}");
            let arguments = ["host", &path, "--node", &node, "--nats", &urls, "--web-addr", "127.0.0.1:0"];
            Process::start(&arguments, &quiet())
        };
        let mut hosts: Vec<_> = NODES.iter().flat_map(|node| (0..REPLICAS).map(move |_| host(node))).collect();
        for host in &mut hosts {
            host.events().ready();
        }
        let entrypoints = (0..REPLICAS).map(|_| {
            let arguments =
                ["entrypoint", &path, "--nats", &urls, "--grpc-addr", "127.0.0.1:0", "--web-addr", "127.0.0.1:0"];
            let mut process = Process::start(&arguments, &quiet());
            let address = grpc(&process.events().ready());
            (process, watch::Sender::new(Some(address)))
        });
        let entrypoints = entrypoints.collect();
        let random = Random(seed);
        let client = super::sink::client(&urls).await;
        Self { cluster, client, urls, hosts, entrypoints, random, kills: [0; 4] }
    }

    pub(super) fn urls(&self) -> &str {
        &self.urls
    }

    /// Where each entrypoint is; none while it is away.
    pub(super) fn entrypoints(&self) -> Vec<watch::Receiver<Option<String>>> {
        self.entrypoints.iter().map(|(_, address)| address.subscribe()).collect()
    }

    /// Kills whoever's turn it is with SIGKILL and starts it again.
    pub(super) async fn kill_one(&mut self) {
        let victim = match self.random.below(4) {
            0 => Victim::Host(self.random.below(self.hosts.len())),
            1 => Victim::Entrypoint(self.random.below(self.entrypoints.len())),
            2 => Victim::Follower,
            _ => Victim::Leader,
        };
        match victim {
            Victim::Host(index) => {
                self.kills[0] += 1;
                let host = &mut self.hosts[index];
                host.kill_and_start();
                let events = host.events();
                // Nobody waits for it: its twin goes on.
                tokio::task::spawn_blocking(move || events.ready_unless_killed());
            }
            Victim::Entrypoint(index) => {
                self.kills[1] += 1;
                let (process, address) = &mut self.entrypoints[index];
                address.send_replace(None);
                process.kill_and_start();
                let (events, address) = (process.events(), address.clone());
                tokio::task::spawn_blocking(move || {
                    // Killed again before it was ready: whoever starts it next says where it is.
                    if let Some(event) = events.ready_unless_killed() {
                        address.send_replace(Some(grpc(&event)));
                    }
                });
            }
            Victim::Follower | Victim::Leader => {
                let leader = tokio::time::timeout(ASK, super::sink::leader(&self.client)).await.ok().flatten();
                let servers = &mut self.cluster.servers;
                let index = match (leader.as_deref().and_then(server_index), victim) {
                    (Some(leader), Victim::Leader) => leader,
                    (Some(leader), _) => (leader + 1 + self.random.below(2)) % servers.len(),
                    // There is none at this moment: whoever is killed is not it.
                    (None, _) => self.random.below(servers.len()),
                };
                self.kills[if leader.is_some() && victim == Victim::Leader { 3 } else { 2 }] += 1;
                servers[index].kill_and_start();
            }
        }
    }

    pub(super) fn kills(&self) -> Vec<(&'static str, u32)> {
        ["host", "entrypoint", "server, a follower", "server, the leader"].into_iter().zip(self.kills).collect()
    }

    /// Ends all, by SIGTERM; hosts and entrypoints drain.
    pub(super) async fn stop(self) {
        let Self { hosts, entrypoints, cluster, .. } = self;
        let processes = hosts.into_iter().chain(entrypoints.into_iter().map(|(process, _)| process));
        let ended = tokio::task::spawn_blocking(move || {
            for process in processes.collect::<Vec<_>>() {
                let status = process.stop();
                assert!(status.success(), "a process ended with {status}");
            }
            drop(cluster);
        });
        ended.await.expect("all end well");
    }
}

impl Random {
    /// SplitMix64, by modulo: the bias of a number below ten is of no matter.
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }
}

/// That servers go and come is what is wanted here: no word of it, unless asked for.
fn quiet() -> [(&'static str, &'static str); 1] {
    let asked = std::env::var_os("KRT_LOG").is_some();
    if asked { [("KRT_LEDGER", "told")] } else { [("KRT_LOG", "off")] }
}

fn grpc(ready: &serde_json::Value) -> String {
    ready["grpc"].as_str().expect("an address").to_owned()
}

fn server_index(name: &str) -> Option<usize> {
    name.strip_prefix('n')?.parse().ok()
}
