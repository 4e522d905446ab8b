//! `krt push` and `krt fetch`: packages in an object store of NATS and in a registry, by their digests, signed or not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::nats::{CURRENT, OLDEST, Server};
use e2e::registry::{PASSWORD, Registry};
use e2e::{krt_binary, skipped};
use serde_json::Value;

const MANIFEST: &str = "\
krtVersion: v2
version: v1
description: One node
workflows:
  - name: w
    entrypoint: Ask
    exitpoint: only
    nodes:
      - { name: only, src: bin/only, image: konstellation/kre-go, subscriptions: [entrypoint] }
";
const PROTO: &str = "\
syntax = \"proto3\";
service Entrypoint { rpc Ask (Request) returns (Response); }
message Request {}
message Response {}
";

/// A folder with a version in `version` and nothing else.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let there = tempfile::tempdir().unwrap();
        let version = there.path().join("version");
        fs::create_dir_all(version.join("bin")).unwrap();
        fs::write(version.join("krt.yml"), MANIFEST).unwrap();
        fs::write(version.join("public_input.proto"), PROTO).unwrap();
        // Some chunks, so that order and end matter.
        let program: Vec<u8> = (0..1_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        fs::write(version.join("bin/only"), program).unwrap();
        Self(there)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn krt(&self, line: &str) -> e2e::command::Ran {
        let mut command = Command::new(krt_binary());
        command.args(line.split_whitespace()).current_dir(self.0.path());
        e2e::command::ran(command.env("DOCKER_CONFIG", self.0.path()))
    }

    fn done(&self, line: &str) -> Value {
        let ran = self.krt(&format!("{line} --output json"));
        assert!(ran.code == 0, "{line}: {}", ran.stderr);
        serde_json::from_str(&ran.stdout).expect("JSON")
    }

    fn refused(&self, line: &str) -> String {
        let ran = self.krt(line);
        assert!(ran.code != 0, "{line}: {}", ran.stdout);
        ran.stderr
    }
}

fn reference(pushed: &Value) -> String {
    pushed["ref"].as_str().expect("a reference").to_owned()
}

/// Every file beneath `folder` with its bytes.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for name in ["krt.yml", "public_input.proto", "bin/only"] {
        all.push((name.to_owned(), fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))));
    }
    all
}

#[test]
fn what_is_fetched_is_what_was_pushed_by_the_digest_of_its_archive() {
    for version in [CURRENT, OLDEST] {
        let Some(server) = Server::configured(version, "") else { return };
        pushed_and_fetched(&server);
    }
}

fn pushed_and_fetched(server: &Server) {
    let place = Place::new();
    let nats = format!("--nats {}", server.url());
    let packed = place.done("pack version -o v1.krt");
    let pushed = place.done(&format!("push version {nats}"));
    let expected = format!("nats://packages_kre/{}", packed["sha256"].as_str().unwrap());
    assert_eq!(reference(&pushed), expected);
    // The archive as such, once more, and a folder that is the same.
    assert_eq!(reference(&place.done(&format!("push v1.krt {nats}"))), expected);
    let fetched = place.done(&format!("fetch {expected} there {nats}"));
    assert_eq!(fetched["digest"], pushed["digest"]);
    assert_eq!(files(&place.path("there")), files(&place.path("version")));
    // Not over what is there, unless that is wanted; and nothing is left beside.
    let refused = place.refused(&format!("fetch {expected} there {nats}"));
    assert!(refused.contains("not empty"), "{refused}");
    fs::write(place.path("there/bin/only"), "other").unwrap();
    place.done(&format!("fetch {expected} there {nats} --force"));
    assert_eq!(files(&place.path("there")), files(&place.path("version")));
    let left: Vec<_> = fs::read_dir(place.path("there")).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with('.')), "{left:?}");
}

#[test]
fn a_version_with_errors_is_not_pushed_and_a_package_that_is_not_there_is_told() {
    let Some(server) = Server::start() else { return };
    let place = Place::new();
    let nats = format!("--nats {}", server.url());
    let absent = format!("nats://packages_kre/{}", "0".repeat(64));
    let refused = place.refused(&format!("fetch {absent} there {nats}"));
    assert!(refused.contains("there is no object store \"packages_kre\""), "{refused}");
    place.done(&format!("push version {nats}"));
    let refused = place.refused(&format!("fetch {absent} there {nats}"));
    assert!(refused.contains("there is no object"), "{refused}");
    fs::remove_file(place.path("version/bin/only")).unwrap();
    let refused = place.refused(&format!("push version {nats}"));
    assert!(refused.contains("bin/only"), "{refused}");
}

