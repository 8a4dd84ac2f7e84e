//! The environments by name: those of a running gateway, or those of the configuration.

use super::management;
use crate::app::{self, Configured};
use crate::config::Config;
use serde_json::Value;
use std::time::Duration;

/// The environments that may be named.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) environments: Vec<Configured>,
    /// Where all of them are shown.
    pub(super) overview: Option<String>,
}

impl Known {
    /// Those that the configuration names.
    pub(super) fn configured(config: &Config) -> Self {
        Self {
            environments: app::configured(config),
            overview: app::shared_url(config),
        }
    }

    /// What a gateway at the management address says, if one answers in time.
    pub(super) fn running(config: &Config, limit: Duration) -> Option<Self> {
        let (status, body) =
            management::get(config.management.address, "/status", limit).ok()?;
        if status != 200 {
            return None;
        }
        Self::told(&serde_json::from_str(&body).ok()?)
    }

    /// What the status of a running gateway says.
    fn told(status: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let environments = status.get("environments")?.as_array()?.iter().map(|one| {
            let urls = one.get("urls")?.as_array()?;
            Some(Configured {
                local: text(one.get("local")?)?,
                name: text(one.get("name")?)?,
                default: one.get("default")?.as_bool()?,
                urls: urls.iter().filter_map(text).collect(),
            })
        });
        Some(Self {
            environments: environments.collect::<Option<_>>()?,
            overview: status.get("url").and_then(text),
        })
    }

    /// By the local name, else by MWAA's if it is only one's.
    pub(super) fn find(&self, name: &str) -> Option<&Configured> {
        let local = self.environments.iter().find(|one| one.local == name);
        let mut named = self.environments.iter().filter(|one| one.name == name);
        local.or_else(|| match (named.next(), named.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        })
    }

    /// The local names.
    pub(super) fn locals(&self) -> Vec<String> {
        self.environments
            .iter()
            .map(|one| one.local.clone())
            .collect()
    }
}
