//! Detached signatures over packages, as `cosign sign-blob` and `openssl dgst -sha256 -sign` write them: ECDSA on P-256 over
//! SHA-256. Verified before anything of a package is read. Never signs.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use tokio_rustls::rustls::pki_types::SubjectPublicKeyInfoDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use super::Archive;

/// Bytes of a signed package: the signature is verified over all of it at once.
pub const MAX_SIGNED: u64 = 256 << 20;

/// Characters of a signature: DER of two numbers of 32 bytes, in base64, and some space.
const LONGEST: usize = 256;

/// How the DER of every public key on P-256 begins (RFC 5480); 65 bytes of a point follow.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The public key of whoever may sign packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyKey(Vec<u8>);

/// A signature that nobody has verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature(Vec<u8>);

/// Why a package is not taken for signed.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// The key is none of the kind.
    #[error("the public key is no ECDSA key on P-256 in PEM, as `cosign generate-key-pair` writes it")]
    Key,
    /// The signature is none.
    #[error("the signature is no base64 of an ECDSA signature, as `cosign sign-blob` writes it")]
    Malformed,
    /// There is none.
    #[error("the package is not signed")]
    Absent,
    /// It is of other bytes, or of another key.
    #[error("the signature is not that of this package by the given key")]
    Wrong,
    /// More than is verified.
    #[error("a signed package has at most {MAX_SIGNED} bytes")]
    TooLarge,
    /// The disk.
    #[error("reading the package: {0}")]
    Io(#[from] io::Error),
}

impl VerifyKey {
    /// From PEM.
    ///
    /// # Errors
    /// [`SignatureError::Key`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, SignatureError> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| SignatureError::Key)?;
        let point = der.strip_prefix(P256.as_slice()).filter(|point| point.len() == 65);
        point.map(|point| Self(point.to_vec())).ok_or(SignatureError::Key)
    }

    /// Whether `signature` is that of `archive` by this key.
    ///
    /// # Errors
    /// See [`SignatureError`].
    pub fn verify(&self, archive: &mut Archive, signature: Option<&Signature>) -> Result<(), SignatureError> {
        let signature = signature.ok_or(SignatureError::Absent)?;
        if archive.size > MAX_SIGNED {
            return Err(SignatureError::TooLarge);
        }
        let bytes = all(&mut archive.file)?;
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.0);
        key.verify(&bytes, &signature.0).map_err(|_| SignatureError::Wrong)
    }
}

impl Signature {
    /// From base64, with or without space around it.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`].
    pub fn from_text(text: &[u8]) -> Result<Self, SignatureError> {
        let text = text.trim_ascii();
        if text.is_empty() || text.len() > LONGEST {
            return Err(SignatureError::Malformed);
        }
        STANDARD.decode(text).map(Self).map_err(|_| SignatureError::Malformed)
    }

    /// As base64.
    pub fn to_text(&self) -> String {
        STANDARD.encode(&self.0)
    }
}

fn all(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    (&*file).take(MAX_SIGNED + 1).read_to_end(&mut bytes)?;
    file.rewind()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

    use super::*;
    use crate::artifact::stored;

    fn pem(der: &[u8], label: &str) -> String {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    }

    fn archive(bytes: &[u8]) -> Archive {
        use std::io::Write as _;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        stored::read(file).unwrap()
    }

    #[test]
    fn a_signature_holds_for_its_bytes_and_its_key_alone() {
        let random = SystemRandom::new();
        let pair = || {
            let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der.as_ref(), &random).unwrap()
        };
        let public = |pair: &EcdsaKeyPair| {
            let der = [P256.as_slice(), pair.public_key().as_ref()].concat();
            VerifyKey::from_pem(pem(&der, "PUBLIC KEY").as_bytes()).unwrap()
        };
        let (own, other) = (pair(), pair());
        let signed = own.sign(&random, b"package").unwrap();
        let signature = Signature::from_text(format!("{}\n", STANDARD.encode(signed.as_ref())).as_bytes()).unwrap();
        let verify = |key: &EcdsaKeyPair, bytes: &[u8]| public(key).verify(&mut archive(bytes), Some(&signature));
        assert!(verify(&own, b"package").is_ok());
        assert!(matches!(verify(&own, b"packagf"), Err(SignatureError::Wrong)));
        assert!(matches!(verify(&other, b"package"), Err(SignatureError::Wrong)));
        assert!(matches!(public(&own).verify(&mut archive(b"package"), None), Err(SignatureError::Absent)));
    }

    #[test]
    fn what_is_no_key_and_what_is_no_signature_is_told() {
        let rsa = pem(&[0x30; 94], "PUBLIC KEY");
        for text in ["", "text", &pem(&P256, "PUBLIC KEY"), &rsa, &pem(&[0; 91], "PRIVATE KEY")] {
            assert!(matches!(VerifyKey::from_pem(text.as_bytes()), Err(SignatureError::Key)), "{text}");
        }
        for text in ["", " \n", "no base64!", &"A".repeat(400)] {
            assert!(matches!(Signature::from_text(text.as_bytes()), Err(SignatureError::Malformed)), "{text}");
        }
    }
}
