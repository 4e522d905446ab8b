//! Whatever is given to the command in place of a version: one clear message, soon, within little memory, exit code 1.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::command::{Ran, krt};
use flate2::{Compression, write::GzEncoder};

const MANIFEST: &str = "\
krtVersion: v2
version: v1
description: A version
entrypoint: {proto: public_input.proto}
workflows:
  - name: greeting
    entrypoint: Greet
    exitpoint: greeter
    nodes:
      - {name: greeter, image: 'konstellation/kre-py:latest', src: main.py, subscriptions: [entrypoint]}
";

const PROTO: &str = "\
syntax = \"proto3\";
service Entrypoint { rpc Greet (Request) returns (Response); }
message Request { string name = 1; }
message Response { string greeting = 1; }
";

fn version() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in [("krt.yml", MANIFEST), ("public_input.proto", PROTO), ("main.py", "")] {
        fs::write(folder.path().join(path), text).unwrap();
    }
    folder
}

/// Every command that looks at a version refuses `path` with one problem of this code, and names it.
async fn is_refused_as(path: &Path, code: &str, commands: &[&str]) -> Ran {
    let here = tempfile::tempdir().unwrap();
    for command in commands {
        let ran = krt(here.path(), [command.as_ref(), path.as_os_str()]).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "krt {command}: {ran:#?}");
        let errors: Vec<_> = ran.stderr.lines().filter(|line| line.starts_with("error")).collect();
        assert!(errors.len() <= 2 && errors[0].contains(code), "krt {command}: {ran:#?}");
        assert!(ran.stderr.contains("help"), "krt {command}: {ran:#?}");
        assert!(ran.stderr.len() < 3000, "krt {command}: {ran:#?}");
    }
    assert_eq!(fs::read_dir(here.path()).unwrap().count(), 0, "nothing is left behind");
    let ran = krt(here.path(), ["check".as_ref(), path.as_os_str(), "--output".as_ref(), "json".as_ref()]).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (1, ""), "{ran:#?}");
    let json = ran.json();
    let problems = json["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 1, "{json:#}");
    let problem = &problems[0];
    assert_eq!((&problem["severity"], &problem["code"]), (&"error".into(), &code.into()), "{json:#}");
    assert!(!problem["message"].as_str().unwrap().is_empty() && !problem["help"].as_str().unwrap().is_empty());
    ran
}

const ALL: &[&str] = &["check", "pack", "graph", "plan"];

fn first_problem(ran: &Ran) -> serde_json::Value {
    ran.json()["problems"][0].clone()
}

#[tokio::test]
async fn the_version_that_the_others_are_made_from_is_fine() {
    let folder = version();
    let ran = krt(folder.path(), ["check", "."]).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:#?}");
}

#[tokio::test]
async fn a_path_where_nothing_is() {
    let ran = is_refused_as(Path::new("/nowhere/at/all"), "not-found", ALL).await;
    let problem = first_problem(&ran);
    assert_eq!(
        (&problem["file"], &problem["line"], &problem["column"]),
        (&"/nowhere/at/all".into(), &0.into(), &0.into())
    );
}

#[tokio::test]
async fn a_folder_without_a_manifest() {
    let folder = tempfile::tempdir().unwrap();
    is_refused_as(folder.path(), "no-manifest", ALL).await;
}

#[tokio::test]
async fn an_empty_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("v1.krt");
    File::create(&file).unwrap();
    is_refused_as(&file, "empty-file", ALL).await;
}

#[tokio::test]
async fn an_empty_manifest() {
    let folder = version();
    File::create(folder.path().join("krt.yml")).unwrap();
    let ran = krt(folder.path(), ["check", "."]).await;
    assert_eq!(ran.code, 1, "{ran:#?}");
}

#[tokio::test]
async fn a_device_without_an_end() {
    is_refused_as(Path::new("/dev/zero"), "not-a-package", ALL).await;
}

#[tokio::test]
async fn a_fifo_that_nobody_writes_to() {
    let folder = version();
    let fifo = folder.path().join("fifo");
    make_fifo(&fifo);
    is_refused_as(&fifo, "not-a-package", ALL).await;
    fs::remove_file(folder.path().join("krt.yml")).unwrap();
    make_fifo(&folder.path().join("krt.yml"));
    is_refused_as(folder.path(), "manifest-unreadable", ALL).await;
}

#[tokio::test]
async fn a_fifo_in_place_of_a_source_or_a_proto() {
    let folder = version();
    for name in ["main.py", "public_input.proto"] {
        fs::remove_file(folder.path().join(name)).unwrap();
        make_fifo(&folder.path().join(name));
    }
    for command in ["check", "pack"] {
        let ran = krt(folder.path(), [command, "."]).await;
        assert_eq!(ran.code, 1, "{ran:#?}");
        assert!(ran.stderr.contains("main.py") && ran.stderr.contains("public_input.proto"), "{ran:#?}");
    }
    let ran = krt(folder.path(), ["pack", ".", "--no-check"]).await;
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert!(ran.stderr.contains("it is a fifo"), "{ran:#?}");
}

