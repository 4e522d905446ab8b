//! `krt check`, `pack`, `graph`, `plan` and `completions` as scripts and people use them.

use std::fs;
use std::path::Path;

use e2e::command::{Ran, krt};
use serde_json::{Value, json};

/// The listing of the documentation, with the head that it leaves out.
const CLASSIFICATOR: &str = "\
krtVersion: v2
version: classificator-v1
description: Classifies e-mails
workflows:
  - name: classificator
    entrypoint: Classificator
    exitpoint: exitpoint
    nodes:
      - {name: etl, image: 'konstellation/kre-py:latest', src: src/etl/main.py, replicas: 1, subscriptions: [entrypoint]}
      - {name: email-classificator, src: bin/email_classificator.wasm, subscriptions: [etl]}
      - {name: repairs-handler, image: 'konstellation/kre-go:latest', src: bin/repairs_handler, replicas: 2, subscriptions: [email-classificator.repairs]}
      - {name: stats-storer, src: bin/stats_storer.wasm, subscriptions: [email-classificator], objectStore: {name: stats}}
      - {name: exitpoint, src: bin/exitpoint.wasm, subscriptions: [etl, stats-storer]}
";

const PROTO: &str = "\
syntax = \"proto3\";
service Entrypoint { rpc Classificator (Request) returns (Response); }
message Request {}
message Response {}
";

fn classificator() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("krt.yml", CLASSIFICATOR),
        ("public_input.proto", PROTO),
        ("src/etl/main.py", "x"),
        ("bin/email_classificator.wasm", "x"),
        ("bin/repairs_handler", "x"),
        ("bin/stats_storer.wasm", "x"),
        ("bin/exitpoint.wasm", "x"),
    ] {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

async fn run(folder: &Path, line: &str) -> Ran {
    krt(folder, line.split(' ')).await
}

#[tokio::test]
async fn check_says_in_one_line_that_nothing_is_wrong() {
    let folder = classificator();
    let ran = run(folder.path(), "check .").await;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(ran.stdout, "classificator-v1: no problems (1 workflow, 5 nodes, 3 of them wasm)\n");
    let ran = run(folder.path(), "check krt.yml --output json").await;
    assert_eq!((ran.code, ran.json()), (0, json!({"problems": []})));
}

#[tokio::test]
async fn check_tells_all_problems_at_once_each_with_its_place() {
    let folder = classificator();
    let broken = CLASSIFICATOR.replace("[email-classificator.repairs]", "[email-clasificator.repairs]");
    fs::write(folder.path().join("krt.yml"), broken.replace("exitpoint: exitpoint", "exitpoint: exit")).unwrap();
    fs::remove_file(folder.path().join("src/etl/main.py")).unwrap();
    let ran = run(folder.path(), "check . --output json").await;
    assert_eq!((ran.code, ran.stderr.as_str()), (1, ""));
    let json = ran.json();
    let mut lines = Vec::new();
    for problem in json["problems"].as_array().unwrap() {
        let mut keys: Vec<_> = problem.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["code", "column", "file", "help", "line", "message", "severity"]);
        assert!(["error", "warning"].contains(&problem["severity"].as_str().unwrap()));
        assert_eq!(problem["file"], "krt.yml");
        lines.push(problem["line"].as_u64().unwrap());
    }
    for line in [7, 9, 11] {
        assert!(lines.contains(&line), "{line}: {json:#}");
    }
    let ran = run(folder.path(), "check .").await;
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    for words in ["krt.yml:7:", "krt.yml:9:", "krt.yml:11:", "^"] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
}

#[tokio::test]
async fn files_are_named_as_seen_from_where_the_user_is() {
    let folder = classificator();
    fs::write(folder.path().join("public_input.proto"), PROTO.replace("(Request)", "(Reqest)")).unwrap();
    let here = folder.path().parent().unwrap();
    let name = folder.path().file_name().unwrap().to_str().unwrap();
    for path in [name.to_owned(), format!("{name}/krt.yml")] {
        let ran = krt(here, ["check", &path, "--output", "json"]).await;
        let problem = &ran.json()["problems"][0];
        assert_eq!(problem["file"], format!("{name}/public_input.proto"), "{problem:#}");
        assert_eq!((&problem["line"], &problem["column"]), (&json!(2), &json!(41)));
        let ran = krt(here, ["check", &path]).await;
        assert!(ran.stderr.contains(&format!("{name}/public_input.proto:2:41")), "{}", ran.stderr);
        assert!(ran.stderr.contains("(Reqest)"), "the line is shown: {}", ran.stderr);
    }
}

