//! Archives as they should be, as other tools make them, and as an attacker would.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::time::Instant;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};

use super::read::Place;
use super::{Contents, Entry, EntryKind, Limits, ReadError, WriteError, read, write};
use crate::files::PathFault;

type Tree = BTreeMap<String, Option<Vec<u8>>>;

/// A tar whose headers say what a test wants, not what a library allows.
struct Raw(Vec<u8>);

impl Raw {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn entry(self, kind: EntryType, path: &str, content: &[u8]) -> Self {
        self.lying(kind, path.as_bytes(), content.len() as u64, content)
    }

    fn lying(mut self, kind: EntryType, path: &[u8], size: u64, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path);
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, path: &str, content: &[u8]) -> Self {
        self.entry(EntryType::Regular, path, content)
    }

    fn manifest(self) -> Self {
        self.file("krt.yml", b"version: v1\n")
    }

    fn packed(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        gzip(&self.0)
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn unpack_within(bytes: &[u8], limits: &Limits) -> Result<(Contents, Tree, Vec<String>), ReadError> {
    let mut tree = Tree::new();
    let mut order = Vec::new();
    let contents = read(bytes, limits, |entry, content| {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        let value = match entry.kind {
            EntryKind::Directory => None,
            EntryKind::File { size } => {
                assert_eq!(bytes.len() as u64, size);
                Some(bytes)
            }
        };
        order.push(entry.path.clone());
        assert!(tree.insert(entry.path.clone(), value).is_none(), "{} came twice", entry.path);
        Ok(())
    })?;
    assert_eq!(contents.entries, tree.len());
    Ok((contents, tree, order))
}

fn unpack(bytes: &[u8]) -> Result<(Contents, Tree, Vec<String>), ReadError> {
    unpack_within(bytes, &Limits::default())
}

fn refusal(bytes: &[u8]) -> String {
    unpack(bytes).expect_err("it should be refused").to_string()
}

fn pack(manifest: &str, tree: &Tree) -> Result<Vec<u8>, WriteError> {
    let entries = tree.iter().map(|(path, content)| match content {
        None => Entry::directory(path.as_str()),
        Some(bytes) => Entry::file(path.as_str(), bytes.len() as u64),
    });
    let mut packed = Vec::new();
    let open = |entry: &Entry| Ok(io::Cursor::new(tree[&entry.path].clone().unwrap()));
    write(manifest, entries, open, &mut packed).map(|_| packed)
}

/// Enough for a test that anybody can repeat.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[test]
fn what_is_written_is_read_back() {
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let mut tree = Tree::from([("krt.yml".to_owned(), Some(b"version: v1".to_vec()))]);
        for _ in 0..dice.roll(30) {
            let depth = 1 + dice.roll(4);
            // Names long enough that some paths need the long form.
            let names = (0..depth).map(|level| format!("{level}é{}", "n".repeat(dice.roll(60) as usize)));
            let path = names.collect::<Vec<_>>().join("/");
            let folders = path.match_indices('/').map(|(at, _)| path[..at].to_owned()).collect::<Vec<_>>();
            if tree.contains_key(&path) || folders.iter().any(|f| matches!(tree.get(f), Some(Some(_)))) {
                continue;
            }
            tree.extend(folders.into_iter().map(|folder| (folder, None)));
            let bytes = (0..dice.roll(3000)).map(|_| dice.roll(256) as u8).collect();
            tree.insert(path, (dice.roll(5) > 0).then_some(bytes));
        }
        let packed = pack("krt.yml", &tree).unwrap();
        let (contents, read_back, order) = unpack(&packed).unwrap();
        assert_eq!(read_back, tree);
        assert_eq!((contents.manifest.as_str(), order[0].as_str()), ("krt.yml", "krt.yml"));
        assert_eq!(pack("krt.yml", &read_back).unwrap(), packed, "the same files give the same bytes");
    }
}

#[test]
fn folders_come_before_their_files_and_no_entry_is_the_root() {
    let tree = Tree::from([
        ("src/a/main.py".to_owned(), Some(Vec::new())),
        ("src.txt".to_owned(), Some(Vec::new())),
        ("docs/krt.yml".to_owned(), Some(Vec::new())),
        ("krt.yaml".to_owned(), Some(Vec::new())),
    ]);
    let packed = pack("krt.yaml", &tree).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed.as_slice()));
    let paths = archive.entries().unwrap().map(|e| String::from_utf8(e.unwrap().path_bytes().into_owned()).unwrap());
    // The manifest is first, because `docs/krt.yml` would otherwise be taken for it.
    let expected = ["krt.yaml", "docs/", "docs/krt.yml", "src/", "src.txt", "src/a/", "src/a/main.py"];
    assert_eq!(paths.collect::<Vec<_>>(), expected);
    assert_eq!(unpack(&packed).unwrap().0.manifest, "krt.yaml");
}

