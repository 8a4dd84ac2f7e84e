//! What `GetEnvironment` returned, as the gateways of a fleet share it: after a start and after a failure
//! one of them calls AWS, and the others find its answer in the fleet's store.

use super::{AwsError, MwaaApi};
use crate::sharing::{self, read_failure, write_failure};
use mwaa_fleet::{ClaimResult, ClaimSettings, Fleet, Found};
use mwaa_model::{Environment, EnvironmentInfo};
use mwaa_runtime::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// An environment's state in the store of a fleet.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredInfo {
    version: Option<String>,
    status: String,
    access_mode: Option<String>,
    host: Option<String>,
    identity_center: Option<String>,
    teams: Vec<String>,
}

impl StoredInfo {
    fn new(info: &EnvironmentInfo) -> Self {
        Self {
            version: info.airflow_version.map(|version| version.to_string()),
            status: info.status.clone(),
            access_mode: info.access_mode.clone(),
            host: info.webserver_host.clone(),
            identity_center: info.identity_center.clone(),
            teams: info.teams.clone(),
        }
    }

    fn open(self) -> EnvironmentInfo {
        EnvironmentInfo {
            airflow_version: self.version.and_then(|version| version.parse().ok()),
            status: self.status,
            access_mode: self.access_mode,
            webserver_host: self.host,
            identity_center: self.identity_center,
            teams: self.teams,
        }
    }
}

/// Returns an environment's state with the time for which it is true: another gateway's answer, if it is
/// new, or AWS's. `limit` is the longest time of all.
///
/// Fails if the call fails, or if another gateway's call has failed a moment ago.
pub(super) async fn describe(
    api: &dyn MwaaApi,
    fleet: Option<&Arc<Fleet>>,
    environment: &Environment,
    limit: Duration,
) -> Result<(EnvironmentInfo, Timestamp), AwsError> {
    let call = async || {
        // before the call
        let now = Timestamp::now();
        let info = api.get_environment(environment).await?;
        Ok((info, now))
    };
    let Some(fleet) = fleet else {
        return call().await;
    };
    let settings = ClaimSettings {
        // nothing needs a newer answer: a page asks as often
        fresh: 1.0,
        ..sharing::claim_settings(limit)
    };

    match fleet.find(environment, KIND, None, settings).await {
        Found::Item {
            value, requested, ..
        } => {
            let info: StoredInfo = value;
            Ok((info.open(), requested))
        }
        Found::Failure(failure) => Err(read_failure(&failure)),
        Found::Alone => call().await,
        Found::Claimed(mut claim) => {
            let described = claim.keep(call()).await;
            let result = match &described {
                Ok((info, _when)) => ClaimResult::Made {
                    id: fastrand::u64(1..),
                    value: StoredInfo::new(info),
                    usable: USE,
                },
                Err(error) if error.is_transient() => ClaimResult::Failed(write_failure(error)),
                Err(_) => ClaimResult::Nothing,
            };
            claim.publish(result).await;
            described
        }
    }
}

/// Its name in the store.
const KIND: &str = "environment";
/// The others use an answer for this time.
const USE: Duration = Duration::from_secs(30);
