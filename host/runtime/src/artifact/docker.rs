//! Who one is at a registry, as docker's `config.json` says it. Never shows a password.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_client::secrets::RegistryAuth;
use serde::Deserialize;

/// Who one is at registries.
#[derive(Clone, Default)]
pub struct Credentials {
    known: BTreeMap<String, (String, String)>,
}

/// Why a file says nothing about it.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// No `config.json`.
    #[error("it is not what docker writes: {0}")]
    Format(#[from] serde_json::Error),
    /// What is said of a registry cannot be read.
    #[error("what it says of {0} is no base64 of a user and a password")]
    Auth(String),
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

#[derive(Deserialize)]
struct Auth {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
}

impl Credentials {
    /// From the text of a `config.json`. Programs that keep credentials (`credHelpers`) are not asked: registries they know
    /// are strangers here.
    ///
    /// # Errors
    /// See [`CredentialsError`].
    pub fn from_json(json: &[u8]) -> Result<Self, CredentialsError> {
        let config: Config = serde_json::from_slice(json)?;
        let mut known = BTreeMap::new();
        for (registry, auth) in config.auths {
            let pair = if auth.auth.is_empty() {
                (auth.username, auth.password)
            } else {
                decoded(&auth.auth).ok_or_else(|| CredentialsError::Auth(registry.clone()))?
            };
            if !pair.0.is_empty() {
                known.insert(host(&registry).to_owned(), pair);
            }
        }
        Ok(Self { known })
    }

    pub(super) fn of(&self, registry: &str) -> RegistryAuth {
        match self.known.get(registry) {
            Some((user, password)) => RegistryAuth::Basic(user.clone(), password.clone()),
            None => RegistryAuth::Anonymous,
        }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.known.keys()).finish()
    }
}

fn decoded(text: &str) -> Option<(String, String)> {
    let bytes = STANDARD.decode(text.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.trim_end_matches('\0').to_owned()))
}

/// Entries are URLs as often as hosts.
fn host(registry: &str) -> &str {
    let rest = registry.split_once("://").map_or(registry, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_found_by_its_host_however_it_is_written() {
        let json = br#"{"auths":{
            "registry.example:5000": {"auth": "dXNlcjpwYTpzcw=="},
            "https://other.example/v1/": {"username": "u", "password": "p"},
            "helper.example": {}
        }, "credsStore": "desktop"}"#;
        let credentials = Credentials::from_json(json).unwrap();
        let basic = |user: &str, password: &str| RegistryAuth::Basic(user.to_owned(), password.to_owned());
        assert_eq!(credentials.of("registry.example:5000"), basic("user", "pa:ss"));
        assert_eq!(credentials.of("other.example"), basic("u", "p"));
        assert_eq!(credentials.of("helper.example"), RegistryAuth::Anonymous);
        assert_eq!(credentials.of("registry.example"), RegistryAuth::Anonymous);
        assert!(!format!("{credentials:?}").contains("pa"));
    }

    #[test]
    fn what_docker_did_not_write_is_refused_without_showing_it() {
        assert!(Credentials::from_json(b"no JSON").is_err());
        let error = Credentials::from_json(br#"{"auths":{"r":{"auth":"geheim!"}}}"#).unwrap_err();
        assert!(!error.to_string().contains("geheim"), "{error}");
    }
}
