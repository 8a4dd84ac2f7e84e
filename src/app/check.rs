//! The checks of `check`: the files that the configuration names, the answers of AWS, and the TLS
//! connections to the web servers.

use super::environments::find_environments;
use super::{ExternalInputs, StartError, settings};
use mwaa_auth::CliToken;
use mwaa_auth::aws::{AwsClient, AwsError, AwsErrorKind, MwaaApi as _, format_clock_offset};
use mwaa_config::{Address, Config, EnvironmentEntry, Transport};
use mwaa_egress::{Connector, Route};
use mwaa_fleet::{Fleet, StoreError};
use mwaa_model::code::FLEET_UNAVAILABLE;
use mwaa_model::{Entry, EnvironmentInfo, Fault, split_port, strip_brackets};
use mwaa_policy::explain_release;
use mwaa_proxy::upstream::{Trust, check_connection};
use mwaa_runtime::{BackgroundTasks, CoarseTimer, LocalTasks, Timestamp, local_set};
use mwaa_server::{CertificateStatus, TlsConfig};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The severity of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckLevel {
    /// As it should be.
    Ok,
    /// Works, but look at it.
    Warn,
    /// Does not work.
    Fail,
}

/// The result of one check. `Display` gives all of it but the level.
#[derive(Debug, Clone, serde::Serialize)]
pub struct CheckResult {
    /// The severity.
    pub level: CheckLevel,
    /// The thing that was checked.
    pub subject: String,
    /// The fault's code, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// The result in words.
    pub text: String,
    /// The advice, if the text does not give it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl CheckResult {
    /// Creates a result without a code and a hint.
    pub fn new(level: CheckLevel, subject: &str, text: String) -> Self {
        Self {
            level,
            subject: subject.to_owned(),
            code: None,
            text,
            hint: None,
        }
    }

    fn from_fault(subject: &str, fault: &dyn Fault) -> Self {
        Self {
            code: Some(fault.code().text),
            hint: Some(fault.hint().into_owned()),
            ..Self::new(CheckLevel::Fail, subject, fault.detail())
        }
    }
}

