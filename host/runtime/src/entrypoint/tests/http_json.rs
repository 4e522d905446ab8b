//! The web front end, without a socket; and JSON by itself.

use std::time::Duration;

use axum::body::Body;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::fixture::{Fixture, SOURCE, With, proto};
use crate::entrypoint::{Limits, json as message_json, web};
use crate::message::{Message, MessageType};

async fn ask(fixture: &Fixture, request: Request<Body>) -> (StatusCode, String) {
    fixture.bind();
    let response: Response<Body> = web::router(fixture.entrypoint.state.clone()).oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

async fn get(fixture: &Fixture, path: &str) -> (StatusCode, String) {
    ask(fixture, Request::get(path).body(Body::empty()).unwrap()).await
}

async fn post(fixture: &Fixture, path: &str, body: &str) -> (StatusCode, Value) {
    // What curl -d sends.
    let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    let (status, text) = ask(fixture, request.body(Body::from(body.to_owned())).unwrap()).await;
    (status, serde_json::from_str(&text).unwrap())
}

#[tokio::test]
async fn json_goes_in_and_out_by_the_long_and_the_short_path() {
    let fixture = With::echo().build();
    let body = r#"{"subject": "hello", "score": "9007199254740993"}"#;
    for path in ["/main.Entrypoint/Classificator", "/Entrypoint/Classificator"] {
        let (status, answer) = post(&fixture, path, body).await;
        assert_eq!((status, &answer), (StatusCode::OK, &json!({"subject": "hello", "score": "9007199254740993"})));
    }
    assert_eq!(post(&fixture, "/Entrypoint/Classificator", "").await, (StatusCode::OK, json!({})));
}

#[tokio::test]
async fn mistakes_in_json_have_a_position_and_the_fields_there_are() {
    let fixture = With::echo().build();
    let (status, answer) = post(&fixture, "/Entrypoint/Classificator", "{\n  \"subjekt\": 1}").await;
    assert_eq!(
        (status, &answer["code"], &answer["status"]),
        (StatusCode::BAD_REQUEST, &json!(3), &json!("INVALID_ARGUMENT"))
    );
    assert_eq!(
        answer["message"],
        "line 2, column 3: main.Request has no field \"subjekt\"; \
         did you mean \"subject\"? main.Request has the fields subject, score, sender"
    );
}

#[tokio::test]
async fn failures_are_json_with_a_fitting_status() {
    let fixture = With::answers(|request| {
        vec![Message { message_type: MessageType::Error, payload: None, error: "no luck".into(), ..request }]
    });
    let fixture = fixture.build();
    let (status, answer) = post(&fixture, "/Entrypoint/Classificator", "{}").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer, json!({"code": 13, "status": "INTERNAL", "message": "no luck"}));
    assert_eq!(post(&fixture, "/Entrypoint/Idle", "{}").await.0, StatusCode::NOT_IMPLEMENTED);
    let (status, answer) = post(&fixture, "/Entrypoint/Nonsense", "{}").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(answer["message"], "no such method; there are /main.Entrypoint/Classificator");
    assert_eq!(get(&fixture, "/nothing").await.0, StatusCode::NOT_FOUND);
    let metrics = fixture.metrics.encode();
    assert!(metrics.contains("krt_calls_total{method=\"Classificator\",status=\"INTERNAL\"} 1"), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_may_stand_in_the_query() {
    let fixture = With::silence().build();
    let begin = tokio::time::Instant::now();
    let (status, _) = post(&fixture, "/Entrypoint/Classificator?timeout=250ms", "{}").await;
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
    assert!(begin.elapsed() >= Duration::from_millis(250) && begin.elapsed() < Duration::from_millis(350));
    let (status, _) = post(&fixture, "/Entrypoint/Classificator?timeout=soon", "{}").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn bodies_of_other_types_other_origins_and_other_sizes_are_refused() {
    let fixture = With::echo().limits(Limits { max_message: 100, ..Limits::default() }).build();
    let request = |name: &str, value: &str, body: String| {
        let request = Request::post("/Entrypoint/Classificator").header("host", "localhost:8080");
        request.header(name, value).body(Body::from(body)).unwrap()
    };
    let small = || "{}".to_owned();
    let large = format!("{{\"subject\": \"{}\"}}", "x".repeat(100));
    for (name, value, body, expected) in [
        ("content-type", "text/plain", small(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("content-type", "application/json; charset=utf-8", small(), StatusCode::OK),
        ("content-type", "application/json", large, StatusCode::PAYLOAD_TOO_LARGE),
        ("origin", "http://evil.example", small(), StatusCode::FORBIDDEN),
        ("origin", "null", small(), StatusCode::FORBIDDEN),
        ("origin", "http://localhost:8080", small(), StatusCode::OK),
    ] {
        assert_eq!(ask(&fixture, request(name, value, body)).await.0, expected, "{name}: {value}");
    }
}

#[tokio::test]
async fn deeply_nested_json_is_an_error_and_not_a_crash() {
    let fixture = With::echo().build();
    let deep = format!("{{\"sender\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(post(&fixture, "/Entrypoint/Classificator", &deep).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_pages_show_the_version_its_graph_and_its_protos() {
    let fixture = With::echo().build();
    let (status, page) = get(&fixture, "/").await;
    assert_eq!(status, StatusCode::OK);
    for text in ["v1", "A &lt;test&gt;", "not ready", "classify", PATH_IN_PAGE, "etl", "/proto/public_input.proto"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert_eq!(get(&fixture, "/proto/public_input.proto").await, (StatusCode::OK, SOURCE.into()));
    assert!(get(&fixture, "/proto/").await.1.contains("public_input.proto"));
    for path in ["/proto/other.proto", "/proto/../Cargo.toml", "/proto/%2e%2e%2fCargo.toml"] {
        assert_eq!(get(&fixture, path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(get(&fixture, "/live").await.0, StatusCode::OK);
    assert_eq!(get(&fixture, "/ready").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert!(get(&fixture, "/metrics").await.1.ends_with("# EOF\n"));
}

const PATH_IN_PAGE: &str = "localhost:8080/main.Entrypoint/Classificator";

#[test]
fn a_template_has_every_field() {
    let request = proto().pool.get_message_by_name("main.Request").unwrap();
    let template = message_json::template(&request);
    assert_eq!(template, r#"{"subject": "", "score": "0", "sender": {"address": ""}}"#);
    message_json::parse(&request, template.as_bytes()).unwrap();
}

#[test]
fn an_unknown_field_deep_inside_names_its_own_message() {
    let request = proto().pool.get_message_by_name("main.Request").unwrap();
    let error = message_json::parse(&request, br#"{"sender": {"adress": "a"}}"#).unwrap_err();
    assert!(error.to_string().contains("main.Sender has no field \"adress\"; did you mean \"address\"?"), "{error}");
    let error = message_json::parse(&request, br#"{"score": true}"#).unwrap_err();
    assert!(error.line == 1 && error.column > 0, "{error}");
    let error = message_json::parse(&request, b"{} {}").unwrap_err();
    assert!(error.message.contains("trailing"), "{error}");
}
