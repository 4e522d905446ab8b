//! A server that takes what is written to InfluxDB, and remembers it. Understands no more of HTTP than that needs.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// A server on a free port; its threads end with the process.
pub struct Influx {
    port: u16,
    lines: Receiver<(String, String)>,
}

impl Influx {
    /// Listens.
    ///
    /// # Panics
    /// When it cannot.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sender = sender.clone();
                std::thread::spawn(move || serve(stream, &sender));
            }
        });
        Self { port, lines }
    }

    /// `http://user:geheim@127.0.0.1:PORT`.
    pub fn uri(&self) -> String {
        format!("http://user:geheim@127.0.0.1:{}", self.port)
    }

    /// The next line that `wanted` holds of, and the path and query it was posted to.
    ///
    /// # Panics
    /// When none comes within 20 s.
    pub fn line(&self, wanted: impl Fn(&str) -> bool) -> (String, String) {
        loop {
            let next = self.lines.recv_timeout(Duration::from_secs(20)).expect("a line in time");
            if wanted(&next.1) {
                return next;
            }
        }
    }
}

/// None when the other side is done.
fn serve(stream: TcpStream, lines: &Sender<(String, String)>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let mut first = String::new();
        reader.read_line(&mut first).ok()?;
        let path = first.strip_prefix("POST ")?.split(' ').next()?.to_owned();
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            match header.to_lowercase().split_once(':') {
                Some(("content-length", value)) => length = value.trim().parse().ok()?,
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        for line in String::from_utf8(body).ok()?.lines() {
            lines.send((path.clone(), line.to_owned())).ok()?;
        }
        writer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok()?;
    }
}