#[tokio::test]
async fn a_manifest_of_a_terabyte() {
    let folder = version();
    File::create(folder.path().join("krt.yml")).unwrap().set_len(1 << 40).unwrap();
    is_refused_as(folder.path(), "manifest-unreadable", ALL).await;
}

/// Every command refuses a manifest; which problem it is, the rules of the language say.
async fn manifest_is_refused(bytes: &[u8]) {
    let folder = version();
    fs::write(folder.path().join("krt.yml"), bytes).unwrap();
    for command in ALL {
        let ran = krt(folder.path(), [command, "."]).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "krt {command}: {ran:#?}");
        assert!(ran.stderr.contains("error") && ran.stderr.contains("krt.yml"), "krt {command}: {ran:#?}");
        assert!(ran.stderr.len() < 5000, "krt {command}: {ran:#?}");
    }
    let ran = krt(folder.path(), ["check", ".", "--output", "json"]).await;
    assert_eq!(ran.code, 1);
    let problem = first_problem(&ran);
    assert_eq!((&problem["severity"], &problem["file"]), (&"error".into(), &"krt.yml".into()), "{problem:#}");
}

#[tokio::test]
async fn a_bomb_of_aliases() {
    let mut bomb = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    manifest_is_refused(format!("{MANIFEST}{bomb}").as_bytes()).await;
    manifest_is_refused(bomb.as_bytes()).await;
}

#[tokio::test]
async fn ten_thousand_levels_of_nesting() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        let nested = format!("{}{}", open.repeat(10_000), close.repeat(10_000));
        manifest_is_refused(nested.as_bytes()).await;
        manifest_is_refused(format!("{MANIFEST}x: {nested}\n").as_bytes()).await;
    }
    let blocks: String = (0..10_000).map(|level| format!("{}a:\n", " ".repeat(level % 500))).collect();
    manifest_is_refused(format!("{}\n", "- ".repeat(10_000)).as_bytes()).await;
    manifest_is_refused(blocks.as_bytes()).await;
}

#[tokio::test]
async fn a_manifest_in_utf_16() {
    for order in [u16::to_le_bytes, u16::to_be_bytes] {
        let text = format!("\u{feff}{MANIFEST}");
        manifest_is_refused(&text.encode_utf16().flat_map(order).collect::<Vec<_>>()).await;
    }
}

#[tokio::test]
async fn a_manifest_that_is_no_text() {
    manifest_is_refused(&[0u8; 100_000]).await;
    manifest_is_refused(&(0..=255).cycle().take(100_000).collect::<Vec<u8>>()).await;
    manifest_is_refused(b"\x7fELF\x02\x01\x01").await;
}

