//! What the entrypoint's tests share: a bus that answers as told, a proto, a running entrypoint, callers.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use krt::files::{FileKind, Files};
use krt::proto::Proto;
use krt::topology::{Node, NodeKind, Origin, Subscription, Topology, Types, Workflow};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::client::Grpc as Client;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::bus::{
    Acceptance, Bus, Consumer, Deliveries, Delivery, DeliveryId, Publication, PublishError, Settle, SettleError,
    Settlement, SubscribeError,
};
use crate::entrypoint::codec::BytesCodec;
use crate::entrypoint::frame::Reply;
use crate::entrypoint::{Entrypoint, EntrypointOptions, Limits, MethodRoute, Tls};
use crate::message::{Message, MessageType, Payload};
use crate::telemetry::{Health, Metrics};

pub(super) const PATH: &str = "/main.Entrypoint/Classificator";

/// Answers to one request; none = no answer.
pub(crate) type Answers = Box<dyn Fn(Message) -> Vec<Message> + Send + Sync>;

/// A bus whose one node is a closure.
pub(crate) struct FakeBus {
    answers: Answers,
    limit: usize,
    subscribers: Mutex<Vec<mpsc::UnboundedSender<Result<Delivery, SubscribeError>>>>,
    published: mpsc::UnboundedSender<Publication>,
    /// What publishing leads to, if not to success.
    pub(super) refusal: Mutex<Option<PublishError>>,
}

struct Settled;

impl Settle for Settled {
    fn ack(self: Box<Self>) -> Settlement {
        Settlement::Ready(Ok(()))
    }
    fn nack(self: Box<Self>, _: std::time::Duration) -> Settlement {
        Settlement::Ready(Ok(()))
    }
    fn progress(&self) -> BoxFuture<'_, Result<(), SettleError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

impl FakeBus {
    /// Publishes on the exitpoint's subject.
    pub(super) fn reply(&self, message: Message) {
        let payload = message.encode(usize::MAX).unwrap();
        for subscriber in &*self.subscribers.lock().unwrap() {
            let id = DeliveryId { stream: "kre_v1_Classificator".into(), sequence: 1 };
            let delivery = Delivery::new(id, "kre_v1_Classificator.exit".into(), payload.clone(), 1, Box::new(Settled));
            let _ = subscriber.send(Ok(delivery));
        }
    }

    /// Loses every consumer.
    pub(super) fn lose(&self) {
        for subscriber in self.subscribers.lock().unwrap().drain(..) {
            let _ = subscriber.send(Err(SubscribeError::Unavailable("gone".into())));
        }
    }
}

impl Bus for FakeBus {
    fn publish(&self, publication: Publication) -> Acceptance {
        if let Some(refusal) = self.refusal.lock().unwrap().clone() {
            return Acceptance::Pending(Box::pin(std::future::ready(Err(refusal))));
        }
        let request = Message::decode(publication.payload.clone()).unwrap();
        assert_eq!(publication.id.as_deref(), Some(&*request.request_id));
        let _ = self.published.send(publication);
        for answer in (self.answers)(request) {
            self.reply(answer);
        }
        Acceptance::Ready(Ok(()))
    }

    fn subscribe(&self, consumer: Consumer) -> BoxFuture<'static, Result<Deliveries, SubscribeError>> {
        let Consumer::Ephemeral { stream, filter_subject } = consumer else { panic!("{consumer:?}") };
        assert_eq!((&*stream, &*filter_subject), ("kre_v1_Classificator", "kre_v1_Classificator.exit"));
        let (sender, receiver) = mpsc::unbounded_channel();
        self.subscribers.lock().unwrap().push(sender);
        Box::pin(std::future::ready(Ok(UnboundedReceiverStream::new(receiver).boxed())))
    }

    fn max_payload(&self) -> usize {
        self.limit
    }
}

/// How the fixture is to be.
pub(crate) struct With {
    pub(crate) answers: Answers,
    pub(crate) limits: Limits,
    pub(crate) bus_limit: usize,
    pub(crate) tls: Option<Tls>,
}

/// The entrypoint with what surrounds it, not served yet.
pub(super) struct Fixture {
    pub(crate) entrypoint: Entrypoint,
    pub(crate) bus: Arc<FakeBus>,
    pub(crate) published: mpsc::UnboundedReceiver<Publication>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Health,
}

/// A served entrypoint.
pub(crate) struct Served {
    pub(crate) bus: Arc<FakeBus>,
    pub(crate) published: mpsc::UnboundedReceiver<Publication>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Health,
    pub(crate) grpc: String,
    pub(crate) web: String,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

impl With {
    pub(crate) fn answers(answers: impl Fn(Message) -> Vec<Message> + Send + Sync + 'static) -> Self {
        Self { answers: Box::new(answers), limits: Limits::default(), bus_limit: 1 << 20, tls: None }
    }

    /// Every request is answered with its own payload.
    pub(crate) fn echo() -> Self {
        Self::answers(|request| vec![echo(request)])
    }

    /// No request is answered.
    pub(crate) fn silence() -> Self {
        Self::answers(|_| Vec::new())
    }

    pub(crate) fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    pub(super) fn build(self) -> Fixture {
        let proto = proto();
        let (metrics, health) = (Arc::new(Metrics::default()), Health::default());
        let (published_sender, published) = mpsc::unbounded_channel();
        let bus = Arc::new(FakeBus {
            answers: self.answers,
            limit: self.bus_limit,
            subscribers: Mutex::default(),
            published: published_sender,
            refusal: Mutex::default(),
        });
        let topology = topology();
        let methods = MethodRoute::all(&topology, "kre", &proto).unwrap();
        let entrypoint = Entrypoint::new(EntrypointOptions {
            proto,
            topology: Arc::new(topology),
            methods,
            bus: bus.clone(),
            metrics: metrics.clone(),
            health: health.clone(),
            limits: self.limits,
            tls: self.tls,
        });
        Fixture { entrypoint: entrypoint.unwrap(), bus, published, metrics, health }
    }

