//! The image that `scripts/image.sh` makes: whole, small, the same again, and running for a user that is not root.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use e2e::{krt_binary, skipped, workspace};
use serde_json::Value;

fn ran(command: &mut Command) -> Output {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

/// Runs `krt` in the image's files as a user that is not root, wherever one may change the root.
fn krt(root: &Path, arguments: &[&str]) -> Option<Output> {
    let mut command = if rustix::process::geteuid().is_root() {
        let mut chroot = Command::new("chroot");
        chroot.arg("--userspec=65532:65532");
        chroot
    } else {
        let mut unshare = Command::new("unshare");
        unshare.args(["--map-root-user", "chroot"]);
        unshare
    };
    let output = command.arg(root).arg("/krt").args(arguments).env_clear().env("PATH", "/usr/sbin:/usr/bin").output();
    output.ok()
}

#[test]
fn the_image_is_the_same_again_and_runs_without_a_shell_or_root() {
    let there = tempfile::tempdir().expect("a folder");
    let image = |name: &str| {
        let file = there.path().join(name);
        ran(Command::new(workspace().join("scripts/image.sh")).arg(&file).arg(krt_binary()).arg("localhost/krt:test"));
        fs::read(file).expect("an image")
    };
    let first = image("first.tar");
    assert!(first == image("second.tar"), "the same binary gives the same bytes");
    let oci = there.path().join("oci");
    let unpack = |archive: &Path, target: &Path| {
        fs::create_dir_all(target).expect("a folder");
        ran(Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(target));
    };
    unpack(&there.path().join("first.tar"), &oci);
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().expect("a digest");
        let path = oci.join("blobs").join(digest.replace(':', "/"));
        let bytes = fs::read(&path).expect("a blob");
        assert_eq!(bytes.len() as u64, descriptor["size"].as_u64().expect("a size"));
        assert_eq!(krt_host::artifact::Digest::of(&bytes).to_string(), digest);
        path
    };
    let index = json(&oci.join("index.json"));
    assert_eq!(index["manifests"][0]["annotations"]["io.containerd.image.name"], "localhost/krt:test");
    let manifest = json(&blob(&index["manifests"][0]));
    let config = json(&blob(&manifest["config"]))["config"].clone();
    assert_eq!((&config["User"], &config["Entrypoint"][0]), (&"65532:65532".into(), &"/krt".into()));
    let root = there.path().join("root");
    unpack(&blob(&manifest["layers"][0]), &root);
    assert!(!root.join("bin").exists() && !root.join("usr").exists(), "there is nothing but krt");
    let Some(version) = krt(&root, &["--version"]).filter(|output| output.status.success()) else {
        return skipped("the root of a process cannot be changed here");
    };
    assert!(version.stdout.starts_with(b"krt "), "{version:?}");
    // Its libraries and its temporary folder are all there.
    let checked = krt(&root, &["check", "/nothing"]).expect("it starts");
    assert!(String::from_utf8_lossy(&checked.stderr).contains("nothing"), "{checked:?}");
}
