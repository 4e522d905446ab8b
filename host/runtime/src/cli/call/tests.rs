//! `krt call` against an entrypoint whose bus answers as told.

use std::time::Duration;

use bytes::Bytes;
use prost_reflect::DescriptorPool;

use super::load::{Load, Summary};
use super::server::{Options, Server};
use super::{method, point, reflection};
use crate::entrypoint::json::JsonError;
use crate::entrypoint::tests::fixture::{Served, With, echo};
use crate::entrypoint::{Limits, Tls};
use crate::message::{Message, MessageType};

const PLAIN: Options<'_> = Options { tls: false, ca: None, headers: &[] };

async fn connect(served: &Served) -> Server {
    Server::connect(&served.grpc, &PLAIN).await.unwrap()
}

async fn load(served: &Served, count: u64, concurrency: u32, timeout: Option<Duration>) -> Summary {
    let server = connect(served).await;
    let pool = reflection::describe(&server).await.unwrap();
    let method = method::find(&method::all(&pool), "Classificator").unwrap();
    let request = Bytes::from_static(b"\x0a\x05hello");
    let load = Load { server, method, request, timeout, count, concurrency, shown: false, progress: false };
    load.run().await.unwrap()
}

#[tokio::test]
async fn a_server_describes_its_methods_in_both_versions_of_reflection() {
    let served = With::echo().serve().await;
    let server = connect(&served).await;
    for version in [reflection::Version::V1, reflection::Version::V1Alpha] {
        let pool: DescriptorPool = reflection::describe_as(&server, version).await.unwrap();
        let names: Vec<_> = method::all(&pool).iter().map(method::path).collect();
        assert_eq!(names, ["/main.Entrypoint/Classificator", "/main.Entrypoint/Idle"]);
    }
}

#[tokio::test]
async fn many_calls_are_summed_up_by_status() {
    let count = std::sync::atomic::AtomicU32::new(0);
    let served = With::answers(move |request| {
        let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        match n % 10 {
            0 => vec![Message { message_type: MessageType::Error, payload: None, error: "tenth".into(), ..request }],
            _ => vec![echo(request)],
        }
    });
    let summary = load(&served.serve().await, 200, 20, None).await;
    assert!(!summary.succeeded());
    assert_eq!(summary.latency.len(), 200);
    assert_eq!(Vec::from_iter(summary.by_status), [("INTERNAL", 20), ("OK", 180)]);
    assert_eq!(Vec::from_iter(summary.failures), [(("INTERNAL", "tenth".to_owned()), 20)]);
}

#[tokio::test]
async fn a_late_answer_is_called_so_whoever_noticed_first() {
    let served = With::silence().serve().await;
    let summary = load(&served, 4, 4, Some(Duration::from_millis(20))).await;
    assert_eq!(Vec::from_iter(summary.by_status), [("DEADLINE_EXCEEDED", 4)]);
}

#[tokio::test]
async fn where_nothing_listens_the_message_says_so() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let error = Server::connect(&address, &PLAIN).await.err().unwrap();
    assert!(error.to_string().starts_with(&format!("nothing listens on {address}; start a version")), "{error}");
}

#[tokio::test]
async fn the_web_port_is_recognised_as_one_that_speaks_no_grpc() {
    let served = With::echo().serve().await;
    let message = match Server::connect(&served.web, &PLAIN).await {
        Err(error) => error.to_string(),
        Ok(server) => reflection::describe(&server).await.unwrap_err().to_string(),
    };
    assert!(message.contains("web port"), "{message}");
}

#[tokio::test]
async fn tls_towards_a_port_without_it_is_explained() {
    let served = With::echo().serve().await;
    let error = Server::connect(&served.grpc, &Options { tls: true, ..PLAIN }).await.err().unwrap().to_string();
    // Without any authority on this machine TLS fails even earlier.
    assert!(error.contains("speaks no TLS") || error.contains("TLS cannot be set up"), "{error}");
}

#[tokio::test]
async fn addresses_that_are_none_are_refused_with_an_example() {
    for address in ["", "localhost", "localhost:port", "localhost:1/path", "ftp://localhost:1"] {
        let error = Server::connect(address, &PLAIN).await.err().unwrap().to_string();
        assert!(error.starts_with("--to takes HOST:PORT"), "{address}: {error}");
    }
}

#[tokio::test]
async fn tls_trusts_the_authority_that_it_is_given() {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let pem = own.cert.pem().into_bytes();
    let tls = Tls { certificate: pem.clone(), key: own.signing_key.serialize_pem().into() };
    let served = With { tls: Some(tls), ..With::echo().limits(Limits::default()) }.serve().await;
    let address = served.grpc.replace("127.0.0.1", "localhost");
    let server = Server::connect(&address, &Options { ca: Some(&pem), ..PLAIN }).await.unwrap();
    assert_eq!(method::all(&reflection::describe(&server).await.unwrap()).len(), 2);
}

#[test]
fn the_caret_stands_under_the_offence() {
    let error = JsonError { line: 2, column: 8, message: "m".into(), help: "h".into() };
    let shown = point("{\n\"é\": 12}".as_bytes(), &error);
    assert_eq!(shown, "  m\n  at line 2, column 8:\n  | \"é\": 12}\n  |       ^\n  help: h");
}

#[test]
fn a_long_line_is_shown_around_the_offence_only() {
    let error = JsonError { line: 1, column: 5001, message: "m".into(), help: "h".into() };
    let text = format!("{}X{}", "a".repeat(5000), "b".repeat(5000));
    let shown = point(text.as_bytes(), &error);
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines[2].find('X'), lines[3].find('^'));
    assert!(lines[2].len() < 130, "{}", lines[2]);
}
