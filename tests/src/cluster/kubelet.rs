//! A kubelet for tests: brings a node up and says of the pods on it what a real one would, without running them. Told so, it
//! lets pods fail as images, programs and probes do, or keeps them when they are to go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::config::Kubeconfig;
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::served::{Word, serve};

/// The node's name.
pub const NODE: &str = "fake0";

/// The node is taken for dead when it says nothing for 40 s.
const BEAT: Duration = Duration::from_secs(10);

/// What becomes of pods whose name begins so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// They run and are ready.
    Ready,
    /// Their image cannot be pulled.
    ImagePull,
    /// Their program ends, and is started again, and ends.
    CrashLoop,
    /// They run and never become ready.
    NotReady,
    /// They have run to their end, with this exit code.
    Ended(i32),
}

/// What the kubelet is to do. Fates and holds are looked up by namespace and the beginning of a pod's name.
#[derive(Debug, Clone, Default)]
pub(super) struct Orders {
    fates: BTreeMap<(String, String), Fate>,
    held: Vec<(String, String)>,
    /// What pods said.
    pub(super) words: Vec<Word>,
    /// Ports of this machine that stand for those of pods.
    pub(super) doors: Vec<(String, String, u16)>,
    /// How often connections were cut.
    pub(super) cuts: u64,
    /// Pods that are gone: they say nothing any more.
    pub(super) gone: BTreeSet<(String, String)>,
    /// Rises with every change.
    change: u64,
}

/// The kubelet; it works in a thread of its own.
#[derive(Default)]
pub struct Kubelet {
    orders: Arc<Mutex<Orders>>,
    changed: watch::Sender<u64>,
    /// Tells those who listen to pods.
    heard: watch::Sender<()>,
    ended: Option<(watch::Sender<bool>, JoinHandle<()>)>,
}

impl Kubelet {
    /// From now on, also for pods that are there, until told otherwise.
    pub fn fate(&self, namespace: &str, pods: &str, fate: Fate) {
        self.order(|orders| {
            orders.fates.insert((namespace.to_owned(), pods.to_owned()), fate);
        });
    }

    /// Pods that are to go stay until [`Self::release`]: as those do that finish what they have in hand.
    pub fn hold(&self, namespace: &str, pods: &str) {
        self.order(|orders| orders.held.push((namespace.to_owned(), pods.to_owned())));
    }

    /// Lets all pods of a namespace go that are to go.
    pub fn release(&self, namespace: &str) {
        self.order(|orders| orders.held.retain(|(held, _)| held != namespace));
    }

    /// Pods whose name begins so say this from now on, as if all of them had said it at this moment.
    pub fn say(&self, namespace: &str, pods: &str, text: &[u8]) {
        self.hear(namespace, pods, text, 0);
    }

    /// The same, while whoever listens to any pod is cut off: of those to these, in the midst of what they say.
    pub fn say_and_cut(&self, namespace: &str, pods: &str, text: &[u8]) {
        self.hear(namespace, pods, text, 1);
    }

    /// Whoever is led to a port of pods whose name begins so comes to this one of loopback.
    pub fn lead(&self, namespace: &str, pods: &str, port: u16) {
        self.order(|orders| orders.doors.push((namespace.to_owned(), pods.to_owned(), port)));
    }

    fn hear(&self, namespace: &str, pods: &str, text: &[u8], cuts: u64) {
        let word =
            Word { namespace: namespace.to_owned(), pods: pods.to_owned(), at: Timestamp::now(), text: text.to_vec() };
        {
            let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
            orders.words.push(word);
            orders.cuts += cuts;
        }
        self.heard.send_replace(());
    }

