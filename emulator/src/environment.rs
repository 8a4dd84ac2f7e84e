//! One environment: its host name, its slots, its Airflow, and how AWS describes it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::fault::FormerHost;
use super::session::{Dialect, Sessions};
use super::settings::{HostForm, Seed};
use super::world::World;

/// An environment while the emulator runs.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) seed: Seed,
    hosts: Mutex<Hosts>,
    pub(crate) dialect: Dialect,
    pub(crate) sessions: Sessions,
    pub(crate) world: Arc<World>,
    pub(crate) slots: Arc<Semaphore>,
    status: Mutex<String>,
    created: Duration,
}

/// The names of an environment's web server.
#[derive(Debug)]
struct Hosts {
    now: Arc<str>,
    /// Those of its earlier lives, and what became of them.
    former: Vec<(Arc<str>, FormerHost)>,
}

/// Where an environment lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) region: &'a str,
    pub(crate) account: &'a str,
}

impl Place<'_> {
    pub(crate) fn partition(self) -> &'static str {
        if self.region.starts_with("cn-") {
            "aws-cn"
        } else {
            "aws"
        }
    }

    /// An ARN of the Airflow service in this place.
    pub(crate) fn arn(self, resource: &str) -> String {
        format!(
            "arn:{}:airflow:{}:{}:{resource}",
            self.partition(),
            self.region,
            self.account
        )
    }
}

impl Environment {
    pub(crate) fn new(seed: Seed, region: &str, slots: usize, created: Duration) -> Self {
        let private = if seed.access_mode == "PRIVATE_ONLY" {
            "-vpce"
        } else {
            ""
        };
        let china = region.starts_with("cn-");
        let suffix = match (seed.host_form, china) {
            (HostForm::AmazonAws, false) => format!("{region}.airflow.amazonaws.com"),
            (HostForm::AmazonAws, true) => format!("{region}.airflow.amazonaws.com.cn"),
            (HostForm::OnAws, false) => format!("airflow.{region}.on.aws"),
            (HostForm::OnAws, true) => format!("airflow.{region}.on.amazonwebservices.com.cn"),
        };
        let world = World::new(&seed.airflow_version, &seed.dags);
        world.remember(seed.past_days);
        Self {
            hosts: Mutex::new(Hosts {
                now: format!("{}{private}.c1.{suffix}", super::made_up::uuid()).into(),
                former: Vec::new(),
            }),
            dialect: Dialect::of(&seed.airflow_version),
            sessions: Sessions::default(),
            world: Arc::new(world),
            slots: Arc::new(Semaphore::new(slots)),
            status: Mutex::new(seed.status.clone()),
            created,
            seed,
        }
    }

    /// The name that AWS gives for the web server.
    pub(crate) fn host(&self) -> Arc<str> {
        Arc::clone(&self.lock_hosts().now)
    }

    /// Whether this is one of the names that the web server is reached by.
    pub(crate) fn is_called(&self, host: &str) -> bool {
        let own = |name: &str| name.eq_ignore_ascii_case(host);
        own(&self.host())
            || self.seed.custom_domain.as_deref().is_some_and(own)
            || self.web_host_name().is_some_and(own)
    }

    /// The host that AWS names as the web server, with a port if it was given one.
    pub(crate) fn public_host(&self) -> String {
        let given = self.seed.web_host.clone();
        given.unwrap_or_else(|| self.host().to_string())
    }

    /// The name in `web_host`, without its port and without the brackets of an IPv6 address.
    fn web_host_name(&self) -> Option<&str> {
        let given = self.seed.web_host.as_deref()?;
        Some(name_of_authority(given))
    }

    /// What became of this name, if the web server had it in an earlier life.
    pub(crate) fn former(&self, host: &str) -> Option<FormerHost> {
        let hosts = self.lock_hosts();
        let mut former = hosts.former.iter();
        former
            .find(|(name, _)| name.eq_ignore_ascii_case(host))
            .map(|(_, fate)| *fate)
    }

    /// The names that a certificate must hold, also after a new life.
    pub(crate) fn certified(&self) -> impl Iterator<Item = String> {
        let host = self.host();
        let any = host
            .split_once('.')
            .map(|(_, domain)| format!("*.{domain}"));
        any.into_iter()
            .chain([host.to_string()])
            .chain(self.seed.custom_domain.clone())
            .chain(self.web_host_name().map(str::to_owned))
    }

