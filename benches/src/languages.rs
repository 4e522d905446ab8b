//! The same handler in every guest language: a mail of about 1 KiB decoded, a label added, encoded and sent. First inside the
//! engine alone, one thread; then a whole node on nats-server beside the same handler in the native runners of the tests.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use e2e::interop::{GO, PYTHON, source, tools};
use e2e::lone::{Lone, Parts};
use e2e::nats::Server;
use krt::topology::Wasm;
use krt_host::engine::{Engine, EngineOptions};
use prost::Message as _;

use crate::guests::Guests;
use crate::runs::{self, Stage};
use crate::table::Table;

/// Nodes of tests/guests/typed and what they are called.
const LANGUAGES: [(&str, &str); 6] = [
    ("rust", "Rust"),
    ("c", "C"),
    ("go", "Go"),
    ("js", "JavaScript (QuickJS)"),
    ("spidermonkey", "JavaScript (SpiderMonkey)"),
    ("python", "Python"),
];

/// Loads of each; the median is reported.
const LOADS: usize = 15;
/// Rounds of messages of each; the median is reported.
const ROUNDS: usize = 9;
/// How long a round takes, about.
const ROUND: Duration = Duration::from_millis(200);

const MAIL: &str = "type.googleapis.com/mails.Mail";

/// See tests/guests/typed/mail.proto.
#[derive(Clone, PartialEq, prost::Message)]
struct Mail {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    subject: String,
    #[prost(string, tag = "3")]
    body: String,
    #[prost(string, repeated, tag = "4")]
    labels: Vec<String>,
}

fn mail() -> Mail {
    Mail {
        id: "7c9e6679-7425-40de-944b-e07fc1f90ae7".to_owned(),
        subject: "The engine".to_owned(),
        body: "Dear Ada, it weaves algebraic patterns. ".repeat(24),
        labels: vec!["inbox".to_owned(), "letters".to_owned()],
    }
}

/// In the engine.
///
/// # Errors
/// A component does not load, or a message did not come out as it should.
pub(crate) fn engine(_: &Guests) -> anyhow::Result<Table> {
    let version = e2e::built("tests/guests/typed");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut table = Table::new(
            "A node in each language: load, first instance, and a typed message of 1 KiB (decode, handler, encode, send)",
            &["language", "component", "load from the cache", "+ first instance", "a warm message", "÷ Rust"],
        );
        let cache = tempfile::tempdir()?;
        let mut rust = None;
        let path = |node: &str| version.path().join(format!("bin/{node}.wasm"));
        // `benches languages python` measures one of them, for profiles.
        let only = std::env::args().nth(2);
        let wanted = || LANGUAGES.into_iter().filter(|(node, _)| only.as_deref().is_none_or(|only| only == *node));
        for (node, _) in wanted() {
            Engine::new(engine_options(cache.path()))?.load("node.wasm", &std::fs::read(path(node))?)?;
        }
        // A start soon after the first one still reads files whole: they may change once more unseen.
        tokio::time::sleep(Duration::from_secs(4)).await;
        for (node, language) in wanted() {
            let (load, start) = start(&path(node), cache.path()).await?;
            let bytes = std::fs::read(path(node))?;
            let message = warm(&bytes, cache.path()).await.with_context(|| language.to_owned())?;
            let us = message.as_secs_f64() * 1e6;
            let rust = *rust.get_or_insert(us);
            table.row(&[
                language.to_owned(),
                format!("{:.2} MB", bytes.len() as f64 / 1e6),
                format!("{:.2} ms", load.as_secs_f64() * 1e3),
                format!("{:.2} ms", start.as_secs_f64() * 1e3),
                format!("{us:.1} µs"),
                format!("{:.1}", us / rust),
            ]);
        }
        Ok(table)
    })
}

/// From machine code in the cache to the component, and to its first instance.
async fn start(component: &Path, cache: &Path) -> anyhow::Result<(Duration, Duration)> {
    let (mut loads, mut starts) = (Vec::new(), Vec::new());
    for _ in 0..LOADS {
        // A new engine each time: nothing is left in memory from the load before.
        let (engine, parts) = (Engine::new(engine_options(cache))?, Parts::new(Wasm::default()));
        let begin = Instant::now();
        let component = engine.load_file("node.wasm", &mut File::open(component)?, 1 << 30)?;
        loads.push(begin.elapsed());
        let _node = engine.node(&component, parts.options()).await?;
        starts.push(begin.elapsed());
    }
    Ok((median(loads), median(starts)))
}

