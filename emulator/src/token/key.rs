//! The pair of RSA keys behind CLI and web tokens.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use jsonwebtoken::{DecodingKey, EncodingKey};

/// Why there is no key, or no signature.
pub(crate) type KeyError = Box<dyn Error + Send + Sync>;

/// The pair of RSA keys behind the tokens.
pub(crate) struct Key {
    pub(super) private: EncodingKey,
    pub(super) public: DecodingKey,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(RS256)")
    }
}

impl Key {
    /// Makes a 2048-bit pair, once for the process: it takes a tenth of a second of pure
    /// computing, and a token is bound to its emulator by its `jti` anyway.
    pub(super) fn shared() -> Result<Arc<Self>, KeyError> {
        static SHARED: Mutex<Option<Arc<Key>>> = Mutex::new(None);
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = &*shared {
            return Ok(Arc::clone(key));
        }
        let pair = rcgen::KeyPair::generate_rsa_for(
            &rcgen::PKCS_RSA_SHA256,
            rcgen::RsaKeySize::_2048,
        )?;
        let private = pkcs1(pair.serialized_der()).ok_or("unexpected form of the RSA key")?;
        let key = Arc::new(Self {
            private: EncodingKey::from_rsa_der(private),
            public: DecodingKey::from_rsa_der(pair.public_key_raw()),
        });
        *shared = Some(Arc::clone(&key));
        Ok(key)
    }
}

/// The RSAPrivateKey (RFC 8017) inside a PKCS #8 envelope (RFC 5208), which is what the JWT
/// library loads. For a 2048-bit key everything before it has a fixed length.
fn pkcs1(pkcs8: &[u8]) -> Option<&[u8]> {
    const ENVELOPE: usize = 4; // SEQUENCE, length in two bytes
    const VERSION: usize = 3; // INTEGER 0
    const ALGORITHM: usize = 15; // rsaEncryption, NULL
    let octets = pkcs8.get(ENVELOPE + VERSION + ALGORITHM..)?;
    let [0x04, 0x82, high, low, key @ ..] = octets else {
        return None;
    };
    (usize::from(*high) << 8 | usize::from(*low) == key.len()).then_some(key)
}
