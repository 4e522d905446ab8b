//! The chart installed by real Helm on a real control plane: what it makes is taken, what its operator may do suffices for a
//! version's whole life and for nothing else, and uninstalling leaves nothing.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use e2e::cluster::ground::{Ground, PATIENCE, Sample};
use e2e::cluster::kubelet::Fate;
use e2e::cluster::{Space, tool};
use e2e::process::Process;
use e2e::{krt_binary, workspace};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use krt_host::cluster::crd::{Phase, State};
use kube::api::Api;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{WatchStreamExt as _, watcher};

/// Everything that the chart may make in a namespace.
const KINDS: &str = "deployments,statefulsets,services,configmaps,secrets,serviceaccounts,roles,rolebindings,networkpolicies,\
                     poddisruptionbudgets,resourcequotas,pods";

fn run(helm: &Path, ground: &Ground, arguments: &[&str]) -> Output {
    let home = tempfile::tempdir().expect("a folder");
    Command::new(helm)
        .args(arguments)
        .args(["--namespace", &ground.space.name, "--kubeconfig"])
        .arg(ground.space.cluster.kubeconfig())
        .current_dir(workspace())
        .env("HOME", home.path())
        .output()
        .expect("helm starts")
}

fn done(helm: &Path, ground: &Ground, arguments: &[&str]) {
    let output = run(helm, ground, arguments);
    assert!(
        output.status.success(),
        "helm {arguments:?}: {}{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        ground.space.kubectl(&["get", "pods,events", "-o", "wide"])
    );
}