impl fmt::Display for CheckResult {
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

/// Reads the files that the configuration names, and checks the listener's certificate.
///
/// Fails if the gateway would not start because of a file.
pub fn check_files(config: &Config) -> Result<Vec<CheckResult>, StartError> {
    // the same steps as at the start of a gateway, so that their errors are the same
    for entry in &config.environments {
        Trust::new(entry.ca_file.as_deref())?;
    }
    settings::load_proxy_users(config)?;
    settings::load_admission(config, &[])?;
    settings::load_fleet_keys(config)?;
    let Some(files) = settings::tls_files(config) else {
        return Ok(Vec::new());
    };
    let certificate = files.certificate.display().to_string();
    let is_made_here = files.certificate.ends_with("gateway.pem");
    let tls = TlsConfig::load(files)?;

    let renew = if is_made_here && tls.contains(CERTIFICATE_MAKER) {
        format!("run `{}` to renew it", config.certs_command)
    } else {
        "renew it".to_owned()
    };
    let now = Timestamp::now().wall();
    let mut results = Vec::new();
    let mut report = |level, text| results.push(CheckResult::new(level, "listener.tls", text));
    match tls.status_at(now) {
        CertificateStatus::Valid => {
            if tls.status_at(now.saturating_add(EXPIRY_NOTICE)) == CertificateStatus::Expired {
                let text = format!("{certificate} expires in less than 30 days: {renew}");
                report(CheckLevel::Warn, text);
            }
        }
        CertificateStatus::Expired => report(
            CheckLevel::Fail,
            format!("{certificate} has expired; clients will reject it: {renew}"),
        ),
        CertificateStatus::NotYet => report(
            CheckLevel::Fail,
            format!("{certificate} is not valid yet; is this machine's clock right?"),
        ),
    }

    // the gateway would run with a certificate for other names, but no client would accept it
    let (covered, others): (Vec<_>, Vec<_>) = find_listener_names(config)
        .into_iter()
        .partition(|name| tls.is_valid_for(name));
    if !covered.is_empty() {
        let text = format!("{certificate} is for {}", covered.join(", "));
        report(CheckLevel::Ok, text);
    }
    if !others.is_empty() {
        let others = others.join(", ");
        let text = format!(
            "{certificate} is not for {others}; clients that use these names will reject it"
        );
        report(CheckLevel::Warn, text);
    }
    Ok(results)
}

/// Returns the names that clients may use for the TLS listeners: DNS names, and IP addresses without
/// brackets.
fn find_listener_names(config: &Config) -> Vec<String> {
    let listener = &config.listener;
    let own = config.environments.iter();
    let own = own.filter_map(|entry| Some((entry.listen.as_ref()?, None)));
    let further = config.listeners.iter();
    let further = further.map(|further| (&further.address, further.tls));
    let all = std::iter::once((&listener.address, None))
        .chain(own)
        .chain(further);
    let addresses: Vec<_> = all
        .filter(|(address, tls)| config.transport(address, *tls) != Transport::Plain)
        .filter_map(|(address, _)| match address {
            Address::Tcp(address) => Some(address.ip()),
            Address::Unix(_) => None,
        })
        .collect();

    let mut names = Vec::new();
    if !addresses.is_empty() {
        let environments = config.environments.iter();
        let locals = environments.map(|entry| &entry.environment.local);
        names.push("localhost".to_owned());
        names.extend(locals.map(|local| format!("{local}.localhost")));
        names.extend(listener.hosts.iter().map(|host| strip_port(host)));
    }
    // a wildcard address is no name that a client could use
    let addresses = addresses.iter().filter(|ip| !ip.is_unspecified());
    names.extend(addresses.map(ToString::to_string));

    // each once, in the order above, which is that of the text
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// Returns a Host's name without port, brackets and final dot, as certificates write it.
fn strip_port(host: &str) -> String {
    let (name, _port) = split_port(host);
    strip_brackets(name).trim_end_matches('.').to_owned()
}

/// Checks the identity, and for each environment AWS's description, a CLI token and a TLS
/// connection to the web server. No request is sent to the web servers.
///
/// Fails if the gateway would not start; all other failures are results.
pub async fn check_environments(
    config: &Config,
    inputs: &ExternalInputs,
    mut report: impl FnMut(CheckResult),
) -> Result<(), StartError> {
    let background = BackgroundTasks::current();
    let connector = settings::load_connector(config, inputs, &background)?;
    let aws = Arc::new(AwsClient::new(settings::aws(config, inputs, &connector)));
    let fleet = settings::load_fleet(config, &connector, &aws, &background)?;
    if let Some((store, keys, own)) = fleet {
        let checked = Fleet::check(store, keys, &own).await;
        report(describe_store(config, checked));
    }
    let entries = check_discovery(&aws, config, &mut report).await;
    let checker = CheckContext {
        config,
        connector,
        aws,
    };

    // environments that share an identity need only one check of it
    let mut identities = HashMap::new();
    for entry in &entries {
        let environment = &entry.environment;
        let identity = (environment.profile.clone(), environment.role_arn.clone());
        let has_credentials = if let Some(known) = identities.get(&identity) {
            *known
        } else {
            let (result, has_credentials) = checker.check_identity(entry).await;
            report(result);
            identities.insert(identity, has_credentials);
            has_credentials
        };

        if has_credentials {
            checker.check_environment(entry, &mut report).await?;
        } else {
            let text = "not checked: its identity has no credentials".to_owned();
            let local = environment.local.as_str();
            report(CheckResult::new(CheckLevel::Fail, local, text));
        }
    }
    Ok(())
}

/// Returns the result of the fleet's store: the gateways that use it, and its clock.
fn describe_store(
    config: &Config,
    checked: Result<(usize, Duration), StoreError>,
) -> CheckResult {
    let store = config.fleet.as_ref().map(|fleet| fleet.store.to_string());
    let store = store.unwrap_or_default();

    match checked {
        Ok((gateways, time)) => {
            let now = Timestamp::now().wall();
            let apart = now.abs_diff(time).as_secs();
            let text = format!(
                "{store} can be used; {gateways} gateways use it; its clock and this one are {apart} s apart"
            );
            CheckResult::new(CheckLevel::Ok, "fleet", text)
        }
        // the gateway starts and works without it
        Err(error) => CheckResult {
            code: Some(FLEET_UNAVAILABLE.text),
            hint: Some(format!(
                "{}; tokens and slots are not shared until then",
                error.hint()
            )),
            ..CheckResult::new(CheckLevel::Fail, "fleet", format!("{store}: {error}"))
        },
    }
}

/// Returns the environments that are named and those that AWS lists; reports the answer of each
/// place.
async fn check_discovery(
    aws: &AwsClient,
    config: &Config,
    report: &mut impl FnMut(CheckResult),
) -> Vec<Arc<Entry>> {
    let found = find_environments(aws, config).await;
    let has_several = found.places.len() > 1;

    for (place, names) in found.places {
        let subject = if has_several {
            format!("environments of {place}")
        } else {
            "environments".to_owned()
        };
        report(match names {
            Err(error) => CheckResult::from_fault(&subject, &error),
            Ok(names) if names.is_empty() => {
                // one region without environments is no mistake if another one has some
                let level = if found.entries.is_empty() {
                    CheckLevel::Fail
                } else {
                    CheckLevel::Warn
                };
                let text = "the account has no environment in this region".to_owned();
                CheckResult::new(level, &subject, text)
            }
            Ok(names) => CheckResult::new(CheckLevel::Ok, &subject, names.join(", ")),
        });
    }
    found.entries
}

/// The clients that the checks of all environments share.
struct CheckContext<'a> {
    config: &'a Config,
    connector: Connector,
    aws: Arc<AwsClient>,
}

impl CheckContext<'_> {
    /// Returns the result for an environment's identity, and true if there may be credentials:
    /// without any, further calls would fail as well.
    async fn check_identity(&self, entry: &Entry) -> (CheckResult, bool) {
        let environment = &entry.environment;
        let subject = match &environment.profile {
            Some(profile) => format!("identity (profile {profile})"),
            None => "identity".to_owned(),
        };
        // STS is not behind an endpoint that is set for MWAA alone
        if environment.endpoint_url.is_some() {
            let text = "not checked: endpoint_url is set, and AWS STS is not behind it";
            let result = CheckResult::new(CheckLevel::Ok, &subject, text.to_owned());
            return (result, true);
        }

        match self.aws.caller_identity(environment).await {
            Ok(arn) => (CheckResult::new(CheckLevel::Ok, &subject, arn), true),
            Err(error) => {
                let lacks_credentials = matches!(
                    error.kind,
                    AwsErrorKind::Credentials | AwsErrorKind::LoginNeeded
                );
                (
                    CheckResult::from_fault(&subject, &error),
                    !lacks_credentials,
                )
            }
        }
    }

