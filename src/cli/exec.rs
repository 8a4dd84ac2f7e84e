//! `exec`: runs a program with a gateway of its own, which ends with it.

use crate::client::{ConnectError, ProblemDetails, listen_only_on};
use crate::config_args::{ConfigArgs, config_flags, load_external_inputs};
use crate::running::get;
use crate::sanitize::sanitize;
use crate::serve::block_on;
use crate::signals::{INTERRUPT, QUIT, Signals};
use crate::terminal::Terminal;
use crate::{ExitStatus, RunError, RunResult};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use http::StatusCode;
use mwaa_app::{Gateway, StartError};
use mwaa_config::{Address, Config, env};
use mwaa_model::Policy;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use std::borrow::Cow;
use std::io::{self, IsTerminal as _};
use std::net::AddrParseError;
use std::os::unix::process::ExitStatusExt as _;
use std::process;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

/// The options of `exec`.
#[derive(Args)]
pub(crate) struct ExecArgs {
    #[command(flatten)]
    config: ConfigArgs<ExecFlags>,
    /// Allow the program only this much; its environment's policy holds too
    #[arg(
        long,
        value_name = "POLICY",
        value_parser = PossibleValuesParser::new(POLICIES.map(Policy::as_str)).map(|name| parse_policy(&name))
    )]
    policy: Option<Policy>,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    program: Vec<String>,
}

config_flags! {
    struct ExecFlags;
    Environment: "The environment: a local name, or a name in MWAA [default: the default \
                  environment]",
    Region: "The AWS region, if the file has none",
    Profile: "The AWS profile, if the file has none",
}

pub(crate) fn run(args: &ExecArgs, terminal: &Terminal) -> RunResult {
    let mut config = args.config.load(terminal)?;
    restrict(&mut config, args);
    let inputs = load_external_inputs(terminal)?;
    let region = find_region(&config);

    // as `serve` does, before the first credential is in memory
    mwaa_app::harden();
    Ok(block_on(terminal, async {
        // before the program starts, so that it is never left behind
        let mut signals = Signals::listen().map_err(StartError::Thread)?;
        let gateway = Gateway::bind(config, &inputs).await?;
        let url = gateway.urls().into_iter().next().unwrap_or_default();
        let (stop, stopping) = oneshot::channel::<()>();
        let mut serving = std::pin::pin!(gateway.serve(async {
            // a dropped sender is the request to stop
            drop(stopping.await);
        }));

        let program = async {
            let login = tokio::select! {
                login = Login::find(&url) => login,
                number = signals.next() => return Ok(ExitStatus::Signal(number)),
            };
            let login = login.map_err(|error| {
                terminal.fail(ExitStatus::Unavailable, &error, Some(&error.hint()))
            })?;
            let variables = list_variables(&url, &region, &login);
            run_program(&args.program, variables, &mut signals, terminal).await
        };
        let exit = tokio::select! {
            ended = serving.as_mut() => {
                ended?;
                return Ok(ExitStatus::Failure);
            }
            exit = program => exit,
        };

        drop(stop);
        serving.await?;
        exit
    }))
}

/// Makes the configuration that of a gateway for one program.
fn restrict(config: &mut Config, args: &ExecArgs) {
    listen_only_on(config, Address::Tcp(([127, 0, 0, 1], 0).into()));
    if let Some(policy) = args.policy {
        config.listener.rules.policy = policy;
    }
    if args.config.environment().is_some() {
        config.aws.discover = Some(false);
    }
    // the program has ended by then, and reads no response
    config.limits.shutdown_delay = Duration::ZERO;
    config.limits.drain = DRAIN;
}

/// Returns the region of the first environment. SDKs want one, and the gateway ignores it.
fn find_region(config: &Config) -> String {
    let first = config.environments.first();
    let own = first.and_then(|entry| entry.environment.region.as_ref());
    let region = own.or(config.aws.region.as_ref());
    region.map_or_else(
        || env::aws_region().unwrap_or_else(|| "us-east-1".to_owned()),
        ToString::to_string,
    )
}

/// The default environment, as clients of the REST API have to know it.
enum Login {
    /// Airflow 2.
    Two,
    /// Airflow 3, with a token for clients that insist on one. It grants nothing.
    Three(String),
    /// There are several environments, and none is the default one.
    Unknown,
}

impl Login {
    /// Asks the gateway, which asks AWS for the version unless it is configured.
    async fn find(url: &str) -> Result<Self, LoginError> {
        let address = url.trim_start_matches("http://").parse()?;
        let (status, body) = get(address, "/auth/token", VERSION_TIMEOUT).await?;
        if status == StatusCode::OK {
            let token: Token = serde_json::from_str(&body)?;
            return Ok(Self::Three(token.access_token));
        }

        let problem: ProblemDetails = serde_json::from_str(&body)?;
        match &*problem.code {
            "route.unknown_path" => Ok(Self::Two),
            "route.unknown_environment" => {
                let (_, body) = get(address, "/environments", VERSION_TIMEOUT).await?;
                let list: EnvironmentList = serde_json::from_str(&body)?;
                if list.environments.is_empty() {
                    Err(problem.into())
                } else {
                    Ok(Self::Unknown)
                }
            }
            _ => Err(problem.into()),
        }
    }
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
}

#[derive(Deserialize)]
struct EnvironmentList {
    #[serde(rename = "Environments")]
    environments: Vec<String>,
}