#[tokio::test]
async fn colour_is_for_terminals_or_on_demand() {
    let folder = tempfile::tempdir().unwrap();
    assert!(!run(folder.path(), "check .").await.stderr.contains('\u{1b}'));
    assert!(run(folder.path(), "check . --color always").await.stderr.contains('\u{1b}'));
}

#[tokio::test]
async fn wrong_usage_exits_with_2() {
    let folder = classificator();
    for line in ["check", "check . --output xml", "plan . --runtime-id a.b", "graph . --format png", "pack", "nonsense"]
    {
        let ran = run(folder.path(), line).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "krt {line}: {ran:#?}");
        assert!(!ran.stderr.is_empty());
    }
}

#[tokio::test]
async fn a_packed_version_is_the_same_version() {
    let folder = classificator();
    let ran = run(folder.path(), "pack . --output json").await;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:#?}");
    let packed = ran.json();
    let file = folder.path().join("classificator-v1.krt");
    let bytes = fs::read(&file).unwrap();
    assert_eq!(packed["file"], "classificator-v1.krt");
    assert_eq!(packed["size"], bytes.len());
    assert_eq!(packed["manifest"], "krt.yml");
    // Seven files and the folders src, src/etl and bin; the archive itself is not among them.
    assert_eq!(packed["entries"], 10);
    let again = run(folder.path(), "pack . --output json").await.json();
    assert_eq!(again["sha256"], packed["sha256"]);
    let elsewhere = run(folder.path(), "pack classificator-v1.krt -o again.krt --output json").await.json();
    assert_eq!(elsewhere["sha256"], packed["sha256"], "packed anew from the archive");
    for command in ["check", "graph", "plan"] {
        let from_folder = run(folder.path(), &format!("{command} .")).await;
        let from_archive = run(folder.path(), &format!("{command} classificator-v1.krt")).await;
        assert_eq!((from_archive.code, from_archive.stdout), (from_folder.code, from_folder.stdout), "krt {command}");
    }
}

#[tokio::test]
async fn an_archive_is_as_the_original_needs_it() {
    let folder = classificator();
    fs::write(folder.path().join(".krtignore"), "bin\n*.txt\n").unwrap();
    fs::create_dir(folder.path().join("docs")).unwrap();
    fs::write(folder.path().join("docs/krt.yml"), "not the manifest").unwrap();
    fs::write(folder.path().join("notes.txt"), "").unwrap();
    fs::write(folder.path().join("docs/notes.txt"), "").unwrap();
    let ran = run(folder.path(), "pack . --no-check").await;
    assert_eq!(ran.code, 0, "{ran:#?}");
    let Ok(listing) = std::process::Command::new("tar")
        .args(["-tvzf", "classificator-v1.krt", "--numeric-owner"])
        .env("TZ", "UTC")
        .current_dir(folder.path())
        .output()
    else {
        return e2e::skipped("there is no tar");
    };
    assert!(listing.status.success(), "{listing:?}");
    let listing = String::from_utf8(listing.stdout).unwrap();
    let paths: Vec<_> = listing.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
    let expected = [
        "krt.yml",
        ".krtignore",
        "docs/",
        "docs/krt.yml",
        "docs/notes.txt",
        "public_input.proto",
        "src/",
        "src/etl/",
        "src/etl/main.py",
    ];
    assert_eq!(paths, expected);
    assert!(listing.lines().all(|line| line.contains("0/0") && line.contains("1970-01-01")), "{listing}");
}

#[tokio::test]
async fn a_version_with_errors_is_packed_on_demand_only() {
    let folder = classificator();
    fs::remove_file(folder.path().join("bin/exitpoint.wasm")).unwrap();
    let ran = run(folder.path(), "pack .").await;
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("bin/exitpoint.wasm"), "{}", ran.stderr);
    assert!(!folder.path().join("classificator-v1.krt").exists());
    assert_eq!(run(folder.path(), "pack . --no-check").await.code, 0);
    fs::write(folder.path().join("krt.yml"), "nonsense").unwrap();
    let ran = run(folder.path(), "pack . --no-check").await;
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("-o"), "{}", ran.stderr);
    assert_eq!(run(folder.path(), "pack . --no-check -o any.krt").await.code, 0);
}

#[tokio::test]
async fn an_archive_that_cannot_be_written_leaves_nothing_behind() {
    let folder = classificator();
    fs::create_dir(folder.path().join("taken")).unwrap();
    fs::write(folder.path().join("taken/x"), "").unwrap();
    for out in ["gone/v1.krt", "taken"] {
        let ran = run(folder.path(), &format!("pack . -o {out}")).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:#?}");
        assert!(ran.stderr.starts_with(&format!("error: cannot write `{out}`")), "{}", ran.stderr);
    }
    let hidden = fs::read_dir(folder.path())
        .unwrap()
        .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with(".krt-")));
    assert_eq!(hidden.count(), 0);
}

