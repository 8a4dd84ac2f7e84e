//! What AWS says of an environment: its status, and the host of its web server.

use super::AirflowVersion;
use arc_swap::ArcSwapOption;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The part of a `GetEnvironment` response that is used here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentInfo {
    /// The Airflow release, if it could be read.
    pub airflow_version: Option<AirflowVersion>,
    /// `AVAILABLE`, `UPDATING`, …
    pub status: String,
    /// The networks that reach the web server: `PUBLIC_ONLY`, `PRIVATE_ONLY` or
    /// `PUBLIC_AND_PRIVATE`.
    pub access_mode: Option<String>,
    /// The web server's host name.
    pub webserver_host: Option<String>,
    /// The start URL of IAM Identity Center, if the users of the UI log in with it.
    pub identity_center: Option<String>,
    /// The teams of Airflow's multi-team mode, sorted; each is a group of Identity Center.
    pub teams: Vec<String>,
}

impl EnvironmentInfo {
    /// Returns what the status means for a person who wants to use the environment; `None` if it
    /// is available.
    pub fn status_meaning(&self) -> Option<&'static str> {
        if self.status == AVAILABLE {
            return None;
        }
        // AWS may add one
        let known = STATUSES.iter().find(|(word, _)| *word == self.status);
        Some(known.map_or(UNKNOWN, |(_, meaning)| *meaning))
    }

    /// Returns why the web server may fail, as far as the status says.
    pub fn explain_status(&self) -> Option<String> {
        self.status_meaning()
            .map(|meaning| format!("the environment's status is {}: {meaning}", self.status))
    }

    /// Returns how the users of the environment log in, if that is not with IAM.
    pub fn explain_users(&self) -> Option<String> {
        // what AWS says is not ours, and may hold anything
        let center = self.identity_center.as_ref().map(|url| {
            let url = url.escape_debug();
            format!("its users log in with IAM Identity Center ({url})")
        });
        let teams = (!self.teams.is_empty()).then(|| {
            let teams = self
                .teams
                .iter()
                .map(|team| team.escape_debug().to_string());
            format!("its teams are {}", teams.collect::<Vec<_>>().join(", "))
        });

        let both: Vec<_> = center.into_iter().chain(teams).collect();
        (!both.is_empty()).then(|| both.join("; "))
    }

    /// Returns why the web server may be unreachable, as far as AWS says.
    pub fn explain_unreachable(&self) -> Option<String> {
        let is_private = self.access_mode.as_deref() == Some("PRIVATE_ONLY");
        let private = is_private.then(|| PRIVATE.to_owned());
        match (self.explain_status(), private) {
            (Some(status), Some(private)) => Some(format!("{status}; {private}")),
            (one, other) => one.or(other),
        }
    }
}

/// The host names that AWS gives for an environment's web server. Times are since the machine
/// started.
///
/// An environment that is deleted and created again has another host, and no token or session for
/// the old host is valid there.
#[derive(Debug, Default)]
pub struct HostRecord {
    /// The last name from each source, in the order of [`HostSource`].
    last: Mutex<[Option<NamedHost>; 3]>,
    /// The last name that was a change.
    changed: ArcSwapOption<NamedHost>,
}

#[derive(Debug, Clone)]
struct NamedHost {
    host: Arc<str>,
    when: Duration,
}

/// The AWS call whose response names the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostSource {
    /// `CreateCliToken`.
    CliToken,
    /// `GetEnvironment`, whose `WebserverUrl` may be another name of the same server.
    Description,
    /// `CreateWebLoginToken`.
    WebToken,
}

impl HostRecord {
    /// Records that AWS named this host. `when` is the time of the request to AWS.
    ///
    /// The host has changed only if the same source named another one before: two sources may use
    /// two names of one server.
    pub fn record(&self, by: HostSource, host: &str, when: Duration) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // each source has its place
        let Some(last) = last.get_mut(by as usize) else {
            return;
        };

        let same = last.as_mut().filter(|before| *before.host == *host);
        if let Some(same) = same {
            same.when = same.when.max(when);
            return;
        }

        // responses may arrive out of order: the later request counts
        if last.as_ref().is_some_and(|before| before.when > when) {
            return;
        }
        let named = NamedHost {
            host: host.into(),
            when,
        };
        *last = Some(named.clone());
        self.changed.store(Some(Arc::new(named)));
    }

    /// Returns true if AWS has named another host since `made`, so that a token or session that
    /// was made for `host` then is outdated.
    pub fn has_moved_from(&self, host: &str, made: Duration) -> bool {
        // no lock: every request asks this
        let changed = self.changed.load();
        changed
            .as_ref()
            .is_some_and(|named| named.when > made && *named.host != *host)
    }

    /// Returns the host that AWS named last; `None` before the first.
    pub fn latest(&self) -> Option<Arc<str>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = last.iter().flatten().max_by_key(|named| named.when)?;
        Some(Arc::clone(&latest.host))
    }

    /// Returns true if AWS has named this host since then.
    pub fn has_named_since(&self, host: &str, since: Duration) -> bool {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter()
            .flatten()
            .any(|named| *named.host == *host && named.when >= since)
    }
}

/// The status of an environment that works.
const AVAILABLE: &str = "AVAILABLE";