/// The gateway could not find out about the environment.
#[derive(Debug, thiserror::Error)]
enum LoginError {
    #[error("the gateway has no TCP address")]
    Address(#[from] AddrParseError),
    #[error("the gateway does not answer")]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Fault(#[from] ProblemDetails),
    #[error("the gateway's response cannot be read")]
    Malformed(#[from] serde_json::Error),
}

impl LoginError {
    fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Fault(ProblemDetails {
                hint: Some(hint), ..
            }) => sanitize(hint),
            _ => "`mwaa-gateway check` finds the reason".into(),
        }
    }
}

/// Returns the variables that clients read. The keys are placeholders: the SDKs sign with them, and
/// the gateway does not look at the signature.
fn list_variables(url: &str, region: &str, login: &Login) -> Vec<(&'static str, String)> {
    let mut variables: Vec<_> = URL_VARIABLES
        .iter()
        .map(|name| (*name, url.to_owned()))
        .collect();
    for (name, value) in [
        ("AWS_DISABLE_HOST_PREFIX_INJECTION", "true"),
        ("AWS_REGION", region),
        ("AWS_DEFAULT_REGION", region),
        ("AWS_ACCESS_KEY_ID", "mwaa-gateway"),
        ("AWS_SECRET_ACCESS_KEY", "mwaa-gateway"),
    ] {
        variables.push((name, value.to_owned()));
    }

    let (version, token) = match login {
        Login::Two => (Some("v1"), Some("mwaa-gateway")),
        Login::Three(token) => (Some("v2"), Some(token.as_str())),
        Login::Unknown => (None, None),
    };
    variables.extend(version.map(|version| ("AIRFLOW_API_VERSION", version.to_owned())));
    variables.extend(token.map(|token| ("AIRFLOW_CLI_TOKEN", token.to_owned())));

    // a proxy could not reach this address
    let mut hosts = env::no_proxy().unwrap_or_default();
    for host in ["localhost", "127.0.0.1"] {
        if !hosts
            .split(',')
            .any(|known| matches!(known.trim(), "*") || known.trim() == host)
        {
            hosts.push_str(if hosts.is_empty() { "" } else { "," });
            hosts.push_str(host);
        }
    }
    variables.extend([("NO_PROXY", hosts.clone()), ("no_proxy", hosts)]);
    variables
}

/// Runs the program to its end, and passes signals on to it.
async fn run_program(
    words: &[String],
    variables: Vec<(&'static str, String)>,
    signals: &mut Signals,
    terminal: &Terminal,
) -> Result<ExitStatus, RunError> {
    let Some((program, arguments)) = words.split_first() else {
        return Ok(ExitStatus::Usage);
    };
    let mut command = Command::new(program);
    command.args(arguments).envs(variables);
    for name in REMOVED {
        command.env_remove(name);
    }
    let mut child = command.kill_on_drop(true).spawn().map_err(|error| {
        let (code, hint) = match error.kind() {
            io::ErrorKind::NotFound => (NOT_FOUND, "check its name and the PATH"),
            _ => (NOT_EXECUTABLE, "it must be an executable file"),
        };
        let error = RunProgramError(program.clone(), error);
        terminal.fail(ExitStatus::Other(code), &error, Some(hint))
    })?;

    loop {
        tokio::select! {
            status = child.wait() => {
                return status.map(to_exit).map_err(|error| {
                    let error = RunProgramError(program.clone(), error);
                    terminal.fail(ExitStatus::Failure, &error, None).into()
                });
            }
            number = signals.next() => pass_on(number, &child),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot run {0}")]
struct RunProgramError(String, #[source] io::Error);

/// Sends a signal on to the program. A terminal has sent its Ctrl-C or Ctrl-\ to the program too.
fn pass_on(number: u8, child: &Child) {
    let (signal, is_of_terminal) = match number {
        INTERRUPT => (Signal::INT, true),
        QUIT => (Signal::QUIT, true),
        _ => (Signal::TERM, false),
    };
    if is_of_terminal && io::stdin().is_terminal() {
        return;
    }
    let pid = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
    if let Some(pid) = pid {
        // it may have ended in this moment
        let _gone = kill_process(pid, signal);
    }
}

/// Returns the program's own exit code, or 128 and the number of the signal that ended it.
fn to_exit(status: process::ExitStatus) -> ExitStatus {
    let signal = status.signal().and_then(|number| u8::try_from(number).ok());
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    match (signal, code) {
        (Some(number), _) => ExitStatus::Signal(number),
        (None, Some(code)) => ExitStatus::Other(code),
        (None, None) => ExitStatus::Failure,
    }
}

fn parse_policy(name: &str) -> Policy {
    let known = POLICIES.into_iter().find(|policy| policy.as_str() == name);
    // clap has checked it
    known.unwrap_or(Policy::ReadOnly)
}

const POLICIES: [Policy; 4] = [
    Policy::Supported,
    Policy::ReadOnly,
    Policy::Operator,
    Policy::All,
];
/// The variables whose value is the gateway's URL, each of some client.
const URL_VARIABLES: [&str; 7] = [
    "AIRFLOW_API_BASE_URL",
    "AIRFLOW_API_URL",
    "AIRFLOW_BASE_ENDPOINT",
    "AIRFLOW_HOST",
    "AIRFLOW_URL",
    "AWS_ENDPOINT_URL_MWAA",
    "MWAA_GATEWAY_URL",
];
/// The variables of AWS identities, which the program does not need.
const REMOVED: [&str; 3] = ["AWS_DEFAULT_PROFILE", "AWS_PROFILE", "AWS_SESSION_TOKEN"];
/// The longest wait for AWS to name the version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest wait for requests after the program's end.
const DRAIN: Duration = Duration::from_secs(1);
/// The exit codes of a shell for a program that cannot be run.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;