    async fn check_environment(
        &self,
        entry: &Entry,
        report: &mut impl FnMut(CheckResult),
    ) -> Result<(), StartError> {
        let environment = &entry.environment;
        let local = environment.local.as_str();
        let info = self.aws.get_environment(environment).await;
        report(match &info {
            Ok(info) => check_status(local, info),
            // a configured version makes this permission optional
            Err(error) if environment.airflow_version.is_some() => CheckResult {
                level: CheckLevel::Warn,
                ..CheckResult::from_fault(local, error)
            },
            Err(error) => CheckResult::from_fault(local, error),
        });
        if let Some(users) = info.as_ref().ok().and_then(EnvironmentInfo::explain_users) {
            report(CheckResult::new(CheckLevel::Ok, local, users));
        }
        let described = info.as_ref().ok().and_then(|info| info.airflow_version);
        let version = environment.airflow_version.or(described);
        if let Some(text) = version.and_then(explain_release) {
            report(CheckResult::new(CheckLevel::Warn, local, text));
        }

        // an untrusted host gets no connection here either
        let minted = match self.aws.create_cli_token(environment).await {
            Ok(minted) => CliToken::check(&minted, environment).map(|()| minted),
            Err(error) => Err(add_status(error, info)),
        };
        match minted {
            Err(error) => report(CheckResult::from_fault(local, &error)),
            Ok(minted) => {
                let suffix = match self.connector.find_aws_route(environment, &minted.region) {
                    Route::Direct => String::new(),
                    other => format!(" (calls to AWS go {other})"),
                };
                let text = format!("a CLI token for {}{suffix}", minted.host);
                report(CheckResult::new(CheckLevel::Ok, local, text));
                report(check_clock(local, minted.clock_offset));
                report(self.check_web_server(entry, &minted.host).await?);
            }
        }
        Ok(())
    }

