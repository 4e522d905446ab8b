//! Nodes in JavaScript beyond what the conformance suite asks of every language: what its engines stumble over, what a build
//! that fails says, and the SDK's own tests.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use e2e::lone::Lone;
use e2e::{javascript, workspace};
use krt::topology::Wasm;
use krt_host::node::NodeError;

const ENGINES: [&str; 2] = ["quickjs", "spidermonkey"];
const TYPE_URL: &str = "type.googleapis.com/edges.Text";

/// The node of `tests/guests/javascript`, and its engine.
struct Edges {
    engine: &'static str,
    node: Lone,
    /// Two begin with the same memory.
    twin: Lone,
}

impl Edges {
    async fn start(engine: &'static str) -> Self {
        let component = javascript::component("tests/guests/javascript", engine, "bin/edges.wasm");
        let wasm = || Wasm { timeout: std::time::Duration::from_secs(3), ..Wasm::default() };
        let start = async || Lone::start(&component, wasm(), javascript::machine_code()).await.expect("init goes well");
        Self { engine, node: start().await, twin: start().await }
    }

    async fn told(&self, edge: &str) -> Result<(), NodeError> {
        self.node.handle(edge, TYPE_URL, &Bytes::new()).await
    }

    /// The text that it answers.
    async fn text(&self, edge: &str) -> String {
        self.told(edge).await.unwrap_or_else(|error| panic!("{} {edge}: {error}", self.engine));
        text_of(&self.node, self.engine, edge)
    }

    async fn rejected(&self, edge: &str, expected: &str) {
        let outcome = self.told(edge).await;
        assert_eq!(outcome, Err(NodeError::Rejected(expected.to_owned())), "{} {edge}", self.engine);
    }
}

/// Of the last message that was sent: field 1.
fn text_of(node: &Lone, engine: &str, edge: &str) -> String {
    let sent = node.sent();
    let payload = sent.last().and_then(|message| message.payload.clone()).unwrap_or_default();
    let data = payload.data;
    if data.is_empty() {
        return String::new();
    }
    assert_eq!(data[0], 0x0a, "{engine} {edge}: {data:?}");
    let start = if data[1] < 0x80 { 2 } else { 3 };
    String::from_utf8(data[start..].to_vec()).unwrap_or_else(|error| panic!("{engine} {edge}: {error}"))
}

#[tokio::test]
async fn both_engines_do_not_stumble_over_what_the_language_has_and_the_contract_has_not() {
    if !javascript::is_there() {
        return;
    }
    for engine in ENGINES {
        let edges = Edges::start(engine).await;
        assert_eq!(edges.text("top").await, "by a promise random:true uuid:true environment=undefined", "{engine}");
        assert_eq!(edges.text("none").await, "undefined,undefined,undefined,undefined", "{engine}");
        assert_eq!(edges.text("surrogates").await, "x\u{fffd}y😀", "{engine}");
        assert_eq!(edges.text("utf8").await, "6 ä😀 \"a\u{fffd}\"", "{engine}");
        assert_eq!(edges.text("generators").await, "6 1,2,3 rejected,fulfilled 1,2,3", "{engine}");
        assert_eq!(edges.text("timers").await, "a,b,c", "{engine}");
        assert_eq!(edges.text("thenable").await, "a thenable", "{engine}");
        assert_eq!(edges.text("floating").await, "done", "{engine}");

        let numbers = edges.text("numbers").await;
        let odd = if engine == "quickjs" { "RangeError: 9007199254740993 does not reach" } else { "undefined invalid" };
        assert!(numbers.starts_with(&format!("undefined {odd}")), "{engine}: {numbers}");
        assert!(numbers.ends_with(" invalid number number"), "{engine}: {numbers}");
        edges.told("wide").await.expect("the widest integers are sent");
        let sent = edges.node.sent();
        let wide = [&[0x10][..], &[0x80; 9], &[0x01, 0x18], &[0xff; 9], &[0x01]].concat();
        assert_eq!(sent[0].payload.as_ref().expect("a payload").data, wide, "{engine}");
        assert!(matches!(edges.told("tooWide").await, Err(NodeError::Rejected(_))), "{engine}");

        let arguments = edges.text("arguments").await;
        for part in ["a key must be a string, not undefined", "not-declared", "a type URL must be a string"] {
            assert!(arguments.contains(part), "{engine}: {arguments}");
        }
    }
}