#[tokio::test]
async fn other_bytes_under_a_digest_are_never_unpacked() {
    let Some(server) = Server::start() else { return };
    let place = Place::new();
    let nats = format!("--nats {}", server.url());
    let reference = reference(&place.done(&format!("push version {nats}")));
    let digest = reference.rsplit('/').next().unwrap();
    // Whoever may write to the store puts a whole, valid, other package there.
    fs::write(place.path("version/bin/only"), "other").unwrap();
    place.done("pack version -o other.krt");
    let client = async_nats::connect(server.url()).await.unwrap();
    let store = async_nats::jetstream::new(client).get_object_store("packages_kre").await.unwrap();
    let mut other = fs::read(place.path("other.krt")).unwrap();
    store.put(digest, &mut other.as_slice()).await.unwrap();
    let refused = place.refused(&format!("fetch {reference} there {nats}"));
    assert!(refused.contains(&format!("sha256:{digest} is wanted")), "{refused}");
    assert!(!place.path("there").exists());
    // Nor what is no package at all.
    other.clear();
    store.put(digest, &mut other.as_slice()).await.unwrap();
    let refused = place.refused(&format!("fetch {reference} there {nats}"));
    assert!(refused.contains("is wanted"), "{refused}");
    // Pushing the right one again mends it.
    fs::remove_dir_all(place.path("version")).unwrap();
    let again = Place::new();
    again.done(&format!("push version {nats}"));
    place.done(&format!("fetch {reference} there {nats}"));
}

/// Writes `NAME.key`, `NAME.pub`, and `NAME.sig` over `file`, as cosign writes them.
fn sign(place: &Place, name: &str, file: &str) -> bool {
    let script = format!(
        "openssl ecparam -name prime256v1 -genkey -noout -out {name}.key && \
         openssl ec -in {name}.key -pubout -out {name}.pub && \
         openssl dgst -sha256 -sign {name}.key {file} | base64 -w0 > {name}.sig"
    );
    let signed = Command::new("sh").args(["-ec", &script]).current_dir(place.0.path()).output();
    let is_signed = signed.is_ok_and(|output| output.status.success());
    if !is_signed {
        skipped("there is no openssl to sign with");
    }
    is_signed
}

#[test]
fn with_a_key_only_what_it_signed_is_unpacked() {
    let (Some(server), Some(registry)) = (Server::start(), Registry::start()) else { return };
    let place = Place::new();
    place.done("pack version -o v1.krt");
    if !sign(&place, "own", "v1.krt") || !sign(&place, "other", "v1.krt") {
        return;
    }
    let nats = format!("--nats {}", server.url());
    let unsigned = reference(&place.done(&format!("push v1.krt {nats} --runtime-id unsigned")));
    let refused = place.refused(&format!("fetch {unsigned} there {nats} --verify-key own.pub"));
    assert!(refused.contains("not signed"), "{refused}");
    let oci = format!("oci://{}/team/signed:v1", registry.host());
    for push in [
        format!("push v1.krt {nats} --signature own.sig"),
        format!("push v1.krt {oci} --plain-http --signature own.sig"),
    ] {
        let pushed = place.done(&push);
        assert_eq!(pushed["signed"], true);
        let fetch = format!("fetch {} there {nats} --plain-http", reference(&pushed));
        let refused = place.refused(&format!("{fetch} --verify-key other.pub"));
        assert!(refused.contains("not that of this package"), "{refused}");
        assert!(!place.path("there").exists());
        place.done(&format!("{fetch} --verify-key own.pub"));
        fs::remove_dir_all(place.path("there")).unwrap();
    }
    // A package on this machine is nobody's to verify: the key must not seem to have been used.
    let refused = place.refused(&format!("host version {nats} --verify-key own.pub"));
    assert!(refused.contains("--verify-key"), "{refused}");
}

