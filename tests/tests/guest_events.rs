//! What `krt run` says while it runs: the ready event, and a line for every request when asked.

use e2e::running::Running;

#[test]
fn every_request_is_an_event_when_asked_for() {
    let version = e2e::built("tests/guests/line");
    let mut running = Running::start(version.path(), &["--requests"]);
    let (code, _, errors) = running.call(&["Echo", "{}", "--count", "200", "--concurrency", "20", "--quiet"]);
    assert_eq!(code, 0, "{errors}");
    for _ in 0..200 {
        let event = running.next_event();
        assert_eq!(
            (&event["event"], &event["method"], &event["status"]),
            (&"request".into(), &"Echo".into(), &"OK".into())
        );
        assert!(event["microseconds"].as_u64().is_some_and(|micros| micros > 0), "{event}");
    }
    assert!(running.stop().success());
}
