//! The stage with real pods: the chart installed by real Helm with its own NATS, and a version's whole life there, called
//! through Services, while NetworkPolicies are enforced. Prints how long it took.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use e2e::cluster::node::{self, KRT_IMAGE, NATS_IMAGE, PAUSE_IMAGE, Real};
use e2e::cluster::policies::{Place, enforcer};
use e2e::cluster::{stage, tool};
use e2e::load::steady::Steady;
use e2e::{built_example, krt_binary, workspace};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{Api, ListParams};
use serde_json::{Value, json};

/// The release's namespace.
const RELEASE: &str = "krt";
/// A tenant's: where versions are.
const TENANT: &str = "team-a";

/// As the example's manifest has it.
const FIRST: &str = "classificator-v1";
/// The same again.
const SECOND: &str = "classificator-v2";

/// What the second has besides: its first node is granted a Service that another namespace has, and a name of the world.
const GRANTS: (&str, &str) =
    ("build: nodes/etl\n", "build: nodes/etl\n          allow: { http: [shop.market.svc, example.org] }\n");

/// A namespace with which nobody has to do, and one that a version is granted.
const STRANGERS: &str = "strangers";
const MARKET: &str = "market";

/// An address of the world: kept free for documentation.
const WORLD: &str = "203.0.113.1";

/// What is asked of the classificator.
const REQUEST: &str =
    r#"{"emails": ["From: A <a@example.org>\r\nSubject: Leak\r\n\r\nThe washing machine leaks, please repair it."]}"#;

/// Calls a second while versions are switched.
const RATE: u32 = 200;
/// How often it goes there and back.
const ROUNDS: usize = 3;

/// The limit that is promised to users is tighter, for a machine that does nothing else.
const GENEROUS: Duration = Duration::from_secs(240);

/// A release on a real node.
struct Release {
    real: Real,
    helm: PathBuf,
}

#[test]
fn a_version_lives_in_real_pods() {
    let prepare = |folder: &Path| {
        let start = Instant::now();
        tool("helm")?;
        let version = built_example("classificator");
        // The same a second time, under the next name.
        for name in [FIRST, SECOND] {
            let copied = Command::new("cp").arg("-r").arg(version.path()).arg(folder.join(name)).status();
            assert!(copied.expect("cp starts").success());
            let manifest = folder.join(name).join("krt.yml");
            let mut text = std::fs::read_to_string(&manifest).expect("a manifest").replace(FIRST, name);
            if name == SECOND {
                assert!(text.contains(GRANTS.0), "nobody to grant something to");
                text = text.replace(GRANTS.0, GRANTS.1);
            }
            std::fs::write(manifest, text).expect("written");
        }
        say("the version is built", start);
        std::os::unix::fs::symlink(enforcer()?, folder.join("enforcer")).expect("a link");
        Some(version)
    };
    let name = "a_version_lives_in_real_pods";
    let Some(real) = node::start(name, prepare) else { return };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(life(real));
}

async fn life(mut real: Real) {
    // Asking cargo for it takes its time, too.
    krt_binary();
    let enforcer = real.folder.join("enforcer");
    real.enforce_policies(&enforcer);
    others(&real);
    let start = Instant::now();
    let release = Release::installed(real);
    say("helm install --wait", start);
    let first = release.push(FIRST);
    release.krt(&["deploy", FIRST, &first, "--publish"]);
    say("the first version is published", start);
    release.is_called_from_another_pod();
    let answered = start.elapsed();
    say("from helm install to the first answered call", start);

    let start = Instant::now();
    let second = release.push(SECOND);
    release.krt(&["deploy", SECOND, &second, "--start"]);
    let ready = start.elapsed();
    say("from push to ready", start);

    let start = Instant::now();
    release.lets_nobody_through_but_who_is_allowed().await;
    say("policies", start);
    let start = Instant::now();
    release.shows_what_nodes_log();
    say("logs", start);
    let start = Instant::now();
    release.is_tested_by_helm();
    say("helm test", start);
    let start = Instant::now();
    release.loses_no_call_when_versions_are_switched_and_stopped().await;
    say("switched under load", start);
    let start = Instant::now();
    release.leaves_nothing_behind();
    say("helm uninstall", start);
    assert!(answered < GENEROUS && ready < GENEROUS, "{answered:?}, {ready:?}");
}

