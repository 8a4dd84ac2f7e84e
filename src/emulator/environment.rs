//! One environment: its host name, its slots, its world, and how AWS describes it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::session::{Dialect, Sessions};
use super::settings::{HostForm, Seed};
use super::world::World;

/// An environment while the emulator runs.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) seed: Seed,
    pub(crate) host: String,
    pub(crate) dialect: Dialect,
    pub(crate) sessions: Sessions,
    pub(crate) world: Arc<World>,
    pub(crate) slots: Arc<Semaphore>,
    status: Mutex<String>,
    created: Duration,
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
        let world = World::new(&seed.airflow_version);
        world.remember(seed.past_days);
        Self {
            host: format!("{}{private}.c1.{suffix}", super::made_up::uuid()),
            dialect: Dialect::of(&seed.airflow_version),
            sessions: Sessions::default(),
            world: Arc::new(world),
            slots: Arc::new(Semaphore::new(slots)),
            status: Mutex::new(seed.status.clone()),
            created,
            seed,
        }
    }

    /// Every name the web server is reached by.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.host.as_str()).chain(self.seed.custom_domain.as_deref())
    }

    /// Airflow's `base_url`: the name that users know, without the port that a test may use.
    pub(crate) fn base_url(&self) -> String {
        let host = self.seed.custom_domain.as_deref().unwrap_or(&self.host);
        format!("https://{host}")
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
    pub(crate) fn describe(&self, place: Place<'_>, with_scheme: bool) -> Value {
        let name = &self.seed.name;
        let status = self.status();
        let Place { region, account } = place;
        let partition = place.partition();
        let url = if with_scheme {
            format!("https://{}", self.host)
        } else {
            self.host.clone()
        };
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
            "WebserverUrl": url,
            "WebserverVpcEndpointService": service("0a1b2c3d4e5f60718"),
            "WeeklyMaintenanceWindowStart": "SUN:03:30",
        })
    }
}

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
            let host = Environment::new(seed, region, 4, Duration::ZERO).host;
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
