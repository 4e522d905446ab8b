//! The stage with real pods: the chart installed by real Helm with its own NATS, and a version's whole life there, called
//! through Services. Prints how long it took.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use e2e::cluster::node::{self, KRT_IMAGE, NATS_IMAGE, Real};
use e2e::cluster::tool;
use e2e::load::steady::Steady;
use e2e::{built_example, krt_binary, workspace};
use serde_json::{Value, json};

/// The release's namespace.
const RELEASE: &str = "krt";
/// A tenant's: where versions are.
const TENANT: &str = "team-a";

/// As the example's manifest has it.
const FIRST: &str = "classificator-v1";
/// The same again.
const SECOND: &str = "classificator-v2";

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
            let text = std::fs::read_to_string(&manifest).expect("a manifest").replace(FIRST, name);
            std::fs::write(manifest, text).expect("written");
        }
        say("the version is built", start);
        Some(version)
    };
    let name = "a_version_lives_in_real_pods";
    let Some(real) = node::start(name, prepare) else { return };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(life(real));
}

async fn life(real: Real) {
    // Asking cargo for it takes its time, too.
    krt_binary();
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
        let calls = Steady::start(&address, "/main.Entrypoint/Classificator", message.into(), RATE);
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
