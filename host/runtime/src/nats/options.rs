//! Where NATS is and who we are there. Reads the files it is told of; never shows a secret.

use std::fmt;
use std::path::{Path, PathBuf};

use async_nats::{ConnectOptions, ServerAddr};

use super::ConnectError;

/// Bytes of a credentials or seed file: far more than any has.
const MAX_FILE: u64 = 64 << 10;

/// How to reach NATS. At most one of credentials, seed, token, and user with password in a URL.
#[derive(Clone, Default)]
pub struct NatsOptions {
    /// One server or several of a cluster: `nats://host:port`, `tls://host:port` or `host:port`; a user and password, or
    /// a token alone, may stand before the host.
    pub urls: Vec<String>,
    /// What the server shows for this connection.
    pub name: Option<String>,
    /// A `.creds` file: JWT and seed.
    pub credentials: Option<PathBuf>,
    /// A file with an nkey seed.
    pub nkey: Option<PathBuf>,
    /// A token.
    pub token: Option<String>,
    /// PEM file of the authorities that the server's certificate may come from; none = the system's. Means TLS.
    pub ca: Option<PathBuf>,
    /// PEM file with this client's certificate; with `key`. Means TLS.
    pub certificate: Option<PathBuf>,
    /// PEM file with the certificate's key.
    pub key: Option<PathBuf>,
}

impl NatsOptions {
    /// The servers, without secrets, and the client's options, with them.
    pub(super) async fn read(&self) -> Result<(Vec<ServerAddr>, ConnectOptions), ConnectError> {
        let mut user: Option<(String, Option<String>)> = None;
        let mut addresses = Vec::new();
        for url in &self.urls {
            // The text of a URL may hold a password: errors name its place only.
            let wrong = || ConnectError::Invalid(format!("NATS URL {} is not nats://HOST:PORT", addresses.len() + 1));
            let mut url = url.trim().parse::<ServerAddr>().map_err(|_| wrong())?.into_inner();
            if !matches!(url.scheme(), "nats" | "tls") || url.host_str().is_none_or(str::is_empty) {
                return Err(wrong());
            }
            if !url.username().is_empty() {
                let password = url.password().map(decoded);
                user.get_or_insert((decoded(url.username()), password));
            }
            // The client ignores what stands there, and would log it.
            let stripped = url.set_username("").and_then(|()| url.set_password(None));
            addresses
                .push(stripped.map_err(|()| wrong()).and_then(|()| ServerAddr::from_url(url).map_err(|_| wrong()))?);
        }
        if addresses.is_empty() {
            return Err(ConnectError::Invalid("no NATS URL is given".to_owned()));
        }
        let ways = [self.credentials.is_some(), self.nkey.is_some(), self.token.is_some(), user.is_some()];
        if ways.iter().filter(|&&given| given).count() > 1 {
            let text = "give one of credentials, nkey, token, and a user in the URL: NATS takes one";
            return Err(ConnectError::Invalid(text.to_owned()));
        }
        let mut options = ConnectOptions::new();
        if let Some(name) = &self.name {
            options = options.name(name);
        }
        if let Some(path) = &self.credentials {
            let text = read(path, "credentials").await?;
            options = options.credentials(&text).map_err(|_| not_a(path, "credentials file"))?;
        } else if let Some(path) = &self.nkey {
            let seed = read(path, "nkey seed").await?.trim().to_owned();
            if !seed.starts_with('S') || seed.len() < 58 || !seed.bytes().all(|b| b.is_ascii_alphanumeric()) {
                return Err(not_a(path, "file with an nkey seed"));
            }
            options = options.nkey(seed);
        } else if let Some(token) = &self.token {
            options = options.token(token.clone());
        } else if let Some((user, password)) = user {
            options = match password {
                Some(password) => options.user_and_password(user, password),
                None => options.token(user),
            };
        }
        options = self.tls(options).await?;
        Ok((addresses, options))
    }

    async fn tls(&self, mut options: ConnectOptions) -> Result<ConnectOptions, ConnectError> {
        for path in [&self.ca, &self.certificate, &self.key].into_iter().flatten() {
            read(path, "PEM").await?;
        }
        if let Some(ca) = &self.ca {
            options = options.add_root_certificates(ca.clone());
        }
        match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                options = options.add_client_certificate(certificate.clone(), key.clone())
            }
            (None, None) => {}
            _ => return Err(ConnectError::Invalid("a client certificate and its key go together".to_owned())),
        }
        // Never in the clear by a server's word alone.
        Ok(options.require_tls(self.ca.is_some() || self.certificate.is_some()))
    }
}

