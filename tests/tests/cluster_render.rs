//! `krt render`: every version in `tests/render` has the exact objects that stand beside it, and Kubernetes takes them.
//! `BLESS=1` rewrites them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::command::{Ran, krt};
use e2e::{skipped, workspace};
use serde_json::Value;

/// Folder in `tests/render`, and how it is rendered. The package is pinned where nothing was built.
const CASES: [(&str, &str); 8] = [
    ("seeds-listing", ""),
    (
        "classificator",
        "--entrypoint-replicas 2 --metrics-from monitoring --compiled \
         bin/etl.wasm=nats://compiled_kre/00-11.cwasm@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    ),
    (
        "mixed",
        "--runtime-id team-a --nats-url nats://nats.bus:4222 --nats-url-secret nats/own --nats-native-secret nats/native --mongo-secret databases/mongo --mongo-host mongo.data:27017 \
         --influx-url http://influxdb.data:8086 --config MODEL=resnet --config THRESHOLD=0.5 --config LABELS=a,b \
         --config-secret API_KEY=vision/key --replace-image konstellation/kre-py:latest=registry.example/kre-py:4.1",
    ),
    ("two-workflows", ""),
    ("published", "--published --pull-policy Always --pull-secret registry --image registry.example/krt:1.2.3"),
    (
        "names-at-their-longest",
        "--published --namespace kre --runtime-id Team_a-0123456789-0123456789-0123456789-0123456789-012345678_",
    ),
    ("grants", "--nats-url nats://10.9.8.7:4222,nats://10.9.8.8:4222"),
    (
        "references",
        "--package oci://registry.example:5000/team/v1:v1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef \
         --registry-secret registry --plain-http --nats-url tls://nats.example.org --nats-creds-secret nats/team.creds \
         --nats-ca-secret nats-tls/ca.crt --nats-native-secret nats/url --config-secret API_KEY=mail/key \
         --config-map ENDPOINT=mail/endpoint --config YES=no --config KRT_NODE_NAME=other --config KRT_MAX_PENDING_ACK=10 \
         --native-user 10001 --verify-key ../cosign.pub",
    ),
];

const PACKAGE: &str = "--package nats://packages_kre/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn folder(case: &str) -> PathBuf {
    workspace().join("tests/render").join(case)
}

async fn rendered(case: &str, options: &str, more: &str) -> Ran {
    let package = if options.contains("--package") { "" } else { PACKAGE };
    let line = format!("render . {options} {package} {more}");
    let ran = krt(&folder(case), line.split_whitespace()).await;
    assert_eq!(ran.code, 0, "{case}: {}", ran.stderr);
    ran
}

#[tokio::test]
async fn each_version_has_its_exact_objects() {
    let mut differences = Vec::new();
    for (case, options) in CASES {
        let said = rendered(case, options, "").await.stdout;
        let golden = folder(case).join("objects.yaml");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&golden, said).unwrap();
        } else if fs::read_to_string(&golden).ok().as_ref() != Some(&said) {
            differences.push(format!("{}\n--- said\n{said}", golden.display()));
        }
    }
    assert!(differences.is_empty(), "{}\n\n`make bless` accepts what is said", differences.join("\n\n"));
}

#[test]
fn each_golden_belongs_to_a_case() {
    for entry in fs::read_dir(workspace().join("tests/render")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(!path.is_dir() || CASES.iter().any(|(case, _)| *case == name), "{name} stands alone");
    }
}

/// The Python with the schemas of Kubernetes.
fn validator() -> Option<PathBuf> {
    let script = workspace().join("scripts/kubernetes-validate.sh");
    let output = Command::new(script).output().expect("a script");
    if !output.status.success() {
        skipped(&format!("no schemas of Kubernetes: {}", String::from_utf8_lossy(&output.stderr)));
        return None;
    }
    let folder = String::from_utf8(output.stdout).expect("UTF-8");
    Some(Path::new(folder.trim()).join("venv/bin/python3"))
}

#[tokio::test]
async fn kubernetes_takes_every_golden() {
    let Some(python) = validator() else { return };
    let there = tempfile::tempdir().unwrap();
    let (mut files, mut documents) = (Vec::new(), 0);
    for (case, options) in CASES {
        let text = rendered(case, options, "").await.stdout;
        documents += text.matches("\nkind: ").count();
        files.push(there.path().join(case).with_extension("yaml"));
        fs::write(files.last().unwrap(), text).unwrap();
    }
    let output = Command::new(python.with_file_name("kubernetes-validate"))
        .args(["-k", "1.36", "--strict"])
        .args(&files)
        .output()
        .expect("the validator starts");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let passed = said.lines().filter(|line| line.starts_with("INFO") && line.contains("passed")).count();
    assert_eq!(passed, documents, "{said}");
}

/// Prints the documents of a YAML file as JSON, by a reader of YAML 1.1, as Kubernetes' is.
const TO_JSON: &str = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";

