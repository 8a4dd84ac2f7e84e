//! The state of an environment in one value, for `/status`, `/readyz`, the metrics and the overview.

use crate::health::HealthIssue;
use crate::queue::QueueSummary;
use crate::state::ProxyState;
use mwaa_auth::{SessionState, TokenState};
use mwaa_model::{Directory, Entry, InfoRecord};
use mwaa_policy::explain_release;
use std::sync::Arc;

/// The state of one environment. It holds no token and no cookie.
#[derive(Debug)]
pub struct EnvironmentStatus {
    /// The environment.
    pub entry: Arc<Entry>,
    /// True if it serves requests that name no environment.
    pub is_default: bool,
    /// AWS's last description of it; `None` before the first.
    pub info: Option<Arc<InfoRecord>>,
    /// For people: why only the REST API is served, and differences from most environments: its users'
    /// login, a version without a list.
    pub notes: Vec<String>,
    /// The CLI token.
    pub token: TokenState,
    /// The session.
    pub session: SessionState,
    /// The host of the web server, if it is known.
    pub web_server: Option<Arc<str>>,
    /// True if AWS sends the requests for its REST API now.
    pub is_rest_invoked: bool,
    /// The commands.
    pub queue: QueueSummary,
    /// The most important reason why it cannot serve a request now.
    pub issue: Option<HealthIssue>,
}

impl ProxyState {
    /// Returns the state of one environment of the directory, from what is known already: neither
    /// AWS nor a web server is called.
    pub fn environment_status(
        &self,
        directory: &Directory,
        entry: &Arc<Entry>,
    ) -> EnvironmentStatus {
        let token = self.credentials.state(entry);
        let session = self.credentials.session_state(entry);
        let info = entry.latest_info();

        // a token and a session are at the host that answers; AWS's description may be older
        let web_server = (token.host.clone())
            .or_else(|| self.credentials.session_host(entry))
            .or_else(|| {
                info.as_ref()?
                    .info
                    .webserver_host
                    .as_deref()
                    .map(Into::into)
            });

        let users = info.as_ref().and_then(|info| info.info.explain_users());
        let release = entry.airflow_version().and_then(explain_release);

        let health = self.health(entry, &token, &session);
        let limit = health
            .limit
            .map(|limit| format!("only the REST API is served, by InvokeRestApi: {limit}"));

        EnvironmentStatus {
            notes: limit.into_iter().chain(users).chain(release).collect(),
            is_default: directory.default_entry().map(|entry| entry.id) == Some(entry.id),
            issue: health.issue,
            is_rest_invoked: self.rest_routes.is_invoked(entry),
            queue: self.queues.summary(entry),
            entry: Arc::clone(entry),
            info,
            token,
            session,
            web_server,
        }
    }

    /// Returns the state of every environment, in the order of the configuration.
    pub fn environment_statuses(&self) -> Vec<EnvironmentStatus> {
        let directory = self.registry.snapshot();
        let entries = directory.entries().iter();
        entries
            .map(|entry| self.environment_status(&directory, entry))
            .collect()
    }
}