    fn order(&self, change: impl FnOnce(&mut Orders)) {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut orders);
        orders.change += 1;
        self.changed.send_replace(orders.change);
    }

    pub(super) fn start(&mut self, kubeconfig: &Kubeconfig) {
        let (end, ended) = watch::channel(false);
        let (kubeconfig, orders, changed) = (kubeconfig.clone(), self.orders.clone(), self.changed.subscribe());
        let heard = self.heard.clone();
        let (up, is_up) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let client = super::client(&kubeconfig).await;
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                register(&client, listener.local_addr().expect("an address").port()).await;
                let _ = up.send(());
                let mut ended = ended;
                tokio::select! {
                    () = serve(listener, orders.clone(), heard.subscribe()) => {}
                    () = work(client.clone(), orders, changed, heard) => {}
                    () = beat(client) => {}
                    _ = ended.wait_for(|ended| *ended) => {}
                }
            });
        });
        is_up.recv().expect("the node comes up");
        self.ended = Some((end, thread));
    }

    pub(super) fn stop(&mut self) {
        if let Some((end, thread)) = self.ended.take() {
            end.send_replace(true);
            let _ = thread.join();
        }
    }
}

impl Orders {
    fn fate(&self, namespace: &str, pod: &str) -> Fate {
        let of = |((of, pods), _): &(&(String, String), &Fate)| of == namespace && pod.starts_with(pods.as_str());
        self.fates.iter().filter(of).max_by_key(|((_, pods), _)| pods.len()).map_or(Fate::Ready, |(_, fate)| *fate)
    }

    fn holds(&self, namespace: &str, pod: &str) -> bool {
        self.held.iter().any(|(of, pods)| of == namespace && pod.starts_with(pods.as_str()))
    }
}

async fn register(client: &kube::Client, port: u16) {
    let nodes: Api<Node> = Api::all(client.clone());
    let labels = json!({ "kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64" });
    let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": NODE, "labels": labels } });
    nodes.create(&PostParams::default(), &serde_json::from_value(node).expect("a node")).await.expect("a node");
    // Where the API server connects to for what containers log.
    let status = json!({ "status": {
        "addresses": [{ "type": "InternalIP", "address": "127.0.0.1" }],
        "daemonEndpoints": { "kubeletEndpoint": { "Port": port } },
    } });
    let patch = Patch::Strategic(status);
    nodes.patch_status(NODE, &PatchParams::default(), &patch).await.expect("the node has an address");
    say_ready(client).await.expect("the node is ready");
}

async fn say_ready(client: &kube::Client) -> kube::Result<()> {
    let now = now();
    let room = json!({ "cpu": "1000", "memory": "4096Gi", "pods": "5000", "ephemeral-storage": "1000Gi" });
    let status = json!({ "status": {
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "as told",
            "lastHeartbeatTime": now, "lastTransitionTime": now,
        }],
        "capacity": room,
        "allocatable": room,
    } });
    let nodes: Api<Node> = Api::all(client.clone());
    nodes.patch_status(NODE, &PatchParams::default(), &Patch::Strategic(status)).await.map(drop)
}

async fn beat(client: kube::Client) {
    loop {
        tokio::time::sleep(BEAT).await;
        // The next one says it again.
        let _ = say_ready(&client).await;
    }
}

/// Looks at every pod when it changes, and at all when orders change.
async fn work(
    client: kube::Client,
    orders: Arc<Mutex<Orders>>,
    mut changed: watch::Receiver<u64>,
    heard: watch::Sender<()>,
) {
    let here = watcher::Config::default().fields(&format!("spec.nodeName={NODE}"));
    let mut pods = watcher(Api::<Pod>::all(client.clone()), here.clone()).default_backoff().boxed();
    let mut known: BTreeMap<String, Pod> = BTreeMap::new();
    loop {
        tokio::select! {
            event = pods.next() => match event {
                Some(Ok(watcher::Event::Apply(pod) | watcher::Event::InitApply(pod))) => {
                    let uid = pod.metadata.uid.clone().unwrap_or_default();
                    attend(&client, &pod, &orders).await;
                    known.insert(uid, pod);
                }
                Some(Ok(watcher::Event::Delete(pod))) => {
                    known.remove(&pod.metadata.uid.unwrap_or_default());
                    let gone = (pod.metadata.namespace.unwrap_or_default(), pod.metadata.name.unwrap_or_default());
                    orders.lock().unwrap_or_else(PoisonError::into_inner).gone.insert(gone);
                    heard.send_replace(());
                }
                Some(_) => {}
                None => return,
            },
            order = changed.changed() => {
                if order.is_err() {
                    return;
                }
                let all: Vec<_> = known.values().cloned().collect();
                let attended = all.iter().map(|pod| { attend(&client, pod, &orders) });
                futures::stream::iter(attended).buffer_unordered(8).map(Ok::<(), ()>).try_collect::<Vec<_>>().await.ok();
            }
        }
    }
}