fn say(what: &str, since: Instant) {
    eprintln!("stage: {what}: {:.1} s", since.elapsed().as_secs_f64());
}

/// A pod that does not belong to any version: it answers on port 8080.
fn other(namespace: &str) -> Value {
    let container = json!({
        "name": "pod", "image": PAUSE_IMAGE, "command": ["/busybox", "httpd", "-f", "-p", "8080"],
        "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
    });
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "pod", "namespace": namespace, "labels": { "app": namespace } },
        "spec": {
            "terminationGracePeriodSeconds": 1, "containers": [container], "automountServiceAccountToken": false,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" },
            },
        },
    })
}

/// Those outside of the chart's namespaces, and a Service of one of them.
fn others(real: &Real) {
    let namespace = |name: &str| json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
    let shop = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "shop", "namespace": MARKET },
        "spec": { "selector": { "app": MARKET }, "ports": [{ "port": 80, "targetPort": 8080 }] },
    });
    let items = [namespace(STRANGERS), namespace(MARKET), other(STRANGERS), other(MARKET), shop];
    real.apply(&json!({ "apiVersion": "v1", "kind": "List", "items": items }));
}

impl Release {
    fn installed(real: Real) -> Self {
        let helm = tool("helm").expect("it was there outside");
        let image = |name: &str| {
            let (repository, tag) = name.rsplit_once(':').expect("a tag");
            json!({ "repository": repository, "tag": tag })
        };
        let values = json!({
            "image": image(KRT_IMAGE),
            // The node has no volumes to give.
            "nats": { "server": { "image": image(NATS_IMAGE), "storage": { "enabled": false } } },
            "tenants": [{ "name": TENANT }],
            "tenantDefaults": { "keepNamespaces": false },
            "test": { "method": "Classificator", "request": REQUEST, "namespace": TENANT },
        });
        let file = real.folder.join("values.json");
        std::fs::write(&file, values.to_string()).expect("written");
        let release = Self { real, helm };
        let file = file.to_string_lossy().into_owned();
        release.helm(&[
            "install",
            "krt",
            "charts/krt",
            "--create-namespace",
            "--wait",
            "--timeout",
            "120s",
            "--values",
            &file,
        ]);
        release
    }

    fn helm(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(&self.helm);
        command.args(arguments).args(["--namespace", RELEASE, "--kubeconfig"]).arg(self.real.cluster.kubeconfig());
        let output = command.current_dir(workspace()).env("HOME", &self.real.folder).output().expect("helm starts");
        self.done(&format!("helm {arguments:?}"), &output)
    }

    fn krt(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(krt_binary());
        command.args(arguments).args(["-n", TENANT, "--kubeconfig"]).arg(self.real.cluster.kubeconfig());
        self.done(&format!("krt {arguments:?}"), &command.output().expect("krt starts"))
    }

