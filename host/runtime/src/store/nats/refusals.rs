//! What the server does not permit. It says so beside the answers, naming the subject, and the request that broke the rule
//! is never answered. Never decides what is permitted.

use std::sync::Arc;

use tokio::sync::broadcast;

/// The server's words on permissions, as whoever made the connection hears them. By default none are heard.
#[derive(Clone)]
pub struct Refusals(Arc<broadcast::Receiver<Arc<str>>>);

/// Not permitted, in the server's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denied(pub(crate) String);

impl Default for Refusals {
    fn default() -> Self {
        broadcast::channel(1).1.into()
    }
}

impl From<broadcast::Receiver<Arc<str>>> for Refusals {
    /// All that the server says of its own accord; what does not speak of permissions is nobody's refusal.
    fn from(words: broadcast::Receiver<Arc<str>>) -> Self {
        Self(Arc::new(words))
    }
}

impl Refusals {
    /// The output of `operation`, unless the server does not permit to publish on `subject` meanwhile.
    pub(crate) async fn or_denied<T>(
        &self,
        subject: String,
        operation: impl IntoFuture<Output = T>,
    ) -> Result<T, Denied> {
        let mut words = self.0.resubscribe();
        tokio::select! {
            // An answer that is there counts, whatever was said to others.
            biased;
            output = operation.into_future() => Ok(output),
            text = refusal(&mut words, &subject) => Err(Denied(text.to_string())),
        }
    }
}

/// Waits for one that names `subject`: `permissions violation for publish to "<subject>"`, in any case of letters.
async fn refusal(words: &mut broadcast::Receiver<Arc<str>>, subject: &str) -> Arc<str> {
    let quoted = format!("\"{subject}\"").to_lowercase();
    loop {
        match words.recv().await {
            Ok(text) => {
                let lower = text.to_lowercase();
                if lower.contains("permissions violation") && lower.contains(&quoted) {
                    return text;
                }
            }
            // Who misses one waits for its own time limit.
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}
