//! Headers between the port and the wire: what krt's messages carry, the ids JetStream looks at, and nothing that could
//! break a header's line.

use std::borrow::Cow;

use async_nats::header::{NATS_EXPECTED_STREAM, NATS_MESSAGE_ID};
use async_nats::{HeaderMap, HeaderName, HeaderValue};

use crate::bus::{HEADER_ROOM, Headers, Publication, PublishError};

/// Names that are handed on with a delivery. What else a message has is not krt's.
const KNOWN: [&str; 12] = [
    "traceparent",
    "tracestate",
    "krt-reason",
    "krt-workflow",
    "krt-node",
    "krt-attempt",
    "krt-subject",
    "krt-sequence",
    "krt-request-id",
    "krt-omitted-bytes",
    "krt-backtrace",
    crate::bus::FOR,
];

/// Bytes of a header beside its name and value: `: ` and a line's end.
const LINE: usize = 4;

/// Bytes of the first line and the empty last one.
const FRAME: usize = 14;

/// Whether what a publication carries beside its payload has room.
pub(super) fn check(publication: &Publication, stream: &str) -> Result<(), PublishError> {
    let Publication { id, headers, .. } = publication;
    let mut size = FRAME + headers.size() + headers.0.len() * LINE;
    size += id.as_ref().map_or(0, |id| "Nats-Msg-Id".len() + id.len() + LINE);
    size += "Nats-Expected-Stream".len() + stream.len() + LINE;
    if size > HEADER_ROOM { Err(PublishError::TooLarge { size, limit: HEADER_ROOM }) } else { Ok(()) }
}

/// A publication's headers as they go out.
pub(super) fn outgoing(publication: &Publication, stream: &str) -> HeaderMap {
    let mut map = HeaderMap::new();
    if let Some(id) = &publication.id {
        map.insert(NATS_MESSAGE_ID, value(id));
    }
    map.insert(NATS_EXPECTED_STREAM, value(stream));
    for (name, text) in &publication.headers.0 {
        map.insert(HeaderName::from_static(name), value(text));
    }
    map
}

/// What of a message's headers the port hands on.
pub(super) fn incoming(map: Option<&HeaderMap>) -> Headers {
    let Some(map) = map else { return Headers::default() };
    let mut headers = Vec::new();
    for (name, values) in map.iter() {
        let name: &str = name.as_ref();
        // Native runners and gateways write names as they like.
        if let Some(known) = KNOWN.iter().find(|known| known.eq_ignore_ascii_case(name))
            && let Some(value) = values.first()
        {
            headers.push((*known, value.as_str().to_owned()));
        }
    }
    Headers(headers)
}

/// A line's end within a value would begin another header.
fn value(text: &str) -> HeaderValue {
    let clean: Cow<'_, str> =
        if text.contains(['\r', '\n']) { text.replace(['\r', '\n'], " ").into() } else { text.into() };
    HeaderValue::from(clean.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publication(headers: Vec<(&'static str, String)>) -> Publication {
        let headers = Headers(headers);
        Publication { subject: "s.a".into(), id: Some("s/1/a/0".into()), payload: bytes::Bytes::new(), headers }
    }

    #[test]
    fn what_goes_out_comes_in_but_for_the_ids() {
        let sent = publication(vec![("traceparent", "00-1-2-01".into()), ("krt-node", "etl".into())]);
        let map = outgoing(&sent, "s");
        assert_eq!(map.get(NATS_MESSAGE_ID).map(HeaderValue::as_str), Some("s/1/a/0"));
        assert_eq!(map.get(NATS_EXPECTED_STREAM).map(HeaderValue::as_str), Some("s"));
        let mut got = incoming(Some(&map)).0;
        got.sort();
        assert_eq!(got, [("krt-node", "etl".to_owned()), ("traceparent", "00-1-2-01".to_owned())]);
    }

    #[test]
    fn a_value_with_a_lines_end_stays_one_header() {
        let map = outgoing(&publication(vec![("traceparent", "a\r\nNats-Msg-Id: b".into())]), "s");
        assert_eq!(incoming(Some(&map)).get("traceparent"), Some("a  Nats-Msg-Id: b"));
    }

    #[test]
    fn the_room_counts_every_byte_of_every_line() {
        let fits = HEADER_ROOM - FRAME - ("Nats-Msg-Id".len() + 7 + LINE) - ("Nats-Expected-Stream".len() + 1 + LINE);
        let exactly = publication(vec![("krt-reason", "x".repeat(fits - "krt-reason".len() - LINE))]);
        assert_eq!(check(&exactly, "s"), Ok(()));
        let more = publication(vec![("krt-reason", "x".repeat(fits + 1 - "krt-reason".len() - LINE))]);
        assert!(matches!(check(&more, "s"), Err(PublishError::TooLarge { .. })));
    }
}
