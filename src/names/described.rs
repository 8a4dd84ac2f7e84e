//! What AWS tells of an environment, and what its words mean for people.

use super::AirflowVersion;

/// What `GetEnvironment` told, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The Airflow release, if it could be read.
    pub airflow_version: Option<AirflowVersion>,
    /// `AVAILABLE`, `UPDATING`, …
    pub status: String,
    /// Who can reach the web server: `PUBLIC_ONLY`, `PRIVATE_ONLY` or `PUBLIC_AND_PRIVATE`.
    pub access_mode: Option<String>,
    /// The web server's host name.
    pub webserver_host: Option<String>,
}

impl Described {
    /// What the status means for somebody who wants to use the environment; `None` when it is
    /// available and nothing needs to be said.
    pub fn status_meaning(&self) -> Option<&'static str> {
        if self.status == AVAILABLE {
            return None;
        }
        let known = STATUSES.iter().find(|(word, _)| *word == self.status);
        Some(known.map_or(UNKNOWN, |(_, meaning)| *meaning))
    }

    /// Why the web server may not answer well, as far as its status tells.
    pub fn why_unwell(&self) -> Option<String> {
        self.status_meaning()
            .map(|meaning| format!("AWS says {}: {meaning}", self.status))
    }

    /// Why the web server may be out of reach, as far as AWS's answer tells.
    pub fn why_unreachable(&self) -> Option<String> {
        let is_private = self.access_mode.as_deref() == Some("PRIVATE_ONLY");
        let private = is_private.then(|| PRIVATE.to_owned());
        match (self.why_unwell(), private) {
            (Some(status), Some(private)) => Some(format!("{status}; {private}")),
            (one, other) => one.or(other),
        }
    }
}

/// The status in which everything works.
const AVAILABLE: &str = "AVAILABLE";

/// `EnvironmentStatus` of the MWAA API (API reference, `Environment`, "Status").
const STATUSES: &[(&str, &str)] = &[
    (
        "CREATING",
        "it is being created, which takes 20 to 30 minutes; there is nothing to reach before that",
    ),
    (
        "CREATE_FAILED",
        "it could not be created; the MWAA console says why, and it has to be deleted and made anew",
    ),
    (
        "CREATING_SNAPSHOT",
        "an update has begun and MWAA takes a snapshot of its database first; the UI is usually up",
    ),
    (
        "UPDATING",
        "it is being updated, which takes 10 to 30 minutes; the UI is usually up, commands may fail",
    ),
    (
        "UPDATE_FAILED",
        "its last update failed; the MWAA console says why, and whether all is as it was before",
    ),
    (
        "ROLLING_BACK",
        "an update failed and MWAA restores what was before, from the snapshot; try again later",
    ),
    (
        "PENDING",
        "MWAA waits for VPC endpoints that its owner has to make; without them it gives up after 72 hours",
    ),
    (
        "MAINTENANCE",
        "MWAA is doing maintenance; it may not answer until that is over",
    ),
    (
        "UNAVAILABLE",
        "MWAA can't run it: mostly its network, bucket, key or execution role was changed; the MWAA console says more",
    ),
    ("DELETING", "it is being deleted"),
    ("DELETED", "it has been deleted"),
];

const UNKNOWN: &str =
    "a status that this version of the gateway does not know; the MWAA console may say more";

const PRIVATE: &str = "its web server is private (PRIVATE_ONLY): it can be reached from inside its VPC, \
     by VPN, or through a proxy or a tunnel (docs/networks.md)";

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: &str, access_mode: &str) -> Described {
        Described {
            airflow_version: None,
            status: status.to_owned(),
            access_mode: Some(access_mode.to_owned()),
            webserver_host: None,
        }
    }

    #[test]
    fn every_status_but_available_is_explained() {
        assert_eq!(told("AVAILABLE", "PUBLIC_ONLY").status_meaning(), None);
        let updating = told("UPDATING", "PUBLIC_ONLY").status_meaning();
        assert!(updating.is_some_and(|text| text.contains("being updated")));
        assert_eq!(
            told("DANCING", "PUBLIC_ONLY").status_meaning(),
            Some(UNKNOWN)
        );
    }

    #[test]
    fn the_api_s_words_are_all_known() {
        for status in aws_sdk_mwaa::types::EnvironmentStatus::values() {
            let meaning = told(status, "PUBLIC_ONLY").status_meaning();
            assert_ne!(meaning, Some(UNKNOWN), "{status}");
            assert_eq!(meaning.is_none(), *status == AVAILABLE, "{status}");
        }
    }

    #[test]
    fn what_is_out_of_reach_has_its_reasons() {
        let why = |status, access| told(status, access).why_unreachable().unwrap_or_default();
        assert_eq!(why("AVAILABLE", "PUBLIC_ONLY"), "");
        assert!(why("AVAILABLE", "PRIVATE_ONLY").contains("VPC"));
        assert!(why("MAINTENANCE", "PUBLIC_ONLY").starts_with("AWS says MAINTENANCE: "));
        let both = why("UPDATING", "PRIVATE_ONLY");
        assert!(
            both.contains("UPDATING") && both.contains("a tunnel"),
            "{both}"
        );
    }
}
