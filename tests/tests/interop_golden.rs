//! Envelopes that the protobuf runtimes of Python and Go have written, byte for byte: the goldens of tests/interop/golden.

use std::fs;
use std::process::Command;

use bytes::Bytes;
use e2e::interop::{self, source, tools};
use krt_host::message::{Message, MessageType, Payload};

const LIMIT: usize = 1 << 20;

fn golden(name: &str, writer: &str) -> Bytes {
    let path = source("golden").join(format!("{name}.{writer}.bin"));
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into()
}

/// What the goldens are made from, see tests/interop/python/golden.py.
fn expected(name: &str) -> Message {
    let job = |data: &[u8]| Payload { type_url: "type.googleapis.com/main.Job".into(), data: data.to_vec().into() };
    let ordinary = Message {
        request_id: "5f0c0a3e-7a40-4b3a-9a53-0f3f9d1b2c77".into(),
        from_node: "etl".into(),
        message_type: MessageType::Ok,
        // Field 2 a string of three bytes, field 4 four bytes.
        payload: Some(job(b"\x12\x03etl\x22\x04\x00\x01\xfe\xff")),
        error: String::new(),
    };
    match name {
        "ok" => ordinary,
        "early-reply" => Message { message_type: MessageType::EarlyReply, ..ordinary },
        "early-exit" => Message { message_type: MessageType::EarlyExit, ..ordinary },
        "error" => Message {
            message_type: MessageType::Error,
            payload: None,
            error: "error in node 'etl': ünlesbar\n".into(),
            ..ordinary
        },
        "undefined" => Message { message_type: MessageType::Undefined, payload: Some(Payload::default()), ..ordinary },
        "empty" => Message {
            request_id: String::new(),
            from_node: String::new(),
            message_type: MessageType::Undefined,
            payload: None,
            error: String::new(),
        },
        _ => Message { payload: Some(job(&[b"\x22\xa0\x1f".as_slice(), &b"krt ".repeat(1000)].concat())), ..ordinary },
    }
}

#[test]
fn what_python_and_go_write_is_what_krt_reads_and_writes() {
    for name in ["ok", "early-reply", "early-exit", "error", "undefined", "empty", "large"] {
        for writer in ["py", "go"] {
            let bytes = golden(name, writer);
            let message = Message::decode(bytes.clone()).unwrap_or_else(|error| panic!("{name}.{writer}: {error}"));
            assert_eq!(message, expected(name), "{name}.{writer}");
            assert_eq!(message.encode(LIMIT).expect("it fits"), bytes, "{name}.{writer}");
        }
    }
}

#[test]
fn what_python_and_go_compress_is_what_krt_expands() {
    for writer in ["py", "go"] {
        let bytes = golden("large-gzip", writer);
        assert!(bytes.starts_with(&[0x1f, 0x8b]) && bytes.len() < 200, "{writer}");
        assert_eq!(Message::decode(bytes).expect("gzip"), expected("large"), "{writer}");
    }
}

#[test]
fn the_goldens_are_what_the_runtimes_write_today() {
    let Some(tools) = tools() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let run = |command: &mut Command| assert!(command.arg(folder.path()).status().expect("it starts").success());
    run(Command::new(tools.python()).arg(source("python/golden.py")));
    run(&mut Command::new(tools.go("golden")));
    let mut seen = 0;
    for entry in fs::read_dir(interop::source("golden")).expect("goldens") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name");
        // How deflate packs is the library's affair, and changes with it; what it unpacks to is tested above.
        if !name.to_string_lossy().contains("gzip") {
            assert_eq!(fs::read(&path).expect("a golden"), fs::read(folder.path().join(name)).expect("written"));
            seen += 1;
        }
    }
    assert_eq!(seen, 14);
}