async fn attend(client: &kube::Client, pod: &Pod, orders: &Mutex<Orders>) {
    let (Some(name), Some(namespace)) = (&pod.metadata.name, &pod.metadata.namespace) else { return };
    let (fate, held) = {
        let orders = orders.lock().unwrap_or_else(PoisonError::into_inner);
        (orders.fate(namespace, name), orders.holds(namespace, name))
    };
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    if pod.metadata.deletion_timestamp.is_some() {
        if !held {
            // Gone already: as wanted.
            let _ = pods.delete(name, &DeleteParams::default().grace_period(0)).await;
        }
        return;
    }
    let status = status(pod, fate);
    if is_so(pod, &status) {
        return;
    }
    // Gone meanwhile: nothing to say of it.
    let _ = pods.patch_status(name, &PatchParams::default(), &Patch::Merge(json!({ "status": status }))).await;
}

/// Whether that has been said of it.
fn is_so(pod: &Pod, wanted: &Value) -> bool {
    let said = serde_json::to_value(&pod.status).unwrap_or_default();
    let states = |status: &Value| {
        let of = |container: &Value| (container["ready"].clone(), container["state"]["waiting"]["reason"].clone());
        status["containerStatuses"].as_array().map(|all| all.iter().map(of).collect::<Vec<_>>())
    };
    said["phase"] == wanted["phase"] && states(&said) == states(wanted)
}

fn status(pod: &Pod, fate: Fate) -> Value {
    let now = now();
    let running = json!({ "running": { "startedAt": now } });
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers).map(|container| {
        let image = container.image.as_deref().unwrap_or_default();
        let (state, last, restarts) = match fate {
            Fate::Ready | Fate::NotReady => (running.clone(), json!({}), 0),
            Fate::Ended(code) => {
                let reason = if code == 0 { "Completed" } else { "Error" };
                let ended = json!({ "exitCode": code, "reason": reason, "startedAt": now, "finishedAt": now });
                (json!({ "terminated": ended }), json!({}), 0)
            }
            Fate::ImagePull => {
                let message = format!("Back-off pulling image \"{image}\": not found");
                (json!({ "waiting": { "reason": "ImagePullBackOff", "message": message } }), json!({}), 0)
            }
            Fate::CrashLoop => (
                json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container" } }),
                json!({ "terminated": {
                    "exitCode": 1, "reason": "Error", "message": "error: this is what the program said last\n",
                    "startedAt": now, "finishedAt": now,
                } }),
                3,
            ),
        };
        json!({
            "name": container.name, "image": image, "imageID": "fake", "restartCount": restarts,
            "ready": fate == Fate::Ready, "started": fate == Fate::Ready, "state": state, "lastState": last,
        })
    });
    let containers: Vec<Value> = containers.collect();
    let ready = if fate == Fate::Ready { "True" } else { "False" };
    let condition = |kind: &str, status: &str| json!({ "type": kind, "status": status, "lastTransitionTime": now });
    json!({
        "phase": match fate {
            Fate::ImagePull => "Pending",
            Fate::Ended(0) => "Succeeded",
            Fate::Ended(_) => "Failed",
            Fate::Ready | Fate::NotReady | Fate::CrashLoop => "Running",
        },
        "startTime": now,
        "podIP": "10.244.0.9",
        "podIPs": [{ "ip": "10.244.0.9" }],
        "containerStatuses": containers,
        "conditions": [
            condition("PodScheduled", "True"), condition("Initialized", "True"),
            condition("ContainersReady", ready), condition("Ready", ready),
        ],
    })
}

fn now() -> String {
    Timestamp::now().round(k8s_openapi::jiff::Unit::Second).expect("whole seconds").to_string()
}
