//! Packages as users have them, and things that are none.

use std::fs;
use std::io::Cursor;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use krt::archive::{self, Entry};
use krt::files::{FileKind, Files as _};
use tempfile::TempDir;

use super::{ArtifactRef, ArtifactStore as _, DirStore, FetchError, FileError, OpenError, Origin, Package};

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn archive_of(path: &Path, files: &[(&str, &str)]) -> PathBuf {
    let entries = files.iter().map(|(path, text)| Entry::file(*path, text.len() as u64));
    let open = |entry: &Entry| Ok(Cursor::new(files.iter().find(|(path, _)| *path == entry.path).unwrap().1));
    archive::write(files[0].0, entries, open, fs::File::create(path).unwrap()).unwrap();
    path.to_owned()
}

fn fifo(path: &Path) {
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, rustix::fs::Mode::from_raw_mode(0o600), 0).unwrap();
}

#[test]
fn a_folder_a_manifest_and_an_archive_are_packages() {
    let there = folder(&[("v/krt.yml", "version: v1"), ("v/src/a.wasm", "a"), ("v/krt.yaml", "version: v2")]);
    let v = there.path().join("v");
    let krt = archive_of(&there.path().join("any.name"), &[("krt.yaml", "version: v3"), ("src/a.wasm", "a")]);
    for (path, origin, name, text) in [
        (&v, Origin::Folder, "krt.yml", "version: v1"),
        (&v.join("krt.yaml"), Origin::Manifest, "krt.yaml", "version: v2"),
        (&krt, Origin::Archive, "krt.yaml", "version: v3"),
    ] {
        let package = Package::open(path).unwrap();
        assert_eq!((package.origin(), package.manifest_name()), (origin, name));
        assert_eq!(package.manifest_bytes(), text.as_bytes());
        assert_eq!(package.read("src/a.wasm", 1).unwrap(), b"a");
        assert_eq!(package.kind("./src"), Some(FileKind::Directory));
        assert_eq!(package.kind("src/b.wasm"), None);
        assert!(package.root().join("src/a.wasm").is_file());
    }
}

#[test]
fn files_are_called_as_the_user_sees_them() {
    let there = folder(&[("v/krt.yml", ""), ("v/a.proto", "")]);
    let v = there.path().join("v");
    assert_eq!(Package::open(&v).unwrap().label("a.proto"), v.join("a.proto").display().to_string());
    let manifest = v.join("krt.yml");
    let package = Package::open(&manifest).unwrap();
    assert_eq!(package.manifest_label(), manifest.display().to_string());
    assert_eq!(package.label("a.proto"), v.join("a.proto").display().to_string());
}

#[test]
fn an_unpacked_archive_is_for_its_owner_only_and_removed_afterwards() {
    let there = tempfile::tempdir().unwrap();
    let path = archive_of(&there.path().join("a.krt"), &[("krt.yml", "version: v1"), ("src/deep/a.wasm", "a")]);
    let package = Package::open(&path).unwrap();
    let root = package.root().to_owned();
    for (path, mode) in
        [("", 0o700), ("src", 0o700), ("src/deep", 0o700), ("krt.yml", 0o600), ("src/deep/a.wasm", 0o600)]
    {
        assert_eq!(fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o777, mode, "{path}");
    }
    let clone = package.clone();
    drop(package);
    assert!(root.exists());
    drop(clone);
    assert!(!root.exists());
}

#[test]
fn what_is_no_package_is_told_apart() {
    let there = folder(&[
        ("empty-folder/x", ""),
        ("empty", ""),
        ("text", "version: v1"),
        ("folder-manifest/krt.yml/x", ""),
        ("fifo-manifest/x", ""),
        ("device-manifest/x", ""),
        ("outside/x", ""),
        ("dangling/x", ""),
        ("large/x", ""),
    ]);
    let at = |path: &str| there.path().join(path);
    fifo(&at("fifo"));
    fifo(&at("fifo-manifest/krt.yml"));
    fs::write(at("secret.yml"), "password").unwrap();
    symlink("/dev/zero", at("device-manifest/krt.yml")).unwrap();
    symlink("../secret.yml", at("outside/krt.yml")).unwrap();
    symlink("gone", at("dangling/krt.yml")).unwrap();
    fs::File::create(at("large/krt.yml")).unwrap().set_len(1 << 40).unwrap();
    fs::write(at("cut.krt"), [0x1f, 0x8b, 8]).unwrap();
    let code = |path: &str| {
        let error = Package::open(&at(path)).expect_err(path);
        assert!(error.to_string().contains(path.split('/').next().unwrap()) || path.is_empty(), "{error}");
        assert!(!error.help().is_empty());
        error.code()
    };
    for (path, expected) in [
        ("gone", "not-found"),
        ("text/below", "not-found"),
        ("empty-folder", "no-manifest"),
        ("empty", "empty-file"),
        ("text", "not-a-package"),
        ("fifo", "not-a-package"),
        ("folder-manifest", "manifest-unreadable"),
        ("fifo-manifest", "manifest-unreadable"),
        ("fifo-manifest/krt.yml", "not-a-package"),
        ("device-manifest", "manifest-unreadable"),
        ("device-manifest/krt.yml", "not-a-package"),
        ("outside", "manifest-unreadable"),
        ("dangling", "manifest-unreadable"),
        ("large", "manifest-unreadable"),
        ("large/krt.yml", "manifest-unreadable"),
        ("cut.krt", "archive-refused"),
    ] {
        assert_eq!(code(path), expected, "{path}");
    }
    assert!(matches!(Package::open(Path::new("/dev/zero")), Err(OpenError::NotAPackage { what: "a device", .. })));
    assert!(matches!(Package::open(Path::new("a\0b")), Err(OpenError::NotFound { .. })));
}