#[tokio::test]
async fn whatever_is_thrown_is_a_rejection_and_never_a_trap() {
    if !javascript::is_there() {
        return;
    }
    for engine in ENGINES {
        let edges = Edges::start(engine).await;
        edges.rejected("text", "a text").await;
        edges.rejected("nothing", "undefined was thrown").await;
        edges.rejected("object", r#"{"tag":"transient","val":"not the contract's"}"#).await;
        edges.rejected("frozen", "frozen").await;
        edges.rejected("proxy", "something was thrown that cannot be described").await;
        edges.rejected("rejects", "RangeError: rejected later").await;
        edges.rejected("rejectsNothing", "undefined was thrown").await;
        assert_eq!(edges.told("later").await, Err(NodeError::Transient("away: a cause".to_owned())), "{engine}");
        assert_eq!(edges.node.replaced(), 0, "{engine}: an instance ended");
    }
}

#[tokio::test]
async fn what_never_ends_is_ended_and_the_next_message_finds_another_instance() {
    if !javascript::is_there() {
        return;
    }
    for engine in ENGINES {
        let edges = Edges::start(engine).await;
        for edge in ["spin", "spinLater"] {
            assert!(matches!(edges.told(edge).await, Err(NodeError::TimedOut(_))), "{engine} {edge}");
            assert_eq!(edges.text("thenable").await, "a thenable", "{engine} after {edge}");
        }
        assert!(matches!(edges.told("hog").await, Err(NodeError::LimitExceeded(_))), "{engine}");
        assert_eq!(edges.text("thenable").await, "a thenable", "{engine} after hog");
        let recursion = edges.told("recursion").await;
        match engine {
            // Its stack is the component's, which the host ends.
            "quickjs" => assert!(matches!(recursion, Err(NodeError::Trapped { .. })), "{recursion:?}"),
            _ => assert!(matches!(recursion, Err(NodeError::Rejected(_))), "{recursion:?}"),
        }
        assert_eq!(edges.text("thenable").await, "a thenable", "{engine} after recursion");
        // A promise that nothing can settle is told from one that takes its time.
        let never = edges.told("never").await;
        assert!(matches!(never, Err(NodeError::Rejected(_) | NodeError::Trapped { .. })), "{engine}: {never:?}");
        assert_eq!(edges.text("thenable").await, "a thenable", "{engine} after never");
    }
}

#[tokio::test]
async fn instances_of_one_component_do_not_share_their_randomness() {
    if !javascript::is_there() {
        return;
    }
    for engine in ENGINES {
        let edges = Edges::start(engine).await;
        let one = edges.text("random").await;
        edges.twin.handle("random", TYPE_URL, &Bytes::new()).await.expect("an answer");
        let other = text_of(&edges.twin, engine, "random");
        for (one, other) in one.split(' ').zip(other.split(' ')) {
            assert_ne!(one, other, "{engine}");
        }
    }
}

/// What a build of the guest says after `change`, which is given the node's folder.
fn failure(change: impl FnOnce(&Path)) -> String {
    let version = javascript::version("tests/guests/javascript", "quickjs");
    change(&version.path().join("node"));
    let output = javascript::build(version.path());
    assert!(!output.status.success(), "the build should have failed");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_build_that_fails_says_what_to_change_and_where() {
    if !javascript::is_there() {
        return;
    }
    let write = |name: &'static str, text: &'static str| {
        move |node: &Path| std::fs::write(node.join(name), text).expect("written")
    };
    let cases: [(&str, String); 10] = [
        ("main.js:2:6", failure(write("main.js", "const a = 1;\nconst = 2;\n"))),
        ("Could not resolve \"./nothing.js\"", failure(write("main.js", "import \"./nothing.js\";\n"))),
        ("a component has no node:net", failure(write("main.js", "import \"node:net\";\n"))),
        (
            "No matching export in \"main.js\" for import \"default\"",
            failure(write("main.js", "export const a = 1;\n")),
        ),
        ("exports no node", failure(write("main.js", "export default 7;\n"))),
        ("files are read in init or in a handler", {
            failure(write(
                "main.js",
                "import { readFileSync } from \"node:fs\";\nexport default readFileSync(\"/krt-files/a\");\n",
            ))
        }),
        ("Top-level await is not available", failure(write("main.js", "export default await 7;\n"))),
        ("has no main.ts or main.js", failure(|node| std::fs::remove_file(node.join("main.js")).expect("removed"))),
        ("unknown variant `v8`", failure(|node| javascript::choose(&node.join("package.json"), "v8"))),
        ("krt-node comes with krt", failure(write("package.json", r#"{"dependencies": {"krt-node": "1"}}"#))),
    ];
    for (expected, said) in cases {
        assert!(said.contains(expected), "{expected:?} is not in:\n{said}");
        assert!(said.contains("could not build edges/edges; the command was: "), "{said}");
    }
}

#[test]
fn a_second_build_of_the_same_files_builds_nothing() {
    if !javascript::is_there() {
        return;
    }
    let version = javascript::version("tests/guests/javascript", "quickjs");
    let steps = || {
        let output = javascript::build(version.path());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        said.contains("building edges/edges")
    };
    assert!(steps(), "the first build");
    assert!(!steps(), "nothing has changed");
    // Nor does an archive of it hold what the build leaves beside the sources.
    let archive = version.path().join("edges.krt");
    let output =
        Command::new(e2e::krt_binary()).args(["pack", ".", "-o"]).arg(&archive).current_dir(version.path()).output();
    assert!(output.expect("krt starts").status.success(), "krt pack failed");
    std::fs::remove_dir_all(version.path().join("node/messages")).expect("removed");
    assert!(steps(), "the messages are gone");
    let main = version.path().join("node/main.js");
    let text = std::fs::read_to_string(&main).expect("the entry");
    std::fs::write(&main, text + "// changed\n").expect("written");
    assert!(steps(), "the entry has changed");
}

/// A node that says which release of a package of npm it has.
const WITH_A_PACKAGE: &str = "import ms from \"ms\";
import { version } from \"ms/package.json\";
import { node } from \"krt-node\";
import { TextSchema } from \"./messages/text_pb.js\";
export default node().default((ctx) => ctx.send(TextSchema, { text: `${ms(172_800_000)} by ${version}` }));
";
/// Two releases of it, both of which `^2.1.1` is content with.
const RELEASES: [(&str, &str); 2] = [
    ("2.1.2", "sha512-sGkPx+VjMtmA6MX27oA4FBFELFCZZ4S4XqeGOXCv68tT+jb3vk/RyaKWP0PTKyWtmLSM0b+adUTEvbs1PEaH2w=="),
    ("2.1.3", "sha512-6FlzubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/s5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA=="),
];

#[tokio::test]
async fn packages_of_npm_are_built_in_as_the_lock_file_says_and_again_when_it_says_otherwise() {
    if !javascript::is_there() {
        return;
    }
    let version = javascript::version("tests/guests/javascript", "quickjs");
    let write = |name: &str, text: &str| std::fs::write(version.path().join("node").join(name), text).expect("written");
    write("main.js", WITH_A_PACKAGE);
    write("package.json", r#"{"name": "edges", "private": true, "type": "module", "dependencies": {"ms": "^2.1.1"}}"#);
    for (release, integrity) in RELEASES {
        let lock = serde_json::json!({
            "name": "edges",
            "lockfileVersion": 3,
            "requires": true,
            "packages": {
                "": { "name": "edges", "dependencies": { "ms": "^2.1.1" } },
                "node_modules/ms": { "version": release, "integrity": integrity, "license": "MIT" },
            },
        });
        write("package-lock.json", &lock.to_string());
        let output = javascript::build(version.path());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains("installing ms with npm"), "{said}");
        let component = std::fs::read(version.path().join("bin/edges.wasm")).expect("the component");
        let node = Lone::start(&component, Wasm::default(), javascript::machine_code()).await.expect("init goes well");
        node.handle("entrypoint", TYPE_URL, &Bytes::new()).await.expect("an answer");
        assert_eq!(text_of(&node, "quickjs", "ms"), format!("2d by {release}"));
    }
    // What is there is not asked for again.
    let output = javascript::build(version.path());
    assert!(!String::from_utf8_lossy(&output.stderr).contains("npm"), "it was installed again");
    // A lock file that does not fit is npm's to complain about.
    write(
        "package.json",
        r#"{"name": "edges", "private": true, "type": "module", "dependencies": {"ms": "^1", "mime": "*"}}"#,
    );
    let output = javascript::build(version.path());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("update your lock file with `npm install`"), "{said}");
    assert!(said.contains("could not build edges/edges; the command was: npm ci"), "{said}");
}

/// Runs a program in `folder`; what it prints when it fails.
fn runs(folder: &Path, program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).current_dir(folder).output().expect("the program starts");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{program} {}:\n{said}", arguments.join(" "));
}

#[test]
fn the_sdks_own_tests_pass_and_its_types_fit_what_guests_do_with_it() {
    if !javascript::is_there() {
        return;
    }
    // A build leaves links to the SDK and to what it needs.
    let version = javascript::version("tests/guests/javascript", "quickjs");
    let built = javascript::build(version.path());
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let modules = version.path().join("node_modules");
    let tools = modules.join("@bufbuild/protobuf").canonicalize().expect("a link");
    let tools = tools.ancestors().nth(2).expect("node_modules").to_owned();

    let sdk = tempfile::tempdir().expect("a temporary folder");
    e2e::copy_tree(&workspace().join("guest-sdk/js"), sdk.path());
    std::os::unix::fs::symlink(&tools, sdk.path().join("node_modules")).expect("a link");
    runs(sdk.path(), "node", &["--test", "tests/"]);

    // Types: of the guest that uses everything, and of one that is wrong.
    let typed = javascript::version("tests/guests/long/js", "quickjs");
    assert!(javascript::build(typed.path()).status.success());
    let node = typed.path().join("node");
    std::fs::copy(workspace().join("guest-sdk/js/template/tsconfig.json"), node.join("tsconfig.json")).expect("a copy");
    std::fs::write(node.join("node.d.ts"), "declare const process: { env: Record<string, string | undefined> };\n")
        .expect("written");
    let tsc = tools.join("typescript/bin/tsc").to_string_lossy().into_owned();
    runs(&node, "node", &[&tsc, "-p", "."]);
    let wrong = "import { node } from \"krt-node\";\nimport { MailSchema } from \"./messages/mail_pb.js\";\n\
                 export default node().default((ctx) => ctx.send(MailSchema, { score: \"much\" }));\n";
    std::fs::write(node.join("wrong.ts"), wrong).expect("written");
    let output = Command::new("node").args([&tsc, "-p", "."]).current_dir(&node).output().expect("node starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("wrong.ts(3,") && said.contains("not assignable to type 'number"), "{said}");
}