/// `EnvironmentStatus` of the MWAA API (API reference, `Environment`, "Status").
const STATUSES: &[(&str, &str)] = &[
    (
        "CREATING",
        "it is being created, which takes 20 to 30 minutes; it cannot be reached until then",
    ),
    (
        "CREATE_FAILED",
        "it could not be created; see the reason in the MWAA console, then delete and create \
         it again",
    ),
    (
        "CREATING_SNAPSHOT",
        "an update has started, and MWAA is taking a snapshot of the database; the UI is \
         usually up",
    ),
    (
        "UPDATING",
        "it is being updated, which takes 10 to 30 minutes; the UI is usually up, commands may fail",
    ),
    (
        "UPDATE_FAILED",
        "its last update failed; see the reason in the MWAA console, and whether the update \
         was rolled back",
    ),
    (
        "ROLLING_BACK",
        "an update failed, and MWAA is restoring the snapshot; try again later",
    ),
    (
        "PENDING",
        "MWAA is waiting for VPC endpoints that the environment's owner has to create; after \
         72 hours it gives up",
    ),
    (
        "MAINTENANCE",
        "MWAA is doing maintenance; it may not respond until that is finished",
    ),
    (
        "UNAVAILABLE",
        "MWAA cannot run it, usually because its network, bucket, key or execution role was \
         changed; see the MWAA console",
    ),
    ("DELETING", "it is being deleted"),
    ("DELETED", "it has been deleted"),
];

const UNKNOWN: &str =
    "this version of the gateway does not know this status; see the MWAA console";

const PRIVATE: &str = "its web server is private (PRIVATE_ONLY): it can be reached from its \
                       VPC, over a VPN, or through a proxy or a tunnel (docs/guide/networks.md)";

#[cfg(test)]
mod tests {
    use super::*;

    fn info(status: &str, access_mode: &str) -> EnvironmentInfo {
        EnvironmentInfo {
            airflow_version: None,
            status: status.to_owned(),
            access_mode: Some(access_mode.to_owned()),
            webserver_host: None,
            identity_center: None,
            teams: Vec::new(),
        }
    }

    #[test]
    fn identity_center_and_teams_are_explained() {
        let mut info = info("AVAILABLE", "PUBLIC_ONLY");
        assert_eq!(info.explain_users(), None);
        info.teams = vec!["ml".to_owned(), "web".to_owned()];
        assert_eq!(
            info.explain_users().as_deref(),
            Some("its teams are ml, web")
        );
        info.identity_center = Some("https://x.example/start".to_owned());
        assert_eq!(
            info.explain_users().as_deref(),
            Some(
                "its users log in with IAM Identity Center (https://x.example/start); its teams \
                 are ml, web"
            )
        );
    }

    #[test]
    fn every_status_but_available_is_explained() {
        assert_eq!(info("AVAILABLE", "PUBLIC_ONLY").status_meaning(), None);
        let updating = info("UPDATING", "PUBLIC_ONLY").status_meaning();
        assert!(updating.is_some_and(|text| text.contains("being updated")));
        assert_eq!(
            info("DANCING", "PUBLIC_ONLY").status_meaning(),
            Some(UNKNOWN)
        );
    }

    #[test]
    fn every_status_of_the_api_is_known() {
        for status in aws_sdk_mwaa::types::EnvironmentStatus::values() {
            let meaning = info(status, "PUBLIC_ONLY").status_meaning();
            assert_ne!(meaning, Some(UNKNOWN), "{status}");
            assert_eq!(meaning.is_none(), *status == AVAILABLE, "{status}");
        }
    }

    #[test]
    fn an_unreachable_web_server_is_explained() {
        let why = |status, access| {
            info(status, access)
                .explain_unreachable()
                .unwrap_or_default()
        };
        assert_eq!(why("AVAILABLE", "PUBLIC_ONLY"), "");
        assert!(why("AVAILABLE", "PRIVATE_ONLY").contains("VPC"));
        assert!(
            why("MAINTENANCE", "PUBLIC_ONLY")
                .starts_with("the environment's status is MAINTENANCE: ")
        );
        let both = why("UPDATING", "PRIVATE_ONLY");
        assert!(
            both.contains("UPDATING") && both.contains("a tunnel"),
            "{both}"
        );
    }

    const fn s(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_new_host_counts_as_one_change() {
        let hosts = HostRecord::default();
        hosts.record(HostSource::WebToken, "old", s(10));
        assert!(!hosts.has_moved_from("old", s(11)));
        hosts.record(HostSource::WebToken, "new", s(20));
        assert!(hosts.has_moved_from("old", s(11)));
        assert!(!hosts.has_moved_from("new", s(11)));
        // what was made later was made with this known
        assert!(!hosts.has_moved_from("old", s(21)));
    }

    #[test]
    fn two_alternating_hosts_are_not_a_change_each_time() {
        let hosts = HostRecord::default();
        hosts.record(HostSource::WebToken, "a", s(10));
        hosts.record(HostSource::CliToken, "b", s(20));
        assert!(hosts.has_moved_from("a", s(11)), "it may be a change");
        for later in 30..40 {
            hosts.record(HostSource::WebToken, "a", s(later));
            hosts.record(HostSource::CliToken, "b", s(later));
            assert!(!hosts.has_moved_from("a", s(29)) && !hosts.has_moved_from("b", s(29)));
        }
    }

    #[test]
    fn a_late_older_answer_is_ignored() {
        let hosts = HostRecord::default();
        hosts.record(HostSource::CliToken, "new", s(20));
        hosts.record(HostSource::CliToken, "old", s(10));
        assert!(hosts.has_named_since("new", s(20)) && !hosts.has_named_since("old", s(0)));
        assert!(!hosts.has_named_since("new", s(21)));
        assert_eq!(hosts.latest().as_deref(), Some("new"));
    }
}
