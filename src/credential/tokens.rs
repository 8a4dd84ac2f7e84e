//! Makes CLI tokens: `CreateCliToken`, checked.

use super::flights::{Making, Source};
use super::live::Live;
use crate::control::{ControlPlane, explained};
use crate::names::{Entry, HostSource};
use crate::runtime::Moment;
use crate::telemetry::Metrics;
use std::sync::Arc;
use std::time::Duration;

/// Asks AWS for CLI tokens.
#[derive(Debug)]
pub(super) struct CliTokens {
    pub(super) control: Arc<dyn ControlPlane>,
    pub(super) metrics: Arc<Metrics>,
    /// The longest use of a token.
    pub(super) longest: Duration,
}

impl Source for CliTokens {
    type Item = Live;

    fn make<'a>(&'a self, entry: &'a Entry) -> Making<'a, Live> {
        Box::pin(async move {
            let asked = Moment::now();
            let minted = match self.control.create_cli_token(&entry.environment).await {
                Ok(minted) => minted,
                Err(error) => {
                    return Err(explained(self.control.as_ref(), entry, error).await.into());
                }
            };
            let live = Live::new(&minted, &entry.environment, asked, self.longest)?;
            let when = asked.boot();
            entry.hosts.named(HostSource::CliToken, &minted.host, when);
            Ok(live)
        })
    }

    fn count(&self, entry: &Entry, outcome: &'static str) {
        self.metrics.mint(entry, outcome);
    }

    fn what(&self) -> &'static str {
        "a CLI token"
    }
}
