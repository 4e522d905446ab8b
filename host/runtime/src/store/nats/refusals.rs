//! What the server does not permit. It says so beside the answers, naming the subject, and the request that broke the rule
//! is never answered. Never decides what is permitted.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::store::StoreError;

/// Refusals kept for operations that are slow to look. Who misses one waits for its own time limit.
const KEPT: usize = 64;

/// The server's words on permissions, as whoever made the connection hears them.
#[derive(Debug, Clone)]
pub struct Refusals(broadcast::Sender<Arc<str>>);

impl Default for Refusals {
    fn default() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }
}

impl Refusals {
    /// Passes on an error of the server's. What does not speak of permissions is nobody's refusal and does no harm.
    pub fn hear(&self, text: &str) {
        // Nobody may be waiting.
        let _ = self.0.send(text.into());
    }

    /// The output of `operation`, unless the server does not permit to publish on `subject` meanwhile.
    pub(super) async fn or_denied<T>(
        &self,
        subject: String,
        operation: impl IntoFuture<Output = T>,
    ) -> Result<T, StoreError> {
        let mut words = self.0.subscribe();
        tokio::select! {
            // An answer that is there counts, whatever was said to others.
            biased;
            output = operation.into_future() => Ok(output),
            text = refusal(&mut words, &subject) => Err(StoreError::Denied(text.to_string())),
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
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            // `self` holds a sender: it does not come to this.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}