    /// Opens a TLS connection to the web server, and closes it again.
    async fn check_web_server(
        &self,
        entry: &Entry,
        host: &str,
    ) -> Result<CheckResult, StartError> {
        let environment = &entry.environment;
        let local = environment.local.as_str();
        let is_same =
            |configured: &&EnvironmentEntry| configured.environment.local == environment.local;
        let configured = self.config.environments.iter().find(is_same);
        let trust = Trust::new(configured.and_then(|entry| entry.ca_file.as_deref()))?;

        // the client of a worker thread needs a worker's tasks and clock
        let connected = local_set()
            .run_until(async {
                let tasks = LocalTasks::default();
                let timer = CoarseTimer::start(&tasks, &BackgroundTasks::current());
                let settings = settings::upstream(self.config);
                check_connection(
                    host,
                    environment,
                    &self.connector,
                    &trust,
                    &settings,
                    &timer,
                )
                .await
            })
            .await;
        Ok(match connected {
            Ok(()) => {
                let way = self.connector.find_route(environment, host);
                let text = format!("TLS connection to {host}{}", way.suffix());
                CheckResult::new(CheckLevel::Ok, local, text)
            }
            Err(error) => CheckResult::from_fault(local, &error),
        })
    }
}

/// Returns the error with what the environment's status adds to it: an environment that is being
/// created has no tokens yet.
fn add_status(error: AwsError, info: Result<EnvironmentInfo, AwsError>) -> AwsError {
    if !error.is_state_related() {
        return error;
    }
    match info {
        Ok(info) => error.with_state(&info),
        Err(reason) => error.without_state(&reason),
    }
}

/// Returns status, version and access mode; a status other than the best one with its meaning.
fn check_status(local: &str, info: &EnvironmentInfo) -> CheckResult {
    let version = info
        .airflow_version
        .map_or_else(|| "unknown".to_owned(), |version| version.to_string());
    let access = info.access_mode.as_deref().unwrap_or("unknown access");
    let text = format!("{}, Airflow {version}, {access}", info.status);
    match info.status_meaning() {
        None => CheckResult::new(CheckLevel::Ok, local, text),
        Some(meaning) => {
            CheckResult::new(CheckLevel::Warn, local, format!("{text}: {meaning}"))
        }
    }
}

fn check_clock(subject: &str, offset: Option<i64>) -> CheckResult {
    match offset {
        Some(offset) if offset.unsigned_abs() > CLOCK_TOLERANCE.as_secs() => {
            let text = format!(
                "{}: AWS rejects requests if the clock is off by five minutes",
                format_clock_offset(offset)
            );
            CheckResult::new(CheckLevel::Warn, subject, text)
        }
        Some(offset) => {
            let text = format!("clock offset {offset} s");
            CheckResult::new(CheckLevel::Ok, subject, text)
        }
        None => CheckResult::new(
            CheckLevel::Warn,
            subject,
            "the AWS response has no Date".to_owned(),
        ),
    }
}

/// A smaller offset is not worth a warning. AWS refuses signatures that are off by five minutes.
const CLOCK_TOLERANCE: Duration = Duration::from_mins(1);
/// `check` warns so long before a certificate expires.
const EXPIRY_NOTICE: Duration = Duration::from_hours(30 * 24);
/// The organization in the certificates that `mwaa-gateway certs` makes.
pub const CERTIFICATE_MAKER: &str = "mwaa-gateway certs";

#[cfg(test)]
mod tests {
    use super::strip_port;

    #[test]
    fn strip_port_removes_the_port_brackets_and_final_dot() {
        for (host, name) in [
            ("a.example:8080", "a.example"),
            ("a.example.", "a.example"),
            ("[::1]:8080", "::1"),
            ("[::1]", "::1"),
        ] {
            assert_eq!(strip_port(host), name);
        }
    }
}
