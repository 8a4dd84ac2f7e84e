//! The composition root: builds a [`Gateway`] from the configuration. AWS is not called here, so a
//! gateway starts without a network and without credentials.

use super::generation::{Draft, Generation};
use super::reload::{ConfigSource, ReloadRequests, named_files};
use super::sockets::SocketSet;
use super::status::GatewayStatus;
use super::supervisor::{Notifier, Supervisor};
use super::traces::TraceSettingsError;
use mwaa_auth::aws::StaticKey;
use mwaa_config::Config;
use mwaa_config::env::OtelVariables;
use mwaa_egress::ProxyEnv;
use mwaa_model::{FileError, debug_fields};
use mwaa_proxy::ListenerUrl;
use mwaa_runtime::{BackgroundTasks, FileStates, Timestamp};
use mwaa_server::{BindError, InheritError};
use mwaa_telemetry::Log;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A gateway whose sockets are open. It accepts connections once it [serves](Self::serve).
#[derive(Debug)]
pub struct Gateway {
    pub(super) generation: Arc<Generation>,
    pub(super) sockets: SocketSet,
    pub(super) status: Arc<GatewayStatus>,
    pub(super) stopping: Arc<AtomicBool>,
    pub(super) background: BackgroundTasks,
    pub(super) notifier: Notifier,
    pub(super) source: Option<ConfigSource>,
    pub(super) requests: ReloadRequests,
    /// The files that were read.
    pub(super) files: FileStates,
}

/// The inputs that are not in the configuration.
#[derive(Clone, Default)]
pub struct ExternalInputs {
    /// More roots for AWS's API, as PEM (`AWS_CA_BUNDLE`).
    pub ca_bundle: Option<Vec<u8>>,
    /// The proxies of the environment variables.
    pub proxies: ProxyEnv,
    /// Keys in place of the AWS chain: the demo's, for its own emulator.
    pub static_key: Option<StaticKey>,
    /// The service manager that started `serve`.
    pub supervisor: Supervisor,
    /// OpenTelemetry's variables; `None` means that no traces are sent.
    pub otel: Option<OtelVariables>,
    /// The log, for the access lines.
    pub log: Option<Log>,
}

debug_fields!(ExternalInputs: proxies, static_key, supervisor);

/// A gateway that could not be built or started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listening socket could not be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A file that the configuration names cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The service manager has passed a socket that cannot be used.
    #[error(transparent)]
    Inherit(#[from] InheritError),
    /// The management socket could not be opened.
    #[error("{}", match source.kind() {
        io::ErrorKind::AddrInUse => format!("{address}, the management address, is in use"),
        _ => format!("cannot listen on {address} for management"),
    })]
    Management {
        /// The configured address.
        address: SocketAddr,
        /// The reason.
        source: io::Error,
    },
    /// The configuration names no environment, and none are to be discovered.
    #[error("no environment is configured")]
    NoEnvironment,
    /// The socket of the probes could not be opened.
    #[error("cannot listen on {address} for probes")]
    Probes {
        /// The configured address.
        address: SocketAddr,
        /// The reason.
        source: io::Error,
    },
    /// An environment variable names a proxy that cannot be used.
    #[error("{variable} is not a usable proxy: it {reason}")]
    Proxy {
        /// The variable.
        variable: &'static str,
        /// The reason, as the rest of a sentence.
        reason: &'static str,
    },
    /// The export of traces cannot be set up.
    #[error(transparent)]
    Traces(#[from] TraceSettingsError),
    /// A thread, its runtime or the signals could not be set up.
    #[error("cannot start a worker thread")]
    Thread(#[source] io::Error),
}

impl Gateway {
    /// Opens the sockets and builds everything behind them. Must run on the control runtime, which
    /// will run the calls to AWS and the management address.
    ///
    /// Fails if a file that the configuration names cannot be used, or a socket cannot be opened.
    pub async fn bind(config: Config, inputs: &ExternalInputs) -> Result<Self, StartError> {
        // before they are read: a later change then shows
        let files = FileStates::of(named_files(&config));

        // Certificates before sockets: a client never connects to a gateway that then gives up
        // because of them.
        let draft = Draft::load(config, inputs.clone(), None)?;

        // Sockets before everything that has effects (the audit file, tasks): an address in use is
        // the most frequent failure, and often means that a gateway runs already.
        let (sockets, listeners) =
            SocketSet::bind(&draft.config, draft.tls.as_ref(), inputs).await?;
        tracing::debug!(
            listeners = listeners.len(),
            management = %sockets.management.address,
            "sockets are open"
        );

        let background = BackgroundTasks::current();
        let generation = Generation::build(draft, &listeners, None, &background)?;
        let state = &generation.state;
        state
            .metrics
            .configuration
            .set_loaded(Timestamp::now().wall());
        tracing::debug!(
            environments = state.registry.snapshot().entries().len(),
            discovery = state.discovery.is_some(),
            audit = state.audit.is_some(),
            "the gateway is built"
        );

        let generation = Arc::new(generation);
        let stopping = Arc::new(AtomicBool::new(false));
        let status =
            GatewayStatus::new(Arc::clone(&generation), Arc::clone(&stopping), &sockets);
        Ok(Self {
            generation,
            sockets,
            status: Arc::new(status),
            stopping,
            background,
            notifier: inputs.supervisor.notifier.clone(),
            source: None,
            requests: ReloadRequests::default(),
            files,
        })
    }

    /// Lets the gateway read its configuration again: when that is requested, and when one of its
    /// files has changed. Without this, only the files that the configuration names are read again.
    #[must_use]
    pub fn with_source(mut self, source: ConfigSource) -> Self {
        self.source = Some(source);
        self
    }

    /// Returns the way to request that the configuration is read again.
    pub fn reload_requests(&self) -> ReloadRequests {
        self.requests.clone()
    }

    /// Returns the URL of every listener, the main one first.
    pub fn urls(&self) -> Vec<String> {
        let listeners = self.listener_urls();
        listeners.map(|listener| listener.url.clone()).collect()
    }

    /// Returns a line for every listener: its URL, and what is special about it.
    pub fn listener_lines(&self) -> Vec<String> {
        let listeners = self.listener_urls();
        let lines = listeners.map(|listener| match listener.summary() {
            Some(about) => format!("{} ({about})", listener.url),
            None => listener.url.clone(),
        });
        lines.collect()
    }

    fn listener_urls(&self) -> impl Iterator<Item = &ListenerUrl> {
        self.generation.state.urls.listeners.iter()
    }

    /// Returns the URL of the management address.
    pub fn management_url(&self) -> String {
        format!("http://{}", self.sockets.management.address)
    }

    /// Returns the URL of the probes' address, if there is one.
    pub fn probes_url(&self) -> Option<String> {
        let probes = self.sockets.probes.as_ref()?;
        Some(format!("http://{}", probes.address))
    }

    /// Starts to look up the names that browsers will use, so that the first page has the answers.
    pub fn start_name_lookups(&self) {
        let state = &self.generation.state;
        for entry in state.registry.snapshot().entries() {
            let name = format!("{}.localhost", entry.environment.local);
            let _not_yet = state.resolver.is_local(&name);
        }
    }
}
