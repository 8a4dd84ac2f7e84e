//! CLI and web tokens: RS256 JWTs, 60 seconds long, refused wherever they are not for.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::identity::{Holder, Role};
use super::journal::TokenKind;
use super::script::Script;

/// Why there is no key, or no signature.
pub(crate) type KeyError = Box<dyn Error + Send + Sync>;

/// Why a token does not count, as the web server says it.
pub(crate) type Refusal = &'static str;

/// The claims MWAA's tokens have been seen to carry, and an id of our own. What a web token
/// says beside that is a guess by symmetry.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Claims {
    aud: TokenKind,
    exp: u64,
    user: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    jti: String,
}

/// Issues tokens and judges the ones that come back.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    key: OnceCell<Arc<Key>>,
    issued: Mutex<HashMap<String, Issued>>,
}

#[derive(Debug)]
struct Issued {
    environment: String,
    expires: Duration,
    revocations: u64,
    used: bool,
}

impl Tokens {
    /// Waits until the key is there; the first call makes it.
    pub(crate) async fn key(&self) -> Result<&Key, KeyError> {
        let key = self.key.get_or_try_init(async || {
            let made = tokio::task::spawn_blocking(Key::shared).await;
            made.map_err(KeyError::from)?
        });
        key.await.map(Arc::as_ref)
    }

    /// Issues a token, whose life begins now. A CLI token has no holder: all are `root`.
    pub(crate) async fn issue(
        &self,
        holder: Option<&Holder>,
        environment: &str,
        life: Duration,
        script: &Script,
    ) -> Result<String, KeyError> {
        let key = self.key().await?;
        let now = script.clock.since_epoch();
        let expires = now + life;
        let claims = Claims {
            aud: holder.map_or(TokenKind::Cli, |_| TokenKind::Web),
            exp: claimed_end(now, life),
            user: holder.map_or("root", |holder| &holder.identity).to_owned(),
            role: holder.map(|holder| holder.role),
            jti: super::made_up::uuid(),
        };
        let header = Header::new(Algorithm::RS256);
        let token = jsonwebtoken::encode(&header, &claims, &key.private)?;

        let mut issued = self.issued();
        if issued.len() >= REMEMBERED {
            issued.retain(|_, token| token.expires + FORGET_AFTER > now);
        }
        let entry = Issued {
            environment: environment.to_owned(),
            expires,
            revocations: script.revocations(),
            used: false,
        };
        issued.insert(claims.jti, entry);
        Ok(token)
    }

    /// The id of a token that carries our signature, whatever else is wrong with it.
    pub(crate) fn id(&self, token: &str) -> Option<String> {
        self.claims(token).map(|claims| claims.jti)
    }

    /// The environment a token was issued for.
    pub(crate) fn environment(&self, token: &str) -> Option<String> {
        let id = self.id(token)?;
        self.issued()
            .get(&id)
            .map(|token| token.environment.clone())
    }

    /// Judges a web token and returns its user; with `once`, a second use is refused.
    pub(crate) fn redeem(
        &self,
        token: Option<&str>,
        environment: &str,
        once: bool,
        script: &Script,
    ) -> Result<Holder, Refusal> {
        let claims = self.verify(token, TokenKind::Web, environment, script)?;
        let mut issued = self.issued();
        let known = issued.get_mut(&claims.jti).ok_or(INVALID)?;
        if once && std::mem::replace(&mut known.used, true) {
            return Err("token already used");
        }
        Ok(Holder {
            identity: claims.user,
            role: claims.role.ok_or(INVALID)?,
        })
    }

    /// Judges a token as the web server of `environment` does, with no leeway.
    pub(crate) fn verify(
        &self,
        token: Option<&str>,
        kind: TokenKind,
        environment: &str,
        script: &Script,
    ) -> Result<Claims, Refusal> {
        let claims = self.claims(token.ok_or("no token")?).ok_or(INVALID)?;
        let issued = self.issued();
        let known = issued.get(&claims.jti).ok_or(INVALID)?;
        let now = script.clock.since_epoch();
        if claims.aud != kind {
            Err("token is not for this endpoint")
        } else if known.environment != environment {
            Err("token is not for this environment")
        } else if now >= known.expires || now >= Duration::from_secs(claims.exp) {
            Err("token expired")
        } else if known.revocations != script.revocations() {
            Err("token revoked")
        } else {
            Ok(claims)
        }
    }

    /// The claims of a token with our signature. Before the key is made there is none.
    fn claims(&self, token: &str) -> Option<Claims> {
        let key = self.key.get()?;
        let mut validation = Validation::new(Algorithm::RS256);
        // audience and expiry are judged by `verify`, against a clock that a test can move
        validation.validate_exp = false;
        validation.validate_aud = false;
        let data = jsonwebtoken::decode::<Claims>(token, &key.public, &validation).ok()?;
        Some(data.claims)
    }

    fn issued(&self) -> MutexGuard<'_, HashMap<String, Issued>> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The `exp` claim, in seconds since 1970: the second of issue plus the life, as MWAA counts. A
/// life compressed below two seconds is rounded up, or its claim might end before it begins.
fn claimed_end(now: Duration, life: Duration) -> u64 {
    if life < Duration::from_secs(2) {
        let end = now + life;
        end.as_secs() + u64::from(end.subsec_nanos() > 0)
    } else {
        now.as_secs() + life.as_secs()
    }
}

/// The pair of RSA keys behind the tokens.
pub(crate) struct Key {
    private: EncodingKey,
    public: DecodingKey,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(RS256)")
    }
}

impl Key {
    /// Makes a 2048-bit pair, once for the process: it takes a tenth of a second of pure
    /// computing, and a token is bound to its emulator by its `jti` anyway.
    fn shared() -> Result<Arc<Self>, KeyError> {
        static SHARED: Mutex<Option<Arc<Key>>> = Mutex::new(None);
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = &*shared {
            return Ok(Arc::clone(key));
        }
        let size = rcgen::RsaKeySize::_2048;
        let pair = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size)?;
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
    // a sequence with its length in two bytes, the integer 0, and rsaEncryption with NULL
    let octets = pkcs8.get(4 + 3 + 15..)?;
    let [0x04, 0x82, high, low, key @ ..] = octets else {
        return None;
    };
    (usize::from(*high) << 8 | usize::from(*low) == key.len()).then_some(key)
}

const INVALID: Refusal = "invalid token";
/// How many tokens are remembered before the long expired ones are dropped.
const REMEMBERED: usize = 4096;
/// How long an expired token is still distinguished from an unknown one.
const FORGET_AFTER: Duration = Duration::from_hours(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_claims_no_more_than_its_life() {
        let now = Duration::from_millis(1_900);
        assert_eq!(claimed_end(now, Duration::from_mins(1)), 61);
        assert_eq!(claimed_end(now, Duration::from_millis(300)), 3);
    }

    #[tokio::test]
    async fn a_changed_or_foreign_token_is_refused() {
        let (script, tokens, elsewhere) =
            (Script::default(), Tokens::default(), Tokens::default());
        let life = Duration::from_mins(1);
        let foreign = elsewhere.issue(None, "demo", life, &script).await.unwrap();
        tokens.key().await.unwrap();
        let (signed, _) = foreign.rsplit_once('.').unwrap();
        for token in [&*foreign, &format!("{signed}.AAAA"), "x"] {
            let judged = tokens.verify(Some(token), TokenKind::Cli, "demo", &script);
            assert_eq!(judged.err(), Some(INVALID));
        }
    }
}
