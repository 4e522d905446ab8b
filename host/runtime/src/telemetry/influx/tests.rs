//! The sink against a small HTTP server that remembers, refuses or is away.

use std::collections::VecDeque;
use std::sync::Mutex;

use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;
use crate::telemetry::FieldValue;

/// One request as it came.
#[derive(Debug, Clone)]
struct Asked {
    uri: String,
    authorization: Option<String>,
    body: String,
}

/// Answers 204, or what it was told to answer first.
struct Server {
    address: std::net::SocketAddr,
    asked: mpsc::UnboundedReceiver<Asked>,
}

impl Server {
    async fn start(answers: &[u16]) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), answers)
    }

    fn on(listener: TcpListener, answers: &[u16]) -> Self {
        let address = listener.local_addr().unwrap();
        let (sender, asked) = mpsc::unbounded_channel();
        let answers = Arc::new(Mutex::new(VecDeque::from(answers.to_vec())));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (sender, answers) = (sender.clone(), answers.clone());
                let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    let (sender, answers) = (sender.clone(), answers.clone());
                    async move {
                        let uri = request.uri().to_string();
                        let authorization =
                            request.headers().get("authorization").map(|v| v.to_str().unwrap().to_owned());
                        let body = request.into_body().collect().await.unwrap().to_bytes();
                        let body = String::from_utf8(body.to_vec()).unwrap();
                        sender.send(Asked { uri, authorization, body }).unwrap();
                        let status = answers.lock().unwrap().pop_front().unwrap_or(204);
                        hyper::Response::builder().status(status).body(Full::new(Bytes::from_static(b"because")))
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { address, asked }
    }

    fn measure(&self, limits: InfluxLimits) -> (Arc<InfluxMeasurements>, InfluxTask, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::default());
        let uri = format!("http://user:geheim@{}", self.address);
        let (measurements, task) = InfluxMeasurements::start(&uri, "kre", limits, metrics.clone()).unwrap();
        (measurements, task, metrics)
    }
}

fn point(number: i64) -> Point {
    Point { name: "m".into(), fields: vec![("f".into(), FieldValue::Signed(number))], tags: vec![], time: Some(number) }
}

#[tokio::test]
async fn points_go_out_together_to_the_database_of_the_runtime() {
    let mut server = Server::start(&[]).await;
    let (measurements, task, metrics) = server.measure(InfluxLimits::default());
    for number in 0..3 {
        measurements.save(point(number)).unwrap();
    }
    let asked = server.asked.recv().await.unwrap();
    assert_eq!(asked.uri, "/api/v2/write?org=&bucket=kre&precision=ns");
    assert_eq!(asked.authorization.as_deref(), Some("Token user:geheim"));
    assert_eq!(asked.body, "m f=0i 0\nm f=1i 1\nm f=2i 2\n");
    task.end().await;
    assert_eq!(metrics.measurements_dropped.get(), 0);
}

#[tokio::test]
async fn a_batch_has_a_thousand_points_at_most_and_the_last_ones_go_out_at_the_end() {
    let mut server = Server::start(&[]).await;
    let (measurements, task, _) = server.measure(InfluxLimits::default());
    for number in 0..2500 {
        measurements.save(point(number)).unwrap();
    }
    task.end().await;
    let mut lines = Vec::new();
    while let Ok(asked) = server.asked.try_recv() {
        lines.push(asked.body.lines().count());
    }
    assert_eq!(lines, [1000, 1000, 500]);
}

#[tokio::test]
async fn what_the_server_cannot_take_now_is_sent_again_and_what_it_refuses_is_counted() {
    let mut server = Server::start(&[503, 429, 400]).await;
    let (measurements, task, metrics) = server.measure(InfluxLimits::default());
    measurements.save(point(1)).unwrap();
    for _ in 0..3 {
        assert_eq!(server.asked.recv().await.unwrap().body, "m f=1i 1\n");
    }
    measurements.save(point(2)).unwrap();
    assert_eq!(server.asked.recv().await.unwrap().body, "m f=2i 2\n");
    assert_eq!(metrics.measurements_dropped.get(), 1);
    task.end().await;
}

#[tokio::test]
async fn a_server_that_comes_later_gets_what_waited_and_the_rest_was_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let metrics = Arc::new(Metrics::default());
    let limits = InfluxLimits { lines: 10, bytes: 1 << 20 };
    let (measurements, task) =
        InfluxMeasurements::start(&format!("http://{address}"), "kre", limits, metrics.clone()).unwrap();
    let taken = (0..100).filter(|number| measurements.save(point(*number)).is_ok()).count();
    assert_eq!((taken, metrics.measurements_dropped.get()), (10, 90));
    let mut server = Server::on(TcpListener::bind(address).await.unwrap(), &[]);
    let asked = server.asked.recv().await.unwrap();
    assert_eq!(asked.body.lines().count(), 10);
    assert!(metrics.encode().contains("krt_measurements_dropped_total 90"), "{}", metrics.encode());
    task.end().await;
}

#[tokio::test]
async fn the_buffer_is_bounded_in_bytes_and_takes_again_what_was_sent() {
    let mut server = Server::start(&[]).await;
    let (measurements, task, metrics) = server.measure(InfluxLimits { lines: 1000, bytes: 20 });
    measurements.save(point(1)).unwrap();
    measurements.save(point(2)).unwrap();
    assert_eq!(measurements.save(point(3)), Err(Dropped));
    server.asked.recv().await.unwrap();
    // Given back once the answer is read, a moment after the server wrote it.
    while measurements.save(point(4)).is_err() {
        tokio::task::yield_now().await;
    }
    assert!(metrics.measurements_dropped.get() >= 1);
    assert_eq!(server.asked.recv().await.unwrap().body, "m f=4i 4\n");
    task.end().await;
}