#[test]
fn the_first_entry_that_is_called_like_a_manifest_is_the_manifest() {
    let packed = Raw::new().file("my-krt.yml", b"").file("inner/krt.yaml", b"").manifest().packed();
    assert_eq!(unpack(&packed).unwrap().0.manifest, "inner/krt.yaml");
    assert!(matches!(unpack(&Raw::new().file("krt.yml.bak", b"").packed()), Err(ReadError::NoManifest)));
    assert!(matches!(unpack(&gzip(b"")), Err(ReadError::NoManifest)));
}

#[test]
fn dot_prefixes_missing_folders_and_repeated_folders_are_accepted() {
    let packed = Raw::new()
        .entry(EntryType::Directory, "./", b"")
        .file("./krt.yml", b"version: v1")
        .file("./src/etl/main.py", b"x")
        .entry(EntryType::Directory, "./src/", b"")
        .entry(EntryType::Regular, "old/", b"")
        .packed();
    let (contents, tree, order) = unpack(&packed).unwrap();
    assert_eq!(order, ["krt.yml", "src", "src/etl", "src/etl/main.py", "old"]);
    assert_eq!(tree["src/etl/main.py"], Some(b"x".to_vec()));
    assert_eq!((contents.manifest.as_str(), contents.bytes), ("krt.yml", 12));
}

#[test]
fn gnu_long_names_and_pax_paths_are_followed() {
    let long = format!("{}/{}.py", "d".repeat(90), "f".repeat(90));
    let record = format!(" path={long}\n");
    let pax = format!("{}{record}", record.len() + 3);
    let gnu = Raw::new()
        .manifest()
        .entry(EntryType::GNULongName, "././@LongLink", format!("{long}\0").as_bytes())
        .file("cut", b"gnu")
        .packed();
    let pax = Raw::new()
        .entry(EntryType::XGlobalHeader, "pax_global_header", b"18 comment=abcdef\n")
        .manifest()
        .entry(EntryType::XHeader, "PaxHeaders/x", pax.as_bytes())
        .file("cut", b"pax")
        .packed();
    assert_eq!(unpack(&gnu).unwrap().1[&long], Some(b"gnu".to_vec()));
    assert_eq!(unpack(&pax).unwrap().1[&long], Some(b"pax".to_vec()));
}

#[test]
fn an_archive_of_several_gzip_members_is_one() {
    let mut tar = Raw::new().manifest().file("a", b"a").0;
    tar.resize(tar.len() + 1024, 0);
    let packed = [gzip(&tar[..700]), gzip(&tar[700..])].concat();
    assert_eq!(unpack(&packed).unwrap().0.entries, 2);
}

#[test]
fn paths_that_leave_the_package_are_refused_by_name() {
    for (path, fault) in [
        ("../evil", PathFault::Outside),
        ("a/../../evil", PathFault::Outside),
        ("a/../b", PathFault::Outside),
        ("/etc/passwd", PathFault::Absolute),
        ("a\\..\\b", PathFault::Character),
        ("a\nb", PathFault::Character),
    ] {
        match unpack(&Raw::new().manifest().file(path, b"").packed()) {
            Err(ReadError::Path { fault: found, .. }) => assert_eq!(found, fault, "{path}"),
            other => panic!("{path}: {other:?}"),
        }
    }
    let latin = Raw::new().lying(EntryType::Regular, b"caf\xe9", 0, b"").packed();
    assert!(matches!(unpack(&latin), Err(ReadError::Path { fault: PathFault::Character, .. })));
    let message = refusal(&Raw::new().file("../\u{1b}[31m", b"").packed());
    assert!(message.contains("`../\\u{1b}[31m`"), "{message}");
}

#[test]
fn what_is_not_a_file_or_folder_is_refused_by_name() {
    for (kind, words) in [
        (EntryType::Symlink, "a symbolic link"),
        (EntryType::Link, "a hard link"),
        (EntryType::Char, "a device"),
        (EntryType::Block, "a device"),
        (EntryType::Fifo, "a fifo"),
        (EntryType::GNUSparse, "a sparse file"),
        (EntryType::new(b'Z'), "of an unknown kind"),
    ] {
        let message = refusal(&Raw::new().manifest().entry(kind, "odd", b"").packed());
        assert_eq!(message, format!("entry `odd` is {words}; only files and folders may be in a package"));
    }
    let pax_sparse = Raw::new().entry(EntryType::XHeader, "x", b"22 GNU.sparse.major=1\n").file("odd", b"").packed();
    assert!(refusal(&pax_sparse).contains("`odd` is a sparse file"));
    assert!(refusal(&Raw::new().entry(EntryType::Directory, "odd/", b"data").packed()).contains("a folder with data"));
}

