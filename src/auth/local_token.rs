//! Tokens that only this gateway accepts: what a client of the MWAA API on a listener gets in place
//! of MWAA's own. Each is for one use, one environment and one listener.

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::rand::SystemRandom;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mwaa_model::EnvName;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Issues local tokens and checks them.
///
/// A token has the form of a JWT (RFC 7519), because clients read its `exp`. It is signed with a key
/// that the process makes for itself, so no token outlives the process.
pub struct LocalTokens {
    key: hmac::Key,
}

impl fmt::Debug for LocalTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalTokens").finish_non_exhaustive()
    }
}

/// The use of a local token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LocalTokenUse {
    /// A command, as after `CreateCliToken`. Valid for 60 s, as MWAA's.
    Cli,
    /// A login, as after `CreateWebLoginToken`. Valid for 60 s, as MWAA's.
    Web,
    /// The cookie after a login. Valid for 12 h, as MWAA's session.
    Session,
}

impl LocalTokenUse {
    /// Returns how long a new token is valid.
    pub const fn lifetime(self) -> Duration {
        match self {
            Self::Cli | Self::Web => Duration::from_mins(1),
            Self::Session => Duration::from_hours(12),
        }
    }
}

/// The claims of a token (RFC 7519 section 4).
#[derive(Serialize, Deserialize)]
struct Claims<'a> {
    #[serde(rename = "aud")]
    purpose: LocalTokenUse,
    #[serde(rename = "sub")]
    environment: &'a str,
    listener: &'a str,
    /// In seconds since 1970.
    iat: u64,
    exp: u64,
}

/// A local token that is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LocalTokenError {
    /// It is no token of this process.
    #[error("it is not a token of this gateway, or the gateway has been restarted since")]
    Foreign,
    /// It has expired, or the clock has been set back.
    #[error("it has expired")]
    Expired,
    /// It is for another use.
    #[error("it is for another use")]
    Use,
    /// Another listener issued it.
    #[error("it is for another listener")]
    Listener,
}

impl LocalTokens {
    /// Creates them with a new key. Panics if the system has no randomness, without which there is
    /// no TLS either.
    pub fn generate() -> Self {
        let key = hmac::Key::generate(HMAC_SHA256, &SystemRandom::new());
        Self {
            key: key.expect("the system has randomness"),
        }
    }

    /// Returns a new token. `now` is the wall clock, since 1970.
    pub fn issue(
        &self,
        purpose: LocalTokenUse,
        environment: &EnvName,
        listener: &str,
        now: Duration,
    ) -> String {
        let claims = Claims {
            purpose,
            environment: environment.as_str(),
            listener,
            iat: now.as_secs(),
            exp: now.saturating_add(purpose.lifetime()).as_secs(),
        };

        // a struct of text and numbers always has a JSON form
        let claims = serde_json::to_vec(&claims).unwrap_or_default();
        let signed = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = hmac::sign(&self.key, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Returns the text by which the gateway knows its own page again: the overview of one environment, or
    /// of all, at one listener. Scripts of other pages in the same origin cannot read it.
    pub fn page_ticket(&self, only: Option<&EnvName>, listener: &str) -> String {
        let signature = hmac::sign(&self.key, &ticket_text(only, listener));
        URL_SAFE_NO_PAD.encode(signature)
    }

    /// Returns true if a ticket is of this page.
    pub fn is_page_ticket(&self, ticket: &str, only: Option<&EnvName>, listener: &str) -> bool {
        decode(ticket).is_ok_and(|ticket| {
            hmac::verify(&self.key, &ticket_text(only, listener), &ticket).is_ok()
        })
    }

    /// Returns true if a text claims to be a local token of some gateway.
    pub fn is_local(text: &str) -> bool {
        text.strip_prefix(HEADER)
            .is_some_and(|rest| rest.starts_with('.'))
    }

    /// Returns true if a text holds the beginning of a local token.
    pub fn is_within(text: &[u8]) -> bool {
        memchr::memmem::find(text, HEADER.as_bytes()).is_some()
    }

    /// Returns the environment that the token is for. Fails if it is not valid for this use on this
    /// listener. `now` is the wall clock, since 1970.
    pub fn check(
        &self,
        text: &str,
        purpose: LocalTokenUse,
        listener: &str,
        now: Duration,
    ) -> Result<EnvName, LocalTokenError> {
        // the signature first: nothing else of a foreign token is read
        let (signed, signature) = text.rsplit_once('.').ok_or(LocalTokenError::Foreign)?;
        let signature = decode(signature)?;
        hmac::verify(&self.key, signed.as_bytes(), &signature)
            .map_err(|_unspecified| LocalTokenError::Foreign)?;

        let (_header, claims) = signed.split_once('.').ok_or(LocalTokenError::Foreign)?;
        let claims = decode(claims)?;
        let claims: Claims<'_> =
            serde_json::from_slice(&claims).map_err(|_syntax| LocalTokenError::Foreign)?;
        if claims.purpose != purpose {
            return Err(LocalTokenError::Use);
        }
        if claims.listener != listener {
            return Err(LocalTokenError::Listener);
        }
        // a clock that was set back must not make it last longer
        if !(claims.iat..claims.exp).contains(&now.as_secs()) {
            return Err(LocalTokenError::Expired);
        }
        EnvName::new(claims.environment).ok_or(LocalTokenError::Foreign)
    }
}

/// Returns the text that is signed for a page. No token's text begins so.
fn ticket_text(only: Option<&EnvName>, listener: &str) -> Vec<u8> {
    let only = only.map_or("", EnvName::as_str);
    format!("page\n{only}\n{listener}").into_bytes()
}

fn decode(text: &str) -> Result<Vec<u8>, LocalTokenError> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_alphabet| LocalTokenError::Foreign)
}

