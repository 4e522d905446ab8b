//! What needs a socket: reflection, health, gzip, TLS, drain.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::Code;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::fixture::{PATH, With, call, echo};
use crate::entrypoint::codec::BytesCodec;
use crate::entrypoint::{Limits, Tls};

/// Asks over HTTP/1.
async fn get(address: &str, path: &str) -> (u16, String) {
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).await.unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    (status, text.split_once("\r\n\r\n").unwrap().1.to_owned())
}

async fn health(channel: Channel, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(channel).check(request).await.unwrap().into_inner().status()
}

macro_rules! reflects {
    ($name:ident, $version:ident) => {
        #[tokio::test]
        async fn $name() {
            use tonic_reflection::pb::$version::ServerReflectionRequest;
            use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
            use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
            use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;

            let served = With::echo().serve().await;
            let mut client = ServerReflectionClient::new(served.channel().await);
            let asked = [
                MessageRequest::ListServices(String::new()),
                MessageRequest::FileContainingSymbol("main.Entrypoint".into()),
            ];
            let asked = asked.map(|m| ServerReflectionRequest { host: String::new(), message_request: Some(m) });
            let answers = client.server_reflection_info(tokio_stream::iter(asked)).await.unwrap();
            let mut answers = answers.into_inner();
            let Some(MessageResponse::ListServicesResponse(list)) =
                answers.message().await.unwrap().unwrap().message_response
            else {
                panic!("no list")
            };
            let names: Vec<_> = list.service.iter().map(|s| &*s.name).collect();
            assert!(names.contains(&"main.Entrypoint") && names.contains(&"grpc.health.v1.Health"), "{names:?}");
            let Some(MessageResponse::FileDescriptorResponse(files)) =
                answers.message().await.unwrap().unwrap().message_response
            else {
                panic!("no file")
            };
            let mut pool = prost_reflect::DescriptorPool::new();
            pool.decode_file_descriptor_proto(&*files.file_descriptor_proto[0]).unwrap();
            assert!(pool.get_message_by_name("main.Sender").is_some());
        }
    };
}

reflects!(reflection_v1_describes_the_version, v1);
reflects!(reflection_v1alpha_describes_the_version, v1alpha);

#[tokio::test]
async fn health_follows_readiness_overall_and_by_service() {
    let served = With::echo().serve().await;
    let channel = served.channel().await;
    let mut watch = HealthClient::new(channel.clone());
    let request = HealthCheckRequest { service: "main.Entrypoint".into() };
    let mut watch = watch.watch(request).await.unwrap().into_inner();
    loop {
        if watch.message().await.unwrap().unwrap().status() == ServingStatus::Serving {
            break;
        }
    }
    assert_eq!(health(channel.clone(), "main.Entrypoint").await, ServingStatus::Serving);
    served.health.set_ready(false);
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    let unknown = HealthCheckRequest { service: "other".into() };
    let unknown = HealthClient::new(channel).check(unknown).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
}

#[tokio::test]
async fn a_lost_consumer_fails_waiting_calls_and_is_bound_again() {
    let mut served = With::answers(|request| match request.payload.as_ref().is_some_and(|p| p.data == "hold") {
        true => Vec::new(),
        false => vec![echo(request)],
    });
    served.limits.default_timeout = Duration::from_secs(600);
    let mut served = served.serve().await;
    let channel = served.channel().await;
    let waiting = tokio::spawn(call(channel.clone(), "hold"));
    served.request().await;
    served.bus.lose();
    assert_eq!(waiting.await.unwrap().unwrap_err().code(), Code::Unavailable);
    served.health.until(true).await;
    assert_eq!(call(channel, "again").await.unwrap(), "again");
}

#[tokio::test]
async fn gzip_goes_both_ways() {
    let served = With::echo().serve().await;
    let mut client = tonic::client::Grpc::new(served.channel().await)
        .send_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Gzip);
    for size in [0, 10, 100_000] {
        client.ready().await.unwrap();
        let payload = bytes::Bytes::from(vec![b'x'; size]);
        let request = tonic::Request::new(payload.clone());
        let response = client.unary(request, PATH.parse().unwrap(), BytesCodec).await.unwrap();
        let encoding = response.metadata().get("grpc-encoding").map(|v| v.to_str().unwrap().to_owned());
        assert_eq!(encoding.as_deref(), (size > 1024).then_some("gzip"));
        assert_eq!(response.into_inner(), payload);
    }
}

