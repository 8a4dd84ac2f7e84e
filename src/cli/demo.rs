//! `demo`: emulator and gateway in one process; no AWS, nothing to install.

use crate::browser::{self, NameLookup};
use crate::serve::{block_on, print_addresses};
use crate::signals::Signals;
use crate::terminal::Terminal;
use crate::{ExitStatus, create_temp_dir};
use clap::Args;
use mwaa_app::{ExternalInputs, Gateway, StartError};
use mwaa_auth::aws::StaticKey;
use mwaa_config::{Address, Config, Overrides, SearchPath, env};
use mwaa_emulator::{Emulator, Seed, Settings};
use mwaa_model::{AirflowVersion, Secret};
use mwaa_telemetry::Log;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The options of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: Address,
    /// The address of health and metrics [default: 127.0.0.1:9180, or a free port if it is in
    /// use]
    #[arg(long, value_name = "ADDR", env = env::MANAGEMENT)]
    management: Option<SocketAddr>,
    /// Do not open a browser (one opens only if this is a terminal on a desktop)
    #[arg(long)]
    no_browser: bool,
    /// The Airflow version of the emulator
    #[arg(long, value_name = "VERSION", default_value = "2.10.3")]
    airflow_version: AirflowVersion,
}

pub(crate) fn run(args: &DemoArgs, terminal: &Terminal) -> ExitStatus {
    block_on(terminal, async {
        let signals = Signals::listen().map_err(StartError::Thread)?;
        let folder = create_temp_dir(terminal)?;
        let emulator = Emulator::start(Settings {
            environments: vec![
                build_seed(FIRST, &args.airflow_version.to_string()),
                build_seed(SECOND, other_version(args.airflow_version)),
            ],
            journal_limit: JOURNAL_LIMIT,
            ..Settings::default()
        });
        let emulator = emulator
            .await
            .map_err(|error| StartError::Thread(io::Error::other(error)))?;

        // through the file, so that the demo is what a person would configure
        let config = load_config(&emulator, folder.path(), args, terminal)?;
        // the answer is needed only when the addresses are printed
        let lookup = NameLookup::start([FIRST, SECOND]);

        let inputs = ExternalInputs {
            // the keys of a person would reach the emulator else
            static_key: Some(StaticKey {
                id: emulator.access_key_id().to_owned(),
                secret: Arc::new(Secret::new(emulator.secret_access_key().to_owned())),
            }),
            log: Log::current(),
            ..ExternalInputs::default()
        };
        let gateway = Gateway::bind(config.clone(), &inputs).await?;

        print_addresses(&gateway, terminal);
        if let Some(url) = gateway.urls().first() {
            terminal.print(format_urls(url, args.airflow_version));
            terminal.print(format_commands(url, args.airflow_version));
            if url.starts_with("http")
                && let Some(advice) = lookup.wait_for_advice(&config, LOOKUP_TIMEOUT, false)
            {
                terminal.info(advice);
            }
            open_overview(url, args, terminal);
        }
        Ok(signals.serve(gateway).await?)
    })
}

/// Returns an environment whose scheduled DAGs have run for two weeks, so that there is something
/// to
/// see.
fn build_seed(name: &str, airflow_version: &str) -> Seed {
    Seed {
        past_days: 14,
        ..Seed::new(name, airflow_version)
    }
}

/// Loads the emulator's own snippet, as any configuration is loaded.
fn load_config(
    emulator: &Emulator,
    folder: &Path,
    args: &DemoArgs,
    terminal: &Terminal,
) -> Result<Config, ExitStatus> {
    let ca_file = folder.join("ca.pem");
    let file = folder.join("mwaa-gateway.toml");
    std::fs::write(&ca_file, emulator.ca_pem())
        .and_then(|()| std::fs::write(&file, emulator.config_toml(&ca_file)))
        .map_err(|error| {
            let hint = "is the temporary folder writable?";
            terminal.fail(ExitStatus::Failure, &error, Some(hint))
        })?;

    let search = SearchPath::from_environment();
    let mut config =
        mwaa_config::load(Some(&file), &Overrides::default(), &search).map_err(|problems| {
            terminal.error(problems);
            ExitStatus::Configuration
        })?;

    // the options beat the snippet
    config.listener.address = args.listen.clone();
    config.management.address = args.management.unwrap_or_else(find_management_address);
    Ok(config)
}