/// `{"alg":"HS256","typ":"JWT","kid":"mwaa-gateway"}` in base64url.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6Im13YWEtZ2F0ZXdheSJ9";

#[cfg(test)]
mod tests {
    use super::*;
    use LocalTokenUse::{Cli, Session, Web};

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    fn issue(tokens: &LocalTokens, purpose: LocalTokenUse) -> String {
        let prod = EnvName::new("prod").unwrap();
        tokens.issue(purpose, &prod, "listener", NOW)
    }

    #[test]
    fn a_token_is_valid_for_its_use_and_listener_until_it_expires() {
        let tokens = LocalTokens::generate();
        for (purpose, life) in [(Cli, 60), (Web, 60), (Session, 43_200)] {
            let token = issue(&tokens, purpose);
            assert!(LocalTokens::is_local(&token), "{token}");
            let check = |seconds: u64| {
                let now = NOW + Duration::from_secs(seconds);
                tokens.check(&token, purpose, "listener", now)
            };
            assert_eq!(check(0).unwrap().as_str(), "prod");
            assert!(check(life - 1).is_ok());
            assert_eq!(check(life), Err(LocalTokenError::Expired));
            let before = NOW.saturating_sub(Duration::from_secs(1));
            let early = tokens.check(&token, purpose, "listener", before);
            assert_eq!(early, Err(LocalTokenError::Expired));
        }
        let token = issue(&tokens, Cli);
        let check = |purpose, listener| tokens.check(&token, purpose, listener, NOW);
        assert_eq!(check(Web, "listener"), Err(LocalTokenError::Use));
        assert_eq!(check(Cli, "listeners.x"), Err(LocalTokenError::Listener));
    }

    #[test]
    fn a_ticket_is_valid_for_its_page_only() {
        let tokens = LocalTokens::generate();
        let (prod, test) = (EnvName::new("prod"), EnvName::new("test"));
        let ticket = tokens.page_ticket(prod.as_ref(), "listener");
        let is_ticket = |ticket: &str, only: &Option<EnvName>, listener| {
            tokens.is_page_ticket(ticket, only.as_ref(), listener)
        };
        assert!(is_ticket(&ticket, &prod, "listener"));
        assert!(!is_ticket(&ticket, &test, "listener"));
        assert!(!is_ticket(&ticket, &None, "listener"));
        assert!(!is_ticket(&ticket, &prod, "listeners.x"));
        assert!(!is_ticket("", &prod, "listener") && !is_ticket("*", &prod, "listener"));
        let other = LocalTokens::generate();
        assert!(!other.is_page_ticket(&ticket, prod.as_ref(), "listener"));
    }

    #[test]
    fn no_other_text_is_a_token() {
        let tokens = LocalTokens::generate();
        let token = issue(&tokens, Cli);
        let others = LocalTokens::generate();
        assert_eq!(
            others.check(&token, Cli, "listener", NOW),
            Err(LocalTokenError::Foreign)
        );
        // each byte counts; the last one of the signature has unused bits, which base64 refuses
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            let result = tokens.check(&changed, Cli, "listener", NOW);
            assert_eq!(result, Err(LocalTokenError::Foreign), "{changed}");
        }
        for text in ["", ".", "..", "a.b.c", HEADER, &format!("{HEADER}..")] {
            let result = tokens.check(text, Cli, "listener", NOW);
            assert_eq!(result, Err(LocalTokenError::Foreign), "{text:?}");
        }
    }
}
