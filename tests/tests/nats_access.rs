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
use serde_json::json;

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

/// A signed claim: what operators and accounts say of whom they trust.
fn token(issuer: &nkeys::KeyPair, subject: &str, nats: serde_json::Value) -> String {
    let body =
        json!({ "jti": "test", "iat": 1, "iss": issuer.public_key(), "name": "test", "sub": subject, "nats": nats });
    let head = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let signed = format!("{}.{}", base64(head.to_string().as_bytes()), base64(body.to_string().as_bytes()));
    let signature = issuer.sign(signed.as_bytes()).expect("signed");
    format!("{signed}.{}", base64(&signature))
}

/// In the alphabet of URLs, without padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let group = |chunk: &[u8]| {
        let bits = chunk.iter().chain([&0, &0]).take(3).fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        (0..=chunk.len()).map(|digit| char::from(ALPHABET[bits >> (18 - 6 * digit) & 63])).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credentials_file_is_taken_and_a_strangers_refused() {
    use nkeys::KeyPair;

    let (operator, system, account) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_account());
    let limits = |jetstream: i64| {
        json!({ "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
            "leaf": -1, "mem_storage": jetstream, "disk_storage": jetstream, "streams": jetstream, "consumer": jetstream })
    };
    let trusted = json!({ "type": "operator", "version": 2, "system_account": system.public_key() });
    let of_account = |key: &KeyPair, jetstream| {
        let claims = json!({ "type": "account", "version": 2, "limits": limits(jetstream) });
        format!("{}: {:?}\n", key.public_key(), token(&operator, &key.public_key(), claims))
    };
    let configuration = format!(
        "operator: {:?}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload {{\n{}{}}}\n",
        token(&operator, &operator.public_key(), trusted),
        system.public_key(),
        of_account(&system, 0),
        of_account(&account, -1),
    );
    let Some(server) = Server::configured(CURRENT, &configuration) else { return };
    let credentials = |name: &str, account: &KeyPair| {
        let user = KeyPair::new_user();
        let claims = json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 });
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            token(account, &user.public_key(), claims),
            user.seed().expect("a seed")
        );
        let path = server.folder().join(name);
        std::fs::write(&path, text).expect("written");
        NatsOptions { credentials: Some(path), ..bus::options(&server.url()) }
    };
    let nats = connect(&credentials("user.creds", &account), None).await.expect("taken");
    apply(&nats, &bus::plan(PATIENCE), &ApplyOptions::default()).await.expect("applied");
    refused(&credentials("stranger.creds", &KeyPair::new_account())).await;
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