/// Returns the default management address, so that `wait` finds it; any other while a gateway has
/// that.
fn find_management_address() -> SocketAddr {
    let default = SocketAddr::from(([127, 0, 0, 1], 9180));
    // it is free again at once, because nothing has connected to it
    if TcpListener::bind(default).is_ok() {
        default
    } else {
        ([127, 0, 0, 1], 0).into()
    }
}

/// Opens the overview where there is a person and a desktop; over ssh and in a container the
/// printed
/// addresses must do.
fn open_overview(url: &str, args: &DemoArgs, terminal: &Terminal) {
    let Some(port) = find_port(url) else { return };
    if !args.no_browser
        && Terminal::is_interactive()
        && env::has_desktop()
        && let Err(error) = browser::open(&format!("http://localhost:{port}/-/"))
    {
        terminal.info(format_args!("no browser was opened: {error}"));
    }
}

/// Returns the port of a plain HTTP URL.
fn find_port(url: &str) -> Option<&str> {
    let (_, port) = url.strip_prefix("http://")?.rsplit_once(':')?;
    Some(port)
}

/// Returns a version of the other dialect, so that both are there to look at.
const fn other_version(version: AirflowVersion) -> &'static str {
    if version.major >= 3 {
        "2.10.3"
    } else {
        "3.0.6"
    }
}

/// Formats the URLs to open in a browser; none can reach a Unix socket.
fn format_urls(url: &str, version: AirflowVersion) -> String {
    let Some(port) = find_port(url) else {
        return String::new();
    };
    let other = other_version(version);
    format!(
        "\nTwo environments. Open them in a browser on this machine, already signed in:\n\n\
         \x20 http://localhost:{port}/-/        overview and status\n\
         \x20 http://{FIRST}.localhost:{port}/     the UI of Airflow {version}\n\
         \x20 http://{SECOND}.localhost:{port}/  the UI of Airflow {other}\n"
    )
}

/// Formats the commands to try in another terminal.
fn format_commands(url: &str, version: AirflowVersion) -> String {
    let curl = match url.strip_prefix("unix:") {
        Some(path) => format!("curl -sS --unix-socket {path} http://localhost/aws_mwaa/cli"),
        None => format!("curl -sS {url}/aws_mwaa/cli"),
    };
    let post = format!("{curl} -H 'Content-Type: text/plain' -H 'Accept: text/plain'");
    let trigger = "dags trigger lab_hello --conf '\\''{\"a\": \"b c\"}'\\''";

    // each major version has its own spelling; of 1.10 the emulator has only the version
    let commands = match version.major {
        1 => vec![("run a command; the output is plain text", "version")],
        major => vec![
            ("run a command; the output is plain text", "dags list"),
            ("start a DAG run", trigger),
            match major {
                2 => ("list the DAG's runs", "dags list-runs -d lab_hello"),
                _ => ("list the DAG's runs", "dags list-runs lab_hello"),
            },
        ],
    };
    let commands: Vec<String> = commands
        .into_iter()
        .map(|(comment, command)| format!("# {comment}\n{post} -d '{command}'\n\n"))
        .collect();

    format!(
        "\nTo send requests to Airflow {version}, paste these into another terminal; no token is needed:\n\n\
         {}Press Ctrl-C to stop the demo.\n",
        commands.concat()
    )
}

/// The environment that serves requests which name none.
const FIRST: &str = "demo";
/// The other one.
const SECOND: &str = "archive";
/// The resolver was asked at the start of the demo, which waits no longer for it.
const LOOKUP_TIMEOUT: Duration = Duration::from_millis(200);
/// A demo may run for days; its journal need not hold all their requests.
const JOURNAL_LIMIT: usize = 1000;
