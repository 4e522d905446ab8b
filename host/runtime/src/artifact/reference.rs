//! Where a package is stored away from this machine: `nats://BUCKET/SHA256` or `oci://HOST/REPOSITORY`. Pure.

use std::fmt;
use std::str::FromStr;

/// Longer than any that a store takes.
const LONGEST: usize = 512;

/// Hexadecimal digits of SHA-256.
const HEX: usize = 64;

/// A SHA-256, as 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(String);

/// Where a package is stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// In an object store of NATS, by the archive's digest.
    Nats {
        /// The object store.
        bucket: String,
        /// Of the archive.
        digest: Digest,
    },
    /// In a registry, as an OCI artifact.
    Oci(OciReference),
}

/// An artifact in a registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OciReference {
    /// `host` or `host:port`.
    pub registry: String,
    /// Path of the repository.
    pub repository: String,
    /// A name for one of its artifacts, which may come to mean another.
    pub tag: Option<String>,
    /// Of the artifact's manifest, which names the archive by its digest.
    pub digest: Option<Digest>,
}

/// Why a text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no reference to a package: {help}")]
pub struct ReferenceError {
    text: String,
    help: &'static str,
}

impl Digest {
    /// Of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self::from_hash(sha2::Sha256::digest(bytes).as_slice())
    }

    /// What a hasher came to.
    pub(super) fn from_hash(hash: &[u8]) -> Self {
        Self(hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The 64 digits.
    pub fn hex(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = ReferenceError;

    /// From 64 digits, with or without `sha256:` before them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if hex.len() == HEX && hex.bytes().all(is_digit) {
            return Ok(Self(hex.to_owned()));
        }
        Err(refused(text, "a digest is the 64 lower-case hexadecimal digits of a SHA-256"))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

impl Reference {
    /// Whether `text` is meant as a reference, not as a path on this machine.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with("nats://") || text.starts_with("oci://")
    }

    /// Whether it can only ever mean one package.
    pub fn is_pinned(&self) -> bool {
        match self {
            Self::Nats { .. } => true,
            Self::Oci(oci) => oci.digest.is_some(),
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(rest) = text.strip_prefix("nats://") {
            let (bucket, digest) =
                rest.split_once('/').ok_or_else(|| refused(text, "expected nats://BUCKET/SHA256"))?;
            if !is_bucket(bucket) {
                return Err(refused(text, "a bucket's name has letters, digits, `-` and `_`"));
            }
            return Ok(Self::Nats { bucket: bucket.to_owned(), digest: digest.parse()? });
        }
        text.parse().map(Self::Oci)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nats { bucket, digest } => write!(f, "nats://{bucket}/{}", digest.hex()),
            Self::Oci(oci) => oci.fmt(f),
        }
    }
}

impl FromStr for OciReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "expected oci://HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGEST]";
        let rest = text.strip_prefix("oci://").filter(|_| text.len() <= LONGEST);
        let rest = rest.ok_or_else(|| refused(text, expected))?;
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (rest, None),
        };
        let (registry, path) = rest.split_once('/').ok_or_else(|| refused(text, expected))?;
        let (repository, tag) = match path.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (path, None),
        };
        let is_fine = is_registry(registry) && repository.split('/').all(is_component) && tag.is_none_or(is_tag);
        if !is_fine {
            return Err(refused(text, expected));
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

impl fmt::Display for OciReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

fn refused(text: &str, help: &'static str) -> ReferenceError {
    ReferenceError { text: text.chars().take(LONGEST).collect(), help }
}

/// What NATS takes as the name of an object store.
pub(super) fn is_bucket(name: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    !name.is_empty() && name.len() <= 255 && name.bytes().all(known)
}

/// A host with or without a port; an IPv6 address stands in brackets.
fn is_registry(text: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':' | b'[' | b']');
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    !host.is_empty() && host.bytes().all(known) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn is_component(text: &str) -> bool {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_');
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    text.bytes().all(known) && edge(text.bytes().next()) && edge(text.bytes().last())
}

fn is_tag(text: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    !text.is_empty() && text.len() <= 128 && text.bytes().all(known) && !text.starts_with(['-', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn references_are_read_and_written_alike() {
        for text in [
            format!("nats://packages_kre/{HEX}"),
            "oci://registry.example/team/classificator:v1".to_owned(),
            format!("oci://127.0.0.1:5000/a.b/c_d-e@sha256:{HEX}"),
            format!("oci://[::1]:5000/a:v1@sha256:{HEX}"),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), text);
            assert_eq!(reference.is_pinned(), text.contains(HEX), "{text}");
        }
        let oci: OciReference = "oci://[::1]/a".parse().unwrap();
        assert_eq!((oci.registry.as_str(), oci.tag, oci.digest), ("[::1]", None, None));
    }

    #[test]
    fn what_would_lead_elsewhere_is_no_reference() {
        let long = format!("oci://h/{}", "a".repeat(600));
        for text in [
            "nats://packages",
            "nats:///x",
            "nats://a.b/0123",
            "nats://a/0123456789ABCDEF",
            "oci://host",
            "oci:///a",
            "oci://host/",
            "oci://host/A",
            "oci://host/a//b",
            "oci://host/../a",
            "oci://host/a:",
            "oci://host/a:b/c",
            "oci://host/a@sha256:1",
            "oci://user@host/a",
            "oci://ho st/a",
            "oci://host:99999/a",
            "folder",
            &long,
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
        assert!(!Reference::is_meant("nats") && Reference::is_meant("oci://"));
    }
}
