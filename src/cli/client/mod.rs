//! The client of a gateway, for Airflow commands: of the one that runs already, or of a private one
//! in this process. Either way the commands use the same kind of connection.

mod connection;
mod endpoint;
mod response;

pub(super) use connection::{
    CancelHandle, CommandError, CommandOptions, ConnectError, Connection,
};
pub(super) use endpoint::Endpoint;
pub(super) use response::{
    CommandEvent, CommandOutput, CommandResult, ProblemDetails, ResultFormat,
};

use crate::config_args::load_external_inputs;
use crate::running::EnvironmentSet;
use crate::terminal::Terminal;
use crate::{ExitStatus, RunError, create_temp_dir};
use mwaa_app::Gateway;
use mwaa_config::{Address, Config};
use mwaa_model::error_chain;
use mwaa_policy::Command;
use mwaa_runtime::BackgroundTasks;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A client with one connection, over which commands run one after the other.
pub(super) struct GatewayClient {
    config: Config,
    /// The environment's name, as the person wrote it; `None` is the gateway's default.
    name: Option<String>,
    /// Its local name, as far as it is known.
    local: Option<String>,
    endpoint: Endpoint,
    connection: Connection,
    private: Option<PrivateGateway>,
}

impl GatewayClient {
    /// Connects to the running gateway; where none answers, starts a private one. Must run inside a
    /// tokio runtime that lives as long as the client.
    pub(super) async fn connect(
        config: Config,
        name: Option<String>,
        terminal: &Terminal,
    ) -> Result<Self, RunError> {
        let endpoints = Endpoint::from_config(&config).map_err(|error| {
            let hint = "`mwaa-gateway check` reports all problems of the configuration";
            terminal.fail(ExitStatus::Configuration, &error, Some(hint))
        })?;
        let mut private = None;
        let running = connect_running(endpoints, terminal).await;
        let (endpoint, connection) = if let Some(running) = running {
            running
        } else {
            let started = PrivateGateway::start(config.clone(), terminal).await?;
            let endpoint = private.insert(started).endpoint.clone();
            let connection = Connection::open(&endpoint).await.map_err(|error| {
                let hint = "the temporary folder must allow Unix sockets; set TMPDIR to use \
                            another folder";
                terminal.fail(ExitStatus::Failure, &error, Some(hint))
            })?;
            (endpoint, connection)
        };

        // reading the configuration has turned the name into a local one
        let local = match (&name, config.environments.as_slice()) {
            (Some(_), [entry]) => Some(entry.environment.local.to_string()),
            _ => None,
        };
        Ok(Self {
            config,
            name,
            local,
            endpoint,
            connection,
            private,
        })
    }

    /// Returns true if the gateway ends with this client.
    pub(super) fn is_private(&self) -> bool {
        self.private.is_some()
    }

