//! Encrypts what the store holds, and names its records.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use mwaa_model::Secret;
use std::fmt;
use zeroize::Zeroizing;

/// The keys of a fleet. The first one encrypts; each of them decrypts.
pub struct FleetKeys(Vec<Key>);

struct Key {
    id: [u8; ID],
    secret: RandomizedNonceKey,
}

impl fmt::Debug for FleetKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FleetKeys({})", self.0.len())
    }
}

/// A key file that holds no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "it must hold 32 bytes in base64, or exactly 32 bytes; a second line may hold the previous key"
)]
pub struct KeyFileError;

/// A value that cannot be opened: it was written with another key, for another record, or is
/// damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a value in the store was not written with the key in fleet.key_file")]
pub struct SealError;

impl FleetKeys {
    /// Reads the content of a key file: one or two lines, each 32 bytes in base64, or exactly 32
    /// bytes.
    pub fn parse(content: &Secret<Vec<u8>>) -> Result<Self, KeyFileError> {
        let content = content.reveal();
        let text = std::str::from_utf8(content).unwrap_or_default();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let lines: Result<Vec<_>, _> = lines
            .map(|line| STANDARD.decode(line).map(Zeroizing::new))
            .collect();

        let keys = match lines {
            // text of that length is no base64 of a key
            Ok(lines) if matches!(lines.len(), 1 | 2) && content.len() != RAW => lines,
            Ok(_) | Err(_) => vec![Zeroizing::new(content.clone())],
        };
        let keys = keys.iter().map(|key| Key::new(key).ok_or(KeyFileError));
        keys.collect::<Result<_, _>>().map(Self)
    }

    /// Encrypts a value. It can be opened only as the value of this record in this version.
    pub fn seal(&self, record: &str, version: &str, value: Secret<Vec<u8>>) -> Vec<u8> {
        // encrypted in place: nothing of the value is left in it
        let mut sealed = Vec::with_capacity(value.reveal().len() + TAG);
        sealed.extend_from_slice(value.reveal());
        drop(value);
        let Some(key) = self.0.first() else {
            return Vec::new();
        };
        let about = Aad::from(describe(record, version));
        // fails for values of 64 GiB
        let Ok(nonce) = key.secret.seal_in_place_append_tag(about, &mut sealed) else {
            return Vec::new();
        };
        [&key.id[..], nonce.as_ref(), &sealed].concat()
    }

    /// Decrypts a value of this record and version.
    pub fn open(
        &self,
        record: &str,
        version: &str,
        sealed: &[u8],
    ) -> Result<Secret<Vec<u8>>, SealError> {
        let (id, rest) = sealed.split_at_checked(ID).ok_or(SealError)?;
        let (nonce, rest) = rest.split_at_checked(NONCE).ok_or(SealError)?;
        let key = self.0.iter().find(|key| key.id == id).ok_or(SealError)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_wrong| SealError)?;
        let about = Aad::from(describe(record, version));

        let mut value = Zeroizing::new(rest.to_vec());
        let opened = key.secret.open_in_place(nonce, about, &mut value);
        let opened = opened.map_err(|_wrong| SealError)?;
        Ok(Secret::new(opened.to_vec()))
    }
}

impl Key {
    fn new(bytes: &[u8]) -> Option<Self> {
        let id = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, bytes), b"key id");
        Some(Self {
            id: id.as_ref().first_chunk().copied()?,
            secret: RandomizedNonceKey::new(&AES_256_GCM, bytes).ok()?,
        })
    }
}

fn describe(record: &str, version: &str) -> String {
    format!("{record} {version}")
}

/// Returns the name of a record: a hash of what it is for. It does not depend on the key, because
/// replicas with the old and the new key must use the same records while a key is replaced.
pub(crate) fn name_record(parts: &[&str]) -> String {
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in parts {
        // the length first, so that no two lists of parts are one text
        hash.update(&part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    let hash = URL_SAFE_NO_PAD.encode(hash.finish());
    format!("mwaa-gateway:{hash}")
}

/// The bytes of a key that is not in base64.
const RAW: usize = 32;
/// The bytes of a key's id, which are the first of each value.
const ID: usize = 4;
/// The bytes that the encryption adds.
const TAG: usize = 16;
/// The bytes of a nonce (NIST SP 800-38D).
const NONCE: usize = 12;
