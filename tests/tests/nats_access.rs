//! Who may do what on a server: credentials, permissions, TLS. What is not allowed is told as such, at once, and without a
//! secret.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use e2e::bus::{self, Ground, PATIENCE, SUBJECT, next, text};
use e2e::nats::{CURRENT, Server};
use futures::StreamExt as _;
use krt_host::bus::nats::provision::{ApplyOptions, ProvisionError, apply};
use krt_host::bus::nats::{NatsBus, NatsBusOptions};
use krt_host::bus::{Bus as _, PublishError, SubscribeError};
use krt_host::nats::{ConnectError, NatsOptions, connect, connect_when_there};

/// A pair that stands in NATS's own documentation.
const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
const PUBLIC: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";

/// A server whose users are these lines; `admin` with the password `geheim` may do everything.
fn with_users(users: &str) -> Option<Server> {
    let users = format!("authorization {{ users: [\n{{ user: admin, password: geheim }}\n{users}\n] }}\n");
    Server::configured(CURRENT, &users)
}

/// The server's URL for a user with the password `geheim`.
fn url_of(server: &Server, user: &str) -> String {
    format!("nats://{user}:geheim@127.0.0.1:{}", server.port())
}

async fn refused(options: &NatsOptions) -> String {
    let since = Instant::now();
    // Waiting would not help, so there is none.
    let error = connect_when_there(options, None).await.expect_err("refused");
    assert!(matches!(error, ConnectError::Denied { .. }), "{error:?}");
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    assert!(!error.to_string().contains("geheim"), "{error}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_in_the_url_a_token_and_a_seed_are_taken_and_wrong_ones_refused() {
    let Some(server) = with_users(&format!("{{ nkey: {PUBLIC} }}")) else { return };
    let seed = server.folder().join("seed");
    std::fs::write(&seed, format!("{SEED}\n")).expect("written");
    connect(&bus::options(&url_of(&server, "admin")), None).await.expect("the user is taken");
    let nkey = NatsOptions { nkey: Some(seed), ..bus::options(&server.url()) };
    connect(&nkey, None).await.expect("the seed is taken");
    assert!(refused(&bus::options(&server.url())).await.contains("authorization"));
    refused(&bus::options(&url_of(&server, "stranger"))).await;

    let Some(server) = Server::configured(CURRENT, "authorization { token: geheim }") else { return };
    let token = |token: &str| NatsOptions { token: Some(token.to_owned()), ..bus::options(&server.url()) };
    connect(&token("geheim"), None).await.expect("the token is taken");
    connect(&bus::options(&format!("nats://geheim@127.0.0.1:{}", server.port())), None).await.expect("so in the URL");
    refused(&token("geheim2")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_user_may_not_publish_on_is_named_at_once() {
    let users = "{ user: reader, password: geheim, permissions: { publish: { deny: [\"kre_v1_Go.>\"] } } }";
    let Some(server) = with_users(users) else { return };
    let admin = Ground::on(&url_of(&server, "admin"), 1).await;
    let reader = admin.another(&url_of(&server, "reader")).await;
    let since = Instant::now();
    let Err(PublishError::Unavailable(text)) = reader.publish("x").await else { panic!("it may not") };
    assert!(text.to_lowercase().contains(&SUBJECT.to_lowercase()), "{text}");
    assert!(since.elapsed() < Duration::from_secs(4), "{:?}", since.elapsed());
    // The rest works on.
    admin.accept("y").await;
    let delivery = next(&mut reader.read(1).await).await;
    assert_eq!(delivery.payload, "y");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_ask_for_messages_is_told_so_at_once() {
    let users =
        "{ user: deaf, password: geheim, permissions: { publish: { deny: [\"$JS.API.CONSUMER.MSG.NEXT.>\"] } } }
                 { user: blind, password: geheim, permissions: { publish: { deny: [\"$JS.API.CONSUMER.INFO.>\"] } } }";
    let Some(server) = with_users(users) else { return };
    let admin = Ground::on(&url_of(&server, "admin"), 1).await;
    let deaf = admin.another(&url_of(&server, "deaf")).await;
    let since = Instant::now();
    let ended = deaf.read(1).await.next().await.expect("an error");
    assert!(matches!(ended, Err(SubscribeError::Unavailable(_))), "{ended:?}");
    let blind = admin.another(&url_of(&server, "blind")).await;
    let refused = blind.bus.subscribe(bus::reader(1)).await.err();
    assert!(matches!(refused, Some(SubscribeError::Unavailable(_))), "{refused:?}");
    assert!(since.elapsed() < Duration::from_secs(4), "{:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_make_streams_is_told_so_at_once() {
    let users = "{ user: guest, password: geheim, permissions: { publish: { deny: [\"$JS.API.STREAM.>\"] } } }";
    let Some(server) = with_users(users) else { return };
    let nats = connect(&bus::options(&url_of(&server, "guest")), None).await.expect("connected");
    let since = Instant::now();
    let refused = apply(&nats, &bus::plan(PATIENCE), &ApplyOptions::default()).await;
    let Err(ProvisionError::Refused { text, .. }) = refused else { panic!("{refused:?}") };
    assert!(text.contains("not permitted"), "{text}");
    assert!(since.elapsed() < Duration::from_secs(4), "{:?}", since.elapsed());
}

/// An authority with a server's certificate and a client's, as PEM files in a folder.
struct Pki {
    folder: tempfile::TempDir,
}

impl Pki {
    fn new() -> Self {
        use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).expect("written");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        write("ca.pem", params.self_signed(&key).expect("a certificate").pem());
        let issuer = Issuer::new(params, key);
        for name in ["server", "client"] {
            let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
            let key = KeyPair::generate().expect("a key");
            let signed = CertificateParams::new(names).expect("parameters").signed_by(&key, &issuer);
            write(&format!("{name}.pem"), signed.expect("a certificate").pem());
            write(&format!("{name}.key"), key.serialize_pem());
        }
        Self { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A server that shows its certificate, and asks for the client's if `verify`.
    fn server(&self, verify: bool) -> Option<Server> {
        let path = |name: &str| Path::display(&self.file(name)).to_string();
        let [cert, key, ca] = ["server.pem", "server.key", "ca.pem"].map(path);
        let tls = format!("tls {{ cert_file: {cert:?}, key_file: {key:?}, ca_file: {ca:?}, verify: {verify} }}\n");
        Server::configured(CURRENT, &tls)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_trusted_by_its_authority_and_by_no_other() {
    let pki = Pki::new();
    let Some(server) = pki.server(false) else { return };
    let trusting = |ca: &Pki| NatsOptions { ca: Some(ca.file("ca.pem")), ..bus::options(&server.url()) };
    let nats = connect(&trusting(&pki), None).await.expect("trusted");
    apply(&nats, &bus::plan(PATIENCE), &ApplyOptions::default()).await.expect("applied");
    let bus = NatsBus::new(nats, NatsBusOptions::default()).await.expect("a bus");
    bus.publish(bus::message("sealed")).await.expect("accepted");
    let mut store = bus.subscribe(bus::reader(1)).await.expect("bound");
    assert_eq!(text(&next(&mut store).await), "sealed");
    refused(&trusting(&Pki::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_asks_for_a_certificate_gets_the_one_given() {
    let pki = Pki::new();
    let Some(server) = pki.server(true) else { return };
    let without = NatsOptions { ca: Some(pki.file("ca.pem")), ..bus::options(&server.url()) };
    let with =
        NatsOptions { certificate: Some(pki.file("client.pem")), key: Some(pki.file("client.key")), ..without.clone() };
    connect(&with, None).await.expect("taken");
    // The server hangs up, and TLS has no word for it that would be told from an outage.
    let error = connect(&without, None).await.expect_err("refused");
    assert!(matches!(error, ConnectError::Denied { .. } | ConnectError::Away { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_tls_is_not_spoken_to_in_the_clear_where_an_authority_is_given() {
    let pki = Pki::new();
    let Some(server) = Server::start() else { return };
    let options = NatsOptions { ca: Some(pki.file("ca.pem")), ..bus::options(&url_of(&server, "admin")) };
    connect(&options, None).await.expect_err("not in the clear");
}