#[test]
fn no_path_and_no_link_leads_out_of_a_package() {
    let there = folder(&[("v/krt.yml", ""), ("v/src/a", "a"), ("secret", "password")]);
    let v = there.path().join("v");
    symlink("../secret", v.join("link")).unwrap();
    symlink("..", v.join("up")).unwrap();
    symlink("src/a", v.join("fine")).unwrap();
    fifo(&v.join("fifo"));
    let package = Package::open(&v).unwrap();
    for path in ["link", "up/secret", "../secret", "/etc/passwd", "src/../../secret", "fifo"] {
        assert_eq!(package.kind(path), Some(FileKind::Other), "{path}");
        assert!(package.read(path, 100).is_err(), "{path}");
    }
    assert_eq!(package.kind("a\0b"), None);
    assert_eq!(package.kind("fine"), Some(FileKind::File));
    assert_eq!(package.read("src/../fine", 1).unwrap(), b"a");
    assert!(matches!(package.read("fine", 0), Err(FileError::TooLarge { size: 1, limit: 0 })));
    assert!(matches!(package.read("src", 0), Err(FileError::NotAFile("a folder"))));
}

#[tokio::test]
async fn a_store_tells_what_is_not_there_from_what_is_refused() {
    let there = folder(&[("krt.yml", ""), ("src/a.wasm", "abc")]);
    let store = DirStore::new(Package::open(there.path()).unwrap());
    let fetch = |path: &str, limit| store.fetch(&ArtifactRef { path: path.to_owned(), limit });
    assert_eq!(fetch("src/a.wasm", 3).await.unwrap(), "abc");
    assert!(matches!(fetch("src/a.wasm", 2).await, Err(FetchError::Refused { .. })));
    assert!(matches!(fetch("src/b.wasm", 3).await, Err(FetchError::NotFound { .. })));
    assert!(matches!(fetch("../x", 3).await, Err(FetchError::Refused { .. })));
}

#[test]
fn a_packed_folder_opens_as_the_same_package() {
    let there = folder(&[
        ("krt.yml", "version: v1"),
        ("src/a.wasm", "a"),
        ("src/b.pyc", "b"),
        ("build/x", "x"),
        (".git/HEAD", "x"),
        (".krtignore", "**/*.pyc\nbuild/\n"),
    ]);
    fs::create_dir(there.path().join("empty")).unwrap();
    symlink("a.wasm", there.path().join("src/link.wasm")).unwrap();
    let target = there.path().join("v1.krt");
    let package = Package::open(there.path()).unwrap();
    let pack = || package.pack(fs::File::create(&target).unwrap(), &[&target]).unwrap();
    let packed = pack();
    assert_eq!(packed.size, fs::metadata(&target).unwrap().len());
    assert_eq!(packed.digest.len(), 64);
    assert_eq!(pack(), packed, "the archive itself is not packed, and the bytes are the same again");
    let opened = Package::open(&target).unwrap();
    let mut paths: Vec<_> = walkdir::WalkDir::new(opened.root())
        .min_depth(1)
        .into_iter()
        .map(|found| found.unwrap().path().strip_prefix(opened.root()).unwrap().display().to_string())
        .collect();
    paths.sort();
    assert_eq!(paths, [".krtignore", "empty", "krt.yml", "src", "src/a.wasm", "src/link.wasm"]);
    assert_eq!(opened.read("src/link.wasm", 1).unwrap(), b"a");
}

#[test]
fn what_cannot_be_in_an_archive_is_not_packed() {
    let refuse = |make: &dyn Fn(&Path)| {
        let there = folder(&[("krt.yml", "version: v1"), ("src/a", "a")]);
        make(there.path());
        let packed = Package::open(there.path()).unwrap().pack(std::io::sink(), &[]);
        packed.expect_err("it should be refused").to_string()
    };
    let kinds = [
        refuse(&|root| fifo(&root.join("odd"))),
        refuse(&|root| symlink("/etc/passwd", root.join("odd")).unwrap()),
        refuse(&|root| symlink("src", root.join("odd")).unwrap()),
        refuse(&|root| symlink("gone", root.join("odd")).unwrap()),
    ];
    for (message, what) in
        kinds.iter().zip(["a fifo", "a link out of the package", "a link to a folder", "a link to nothing"])
    {
        assert_eq!(*message, format!("`odd` cannot be packed: it is {what}; remove it or name it in .krtignore"));
    }
    assert!(refuse(&|root| fs::write(root.join("a\\b"), "").unwrap()).contains("`a\\b`"));
    assert!(refuse(&|root| fs::write(root.join("SRC"), "").unwrap()).contains("on some systems they are the same"));
    assert!(refuse(&|root| fs::write(root.join(".krtignore"), "[").unwrap()).starts_with(".krtignore: line 1"));
    let latin = std::ffi::OsStr::from_bytes(b"caf\xe9");
    assert!(refuse(&|root| fs::write(root.join(latin), "").unwrap()).contains("its name is not UTF-8"));
}

#[test]
fn a_folder_that_a_tool_can_make_again_is_not_packed() {
    let there = folder(&[
        ("krt.yml", "version: v1"),
        ("node/src/lib.rs", "source"),
        ("node/target/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55"),
        ("node/target/release/node.wasm", "built"),
    ]);
    let archive = there.path().join("v.krt");
    Package::open(there.path()).unwrap().pack(fs::File::create(&archive).unwrap(), &[&archive]).unwrap();
    let packed = Package::open(&archive).unwrap();
    assert_eq!(packed.kind("node/src/lib.rs"), Some(FileKind::File));
    assert_eq!(packed.kind("node/target"), None);
}
