//! Components beside Python and Go nodes on one NATS, called over gRPC: every pair of neighbours, everything that they
//! send, and what they keep in common. The runners of the tests stand for the original's.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use e2e::interop::probe::{self, Flow, Job, Kind, Order, Probe, order};
use e2e::interop::tools;
use e2e::load::Status;
use e2e::nats::{CURRENT, Server};
use e2e::running::Running;
use futures::FutureExt as _;
use krt_host::bus::HEADER_ROOM;
use krt_host::message::{Message, MessageType, Payload};
use prost::Message as _;

use Kind::{Go, Python, Wasm};

/// Bytes of a message on the bus, headers included: small, so that every size about it is quickly tried.
const LIMIT: usize = 64 << 10;

/// What a stream keeps free for the headers that the original's runners do not count.
const RUNNER_HEADERS: usize = 1 << 10;

const INTERNAL: u32 = 13;
const DEADLINE_EXCEEDED: u32 = 4;

/// The three workflows in which each kind is each of: first, in the middle, aside, and last.
const TURNS: [(&str, [Kind; 3]); 3] =
    [("First", [Wasm, Python, Go]), ("Second", [Python, Go, Wasm]), ("Third", [Go, Wasm, Python])];

/// One node that answers by itself.
const ALONE: [(&str, Kind); 3] = [("AloneWasm", Wasm), ("AlonePython", Python), ("AloneGo", Go)];

struct Ground {
    grpc: String,
}

impl Ground {
    async fn call(&self, method: &str, orders: &[Order]) -> Result<Job, Status> {
        let job = Job { orders: orders.to_vec(), ..Job::default() };
        probe::call(&self.grpc, method, &job).await.expect("a call")
    }

    async fn answer(&self, method: &str, orders: &[Order]) -> Job {
        self.call(method, orders).await.unwrap_or_else(|status| panic!("{method}: {status:?}"))
    }
}

fn say(node: &str, verb: &str, value: &str) -> Order {
    order(node, verb, value, value, "")
}

fn flows() -> Vec<Flow> {
    // Every ordered pair of kinds, equal ones included, is somewhere side by side.
    let pairs = [Wasm, Wasm, Python, Python, Go, Go, Wasm, Go, Python, Wasm];
    let mut flows = vec![Flow::line("Pairs", &pairs)];
    for (method, [a, b, c]) in TURNS {
        flows.push(Flow::new(
            method,
            vec![
                Probe::new("early", a, &["entrypoint"]),
                Probe::new("middle", b, &["early"]),
                Probe::new("side", c, &["early.side"]),
                Probe::new("last", c, &["early", "middle", "side"]),
            ],
        ));
    }
    flows.extend(ALONE.map(|(method, kind)| Flow::line(method, &[kind])));
    flows
}

// Several threads: connections are closed while the end of a process is awaited.
#[tokio::test(flavor = "multi_thread")]
async fn components_python_and_go_work_side_by_side() {
    let Some(tools) = tools() else { return };
    let Some(server) = Server::configured(CURRENT, &format!("max_payload: {LIMIT}")) else { return };
    let folder = probe::version(&tools, &flows());
    let mut arguments = vec!["--nats".to_owned(), server.url(), "--timeout".to_owned(), "3".to_owned()];
    arguments.extend(tools.runners());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let running = Running::start(folder.path(), &arguments);
    let ground = Arc::new(Ground { grpc: running.grpc.clone() });

    let mut failed = Vec::new();
    macro_rules! each {
        ($($check:ident),* $(,)?) => {
            $(if !passes(stringify!($check), $check(ground.clone())).await {
                failed.push(stringify!($check));
            })*
        };
    }
    each!(
        every_kind_follows_every_kind,
        a_message_on_a_channel_reaches_those_who_read_it,
        an_error_reaches_the_caller_through_every_kind,
        an_early_reply_answers_the_caller,
        an_early_exit_answers_the_caller_and_ends_the_request,
        what_is_over_the_limit_travels_compressed,
        what_does_not_compress_fails_as_each_runner_does,
        settings_of_one_kind_are_read_by_the_others,
        objects_of_one_kind_are_read_by_the_others,
        every_size_about_the_limit_passes_or_fails_by_itself,
    );
    assert!(failed.is_empty(), "failed: {failed:?}");
    assert!(running.stop().success());
}