#[test]
fn paths_that_collide_are_refused_by_name() {
    for (first, second) in [("a", "a"), ("a/b", "A/b"), ("a/B", "a/b"), ("a", "a/b")] {
        let packed = Raw::new().manifest().file(first, b"").file(second, b"").packed();
        match unpack(&packed) {
            Err(ReadError::Duplicate { entry, .. }) => assert_eq!(entry, second),
            other => panic!("{first} {second}: {other:?}"),
        }
        let entries = [("krt.yml", 0), (first, 0), (second, 0)].map(|(path, size)| Entry::file(path, size));
        let written = write("krt.yml", entries, |_| Ok(io::empty()), io::sink());
        assert!(matches!(written, Err(WriteError::Duplicate { .. })), "{written:?}");
    }
    let packed = Raw::new().manifest().file("a/b", b"").file("a", b"").packed();
    assert!(matches!(unpack(&packed), Err(ReadError::Duplicate { .. })));
}

#[test]
fn extensions_that_contradict_the_header_are_refused() {
    let size = Raw::new().entry(EntryType::XHeader, "x", b"10 size=9\n").file("odd", b"12").packed();
    assert!(refusal(&size).contains("in entry `odd`"), "{}", refusal(&size));
    let two = Raw::new()
        .entry(EntryType::GNULongName, "x", b"one\0")
        .entry(EntryType::XHeader, "x", b"12 path=two\n")
        .file("odd", b"");
    assert!(matches!(unpack(&two.packed()), Err(ReadError::Extension { .. })));
    let endless = Raw::new().entry(EntryType::GNULongName, "x", &[b'a'; 100_000]).file("odd", b"");
    assert!(matches!(unpack(&endless.packed()), Err(ReadError::Extension { .. })));
    let last = Raw::new().manifest().entry(EntryType::GNULongName, "x", b"one\0");
    assert!(matches!(unpack(&last.packed()), Err(ReadError::Truncated { .. })));
}

#[test]
fn every_bound_holds_and_names_the_entry() {
    let limits = Limits { entries: 4, file: 100, total: 8192, ratio: 20, ratio_free: 4096 };
    let refusal = |raw: Raw| unpack_within(&raw.packed(), &limits).expect_err("beyond a bound").to_string();
    assert_eq!(
        refusal(Raw::new().manifest().file("a/b/c/d", b"")),
        "it has more than 4 entries, `a/b/c/d` being the first beyond"
    );
    assert_eq!(refusal(Raw::new().manifest().file("large", &[1; 101])), "entry `large` has 101 bytes; 100 are allowed");
    // The header alone is enough.
    assert!(refusal(Raw::new().lying(EntryType::Regular, b"large", u64::MAX >> 1, b"")).contains("`large`"));
    let limits = Limits { file: 10_000, ..limits.clone() };
    let noise = (0..9000).map({
        let mut dice = Dice(1);
        move |_| dice.roll(256) as u8
    });
    let noise = Raw::new().manifest().file("noise", &noise.collect::<Vec<_>>()).packed();
    match unpack_within(&noise, &limits) {
        Err(ReadError::TooLarge { place: Place::In(entry), limit: 8192 }) => assert_eq!(entry, "noise"),
        other => panic!("{other:?}"),
    }
    let zeros = Raw::new().manifest().file("zeros", &[0; 7000]).packed();
    assert!(matches!(unpack_within(&zeros, &limits), Err(ReadError::Bomb { place: Place::In(_), limit: 20 })));
}

/// Zeros without end behind a header that announces 1.9 GiB, packed as they are read.
struct Zeros {
    head: io::Cursor<Vec<u8>>,
}

impl Read for Zeros {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.head.read(buffer)?;
        if n == 0 {
            buffer.fill(0);
            return Ok(buffer.len());
        }
        Ok(n)
    }
}

#[test]
fn a_bomb_is_refused_long_before_it_goes_off() {
    let head = Raw::new().manifest().lying(EntryType::Regular, b"zeros", 1900 << 20, b"").0;
    let zeros = flate2::read::GzEncoder::new(Zeros { head: io::Cursor::new(head) }, Compression::fast());
    let begun = Instant::now();
    let mut taken = 0;
    let result = read(zeros, &Limits::default(), |_, content| {
        taken += io::copy(content, &mut io::sink())?;
        Ok(())
    });
    assert!(matches!(result, Err(ReadError::Bomb { .. })), "{result:?}");
    assert!(begun.elapsed().as_secs() < 5);
    assert!(taken < 64 << 20);
    // Also when nobody looks at the content, and when the zeros are behind the end of the tar.
    let head = Raw::new().manifest().lying(EntryType::Regular, b"zeros", 1900 << 20, b"").0;
    let zeros = flate2::read::GzEncoder::new(Zeros { head: io::Cursor::new(head) }, Compression::fast());
    assert!(matches!(read(zeros, &Limits::default(), |_, _| Ok(())), Err(ReadError::Bomb { .. })));
    let zeros = flate2::read::GzEncoder::new(io::repeat(0), Compression::fast());
    assert!(matches!(read(zeros, &Limits::default(), |_, _| Ok(())), Err(ReadError::Bomb { .. })));
}