    /// Serves on free ports, and returns when calls can be answered.
    pub(crate) async fn serve(self) -> Served {
        let Fixture { entrypoint, bus, published, metrics, health } = self.build();
        let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let web = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (grpc_addr, web_addr) = (grpc.local_addr().unwrap(), web.local_addr().unwrap());
        let stop = CancellationToken::new();
        let task = tokio::spawn(entrypoint.serve(grpc, web, stop.clone()));
        health.set_ready(true);
        health.until(true).await;
        let (grpc, web) = (grpc_addr.to_string(), web_addr.to_string());
        Served { bus, published, metrics, health, grpc, web, stop, task }
    }
}

impl Fixture {
    /// Calls without a socket; the consumer reads in the background.
    pub(super) async fn call(&self, headers: HeaderMap, body: impl Into<Bytes>) -> Result<Bytes, Status> {
        self.bind();
        let mut request = Request::post(PATH).body(Full::new(body.into())).unwrap();
        *request.headers_mut() = headers;
        request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        let response = self.entrypoint.grpc.handle(request, &CancellationToken::new()).await;
        outcome(response).await
    }

    /// Binds the reply consumer, once.
    pub(super) fn bind(&self) {
        if !self.bus.subscribers.lock().unwrap().is_empty() {
            return;
        }
        let route = self.entrypoint.state.routes.workflows().next().unwrap().clone();
        let (sender, mut receiver) = mpsc::unbounded_channel::<Result<Delivery, SubscribeError>>();
        self.bus.subscribers.lock().unwrap().push(sender);
        route.replies.bind(true);
        tokio::spawn(async move {
            while let Some(Ok(delivery)) = receiver.recv().await {
                route.replies.answer(Message::decode(delivery.payload).unwrap());
            }
        });
    }
}

impl Served {
    pub(super) async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.grpc)).unwrap().connect().await.unwrap()
    }

    /// The next request on the bus.
    pub(super) async fn request(&mut self) -> Message {
        Message::decode(self.published.recv().await.unwrap().payload).unwrap()
    }
}

pub(super) async fn call(channel: Channel, payload: impl Into<Bytes>) -> Result<Bytes, Status> {
    call_path(channel, PATH, payload).await
}

pub(super) async fn call_path(channel: Channel, path: &'static str, data: impl Into<Bytes>) -> Result<Bytes, Status> {
    let mut client = Client::new(channel).max_decoding_message_size(64 << 20);
    client.ready().await.unwrap();
    let request = tonic::Request::new(data.into());
    client.unary(request, path.parse().unwrap(), BytesCodec).await.map(tonic::Response::into_inner)
}

/// Answers `request` with its own payload.
pub(crate) fn echo(request: Message) -> Message {
    let data = request.payload.unwrap().data;
    let payload = Some(Payload { type_url: "type.googleapis.com/main.Response".into(), data });
    Message { from_node: "exit".into(), message_type: MessageType::Ok, payload, ..request }
}

/// `message` in gRPC's frame.
pub(super) fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![flag];
    frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend(message);
    frame
}

async fn outcome(response: Response<Reply>) -> Result<Bytes, Status> {
    if let Some(status) = Status::from_header_map(response.headers()) {
        return Err(status);
    }
    let collected = response.into_body().collect().await.unwrap();
    let status = Status::from_header_map(collected.trailers().unwrap()).unwrap();
    assert_eq!(status.code(), Code::Ok);
    let bytes = collected.to_bytes();
    Ok(bytes.slice(5..))
}

fn topology() -> Topology {
    let node = |name: &str, origin| Node {
        name: name.to_owned(),
        src: format!("{name}.wasm"),
        kind: NodeKind::Wasm(Box::default()),
        replicas: 1,
        gpu: false,
        subscriptions: vec![Subscription { origin, channel: None }],
        object_store: None,
        types: Types::default(),
    };
    Topology {
        version: "v1".into(),
        description: "A <test>".into(),
        proto: "public_input.proto".into(),
        variables: Vec::new(),
        files: Vec::new(),
        workflows: vec![Workflow {
            name: "classify".into(),
            method: "Classificator".into(),
            exitpoint: 1,
            nodes: vec![node("etl", Origin::Entrypoint), node("exit", Origin::Node(0))],
        }],
    }
}

/// `main.Entrypoint` with `Classificator`, `Idle` (no workflow) and `Watch` (streams).
pub(super) fn proto() -> Proto {
    Proto::load(&OneFile, "public_input.proto").unwrap()
}

pub(super) const SOURCE: &str = r#"
syntax = "proto3";
package main;
message Sender { string address = 1; }
message Request { string subject = 1; int64 score = 2; Sender sender = 3; }
message Response { string subject = 1; int64 score = 2; }
service Entrypoint {
  rpc Classificator(Request) returns (Response);
  rpc Idle(Request) returns (Response);
  rpc Watch(Request) returns (stream Response);
}
"#;

struct OneFile;

impl Files for OneFile {
    fn kind(&self, path: &str) -> Option<FileKind> {
        (path == "public_input.proto").then_some(FileKind::File)
    }
    fn files_in(&self, _: &str, _: &str) -> Vec<String> {
        Vec::new()
    }
    fn read(&self, path: &str, _: usize) -> Result<Vec<u8>, String> {
        self.kind(path).map(|_| SOURCE.into()).ok_or_else(|| "there is none".to_owned())
    }
}