fn engine_options(cache: &Path) -> EngineOptions {
    EngineOptions { cache: Some(cache.to_owned()), ..EngineOptions::default() }
}

/// The time of a message in a warm instance.
async fn warm(bytes: &[u8], cache: &Path) -> anyhow::Result<Duration> {
    let node = Lone::start(bytes, Wasm::default(), Some(cache.to_owned())).await?;
    let data = Bytes::from(mail().encode_to_vec());
    let mut wanted = mail();
    wanted.labels.push("sorted".to_owned());
    let round = async |count: u32| {
        let mut answers = 0;
        let begin = Instant::now();
        for n in 0..count {
            node.handle("entrypoint", MAIL, &data).await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
            // So that its answers stay in memory that the processor has at hand.
            if n % 32 == 0 {
                answers += node.forget();
            }
        }
        let took = begin.elapsed();
        anyhow::ensure!(answers + node.forget() == count as usize, "not an answer to every message");
        node.handle("entrypoint", MAIL, &data).await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let sent = node.sent();
        let answer = sent.last().and_then(|message| message.payload.as_ref()).context("an answer")?;
        anyhow::ensure!(Mail::decode(answer.data.clone())? == wanted, "another answer");
        Ok(took / count)
    };
    // What compiles while it runs has done so by then.
    let once = round(2000).await?.max(Duration::from_nanos(1));
    let count = u32::try_from(ROUND.as_nanos() / once.as_nanos())?.max(1);
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(round(count).await?);
    }
    Ok(median(rounds))
}

/// On a server, beside native runners.
///
/// # Errors
/// No server, no runners, or a run got lost.
pub(crate) fn native(_: &Guests) -> anyhow::Result<Table> {
    let tools = tools().context("there are no runners")?;
    let server = Server::start().context("there is no nats-server")?;
    let version = e2e::built("tests/guests/typed");
    std::fs::copy(source("python/nodes/sorter.py"), version.path().join("sorter.py"))?;
    std::fs::copy(tools.go("sorter"), version.path().join("bin/sorter"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut table = Table::new(
        "The same handler as a node on nats-server: a component in krt's host beside the native runner, 200 under way",
        &["node", "runs/s", "p50", "p99", "÷ native runner"],
    );
    for (kinds, image) in [(["python", "Python"], PYTHON), (["go", "Go"], GO)] {
        let [node, language] = kinds;
        let native = match image {
            PYTHON => format!("sorter.py, image: '{PYTHON}:latest'"),
            _ => format!("bin/sorter, image: '{GO}:latest'"),
        };
        let mut baseline = None;
        for (name, made) in [("native runner", native), ("wasm", format!("bin/{node}.wasm"))] {
            let runtime_id = format!("typed-{node}-{}", name.replace(' ', "-"));
            std::fs::write(version.path().join("krt.yml"), manifest(&made))?;
            let stage = Stage {
                version: version.path(),
                runtime_id: &runtime_id,
                stream: format!("{runtime_id}_typed_Sort"),
                answers: "sorter",
                type_url: MAIL,
                request: Bytes::from(mail().encode_to_vec()),
            };
            let measured = runtime.block_on(runs::stage(&tools, &server, &stage))?;
            let baseline = *baseline.get_or_insert(measured.rate);
            table.row(&[
                format!("{language}, {name}"),
                format!("{:.0}", measured.rate),
                measured.latency(0.5),
                measured.latency(0.99),
                format!("{:.1}", measured.rate / baseline),
            ]);
        }
    }
    Ok(table)
}

/// A version of one node that is made of this.
fn manifest(src: &str) -> String {
    format!(
        "krtVersion: v2\nversion: typed\ndescription: One handler\nentrypoint: {{ proto: mail.proto }}\nworkflows:\n  \
         - {{ name: typed, entrypoint: Sort, exitpoint: sorter, nodes: [{{ name: sorter, src: {src}, subscriptions: [entrypoint] }}] }}\n"
    )
}

fn median(mut values: Vec<Duration>) -> Duration {
    values.sort_unstable();
    values[values.len() / 2]
}
