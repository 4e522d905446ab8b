//! What `email-classificator` makes of e-mails.

use krt_node::Failure;
use krt_node::testing::{Outcome, TestHost};

use super::*;

fn classify_text(subject: &str, body: &str) -> Outcome {
    let email = Email { id: "1".into(), from: "a@b.c".into(), subject: subject.into(), body: body.into() };
    let batch = Batch { emails: vec![email], path: vec!["entrypoint".into(), "etl".into()] };
    host().handle(&node(), &batch)
}

fn host() -> TestHost {
    TestHost::new().package("../..").node("email-classificator").from("etl")
}

fn category(outcome: &Outcome) -> String {
    let batch: ClassifiedBatch = outcome.outputs().last().expect("an output").decode().expect("a batch");
    batch.emails[0].category.clone()
}

#[test]
fn a_broken_machine_is_a_repair_and_goes_out_on_that_channel_too() {
    let outcome =
        classify_text("Washing machine broken", "It leaks water and does not start, please send a technician");
    assert_eq!(category(&outcome), "repairs");
    let channels: Vec<_> = outcome.outputs().iter().map(|output| output.channel.as_deref()).collect();
    assert_eq!(channels, [Some("repairs"), None]);
}

#[test]
fn an_invoice_is_no_repair() {
    let outcome = classify_text("Invoice 2210", "Please find attached the invoice; payment is due within 30 days");
    assert_eq!(category(&outcome), "invoices");
    assert_eq!(outcome.outputs().len(), 1);
}

#[test]
fn an_error_of_etl_is_passed_on_with_its_text() {
    let outcome = host().handle_error(&node(), "e-mail 2 of the batch is malformed");
    assert_eq!(outcome.result(), Err(Failure::rejected("e-mail 2 of the batch is malformed")));
}

#[test]
fn an_acknowledgement_for_the_caller_is_none_of_this_nodes_business() {
    let host = host().message_type(krt_node::MessageType::EarlyReply);
    let outcome = host.handle(&node(), &messages::main::Response::default());
    assert_eq!(outcome.result(), Ok(()));
    assert!(outcome.outputs().is_empty());
}

#[test]
fn a_line_without_a_category_is_named() {
    assert!(Model::train("repairs\tbroken\nno category").is_err_and(|e| e.to_string().contains("line 2")));
}
