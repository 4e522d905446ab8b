//! The entrypoint as its callers see it, with a bus that answers as told. Without a socket where none is needed.

pub(crate) mod fixture;
mod http_json;
mod serving;

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::HeaderMap;
use tokio::time::Instant;
use tonic::Code;

use crate::bus::PublishError;
use crate::entrypoint::{EntrypointError, Limits, MethodRoute};
use crate::message::{Message, MessageType, Payload};
use fixture::{With, call, call_path, echo, framed};

fn header(name: &'static str, value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static(name), http::HeaderValue::from_static(value))])
}

#[tokio::test]
async fn a_thousand_concurrent_calls_each_get_their_own_answer() {
    // Answered in reverse, in bundles, and always after a stranger's answer.
    let held = std::sync::Mutex::new(Vec::new());
    let bundle = move |request: Message| {
        let mut held = held.lock().unwrap();
        held.push(Message { request_id: "somebody else's".into(), ..echo(request.clone()) });
        held.push(echo(request));
        if held.len() < 200 { Vec::new() } else { held.drain(..).rev().collect() }
    };
    let served = With::answers(bundle).serve().await;
    let channel = served.channel().await;
    let calls = (0..1000u32).map(|n| {
        let channel = channel.clone();
        async move {
            let payload = Bytes::from(format!("payload {n}"));
            assert_eq!(call(channel, payload.clone()).await.unwrap(), payload);
        }
    });
    join_all(calls).await;
}

