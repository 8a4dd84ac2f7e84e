//! One minted token: where it may go, and how long it may be used. Pure: time is passed in.

use super::host::believed;
use super::perishable::Perishable;
use crate::control::{AwsError, AwsErrorKind, CliToken};
use crate::names::{Environment, Secret, debug_only};
use crate::runtime::Moment;
use http::HeaderValue;
use std::sync::Arc;
use std::time::Duration;

/// A CLI token that was minted and checked.
pub struct Live {
    authorization: HeaderValue,
    host: Arc<str>,
    host_field: HeaderValue,
    asked: Moment,
    usable: Duration,
    refresh_at: Duration,
}

debug_only!(Live: host, asked, usable);

impl Live {
    /// Checks what AWS gave. `asked` is the moment at which the request for it was sent: the
    /// token cannot be younger than that. `longest` is the longest use that is allowed.
    pub(super) fn new(
        minted: &CliToken,
        environment: &Environment,
        asked: Moment,
        longest: Duration,
    ) -> Result<Self, AwsError> {
        let host = minted.host.as_str();
        let host_field = believed(host, &minted.region, environment)?;
        // only visible ASCII: a token must not be able to split the header that it becomes
        let authorization = Some(minted.token.reveal())
            .filter(|token| token.bytes().all(|b| b.is_ascii_graphic()))
            .and_then(|token| Secret::concat(&["Bearer ", token]).into_header())
            .ok_or_else(|| {
                AwsError::new(
                    AwsErrorKind::Unavailable,
                    "AWS gave a token that is not visible ASCII",
                    "check endpoint_url: this is not how MWAA's tokens look",
                )
            })?;
        let usable = usable_for(minted.life, longest);
        // jitter, so that a fleet started at once does not ask at once
        let refresh_at = usable.mul_f64(0.4 + 0.2 * fastrand::f64());
        Ok(Self {
            authorization,
            host: host.into(),
            host_field,
            asked,
            usable,
            refresh_at,
        })
    }

    /// Checks what AWS gave, without keeping it: the token and the name of the web server.
    pub fn check(minted: &CliToken, environment: &Environment) -> Result<(), AwsError> {
        Self::new(minted, environment, Moment::now(), Duration::MAX).map(drop)
    }

    /// The `Authorization` header's value; marked sensitive.
    pub fn authorization(&self) -> &HeaderValue {
        &self.authorization
    }

    /// The web server that the token is for.
    pub fn host(&self) -> &Arc<str> {
        &self.host
    }

    /// The same as the `Host` header's value.
    pub fn host_field(&self) -> &HeaderValue {
        &self.host_field
    }

    /// When it was asked for.
    pub(super) fn asked(&self) -> Moment {
        self.asked
    }

    /// How old the token is.
    pub fn age(&self, now: Moment) -> Duration {
        self.asked.age(now)
    }
}

impl Perishable for Live {
    fn is_usable(&self, now: Moment) -> bool {
        self.asked.age(now) < self.usable
    }

    fn is_due(&self, now: Moment) -> bool {
        self.asked.age(now) >= self.refresh_at
    }

    /// A token costs one call, and its refusals are not followed.
    fn was_accepted(&self) -> bool {
        true
    }
}

/// How long a token is used: at most `longest`; less if the token itself says that it lives
/// shorter, less a margin for the way to the web server.
fn usable_for(life: Option<Duration>, longest: Duration) -> Duration {
    match life {
        Some(life) if !life.is_zero() => {
            longest.min(life.saturating_sub((life / 6).min(LARGEST_MARGIN)))
        }
        _ => longest,
    }
}

/// What is kept back of a token's life: 10 s of MWAA's 60.
const LARGEST_MARGIN: Duration = Duration::from_secs(10);

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::names::EnvName;

    const fn s(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// A token of 50 s, asked for at this moment.
    pub(in crate::credential) fn live(asked: Moment) -> Live {
        let region = "eu-west-1";
        let minted = CliToken {
            token: Secret::new("token".to_owned()),
            host: format!("x.c1.{region}.airflow.amazonaws.com"),
            region: region.to_owned(),
            life: None,
            clock_offset: None,
        };
        let longest = s(50);
        Live::new(&minted, &environment(), asked, longest).expect("a token")
    }

    fn environment() -> Environment {
        Environment::new(EnvName::new("prod").expect("a label"), "prod")
    }

    #[test]
    fn a_claimed_life_only_shortens() {
        assert_eq!(usable_for(None, s(50)), s(50));
        assert_eq!(usable_for(Some(s(60)), s(50)), s(50));
        assert_eq!(usable_for(Some(s(6000)), s(50)), s(50));
        assert_eq!(usable_for(Some(s(6)), s(50)), s(5));
        assert_eq!(usable_for(Some(s(30)), s(50)), s(25));
    }
}
