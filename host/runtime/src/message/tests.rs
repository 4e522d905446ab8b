//! Envelopes byte for byte, and hostile ones.

use super::*;

fn message() -> Message {
    Message {
        request_id: "r-1".into(),
        from_node: "etl".into(),
        message_type: MessageType::Ok,
        payload: Some(Payload { type_url: "type.googleapis.com/a.B".into(), data: Bytes::from_static(&[1, 2, 0xff]) }),
        error: String::new(),
    }
}

#[test]
fn an_output_has_exactly_the_bytes_of_the_original_runners() {
    let mut golden = vec![0x0a, 3];
    golden.extend(b"r-1");
    golden.extend([0x12, 2 + 23 + 2 + 3]);
    golden.extend([0x0a, 23]);
    golden.extend(b"type.googleapis.com/a.B");
    golden.extend([0x12, 3, 1, 2, 0xff]);
    golden.extend([0x22, 3]);
    golden.extend(b"etl");
    golden.extend([0x28, 1]);
    assert_eq!(message().encode(1 << 20).unwrap(), golden);
    assert_eq!(Message::decode(golden.into()).unwrap(), message());
}

#[test]
fn an_error_has_exactly_the_bytes_of_the_original_runners() {
    let error = Message { message_type: MessageType::Error, payload: None, error: "no".into(), ..message() };
    let golden = [b"\x0a\x03r-1".as_slice(), b"\x1a\x02no", b"\x22\x03etl", b"\x28\x02"].concat();
    assert_eq!(error.encode(1 << 20).unwrap(), golden);
    assert_eq!(Message::decode(golden.into()).unwrap(), error);
}

#[test]
fn every_envelope_has_the_bytes_that_prost_gives_it() {
    let long = "x".repeat(300);
    let payloads = [
        None,
        Some(Payload::default()),
        Some(Payload { type_url: long.clone(), data: Bytes::new() }),
        Some(Payload { type_url: "a/b".into(), data: vec![7; 70_000].into() }),
    ];
    for payload in payloads {
        for (number, text) in [(0, ""), (1, "é"), (3, &*long), (4, "x")] {
            let message = Message {
                request_id: text.into(),
                from_node: text.into(),
                message_type: MessageType::from_wire(number),
                payload: payload.clone(),
                error: text.into(),
            };
            let envelope = Envelope {
                request_id: text.into(),
                payload: payload.clone().map(|p| Any { type_url: p.type_url, value: p.data }),
                error: text.into(),
                from_node: text.into(),
                message_type: number,
            };
            assert_eq!(message.encode(1 << 20).unwrap(), envelope.encode_to_vec());
            assert_eq!(Message::decode(envelope.encode_to_vec().into()).unwrap(), message);
        }
    }
}

#[test]
fn the_limit_itself_is_not_compressed_and_one_byte_more_is() {
    let payload = Payload { type_url: "a/B".into(), data: vec![0; 5000].into() };
    let message = Message { payload: Some(payload), ..message() };
    let plain = message.encode(usize::MAX).unwrap();
    assert_eq!(message.encode(plain.len()).unwrap(), plain);
    let packed = message.encode(plain.len() - 1).unwrap();
    assert_eq!(packed[..2], [0x1f, 0x8b]);
    assert_eq!(packed[8], 2, "the header says: compressed as well as possible, level 9");
    assert!(packed.len() < 200);
    assert_eq!(Message::decode(packed).unwrap(), message);
}

#[test]
fn what_does_not_compress_to_the_limit_is_too_large() {
    // A linear congruential generator: bytes that gzip cannot shorten.
    let mut state = 1_u64;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    });
    let data: Bytes = noise.take(10_000).collect();
    let message = Message { payload: Some(Payload { type_url: "a/B".into(), data }), ..message() };
    let size = message.encode(usize::MAX).unwrap().len();
    assert_eq!(message.encode(9_000), Err(TooLarge { size, limit: 9_000 }));
}

#[test]
fn what_no_receiver_would_expand_is_not_sent_compressed() {
    let data: Bytes = vec![0; MAX_EXPANDED].into();
    let message = Message { payload: Some(Payload { type_url: "a/B".into(), data }), ..message() };
    assert!(message.encode(1 << 20).is_err());
    assert!(message.encode(usize::MAX).is_ok(), "uncompressed it is a question of the bus alone");
}

#[test]
fn the_payload_shares_the_bytes_it_came_in() {
    let bytes = message().encode(1 << 20).unwrap();
    let data = Message::decode(bytes.clone()).unwrap().payload.unwrap().data;
    assert!(bytes.as_ptr_range().contains(&data.as_ptr()));
}

#[test]
fn no_bytes_are_an_empty_envelope_and_one_is_none() {
    let empty = Message::decode(Bytes::new()).unwrap();
    assert_eq!((empty.request_id.as_str(), empty.message_type, empty.payload), ("", MessageType::Undefined, None));
    for byte in [0x0a_u8, 0x1f, 0xff, 0x00] {
        let read = Message::decode(vec![byte].into());
        assert!(matches!(read, Err(DecodeError::Malformed(_))), "{byte:#x}: {read:?}");
    }
}

#[test]
fn numbers_that_nobody_knows_are_undefined() {
    for number in [0, 5, -1, i32::MAX, i32::MIN] {
        let bytes = Envelope { message_type: number, ..Envelope::default() }.encode_to_vec();
        assert_eq!(Message::decode(bytes.into()).unwrap().message_type, MessageType::Undefined, "{number}");
    }
}

#[test]
fn unknown_fields_are_passed_over() {
    let mut bytes = message().encode(1 << 20).unwrap().to_vec();
    bytes.extend([0x7a, 2, 9, 9]);
    assert_eq!(Message::decode(bytes.into()).unwrap(), message());
}

#[test]
fn a_compressed_envelope_that_expands_too_far_is_refused() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..=MAX_EXPANDED >> 20 {
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 100_000);
    assert!(matches!(Message::decode(bomb.into()), Err(DecodeError::TooLarge)));
}

#[test]
fn broken_gzip_is_told_from_a_broken_envelope() {
    for bytes in [&[0x1f, 0x8b][..], &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 0xff, 1, 2, 3]] {
        assert!(matches!(Message::decode(Bytes::copy_from_slice(bytes)), Err(DecodeError::Gzip(_))));
    }
    let not_text = [0x0a, 2, 0xff, 0xfe];
    assert!(matches!(Message::decode(Bytes::copy_from_slice(&not_text)), Err(DecodeError::Malformed(_))));
}

#[test]
fn an_error_is_told_by_its_type_or_by_its_text() {
    assert!(!message().is_error());
    assert!(Message { message_type: MessageType::Error, ..message() }.is_error());
    assert!(Message { error: "no".into(), ..message() }.is_error());
}

#[test]
fn the_name_is_what_follows_the_last_slash() {
    for (url, name) in [("type.googleapis.com/a.B", "a.B"), ("a/b/C", "C"), ("C", "C"), ("a/", ""), ("", "")] {
        assert_eq!(Payload { type_url: url.into(), data: Bytes::new() }.message_name(), name, "{url:?}");
    }
}
