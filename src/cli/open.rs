//! `open`: shows an environment's UI in the browser, or tells its URL.

use super::inputs::{Flag, Inputs, Purpose};
use super::known::Known;
use super::names::{self, Asked};
use super::terminal::Terminal;
use super::{Exit, browser};
use crate::config::env;
use clap::Args;
use std::fmt;
use std::time::Duration;

/// The options of `open`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    inputs: Inputs<ToOpen>,
    /// The environment, by its local name or MWAA's; without it that of MWAA_GATEWAY_ENVIRONMENT,
    /// else the default one, or the overview
    #[arg(value_name = "ENV")]
    first: Option<String>,
    /// Where to go in its UI, such as /home
    #[arg(value_name = "PATH", value_parser = path)]
    second: Option<String>,
    /// Print the URL and open nothing
    #[arg(long)]
    print: bool,
}

#[derive(Debug)]
struct ToOpen;

impl Purpose for ToOpen {
    const FLAGS: &'static [(Flag, &'static str)] = &[
        (
            Flag::Listen,
            "The gateway's address, for the URL while none runs",
        ),
        (Flag::Management, "Where the running gateway tells its URLs"),
    ];
}

pub(super) fn run(options: &Options, terminal: &Terminal) -> Exit {
    let config = match options.inputs.load(terminal) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let chosen = env::environment();
    let (name, path) = match options.wanted(chosen.as_deref()) {
        Ok(wanted) => wanted,
        Err(error) => return terminal.fail(Exit::Usage, &error, Some(PATH_HINT)),
    };
    let running = Known::running(&config, PATIENCE);
    let is_running = running.is_some();
    let known = running.unwrap_or_else(|| Known::configured(&config));
    if !is_running {
        let error = NotRunning(config.management.address.to_string());
        if !options.print {
            return terminal.fail(Exit::Unavailable, &error, Some(START_HINT));
        }
        terminal.say(format_args!(
            "warning: {error}; the URL is the configuration's"
        ));
    }
    let url = match url(&known, name, path) {
        Ok(url) => url,
        Err(error) => return terminal.fail(Exit::Failed, &error, Some(error.hint())),
    };
    if let Some(advice) = Asked::of_url(&url).advice(&config, names::PATIENCE, true) {
        terminal.say(format_args!("{advice}"));
    }
    if options.print {
        terminal.data(format_args!("{url}\n"));
        return Exit::Done;
    }
    terminal.say(format_args!("opening {url}"));
    match browser::open(&url) {
        Ok(()) => Exit::Done,
        Err(error) => terminal.fail(Exit::Failed, &error, Some("open the URL yourself")),
    }
}

impl Options {
    /// The environment and the path; a path may stand alone. `chosen` is what the variable says.
    fn wanted<'a>(
        &'a self,
        chosen: Option<&'a str>,
    ) -> Result<(Option<&'a str>, Option<&'a str>), BadPath> {
        match (self.first.as_deref(), self.second.as_deref()) {
            (Some(only), None) if only.starts_with('/') => {
                path(only)?;
                Ok((chosen, Some(only)))
            }
            (first, second) => Ok((first.or(chosen), second)),
        }
    }
}

/// The URL to show.
fn url(known: &Known, name: Option<&str>, path: Option<&str>) -> Result<String, NoUrl> {
    let found = match name {
        Some(name) => Some(known.find(name).ok_or_else(|| NoUrl::Unknown {
            name: name.to_owned(),
            known: known.locals(),
        })?),
        None => known.environments.iter().find(|one| one.default),
    };
    let (urls, path) = match (found, path) {
        (Some(found), path) => (found.urls.clone(), path.unwrap_or("/")),
        (None, None) => (known.overview.iter().cloned().collect(), "/-/"),
        (None, Some(_)) => {
            return Err(NoUrl::Unnamed {
                known: known.locals(),
            });
        }
    };
    match urls.iter().find(|url| url.starts_with("http")) {
        Some(base) => Ok(format!("{base}{path}")),
        None => Err(NoUrl::Socket(urls.into_iter().next().unwrap_or_default())),
    }
}

/// A path that a URL may go on with: absolute, and no second host (RFC 3986 section 3.3).
fn path(text: &str) -> Result<String, BadPath> {
    let plain =
        |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\\' | '^' | '`');
    if text.starts_with('/') && !text.starts_with("//") && text.chars().all(plain) {
        Ok(text.to_owned())
    } else {
        Err(BadPath)
    }
}

#[derive(Debug)]
struct BadPath;

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PATH must begin with one / and hold what URLs hold, as in /home")
    }
}

impl std::error::Error for BadPath {}

#[derive(Debug)]
struct NotRunning(String);

impl fmt::Display for NotRunning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no gateway answers at {}", self.0)
    }
}

impl std::error::Error for NotRunning {}

/// There is nothing to open.
#[derive(Debug)]
enum NoUrl {
    Socket(String),
    Unknown { name: String, known: Vec<String> },
    Unnamed { known: Vec<String> },
}

impl NoUrl {
    fn hint(&self) -> &'static str {
        match self {
            Self::Socket(_) => {
                "set listener.address to \"127.0.0.1:8080\", or give the environment a `listen` of that form"
            }
            Self::Unknown { .. } | Self::Unnamed { .. } => {
                "`mwaa-gateway environments` lists what there is"
            }
        }
    }
}

impl fmt::Display for NoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |known: &[String]| match known {
            [] => "none".to_owned(),
            known => known.join(", "),
        };
        match self {
            Self::Socket(url) => {
                write!(f, "it listens on {url}, which no browser can open")
            }
            Self::Unknown { name, known } => {
                write!(
                    f,
                    "there is no environment {name:?}; known are: {}",
                    list(known)
                )
            }
            Self::Unnamed { known } => {
                write!(f, "which environment? known are: {}", list(known))
            }
        }
    }
}

impl std::error::Error for NoUrl {}

const PATH_HINT: &str = "write it as in `mwaa-gateway open prod /home`";
const START_HINT: &str = "start one with `mwaa-gateway serve`, or say where it is with --management; \
     --print gives the URL without one";

/// The management address answers at once, or nobody is there.
const PATIENCE: Duration = Duration::from_secs(2);
