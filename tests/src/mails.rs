//! The messages of the guests that work for a long time, as their mail.proto has them. Asserts nothing.

/// Its type, as payloads name it.
pub const MAIL: &str = "type.googleapis.com/mails.Mail";

/// A mail.
#[allow(missing_docs, reason = "mail.proto says it")]
#[derive(Clone, PartialEq, prost::Message)]
pub struct Mail {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(string, tag = "2")]
    pub from: String,
    #[prost(string, repeated, tag = "3")]
    pub to: Vec<String>,
    #[prost(string, tag = "4")]
    pub subject: String,
    #[prost(string, tag = "5")]
    pub body: String,
    #[prost(string, repeated, tag = "6")]
    pub labels: Vec<String>,
}

/// One with some `body` bytes.
pub fn mail(body: usize) -> Mail {
    Mail {
        id: "7c9e6679-7425-40de-944b-e07fc1f90ae7".into(),
        from: "ada@example.com".into(),
        to: vec!["bob@example.com".into(), "eve@example.com".into()],
        subject: "the engine".into(),
        body: "é".repeat(body / 2),
        labels: vec!["inbox".into()],
    }
}