    fn done(&self, what: &str, output: &Output) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if !output.status.success() {
            let see = |what: &[&str]| self.real.cluster.kubectl(what);
            panic!(
                "{what}: {}{}\n{}\n{}\n{}",
                text(&output.stdout),
                text(&output.stderr),
                see(&["get", "pods,services,versions", "-A", "-o", "wide"]),
                see(&["get", "events", "-A"]),
                see(&["-n", RELEASE, "logs", "-l", "app.kubernetes.io/instance=krt", "--tail", "40", "--prefix"]),
            );
        }
        text(&output.stdout)
    }

    /// Pushes a version's folder through the cluster; the reference to it.
    fn push(&self, version: &str) -> String {
        let folder = self.real.folder.join(version);
        let said = self.krt(&["push", folder.to_str().expect("a text"), "--output", "json"]);
        let pushed: Value = serde_json::from_str(&said).expect("JSON");
        pushed["ref"].as_str().expect("a reference").to_owned()
    }

    /// Through the Service, by its name.
    fn is_called_from_another_pod(&self) {
        let to = format!("active-entrypoint.{TENANT}.svc:9000");
        let container = json!({
            "name": "call", "image": KRT_IMAGE, "args": ["call", "Classificator", REQUEST, "--to", to, "--timeout", "30s"],
            "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
        });
        self.real.apply(&json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "caller", "namespace": "default" },
            "spec": { "restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container] },
        }));
        let see = |what: &[&str]| self.real.cluster.kubectl(what);
        let ended = see(&["wait", "pod/caller", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s"]);
        let said = see(&["logs", "caller"]);
        assert!(ended.contains("condition met"), "{ended}{said}{}", see(&["describe", "pod", "caller"]));
        let answer: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
        assert_eq!(answer["categories"][0]["category"], "repairs", "{said}");
    }

    async fn loses_no_call_when_versions_are_switched_and_stopped(&self) {
        // As protobuf: field 2, the only e-mail, and field 3, to be answered before the statistics are written, which no
        // 200 of a second are on two cores.
        let email = "From: L <l@example.org>\r\nSubject: You won\r\n\r\nClick here to claim your prize.";
        let mut message = vec![0x12, u8::try_from(email.len()).expect("a short one")];
        message.extend_from_slice(email.as_bytes());
        message.extend_from_slice(&[0x18, 1]);
        let address = format!("active-entrypoint.{TENANT}.svc.cluster.local:9000");
        let calls = Steady::start(&address, "/main.Entrypoint/Classificator", message.into(), RATE).await;
        let a_second = u64::from(RATE);
        calls.pass(a_second).await;
        let step = async |arguments: &[&str]| {
            tokio::task::block_in_place(|| self.krt(arguments));
            calls.pass(a_second).await;
        };
        for _ in 0..ROUNDS {
            step(&["publish", SECOND]).await;
            step(&["rollback"]).await;
        }
        step(&["publish", SECOND]).await;
        // Whoever still holds a connection to it goes over, too.
        step(&["stop", FIRST]).await;
        let counts = calls.end().await;
        eprintln!(
            "stage: {} calls answered, {} failed, in {} switches and a stop; {} connections went over; the slowest took {:.0} ms",
            counts.answered,
            counts.failed.len(),
            2 * ROUNDS + 1,
            counts.reconnected,
            counts.slowest.as_secs_f64() * 1e3
        );
        let see = |what: &[&str]| self.real.cluster.kubectl(what);
        assert!(
            counts.failed.is_empty(),
            "{:?}\n{}\n{}",
            &counts.failed[..counts.failed.len().min(20)],
            see(&["get", "pods", "-A", "-o", "wide"]),
            see(&["get", "events", "-A"]),
        );
        assert!(counts.reconnected > 0, "the version that was stopped still answers");
    }

    fn shows_what_nodes_log(&self) {
        let of_etl = self.krt(&["logs", FIRST, "--node", "etl"]);
        assert!(of_etl.contains("read a batch"), "{of_etl}");
        let all = self.krt(&["logs", FIRST]);
        assert!(all.lines().count() > of_etl.lines().count(), "only of one node");
        let id = regex::Regex::new(r#"request_id"?[=:]"?([0-9a-f-]{8,})"#).expect("a pattern");
        let id = id.captures_iter(&of_etl).last().unwrap_or_else(|| panic!("no request: {of_etl}"))[1].to_owned();
        let of_request = self.krt(&["logs", FIRST, "--request", &id]);
        assert!(!of_request.is_empty() && of_request.lines().all(|line| line.contains(&id)), "{of_request}");

        let mut following = Command::new(krt_binary())
            .args(["logs", FIRST, "-f", "--node", "etl", "--tail", "0", "-n", TENANT, "--kubeconfig"])
            .arg(self.real.cluster.kubeconfig())
            .stdout(Stdio::piped())
            .spawn()
            .expect("krt starts");
        let lines = std::io::BufReader::new(following.stdout.take().expect("piped"));
        let seen = std::thread::spawn(move || {
            use std::io::BufRead as _;
            lines.lines().map_while(Result::ok).any(|line| line.contains("read a batch"))
        });
        let address = format!("active-entrypoint.{TENANT}.svc.cluster.local:9000");
        // From when on it follows, it does not say.
        while !seen.is_finished() {
            let mut command = Command::new(krt_binary());
            let output =
                command.args(["call", "Classificator", REQUEST, "--to", &address]).output().expect("krt starts");
            self.done("krt call", &output);
        }
        assert!(seen.join().expect("read"), "nothing followed");
        following.kill().expect("it runs");
        following.wait().expect("a status");
    }

    /// Each connection is tried from where a pod is. All of them come about from the node itself, which no policy keeps out: what
    /// is refused to a pod is refused by a policy.
    async fn lets_nobody_through_but_who_is_allowed(&self) {
        self.real.apply(&other(TENANT));
        for namespace in [STRANGERS, MARKET, TENANT] {
            self.real.ready(namespace, "pod").await;
        }
        let world: IpAddr = WORLD.parse().expect("an address");
        let node: IpAddr = stage::ADDRESS.parse().expect("an address");
        self.real.has_address(world);
        let _listeners = [443, 444].map(|port| TcpListener::bind(("0.0.0.0", port)).expect("a free port"));
        let of_node = |version: &str| format!("version-name={version},node-name=etl");
        let component = |name: &str| format!("app.kubernetes.io/component={name}");
        let entrypoint = self.pod(TENANT, &format!("version-name={FIRST}-entrypoint")).await;
        let (first, second) = (self.pod(TENANT, &of_node(FIRST)).await, self.pod(TENANT, &of_node(SECOND)).await);
        let nats = self.pod(RELEASE, &component("nats")).await;
        let operator = self.pod(RELEASE, "krt.konstellation.io/operator=true").await;
        let stranger = self.pod(STRANGERS, "").await;
        let market = self.pod(MARKET, "").await;
        let neighbour = self.pod(TENANT, "app").await;

        let to: [(&str, SocketAddr); 15] = [
            ("the entrypoint", (entrypoint, 9000).into()),
            ("the first's node", (first, 8080).into()),
            ("the second's node", (second, 8080).into()),
            ("NATS", (nats, 4222).into()),
            ("NATS by its Service", (self.service(RELEASE, "krt-nats").await, 4222).into()),
            ("NATS' monitor", (nats, 8222).into()),
            ("the operator", (operator, 8080).into()),
            ("the stranger", (stranger, 8080).into()),
            ("the neighbour", (neighbour, 8080).into()),
            ("the market", (market, 8080).into()),
            ("the market by its Service", (self.service(MARKET, "shop").await, 80).into()),
            ("the world", (world, 443).into()),
            ("the world elsewhere", (world, 444).into()),
            ("the machine", (node, 443).into()),
            ("names", (self.service("kube-system", "kube-dns").await, 53).into()),
        ];
        let bus = ["NATS", "NATS by its Service", "names"];
        let open = [
            "the stranger",
            "the market",
            "the market by its Service",
            "the world",
            "the world elsewhere",
            "the machine",
            "names",
        ];
        let all = to.map(|(name, _)| name);
        let from: [(&str, Place<'_>, Vec<&str>); 7] = [
            ("the node itself", self.real.outside(), all.to_vec()),
            ("the stranger", self.real.place(stranger), [&open[..], &["the entrypoint"]].concat()),
            ("the neighbour", self.real.place(neighbour), vec!["the neighbour"]),
            ("NATS", self.real.place(nats), vec!["NATS", "NATS' monitor", "names"]),
            // The API server and registries may be anywhere.
            (
                "the operator",
                self.real.place(operator),
                [&bus[..], &["the operator", "the world", "the machine"]].concat(),
            ),
            ("the first's node", self.real.place(first), [&bus[..], &["the first's node"]].concat()),
            (
                "the second's node",
                self.real.place(second),
                [&bus[..], &["the second's node", "the market", "the market by its Service", "the world"]].concat(),
            ),
        ];
        // All at once: where nobody answers, each takes its time.
        let tried = from.iter().flat_map(|(who, place, may)| {
            to.iter().map(move |(what, address)| (who, what, may.contains(what), place.tries(*address)))
        });
        let tried: Vec<_> = tried.collect();
        let wrong: Vec<String> = tried
            .into_iter()
            .filter_map(|(who, what, may, attempt)| match (may, attempt.came_about()) {
                (true, false) => Some(format!("{who} does not reach {what}")),
                (false, true) => Some(format!("{who} reaches {what}")),
                _ => None,
            })
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}\n{}", self.real.said("kube-router"));

        // It was the policy.
        let said = self.real.cluster.kubectl(&["-n", RELEASE, "delete", "networkpolicy", "krt-nats"]);
        assert!(said.contains("deleted"), "{said}");
        let (stranger, until) = (self.real.place(stranger), Instant::now() + GENEROUS);
        while !stranger.tries((nats, 4222).into()).came_about() {
            assert!(Instant::now() < until, "without a policy NATS is not reached\n{}", self.real.said("kube-router"));
        }
    }

    /// The address of the first pod with these labels.
    async fn pod(&self, namespace: &str, labels: &str) -> IpAddr {
        let pods: Api<Pod> = Api::namespaced(self.real.cluster.client().await, namespace);
        let found = pods.list(&ListParams::default().labels(labels)).await.expect("pods");
        let status = found.items.into_iter().find_map(|it| it.status).unwrap_or_else(|| panic!("no pod {labels}"));
        status.pod_ip.expect("an address").parse().expect("an address")
    }

    /// The address of a Service.
    async fn service(&self, namespace: &str, name: &str) -> IpAddr {
        let services: Api<Service> = Api::namespaced(self.real.cluster.client().await, namespace);
        let spec = services.get(name).await.expect("a Service").spec.expect("a spec");
        spec.cluster_ip.expect("an address").parse().expect("an address")
    }

    fn is_tested_by_helm(&self) {
        let said = self.helm(&["test", "krt", "--timeout", "60s"]);
        assert!(said.contains("Succeeded"), "{said}");
    }

    fn leaves_nothing_behind(&self) {
        self.krt(&["delete", FIRST]);
        // The other goes with the release.
        self.helm(&["uninstall", "krt", "--wait", "--timeout", "120s"]);
        let kubectl = |arguments: &[&str]| self.real.cluster.kubectl(arguments);
        // NATS sends its clients to other servers first, for 40 s. There are none.
        kubectl(&["-n", RELEASE, "delete", "pods", "--all", "--now"]);
        kubectl(&["wait", "--for=delete", &format!("namespace/{TENANT}"), "--timeout=60s"]);
        let kinds = kubectl(&["api-resources", "--verbs=list", "--namespaced", "-o", "name"]);
        let kinds: Vec<&str> = kinds.lines().filter(|kind| !kind.starts_with("events")).collect();
        let left = kubectl(&["-n", RELEASE, "get", &kinds.join(","), "-o", "name"]);
        let own = ["configmap/kube-root-ca.crt", "serviceaccount/default"];
        let left: Vec<&str> =
            left.lines().filter(|line| line.contains('/') && !line.contains(' ') && !own.contains(line)).collect();
        assert!(left.is_empty(), "{left:?}");
        let global = kubectl(&["get", "namespaces,clusterroles,clusterrolebindings", "-o", "name"]);
        let left: Vec<&str> = global.lines().filter(|line| line.contains("krt") || line.contains(TENANT)).collect();
        assert_eq!(left, [&format!("namespace/{RELEASE}")], "the namespace was made by helm, which leaves it");
    }
}
