//! What reaches a handler, and what becomes of its failures: the rules of the crate, through its public face.

use std::cell::Cell;
use std::rc::Rc;

use krt_node::error::{
    ConfigurationError, DatabaseError, MeasurementError, ObjectStoreError, PathError, PredictionError, SendError,
    UnpackError,
};
use krt_node::testing::TestHost;
use krt_node::{Any, Context, Failure, FailureExt, Incoming, MessageType, Node, OutputType, Problem, Result, Scope};

#[derive(Clone, PartialEq, prost::Message)]
struct Email {
    #[prost(string, tag = "1")]
    body: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Verdict {
    #[prost(bool, tag = "1")]
    spam: bool,
}

macro_rules! name {
    ($($message:ident),*) => {$(
        impl prost::Name for $message {
            const NAME: &'static str = stringify!($message);
            const PACKAGE: &'static str = "mail.v1";
        }
    )*};
}
name!(Email, Verdict);

fn email(body: &str) -> Email {
    Email { body: body.to_owned() }
}

fn echo(ctx: &Context, email: Email) -> Result {
    Ok(ctx.send(&email)?)
}

/// Runs `f` as the handler of one e-mail.
fn outcome_of(host: &TestHost, f: impl Fn(&Context) -> Result + 'static) -> krt_node::testing::Outcome {
    host.handle(&Node::new().default(move |ctx: &Context, _: Incoming| f(ctx)), &email("x"))
}

#[test]
fn a_handler_is_chosen_by_the_node_that_sent_the_message() {
    let mark = |text: &'static str| move |ctx: &Context, _: Email| Ok(ctx.send(&email(text))?);
    let node = Node::new().on("etl", mark("etl")).on("other", mark("other")).default(mark("default"));
    for (from, expected) in [("etl", "etl"), ("other", "other"), ("entrypoint", "default"), ("ETL", "default")] {
        assert_eq!(TestHost::new().from(from).handle(&node, &email("")).sent::<Email>(), [email(expected)], "{from}");
    }
}

#[test]
fn the_last_handler_of_a_node_wins() {
    let node = Node::new().on("etl", |_: &Context, _: Email| Err(Failure::rejected("first"))).on("etl", echo);
    assert_eq!(TestHost::new().from("etl").handle(&node, &email("x")).result(), Ok(()));
}

#[test]
fn without_a_handler_the_message_is_rejected_by_the_name_of_its_sender() {
    let node = Node::new().on("etl", echo);
    let outcome = TestHost::new().node("sorter").from("stranger").handle(&node, &email("x"));
    let text = "node \"sorter\" has no handler for messages of node \"stranger\", and no default one";
    assert_eq!(outcome.result(), Err(Failure::rejected(text)));
}

#[test]
fn a_message_of_another_type_is_rejected_with_both_names() {
    let outcome = TestHost::new().handle(&Node::new().default(echo), &Verdict { spam: true });
    let text = "the payload is a \"mail.v1.Verdict\", not a \"mail.v1.Email\"";
    assert_eq!(outcome.result(), Err(Failure::rejected(text)));
}

#[test]
fn bytes_that_are_not_the_message_are_rejected_with_its_name() {
    let any = Any { type_url: "type.googleapis.com/mail.v1.Email".into(), value: vec![0x0a, 0xff] };
    let outcome = TestHost::new().handle_any(&Node::new().default(echo), any);
    assert!(outcome.failure().is_some_and(|failure| failure.text().contains("not a valid \"mail.v1.Email\"")));
}

#[test]
fn only_the_name_behind_the_last_slash_counts() {
    let any = Any { type_url: "example.org/types/mail.v1.Email".into(), value: vec![] };
    assert_eq!(any.unpack::<Email>(), Ok(email("")));
    assert_eq!(Any::pack(&email("")).type_url, "type.googleapis.com/mail.v1.Email");
}

#[test]
fn a_typed_handler_is_not_called_for_an_error_and_the_error_goes_on() {
    let called = Rc::new(Cell::new(false));
    let seen = called.clone();
    let node = Node::new().default(move |_: &Context, _: Email| {
        seen.set(true);
        Ok(())
    });
    let outcome = TestHost::new().from("etl").handle_error(&node, "the disk is full");
    assert_eq!(outcome.result(), Err(Failure::rejected("the disk is full")));
    assert!(!called.get());
    let outcome = TestHost::new().from("etl").handle_error(&node, "");
    assert_eq!(outcome.result(), Err(Failure::rejected("node \"etl\" failed without saying why")));
}

#[test]
fn a_text_makes_an_error_whatever_the_type_says() {
    let host = TestHost::new();
    let node = Node::new().default(|ctx: &Context, incoming: Incoming| {
        assert!(ctx.is_error() && incoming.message_type() == MessageType::Error);
        Err(Failure::rejected(incoming.error().unwrap_or("none")))
    });
    assert_eq!(host.handle_error(&node, "why").result(), Err(Failure::rejected("why")));
}

#[test]
fn early_answers_pass_typed_handlers_by_and_reach_raw_ones() {
    let host = TestHost::new().message_type(MessageType::EarlyExit);
    let outcome = host.handle(&Node::new().default(echo), &Verdict { spam: true });
    assert_eq!(outcome.result(), Ok(()));
    assert!(outcome.outputs().is_empty());

    let raw = Node::new().default(|ctx: &Context, incoming: Incoming| {
        assert!(ctx.is_early_exit() && incoming.is::<Verdict>() && !incoming.is::<Email>());
        Ok(ctx.send_any(incoming.into_any()?)?)
    });
    assert_eq!(host.handle(&raw, &Verdict { spam: true }).sent::<Verdict>(), [Verdict { spam: true }]);
}

#[test]
fn a_message_of_undefined_type_is_handled_like_an_ordinary_one() {
    let host = TestHost::new().message_type(MessageType::Undefined);
    assert_eq!(host.handle(&Node::new().default(echo), &email("x")).sent::<Email>(), [email("x")]);
}

#[test]
fn every_way_of_sending_says_its_kind_and_channel() {
    let outcome = outcome_of(&TestHost::new(), |ctx| {
        ctx.send(&email("a"))?;
        ctx.send_to("spam", &email("b"))?;
        ctx.early_reply(&email("c"))?;
        ctx.early_exit(&email("d"))?;
        ctx.relay()?;
        ctx.relay_to("copy")?;
        ctx.send_any_to("any", Any::pack(&email("e")))?;
        ctx.relay_as(OutputType::EarlyReply, None)?;
        Ok(ctx.send_as(Any::pack(&email("f")), OutputType::EarlyExit, Some("last"))?)
    });
    let outputs: Vec<_> = outcome.outputs().iter().map(|o| (o.output_type, o.channel.as_deref())).collect();
    let (ok, reply, exit) = (OutputType::Ok, OutputType::EarlyReply, OutputType::EarlyExit);
    assert_eq!(
        outputs,
        [
            (ok, None),
            (ok, Some("spam")),
            (reply, None),
            (exit, None),
            (ok, None),
            (ok, Some("copy")),
            (ok, Some("any")),
            (reply, None),
            (exit, Some("last")),
        ]
    );
    let bodies: Vec<String> = outcome.sent::<Email>().into_iter().map(|email| email.body).collect();
    assert_eq!(bodies, ["a", "b", "c", "d", "x", "x", "e", "x", "f"]);
}

#[test]
fn what_the_bus_would_refuse_the_test_host_refuses() {
    let outcome = outcome_of(&TestHost::new().max_payload(10), |ctx| {
        assert_eq!(ctx.send_to("a.b", &email("")), Err(SendError::InvalidChannel("a.b".into())));
        assert_eq!(ctx.send(&email("more than ten bytes")), Err(SendError::TooLarge { limit: 10 }));
        let nameless = Any { type_url: "type.googleapis.com/".into(), value: vec![] };
        assert!(matches!(ctx.send_any(nameless), Err(SendError::InvalidTypeUrl(_))));
        assert_eq!(ctx.max_payload(), 10);
        Ok(())
    });
    assert_eq!(outcome.result(), Ok(()));
}

#[test]
fn init_runs_once_and_its_state_reaches_every_handler() {
    let runs = Rc::new(Cell::new(0));
    let counted = runs.clone();
    let node = Node::init(move |ctx: &Context| {
        counted.set(counted.get() + 1);
        assert_eq!((ctx.attempt(), ctx.request_id()), (0, ""));
        assert_eq!(ctx.send(&email("x")), Err(SendError::NoMessage));
        Ok(vec![1, 2, 3])
    })
    .default(|ctx: &Context<Vec<i32>>, _: Email| Ok(ctx.send(&email(&ctx.state().len().to_string()))?));
    let host = TestHost::new();
    assert_eq!(host.init(&node), Ok(()));
    for _ in 0..2 {
        assert_eq!(host.handle(&node, &email("")).sent::<Email>(), [email("3")]);
    }
    assert_eq!(runs.get(), 1);
}

#[test]
fn a_failed_init_fails_the_message_and_is_tried_again() {
    let tries = Cell::new(0);
    let node = Node::init(move |_: &Context| {
        tries.set(tries.get() + 1);
        if tries.get() == 1 { Err(Failure::transient("not yet")) } else { Ok(()) }
    })
    .default(echo);
    let host = TestHost::new();
    assert_eq!(host.handle(&node, &email("x")).result(), Err(Failure::transient("not yet")));
    assert_eq!(host.handle(&node, &email("x")).result(), Ok(()));
}

#[test]
fn any_error_becomes_a_rejection_with_its_causes() {
    fn fails() -> Result {
        let number: u32 = "x".parse().context("reading the number")?;
        unreachable!("{number}")
    }
    assert_eq!(fails(), Err(Failure::rejected("reading the number: invalid digit found in string")));
    let failure = Failure::from(UnpackError::Malformed {
        expected: "mail.v1.Email".into(),
        source: prost::Message::decode(&[0x0a_u8, 0xff][..]).map(|_: Email| ()).expect_err("not an e-mail"),
    });
    assert!(failure.text().starts_with("the payload is not a valid \"mail.v1.Email\": failed to decode"), "{failure}");
}

#[test]
fn what_is_away_makes_a_transient_failure_without_being_asked() {
    let host = TestHost::new().object_store().unavailable();
    let cases: [fn(&Context) -> Result; 6] = [
        |ctx| Ok(ctx.send(&email("x"))?),
        |ctx| Ok(ctx.database().save("mails", "{}")?),
        |ctx| ctx.database().find("mails", "{}").context("mails").map(drop),
        |ctx| Ok(ctx.prediction("spam", "ham").save()?),
        |ctx| Ok(ctx.configuration().set("key", "value")?),
        |ctx| ctx.object_store().get("name").context("the model").map(drop),
    ];
    for case in cases {
        let outcome = outcome_of(&host, case);
        assert!(outcome.failure().is_some_and(Failure::is_transient), "{:?}", outcome.result());
    }
    let outcome = outcome_of(&host, |ctx| ctx.configuration().get("key").map(drop).rejected());
    assert!(outcome.failure().is_some_and(|failure| !failure.is_transient()));
}

#[test]
fn settings_are_found_from_the_narrowest_scope_outwards() {
    let host = TestHost::new().config(Scope::Project, "key", "project").config(Scope::Workflow, "key", "workflow");
    let outcome = outcome_of(&host, |ctx| {
        let settings = ctx.configuration();
        assert_eq!(settings.get("key")?.as_deref(), Some("workflow"));
        settings.set("key", "node")?;
        assert_eq!(settings.get("key")?.as_deref(), Some("node"));
        assert_eq!(settings.get_in(Scope::Project, "key")?.as_deref(), Some("project"));
        settings.delete("key")?;
        settings.delete_in(Scope::Workflow, "key")?;
        settings.delete_in(Scope::Workflow, "never there")?;
        Ok(())
    });
    // A space is no character of a key.
    assert_eq!(outcome.failure().map(|failure| failure.text().starts_with("invalid key")), Some(true));
    assert_eq!(outcome.configuration(Scope::Node, "key"), None);
    assert_eq!(outcome.configuration(Scope::Project, "key").as_deref(), Some("project"));
    let bad = outcome_of(&host, |ctx| match ctx.configuration().get("") {
        Err(ConfigurationError::InvalidKey(_)) => Ok(()),
        other => panic!("{other:?}"),
    });
    assert_eq!(bad.result(), Ok(()));
}

#[test]
fn objects_are_listed_and_purged_by_pattern() {
    let host = TestHost::new().object("a/1", b"x").object("a/2", b"").object("b/1", b"y");
    let outcome = outcome_of(&host, |ctx| {
        let store = ctx.object_store();
        assert_eq!(store.list()?, ["a/1", "a/2", "b/1"]);
        assert_eq!(store.list_matching("1$")?, ["a/1", "b/1"]);
        assert_eq!(store.get("a/2")?, b"");
        assert_eq!(store.purge_matching("^a/")?, 2);
        assert_eq!(store.get("a/1"), Err(ObjectStoreError::NotFound));
        assert_eq!(store.delete("a/1"), Err(ObjectStoreError::NotFound));
        assert!(matches!(store.list_matching("("), Err(ObjectStoreError::InvalidName(_))));
        store.delete("b/1")?;
        assert_eq!(store.purge()?, 0);
        Ok(())
    });
    assert_eq!(outcome.result(), Ok(()));
}

#[test]
fn without_a_declared_store_every_object_call_says_so() {
    let outcome = outcome_of(&TestHost::new(), |ctx| Ok(ctx.object_store().save("name", b"x")?));
    assert_eq!(outcome.result(), Err(Failure::rejected("the manifest declares no object store for this node")));
}

#[test]
fn measurements_need_a_field_and_finite_numbers() {
    let outcome = outcome_of(&TestHost::new(), |ctx| {
        assert!(matches!(ctx.measure("empty").save(), Err(MeasurementError::Invalid(_))));
        assert!(matches!(ctx.measure("nan").field("x", f64::NAN).save(), Err(MeasurementError::Invalid(_))));
        let then = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(7);
        ctx.measure("good").field("n", 1_u8).field("share", 0.5).tag("kind", "test").at(then).save()?;
        Ok(())
    });
    let [point] = outcome.measurements() else { panic!("{:?}", outcome.measurements()) };
    assert_eq!((point.name.as_str(), point.time, point.fields.len()), ("good", Some(7), 2));
}

#[test]
fn documents_are_found_by_what_every_database_understands() {
    let host =
        TestHost::new().document("mails", r#"{"n": 1, "from": {"name": "a"}}"#).document("others", r#"{"n": 9}"#);
    let outcome = outcome_of(&host, |ctx| {
        let database = ctx.database();
        database.save("mails", r#"{"n": 2, "labels": ["x", "y"]}"#)?;
        for (query, expected) in [
            ("{}", 2),
            (r#"{"n": 1.0}"#, 1),
            (r#"{"from.name": "a"}"#, 1),
            (r#"{"labels": "y"}"#, 1),
            (r#"{"n": {"$gt": 1, "$lte": 2}}"#, 1),
            (r#"{"n": {"$gte": 1, "$lt": 2}}"#, 1),
            (r#"{"n": {"$ne": 1}}"#, 1),
            (r#"{"n": {"$in": [1, 2, 3]}}"#, 2),
            (r#"{"labels": {"$exists": false}}"#, 1),
            (r#"{"$or": [{"n": 1}, {"labels": {"$eq": "x"}}]}"#, 2),
            (r#"{"$and": [{"n": 1}, {"n": 2}]}"#, 0),
        ] {
            assert_eq!(database.find("mails", query)?.len(), expected, "{query}");
        }
        for (collection, query) in [("$x", "{}"), ("mails", "[]"), ("mails", r#"{"n": {"$where": "1"}}"#)] {
            let found = database.find(collection, query);
            assert!(matches!(found, Err(DatabaseError::Invalid(_))), "{collection} {query}: {found:?}");
        }
        assert!(matches!(database.save("mails", "1"), Err(DatabaseError::Invalid(_))));
        Ok(())
    });
    assert_eq!(outcome.result(), Ok(()));
    assert_eq!(outcome.documents("mails")[1], r#"{"labels":["x","y"],"n":2}"#);
    assert_eq!(outcome.documents("others").len(), 1);
}

#[test]
fn predictions_keep_what_was_predicted_and_why_not() {
    let outcome = outcome_of(&TestHost::new(), |ctx| {
        ctx.prediction("spam", "ham").extra("[1]").at(std::time::UNIX_EPOCH).save()?;
        ctx.no_prediction(Problem::MissingValues).save()?;
        let invalid = ctx.prediction("a", "b").extra("{").save();
        assert!(matches!(invalid, Err(PredictionError::Invalid(_))), "{invalid:?}");
        Ok(())
    });
    assert_eq!(outcome.result(), Ok(()));
    let [first, second] = outcome.predictions() else { panic!("{:?}", outcome.predictions()) };
    assert_eq!(first.outcome, Ok(("spam".to_owned(), "ham".to_owned())));
    assert_eq!((first.extra.as_deref(), first.time), (Some("[1]"), Some(0)));
    assert_eq!((second.outcome.clone(), second.time), (Err(Problem::MissingValues), None));
}

#[test]
fn a_path_never_leaves_the_package() {
    let outcome = outcome_of(&TestHost::new().package("/krt-files"), |ctx| {
        assert_eq!(ctx.path("model/words.txt")?, std::path::Path::new("/krt-files/model/words.txt"));
        for path in ["../secret", "/etc/passwd", "model/../../x", ""] {
            assert_eq!(ctx.path(path), Err(PathError(path.to_owned())));
        }
        Ok(())
    });
    assert_eq!(outcome.result(), Ok(()));
}

#[test]
fn facts_about_the_delivery_are_those_of_the_host() {
    let host = TestHost::new()
        .request_id("r1")
        .from("etl")
        .channel("spam")
        .attempt(3)
        .time_remaining(std::time::Duration::from_secs(5))
        .traceparent("00-1-2-01")
        .node("sorter")
        .workflow("mail")
        .version("v7");
    let outcome = outcome_of(&host, |ctx| {
        assert_eq!((ctx.request_id(), ctx.from_node(), ctx.attempt()), ("r1", "etl", 3));
        assert_eq!(ctx.channel().as_deref(), Some("spam"));
        assert_eq!(ctx.time_remaining(), Some(std::time::Duration::from_secs(5)));
        assert_eq!(ctx.traceparent().as_deref(), Some("00-1-2-01"));
        let metadata = ctx.metadata();
        assert_eq!(
            (metadata.node.as_str(), metadata.workflow.as_str(), metadata.version.as_str()),
            ("sorter", "mail", "v7")
        );
        Ok(())
    });
    assert_eq!(outcome.result(), Ok(()));
}

#[test]
fn log_lines_of_tests_that_run_at_once_do_not_mix() {
    let texts: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|number| {
                scope.spawn(move || {
                    let outcome = outcome_of(&TestHost::new(), move |_| {
                        log::info!(number; "from thread {number}");
                        Ok(())
                    });
                    assert_eq!(outcome.logs().len(), 1);
                    assert_eq!(outcome.logs()[0].fields, [("number".to_owned(), number.to_string())]);
                    outcome.logs()[0].text.clone()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(texts, ["from thread 0", "from thread 1", "from thread 2", "from thread 3"]);
}
