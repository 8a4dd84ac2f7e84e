//! `demo`: emulator and gateway in one process; no AWS, nothing to install.

use super::folder::Folder;
use super::names::Asked;
use super::serve::{announce, control};
use super::signals::Signals;
use super::terminal::Terminal;
use super::{Exit, browser};
use crate::app::{self, Extras, StartError};
use crate::config::{self, Address, Config, Overrides, Search, env};
use crate::control::StaticKey;
use crate::emulator::{Emulator, Seed, Settings};
use crate::names::{AirflowVersion, Secret};
use clap::Args;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The options of `demo`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: Address,
    /// The address of health and metrics [default: 127.0.0.1:9180, or any other if that is taken]
    #[arg(long, value_name = "ADDR", env = env::MANAGEMENT)]
    management: Option<SocketAddr>,
    /// Open no browser (one is opened only when a person looks on)
    #[arg(long)]
    no_browser: bool,
    /// The Airflow version that the emulator plays
    #[arg(long, value_name = "VERSION", default_value = "2.10.3")]
    airflow_version: AirflowVersion,
}

pub(super) fn run(options: &Options, terminal: &Terminal) -> Exit {
    control(terminal, async {
        let signals = Signals::listen().map_err(StartError::Thread)?;
        let folder = match Folder::or_tell(terminal) {
            Ok(folder) => folder,
            Err(exit) => return Ok(exit),
        };
        let emulator = Emulator::start(Settings {
            environments: vec![
                seed(FIRST, &options.airflow_version.to_string()),
                seed(SECOND, other(options.airflow_version)),
            ],
            journal_limit: JOURNAL,
            ..Settings::default()
        })
        .await
        .map_err(|error| StartError::Thread(std::io::Error::other(error)))?;
        let config = match configure(&emulator, folder.path(), options, terminal) {
            Ok(config) => config,
            Err(exit) => return Ok(exit),
        };
        let names = Asked::ask([FIRST, SECOND]);
        let extras = Extras {
            static_key: Some(StaticKey {
                id: emulator.access_key_id().to_owned(),
                secret: Arc::new(Secret::new(emulator.secret_access_key().to_owned())),
            }),
            ..Extras::default()
        };
        let built = app::build(config.clone(), &extras).await?;
        announce(&built, terminal);
        if let Some(url) = built.urls().first() {
            terminal.data(pages(url, options.airflow_version));
            terminal.data(lesson(url, options.airflow_version));
            if url.starts_with("http")
                && let Some(advice) = names.advice(&config, NAMES, false)
            {
                terminal.say(format_args!("{advice}"));
            }
            show(url, options, terminal);
        }
        signals.run(built).await
    })
}

/// An environment whose scheduled DAGs have run for two weeks, so that there is something to see.
fn seed(name: &str, airflow_version: &str) -> Seed {
    Seed {
        past_days: 14,
        ..Seed::new(name, airflow_version)
    }
}

/// The emulator's own snippet, read as any configuration is.
fn configure(
    emulator: &Emulator,
    folder: &Path,
    options: &Options,
    terminal: &Terminal,
) -> Result<Config, Exit> {
    let ca_file = folder.join("ca.pem");
    let file = folder.join("mwaa-gateway.toml");
    let written = std::fs::write(&ca_file, emulator.ca_pem())
        .and_then(|()| std::fs::write(&file, emulator.config_toml(&ca_file)));
    written.map_err(|error| {
        terminal.fail(
            Exit::Failed,
            &error,
            Some("is the temporary folder writable?"),
        )
    })?;
    let mut config = config::load(
        Some(&file),
        &Overrides::default(),
        &Search::from_environment(),
    )
    .map_err(|problems| {
        terminal.tell(problems);
        Exit::Configuration
    })?;
    config.listener.address = options.listen.clone();
    config.management.address = options.management.unwrap_or_else(management);
    Ok(config)
}

/// The usual management address, so that `wait` finds it; any other while a gateway has that.
fn management() -> SocketAddr {
    let usual = SocketAddr::from(([127, 0, 0, 1], 9180));
    let is_free = std::net::TcpListener::bind(usual).is_ok();
    if is_free {
        usual
    } else {
        ([127, 0, 0, 1], 0).into()
    }
}

/// Opens the overview, where there is a person and a desktop to do it on; whoever looks on by
/// ssh or in a container has the addresses.
fn show(url: &str, options: &Options, terminal: &Terminal) {
    let overview = url
        .strip_prefix("http://")
        .and_then(|host| host.rsplit_once(':'))
        .map(|(_, port)| format!("http://localhost:{port}/-/"));
    if let Some(overview) = overview
        && !options.no_browser
        && Terminal::is_watched()
        && env::has_desktop()
        && let Err(error) = browser::open(&overview)
    {
        terminal.say(format_args!("no browser was opened: {error}"));
    }
}

/// The other dialect, so that both are there to look at.
const fn other(version: AirflowVersion) -> &'static str {
    if version.major >= 3 {
        "2.10.3"
    } else {
        "3.0.6"
    }
}

/// What to look at in a browser; none can reach a Unix socket.
fn pages(url: &str, version: AirflowVersion) -> String {
    let Some((_, port)) = url
        .strip_prefix("http://")
        .and_then(|host| host.rsplit_once(':'))
    else {
        return String::new();
    };
    format!(
        "\nTwo environments, signed in. In a browser on this machine:\n\n\
         \x20 http://localhost:{port}/-/        what there is, and how it is\n\
         \x20 http://{FIRST}.localhost:{port}/     the UI of Airflow {version}\n\
         \x20 http://{SECOND}.localhost:{port}/  the UI of Airflow {}\n",
        other(version)
    )
}

fn lesson(url: &str, version: AirflowVersion) -> String {
    let curl = match url.strip_prefix("unix:") {
        Some(path) => format!("curl -sS --unix-socket {path} http://localhost/aws_mwaa/cli"),
        None => format!("curl -sS {url}/aws_mwaa/cli"),
    };
    let post = format!("{curl} -H 'Content-Type: text/plain' -H 'Accept: text/plain'");
    let trigger = "dags trigger lab_hello --conf '\\''{\"a\": \"b c\"}'\\''";
    let (list, trigger, runs) = match version.major {
        1 => (
            "list_dags",
            "trigger_dag lab_hello",
            "list_dag_runs lab_hello",
        ),
        2 => ("dags list", trigger, "dags list-runs -d lab_hello"),
        _ => ("dags list", trigger, "dags list-runs lab_hello"),
    };
    format!(
        "\nAn Airflow {version} as MWAA runs it, reached without any token. In another terminal:\n\n\
         # a command, its output decoded\n{post} -d '{list}'\n\n\
         # one that changes something\n{post} -d '{trigger}'\n\n\
         # and what has become of it\n{post} -d '{runs}'\n\n\
         Ctrl-C ends the demo.\n"
    )
}

/// The environment that serves requests which name none.
const FIRST: &str = "demo";
/// The other one.
const SECOND: &str = "archive";
/// The demo does not wait longer for the resolver, which was asked when it began.
const NAMES: Duration = Duration::from_millis(200);
/// A demo may run for days; its journal need not remember them.
const JOURNAL: usize = 1000;
