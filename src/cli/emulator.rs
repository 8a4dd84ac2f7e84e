//! `emulator`: the fake MWAA alone.

use super::Exit;
use super::airflows::Airflows;
use super::folder::Folder;
use super::inputs::path;
use super::serve::control;
use super::signals::Signals;
use super::terminal::Terminal;
use crate::app::StartError;
use crate::emulator::{
    ControlFault, Credential, Emulator, FailureForm, LoginForm, Role, Settings,
};
use clap::{Args, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The options of `emulator`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Where the AWS side listens (plain HTTP)
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4566")]
    aws: SocketAddr,
    /// Where the web servers listen (TLS)
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    web: SocketAddr,
    #[command(flatten)]
    airflows: Airflows,
    /// The region that signatures must be made for
    #[arg(long, value_name = "REGION", default_value = "eu-west-1")]
    region: String,
    /// Where the CA's certificate is written [default: a temporary folder]
    #[arg(long, value_name = "FILE", value_parser = path())]
    ca_file: Option<PathBuf>,
    /// How long a token lives
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    token_life: Duration,
    /// How long a session lives
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = humantime::parse_duration)]
    session_life: Duration,
    /// What the login route answers with
    #[arg(long, value_enum, default_value_t)]
    login: Login,
    /// Let a web token sign in only once
    #[arg(long)]
    single_use_web_tokens: bool,
    /// On how many past days the scheduled DAGs have run
    #[arg(long, value_name = "DAYS", default_value_t = 14)]
    past_days: u16,
    /// How many commands one environment runs at once
    #[arg(long, value_name = "N", default_value_t = 4)]
    cli_slots: usize,
    /// How failed commands are reported
    #[arg(long, value_enum, default_value_t)]
    failures: Failures,
    /// Let an operation fail, for example `CreateCliToken=Throttling` (may be given several times)
    #[arg(long, value_name = "OPERATION=KIND")]
    fault: Vec<Fault>,
    /// Wait so long before each token is given
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    mint_delay: Option<Duration>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Failures {
    /// As 400 with the output in JSON
    #[default]
    BadRequest,
    /// As 200 with the output in JSON
    Ok,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Login {
    /// 200 with the cookies
    #[default]
    Direct,
    /// 302 to the first page, with the cookies
    Redirect,
}

/// A fault to inject from the start.
#[derive(Debug, Clone)]
struct Fault {
    side: Side,
    kind: ControlFault,
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Describe,
    Token,
    WebToken,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (operation, kind) = text.split_once('=').ok_or("write it as OPERATION=KIND")?;
        let side = match operation {
            "CreateCliToken" => Side::Token,
            "CreateWebLoginToken" => Side::WebToken,
            "GetEnvironment" | "ListEnvironments" => Side::Describe,
            _ => {
                return Err("the operations are CreateCliToken, CreateWebLoginToken, GetEnvironment and \
                            ListEnvironments"
                    .to_owned());
            }
        };
        let kinds = [
            ("AccessDenied", ControlFault::AccessDenied),
            ("BareTooManyRequests", ControlFault::BareTooManyRequests),
            ("Drop", ControlFault::Drop),
            ("ExpiredToken", ControlFault::ExpiredToken),
            ("Hang", ControlFault::Hang),
            ("InternalServer", ControlFault::InternalServer),
            ("NotFound", ControlFault::NotFound),
            ("Throttling", ControlFault::Throttling),
            ("TooManyRequests", ControlFault::TooManyRequests),
            ("Unavailable", ControlFault::HtmlServiceUnavailable),
            ("Validation", ControlFault::Validation),
        ];
        let names = kinds.each_ref().map(|(name, _)| *name);
        match kinds.into_iter().find(|(name, _)| *name == kind) {
            Some((_, kind)) => Ok(Self { side, kind }),
            None => Err(format!("the kinds are {}", names.join(", "))),
        }
    }
}

pub(super) fn run(options: Options, terminal: &Terminal) -> Exit {
    control(terminal, async {
        let mut signals = Signals::listen().map_err(StartError::Thread)?;
        let environments = match options.airflows.seeds() {
            Ok(mut seeds) => {
                for seed in &mut seeds {
                    seed.past_days = options.past_days;
                }
                seeds
            }
            Err(error) => return Ok(terminal.fail(Exit::Usage, &error, Some(error.hint()))),
        };
        let settings = Settings {
            aws: options.aws,
            web: options.web,
            region: options.region,
            environments,
            session_life: options.session_life,
            single_use_web_tokens: options.single_use_web_tokens,
            login_form: match options.login {
                Login::Direct => LoginForm::Direct,
                Login::Redirect => LoginForm::Redirect,
            },
            token_life: options.token_life,
            cli_slots: options.cli_slots,
            failure_form: match options.failures {
                Failures::BadRequest => FailureForm::BadRequest,
                Failures::Ok => FailureForm::Ok,
            },
            journal_limit: JOURNAL,
            ..Settings::default()
        };
        let emulator = match Emulator::start(settings).await {
            Ok(emulator) => emulator,
            Err(error) => {
                let hint = "choose other addresses with --aws and --web";
                return Ok(terminal.fail(Exit::Failed, &error, Some(hint)));
            }
        };
        for fault in options.fault {
            match fault.side {
                Side::Describe => emulator.script().describe_fault.always(fault.kind),
                Side::Token => emulator.script().mint_fault.always(fault.kind),
                Side::WebToken => emulator.script().web_login_fault.always(fault.kind),
            }
        }
        if let Some(delay) = options.mint_delay {
            emulator.script().mint_delay.always(delay);
        }
        let folder = match Folder::or_tell(terminal) {
            Ok(folder) => folder,
            Err(exit) => return Ok(exit),
        };
        let ca_file = options
            .ca_file
            .unwrap_or_else(|| folder.path().join("ca.pem"));
        let ca_file = std::path::absolute(&ca_file).unwrap_or(ca_file);
        if let Err(error) = std::fs::write(&ca_file, emulator.ca_pem()) {
            let hint = format!(
                "cannot write {}; choose another place with --ca-file",
                ca_file.display()
            );
            return Ok(terminal.fail(Exit::Failed, &error, Some(&hint)));
        }
        terminal.data(format_args!(
            "endpoint {endpoint}\n\
             web servers {web}\n\
             CA file: {ca}\n\
             export AWS_ACCESS_KEY_ID={id}\n\
             export AWS_SECRET_ACCESS_KEY={secret}\n\
             {others}# for boto3 and the AWS CLI: the endpoint takes no env. and api. host prefixes\n\
             export AWS_DISABLE_HOST_PREFIX_INJECTION=true\n\
             # --- mwaa-gateway.toml\n{snippet}# --- end\n",
            endpoint = emulator.endpoint_url(),
            web = emulator.web_addr(),
            ca = ca_file.display(),
            id = emulator.access_key_id(),
            secret = emulator.secret_access_key(),
            others = others(&emulator),
            snippet = emulator.config_toml(&ca_file),
        ));
        signals.next().await;
        Ok(Exit::Done)
    })
}

/// The keys of the callers with other roles than the first, as comments.
fn others(emulator: &Emulator) -> String {
    let line = |credential: &Credential| {
        let role = credential.role.map_or("nobody", Role::name);
        format!(
            "# as {role}: AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={}\n",
            credential.access_key_id, credential.secret_access_key
        )
    };
    emulator.credentials().iter().skip(1).map(line).collect()
}

/// An emulator may run for days; its journal need not remember them.
const JOURNAL: usize = 1000;