#[tokio::test]
async fn large_messages_go_through_and_too_large_ones_do_not() {
    let mut with = With::echo();
    with.bus_limit = 8 << 20;
    let served = with.serve().await;
    let channel = served.channel().await;
    let large: Vec<u8> = (0..3_000_000u32).map(|n| n.to_le_bytes()[0]).collect();
    assert_eq!(call(channel.clone(), large.clone()).await.unwrap(), large);
    let status = call(channel.clone(), vec![0; (4 << 20) + 1]).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("4194305"), "{status}");
    assert_eq!(call(channel, "the connection lives on").await.unwrap(), "the connection lives on");
}

#[tokio::test]
async fn tls_is_spoken_when_there_is_a_certificate() {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = own.cert.pem();
    let tls = Tls { certificate: certificate.clone().into(), key: own.signing_key.serialize_pem().into() };
    let served = With { tls: Some(tls), ..With::echo() }.serve().await;
    let config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certificate)).domain_name("localhost");
    let endpoint = Channel::from_shared(format!("https://{}", served.grpc)).unwrap().tls_config(config).unwrap();
    let channel = endpoint.connect().await.unwrap();
    assert_eq!(call(channel, "secret").await.unwrap(), "secret");
    // Without TLS, and with a certificate that nobody vouches for, there is no call.
    let plain = Channel::from_shared(format!("http://{}", served.grpc)).unwrap().connect_lazy();
    let mut plain = tonic::client::Grpc::new(plain);
    let refused = async {
        plain.ready().await.map_err(|e| e.to_string())?;
        let request = tonic::Request::new(bytes::Bytes::new());
        plain.unary(request, PATH.parse().unwrap(), BytesCodec).await.map_err(|e| e.to_string())
    };
    assert!(refused.await.is_err());
    let stranger = ClientTlsConfig::new().with_native_roots().domain_name("localhost");
    let endpoint = Channel::from_shared(format!("https://{}", served.grpc)).unwrap().tls_config(stranger);
    if let Ok(endpoint) = endpoint {
        assert!(endpoint.connect().await.is_err());
    }
}

#[tokio::test]
async fn the_drain_finishes_calls_in_flight_and_takes_no_new_connections() {
    let mut served = With::silence().serve().await;
    let channel = served.channel().await;
    let mut client = HealthClient::new(served.channel().await);
    let mut watch = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    let waiting = tokio::spawn(call(channel, "in flight"));
    let request = served.request().await;
    served.stop.cancel();
    let last = loop {
        match watch.message().await {
            Ok(Some(message)) if message.status() == ServingStatus::NotServing => break message,
            Ok(Some(_)) => {}
            other => panic!("the watch ended without saying so: {other:?}"),
        }
    };
    assert_eq!(last.status(), ServingStatus::NotServing);
    // The watch ends too, or it would hold up the drain.
    assert_eq!(watch.message().await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(get(&served.web, "/live").await, (200, "alive\n".into()));
    let (status, text) = get(&served.web, "/ready").await;
    assert_eq!((status, text.contains("entrypoint")), (503, true), "{text}");
    assert!(tokio::net::TcpStream::connect(&served.grpc).await.is_err());
    assert!(!served.task.is_finished());
    served.bus.reply(echo(request));
    assert_eq!(waiting.await.unwrap().unwrap(), "in flight");
    served.task.await.unwrap();
    assert!(tokio::net::TcpStream::connect(&served.web).await.is_err());
}

#[tokio::test]
async fn calls_that_outlast_the_grace_period_are_told() {
    let limits = Limits { grace: Duration::from_millis(50), ..Limits::default() };
    let mut served = With::silence().limits(limits).serve().await;
    let waiting = tokio::spawn(call(served.channel().await, "in flight"));
    served.request().await;
    served.stop.cancel();
    assert_eq!(waiting.await.unwrap().unwrap_err().code(), Code::Unavailable);
    served.task.await.unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_one_to_end() {
    let limits = Limits { max_connections: 1, ..Limits::default() };
    let served = With::echo().limits(limits).serve().await;
    let first = served.channel().await;
    assert_eq!(call(first.clone(), "first").await.unwrap(), "first");
    let second = Channel::from_shared(format!("http://{}", served.grpc)).unwrap().connect_lazy();
    let second = tokio::spawn(call(second, "second"));
    assert_eq!(call(first.clone(), "still").await.unwrap(), "still");
    assert!(!second.is_finished());
    drop(first);
    assert_eq!(second.await.unwrap().unwrap(), "second");
}
