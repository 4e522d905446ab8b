//! The C SDK's own tests, and its messages beside those of another library: what one writes the other reads alike.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use krt::proto::Proto;
use krt_host::artifact::Package;
use prost_reflect::prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use serde_json::json;

/// The version of the SDK's tests, built natively; none without the tools.
fn built() -> Option<tempfile::TempDir> {
    for tool in ["python3", "cc", "make"] {
        if Command::new(tool).arg("--version").output().is_err() {
            e2e::skipped(&format!("the C SDK: there is no {tool}"));
            return None;
        }
    }
    let version = e2e::built("guest-sdk/c/tests");
    let output =
        Command::new("make").arg("test").current_dir(version.path().join("node")).output().expect("make starts");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    Some(version)
}

/// Has C read and write each of these messages again: what it wrote, or what it said is wrong.
fn written_by_c(version: &Path, messages: &[Vec<u8>]) -> Vec<Result<Vec<u8>, String>> {
    let mut child = Command::new(version.join("node/build/tests"))
        .arg("wire")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the tests start");
    let mut input = child.stdin.take().expect("piped");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let answers = messages.iter().map(|message| {
        let hex: String = message.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(input, "{hex}").expect("it reads on");
        let line = lines.next().unwrap_or_else(|| panic!("it ended at {hex}")).expect("readable");
        match line.strip_prefix("- ") {
            Some(problem) => Err(problem.to_owned()),
            None => Ok((0..line.len() / 2)
                .map(|i| u8::from_str_radix(&line[2 * i..2 * i + 2], 16).expect("a byte"))
                .collect()),
        }
    });
    let answers = answers.collect();
    drop(input);
    // The sanitizers have the last word.
    assert!(child.wait().expect("a status").success());
    answers
}

fn everything(version: &Path) -> MessageDescriptor {
    let package = Package::open(version).expect("a package");
    let proto = Proto::load(&package, "public_input.proto").expect("a proto");
    proto.pool.get_message_by_name("sdk.Everything").expect("a message")
}

fn of_json(descriptor: &MessageDescriptor, json: &serde_json::Value) -> DynamicMessage {
    let text = json.to_string();
    DynamicMessage::deserialize(descriptor.clone(), &mut serde_json::Deserializer::from_str(&text))
        .unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn cases() -> Vec<serde_json::Value> {
    let numbers = |text: &str| {
        json!({
            "int32": -1, "int64": "-9223372036854775808", "uint32": 4_294_967_295_u32, "uint64": "18446744073709551615",
            "sint32": i32::MIN, "sint64": "-9223372036854775808", "fixed32": 4_294_967_295_u32,
            "fixed64": "18446744073709551615", "sfixed32": -7, "sfixed64": "-7", "bool": true, "string": text,
            "double": -0.0, "float": 1.5, "bytes": "AAH/", "colour": "BELOW",
        })
    };
    let mut all = vec![
        json!({}),
        numbers("plain"),
        numbers("ä 漢 🦀 \u{7ff} \u{800} \u{ffff} \u{10000} eight by eight: aaaaaaaaaaaaaaaa"),
        json!({"everything": {"everything": {"string": "deep"}}, "inner": {}, "part": {"size": 3}}),
        json!({"inner": {"name": "a", "depth": "DEEP", "children": [{"name": "b"}, {}, {"children": [{"name": "c"}]}]}}),
        json!({"at": "2026-11-21T10:00:00.5Z", "last": "far", "between": "near"}),
        json!({"maybeNumber": 0, "maybeText": "", "maybeBytes": "", "maybeBool": false, "maybeColour": "NONE"}),
        json!({"numbers": [0, -1, 2_147_483_647], "zigzags": ["0", "-1", "1"], "doubles": [0.0, 1e300],
               "bools": [true, false], "colours": ["RED", "BELOW", "NONE"], "unpacked": [1, 2, 3]}),
        json!({"texts": ["", "a", "ä"], "blobs": ["", "AA=="], "inners": [{}, {"name": "x"}]}),
        json!({"counts": {"k": 7}}),
        json!({"byNumber": {"-5": {"name": "n"}}}),
        json!({"text": ""}),
        json!({"number": 0}),
        json!({"other": {}}),
        json!({"blob": ""}),
        json!({"register": false}),
    ];
    // Lists that grow beyond their first room.
    all.push(
        json!({"texts": (0..1000).map(|n| n.to_string()).collect::<Vec<_>>(), "numbers": (0..1000).collect::<Vec<_>>(),
        "inners": (0..100).map(|n| json!({"name": n.to_string()})).collect::<Vec<_>>(), "string": "x".repeat(100_000)}),
    );
    all
}

#[test]
fn the_c_sdk_passes_its_own_tests_and_writes_messages_as_others_do() {
    let Some(version) = built() else { return };
    let descriptor = everything(version.path());
    let messages: Vec<Vec<u8>> = cases().iter().map(|case| of_json(&descriptor, case).encode_to_vec()).collect();
    for (message, written) in messages.iter().zip(written_by_c(version.path(), &messages)) {
        let read = DynamicMessage::decode(descriptor.clone(), &**message).expect("a message");
        assert_eq!(written.as_deref(), Ok(&**message), "{read}");
    }

    // Unpacked what is packed, packed what is not, twice what is there once, and fields that nobody knows.
    let pairs: [(&[u8], serde_json::Value); 6] = [
        (&[0xc0, 0x02, 5, 0xc0, 0x02, 6], json!({"numbers": [5, 6]})),
        (&[0x82, 0x03, 8, 1, 0, 0, 0, 2, 0, 0, 0], json!({"unpacked": [1, 2]})),
        (&[0x72, 1, b'a', 0x72, 1, b'b'], json!({"string": "b"})),
        (&[0x9a, 1, 2, 8, 1, 0x9a, 1, 2, 8, 2], json!({"part": {"size": 2}})),
        (&[0xa0, 0x06, 9, 0xa3, 0x06, 8, 1, 0xa4, 0x06, 0x18, 4], json!({"int32": 4})),
        (&[0xe2, 3, 1, b'a', 0xe8, 3, 9], json!({"number": 9})),
    ];
    let odd: Vec<Vec<u8>> = pairs.iter().map(|(bytes, _)| bytes.to_vec()).collect();
    for ((_, meant), written) in pairs.iter().zip(written_by_c(version.path(), &odd)) {
        assert_eq!(written, Ok(of_json(&descriptor, meant).encode_to_vec()), "{meant}");
    }

    // Damaged ones: refused or read as something, never more than that. What is read stays what it is.
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    let mut damaged = Vec::new();
    for _ in 0..3000 {
        let mut message = messages[1 + random(messages.len() - 2)].clone();
        for _ in 0..=random(3) {
            let at = random(message.len());
            match random(3) {
                0 => message[at] = random(256) as u8,
                1 => message.truncate(at + 1),
                _ => message.insert(at, random(256) as u8),
            }
        }
        damaged.push(message);
    }
    let read: Vec<Vec<u8>> = written_by_c(version.path(), &damaged).into_iter().flatten().collect();
    assert!(read.len() > 100 && read.len() < damaged.len(), "{} of {} were read", read.len(), damaged.len());
    for (once, twice) in read.iter().zip(written_by_c(version.path(), &read)) {
        assert_eq!(twice.as_ref(), Ok(once));
        DynamicMessage::decode(descriptor.clone(), &**once).unwrap_or_else(|error| panic!("{error}: {once:02x?}"));
    }
}
