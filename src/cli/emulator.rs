//! `emulator`: the fake MWAA alone.

use crate::config_args::path_parser;
use crate::emulator_environments::EnvironmentArgs;
use crate::serve::block_on;
use crate::signals::Signals;
use crate::terminal::Terminal;
use crate::{ExitStatus, RunResult, create_temp_dir};
use clap::{Args, ValueEnum, value_parser};
use mwaa_app::StartError;
use mwaa_config::quote;
use mwaa_emulator::{
    Answer, Credential, Emulator, FailureForm, FaultRule, LoginForm, Role, Seed, Settings,
    StartError as EmulatorError,
};
use std::net::{AddrParseError, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The options of `emulator`.
#[derive(Debug, Args)]
pub(crate) struct EmulatorArgs {
    /// The address of the AWS side (plain HTTP)
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4566")]
    aws: SocketAddr,
    /// The address of the web servers (TLS)
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    web: SocketAddr,
    /// The address of the control API: faults, answers, clock and journal over HTTP (loopback only)
    #[arg(long, value_name = "ADDR", value_parser = parse_control)]
    control: Option<SocketAddr>,
    #[command(flatten)]
    environments: EnvironmentArgs,
    /// Use this file as the output of a command (repeatable)
    #[arg(long, value_name = "COMMAND=FILE", value_parser = Answer::read_option)]
    answer: Vec<(String, Answer)>,
    /// The region that request signatures must have
    #[arg(long, value_name = "REGION", default_value = "eu-west-1", value_parser = parse_region)]
    region: String,
    /// The file for the CA's certificate [default: one in a temporary folder]
    #[arg(long, value_name = "FILE", value_parser = path_parser())]
    ca_file: Option<PathBuf>,
    /// The lifetime of a token
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_life)]
    token_life: Duration,
    /// The lifetime of a session
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = parse_life)]
    session_life: Duration,
    /// The response to a login
    #[arg(long, value_enum, default_value_t)]
    login: LoginMode,
    /// Accept each web token only once
    #[arg(long)]
    single_use_web_tokens: bool,
    /// Days of past runs of the scheduled DAGs
    #[arg(long, value_name = "DAYS", default_value_t = 14)]
    past_days: u16,
    /// The number of commands that one environment runs at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = value_parser!(u16).range(1..=1000))]
    cli_slots: u16,
    /// The response to a failed command
    #[arg(long, value_enum, default_value_t)]
    failures: FailureMode,
    /// Make an operation fail, for example `CreateCliToken=Throttling` (repeatable)
    #[arg(long, value_name = "NAME=KIND", value_parser = FaultRule::read_option)]
    fault: Vec<FaultRule>,
    /// Delay each token by this time
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    mint_delay: Option<Duration>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum FailureMode {
    /// 400, with the output in JSON
    #[default]
    BadRequest,
    /// 200, with the output in JSON
    Ok,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum LoginMode {
    /// 200 with the cookies
    #[default]
    Direct,
    /// 302 to the first page, with the cookies
    Redirect,
}

/// Reads a loopback address. Fails for others.
fn parse_control(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|error: AddrParseError| error.to_string())?;
    let is_loopback = address.ip().is_loopback();
    let form = "choose a loopback address, for example 127.0.0.1:4567";
    is_loopback
        .then_some(address)
        .ok_or_else(|| form.to_owned())
}

/// Reads a region, which is a part of host names.
fn parse_region(text: &str) -> Result<String, &'static str> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_region = !text.is_empty() && text.chars().all(fits);
    let form = "a region has lower-case letters, digits and hyphens, for example eu-west-1";
    is_region.then(|| text.to_owned()).ok_or(form)
}

/// Reads a lifetime of up to a year.
fn parse_life(text: &str) -> Result<Duration, String> {
    let life = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let fits = life <= Duration::from_hours(366 * 24);
    fits.then_some(life)
        .ok_or_else(|| "choose a year at most".to_owned())
}

