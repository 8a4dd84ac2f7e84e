//! `open`: shows an environment's UI in the browser, or prints its URL.

use crate::browser::{self, LOOKUP_TIMEOUT, NameLookup};
use crate::config_args::{ConfigArgs, config_flags};
use crate::running::{EnvironmentSet, run_blocking};
use crate::terminal::Terminal;
use crate::{ExitStatus, RunResult};
use clap::Args;
use mwaa_config::env;
use std::net::SocketAddr;
use std::time::Duration;

/// The options of `open`.
#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    #[command(flatten)]
    config: ConfigArgs<OpenFlags>,
    /// The environment: a local name, or a name in MWAA [default: MWAA_GATEWAY_ENVIRONMENT,
    /// else the default environment, else the overview]
    #[arg(value_name = "ENV")]
    environment: Option<String>,
    /// The path in its UI, such as /home
    #[arg(value_name = "PATH", value_parser = check_path)]
    path: Option<String>,
    /// Print the URL without opening it
    #[arg(long)]
    print: bool,
}

config_flags! {
    struct OpenFlags;
    Listen: "The gateway's address, for the URL if no gateway is running",
    Management: "The management address of the running gateway",
}

pub(crate) fn run(args: &OpenArgs, terminal: &Terminal) -> RunResult {
    let fail = |error: OpenError| terminal.fail(error.exit(), &error, Some(error.hint()));
    let config = args.config.load(terminal)?;
    let variable = env::environment();
    let (name, path) = args.destination(variable.as_deref()).map_err(fail)?;

    let running = run_blocking(EnvironmentSet::load(&config, STATUS_TIMEOUT)).ok();
    let environments = if let Some(running) = running.flatten() {
        running
    } else {
        let error = OpenError::NotRunning(config.management.address);
        if !args.print {
            return Err(fail(error));
        }
        terminal.info(format_args!(
            "warning: {error}; the URL is from the configuration"
        ));
        EnvironmentSet::from_config(&config)
    };

    let url = build_url(&environments, name, path).map_err(fail)?;

    // a browser that asks the resolver would find nothing
    let lookup = NameLookup::start_for_url(&url);
    if let Some(advice) = lookup.wait_for_advice(&config, LOOKUP_TIMEOUT, true) {
        terminal.info(advice);
    }

    if args.print {
        terminal.print(format_args!("{url}\n"));
        return Ok(ExitStatus::Success);
    }
    terminal.info(format_args!("opening {url}"));
    match browser::open(&url) {
        Ok(()) => Ok(ExitStatus::Success),
        Err(error) => {
            Err(terminal.fail(ExitStatus::Failure, &error, Some("open the URL yourself")))
        }
    }
}

impl OpenArgs {
    /// Returns the environment and the path. A path may be the only argument; `variable` is the
    /// environment without one.
    fn destination<'a>(
        &'a self,
        variable: Option<&'a str>,
    ) -> Result<(Option<&'a str>, Option<&'a str>), OpenError> {
        match (self.environment.as_deref(), self.path.as_deref()) {
            // no environment has a name with a slash
            (Some(only), None) if only.starts_with('/') => {
                check_path(only)?;
                Ok((variable, Some(only)))
            }
            (name, path) => Ok((name.or(variable), path)),
        }
    }
}

/// Returns the URL of an environment's UI, or of the overview.
fn build_url(
    list: &EnvironmentSet,
    name: Option<&str>,
    path: Option<&str>,
) -> Result<String, OpenError> {
    if list.environments.is_empty() && (name.is_some() || path.is_some()) {
        return Err(OpenError::Empty);
    }
    let environment = match name {
        Some(name) => Some(list.find(name).ok_or_else(|| OpenError::Unknown {
            name: name.to_owned(),
            known: list.local_names(),
        })?),
        None => list.environments.iter().find(|one| one.default),
    };

    // the overview is for a gateway with several environments and no default
    let (urls, path) = match (environment, path) {
        (Some(environment), path) => (environment.urls.clone(), path.unwrap_or("/")),
        (None, None) => (list.overview.iter().cloned().collect(), "/-/"),
        (None, Some(_)) => return Err(OpenError::Unnamed(list.local_names())),
    };
    match urls.iter().find(|url| url.starts_with("http")) {
        Some(base) => Ok(format!("{base}{path}")),
        None => Err(OpenError::Socket(
            urls.into_iter().next().unwrap_or_default(),
        )),
    }
}

/// Returns a path that can follow the host of a URL: absolute, and no second host (RFC 3986 section
/// 3.3).
fn check_path(text: &str) -> Result<String, OpenError> {
    let is_plain =
        |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\\' | '^' | '`');
    if text.starts_with('/') && !text.starts_with("//") && text.chars().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err(OpenError::Path)
    }
}

/// There is nothing to open.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error("PATH must begin with one / and be a valid URL path, such as /home")]
    Path,
    #[error("there are no environments")]
    Empty,
    #[error("no gateway is running at {0}")]
    NotRunning(SocketAddr),
    #[error("it listens on {0}, which no browser can open")]
    Socket(String),
    #[error("there is no environment {name:?}; the environments are: {}", known.join(", "))]
    Unknown { name: String, known: Vec<String> },
    #[error("choose an environment: {}", .0.join(", "))]
    Unnamed(Vec<String>),
}

impl OpenError {
    const fn exit(&self) -> ExitStatus {
        match self {
            Self::Path => ExitStatus::Usage,
            Self::NotRunning(_) => ExitStatus::Unavailable,
            Self::Empty => ExitStatus::Configuration,
            Self::Socket(_) | Self::Unknown { .. } | Self::Unnamed(_) => ExitStatus::Failure,
        }
    }

    const fn hint(&self) -> &'static str {
        match self {
            Self::Path => "for example: `mwaa-gateway open prod /home`",
            Self::Empty => {
                "add [environments.NAME] to the configuration file; with aws.discover = true only a \
                 running gateway knows the environments"
            }
            Self::NotRunning(_) => {
                "start one with `mwaa-gateway serve`, or set its address with --management; \
                 --print shows the URL without one"
            }
            Self::Socket(_) => {
                "set listener.address to \"127.0.0.1:8080\", or give the environment a `listen` of that form"
            }
            Self::Unknown { .. } | Self::Unnamed(_) => "`mwaa-gateway environments` lists them",
        }
    }
}

/// The management address answers at once, if there is a gateway.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);