#[test]
fn a_registry_keeps_a_package_by_a_reference_that_never_means_another() {
    let Some(registry) = Registry::start() else { return };
    let place = Place::new();
    let target = format!("oci://{}/team/one:v1", registry.host());
    let first = reference(&place.done(&format!("push version {target} --plain-http")));
    assert!(first.starts_with(&format!("{target}@sha256:")), "{first}");
    let before = files(&place.path("version"));
    fs::write(place.path("version/bin/only"), "changed").unwrap();
    let second = reference(&place.done(&format!("push version {target} --plain-http")));
    assert_ne!(first, second);
    place.done(&format!("fetch {first} first --plain-http"));
    assert_eq!(files(&place.path("first")), before);
    // The tag has come to mean the second.
    place.done(&format!("fetch {target} tagged --plain-http"));
    assert_eq!(files(&place.path("tagged")), files(&place.path("version")));
    let untagged = format!("oci://{}/team/two", registry.host());
    let pinned = reference(&place.done(&format!("push version {untagged} --plain-http")));
    place.done(&format!("fetch {pinned} untagged --plain-http"));
    for (reference, words) in [
        (format!("oci://{}/team/none:v1", registry.host()), "there is no"),
        (format!("{untagged}@sha256:{}", "0".repeat(64)), "there is no"),
    ] {
        let refused = place.refused(&format!("fetch {reference} nowhere --plain-http"));
        assert!(refused.contains(words), "{refused}");
    }
}

#[test]
fn docker_s_credentials_open_a_registry_and_are_shown_nowhere() {
    let Some(registry) = Registry::guarded() else { return };
    let place = Place::new();
    let push = format!("push version oci://{}/team/one:v1 --plain-http -vv", registry.host());
    let stranger = place.refused(&push);
    assert!(stranger.contains("denied"), "{stranger}");
    registry.credentials(place.0.path(), "wrong-password");
    let refused = place.refused(&push);
    assert!(refused.contains("denied") && !refused.contains("wrong-password"), "{refused}");
    registry.credentials(place.0.path(), PASSWORD);
    let pushed = place.done(&push);
    let ran = place.krt(&format!("fetch {} there --plain-http -vv", reference(&pushed)));
    assert!(ran.code == 0 && !ran.stderr.contains(PASSWORD), "{}", ran.stderr);
}

/// What a pod may do on a server where it may only read packages and compiled components.
const READER: &str = r#"{ user: pod, password: geheim, permissions: {
  subscribe: ["_INBOX.>"],
  publish: [
    "$JS.API.INFO",
    "$JS.API.STREAM.INFO.OBJ_packages_kre", "$JS.API.STREAM.MSG.GET.OBJ_packages_kre",
    "$JS.API.DIRECT.GET.OBJ_packages_kre", "$JS.API.DIRECT.GET.OBJ_packages_kre.>",
    "$JS.API.CONSUMER.CREATE.OBJ_packages_kre", "$JS.API.CONSUMER.DELETE.OBJ_packages_kre.>", "$JS.FC.OBJ_packages_kre.>",
  ] } }"#;

#[test]
fn a_pod_needs_no_right_to_write_and_is_told_at_once_what_it_may_not() {
    let users = format!("authorization {{ users: [\n{{ user: admin, password: geheim }}\n{READER}\n] }}\n");
    let Some(server) = Server::configured(CURRENT, &users) else { return };
    let place = Place::new();
    let as_user = |user: &str| format!("--nats nats://{user}:geheim@127.0.0.1:{}", server.port());
    let reference = reference(&place.done(&format!("push version {}", as_user("admin"))));
    place.done(&format!("fetch {reference} there {}", as_user("pod")));
    assert_eq!(files(&place.path("there")), files(&place.path("version")));
    fs::write(place.path("version/bin/only"), "other").unwrap();
    let since = std::time::Instant::now();
    for line in [
        format!("push version {}", as_user("pod")),
        format!("push version --runtime-id other {}", as_user("pod")),
        format!("fetch nats://packages_other/{} elsewhere {}", "0".repeat(64), as_user("pod")),
    ] {
        let refused = place.refused(&line);
        assert!(refused.contains("denied") && !refused.contains("geheim"), "{refused}");
    }
    assert!(since.elapsed() < std::time::Duration::from_secs(5), "{:?}", since.elapsed());
}
