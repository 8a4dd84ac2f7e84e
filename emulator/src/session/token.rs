//! Airflow 3's own tokens: HS512 JWTs, as `[api_auth] jwt_secret` signs them.

use std::fmt;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::super::made_up;

/// The claims Airflow 3 asks for; all but `jti` are required there, here that one is as well.
///
/// Source: airflow 3.0.6 to 3.3.2, `api_fastapi/auth/tokens.py`.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Claims {
    pub(super) sub: String,
    aud: String,
    iat: u64,
    nbf: u64,
    pub(super) exp: u64,
    pub(super) jti: String,
}

/// The secret of one environment.
pub(super) struct Signer {
    write: EncodingKey,
    read: DecodingKey,
}

impl Default for Signer {
    fn default() -> Self {
        let secret = made_up::letters(64); // HS512 wants as many bytes as it signs with
        Self {
            write: EncodingKey::from_secret(secret.as_bytes()),
            read: DecodingKey::from_secret(secret.as_bytes()),
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(HS512)")
    }
}

impl Signer {
    /// A token for the user of this number.
    pub(super) fn write(
        &self,
        user: usize,
        id: &str,
        now: Duration,
        expires: Duration,
    ) -> String {
        let claims = Claims {
            sub: user.to_string(),
            aud: AUDIENCE.to_owned(),
            iat: now.as_secs(),
            nbf: now.as_secs(),
            exp: expires.as_secs(),
            jti: id.to_owned(),
        };
        // an HMAC over plain claims cannot fail; an empty token would be refused as malformed
        jsonwebtoken::encode(&Header::new(Algorithm::HS512), &claims, &self.write)
            .unwrap_or_default()
    }

    /// The claims of a token with our signature. Its times are the caller's business, who goes
    /// by a clock that a test can move.
    pub(super) fn read(&self, token: &str) -> Option<Claims> {
        let mut validation = Validation::new(Algorithm::HS512);
        validation.validate_exp = false;
        validation.set_audience(&[AUDIENCE]);
        let data = jsonwebtoken::decode::<Claims>(token, &self.read, &validation).ok()?;
        Some(data.claims)
    }
}

const AUDIENCE: &str = "apache-airflow";