async fn passes(name: &str, check: impl Future<Output = ()>) -> bool {
    let started = std::time::Instant::now();
    let passed = AssertUnwindSafe(check).catch_unwind().await.is_ok();
    println!("{name} ... {} in {:.2} s", if passed { "ok" } else { "FAILED" }, started.elapsed().as_secs_f64());
    passed
}

async fn every_kind_follows_every_kind(ground: Arc<Ground>) {
    for _ in 0..3 {
        let job = ground.answer("Pairs", &[]).await;
        assert_eq!(job.path, (0..10).map(|n| format!("n{n}")).collect::<Vec<_>>());
    }
    for (method, _) in TURNS {
        assert_eq!(ground.answer(method, &[]).await.path, ["early", "middle", "last"], "{method}");
    }
    for (method, _) in ALONE {
        assert_eq!(ground.answer(method, &[]).await.path, ["n0"], "{method}");
    }
}

async fn a_message_on_a_channel_reaches_those_who_read_it(ground: Arc<Ground>) {
    for (method, _) in TURNS {
        let orders = [say("early", "channel", "side"), say("early", "quiet", "")];
        assert_eq!(ground.answer(method, &orders).await.path, ["early", "side", "last"], "{method}");
    }
}

async fn an_error_reaches_the_caller_through_every_kind(ground: Arc<Ground>) {
    for (method, kinds) in TURNS {
        for failing in ["early", "middle", "last"] {
            let status = ground.call(method, &[say(failing, "fail", "no such thing")]).await.expect_err("it failed");
            assert_eq!(status.code, INTERNAL, "{method} {failing}: {status:?}");
            // Only components see the text of the error before them; the original's runners keep it from their handlers.
            let told = if failing == "last" || kinds[2] == Wasm { "no%20such%20thing" } else { "failed" };
            assert!(status.text.contains(told), "{method} {failing}: {status:?}");
        }
        // One failing request fails only itself.
        ground.answer(method, &[]).await;
    }
}

async fn an_early_reply_answers_the_caller(ground: Arc<Ground>) {
    for (method, _) in TURNS {
        assert_eq!(ground.answer(method, &[say("early", "reply", "")]).await.path, ["early"], "{method}");
    }
}

async fn an_early_exit_answers_the_caller_and_ends_the_request(ground: Arc<Ground>) {
    for (method, _) in TURNS {
        assert_eq!(ground.answer(method, &[say("early", "exit", "")]).await.path, ["early"], "{method}");
    }
}

async fn what_is_over_the_limit_travels_compressed(ground: Arc<Ground>) {
    for (method, _) in TURNS {
        for through in ["middle", "side"] {
            let mut orders = vec![order("early", "fill", "zeros", &(3 * LIMIT).to_string(), "")];
            if through == "side" {
                orders.extend([say("early", "channel", "side"), say("early", "quiet", "")]);
            }
            let job = ground.answer(method, &orders).await;
            assert_eq!(job.path, ["early", through, "last"], "{method}");
            assert!(job.data.len() == 3 * LIMIT && job.data.iter().all(|byte| *byte == 0), "{method}");
        }
    }
    // The request itself, too.
    let data = vec![7; 2 * LIMIT];
    for (method, _) in TURNS {
        let job = Job { data: data.clone().into(), ..Job::default() };
        let job = probe::call(&ground.grpc, method, &job).await.expect("a call").expect("an answer");
        assert_eq!(job.data, data, "{method}");
    }
}

async fn what_does_not_compress_fails_as_each_runner_does(ground: Arc<Ground>) {
    for (method, kind) in ALONE {
        let status = ground.call(method, &[say("n0", "fill", &(2 * LIMIT).to_string())]).await.expect_err("too large");
        // The original's runner for Go says nothing to anybody (contract, 3.2).
        let expected = if kind == Go { DEADLINE_EXCEEDED } else { INTERNAL };
        assert_eq!(status.code, expected, "{method}: {status:?}");
        ground.answer(method, &[]).await;
    }
}

