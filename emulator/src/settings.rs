//! The settings of an emulator, and why it may not start.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::answers::Answer;
use super::front::RealAirflow;
use super::identity::Credential;

/// The settings of an emulator.
///
/// The default listens on free loopback ports, has one environment called `demo` and makes up
/// its own credentials.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address of the AWS side (plain HTTP).
    pub aws: SocketAddr,
    /// The address of the web servers (TLS); all environments share it.
    pub web: SocketAddr,
    /// Where the control address listens, if there is one: faults, answers, clock and journal over
    /// HTTP. A loopback address.
    pub control: Option<SocketAddr>,
    /// The region that signatures must name.
    pub region: String,
    /// The twelve-digit account number in every ARN.
    pub account: String,
    /// The keys that may sign requests. If empty, a key for each role is made up, Admin's first.
    pub credentials: Vec<Credential>,
    /// The environments that exist.
    pub environments: Vec<Seed>,
    /// How long a token lives. MWAA's 60 s by default.
    pub token_life: Duration,
    /// Whether a web token logs in only once. MWAA documents neither.
    pub single_use_web_tokens: bool,
    /// The response of the login route.
    pub login_form: LoginForm,
    /// How long a session lives after the login. MWAA's 12 h by default.
    pub session_life: Duration,
    /// How many commands one environment runs at once. MWAA's 4 by default.
    pub cli_slots: usize,
    /// The response to a command that failed.
    pub failure_form: FailureForm,
    /// The time after which a command gets a 504; it continues to run.
    pub command_timeout: Duration,
    /// The certificate of the web servers.
    pub certificate: CertificateForm,
    /// How many entries of each kind the journal keeps; older ones are dropped.
    pub journal_limit: usize,
    /// What commands answer, by their leading words, instead of what the built-in Airflow or
    /// [`Seed::airflow_bin`] would print. The longest words that fit win.
    pub answers: Vec<(String, Answer)>,
}

impl Default for Settings {
    fn default() -> Self {
        let free_port = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self {
            aws: free_port,
            web: free_port,
            control: None,
            region: "eu-west-1".to_owned(),
            account: "123456789012".to_owned(),
            credentials: Vec::new(),
            environments: vec![Seed::default()],
            token_life: Duration::from_mins(1),
            single_use_web_tokens: false,
            login_form: LoginForm::default(),
            session_life: Duration::from_hours(12),
            cli_slots: 4,
            failure_form: FailureForm::default(),
            command_timeout: Duration::from_mins(2),
            certificate: CertificateForm::default(),
            journal_limit: 10_000,
            answers: Vec::new(),
        }
    }
}

impl Settings {
    /// An ARN of the Airflow service.
    pub(crate) fn arn(&self, resource: &str) -> String {
        format!(
            "arn:aws:airflow:{}:{}:{resource}",
            self.region, self.account
        )
    }
}

/// An environment, as it is when the emulator starts.
#[derive(Clone, Debug)]
pub struct Seed {
    /// MWAA's name for it.
    pub name: String,
    /// The version decides which commands MWAA supports and how the built-in Airflow answers.
    pub airflow_version: String,
    /// MWAA's status, such as `AVAILABLE` or `UPDATING`.
    pub status: String,
    /// `PUBLIC_ONLY`, `PRIVATE_ONLY` (whose host has `-vpce` in it) or `PUBLIC_AND_PRIVATE`.
    pub access_mode: String,
    /// Members of `GetEnvironment`'s document besides the emulator's own.
    pub extra: serde_json::Map<String, serde_json::Value>,
    /// The form of the host name of the web server.
    pub host_form: HostForm,
    /// The host and port that AWS names as the web server instead of a name in MWAA's form, for
    /// example `localhost:8443`, which clients reach without changes to DNS. Port 0 means the
    /// port of `web`.
    pub web_host: Option<String>,
    /// A custom domain that the certificate covers too, as behind a load balancer.
    pub custom_domain: Option<String>,
    /// A real `airflow` program that runs the commands, instead of the built-in Airflow.
    pub airflow_bin: Option<PathBuf>,
    /// A real Airflow that serves pages and REST calls, instead of the built-in one.
    pub airflow: Option<RealAirflow>,
    /// For how many days before the start the scheduled DAGs have runs.
    pub past_days: u16,
    /// The DAGs of the built-in Airflow instead of its three examples, if any are named. Each has
    /// two tasks and no schedule.
    pub dags: Vec<String>,
}

impl Default for Seed {
    fn default() -> Self {
        Self::new("demo", "2.10.3")
    }
}

impl Seed {
    /// An available, public environment.
    pub fn new(name: &str, airflow_version: &str) -> Self {
        Self {
            name: name.to_owned(),
            airflow_version: airflow_version.to_owned(),
            status: "AVAILABLE".to_owned(),
            access_mode: "PUBLIC_ONLY".to_owned(),
            extra: serde_json::Map::new(),
            host_form: HostForm::default(),
            web_host: None,
            custom_domain: None,
            airflow_bin: None,
            airflow: None,
            past_days: 0,
            dags: Vec::new(),
        }
    }
}

/// The two forms of web server names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostForm {
    /// `UUID.c1.REGION.airflow.amazonaws.com`.
    #[default]
    AmazonAws,
    /// `UUID.c1.airflow.REGION.on.aws`, for environments created since August 2025.
    OnAws,
}

/// The two responses to a failed command that clients have seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailureForm {
    /// 400 with the same JSON as a success.
    #[default]
    BadRequest,
    /// 200 with the error in `stderr`.
    Ok,
}

/// The two responses of the login route that clients have seen; both set the cookies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoginForm {
    /// 200.
    #[default]
    Direct,
    /// 302 with an absolute `Location` on the environment's host.
    Redirect,
}

/// Whether the certificate of the web servers is valid, and if not, why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CertificateForm {
    /// Signed by the emulator's CA, for every environment's host.
    #[default]
    Valid,
    /// Expired long ago.
    Expired,
    /// Valid from a date in the far future.
    NotYetValid,
    /// Self-signed.
    SelfSigned,
    /// Signed by a CA of the same name with another key.
    UnknownCa,
    /// For another host.
    WrongName,
}

/// Why an emulator did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The emulator cannot listen on an address.
    #[error("the emulator's {side} side cannot listen on {address}")]
    Bind {
        /// The side whose address it is: `AWS`, `web` or `control`.
        side: &'static str,
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// The CA or the certificate of the web servers cannot be created.
    #[error("cannot create the emulator's certificates")]
    Certificate(#[source] rcgen::Error),
    /// The control address is not on loopback.
    #[error("the control address {0} is not on loopback")]
    Control(SocketAddr),
    /// The name of an environment is not valid in MWAA, or is used twice.
    #[error("environment name {0:?} is not valid or is used twice")]
    Environment(String),
    /// rustls rejects the certificate.
    #[error("cannot set up TLS for the emulator")]
    Tls(#[source] rustls::Error),
}
