//! CLI tokens: `CreateCliToken`, and the checked token that it gives.

use super::host::check_host;
use super::lifetime::{Expiring, Lifetime, limit_use};
use super::sharing::StoredSecret;
use super::single_flight::{MintFuture, Source};
use crate::aws::{AwsError, AwsErrorKind, MintedCliToken, MwaaApi, with_environment_state};
use http::HeaderValue;
use mwaa_model::{Entry, Environment, HostSource, Secret, debug_fields};
use mwaa_runtime::Timestamp;
use mwaa_telemetry::Metrics;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// A CLI token that was minted and checked, with the web server that it may be sent to.
pub struct CliToken {
    authorization: HeaderValue,
    host: Arc<str>,
    host_field: HeaderValue,
    region: Box<str>,
    lifetime: Lifetime,
}

debug_fields!(CliToken: host, lifetime);

impl CliToken {
    /// Checks what AWS gave. `requested` is the moment at which the request for it was sent:
    /// the token cannot be younger than that. `longest` is the longest use that is allowed.
    ///
    /// Fails if the host is not one that this environment can have, or if the token fits no
    /// header.
    pub(super) fn new(
        minted: &MintedCliToken,
        environment: &Environment,
        requested: Timestamp,
        longest: Duration,
    ) -> Result<Self, AwsError> {
        let host_field = check_host(&minted.host, &minted.region, environment)?;

        // only visible ASCII: a token must not be able to split the header that it becomes
        let authorization = Some(minted.token.reveal())
            .filter(|token| token.bytes().all(|b| b.is_ascii_graphic()))
            .and_then(|token| Secret::concat(&["Bearer ", token]).into_header())
            .ok_or_else(|| {
                AwsError::new(
                    AwsErrorKind::Unavailable,
                    "AWS returned a token that is not printable ASCII",
                    "check endpoint_url: MWAA's tokens look different",
                )
            })?;

        let usable = limit_use(minted.life, longest, MAX_MARGIN);
        Ok(Self {
            authorization,
            // kept twice, as text and as a header, so that no request has to convert it
            host: minted.host.as_str().into(),
            host_field,
            region: minted.region.as_str().into(),
            lifetime: Lifetime::new(requested, usable, &REFRESH),
        })
    }

    /// Checks the token and the web server's name that AWS gave, without keeping them.
    pub fn check(minted: &MintedCliToken, environment: &Environment) -> Result<(), AwsError> {
        Self::new(minted, environment, Timestamp::now(), Duration::MAX).map(drop)
    }

    /// Returns the `Authorization` header's value; marked sensitive.
    pub fn authorization(&self) -> &HeaderValue {
        &self.authorization
    }

    /// Returns the token itself, for a client that may have it.
    pub fn reveal(&self) -> &str {
        // it was made of visible ASCII, after this word
        let value = self.authorization.to_str().unwrap_or_default();
        value.trim_start_matches("Bearer ")
    }

    /// Returns the web server that the token is for.
    pub fn host(&self) -> &Arc<str> {
        &self.host
    }

    /// Returns the web server as the `Host` header's value.
    pub fn host_field(&self) -> &HeaderValue {
        &self.host_field
    }

    /// Returns the age of the token.
    pub fn age(&self, now: Timestamp) -> Duration {
        self.lifetime.age(now)
    }
}

impl Expiring for CliToken {
    fn lifetime(&self) -> &Lifetime {
        &self.lifetime
    }

    // a token costs one call only, so it may be replaced at the usual rate from the start
    fn was_accepted(&self) -> bool {
        true
    }
}

/// A token in the store of a fleet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StoredToken {
    token: StoredSecret,
    host: String,
    region: String,
}

/// Requests CLI tokens from AWS.
#[derive(Debug)]
pub(super) struct CliTokenSource {
    pub(super) api: Arc<dyn MwaaApi>,
    pub(super) metrics: Arc<Metrics>,
    /// The longest use of a token.
    pub(super) longest: Duration,
}

impl Source for CliTokenSource {
    type Item = CliToken;
    type Stored = StoredToken;

    const KIND: &'static str = "token";
    const FRESH: f64 = REFRESH.start;

    fn export(&self, token: &CliToken) -> StoredToken {
        StoredToken {
            token: StoredSecret::new(token.reveal()),
            host: token.host.to_string(),
            region: token.region.to_string(),
        }
    }

    fn import(
        &self,
        entry: &Entry,
        stored: StoredToken,
        requested: Timestamp,
        usable: Duration,
    ) -> Option<CliToken> {
        let minted = MintedCliToken {
            token: Secret::concat(&[&stored.token.0]),
            host: stored.host,
            region: stored.region,
            // what is kept back of it was already
            life: None,
            clock_offset: None,
        };

        let longest = usable.min(self.longest);
        let token = CliToken::new(&minted, &entry.environment, requested, longest).ok()?;
        let hosts = &entry.hosts;
        hosts.record(HostSource::CliToken, &minted.host, requested.boot());
        Some(token)
    }

    fn make<'a>(&'a self, entry: &'a Entry) -> MintFuture<'a, CliToken> {
        Box::pin(async move {
            // before the call: the token's life may begin as soon as AWS makes it
            let requested = Timestamp::now();
            let minted = match self.api.create_cli_token(&entry.environment).await {
                Ok(minted) => minted,
                Err(error) => {
                    let error = with_environment_state(self.api.as_ref(), entry, error).await;
                    return Err(error.into());
                }
            };

            let token = CliToken::new(&minted, &entry.environment, requested, self.longest)?;
            // only a host that was checked is remembered
            entry
                .hosts
                .record(HostSource::CliToken, &minted.host, requested.boot());
            Ok(token)
        })
    }

    fn count(&self, entry: &Entry, outcome: &'static str) {
        self.metrics.count_mint(entry, outcome);
    }

    fn name(&self) -> &'static str {
        "a CLI token"
    }
}

/// The part of its use after which a token is refreshed: about the middle of its 60 s, so that a
/// refresh that fails can be repeated while the old token still works. Not before the half, so that
/// there are at most two mints in the use of a token, however many gateways share it.
const REFRESH: Range<f64> = 0.5..0.6;
/// The part that is kept back of a token's life: 10 s of MWAA's 60.
const MAX_MARGIN: Duration = Duration::from_secs(10);

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use mwaa_model::EnvName;

    /// A token of 50 s, requested at this moment.
    pub(crate) fn live(requested: Timestamp) -> CliToken {
        let region = "eu-west-1";
        let minted = MintedCliToken {
            token: Secret::new("token".to_owned()),
            host: format!("x.c1.{region}.airflow.amazonaws.com"),
            region: region.to_owned(),
            life: None,
            clock_offset: None,
        };
        let environment = Environment::new(EnvName::new("prod").expect("a label"), "prod");
        let longest = Duration::from_secs(50);
        CliToken::new(&minted, &environment, requested, longest).expect("a token")
    }
}
