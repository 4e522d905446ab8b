//! What `etl` makes of batches.

use krt_node::OutputType;
use krt_node::testing::{Outcome, TestHost};

use super::*;

fn handle(request: Request) -> Outcome {
    TestHost::new().package("../..").node("etl").handle(&node(), &request)
}

fn emails(texts: &[&str]) -> Request {
    Request { emails: texts.iter().map(|text| (*text).to_owned()).collect(), ..Request::default() }
}

#[test]
fn the_batch_of_the_package_has_at_least_thirty_emails() {
    let outcome = handle(Request { batch: "monday".into(), ..Request::default() });
    let batch = &outcome.sent::<Batch>()[0];
    assert!(batch.emails.len() >= 30, "{}", batch.emails.len());
    assert!(batch.emails.iter().all(|email| email.from.contains('@') && !email.body.is_empty()));
    assert_eq!(batch.path, ["entrypoint", "etl"]);
}

#[test]
fn folded_headers_encoded_words_and_quoted_printable_are_understood() {
    let outcome = handle(emails(&["From: =?utf-8?q?Zo=C3=AB?= <zoe@example.org>\r\n\
        Subject: The invoice\r\n of March\r\n\
        Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        caf=C3=A9 =\r\nau lait"]));
    let email = &outcome.sent::<Batch>()[0].emails[0];
    assert_eq!((email.from.as_str(), email.subject.as_str()), ("zoe@example.org", "The invoice of March"));
    assert_eq!(email.body, "café au lait");
}

#[test]
fn a_malformed_email_is_rejected_by_its_number() {
    let outcome = handle(emails(&["From: a@b.c\r\n\r\nfine", "no headers at all"]));
    let text = outcome.failure().expect("a failure").text();
    assert!(text.starts_with("e-mail 2 of the batch is malformed"), "{text}");
    assert!(outcome.outputs().is_empty());
}

#[test]
fn an_acknowledgement_goes_out_before_the_batch() {
    let outcome = handle(Request { batch: "monday".into(), acknowledge: true, ..Request::default() });
    let kinds: Vec<_> = outcome.outputs().iter().map(|output| output.output_type).collect();
    assert_eq!(kinds, [OutputType::EarlyReply, OutputType::Ok]);
    assert!(outcome.outputs()[0].decode::<Response>().expect("a response").message.contains("e-mails read"));
}

#[test]
fn a_batch_outside_the_package_is_refused() {
    for batch in ["../../../etc/passwd", "/etc/passwd", "nothing"] {
        let outcome = handle(Request { batch: batch.into(), ..Request::default() });
        assert!(outcome.failure().is_some(), "{batch}");
    }
}
