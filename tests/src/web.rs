//! The web port of a process: one request, its whole answer as text.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// `GET path` at `HOST:PORT`: status line, headers and body.
///
/// # Panics
/// Nobody listens there, or the answer is no text.
pub async fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("the web listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: krt\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("text");
    text
}
