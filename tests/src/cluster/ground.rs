//! A namespace with everything that a version needs: NATS, the operator as a process, packages. Asserts nothing but that what
//! is awaited comes about.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use krt_host::artifact::Package;
use krt_host::cluster::crd::{Phase, State, Version, VersionStatus, condition};
use krt_host::nats::{NatsOptions, connect};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::await_condition;
use serde_json::json;

use super::Space;
use crate::command::{Ran, ran};
use crate::krt_binary;
use crate::nats::Server;
use crate::process::Process;

/// What does not come about within this time does not: a start takes 2 s on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The Lease of operators here; short, for tests that kill them.
const LEASE_SECONDS: &str = "3";

/// A namespace with NATS and packages.
pub struct Ground {
    /// The namespace.
    pub space: Space,
    /// NATS.
    pub nats: Arc<Server>,
}

/// A version to be packed: two nodes of minimal components.
pub struct Sample {
    /// Its name.
    pub name: String,
    /// Name of the workflow.
    pub workflow: String,
    /// Names of its nodes, each reading the one before.
    pub nodes: Vec<String>,
    /// What else is in the manifest, above the workflows.
    pub more: String,
}

impl Sample {
    /// Nodes `etl` and `exitpoint`.
    pub fn named(name: &str) -> Self {
        let nodes = ["etl", "exitpoint"].map(str::to_owned).into();
        Self { name: name.to_owned(), workflow: "go".to_owned(), nodes, more: String::new() }
    }

    /// The manifest.
    pub fn manifest(&self) -> String {
        let Self { name, workflow, nodes, more } = self;
        let last = nodes.last().expect("a node");
        let mut text = format!(
            "krtVersion: v2\nversion: {name}\ndescription: For tests\nentrypoint:\n  proto: public_input.proto\n{more}\
             workflows:\n  - name: {workflow}\n    entrypoint: Ask\n    exitpoint: {last}\n    nodes:\n"
        );
        let mut before = "entrypoint";
        for node in nodes {
            text.push_str(&format!("      - {{ name: {node}, src: bin/node.wasm, subscriptions: [{before}] }}\n"));
            before = node;
        }
        text
    }
}

const PROTO: &str = "\
syntax = \"proto3\";
package main;
message Text { string text = 1; }
service Entrypoint { rpc Ask (Text) returns (Text) {} }
";

/// A version's folder. Removed on drop.
fn written(manifest: &str, component: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("bin")).expect("a folder");
    for (name, bytes) in
        [("krt.yml", manifest.as_bytes()), ("public_input.proto", PROTO.as_bytes()), ("bin/node.wasm", component)]
    {
        std::fs::write(folder.path().join(name), bytes).expect("written");
    }
    folder
}

fn minimal() -> Vec<u8> {
    wat::parse_str(include_str!("../../components/0.1.0/minimal.wat")).expect("valid text")
}

impl Sample {
    /// Its folder. Removed on drop.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn folder(&self) -> tempfile::TempDir {
        written(&self.manifest(), &minimal())
    }
}

impl Ground {
    /// A new one, named after `test`. None, and said so, where a part cannot be had.
    ///
    /// # Panics
    /// When a part does not start.
    pub async fn new(test: &str) -> Option<Self> {
        Self::on(Arc::new(Server::start()?), test).await
    }

