//! What goes out for a delivery, under which id, and what does not.

use std::collections::VecDeque;

use futures::future::BoxFuture;

use super::*;
use crate::bus::{Consumer, Deliveries, SubscribeError};
use crate::message::Message;

/// A bus that writes down what it gets and answers what it is told to.
#[derive(Default)]
struct Notebook {
    published: Mutex<Vec<Publication>>,
    answers: Mutex<VecDeque<Acceptance>>,
}

impl Bus for Notebook {
    fn publish(&self, publication: Publication) -> Acceptance {
        self.published.lock().unwrap().push(publication);
        self.answers.lock().unwrap().pop_front().unwrap_or(Acceptance::Ready(Ok(())))
    }

    fn subscribe(&self, _: Consumer) -> BoxFuture<'static, Result<Deliveries, SubscribeError>> {
        Box::pin(std::future::ready(Err(SubscribeError::Unavailable("a notebook".into()))))
    }

    fn max_payload(&self) -> usize {
        200
    }
}

fn outbox(bus: &Arc<Notebook>) -> Outbox {
    let options = OutboxOptions { bus: bus.clone(), node: "etl".into(), subject: "s.etl".into(), max_outputs: 3 };
    Outbox::new(Arc::new(options), origin("s.clean"))
}

fn origin(subject: &str) -> Origin {
    Origin {
        delivery: DeliveryId { stream: "s".into(), sequence: 1205 },
        subject: subject.into(),
        attempt: 1,
        request_id: "r".into(),
        payload: Some(payload("in hand")),
        traceparent: Some("00-1-2-01".into()),
        deadline: None,
    }
}

fn payload(text: &str) -> Payload {
    Payload { type_url: "type.googleapis.com/T".into(), data: Bytes::copy_from_slice(text.as_bytes()) }
}

fn sent(bus: &Notebook) -> Vec<(String, String, Message)> {
    let published = std::mem::take(&mut *bus.published.lock().unwrap());
    let read = |p: Publication| (p.subject.to_string(), p.id.unwrap_or_default(), Message::decode(p.payload).unwrap());
    published.into_iter().map(read).collect()
}

#[test]
fn outputs_go_to_the_node_s_subject_or_its_channel_under_ids_that_name_the_delivery() {
    let bus = Arc::new(Notebook::default());
    let outbox = outbox(&bus);
    outbox.send(payload("a"), OutputType::Ok, None).unwrap();
    outbox.send(payload("b"), OutputType::EarlyReply, Some("repairs")).unwrap();
    outbox.relay(OutputType::EarlyExit, None).unwrap();
    assert_eq!(outbox.sent(), 3);
    assert_eq!(bus.published.lock().unwrap()[0].headers.get("traceparent"), Some("00-1-2-01"));
    let message = |text, message_type| Message {
        request_id: "r".into(),
        from_node: "etl".into(),
        message_type,
        payload: Some(payload(text)),
        error: String::new(),
    };
    let wanted = [
        ("s.etl".into(), "s/1205/etl/0".into(), message("a", MessageType::Ok)),
        ("s.etl.repairs".into(), "s/1205/etl/1".into(), message("b", MessageType::EarlyReply)),
        ("s.etl".into(), "s/1205/etl/2".into(), message("in hand", MessageType::EarlyExit)),
    ];
    assert_eq!(sent(&bus), wanted);
}

#[test]
fn an_error_goes_to_the_default_subject_even_after_the_handler_is_over() {
    let bus = Arc::new(Notebook::default());
    let outbox = outbox(&bus);
    outbox.close();
    assert_eq!(outbox.send(payload("late"), OutputType::Ok, None), Err(SendError::NoMessage));
    assert_eq!(outbox.relay(OutputType::Ok, None), Err(SendError::NoMessage));
    outbox.send_error("no luck").unwrap();
    let [(subject, id, message)] = &sent(&bus)[..] else { panic!("one message") };
    assert_eq!((&**subject, &**id), ("s.etl", "s/1205/etl/error"));
    assert_eq!((message.message_type, &*message.error, &message.payload), (MessageType::Error, "no luck", &None));
}

#[test]
fn what_cannot_be_sent_is_refused_and_does_not_count() {
    let bus = Arc::new(Notebook::default());
    let outbox = outbox(&bus);
    for channel in ["", "a.b", "*", "a>", "a b", "a\n"] {
        let refused = outbox.send(payload("a"), OutputType::Ok, Some(channel));
        assert_eq!(refused, Err(SendError::InvalidChannel(channel.into())));
    }
    for type_url in ["", "type.googleapis.com/", "a/b c"] {
        let nameless = Payload { type_url: type_url.into(), data: Bytes::new() };
        let refused = outbox.send(nameless, OutputType::Ok, None);
        assert_eq!(refused, Err(SendError::InvalidTypeUrl(type_url.into())));
    }
    let noise: Vec<u8> = (0..255_u8).map(|n| n.wrapping_mul(173)).collect();
    let large = Payload { data: noise.into(), ..payload("") };
    assert_eq!(outbox.send(large, OutputType::Ok, None), Err(SendError::TooLarge { limit: 200 }));
    assert_eq!((outbox.sent(), sent(&bus).len()), (0, 0));
    for _ in 0..3 {
        outbox.send(payload("a"), OutputType::Ok, None).unwrap();
    }
    assert_eq!(outbox.send(payload("a"), OutputType::Ok, None), Err(SendError::TooMany { limit: 3 }));
    assert_eq!(sent(&bus).len(), 3);
}

#[tokio::test]
async fn acceptance_waits_for_every_output_and_tells_the_first_failure() {
    let bus = Arc::new(Notebook::default());
    let (tell, told) = tokio::sync::oneshot::channel::<()>();
    let later = Box::pin(async move {
        told.await.expect("told");
        Err(PublishError::Full)
    });
    bus.answers.lock().unwrap().extend([Acceptance::Ready(Ok(())), Acceptance::Pending(later)]);
    let outbox = outbox(&bus);
    for _ in 0..3 {
        outbox.send(payload("a"), OutputType::Ok, None).unwrap();
    }
    let mut accepted = Box::pin(outbox.accepted());
    assert!(futures::poll!(&mut accepted).is_pending());
    tell.send(()).unwrap();
    assert_eq!(accepted.await, Err(PublishError::Full));
    assert_eq!(outbox.accepted().await, Ok(()), "each failure is told once");
}

#[test]
fn the_channel_is_what_follows_the_origin_s_subject() {
    let channel = |stream: &str, subject: &str| {
        let delivery = DeliveryId { stream: stream.into(), sequence: 1 };
        Origin { delivery, ..origin(subject) }.channel().map(str::to_owned)
    };
    assert_eq!(channel("s", "s.etl"), None);
    assert_eq!(channel("s", "s.etl.repairs").as_deref(), Some("repairs"));
    assert_eq!(channel("r.1_v_M", "r.1_v_M.etl"), None);
    assert_eq!(channel("r.1_v_M", "r.1_v_M.etl.repairs").as_deref(), Some("repairs"));
    assert_eq!(channel("s", "elsewhere.etl.repairs"), None);
}

#[test]
fn numbers_are_written_as_everybody_writes_them() {
    for number in [0, 9, 10, 1205, u64::MAX] {
        assert_eq!(Decimal::new(number).as_str(), number.to_string());
    }
}