#[tokio::test]
async fn one_error_fails_its_own_call_and_no_other() {
    let served = With::answers(|request| {
        let failed = request.payload.as_ref().is_some_and(|p| p.data == "7");
        let answer = Message { from_node: "exit".into(), ..request };
        match failed {
            // Without the type, as some runners send it: the text alone says so.
            true => vec![Message { error: "node exit: cannot: Ü".into(), payload: None, ..answer }],
            false => vec![echo(answer)],
        }
    });
    let served = served.serve().await;
    let channel = served.channel().await;
    let answers = join_all((0..50).map(|n| call(channel.clone(), n.to_string()))).await;
    for (n, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(bytes) => assert_eq!(bytes, n.to_string()),
            Err(status) => {
                assert_eq!((n, status.code(), status.message()), (7, Code::Internal, "node exit: cannot: Ü"));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_callers_deadline_is_kept_and_the_place_given_up() {
    let fixture = With::silence().build();
    let begin = Instant::now();
    let status = fixture.call(header("grpc-timeout", "200m"), framed(0, b"x")).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(200) && took < Duration::from_millis(300), "{took:?}");
    assert_eq!(fixture.entrypoint.state.calls.in_flight(), 0);
    assert_eq!(fixture.entrypoint.state.routes.workflows().next().unwrap().replies.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn without_a_deadline_of_its_own_a_call_gets_the_default() {
    let limits = Limits { default_timeout: Duration::from_secs(3), ..Limits::default() };
    let fixture = With::silence().limits(limits).build();
    let begin = Instant::now();
    let status = fixture.call(HeaderMap::new(), framed(0, b"x")).await.unwrap_err();
    assert_eq!((status.code(), begin.elapsed().as_secs()), (Code::DeadlineExceeded, 3));
    assert!(status.message().contains("\"classify\" within 3s"), "{status}");
}

#[tokio::test]
async fn early_replies_and_early_exits_are_answers() {
    for message_type in [MessageType::EarlyReply, MessageType::EarlyExit, MessageType::Ok, MessageType::Undefined] {
        let fixture = With::answers(move |request| {
            let early = Message { message_type, ..echo(request.clone()) };
            let late = Message { message_type: MessageType::Error, error: "late".into(), ..request };
            vec![early, late]
        });
        let fixture = fixture.build();
        assert_eq!(fixture.call(HeaderMap::new(), framed(0, b"x")).await.unwrap(), "x", "{message_type:?}");
    }
}

#[tokio::test]
async fn an_answer_of_another_type_names_both() {
    let fixture = With::answers(|request| {
        let payload = Some(Payload { type_url: "type.googleapis.com/main.Sender".into(), data: Bytes::new() });
        vec![Message { from_node: "exit".into(), payload, ..request }]
    });
    let status = fixture.build().call(HeaderMap::new(), framed(0, b"x")).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(status.message().contains("main.Sender") && status.message().contains("main.Response"), "{status}");

    let fixture = With::answers(|request| vec![Message { payload: None, ..request }]).build();
    let status = fixture.call(HeaderMap::new(), framed(0, b"x")).await.unwrap_err();
    assert_eq!(status.message(), "the answer has no payload; the method's answer is a main.Response");
}

#[tokio::test]
async fn a_nodes_text_of_any_length_reaches_the_caller_bounded() {
    let fixture = With::answers(|request| {
        vec![Message { message_type: MessageType::Error, payload: None, error: "ä\n".repeat(1 << 20), ..request }]
    });
    let served = fixture.serve().await;
    let status = call(served.channel().await, "x").await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(status.message().starts_with("ä\nä\n") && status.message().len() < 4096, "{}", status.message().len());
}

#[tokio::test]
async fn the_request_reaches_the_bus_as_an_envelope_with_its_bytes_untouched() {
    let mut fixture = With::echo().build();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let no_protobuf = [0xff_u8, 0x00, 0xff];
    fixture.call(header("traceparent", trace), framed(0, &no_protobuf)).await.unwrap();
    let publication = fixture.published.recv().await.unwrap();
    assert_eq!(&*publication.subject, "kre_v1_Classificator.entrypoint");
    assert_eq!(publication.headers.0, [("traceparent", trace.to_owned())]);
    let message = Message::decode(publication.payload).unwrap();
    assert_eq!((&*message.from_node, message.message_type), ("entrypoint", MessageType::Ok));
    let payload = message.payload.unwrap();
    assert_eq!((&*payload.type_url, &payload.data[..]), ("type.googleapis.com/main.Request", &no_protobuf[..]));

    fixture.call(header("traceparent", "nonsense"), framed(0, b"")).await.unwrap();
    assert_eq!(fixture.published.recv().await.unwrap().headers.0, []);
}

#[tokio::test]
async fn more_calls_than_may_be_in_flight_are_refused_at_once() {
    let limits = Limits { max_in_flight: 1, ..Limits::default() };
    let mut served = With::silence().limits(limits).serve().await;
    let channel = served.channel().await;
    let first = tokio::spawn(call(channel.clone(), "first"));
    let request = served.request().await;
    let status = call(channel.clone(), "second").await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    served.bus.reply(echo(request));
    assert_eq!(first.await.unwrap().unwrap(), "first");
}

#[tokio::test]
async fn a_cancelled_call_frees_its_place() {
    let limits = Limits { max_in_flight: 1, ..Limits::default() };
    let mut served = With::silence().limits(limits).serve().await;
    let channel = served.channel().await;
    let first = tokio::spawn(call(channel.clone(), "first"));
    served.request().await;
    first.abort();
    let second = loop {
        // The cancellation is a frame on the same connection: the server has it some frames later.
        let mut second = tokio::spawn(call(channel.clone(), "second"));
        tokio::select! {
            request = served.request() => {
                served.bus.reply(echo(request));
                break second;
            }
            refused = &mut second => assert_eq!(refused.unwrap().unwrap_err().code(), Code::ResourceExhausted),
        }
    };
    assert_eq!(second.await.unwrap().unwrap(), "second");
    assert!(served.metrics.encode().contains("krt_calls_total{method=\"Classificator\",status=\"CANCELLED\"} 1"));
}

#[tokio::test]
async fn the_memory_of_all_requests_together_is_bounded() {
    let limits = Limits { max_buffered: 100, ..Limits::default() };
    let fixture = With::echo().limits(limits).build();
    let status = fixture.call(HeaderMap::new(), framed(0, &[0; 101])).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    fixture.call(HeaderMap::new(), framed(0, &[0; 100])).await.unwrap();
    fixture.call(HeaderMap::new(), framed(0, &[0; 100])).await.unwrap();
}

#[tokio::test]
async fn bodies_that_are_not_one_message_get_the_status_that_grpc_gives_them() {
    let fixture = With::echo().limits(Limits { max_message: 100, ..Limits::default() }).build();
    let two = [framed(0, b"one"), framed(0, b"two")].concat();
    let truncated = &framed(0, b"message")[..8];
    let cases: [(&str, &[u8], Code); 7] = [
        ("nothing", b"", Code::Unimplemented),
        ("two messages", &two, Code::Unimplemented),
        ("half a header", b"\0\0", Code::InvalidArgument),
        ("half a message", truncated, Code::InvalidArgument),
        ("an unknown flag", &framed(7, b"x"), Code::InvalidArgument),
        ("compressed, but not said how", &framed(1, b"x"), Code::Internal),
        ("a length beyond the limit, and nothing behind it", b"\0\xff\xff\xff\xff", Code::ResourceExhausted),
    ];
    for (what, body, code) in cases {
        let status = fixture.call(HeaderMap::new(), body.to_vec()).await.unwrap_err();
        assert_eq!(status.code(), code, "{what}: {status}");
    }
}

#[tokio::test]
async fn gzip_is_read_up_to_the_limit() {
    let fixture = With::echo().limits(Limits { max_message: 1000, ..Limits::default() }).build();
    let packed = |bytes: &[u8]| {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let gzip = header("grpc-encoding", "gzip");
    let good = fixture.call(gzip.clone(), framed(1, &packed(&[b'x'; 1000]))).await.unwrap();
    assert_eq!(good, vec![b'x'; 1000]);
    let bomb = fixture.call(gzip.clone(), framed(1, &packed(&[0; 100_000]))).await.unwrap_err();
    assert_eq!(bomb.code(), Code::ResourceExhausted);
    let broken = fixture.call(gzip, framed(1, b"not gzip")).await.unwrap_err();
    assert_eq!(broken.code(), Code::Internal);
    let unknown = fixture.call(header("grpc-encoding", "snappy"), framed(1, b"x")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::Unimplemented);
    assert_eq!(unknown.metadata().get("grpc-accept-encoding").unwrap(), "gzip,identity");
}

#[tokio::test]
async fn what_the_bus_does_not_take_has_a_status_of_its_own() {
    let mut with = With::echo();
    with.bus_limit = 2000;
    let fixture = with.build();
    // Compressible beyond the limit: goes through.
    assert_eq!(fixture.call(HeaderMap::new(), framed(0, &[b'x'; 9000])).await.unwrap().len(), 9000);
    let noise: Vec<u8> = (0..2000).flat_map(|_| uuid::Uuid::new_v4().into_bytes()).collect();
    let status = fixture.call(HeaderMap::new(), framed(0, &noise)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    for (refusal, code) in [
        (PublishError::Unavailable("no connection".into()), Code::Unavailable),
        (PublishError::TooLarge { size: 2, limit: 1 }, Code::ResourceExhausted),
        (PublishError::Full, Code::ResourceExhausted),
        (PublishError::NoStream("s".into()), Code::Internal),
    ] {
        *fixture.bus.refusal.lock().unwrap() = Some(refusal);
        assert_eq!(fixture.call(HeaderMap::new(), framed(0, b"x")).await.unwrap_err().code(), code);
    }
}

#[tokio::test]
async fn paths_that_lead_nowhere_are_unimplemented_and_counted_under_one_name() {
    let served = With::echo().serve().await;
    let channel = served.channel().await;
    for (path, text) in [
        ("/main.Entrypoint/Idle", "no workflow of this version answers main.Entrypoint.Idle"),
        ("/main.Entrypoint/Nonsense1", "no method /main.Entrypoint/Nonsense1"),
        ("/other.Service/Nonsense2", "no method /other.Service/Nonsense2"),
    ] {
        let status = call_path(channel.clone(), path, "").await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
        assert!(status.message().contains(text), "{status}");
    }
    let metrics = served.metrics.encode();
    assert!(metrics.contains("krt_calls_total{method=\"unknown\",status=\"UNIMPLEMENTED\"} 2"), "{metrics}");
    assert!(metrics.contains("krt_calls_total{method=\"Idle\",status=\"UNIMPLEMENTED\"} 1"), "{metrics}");
    assert!(!metrics.contains("Nonsense"), "{metrics}");
}

#[tokio::test]
async fn a_request_that_is_not_grpc_is_told_so() {
    let fixture = With::echo().build();
    for kind in ["application/json", "application/grpc-web", "text/plain"] {
        let request = http::Request::post(fixture::PATH).header("content-type", kind);
        let request = request.body(http_body_util::Full::new(Bytes::new())).unwrap();
        let response = fixture.entrypoint.grpc.handle(request, &Default::default()).await;
        assert_eq!(response.status(), http::StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
    }
}

#[test]
fn a_streaming_method_cannot_be_a_workflows() {
    let pool = fixture::proto().pool;
    let method = fixture::proto().method("Watch").unwrap();
    let route = MethodRoute {
        method,
        workflow: "w".into(),
        stream: "s".into(),
        request_subject: "s.entrypoint".into(),
        reply_subject: "s.exit".into(),
    };
    let routes = super::Routes::new(&pool, vec![route], &Default::default(), &Default::default());
    let error = routes.err().unwrap();
    assert!(matches!(error, EntrypointError::Method { .. }), "{error}");
    assert!(error.to_string().contains("main.Entrypoint.Watch"), "{error}");
}