impl fmt::Debug for NatsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsOptions")
            .field("servers", &self.urls.len())
            .field("name", &self.name)
            .field("credentials", &self.credentials)
            .field("nkey", &self.nkey)
            .field("token", &self.token.is_some())
            .field("ca", &self.ca)
            .field("certificate", &self.certificate)
            .field("key", &self.key)
            .finish()
    }
}

async fn read(path: &Path, what: &str) -> Result<String, ConnectError> {
    let wrong = |reason: String| ConnectError::Invalid(format!("{what} file {}: {reason}", path.display()));
    let size = tokio::fs::metadata(path).await.map_err(|error| wrong(error.to_string()))?.len();
    if size > MAX_FILE {
        return Err(wrong(format!("{size} bytes are too many")));
    }
    tokio::fs::read_to_string(path).await.map_err(|error| wrong(error.to_string()))
}

fn not_a(path: &Path, what: &str) -> ConnectError {
    ConnectError::Invalid(format!("{} is not a {what}", path.display()))
}

/// A part of a URL with its %-escapes resolved.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let escaped = (bytes[index] == b'%').then(|| text.get(index + 1..index + 3)).flatten();
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                index += 3;
            }
            None => {
                plain.push(bytes[index]);
                index += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(urls: &[&str]) -> NatsOptions {
        NatsOptions { urls: urls.iter().map(ToString::to_string).collect(), ..NatsOptions::default() }
    }

    #[tokio::test]
    async fn what_is_no_url_of_nats_is_told_without_its_text() {
        for url in ["http://geheim@h", "nats://", "ws://h:1", "nats://u:geheim@:4222", "a b", ""] {
            let error = urls(&["nats://h", url]).read().await.err();
            let Some(ConnectError::Invalid(text)) = error else { panic!("{url:?}: {error:?}") };
            assert!(text.contains("URL 2") && !text.contains("geheim"), "{url:?}: {text}");
        }
        assert!(matches!(urls(&[]).read().await, Err(ConnectError::Invalid(_))));
    }

    #[tokio::test]
    async fn secrets_of_a_url_do_not_stay_in_the_address() {
        let (addresses, _) = urls(&["nats://us%65r:p%40ss@h:1", "tls://h2", "h3:4"]).read().await.unwrap();
        let shown: Vec<_> = addresses.iter().map(ServerAddr::as_url_str).collect();
        assert!(shown.iter().all(|url| !url.contains('@')), "{shown:?}");
        assert_eq!(super::super::names(&addresses), "h:1, h2:4222, h3:4");
        assert_eq!((decoded("us%65r").as_str(), decoded("p%40ss%").as_str()), ("user", "p@ss%"));
    }

    #[tokio::test]
    async fn two_ways_to_say_who_we_are_are_wrong() {
        let options = NatsOptions { token: Some("geheim".to_owned()), ..urls(&["nats://u:p@h"]) };
        assert!(matches!(options.read().await, Err(ConnectError::Invalid(_))));
        assert!(!format!("{options:?}").contains("geheim"));
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_told_by_name() {
        for options in [
            NatsOptions { credentials: Some("/no/such.creds".into()), ..urls(&["h"]) },
            NatsOptions { nkey: Some("/no/such.nk".into()), ..urls(&["h"]) },
            NatsOptions { ca: Some("/no/such.pem".into()), ..urls(&["h"]) },
        ] {
            let Err(ConnectError::Invalid(text)) = options.read().await else { panic!("{options:?}") };
            assert!(text.contains("/no/such."), "{text}");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_no_seed_is_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seed");
        std::fs::write(&path, "geheim").unwrap();
        for options in [
            NatsOptions { nkey: Some(path.clone()), ..urls(&["h"]) },
            NatsOptions { credentials: Some(path.clone()), ..urls(&["h"]) },
        ] {
            let Err(ConnectError::Invalid(text)) = options.read().await else { panic!("{options:?}") };
            assert!(!text.contains("geheim"), "{text}");
        }
    }
}