#[test]
fn an_archive_cut_anywhere_is_refused() {
    let noise: Vec<u8> = (0..5000).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let packed = Raw::new().manifest().file("noise", &noise).packed();
    for end in 0..packed.len() {
        match unpack(&packed[..end]) {
            Err(ReadError::NotGzip) if end < 2 => {}
            Err(ReadError::Truncated { .. }) if end >= 2 => {}
            other => panic!("cut at {end}: {other:?}"),
        }
    }
    let tar = Raw::new().manifest().file("noise", &noise).0;
    for end in [100, 511, 513, 1024 + 100, 1024 + 512 + 5, tar.len() - 1] {
        assert!(matches!(unpack(&gzip(&tar[..end])), Err(ReadError::Truncated { .. })), "tar cut at {end}");
    }
}

#[test]
fn damage_is_refused_wherever_it_is() {
    let noise: Vec<u8> = (0..5000).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let packed = Raw::new().manifest().file("noise", &noise).packed();
    let whole = unpack(&packed).unwrap();
    let mut refused = 0;
    for at in 10..packed.len() {
        let mut damaged = packed.clone();
        damaged[at] ^= 0x10;
        match unpack(&damaged) {
            // Some bits of a deflate stream say nothing.
            Ok(same) => assert_eq!(same, whole, "damaged at {at}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > packed.len() - 30, "{refused} of {}", packed.len());
    assert!(matches!(unpack(b"version: v1\n"), Err(ReadError::NotGzip)));
    assert!(matches!(unpack(b""), Err(ReadError::NotGzip)));
    assert!(matches!(unpack(&gzip(&[b'x'; 5000])), Err(ReadError::Damaged { place: Place::Start, .. })));
    assert!(unpack(&[packed, b"garbage".to_vec()].concat()).is_err());
}

#[test]
fn random_headers_never_panic() {
    let mut dice = Dice(7);
    for _ in 0..2000 {
        let mut tar = Raw::new().manifest().file("a/b", b"content").entry(EntryType::XHeader, "x", b"9 path=a\n").0;
        for _ in 0..4 {
            let at = dice.roll(tar.len() as u64) as usize;
            tar[at] = dice.roll(256) as u8;
        }
        for block in [0, 1024, 2048] {
            let header = Header::from_byte_slice(&tar[block..block + 512]);
            let mut header = header.clone();
            header.set_cksum();
            tar[block..block + 512].copy_from_slice(header.as_bytes());
        }
        let _ = unpack(&gzip(&tar));
    }
}

#[test]
fn a_visitor_that_fails_is_not_blamed_on_the_archive() {
    let packed = Raw::new().manifest().file("a", b"a").packed();
    let result = read(packed.as_slice(), &Limits::default(), |entry, _| match entry.path.as_str() {
        "a" => Err(io::Error::from(io::ErrorKind::StorageFull)),
        _ => Ok(()),
    });
    assert!(matches!(result, Err(ReadError::Visit { entry, .. }) if entry == "a"));
}

#[test]
fn a_file_whose_length_changes_is_not_packed() {
    for size in [4, 6] {
        let open = |entry: &Entry| Ok(io::Cursor::new(if entry.path == "a" { &b"12345"[..] } else { b"" }));
        let written = write("krt.yml", [Entry::file("krt.yml", 0), Entry::file("a", size)], open, io::sink());
        match written {
            Err(WriteError::Content { entry, source }) => {
                assert_eq!(
                    (entry.as_str(), source.to_string().as_str()),
                    ("a", "its length changed while it was read")
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_a_reader_would_refuse_is_not_written() {
    for path in ["../a", "/a", "./a", "a/", "a\\b", ""] {
        let entries = [Entry::file("krt.yml", 0), Entry::file(path, 0)];
        let written = write("krt.yml", entries, |_| Ok(io::empty()), io::sink());
        assert!(matches!(written, Err(WriteError::Path { .. })), "{path}: {written:?}");
    }
    let written = write("krt.yml", [Entry::file("a", 0)], |_| Ok(io::empty()), io::sink());
    assert!(matches!(written, Err(WriteError::NoManifest(_))));
}