    /// Another namespace, with the same NATS.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn beside(&self, test: &str) -> Self {
        Self::on(self.nats.clone(), test).await.expect("what was there before")
    }

    /// NATS, to be killed and the like, while nobody is [beside](Self::beside).
    ///
    /// # Panics
    /// When somebody is.
    pub fn server(&mut self) -> &mut Server {
        Arc::get_mut(&mut self.nats).expect("nobody else has it")
    }

    async fn on(nats: Arc<Server>, test: &str) -> Option<Self> {
        let space = Space::new(test).await?;
        let ground = Self { space, nats };
        let connection = ground.connection().await;
        let config = async_nats::jetstream::object_store::Config { bucket: ground.bucket(), ..Default::default() };
        connection.jetstream().create_object_store(config).await.expect("a bucket");
        Some(ground)
    }

    /// Packages are here.
    fn bucket(&self) -> String {
        krt::names::packages(&self.space.name)
    }

    /// A connection to NATS.
    ///
    /// # Panics
    /// When NATS is away.
    pub async fn connection(&self) -> krt_host::nats::Nats {
        let options = NatsOptions { urls: vec![self.nats.url()], ..NatsOptions::default() };
        connect(&options, None).await.expect("connected")
    }

    /// Starts an operator, which works on this namespace only. Its Lease is there, too.
    pub fn operator(&self) -> Process {
        self.operator_with(&["--lease-namespace", &self.space.name])
    }

    /// Starts an operator with these arguments besides, among them the Lease's namespace.
    pub fn operator_with(&self, more: &[&str]) -> Process {
        let kubeconfig = self.space.cluster.kubeconfig_of_operators().to_string_lossy().into_owned();
        let (url, name) = (self.nats.url(), self.space.name.as_str());
        let cluster = ["operator", "--kubeconfig", &kubeconfig, "-n", name, "--lease-seconds", LEASE_SECONDS];
        let nats = ["--nats", &url, "--web-addr", "127.0.0.1:0"];
        let mut process = Process::start(&[&cluster[..], &nats, more].concat(), &[]);
        process.events().ready();
        process
    }

    /// Runs `krt` on this namespace to its end, as a user of it does.
    ///
    /// # Panics
    /// When it does not start, or prints what is no text.
    pub fn krt(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(krt_binary());
        command.args(arguments).arg("--kubeconfig").arg(self.space.cluster.kubeconfig());
        ran(command.args(["-n", &self.space.name]))
    }

    /// `krt push` of a sample's folder into the store of the namespace's runtime; its reference.
    ///
    /// # Panics
    /// When it fails.
    pub fn krt_push(&self, sample: &Sample) -> String {
        let folder = sample.folder();
        let output = Command::new(krt_binary())
            .args(["push", "--output", "json", "--runtime-id", &self.space.name, "--nats", &self.nats.url()])
            .arg(folder.path())
            .output()
            .expect("krt starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let pushed: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        pushed["ref"].as_str().expect("a reference").to_owned()
    }

    /// Packs a version and stores it; the reference to it.
    ///
    /// # Panics
    /// When it cannot be packed or stored.
    pub async fn push(&self, sample: &Sample) -> String {
        self.push_text(&sample.manifest()).await
    }

    /// [`Self::push`] of a manifest as it is.
    ///
    /// # Panics
    /// When it cannot be packed or stored.
    pub async fn push_text(&self, manifest: &str) -> String {
        self.push_files(manifest, &minimal()).await
    }

    /// [`Self::push`] of a manifest and a component as they are.
    ///
    /// # Panics
    /// When it cannot be packed or stored.
    pub async fn push_files(&self, manifest: &str, component: &[u8]) -> String {
        let folder = written(manifest, component);
        let package = Package::open(folder.path()).expect("a package");
        let archive = package.archive().expect("packed");
        let store = self.connection().await.jetstream().get_object_store(self.bucket()).await.expect("the bucket");
        let mut file = tokio::fs::File::from_std(archive.file);
        store.put(archive.digest.hex(), &mut file).await.expect("stored");
        format!("nats://{}/{}", self.bucket(), archive.digest.hex())
    }

    /// Versions of the namespace.
    pub fn versions(&self) -> Api<Version> {
        self.space.api()
    }

    /// Makes a resource.
    ///
    /// # Panics
    /// When the API server refuses.
    pub async fn create(&self, name: &str, reference: &str, state: State) {
        let spec = json!({ "package": { "ref": reference }, "state": state });
        let metadata = json!({ "name": name });
        let version = json!({ "apiVersion": "krt.konstellation.io/v1alpha1", "kind": "Version", "metadata": metadata, "spec": spec });
        let version = serde_json::from_value(version).expect("a Version");
        self.versions().create(&PostParams::default(), &version).await.expect("created");
    }

    /// Pushes [`Sample::named`] and makes its resource.
    pub async fn deploy(&self, name: &str, state: State) {
        let reference = self.push(&Sample::named(name)).await;
        self.create(name, &reference, state).await;
    }

    /// Wants another state.
    ///
    /// # Panics
    /// When the API server refuses.
    pub async fn want(&self, name: &str, state: State) {
        self.patch(name, json!({ "spec": { "state": state } })).await;
    }

    /// Changes the resource.
    ///
    /// # Panics
    /// When the API server refuses.
    pub async fn patch(&self, name: &str, patch: serde_json::Value) {
        self.versions().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.expect("patched");
    }

    /// Deletes the resource; it goes when the operator lets it.
    ///
    /// # Panics
    /// When the API server refuses.
    pub async fn delete(&self, name: &str) {
        self.versions().delete(name, &DeleteParams::default()).await.expect("deleted");
    }

    /// Waits until the status is so, and is about the resource as it is now.
    ///
    /// # Panics
    /// When that does not come about: with what there is instead.
    pub async fn until(&self, name: &str, is: impl Fn(&VersionStatus) -> bool) -> VersionStatus {
        let met = |version: Option<&Version>| {
            version.is_some_and(|version| {
                let status = version.status.as_ref();
                status.is_some_and(|status| status.observed_generation == version.metadata.generation && is(status))
            })
        };
        match tokio::time::timeout(PATIENCE, await_condition(self.versions(), name, met)).await {
            Ok(version) => version.expect("watched").and_then(|version| version.status).expect("a status"),
            Err(_) => panic!("{name} did not become so:\n{}", self.space.kubectl(&["describe", "version", name])),
        }
    }

    /// Touches a version's ServiceAccount, and waits until the operator has looked at it twice since: so that it has done all that
    /// it does after the first look.
    ///
    /// # Panics
    /// When it does not look.
    pub async fn looked_at(&self, version: &str) {
        let look = format!("get versions/{version}");
        let looks = || self.requests().iter().filter(|request| **request == look).count();
        for _ in 0..2 {
            let (before, until) = (looks(), std::time::Instant::now() + PATIENCE);
            let mark = format!("looked={before}");
            // Of a Deployment that would be another generation, which its controller has to see first.
            self.space.kubectl(&["annotate", "--overwrite", "serviceaccount", version, &mark]);
            // The API server's file is the only sign that there is.
            while looks() == before {
                assert!(std::time::Instant::now() < until, "the operator does not look at {version}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// What operators have asked for here; see [`Cluster::requests`](super::Cluster::requests).
    pub fn requests(&self) -> Vec<String> {
        self.space.cluster.requests(&self.space.name)
    }

    /// Waits for a phase.
    pub async fn phase(&self, name: &str, phase: Phase) -> VersionStatus {
        self.until(name, |status| status.phase == phase).await
    }

    /// Waits until something is wrong, for this reason.
    pub async fn degraded(&self, name: &str, reason: &str) -> VersionStatus {
        self.until(name, |status| {
            condition(status, "Degraded").is_some_and(|it| it.status == "True" && it.reason == reason)
        })
        .await
    }

    /// Waits until the resource is gone.
    ///
    /// # Panics
    /// When it stays.
    pub async fn gone(&self, name: &str) {
        let met = |version: Option<&Version>| version.is_none();
        if tokio::time::timeout(PATIENCE, await_condition(self.versions(), name, met)).await.is_err() {
            panic!("{name} stayed:\n{}", self.space.kubectl(&["describe", "version", name]));
        }
    }

    /// To which version a Service leads; none without such a Service.
    ///
    /// # Panics
    /// When the API server refuses.
    pub async fn leads(&self, service: &str) -> Option<String> {
        let service = self.space.api::<Service>().get_opt(service).await.expect("an answer")?;
        let selector = service.spec?.selector?;
        selector.get("version-name")?.strip_suffix("-entrypoint").map(str::to_owned)
    }

    /// Waits until a Service leads to a version.
    ///
    /// # Panics
    /// When it does not.
    pub async fn until_led(&self, service: &str, version: &str) {
        let wanted = format!("{version}-entrypoint");
        let met = |service: Option<&Service>| {
            let selector = service.and_then(|it| it.spec.as_ref()).and_then(|it| it.selector.as_ref());
            selector.and_then(|it| it.get("version-name")).is_some_and(|it| *it == wanted)
        };
        let waiting = await_condition(self.space.api::<Service>(), service, met);
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            panic!(
                "{service} does not lead to {version}:\n{}",
                self.space.kubectl(&["get", "services,versions", "-o", "wide"])
            );
        }
    }

    /// Names of all streams on NATS that are neither packages nor compiled components.
    ///
    /// # Panics
    /// When NATS is away.
    pub async fn streams(&self) -> Vec<String> {
        use futures::TryStreamExt as _;
        let connection = self.connection().await;
        let mut names: Vec<String> = connection.jetstream().stream_names().try_collect().await.expect("names");
        names.retain(|name| !name.starts_with("OBJ_packages_") && !name.starts_with("OBJ_compiled_"));
        names.sort();
        names
    }

    /// How many components are there that were compiled beforehand.
    ///
    /// # Panics
    /// When NATS is away.
    pub async fn compiled(&self) -> usize {
        let bucket = krt::names::compiled(&self.space.name);
        let store = self.connection().await.jetstream().get_object_store(bucket).await.expect("the bucket");
        futures::StreamExt::count(store.list().await.expect("a list")).await
    }

    /// Waits until so many are there.
    ///
    /// # Panics
    /// When that does not come about.
    pub async fn until_compiled(&self, number: usize) {
        let until = std::time::Instant::now() + PATIENCE;
        // Who removes them tells nobody.
        while self.compiled().await != number {
            assert!(std::time::Instant::now() < until, "{} are there", self.compiled().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Names of everything in the namespace that carries krt's labels, and of Services.
    pub fn objects(&self) -> Vec<String> {
        let kinds = "deployments,pods,configmaps,serviceaccounts,networkpolicies,poddisruptionbudgets";
        let ours = self.space.kubectl(&["get", kinds, "-l", "app.kubernetes.io/managed-by=krt", "-o", "name"]);
        let services = self.space.kubectl(&["get", "services", "-o", "name"]);
        ours.lines().chain(services.lines()).filter(|line| line.contains('/')).map(str::to_owned).collect()
    }
}
