//! One environment: its host name, its slots, its Airflow, and how AWS describes it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::fault::FormerHost;
use super::made_up;
use super::session::{Dialect, Sessions};
use super::settings::{HostForm, Seed, Settings};
use super::world::World;

/// An environment while the emulator runs.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) seed: Seed,
    life: Mutex<Life>,
    pub(crate) dialect: Dialect,
    pub(crate) sessions: Sessions,
    pub(crate) world: Arc<World>,
    pub(crate) slots: Arc<Semaphore>,
    created: Duration,
}

/// What changes while an environment lives.
#[derive(Debug)]
struct Life {
    status: String,
    /// The name of the web server.
    host: Arc<str>,
    /// Its names in earlier lives, and what became of them.
    former: Vec<(Arc<str>, FormerHost)>,
}

impl Environment {
    pub(crate) fn new(seed: Seed, region: &str, slots: usize, created: Duration) -> Self {
        let is_private = seed.access_mode == "PRIVATE_ONLY";
        let private = if is_private { "-vpce" } else { "" };
        let suffix = match seed.host_form {
            HostForm::AmazonAws => format!("{region}.airflow.amazonaws.com"),
            HostForm::OnAws => format!("airflow.{region}.on.aws"),
        };
        let world = World::new(&seed.airflow_version, &seed.dags);
        world.now(|state| state.remember(seed.past_days));
        Self {
            life: Mutex::new(Life {
                status: seed.status.clone(),
                host: format!("{}{private}.c1.{suffix}", made_up::uuid()).into(),
                former: Vec::new(),
            }),
            dialect: Dialect::of(&seed.airflow_version),
            sessions: Sessions::default(),
            world: Arc::new(world),
            slots: Arc::new(Semaphore::new(slots)),
            created,
            seed,
        }
    }

    /// The name that AWS gives for the web server.
    pub(crate) fn host(&self) -> Arc<str> {
        Arc::clone(&self.life().host)
    }

    /// The names that the web server is reached by. That in `web_host` is without its port and
    /// without the brackets of an IPv6 address.
    fn names(&self) -> impl Iterator<Item = String> {
        let web_host = self.seed.web_host.as_deref().map(name_of_authority);
        let names = [self.seed.custom_domain.as_deref(), web_host];
        let names = names.into_iter().flatten().map(str::to_owned);
        names.chain([self.host().to_string()])
    }

    /// Whether this is one of the names that the web server is reached by.
    pub(crate) fn is_called(&self, host: &str) -> bool {
        self.names().any(|name| name.eq_ignore_ascii_case(host))
    }

    /// The names that a certificate must hold, also after a new life.
    pub(crate) fn certified(&self) -> impl Iterator<Item = String> {
        let host = self.host();
        let domain = host
            .split_once('.')
            .map(|(_, domain)| format!("*.{domain}"));
        self.names().chain(domain)
    }

    /// The host that AWS names as the web server, with a port if it was given one.
    pub(crate) fn public_host(&self) -> String {
        let given = self.seed.web_host.clone();
        given.unwrap_or_else(|| self.host().to_string())
    }

    /// What became of this name, if the web server had it in an earlier life.
    pub(crate) fn former(&self, host: &str) -> Option<FormerHost> {
        let life = self.life();
        let mut former = life.former.iter();
        let found = former.find(|(name, _)| name.eq_ignore_ascii_case(host));
        found.map(|(_, fate)| *fate)
    }