/// A tar header for a file of `size` bytes, checksum and all.
fn tar_header(name: &str, size: u64) -> [u8; 512] {
    let mut header = [0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header
}

/// Four files of 1 GiB of zeros each, in about 4 MB.
fn tar_bomb(path: &Path) {
    const PIECE: usize = 1 << 20;
    let zeros = vec![0; PIECE];
    let mut packed = GzEncoder::new(File::create(path).unwrap(), Compression::best());
    packed.write_all(&tar_header("krt.yml", 0)).unwrap();
    for number in 0..4 {
        packed.write_all(&tar_header(&format!("zeros{number}"), 1 << 30)).unwrap();
        for _ in 0..(1 << 30) / PIECE {
            packed.write_all(&zeros).unwrap();
        }
    }
    packed.write_all(&[0; 1024]).unwrap();
    packed.finish().unwrap();
}

#[tokio::test]
async fn four_gigabytes_of_zeros_in_an_archive_of_a_few_megabytes() {
    let folder = tempfile::tempdir().unwrap();
    let bomb = folder.path().join("bomb.krt");
    tar_bomb(&bomb);
    let size = fs::metadata(&bomb).unwrap().len();
    assert!(size < 5 << 20, "{size}");
    let ran = is_refused_as(&bomb, "archive-refused", ALL).await;
    assert!(first_problem(&ran)["message"].as_str().unwrap().contains("`zeros0`"), "{ran:#?}");
}

#[tokio::test]
async fn archives_that_are_cut_or_damaged_or_of_something_else() {
    let folder = version();
    let ran = krt(folder.path(), ["pack", "."]).await;
    assert_eq!(ran.code, 0, "{ran:#?}");
    let whole = fs::read(folder.path().join("v1.krt")).unwrap();
    let there = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = there.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    is_refused_as(&file("cut.krt", &whole[..whole.len() / 2]), "archive-refused", ALL).await;
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 0xff;
    is_refused_as(&file("damaged.krt", &damaged), "archive-refused", ALL).await;
    is_refused_as(&file("zip.krt", b"PK\x03\x04whatever"), "not-a-package", ALL).await;
    let mut other = GzEncoder::new(Vec::new(), Compression::fast());
    other.write_all(&b"not a tar at all ".repeat(100)).unwrap();
    is_refused_as(&file("other.krt", &other.finish().unwrap()), "archive-refused", ALL).await;
}

#[tokio::test]
async fn archives_that_would_write_elsewhere() {
    let there = tempfile::tempdir().unwrap();
    let outside = there.path().join("evil");
    for (name, words) in [
        ("../evil".to_owned(), "leads out of the package"),
        (outside.display().to_string(), "is absolute"),
        ("a/../../evil".to_owned(), "leads out of the package"),
    ] {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        for header in [tar_header("krt.yml", 0), tar_header(&name, 0), [0; 512], [0; 512]] {
            packed.write_all(&header).unwrap();
        }
        let path = there.path().join("evil.krt");
        fs::write(&path, packed.finish().unwrap()).unwrap();
        let ran = is_refused_as(&path, "archive-refused", ALL).await;
        assert!(first_problem(&ran)["message"].as_str().unwrap().contains(words), "{ran:#?}");
        assert!(!outside.exists());
    }
}

#[tokio::test]
async fn a_proto_with_a_missing_import() {
    let folder = version();
    let proto = PROTO.replace("service", "import \"types/gone.proto\";\nservice");
    fs::write(folder.path().join("public_input.proto"), proto).unwrap();
    for command in ["check", "pack"] {
        let ran = krt(folder.path(), [command, "."]).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "krt {command}: {ran:#?}");
        for words in ["public_input.proto:2:1", "`types/gone.proto`", "help"] {
            assert!(ran.stderr.contains(words), "krt {command}: {words}: {}", ran.stderr);
        }
    }
    let ran = krt(folder.path(), ["check", ".", "--output", "json"]).await;
    let problem = first_problem(&ran);
    assert_eq!(problem["file"], "public_input.proto");
    assert_eq!((&problem["line"], &problem["column"]), (&2.into(), &1.into()));
}

#[tokio::test]
async fn protos_that_would_bring_a_parser_down() {
    let folder = version();
    let option = "import \"google/protobuf/descriptor.proto\"; message T { T t = 1; } extend google.protobuf.FileOptions { T o = 50001; }";
    for text in [
        "message A {".repeat(90_000),
        format!("syntax = \"proto3\"; {option} option (o) = {{ {} }};", "t {".repeat(100_000)),
        "\u{0}".repeat(1 << 20),
        "import \"public_input.proto\";".to_owned(),
    ] {
        fs::write(folder.path().join("public_input.proto"), text).unwrap();
        let ran = krt(folder.path(), ["check", "."]).await;
        assert_eq!(ran.code, 1, "{ran:#?}");
        assert!(ran.stderr.contains("public_input.proto") && ran.stderr.len() < 20_000, "{ran:#?}");
    }
    fs::remove_file(folder.path().join("public_input.proto")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", folder.path().join("public_input.proto")).unwrap();
    let ran = krt(folder.path(), ["check", "."]).await;
    assert_eq!(ran.code, 1, "{ran:#?}");
}

#[tokio::test]
async fn names_that_would_write_to_the_terminal() {
    let there = tempfile::tempdir().unwrap();
    let path = there.path().join("\u{1b}[31mred");
    let ran = krt(there.path(), ["check".as_ref(), path.as_os_str()]).await;
    assert_eq!(ran.code, 1);
    let folder = version();
    fs::write(folder.path().join("krt.yml"), MANIFEST.replace("name: greeting", "name: \"\\e[31mred\"")).unwrap();
    let ran = krt(folder.path(), ["check", "."]).await;
    assert_eq!(ran.code, 1);
    assert!(!ran.stderr.contains('\u{1b}'), "{:?}", ran.stderr);
}

#[tokio::test]
async fn a_reader_who_has_seen_enough() {
    let folder = version();
    for arguments in ["graph .", "plan . --output json", "completions bash", "check . --output json", "--help"] {
        let script =
            format!("\"$0\" {arguments} 2>stderr | head -c 1 >/dev/null; \"$0\" {arguments} 2>>stderr >&-; cat stderr");
        let output = Command::new("sh")
            .args(["-c", &script])
            .arg(e2e::krt_binary())
            .current_dir(folder.path())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stdout);
        assert!(!stderr.contains("panicked"), "krt {arguments}: {stderr}");
    }
}

fn make_fifo(path: &Path) {
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, rustix::fs::Mode::from_raw_mode(0o600), 0).unwrap();
}
