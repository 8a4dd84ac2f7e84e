//! How an emulator is to be set up, and why it may not start.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::answers::Answer;
use super::front::RealAirflow;
use super::identity::Credential;

/// Everything an emulator can be told before it starts.
///
/// The default listens on free loopback ports, knows one environment called `demo` and makes
/// up its own credentials.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the AWS side (plain HTTP) listens.
    pub aws: SocketAddr,
    /// Where the environments' web servers (TLS) listen; all of them share the one address.
    pub web: SocketAddr,
    /// Where the control address listens, if there is one: faults, answers, clock and journal over
    /// HTTP. A loopback address.
    pub control: Option<SocketAddr>,
    /// The region that signatures must be made for.
    pub region: String,
    /// The twelve-digit account number in every ARN.
    pub account: String,
    /// Who may sign requests. Empty: a pair for each role is made up at start, Admin's first.
    pub credentials: Vec<Credential>,
    /// The environments that exist.
    pub environments: Vec<Seed>,
    /// How long a token lives. MWAA's 60 s by default.
    pub token_life: Duration,
    /// Whether a web token signs in only once, which MWAA does not promise either way.
    pub single_use_web_tokens: bool,
    /// What the login route answers with.
    pub login_form: LoginForm,
    /// How long a session lives from the login on. MWAA's 12 h by default.
    pub session_life: Duration,
    /// How many commands one environment runs at once. MWAA's 4 by default.
    pub cli_slots: usize,
    /// How the web server reports a command that failed.
    pub failure_form: FailureForm,
    /// After how long a command is answered with 504, while it keeps running.
    pub command_timeout: Duration,
    /// Whether signatures are verified.
    pub check_signatures: bool,
    /// What the web server shows in the TLS handshake.
    pub certificate: CertificateForm,
    /// How many entries of each kind the journal keeps; older ones are forgotten.
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
            check_signatures: true,
            certificate: CertificateForm::default(),
            journal_limit: 10_000,
            answers: Vec::new(),
        }
    }
}

/// One environment, as it is when the emulator starts.
#[derive(Clone, Debug)]
pub struct Seed {
    /// MWAA's name for it.
    pub name: String,
    /// Chooses the supported commands and the built-in world's manners.
    pub airflow_version: String,
    /// MWAA's status word, such as `AVAILABLE` or `UPDATING`.
    pub status: String,
    /// `PUBLIC_ONLY`, `PRIVATE_ONLY` (whose host has `-vpce` in it) or `PUBLIC_AND_PRIVATE`.
    pub access_mode: String,
    /// Which family of host names the web server belongs to.
    pub host_form: HostForm,
    /// The host and port that AWS names as the web server instead of a name in MWAA's form, for
    /// example `localhost:8443`, which clients reach without changes to DNS. Port 0 stands for
    /// the port of `web`.
    pub web_host: Option<String>,
    /// A name of its own that the certificate covers as well, as behind a load balancer.
    pub custom_domain: Option<String>,
    /// Whether a plugin needs a package that the web server lacks: on 1.10.12 and 2.0.2 every
    /// command that parses DAGs then fails.
    pub plugins_need_packages: bool,
    /// A real `airflow` program to run for each command, instead of the built-in world.
    pub airflow_bin: Option<PathBuf>,
    /// A real Airflow to pass pages and REST calls on to, instead of the built-in ones.
    pub airflow: Option<RealAirflow>,
    /// On how many days before the start the scheduled DAGs are to have run already.
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
    /// Describes an available, public environment.
    pub fn new(name: &str, airflow_version: &str) -> Self {
        Self {
            name: name.to_owned(),
            airflow_version: airflow_version.to_owned(),
            status: "AVAILABLE".to_owned(),
            access_mode: "PUBLIC_ONLY".to_owned(),
            host_form: HostForm::default(),
            web_host: None,
            custom_domain: None,
            plugins_need_packages: false,
            airflow_bin: None,
            airflow: None,
            past_days: 0,
            dags: Vec::new(),
        }
    }
}

/// The two families of web server names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostForm {
    /// `UUID.c1.REGION.airflow.amazonaws.com`.
    #[default]
    AmazonAws,
    /// `UUID.c1.airflow.REGION.on.aws`, for environments made since August 2025.
    OnAws,
}

/// The two ways clients have seen a failed command reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailureForm {
    /// 400 with the same JSON as a success.
    #[default]
    BadRequest,
    /// 200 with the complaint in `stderr`.
    Ok,
}

/// The two answers clients have seen from the login route; both carry the cookies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoginForm {
    /// 200.
    #[default]
    Direct,
    /// 302 with an absolute `Location` on the environment's own host.
    Redirect,
}

/// What the web server's certificate looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CertificateForm {
    /// Signed by the emulator's CA, for every environment's host.
    #[default]
    Valid,
    /// Ran out long ago.
    Expired,
    /// Begins in the far future.
    NotYetValid,
    /// Signed by nobody but itself.
    SelfSigned,
    /// Signed by a CA of the same name with another key.
    UnknownCa,
    /// For another host.
    WrongName,
}

/// Why an emulator did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// An address could not be listened on.
    Bind {
        /// The side that wanted it: `AWS`, `web` or `control`.
        side: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The CA or the web server's certificate could not be made.
    Certificate(rcgen::Error),
    /// The control address is not on loopback.
    Control(SocketAddr),
    /// An environment's name is not one MWAA would take, or stands there twice.
    Environment(String),
    /// rustls did not take the certificate.
    Tls(rustls::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind { side, address, .. } => {
                write!(f, "the emulator's {side} side can't listen on {address}")
            }
            Self::Control(address) => {
                write!(f, "the control address {address} is not on loopback")
            }
            Self::Certificate(_) => f.write_str("can't make the emulator's certificates"),
            Self::Environment(name) => {
                write!(
                    f,
                    "environment name {name:?} is not valid or stands there twice"
                )
            }
            Self::Tls(_) => f.write_str("can't set up TLS for the emulator"),
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Bind { source, .. } => Some(source),
            Self::Certificate(source) => Some(source),
            Self::Control(_) | Self::Environment(_) => None,
            Self::Tls(source) => Some(source),
        }
    }
}