    /// Deletes the environment and recreates it under the same name, with another host and without
    /// the old sessions.
    pub(crate) fn recreate(&self, old: FormerHost) {
        self.sessions.clear();
        let mut life = self.life();
        let domain = life.host.get(UUID..).unwrap_or_default();
        let new = format!("{}{domain}", made_up::uuid()).into();
        let former = std::mem::replace(&mut life.host, new);
        life.former.push((former, old));
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Airflow's `base_url`: the name that users know, without the port that a test may use.
    pub(crate) fn base_url(&self) -> String {
        let domain = self.seed.custom_domain.clone();
        format!("https://{}", domain.unwrap_or_else(|| self.public_host()))
    }

    /// When it was made, to the second.
    pub(crate) fn created_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.created.as_secs())
    }

    pub(crate) fn set_status(&self, status: &str) {
        status.clone_into(&mut self.life().status);
    }

    /// What the last change came to, which follows from the status.
    fn last_update(&self, status: &str) -> Value {
        let outcome = match status {
            "CREATING" | "UPDATING" | "ROLLING_BACK" | "CREATING_SNAPSHOT" | "PENDING"
            | "MAINTENANCE" => "PENDING",
            "CREATE_FAILED" | "UPDATE_FAILED" | "UNAVAILABLE" => "FAILED",
            _ => "SUCCESS",
        };
        let created = self.created.as_secs();
        if outcome == "FAILED" {
            let error = json!({
                "ErrorCode": "INCORRECT_CONFIGURATION",
                "ErrorMessage": "The environment could not be stabilized.",
            });
            return json!({ "CreatedAt": created, "Status": outcome, "Error": error });
        }
        json!({ "CreatedAt": created, "Status": outcome })
    }

    /// The `Environment` object of GetEnvironment.
    pub(crate) fn describe(&self, settings: &Settings) -> Value {
        let name = &self.seed.name;
        let status = self.life().status.clone();
        let (region, account) = (&settings.region, &settings.account);
        let service = |id: &str| format!("com.amazonaws.vpce.{region}.vpce-svc-{id}");
        let role = |role: &str| format!("arn:aws:iam::{account}:role/{role}");
        let log = |group: &str, level: &str| {
            let group = format!("log-group:airflow-{name}-{group}");
            json!({
                "Enabled": true,
                "LogLevel": level,
                "CloudWatchLogGroupArn": format!("arn:aws:logs:{region}:{account}:{group}"),
            })
        };
        let mut document = json!({
            "AirflowConfigurationOptions": {},
            "AirflowVersion": self.seed.airflow_version,
            "Arn": settings.arn(&format!("environment/{name}")),
            "CeleryExecutorQueue":
                format!("arn:aws:sqs:{region}:{account}:airflow-celery-{name}"),
            "CreatedAt": self.created.as_secs(),
            "DagS3Path": "dags",
            "DatabaseVpcEndpointService": service("0d1e2f3a4b5c6d7e8"),
            "EndpointManagement": "SERVICE",
            "EnvironmentClass": "mw1.small",
            "ExecutionRoleArn": role("mwaa-execution"),
            "LastUpdate": self.last_update(&status),
            "LoggingConfiguration": {
                "DagProcessingLogs": log("DAGProcessing", "WARNING"),
                "SchedulerLogs": log("Scheduler", "WARNING"),
                "TaskLogs": log("Task", "INFO"),
                "WebserverLogs": log("WebServer", "WARNING"),
                "WorkerLogs": log("Worker", "WARNING"),
            },
            "MaxWebservers": 2,
            "MaxWorkers": 10,
            "MinWebservers": 2,
            "MinWorkers": 1,
            "Name": name,
            "NetworkConfiguration": {
                "SecurityGroupIds": ["sg-0123456789abcdef0"],
                "SubnetIds": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
            },
            "Schedulers": 2,
            "ServiceRoleArn":
                role("aws-service-role/airflow.amazonaws.com/AWSServiceRoleForAmazonMWAA"),
            "SourceBucketArn": format!("arn:aws:s3:::airflow-{name}"),
            "Status": status,
            "Tags": {},
            "WebserverAccessMode": self.seed.access_mode,
            "WebserverUrl": self.public_host(),
            "WebserverVpcEndpointService": service("0a1b2c3d4e5f60718"),
            "WeeklyMaintenanceWindowStart": "SUN:03:30",
        });
        let extra = self.seed.extra.clone();
        document.as_object_mut().expect("an object").extend(extra);
        document
    }
}

/// The host of `HOST`, `HOST:PORT` or `[IPV6]:PORT`.
pub(crate) fn name_of_authority(authority: &str) -> &str {
    let bracketed = authority
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'));
    let found = bracketed.or_else(|| authority.split_once(':'));
    found.map_or(authority, |(host, _)| host)
}

/// The length of a UUID as text.
const UUID: usize = 36;

/// Whether MWAA would take a name: `[a-zA-Z][0-9a-zA-Z-_]*`, at most 80 characters.
pub(crate) fn valid_name(name: &str) -> bool {
    name.len() <= 80
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_mwaa_s_shape() {
        for (access_mode, host_form, region, expected) in [
            (
                "PUBLIC_ONLY",
                HostForm::AmazonAws,
                "eu-west-1",
                ".c1.eu-west-1.airflow.amazonaws.com",
            ),
            (
                "PRIVATE_ONLY",
                HostForm::OnAws,
                "eu-west-1",
                "-vpce.c1.airflow.eu-west-1.on.aws",
            ),
        ] {
            let seed = Seed {
                access_mode: access_mode.to_owned(),
                host_form,
                ..Seed::default()
            };
            let host = Environment::new(seed, region, 4, Duration::ZERO).host();
            assert_eq!(host.get(UUID..), Some(expected));
        }
    }

    #[test]
    fn names_are_checked_as_mwaa_checks_them() {
        for good in ["a", "Prod_1-x", &"a".repeat(80)] {
            assert!(valid_name(good), "{good}");
        }
        for bad in ["", "1a", "a.b", "a b", "-a", "ä", &"a".repeat(81)] {
            assert!(!valid_name(bad), "{bad}");
        }
    }
}
