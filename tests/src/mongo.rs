//! A server that speaks MongoDB's protocol, on a free port of loopback: FerretDB with SQLite, built by a script.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::script;

/// One server; ended on drop, its documents removed.
pub struct Mongo {
    child: Child,
    uri: String,
    _folder: tempfile::TempDir,
}

impl Mongo {
    /// An empty one. None, and said so, where there is none to be had.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start() -> Option<Self> {
        let program = script(&["ferretdb.sh"], "ferretdb could not be built")?;
        let folder = tempfile::Builder::new().prefix("krt-mongo-").tempdir().expect("a temporary folder");
        let mut child = Command::new(program)
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("ferretdb starts");
        let mut uri = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut uri).expect("readable");
        assert!(uri.starts_with("mongodb://"), "ferretdb says where it is: {uri:?}");
        Some(Self { child, uri: uri.trim().to_owned(), _folder: folder })
    }

    /// `mongodb://127.0.0.1:PORT/`.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        // Already gone: as wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Mongo {
    fn drop(&mut self) {
        self.kill();
    }
}