/// `helm uninstall`, whose hook runs here: with the arguments and as the account that its pod would have.
async fn uninstalled(helm: &Path, ground: &Ground) -> Output {
    let (cluster, name) = (&ground.space.cluster, ground.space.name.as_str());
    // It runs as long as we do.
    cluster.kubelet.fate(name, "krt-uninstall", Fate::NotReady);
    let home = tempfile::tempdir().expect("a folder");
    let child = Command::new(helm)
        .args(["uninstall", "krt", "--wait", "--timeout", "90s", "--namespace", name, "--kubeconfig"])
        .arg(cluster.kubeconfig())
        .env("HOME", home.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("helm starts");
    let pods: Api<Pod> = ground.space.api();
    let config = watcher::Config::default().labels("app.kubernetes.io/component=uninstall");
    let mut seen = watcher(pods, config).applied_objects().boxed();
    let pod = loop {
        let pod = tokio::time::timeout(PATIENCE, seen.next()).await.expect("a pod in time").expect("a watch");
        // One that was before may be about to go.
        if let Ok(pod) = pod
            && pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Running"))
        {
            break pod;
        }
    };
    let arguments = pod.spec.expect("a spec").containers.remove(0).args.expect("arguments");
    let token = ground.space.kubectl(&["create", "token", "krt-uninstall"]);
    let kubeconfig = cluster.kubeconfig_for(&format!("{name}-uninstall"), token.trim());
    let ran = tokio::task::spawn_blocking(move || {
        Command::new(krt_binary()).args(arguments).arg("--kubeconfig").arg(kubeconfig).output().expect("krt starts")
    });
    let ran = ran.await.expect("it does not panic");
    let code = ran.status.code().expect("an exit code");
    cluster.kubelet.say(name, "krt-uninstall", &[ran.stdout, ran.stderr].concat());
    cluster.kubelet.fate(name, "krt-uninstall", Fate::Ended(code));
    tokio::task::spawn_blocking(|| child.wait_with_output().expect("helm ends")).await.expect("it does not panic")
}

/// [`uninstalled`], and nothing is left.
async fn uninstalled_all(helm: &Path, ground: &Ground, namespaces: &[&str]) {
    let output = uninstalled(helm, ground).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(left(ground, namespaces), [""; 0]);
}

/// What is there of the release.
fn left(ground: &Ground, namespaces: &[&str]) -> Vec<String> {
    let of_release =
        ["get", KINDS, "-l", "app.kubernetes.io/instance=krt,app.kubernetes.io/managed-by=Helm", "-o", "name"];
    let there = namespaces.iter().map(|it| ground.space.cluster.kubectl(&[&["-n", it], &of_release[..]].concat()));
    there.collect::<String>().lines().filter(|line| line.contains('/')).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_operator_may_do_suffices_for_a_versions_life_and_for_no_other_namespace() {
    let (Some(helm), Some(ground)) = (tool("helm"), Ground::new("chart").await) else { return };
    let name = ground.space.name.clone();
    let nats = "nats.urls={nats://nats.bus:4222}";
    let install =
        ["install", "krt", "charts/krt", "--set", nats, "--set", "rbac.userRoles=false", "--wait", "--timeout", "90s"];
    done(&helm, &ground, &install);

    // The pods are the kubelet's make-believe: the operator runs here, as the account that they would have.
    let token = ground.space.kubectl(&["create", "token", "krt-operator"]);
    let kubeconfig = ground.space.cluster.kubeconfig_for(&name, token.trim()).to_string_lossy().into_owned();
    let url = ground.nats.url();
    let arguments =
        ["operator", "--kubeconfig", &kubeconfig, "-n", &name, "--nats", &url, "--nats-url", "nats://nats.bus:4222"];
    let lease = ["--web-addr", "127.0.0.1:0", "--lease", "krt-operator", "--lease-namespace", &name];
    let mut operator = Process::start(&[&arguments[..], &lease].concat(), &[]);
    operator.events().ready();
    ground.deploy("v1", State::Published).await;
    ground.phase("v1", Phase::Published).await;
    assert_eq!(ground.leads("active-entrypoint").await.as_deref(), Some("v1"));
    let events =
        ground.space.kubectl(&["get", "events", "--field-selector", "involvedObject.kind=Version", "-o", "name"]);
    assert!(events.contains("event/"), "{events}");
    ground.want("v1", State::Stopped).await;
    ground.phase("v1", Phase::Stopped).await;
    ground.delete("v1").await;
    ground.gone("v1").await;
    assert!(operator.stop().success());

    let account = format!("--as=system:serviceaccount:{name}:krt-operator");
    for (namespace, verb, what, answer) in [
        (name.as_str(), "patch", "deployments.apps", "yes"),
        ("default", "get", "secrets", "no"),
        ("default", "create", "deployments.apps", "no"),
        (name.as_str(), "create", "pods", "no"),
        (name.as_str(), "create", "rolebindings.rbac.authorization.k8s.io", "no"),
        (name.as_str(), "update", "secrets", "no"),
    ] {
        let said = ground.space.cluster.kubectl(&["-n", namespace, "auth", "can-i", verb, what, &account]);
        assert_eq!(said.lines().last(), Some(answer), "{verb} {what} in {namespace}: {said}");
    }

    done(
        &helm,
        &ground,
        &[
            "upgrade",
            "krt",
            "charts/krt",
            "--reuse-values",
            "--set",
            "operator.replicas=1",
            "--wait",
            "--timeout",
            "90s",
        ],
    );
    let replicas = ["get", "deployment", "krt-operator", "-o", "jsonpath={.status.readyReplicas}"];
    assert_eq!(ground.space.kubectl(&replicas), "1");
    uninstalled_all(&helm, &ground, &[&name]).await;
}

/// What the account of a tenant's member gets by trying: its own versions, and nothing of `theirs` or of the cluster.
async fn attempts(ground: &Ground, own: &str, theirs: &str) {
    let token = ground.space.cluster.kubectl(&["-n", own, "create", "token", "default"]);
    let path = ground.space.cluster.kubeconfig_for(own, token.trim());
    let config = Kubeconfig::read_from(path).expect("a kubeconfig");
    let config =
        kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.expect("a configuration");
    let client = kube::Client::try_from(config).expect("a client");
    let attempt = async |method: &str, path: &str| {
        let body = if method == "GET" || method == "DELETE" { Vec::new() } else { b"{}".to_vec() };
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let request = http::Request::builder().method(method).uri(path).header("Content-Type", kind).body(body);
        match client.request_text(request.expect("a request")).await {
            Ok(_) => 200,
            Err(kube::Error::Api(status)) => status.code,
            Err(error) => panic!("{method} {path}: {error}"),
        }
    };
    let versions = "/apis/krt.konstellation.io/v1alpha1";
    let kinds = [
        (versions, "versions"),
        ("/api/v1", "secrets"),
        ("/api/v1", "configmaps"),
        ("/api/v1", "pods"),
        ("/api/v1", "services"),
        ("/apis/apps/v1", "deployments"),
        ("/apis/networking.k8s.io/v1", "networkpolicies"),
        ("/apis/rbac.authorization.k8s.io/v1", "rolebindings"),
    ];
    for (group, kind) in kinds {
        for namespace in [theirs, &ground.space.name] {
            let all = format!("{group}/namespaces/{namespace}/{kind}");
            let one = format!("{all}/krt");
            for (method, path) in [("GET", &all), ("GET", &one), ("POST", &all), ("PATCH", &one), ("DELETE", &one)] {
                assert_eq!(attempt(method, path).await, 403, "{method} {path}");
            }
        }
        let everywhere = format!("{group}/{kind}");
        assert_eq!(attempt("GET", &everywhere).await, 403, "{everywhere}");
    }
    let own_core = format!("/api/v1/namespaces/{own}");
    for (method, path) in [
        ("GET", "/api/v1/namespaces".to_owned()),
        ("GET", "/api/v1/nodes".to_owned()),
        ("GET", format!("/api/v1/namespaces/{theirs}")),
        ("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions".to_owned()),
        // In its own namespace: what would let it out of what the operator makes.
        ("GET", format!("{own_core}/secrets/krt-nats")),
        ("GET", format!("{own_core}/secrets")),
        ("POST", format!("{own_core}/pods")),
        ("POST", format!("{own_core}/pods/any/exec")),
        ("POST", format!("{own_core}/serviceaccounts/default/token")),
        ("PATCH", format!("{own_core}/resourcequotas/krt")),
        ("PATCH", format!("{own_core}/services/any")),
        ("PATCH", format!("/apis/apps/v1/namespaces/{own}/deployments/any")),
        ("DELETE", format!("/apis/networking.k8s.io/v1/namespaces/{own}/networkpolicies/krt-default-deny")),
        ("POST", format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{own}/rolebindings")),
        // What is on the bus is removed by what stands there.
        ("PATCH", format!("{versions}/namespaces/{own}/versions/any/status")),
    ] {
        assert_eq!(attempt(method, &path).await, 403, "{method} {path}");
    }
    for path in
        [format!("{versions}/namespaces/{own}/versions"), format!("{own_core}/pods"), format!("{own_core}/events")]
    {
        assert_eq!(attempt("GET", &path).await, 200, "{path}");
    }
    // Allowed, and only then looked at: an empty body is no Version.
    assert_eq!(attempt("POST", &format!("{versions}/namespaces/{own}/versions")).await, 400);
    assert_eq!(attempt("PATCH", &format!("{versions}/namespaces/{own}/versions/none")).await, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_come_and_go_and_passwords_of_those_that_stay_do_not_change() {
    let (Some(helm), Some(ground)) = (tool("helm"), Ground::new("tenants").await) else { return };
    let name = ground.space.name.clone();
    let (a, b) = (format!("{name}-a"), format!("{name}-b"));
    // The control plane has no volumes to give.
    let values = [
        "--set",
        "nats.server.storage.enabled=false",
        "--set",
        "rbac.userRoles=false",
        "--set",
        "tenantDefaults.keepNamespaces=false",
    ];
    let tenants = |names: &[&str]| {
        let set = names.iter().enumerate().map(|(at, name)| format!("tenants[{at}].name={name}"));
        let member = |field: &str, value: &str| format!("tenants[0].members[0].{field}={value}");
        let members = [member("kind", "ServiceAccount"), member("name", "default"), member("namespace", names[0])];
        set.chain(["tenants[0].quota.pods=7".to_owned()]).chain(members).collect::<Vec<_>>().join(",")
    };
    let both = tenants(&[&a, &b]);
    done(
        &helm,
        &ground,
        &[&["install", "krt", "charts/krt", "--set", &both, "--wait", "--timeout", "90s"][..], &values].concat(),
    );
    let password = |namespace: &str| {
        ground.space.cluster.kubectl(&["-n", namespace, "get", "secret", "krt-nats", "-o", "jsonpath={.data.password}"])
    };
    let (of_a, of_b) = (password(&a), password(&b));
    assert!(of_a.len() > 40 && of_b.len() > 40 && of_a != of_b);
    let quota = ["-n", &a, "get", "resourcequota", "krt", "-o", "jsonpath={.spec.hard.pods}"];
    assert_eq!(ground.space.cluster.kubectl(&quota), "7");
    for (account, namespace, answer) in [(&a, &a, "yes"), (&a, &b, "no"), (&a, &name, "no"), (&b, &b, "yes")] {
        let who = format!("--as=system:serviceaccount:{name}:krt-operator-{account}");
        for what in ["versions.krt.konstellation.io", "secrets"] {
            let said = ground.space.cluster.kubectl(&["-n", namespace, "auth", "can-i", "get", what, &who]);
            assert_eq!(said.lines().last(), Some(answer), "{account} in {namespace}: {said}");
        }
    }

    attempts(&ground, &a, &b).await;

    let one = tenants(&[&a]);
    done(
        &helm,
        &ground,
        &[&["upgrade", "krt", "charts/krt", "--set", &one, "--wait", "--timeout", "90s"][..], &values].concat(),
    );
    assert_eq!(password(&a), of_a);
    let accounts =
        ground.space.kubectl(&["get", "secret", "krt-nats-server", "-o", "jsonpath={.data.accounts\\.conf}"]);
    assert!(!accounts.is_empty());
    uninstalled_all(&helm, &ground, &[&name, &a]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_go_before_the_operators_that_let_them_go_and_nothing_goes_when_they_cannot() {
    let (Some(helm), Some(ground)) = (tool("helm"), Ground::new("going").await) else { return };
    let cluster = &ground.space.cluster;
    let name = ground.space.name.clone();
    let tenant = format!("{name}-a");
    let of_tenant = format!("tenants[0].name={tenant}");
    let values = [
        "--set",
        "nats.urls={nats://nats.bus:4222},rbac.userRoles=false,tenantDefaults.keepNamespaces=false,uninstall.timeout=5",
        "--wait",
        "--timeout",
        "90s",
    ];
    done(&helm, &ground, &[&["install", "krt", "charts/krt", "--set", &of_tenant][..], &values].concat());
    let space = Space { cluster: cluster.clone(), name: tenant.clone(), client: ground.space.client.clone() };
    let theirs = Ground { space, nats: ground.nats.clone() };
    let account = format!("krt-operator-{tenant}");
    let token = ground.space.kubectl(&["create", "token", &account]);
    let kubeconfig = cluster.kubeconfig_for(&tenant, token.trim()).to_string_lossy().into_owned();
    let url = ground.nats.url();
    let arguments = ["operator", "--kubeconfig", &kubeconfig, "-n", &tenant, "--nats", &url];
    let lease = ["--web-addr", "127.0.0.1:0", "--lease", &account, "--lease-namespace", &name, "--lease-seconds", "3"];
    let mut operator = Process::start(&[&arguments[..], &lease].concat(), &[]);
    operator.events().ready();
    let pushed = theirs.krt_push(&Sample::named("v1"));
    theirs.create("v1", &pushed, State::Published).await;
    theirs.phase("v1", Phase::Published).await;

    // Whoever takes a tenant from the list would take its operator from its versions.
    let without = run(&helm, &ground, &[&["upgrade", "krt", "charts/krt"][..], &values].concat());
    let said = String::from_utf8_lossy(&without.stderr).into_owned();
    assert!(!without.status.success() && said.contains(&format!("tenant {tenant} still has version v1")), "{said}");

    // Nobody is there who could let the version go.
    operator.kill();
    let output = uninstalled(&helm, &ground).await;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(!output.status.success(), "{said}");
    for text in ["krt-uninstall", "v1: no operator has looked at it within"] {
        assert!(said.contains(text), "{text:?} is not in {said}");
    }
    assert_eq!(theirs.leads("active-entrypoint").await.as_deref(), Some("v1"), "it goes on");
    assert!(left(&ground, &[&name]).iter().any(|it| it.ends_with(&account)), "its operator is still to come");

    operator.kill_and_start();
    operator.events().ready();
    uninstalled_all(&helm, &ground, &[&name, &tenant]).await;
    assert!(!cluster.kubectl(&["get", "namespaces", "-o", "name"]).contains(&tenant));
    assert_eq!(ground.streams().await, [""; 0]);
}

#[test]
fn the_chart_s_pods_take_every_argument_that_it_gives_them() {
    let Some(helm) = tool("helm") else { return };
    let flags = |command: &str| {
        let help = Command::new(krt_binary()).args([command, "--help"]).output().expect("krt starts");
        String::from_utf8(help.stdout).expect("UTF-8")
    };
    let all = ["operator", "call", "delete"].map(flags);
    let argument = regex::Regex::new(r"(?m)^ +- (--[a-z-]+)").expect("a pattern");
    let mut seen = 0;
    for case in ["default", "tenants", "external", "external-tenant"] {
        let values = format!("tests/chart/{case}.values.yaml");
        let output = Command::new(&helm)
            .args(["template", "krt", "charts/krt", "--namespace", "krt", "--values", &values])
            .current_dir(workspace())
            .output()
            .expect("helm starts");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        for found in argument.captures_iter(&text) {
            let flag = &found[1];
            seen += 1;
            let known = |help: &str| help.split([' ', ',', '\n']).any(|word| word == flag);
            assert!(all.iter().any(|help| known(help)), "{case}: {flag}");
        }
    }
    assert!(seen > 20);
}