#[tokio::test]
async fn plan_prints_every_name_exactly() {
    let folder = tempfile::tempdir().unwrap();
    // Neither sources nor proto are there; neither is needed.
    fs::write(folder.path().join("krt.yml"), CLASSIFICATOR).unwrap();
    let ran = run(folder.path(), "plan . --output json").await;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:#?}");
    let plan = ran.json();
    let stream = "kre_classificator-v1_Classificator";
    assert_eq!((&plan["runtime_id"], &plan["version"]), (&json!("kre"), &json!("classificator-v1")));
    assert_eq!(plan["streams"][0]["name"], stream);
    let subjects = plan["streams"][0]["subjects"].as_array().unwrap();
    assert_eq!(subjects.len(), 11);
    for subject in ["entrypoint", "etl", "etl.*", "email-classificator.*"] {
        assert!(subjects.contains(&json!(format!("{stream}.{subject}"))), "{subject}");
    }
    let durables = plan["durables"].as_array().unwrap();
    let durable = |node: &str, of: &str| -> Value {
        let found = durables.iter().find(|d| d["node"] == node && d["filter_subject"] == format!("{stream}.{of}"));
        found.unwrap_or_else(|| panic!("{node} reads {of}: {plan:#}")).clone()
    };
    assert_eq!(durables.len(), 6);
    let repairs = durable("repairs-handler", "email-classificator.repairs");
    let name = "kre_classificator-v1_Classificator-email-classificator-repairs-repairs-handler";
    assert_eq!((&repairs["name"], &repairs["deliver_group"]), (&json!(name), &json!(name)));
    assert_eq!((&repairs["delivery"], &repairs["stream"]), (&json!("push"), &json!(stream)));
    let stats = durable("stats-storer", "email-classificator");
    assert_eq!((&stats["delivery"], &stats["deliver_group"]), (&json!("pull"), &Value::Null));
    let buckets = plan["key_value_buckets"].as_array().unwrap();
    assert_eq!(buckets.len(), 7);
    assert!(buckets.contains(&json!("key-store_kre_classificator-v1_classificator_etl")));
    assert_eq!(plan["object_stores"], json!(["kre_classificator-v1_classificator_stats"]));
    let team = run(folder.path(), "plan . --runtime-id team-a --output json").await.json();
    assert_eq!(team["streams"][0]["name"], "team-a_classificator-v1_Classificator");
    let text = run(folder.path(), "plan .").await.stdout;
    for word in [stream, name, "key-store_kre_classificator-v1", "kre_classificator-v1_classificator_stats", "pull"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[tokio::test]
async fn graph_draws_one_workflow_or_all_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let second = "  - name: second
    entrypoint: Second
    exitpoint: only
    nodes: [{name: only, src: bin/only.wasm, subscriptions: [entrypoint]}]
";
    fs::write(folder.path().join("krt.yaml"), format!("{CLASSIFICATOR}{second}")).unwrap();
    for (format, first, other) in [
        ("text", "email-classificator.repairs  → repairs-handler", "workflow second, method Second"),
        ("dot", "w0_n1 -> w0_n2 [label=\"repairs\"];", "subgraph cluster_1 {"),
        ("mermaid", "w0_n1 -->|\"repairs\"| w0_n2", "subgraph w1 [\"second (Second)\"]"),
    ] {
        let ran = run(folder.path(), &format!("graph . --format {format}")).await;
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:#?}");
        assert!(ran.stdout.contains(first) && ran.stdout.contains(other), "{}", ran.stdout);
        let ran = run(folder.path(), &format!("graph . --format {format} --workflow classificator")).await;
        assert!(ran.stdout.contains(first) && !ran.stdout.contains(other), "{}", ran.stdout);
    }
    let json = run(folder.path(), "graph . --output json").await.json();
    let edge = json!({"from": "entrypoint", "channel": null, "to": "only", "messages": []});
    assert_eq!(json["workflows"][1]["edges"], json!([edge]));
    let ran = run(folder.path(), "graph . --workflow third").await;
    assert_eq!(ran.code, 1);
    assert_eq!(ran.stderr, "error: there is no such workflow; there are: classificator, second\n");
}

#[tokio::test]
async fn completions_and_help_are_there() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let ran = run(folder.path(), &format!("completions {shell}")).await;
        assert_eq!(ran.code, 0);
        assert!(ran.stdout.contains("runtime-id"), "{shell}");
    }
    for command in ["check", "pack", "graph", "plan", "completions"] {
        let ran = run(folder.path(), &format!("{command} --help")).await;
        assert_eq!(ran.code, 0);
        assert!(ran.stdout.contains("Examples:\n  krt "), "{}", ran.stdout);
    }
}
