//! The lifetime of a token or session. Pure: time is passed in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mwaa_runtime::Timestamp;
use std::ops::Range;
use std::time::Duration;

/// A token or session: something that is valid for a limited time.
pub(crate) trait Expiring: Send + Sync + 'static {
    /// Returns how long it is used.
    fn lifetime(&self) -> &Lifetime;

    /// Returns true once the web server has accepted it.
    ///
    /// An item that was never accepted is replaced only rarely: a web server that refuses what it has
    /// just given must not be asked again and again.
    fn was_accepted(&self) -> bool;

    /// Returns true if it may still be used.
    fn is_usable(&self, now: Timestamp) -> bool {
        !self.lifetime().remaining(now).is_zero()
    }

    /// Returns true if it should be replaced ahead of its end, provided that it is in use.
    fn is_due(&self, now: Timestamp) -> bool {
        let lifetime = self.lifetime();
        lifetime.age(now) >= lifetime.refresh_after
    }
}

/// The time for which something is used, and the time of its refresh. It cannot be younger than the request
/// for it, so its age is counted from there.
#[derive(Debug, Clone)]
pub(crate) struct Lifetime {
    requested: Timestamp,
    usable: Duration,
    refresh_after: Duration,
}

impl Lifetime {
    /// Creates a lifetime that begins at `requested`. The refresh is due at a random point of
    /// `refresh`, which is in parts of the whole: many gateways that were started together then
    /// do not call AWS together.
    pub(crate) fn new(requested: Timestamp, usable: Duration, refresh: &Range<f64>) -> Self {
        let part = refresh.start + (refresh.end - refresh.start) * fastrand::f64();
        Self {
            requested,
            usable,
            refresh_after: usable.mul_f64(part),
        }
    }

    /// Returns the moment at which it was requested.
    pub(crate) fn requested(&self) -> Timestamp {
        self.requested
    }

    /// Returns the time for which it is used.
    pub(crate) fn usable(&self) -> Duration {
        self.usable
    }

    /// Returns the time since it was requested.
    pub(crate) fn age(&self, now: Timestamp) -> Duration {
        self.requested.age(now)
    }

    /// Returns the time for which it is still used, zero at its end.
    pub(crate) fn remaining(&self, now: Timestamp) -> Duration {
        self.usable.saturating_sub(self.age(now))
    }
}

/// Returns how long something is used: at most `longest`, and less if it states a shorter life.
///
/// A sixth of the stated life, but at most `margin`, is kept back for the way to the web server.
/// A stated life of zero is ignored: it says more about a clock than about the token.
pub(crate) fn limit_use(
    stated: Option<Duration>,
    longest: Duration,
    margin: Duration,
) -> Duration {
    match stated {
        Some(stated) if !stated.is_zero() => {
            longest.min(stated.saturating_sub((stated / 6).min(margin)))
        }
        _ => longest,
    }
}

/// Returns the `exp` claim of a JWT (RFC 7519 section 4.1.4), since 1970. The signature is not
/// checked: the value may only shorten a use. `None` if the token is not a JWT with such a claim.
pub(crate) fn parse_jwt_expiry(token: &str) -> Option<Duration> {
    #[derive(serde::Deserialize)]
    struct Claims {
        exp: u64,
    }

    // RFC 7519 section 3: header, payload and signature, in base64url without padding
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    Some(Duration::from_secs(claims.exp))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_claimed_lifetime_can_only_shorten_the_use() {
        let margin = s(10);
        assert_eq!(limit_use(None, s(50), margin), s(50));
        assert_eq!(limit_use(Some(s(60)), s(50), margin), s(50));
        assert_eq!(limit_use(Some(s(6000)), s(50), margin), s(50));
        assert_eq!(limit_use(Some(s(6)), s(50), margin), s(5));
        assert_eq!(limit_use(Some(s(30)), s(50), margin), s(25));
    }
}
