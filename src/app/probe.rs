//! What `check` asks of AWS and of the web servers, one finding after the other.

use super::search::search;
use super::{Extras, StartError, settings};
use crate::config::{Config, EnvironmentEntry};
use crate::control::{AwsErrorKind, ControlPlane as _, Sdk, off_by};
use crate::credential::Live;
use crate::egress::{Egress, Way};
use crate::names::{Described, Entry, Fault};
use crate::runtime::{Background, LocalTasks, Sweeper, local_set};
use crate::upstream::{Trust, probe as probe_upstream};
use std::collections::BTreeMap;
use std::collections::btree_map;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Works, but look at it.
    Warn,
    /// Does not work.
    Fail,
}

/// One line of `check`. `Display` gives all of it but the level.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Finding {
    /// How bad.
    pub level: Level,
    /// What was looked at.
    pub subject: String,
    /// The fault's code, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// What was found.
    pub text: String,
    /// What to do, where the text does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.subject)?;
        if let Some(code) = self.code {
            write!(f, "{code}: ")?;
        }
        f.write_str(&self.text)?;
        match &self.hint {
            Some(hint) => write!(f, "; hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl Finding {
    /// Makes a finding.
    pub fn new(level: Level, subject: &str, text: String) -> Self {
        Self {
            level,
            subject: subject.to_owned(),
            code: None,
            text,
            hint: None,
        }
    }

    fn fault(subject: &str, fault: &dyn Fault) -> Self {
        Self {
            code: Some(fault.code().text),
            hint: Some(fault.hint().into_owned()),
            ..Self::new(Level::Fail, subject, fault.to_string())
        }
    }
}

/// Asks AWS who we are, and for each environment its description and a token; then opens a TLS
/// connection to each web server. Nothing is sent to the web servers.
pub async fn probe(
    config: &Config,
    extras: &Extras,
    mut tell: impl FnMut(Finding),
) -> Result<(), StartError> {
    let egress = settings::egress(config, extras, &Background::current())?;
    let sdk = Sdk::new(settings::control(config, extras, &egress));
    let mut asked = BTreeMap::new();
    let entries = entries(&sdk, config, &mut tell).await;
    for entry in &entries {
        let of_entry = |configured: &&EnvironmentEntry| {
            configured.environment.local == entry.environment.local
        };
        let configured = config.environments.iter().find(of_entry);
        let ca_file = configured.and_then(|configured| configured.ca_file.as_deref());
        let environment = &entry.environment;
        let identity = (environment.profile.clone(), environment.role_arn.clone());
        let local = environment.local.as_str();
        let has_credentials = match asked.entry(identity) {
            btree_map::Entry::Occupied(known) => *known.get(),
            btree_map::Entry::Vacant(new) => {
                let (finding, has_credentials) = identity_of(&sdk, entry).await;
                tell(finding);
                *new.insert(has_credentials)
            }
        };
        if !has_credentials {
            let text = "not asked: its identity has no credentials".to_owned();
            tell(Finding::new(Level::Fail, local, text));
            continue;
        }
        let described = sdk.get_environment(environment).await;
        match &described {
            Ok(described) => {
                tell(status(local, described));
            }
            // a configured version makes this permission optional
            Err(error) if environment.airflow_version.is_some() => tell(Finding {
                level: Level::Warn,
                ..Finding::fault(local, error)
            }),
            Err(error) => tell(Finding::fault(local, error)),
        }
        // a host that is not trusted gets no connection here either
        let minted = sdk.create_cli_token(environment).await;
        let minted = minted.map_err(|error| match described {
            _ if !error.may_be_the_state() => error,
            Ok(described) => error.with_state(&described),
            Err(why) => error.without_state(&why),
        });
        match minted.and_then(|minted| Live::check(&minted, environment).map(|()| minted)) {
            Err(error) => tell(Finding::fault(local, &error)),
            Ok(minted) => {
                let way = egress.way_to_aws(environment, &minted.region);
                let text = format!("a CLI token for {}{}", minted.host, way_to_aws(&way));
                tell(Finding::new(Level::Ok, local, text));
                tell(clock(local, minted.clock_offset));
                tell(web_server(config, entry, &minted.host, ca_file, &egress).await?);
            }
        }
    }
    Ok(())
}

/// The environments that are named and those that are found; tells of the search.
async fn entries(
    sdk: &Sdk,
    config: &Config,
    tell: &mut impl FnMut(Finding),
) -> Vec<Arc<Entry>> {
    let searched = search(sdk, config).await;
    let several = searched.places.len() > 1;
    for (place, answer) in searched.places {
        let subject = if several {
            format!("environments of {place}")
        } else {
            "environments".to_owned()
        };
        let (level, text) = match answer {
            Ok(names) if names.is_empty() => {
                let level = if searched.entries.is_empty() {
                    Level::Fail
                } else {
                    Level::Warn
                };
                (level, "the account has none in this region".to_owned())
            }
            Ok(names) => (Level::Ok, names.join(", ")),
            Err(error) => {
                tell(Finding::fault(&subject, &error));
                continue;
            }
        };
        tell(Finding::new(level, &subject, text));
    }
    searched.entries
}

/// Status, version and access mode; a status other than the best one with its meaning.
fn status(local: &str, described: &Described) -> Finding {
    let version = described
        .airflow_version
        .map_or_else(|| "unknown".to_owned(), |version| version.to_string());
    let access = described.access_mode.as_deref().unwrap_or("unknown access");
    let text = format!("{}, Airflow {version}, {access}", described.status);
    match described.status_meaning() {
        None => Finding::new(Level::Ok, local, text),
        Some(meaning) => Finding::new(Level::Warn, local, format!("{text}: {meaning}")),
    }
}

/// Who AWS says we are; and whether there are credentials at all, so that it makes sense to go on.
async fn identity_of(sdk: &Sdk, entry: &Entry) -> (Finding, bool) {
    let subject = match &entry.environment.profile {
        Some(profile) => format!("identity (profile {profile})"),
        None => "identity".to_owned(),
    };
    if entry.environment.endpoint_url.is_some() {
        let text = "not asked: endpoint_url is set, and AWS's identity service is elsewhere";
        return (Finding::new(Level::Ok, &subject, text.to_owned()), true);
    }
    match sdk.caller_identity(&entry.environment).await {
        Ok(arn) => (Finding::new(Level::Ok, &subject, arn), true),
        Err(error) => {
            let lacking = matches!(
                error.kind,
                AwsErrorKind::Credentials | AwsErrorKind::LoginNeeded
            );
            (Finding::fault(&subject, &error), !lacking)
        }
    }
}

/// How AWS was asked, where that is not the direct way.
fn way_to_aws(way: &Way) -> String {
    match way {
        Way::Direct => String::new(),
        other => format!(" (AWS is asked {other})"),
    }
}

fn clock(subject: &str, offset: Option<i64>) -> Finding {
    match offset {
        Some(offset) if offset.unsigned_abs() > CLOCK_TOLERANCE.as_secs() => {
            let text = format!("{}: AWS refuses what is signed too far off", off_by(offset));
            Finding::new(Level::Warn, subject, text)
        }
        Some(offset) => Finding::new(Level::Ok, subject, format!("clock offset {offset} s")),
        None => Finding::new(Level::Warn, subject, "AWS told no time".to_owned()),
    }
}

async fn web_server(
    config: &Config,
    entry: &Entry,
    host: &str,
    ca_file: Option<&Path>,
    egress: &Egress,
) -> Result<Finding, StartError> {
    let trust = Trust::new(ca_file).map_err(StartError::Trust)?;
    let local = entry.environment.local.as_str();
    let probed = local_set()
        .run_until(async {
            let tasks = LocalTasks::default();
            let sweeper = Sweeper::start(&tasks);
            let settings = settings::upstream(config);
            probe_upstream(
                host,
                &entry.environment,
                egress,
                &trust,
                &settings,
                &sweeper,
                &tasks,
            )
            .await
        })
        .await;
    Ok(match probed {
        Ok(()) => {
            let way = egress.way(&entry.environment, host);
            let text = format!("TLS connection to {host}{}", way.suffix());
            Finding::new(Level::Ok, local, text)
        }
        Err(error) => Finding::fault(local, &error),
    })
}

/// Below this, nobody minds.
const CLOCK_TOLERANCE: Duration = Duration::from_mins(1);