#[tokio::test]
async fn a_reader_of_yaml_1_1_reads_what_is_meant() {
    let Some(python) = validator() else { return };
    let there = tempfile::NamedTempFile::new().unwrap();
    for (case, options) in CASES {
        let meant = rendered(case, options, "--output json").await.json();
        fs::write(there.path(), rendered(case, options, "").await.stdout).unwrap();
        let output = Command::new(&python).args(["-c", TO_JSON]).arg(there.path()).output().expect("python starts");
        let read: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(meant["kind"], "List");
        assert_eq!(meant["items"], read, "{case}");
    }
}

/// The Service that the user documentation prints, without what the API server fills in.
fn documented(version: &str, service: &str) -> String {
    let printed = "\
apiVersion: v1
kind: Service
metadata:
  labels:
    type: entrypoint
    version-name: #VERSION_NAME#-entrypoint
  name: #SERVICE_NAME#
  namespace: kre
spec:
  ports:
  - name: grpc
    port: 9000
    protocol: TCP
    targetPort: 9000
  - name: web
    port: 80
    protocol: TCP
    targetPort: 8080
  selector:
    type: entrypoint
    version-name: #VERSION_NAME#-entrypoint
  sessionAffinity: None
  type: ClusterIP
";
    printed.replace("#VERSION_NAME#", version).replace("#SERVICE_NAME#", service)
}

#[tokio::test]
async fn the_service_is_the_documented_one_byte_for_byte() {
    let (case, _) = CASES[0];
    for (options, services) in
        [("", vec!["classificator-v1"]), ("--published", vec!["classificator-v1", "active-entrypoint"])]
    {
        let text = rendered(case, options, "").await.stdout;
        let found: Vec<_> = text.split("---\n").filter(|document| document.contains("kind: Service\n")).collect();
        let expected: Vec<_> = services.iter().map(|service| documented("classificator-v1", service)).collect();
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn every_runner_is_told_all_that_it_insists_on() {
    // Contract, 4.1: what kre-go and kre-py do not start without.
    let mandatory = "KRT_RUNTIME_ID KRT_VERSION_ID KRT_VERSION KRT_WORKFLOW_NAME KRT_NODE_NAME KRT_BASE_PATH \
        KRT_HANDLER_PATH KRT_NATS_SERVER KRT_NATS_STREAM KRT_NATS_INPUTS KRT_NATS_OUTPUT \
        KRT_NATS_KEY_VALUE_STORE_PROJECT KRT_NATS_KEY_VALUE_STORE_WORKFLOW KRT_NATS_KEY_VALUE_STORE_NODE \
        KRT_NATS_MONGO_WRITER KRT_MONGO_URI KRT_INFLUX_URI";
    for (case, options) in CASES {
        let list = rendered(case, options, "--output json").await.json();
        let of_nodes = |item: &&Value| item["kind"] == "Deployment" && item["metadata"]["labels"]["type"] == "node";
        for deployment in list["items"].as_array().unwrap().iter().filter(of_nodes) {
            let name = &deployment["metadata"]["name"];
            let environment = deployment["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
            let mut names: Vec<_> = environment.iter().map(|it| it["name"].as_str().unwrap()).collect();
            for variable in mandatory.split_whitespace() {
                assert!(names.contains(&variable), "{case}: {name} is not told {variable}");
            }
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{case}: {name} is told something twice");
        }
    }
}

#[tokio::test]
async fn a_folder_gets_a_file_for_each_object_and_keeps_nothing_else() {
    let there = tempfile::tempdir().unwrap();
    let target = there.path().join("deploy");
    let (case, options) = CASES[3];
    let more = format!("--output-dir {}", target.display());
    rendered(case, options, &more).await;
    let mut names: Vec<_> =
        fs::read_dir(&target).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(names.contains(&"service-two-workflows.yaml".to_owned()), "{names:?}");
    let whole = rendered(case, options, "").await.stdout;
    assert_eq!(names.len(), whole.matches("\nkind: ").count());
    // Again, over what is there; and not beside what would be applied with it.
    rendered(case, options, &more).await;
    fs::write(target.join("left-over.yaml"), "kind: Secret").unwrap();
    let line = format!("render . {PACKAGE} {more}");
    let ran = krt(&folder(case), line.split_whitespace()).await;
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("left-over.yaml"), "{}", ran.stderr);
}

#[tokio::test]
async fn what_must_not_be_in_objects_is_wrong_usage() {
    let case = folder("mixed");
    for (line, words) in [
        ("render . --nats-url nats://user:geheim@nats:4222", "refer to a Secret"),
        ("render . --influx-url http://user:geheim@influx", "refer to a Secret"),
        (
            "render . --runtime-id Team_a --package nats://p/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "--namespace",
        ),
        ("render . --package oci://h/r:latest", "@sha256"),
        ("render . --package somewhere", "no reference"),
        ("render . --compiled bin/words.wasm=nats://b/n", "krt compile"),
    ] {
        let ran = krt(&case, line.split_whitespace()).await;
        assert_ne!(ran.code, 0, "{line}");
        assert!(ran.stderr.contains(words), "{line}: {}", ran.stderr);
    }
    let line = format!("render . {PACKAGE} --config MODEL=a");
    let ran = krt(&case, line.split_whitespace()).await;
    assert!(ran.stderr.contains("LABELS, THRESHOLD, API_KEY"), "{}", ran.stderr);
}
