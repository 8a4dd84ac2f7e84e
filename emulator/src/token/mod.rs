//! CLI and web tokens: RS256 JWTs, 60 seconds long, refused by everyone they are not for.

mod key;
mod refusal;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::identity::{Holder, Role};
use super::journal::TokenKind;
use super::script::Script;
use key::Key;
pub(crate) use key::KeyError;
pub(crate) use refusal::Refusal;

/// The claims MWAA's tokens have been seen to carry, and an id of our own. What a web token
/// says beside that is a guess by symmetry.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Claims {
    aud: String,
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
    kind: TokenKind,
    environment: String,
    expires: Duration,
    revocations: u64,
    used: bool,
}

impl Tokens {
    /// Waits until the key is there; the first call makes it.
    pub(crate) async fn key(&self) -> Result<&Key, KeyError> {
        let key = self.key.get_or_try_init(async || {
            tokio::task::spawn_blocking(Key::shared)
                .await
                .map_err(KeyError::from)?
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
        let kind = match holder {
            None => TokenKind::Cli,
            Some(_) => TokenKind::Web,
        };
        let now = script.clock.since_epoch();
        let expires = now + life;
        let claims = Claims {
            aud: audience(kind).to_owned(),
            exp: claimed_end(now, life),
            user: holder.map_or("root", |holder| &holder.identity).to_owned(),
            role: holder.map(|holder| holder.role),
            jti: super::made_up::uuid(),
        };
        let token =
            jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key.private)?;
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        if issued.len() >= REMEMBERED {
            issued.retain(|_, token| token.expires + FORGET_AFTER > now);
        }
        issued.insert(
            claims.jti,
            Issued {
                kind,
                environment: environment.to_owned(),
                expires,
                revocations: script.revocations(),
                used: false,
            },
        );
        Ok(token)
    }

    /// The id of a token that carries our signature, whatever else is wrong with it.
    pub(crate) fn id(&self, token: &str) -> Option<String> {
        self.claims(token).map(|claims| claims.jti)
    }

    /// The environment a token was issued for.
    pub(crate) fn environment(&self, token: &str) -> Option<String> {
        let id = self.id(token)?;
        let issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        issued.get(&id).map(|token| token.environment.clone())
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
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        let known = issued.get_mut(&claims.jti).ok_or(Refusal::Signature)?;
        if once && std::mem::replace(&mut known.used, true) {
            return Err(Refusal::Used);
        }
        Ok(Holder {
            identity: claims.user,
            role: claims.role.ok_or(Refusal::Signature)?,
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
        let claims = self
            .claims(token.ok_or(Refusal::Missing)?)
            .ok_or(Refusal::Signature)?;
        let issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        let known = issued.get(&claims.jti).ok_or(Refusal::Signature)?;
        if claims.aud != audience(kind) || known.kind != kind {
            return Err(Refusal::Audience);
        }
        if known.environment != environment {
            return Err(Refusal::Environment);
        }
        let now = script.clock.since_epoch();
        if now >= known.expires || now >= Duration::from_secs(claims.exp) {
            return Err(Refusal::Expired);
        }
        if known.revocations != script.revocations() {
            return Err(Refusal::Revoked);
        }
        Ok(claims)
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
}

fn audience(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Cli => "cli",
        TokenKind::Web => "web",
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
        let script = Script::default();
        let tokens = Tokens::default();
        let elsewhere = Tokens::default();
        let foreign = elsewhere
            .issue(None, "demo", Duration::from_mins(1), &script)
            .await
            .unwrap();
        tokens.key().await.unwrap();
        let (signed, _) = foreign.rsplit_once('.').unwrap();
        let forged = format!("{signed}.AAAA");
        for token in [Some(foreign.as_str()), Some(&forged), Some("x")] {
            assert_eq!(
                tokens.verify(token, TokenKind::Cli, "demo", &script).err(),
                Some(Refusal::Signature)
            );
        }
        assert_eq!(
            tokens.verify(None, TokenKind::Cli, "demo", &script).err(),
            Some(Refusal::Missing)
        );
    }
}