    /// Returns the environment's name, as the person wrote it.
    pub(super) fn environment(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns a text that differs from that of another gateway with environments of the same
    /// names: the listener by the configuration, and the environments of the configuration.
    pub(super) fn identity(&self) -> String {
        let config = &self.config;
        let environments = config.environments.iter();
        let names: Vec<_> = environments
            .map(|entry| entry.environment.name.to_string())
            .collect();
        format!("{} {}", config.listener.address, names.join(" "))
    }

    /// Returns the length of the longest command that the gateway accepts, in bytes.
    pub(super) const fn max_command(&self) -> usize {
        self.config.limits.cli_body
    }

    /// Returns a handle that cancels the command of this connection.
    pub(super) fn cancel_handle(&self) -> CancelHandle {
        self.connection.cancel_handle()
    }

    /// Runs a command and reports each event. A connection that the gateway has closed in the
    /// meantime is replaced before anything is sent. A command is sent once, and a second time only
    /// if the gateway refused it because it does not know the environment by this name.
    pub(super) async fn run(
        &mut self,
        command: &Command<'_>,
        options: CommandOptions,
        on_event: &mut dyn FnMut(CommandEvent),
    ) -> Result<CommandResult, CommandError> {
        let result = self.run_once(command, options, on_event).await?;
        match &result {
            CommandResult::Fault(problem) if problem.code == UNKNOWN_ENVIRONMENT => {
                let Some(local) = self.find_local_name().await else {
                    return Ok(result);
                };
                self.local = Some(local);
                self.run_once(command, options, on_event).await
            }
            _ => Ok(result),
        }
    }

    async fn run_once(
        &mut self,
        command: &Command<'_>,
        options: CommandOptions,
        on_event: &mut dyn FnMut(CommandEvent),
    ) -> Result<CommandResult, CommandError> {
        // an import may pause for longer than the gateway keeps a connection
        if !self.connection.is_open().await {
            let opened = Connection::open(&self.endpoint).await;
            self.connection = opened.map_err(|error| CommandError::NotSent(error.into()))?;
        }
        let local = self.local.as_deref();
        let timeout = response_timeout(&self.config);
        self.connection
            .run(local, &command.to_line(), options, timeout, on_event)
            .await
    }

    /// Asks the running gateway for the local name of an environment that has MWAA's name.
    async fn find_local_name(&self) -> Option<String> {
        // it was built from the configuration, which has no other names
        if self.is_private() {
            return None;
        }
        let environments = EnvironmentSet::load(&self.config, STATUS_TIMEOUT).await?;
        let found = environments.find(self.environment()?)?;
        // the same name would only be refused again
        let is_new = self.local.as_ref() != Some(&found.local);
        is_new.then(|| found.local.clone())
    }

    /// Closes the connection, and stops a private gateway in order.
    pub(super) async fn close(self) {
        // first the client, so that a private gateway has nothing left to drain
        drop(self.connection);
        if let Some(private) = self.private {
            private.stop().await;
        }
    }
}

/// Connects to the first endpoint where a gateway answers. `None` means that none does.
async fn connect_running(
    endpoints: Vec<Endpoint>,
    terminal: &Terminal,
) -> Option<(Endpoint, Connection)> {
    for endpoint in endpoints {
        match Connection::open(&endpoint).await {
            Ok(connection) => return Some((endpoint, connection)),
            // the normal case without a gateway
            Err(error) if error.is_not_listening() => {}
            Err(error) => terminal.info(format_args!(
                "note: {endpoint} is not used: {error}; running without a gateway"
            )),
        }
    }
    None
}

/// A gateway in this process, for one command: on a socket in a folder that only this user can
/// enter.
struct PrivateGateway {
    endpoint: Endpoint,
    stop: oneshot::Sender<()>,
    stopped: oneshot::Receiver<()>,
    // the socket is in it
    _folder: TempDir,
}

impl PrivateGateway {
    /// Starts it. The environments, their rules and every limit are the configuration's.
    async fn start(mut config: Config, terminal: &Terminal) -> Result<Self, RunError> {
        let inputs = load_external_inputs(terminal)?;
        let folder = create_temp_dir(terminal)?;
        let address = Address::Unix(folder.path().join("gateway.sock"));

        // the folder keeps others out
        listen_only_on(&mut config, address.clone());
        config.listener.socket_mode = 0o600;
        config.limits.threads = 1;

        // as `serve` does, because it holds the same tokens
        mwaa_app::harden();
        let gateway = Gateway::bind(config, &inputs).await?;
        let (stop, stop_receiver) = oneshot::channel::<()>();
        let (stopped_sender, stopped) = oneshot::channel();
        let task = async move {
            let run = gateway.serve(async {
                // a sender that is gone means stop as well
                drop(stop_receiver.await);
            });
            if let Err(error) = run.await {
                let error = error_chain(&error);
                tracing::error!(%error, "the gateway ended unexpectedly");
            }
            // the client may be gone
            let _unheard = stopped_sender.send(());
        };
        BackgroundTasks::current().spawn(tracing::debug_span!("private_gateway"), task);
        Ok(Self {
            endpoint: Endpoint::new(address),
            stop,
            stopped,
            _folder: folder,
        })
    }

    /// Stops it and waits for its end.
    async fn stop(self) {
        drop(self.stop);
        drop(self.stopped.await);
    }
}

/// Makes the configuration that of a gateway with one address and without a secret: no other program
/// may find its address taken.
pub(super) fn listen_only_on(config: &mut Config, address: Address) {
    let listener = &mut config.listener;
    listener.address = address;
    listener.tls = None;
    listener.secret_file = None;
    config.listeners.clear();
    for entry in &mut config.environments {
        entry.listen = None;
    }
    // the configured one may be a running gateway's
    config.management.address = ([127, 0, 0, 1], 0).into();
    config.management.probes = None;
}

/// Returns the time that the gateway may be silent: the sum of its own limits, and a margin.
fn response_timeout(config: &Config) -> Duration {
    let limits = &config.limits;
    let parts = [
        // in the order in which a command meets them
        limits.queue_wait,
        limits.mint_wait,
        limits.mint_total,
        limits.upstream_dns,
        limits.upstream_connect,
        limits.tunnel_start,
        limits.upstream_tls,
        // a command may be sent twice, the second time with a new token
        limits.cli_first_byte,
        limits.cli_first_byte,
        limits.upstream_body_idle,
        MARGIN,
    ];

    parts
        .into_iter()
        .fold(Duration::ZERO, Duration::saturating_add)
}

/// The code of a gateway that does not know the environment.
const UNKNOWN_ENVIRONMENT: &str = "route.unknown_environment";
/// A gateway that runs answers a question about its state at once.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);
/// The time that a busy machine may need on top of the limits.
const MARGIN: Duration = Duration::from_secs(30);
