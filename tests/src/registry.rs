//! A registry for OCI artifacts, the distribution's, on a free port of loopback.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::{skipped, workspace};

/// Who may use a registry that asks: `user` with this password. bcrypt's own test vector, which is hashed below.
pub const PASSWORD: &str = "U*U";
const HTPASSWD: &str = "user:$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n";

/// One registry; ended on drop, its artifacts removed.
pub struct Registry {
    child: Child,
    host: String,
    _folder: tempfile::TempDir,
}

impl Registry {
    /// An empty one that everybody may use. None, and said so, where there is none to be had.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start() -> Option<Self> {
        Self::configured("")
    }

    /// An empty one that asks for [`PASSWORD`].
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn guarded() -> Option<Self> {
        Self::configured("auth: { htpasswd: { realm: test, path: htpasswd } }\n")
    }

    fn configured(more: &str) -> Option<Self> {
        let script = Command::new(workspace().join("scripts/registry.sh")).output().expect("the script starts");
        if !script.status.success() {
            skipped(&format!("there is no registry: {}", String::from_utf8_lossy(&script.stderr)));
            return None;
        }
        let folder = tempfile::Builder::new().prefix("krt-registry-").tempdir().expect("a temporary folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
        write("htpasswd", HTPASSWD);
        write(
            "config.yml",
            &format!(
                "version: 0.1\nlog: {{ level: info }}\nstorage: {{ filesystem: {{ rootdirectory: ./data }} }}\n\
                 http: {{ addr: '127.0.0.1:0', secret: test }}\n{more}"
            ),
        );
        let mut child = Command::new(String::from_utf8_lossy(&script.stdout).trim())
            .args(["serve", "config.yml"])
            .current_dir(folder.path())
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the registry starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped"));
        let host = loop {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).expect("readable") > 0, "the registry ended before it was ready");
            if let Some((_, rest)) = line.split_once("listening on ") {
                break rest.split(['"', ' ', '\n']).next().unwrap_or_default().to_owned();
            }
        };
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Some(Self { child, host, _folder: folder })
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// A folder with a `config.json` for docker's clients that says `password`.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn credentials(&self, folder: &Path, password: &str) {
        let config = serde_json::json!({ "auths": { &self.host: { "username": "user", "password": password } } });
        std::fs::write(folder.join("config.json"), config.to_string()).expect("written");
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // Already gone when it failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