async fn settings_of_one_kind_are_read_by_the_others(ground: Arc<Ground>) {
    for (method, _) in TURNS {
        let orders = [
            order("early", "set", "a/b", &format!("project-{method}"), "project"),
            order("early", "set", "tone", "workflow", "workflow"),
            order("early", "set", "own", "early", ""),
            order("middle", "get", "a/b", "", ""),
            order("middle", "get", "tone", "", ""),
            order("middle", "set", "tone", "node", "node"),
            order("middle", "get", "tone", "", ""),
            order("middle", "get", "own", "", ""),
            order("last", "get", "a/b", "", "project"),
            order("last", "get", "tone", "", ""),
            order("last", "delete", "tone", "", "workflow"),
            order("last", "get", "tone", "", ""),
        ];
        let found = ground.answer(method, &orders).await.found;
        let project = format!("a/b=project-{method}");
        let expected =
            [&project, "tone=workflow", "tone=node", "own=nothing", &project, "tone=workflow", "tone=nothing"];
        assert_eq!(found, expected, "{method}");
    }
}

async fn objects_of_one_kind_are_read_by_the_others(ground: Arc<Ground>) {
    for (method, _) in TURNS {
        let name = format!("{method}/ä b.txt");
        let orders = [
            order("early", "save", &name, "first", ""),
            order("middle", "load", &name, "", ""),
            order("middle", "save", &name, "second", ""),
            order("last", "load", &name, "", ""),
        ];
        let found = ground.answer(method, &orders).await.found;
        assert_eq!(found, [format!("{name}=first"), format!("{name}=second")], "{method}");
    }
}

/// From 200 bytes under what each kind takes for the limit to 10 over it, counted as envelopes.
async fn every_size_about_the_limit_passes_or_fails_by_itself(ground: Arc<Ground>) {
    for (method, kind) in ALONE {
        // krt keeps room for headers. The original's runners do not, so that the stream takes less than the server: one that
        // is closed its connection for a message (contract, trap 26) does not come back.
        let limit = LIMIT - if kind == Wasm { HEADER_ROOM } else { RUNNER_HEADERS };
        // The runner for Python names the stream in a header. What is over the limit with it and not without is refused by
        // the server, which this runner keeps to itself.
        let beyond = if kind == Python { limit - header(method) } else { limit };
        for envelope in limit - 200..=limit + 10 {
            let (order, size) = filling(envelope);
            if envelope <= beyond {
                let job = ground.answer(method, &[order]).await;
                assert_eq!(job.data.len(), size, "{method} {envelope}");
                continue;
            }
            let silent = kind == Go || envelope <= limit;
            // Silence takes the caller's whole time: the first and the last of such sizes do for all.
            if !silent || [beyond + 1, limit, limit + 10].contains(&envelope) {
                let status = ground.call(method, &[order]).await.expect_err("too large");
                let expected = if silent { DEADLINE_EXCEEDED } else { INTERNAL };
                assert_eq!(status.code, expected, "{method} {envelope}: {status:?}");
            }
        }
        assert_eq!(ground.answer(method, &[]).await.path, ["n0"], "{method}");
    }
}

/// Bytes of the one header that the runner for Python sends.
fn header(method: &str) -> usize {
    format!("NATS/1.0\r\nNats-Expected-Stream: kre_probe_{method}\r\n\r\n").len()
}

/// The order that makes the answering envelope of `n0` just so long, and the bytes of data in it.
fn filling(envelope: usize) -> (Order, usize) {
    let order = |size: usize| say("n0", "fill", &size.to_string());
    let length = |size: usize| {
        let job =
            Job { orders: vec![order(size)], path: vec!["n0".into()], data: vec![1; size].into(), ..Job::default() };
        let payload = Payload { type_url: "type.googleapis.com/main.Job".into(), data: job.encode_to_vec().into() };
        let message = Message {
            request_id: "5f0c0a3e-7a40-4b3a-9a53-0f3f9d1b2c77".into(),
            from_node: "n0".into(),
            message_type: MessageType::Ok,
            payload: Some(payload),
            error: String::new(),
        };
        message.encode(usize::MAX).expect("no limit").len()
    };
    let around = length(envelope) - envelope;
    let size = envelope - around;
    assert_eq!(length(size), envelope);
    (order(size), size)
}