    /// Deletes the environment and makes it anew under the same name: another host, and none of
    /// the old sessions.
    pub(crate) fn recreate(&self, old: FormerHost) {
        self.sessions.clear();
        let mut hosts = self.lock_hosts();
        let domain = hosts.now.get(UUID..).unwrap_or_default();
        let new = format!("{}{domain}", super::made_up::uuid()).into();
        let former = std::mem::replace(&mut hosts.now, new);
        hosts.former.push((former, old));
    }

    fn lock_hosts(&self) -> MutexGuard<'_, Hosts> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Airflow's `base_url`: the name that users know, without the port that a test may use.
    pub(crate) fn base_url(&self) -> String {
        match &self.seed.custom_domain {
            Some(domain) => format!("https://{domain}"),
            None => format!("https://{}", self.public_host()),
        }
    }

    /// When it was made, to the second.
    pub(crate) fn created_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.created.as_secs())
    }

    pub(crate) fn set_status(&self, status: &str) {
        status.clone_into(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn status(&self) -> String {
        self.status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What the last change came to, which follows from the status.
    fn last_update(&self, status: &str) -> Value {
        let (outcome, error) = match status {
            "CREATING" | "UPDATING" | "ROLLING_BACK" | "CREATING_SNAPSHOT" | "PENDING"
            | "MAINTENANCE" => ("PENDING", None),
            "CREATE_FAILED" | "UPDATE_FAILED" | "UNAVAILABLE" => {
                ("FAILED", Some("The environment could not be stabilized."))
            }
            _ => ("SUCCESS", None),
        };
        let mut update = json!({ "CreatedAt": self.created.as_secs(), "Status": outcome });
        if let (Some(text), Some(update)) = (error, update.as_object_mut()) {
            let error = json!({ "ErrorCode": "INCORRECT_CONFIGURATION", "ErrorMessage": text });
            update.insert("Error".to_owned(), error);
        }
        update
    }

    /// The `Environment` object of GetEnvironment.
    pub(crate) fn describe(&self, place: Place<'_>) -> Value {
        let name = &self.seed.name;
        let status = self.status();
        let Place { region, account } = place;
        let partition = place.partition();
        let service = |id: &str| format!("com.amazonaws.vpce.{region}.vpce-svc-{id}");
        let role = |role: &str| format!("arn:{partition}:iam::{account}:role/{role}");
        let log = |group: &str, level: &str| {
            json!({
                "Enabled": true,
                "LogLevel": level,
                "CloudWatchLogGroupArn":
                    format!("arn:{partition}:logs:{region}:{account}:log-group:airflow-{name}-{group}"),
            })
        };
        json!({
            "AirflowConfigurationOptions": {},
            "AirflowVersion": self.seed.airflow_version,
            "Arn": place.arn(&format!("environment/{name}")),
            "CeleryExecutorQueue":
                format!("arn:{partition}:sqs:{region}:{account}:airflow-celery-{name}"),
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
            "ServiceRoleArn": format!(
                "arn:{partition}:iam::{account}:role/aws-service-role/\
                 airflow.amazonaws.com/AWSServiceRoleForAmazonMWAA"
            ),
            "SourceBucketArn": format!("arn:{partition}:s3:::airflow-{name}"),
            "Status": status,
            "Tags": {},
            "WebserverAccessMode": self.seed.access_mode,
            "WebserverUrl": self.public_host(),
            "WebserverVpcEndpointService": service("0a1b2c3d4e5f60718"),
            "WeeklyMaintenanceWindowStart": "SUN:03:30",
        })
    }
}

/// The host of `HOST`, `HOST:PORT` or `[IPV6]:PORT`.
pub(crate) fn name_of_authority(authority: &str) -> &str {
    if let Some((host, _)) = authority
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        return host;
    }
    authority
        .split_once(':')
        .map_or(authority, |(host, _)| host)
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
        let host = |access_mode: &str, host_form, region: &str| {
            let access_mode = access_mode.to_owned();
            let seed = Seed {
                access_mode,
                host_form,
                ..Seed::default()
            };
            let host = Environment::new(seed, region, 4, Duration::ZERO).host();
            host.split_at(36).1.to_owned()
        };
        assert_eq!(
            host("PUBLIC_ONLY", HostForm::AmazonAws, "eu-west-1"),
            ".c1.eu-west-1.airflow.amazonaws.com"
        );
        assert_eq!(
            host("PRIVATE_ONLY", HostForm::OnAws, "eu-west-1"),
            "-vpce.c1.airflow.eu-west-1.on.aws"
        );
        assert_eq!(
            host("PUBLIC_ONLY", HostForm::AmazonAws, "cn-north-1"),
            ".c1.cn-north-1.airflow.amazonaws.com.cn"
        );
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