pub(crate) fn run(args: EmulatorArgs, terminal: &Terminal) -> RunResult {
    let seeds = args
        .environments
        .build_seeds(args.past_days)
        .map_err(|error| {
            let hint = error.hint();
            terminal.fail(ExitStatus::Usage, &error, Some(hint))
        })?;
    Ok(block_on(terminal, async {
        let mut signals = Signals::listen().map_err(StartError::Thread)?;
        let emulator = Emulator::start(args.to_settings(seeds))
            .await
            .map_err(|error| {
                let hint = "choose other addresses with --aws, --web and --control";
                let hint = matches!(error, EmulatorError::Bind { .. }).then_some(hint);
                terminal.fail(ExitStatus::Failure, &error, hint)
            })?;
        args.set_faults(&emulator);

        // removed at the end, with the certificate if that has no other place
        let folder = create_temp_dir(terminal)?;
        let ca_file = args.ca_file.unwrap_or_else(|| folder.path().join("ca.pem"));
        // for clients that run in other folders
        let ca_file = std::path::absolute(&ca_file).unwrap_or(ca_file);
        std::fs::write(&ca_file, emulator.ca_pem()).map_err(|error| {
            let file = ca_file.display();
            let hint = format!("cannot write {file}; choose another place with --ca-file");
            terminal.fail(ExitStatus::Failure, &error, Some(&hint))
        })?;

        terminal.print(format_instructions(&emulator, &ca_file));
        signals.next().await;
        Ok(ExitStatus::Success)
    }))
}

impl EmulatorArgs {
    fn to_settings(&self, environments: Vec<Seed>) -> Settings {
        Settings {
            aws: self.aws,
            web: self.web,
            control: self.control,
            answers: self.answer.clone(),
            region: self.region.clone(),
            environments,

            session_life: self.session_life,
            single_use_web_tokens: self.single_use_web_tokens,
            login_form: match self.login {
                LoginMode::Direct => LoginForm::Direct,
                LoginMode::Redirect => LoginForm::Redirect,
            },
            token_life: self.token_life,
            cli_slots: self.cli_slots.into(),
            failure_form: match self.failures {
                FailureMode::BadRequest => FailureForm::BadRequest,
                FailureMode::Ok => FailureForm::Ok,
            },
            journal_limit: JOURNAL_LIMIT,
            ..Settings::default()
        }
    }

    fn set_faults(&self, emulator: &Emulator) {
        let script = emulator.script();
        for fault in &self.fault {
            fault.clone().apply(script);
        }

        if let Some(delay) = self.mint_delay {
            script.mint_delay.always(delay);
        }
    }
}

/// Formats the addresses, the variables of clients, and the configuration of a gateway.
fn format_instructions(emulator: &Emulator, ca_file: &Path) -> String {
    let control = emulator.control_addr();
    let control = control.map(|address| format!("control http://{address}\n"));

    format!(
        "endpoint {endpoint}\n\
         web servers {web}\n\
         {control}CA file: {ca}\n\
         export AWS_ACCESS_KEY_ID={id}\n\
         export AWS_SECRET_ACCESS_KEY={secret}\n\
         {roles}# for boto3 and the AWS CLI: do not put env. or api. before the endpoint's host\n\
         export AWS_DISABLE_HOST_PREFIX_INJECTION=true\n\
         {scripts}# --- mwaa-gateway.toml\n{snippet}# --- end\n",
        endpoint = emulator.endpoint_url(),
        web = emulator.web_addr(),
        control = control.unwrap_or_default(),
        ca = ca_file.display(),
        id = emulator.access_key_id(),
        secret = emulator.secret_access_key(),
        roles = format_roles(emulator),
        scripts = format_script_variables(emulator, ca_file),
        snippet = emulator.config_toml(ca_file),
    )
}

/// Formats the further variables of a script that uses the emulator without a gateway. They are
/// printed with `--web-host` only, because such a script reaches no web server without it.
fn format_script_variables(emulator: &Emulator, ca_file: &Path) -> String {
    if !emulator.has_web_host() {
        return String::new();
    }
    format!(
        "export AWS_ENDPOINT_URL_MWAA={endpoint}\n\
         export AWS_DEFAULT_REGION={region}\n\
         # for requests; other programs have other variables\n\
         export REQUESTS_CA_BUNDLE={ca}\n\
         # a gateway needs an emulator without --web-host\n",
        endpoint = emulator.endpoint_url(),
        region = emulator.region(),
        ca = quote(&ca_file.display().to_string()),
    )
}

/// Formats the keys of further roles, as comments.
fn format_roles(emulator: &Emulator) -> String {
    let format_role = |credential: &Credential| {
        let role = credential.role.map_or("none", Role::name);
        format!(
            "# as {role}: AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={}\n",
            credential.access_key_id, credential.secret_access_key
        )
    };
    let credentials = emulator.credentials().iter().skip(1);
    credentials.map(format_role).collect()
}

/// An emulator may run for days; its journal need not hold all their requests.
const JOURNAL_LIMIT: usize = 1000;
