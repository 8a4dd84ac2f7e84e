//! The options of `serve`, and the parts of `main.rs` that `demo` and other commands share.

use crate::config_args::{ConfigArgs, config_flags, load_external_inputs};
use crate::terminal::Terminal;
use crate::{ExitStatus, RunError, running};
use clap::Args;
use mwaa_app::{ConfigSource, ExternalInputs, Gateway, InheritError, StartError, Supervisor};
use mwaa_config::{Config, env};
use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;

/// The options of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    config: ConfigArgs<ServeFlags>,
}

config_flags! {
    struct ServeFlags;
    Environments: "Serve only this environment (repeatable): a local name, or a name in MWAA",
    Region: "The AWS region of environments that have none in the file",
    Profile: "The AWS profile of environments that have none in the file",
    Listen: "The address to listen on: IP:port or unix:/path",
    Management: "The address of health, metrics and status",
}

impl ServeArgs {
    /// Reads the configuration and the environment variables, and takes the sockets of the service
    /// manager. An error has been printed.
    pub fn load(&self, terminal: &Terminal) -> Result<(Config, ExternalInputs), ExitStatus> {
        let config = self.config.load(terminal)?;
        let mut inputs = load_external_inputs(terminal)?;
        inputs.otel = Some(env::otel());
        let names = env::listen_fd_names().unwrap_or_default();
        inputs.supervisor = Supervisor::detect(env::listen_fds(), &names, env::notify_socket())
            .map_err(|error| {
                let hint = inherit_hint(&error);
                terminal.fail(ExitStatus::Configuration, &error, Some(hint))
            })?;
        Ok((config, inputs))
    }

    /// Returns the way to read this configuration again.
    pub fn source(&self, config: &Config) -> ConfigSource {
        self.config.source(config.source.clone())
    }

    /// Returns the problems that do not keep the gateway from running.
    pub fn warnings(&self, config: &Config) -> Vec<String> {
        let mut warnings = config.warnings();
        warnings.extend(self.config.find_unused_variable());
        warnings
    }
}

/// Runs the future on the control runtime: one thread for the calls to AWS and the management
/// address. An error is printed with a hint.
pub fn block_on(
    terminal: &Terminal,
    future: impl Future<Output = Result<ExitStatus, RunError>>,
) -> ExitStatus {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(future);
            // a look-up of a name may hang in the C library; the exit does not wait for it
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(StartError::Thread(error).into()),
    };

    result.unwrap_or_else(|error| match error {
        RunError::Printed(exit) => exit,
        RunError::Start(error) => {
            let (exit, hint) = start_hint(&error);
            terminal.fail(exit, &error, Some(&hint))
        }
    })
}

/// Prints the gateway's addresses.
pub fn print_addresses(gateway: &Gateway, terminal: &Terminal) {
    for listener in gateway.listener_lines() {
        terminal.info(format_args!("listening on {listener}"));
    }
    terminal.info(format_args!("management on {}", gateway.management_url()));
    if let Some(url) = gateway.probes_url() {
        terminal.info(format_args!("probes on {url}"));
    }
}

/// Returns the exit code of an error, and the advice.
fn start_hint(error: &StartError) -> (ExitStatus, Cow<'static, str>) {
    match error {
        StartError::Bind(error) => {
            let other = match error.table.as_str() {
                "listener" => "choose another one with --listen".to_owned(),
                table => format!("choose another one in [{table}]"),
            };
            let hint = bind_hint(error.kind(), error.tcp_address(), &other);
            (ExitStatus::Failure, hint.into())
        }
        StartError::Management { address, source } => {
            let other = "choose another one with --management";
            let hint = bind_hint(source.kind(), Some(*address), other);
            (ExitStatus::Failure, hint.into())
        }
        StartError::Probes { address, source } => {
            let other = "choose another one for management.probes";
            let hint = bind_hint(source.kind(), Some(*address), other);
            (ExitStatus::Failure, hint.into())
        }

        // 78 (EX_CONFIG) is for supervisors: a restart will not help
        StartError::NoEnvironment => (
            ExitStatus::Configuration,
            "set one with --environment NAME or [environments.NAME], or set aws.discover = true"
                .into(),
        ),
        StartError::Proxy { .. } => (
            ExitStatus::Configuration,
            "write it as http://HOST:PORT, https://…, socks5://… or socks5h://…; or unset it; \
             proxy.url = \"\" means no proxy".into(),
        ),
        StartError::Traces(_) => (
            ExitStatus::Configuration,
            "correct it, or set OTEL_SDK_DISABLED=true to run without traces".into(),
        ),
        StartError::Inherit(error) => (ExitStatus::Configuration, inherit_hint(error).into()),
        StartError::Thread(_) => (
            ExitStatus::Failure,
            "the system has no more threads or signal handlers; check its limits".into(),
        ),
        StartError::File(_) => (
            ExitStatus::Configuration,
            "`mwaa-gateway check` reports all problems of the configuration".into(),
        ),
    }
}

/// Returns the advice for a socket of the service manager.
const fn inherit_hint(error: &InheritError) -> &'static str {
    match error {
        InheritError::NotListening { .. } => {
            "the socket unit needs ListenStream= and Accept=no"
        }
        InheritError::TooMany(_) => "remove the variable; a service manager sets it itself",
        InheritError::Unclaimed(_) => {
            "give a listener this address; or, if it is a loopback address or a Unix socket, set \
             FileDescriptorName= in the socket unit to the table of a listener of its kind"
        }
    }
}

/// Returns the advice for an address that cannot be listened on.
fn bind_hint(kind: io::ErrorKind, address: Option<SocketAddr>, other: &str) -> String {
    match kind {
        io::ErrorKind::AddrInUse if address.is_some_and(running::is_gateway) => format!(
            "a gateway is already running there: use it (`mwaa-gateway status` shows its \
             environments), stop it, or {other}"
        ),
        io::ErrorKind::AddrInUse => format!("another program is listening there: {other}"),
        io::ErrorKind::AddrNotAvailable => format!("this machine has no such address: {other}"),

        // the other kinds concern socket files, or a user without the right to a port
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            format!("the folder of the socket file does not exist: create it, or {other}")
        }
        io::ErrorKind::PermissionDenied => format!(
            "this user may not listen there; use a port of 1024 or higher, or another folder: \
             {other}"
        ),
        io::ErrorKind::InvalidFilename => {
            format!("the path of the socket file is too long: {other}")
        }
        io::ErrorKind::AlreadyExists => {
            format!("another file exists at the path of the socket file: {other}")
        }
        _ => format!("another program may be listening there: {other}"),
    }
}
