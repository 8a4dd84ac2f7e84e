//! The composition root: builds a [`Gateway`] from the configuration. AWS is not called here, so a
//! gateway starts without a network and without credentials.

use super::settings;
use super::status::GatewayStatus;
use super::supervisor::{Notifier, Supervisor};
use mwaa_auth::aws::discovery::DiscoverySettings;
use mwaa_auth::aws::{AwsClient, Discovery, StaticKey, VersionResolver};
use mwaa_auth::{CredentialCache, LocalTokens};
use mwaa_config::Config;
use mwaa_egress::{Connector, ProxyEnv};
use mwaa_model::{
    AirflowVersion, Directory, Entry, EnvName, FileError, Registry, debug_fields,
};
use mwaa_policy::find_release;
use mwaa_proxy::queue::CommandQueues;
use mwaa_proxy::upstream::{Trust, TrustStore, WebLoginClient};
use mwaa_proxy::{
    ListenerUrl, ListenerUrls, LoginVisits, ProxyState, Reachability, RestRoutes, Watchers,
};
use mwaa_runtime::resolver::Resolver;
use mwaa_runtime::{BackgroundTasks, Timestamp};
use mwaa_server::management::ManagementServer;
use mwaa_server::{
    Address, BindError, BoundListener, CertificateStatus, InheritError, ListenerConfig, Places,
    TlsConfig,
};
use mwaa_telemetry::{Audit, Metrics, RecentRefusals};
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::available_parallelism;

/// A gateway whose sockets are open. It accepts connections once it [serves](Self::serve).
#[derive(Debug)]
pub struct Gateway {
    pub(super) config: Config,
    pub(super) state: Arc<ProxyState>,
    pub(super) trust: Arc<TrustStore>,
    pub(super) connector: Connector,
    pub(super) sockets: SocketSet,
    pub(super) status: Arc<GatewayStatus>,
    pub(super) stopping: Arc<AtomicBool>,
    pub(super) background: BackgroundTasks,
    pub(super) notifier: Notifier,
}

/// The inputs that are not in the configuration.
#[derive(Default)]
pub struct ExternalInputs {
    /// More roots for AWS's API, as PEM (`AWS_CA_BUNDLE`).
    pub ca_bundle: Option<Vec<u8>>,
    /// The proxies of the environment variables.
    pub proxies: ProxyEnv,
    /// Keys in place of the AWS chain: the demo's, for its own emulator.
    pub static_key: Option<StaticKey>,
    /// The service manager that started `serve`.
    pub supervisor: Supervisor,
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
        let entries = settings::create_entries(&config);
        if entries.is_empty() && !config.discovers() {
            return Err(StartError::NoEnvironment);
        }

        // Certificates before sockets: a client never connects to a gateway that then gives up
        // because of them.
        let trust = load_trust(&config, &entries)?;
        let tls = load_tls(&config)?;
        tracing::debug!(tls = tls.is_some(), "certificates are loaded");

        // Sockets before everything that has effects (the audit file, tasks): an address in use is
        // the most frequent failure, and often means that a gateway runs already.
        let sockets = SocketSet::bind(&config, tls.as_ref(), inputs).await?;
        tracing::debug!(
            listeners = sockets.listeners.len(),
            management = %sockets.management_address,
            "sockets are open"
        );

        // AWS last, and only its client: which identity we have is asked for by `serve` and by
        // requests, because a person may log in after the start.
        let background = BackgroundTasks::current();
        let connector = settings::load_connector(&config, inputs, &background)?;
        let parts = Parts {
            config: &config,
            trust: Arc::clone(&trust),
            connector: connector.clone(),
            aws: Arc::new(AwsClient::new(settings::aws(&config, inputs, &connector))),
            metrics: Arc::default(),
            background: background.clone(),
        };
        let state = Arc::new(parts.build_state(entries, &sockets)?);
        tracing::debug!(
            environments = state.registry.snapshot().entries().len(),
            discovery = state.discovery.is_some(),
            audit = state.audit.is_some(),
            "the gateway is built"
        );

        let stopping = Arc::new(AtomicBool::new(false));
        let status = GatewayStatus::new(
            Arc::clone(&state),
            connector.clone(),
            Arc::clone(&stopping),
            &sockets,
        );
        Ok(Self {
            config,
            state,
            trust,
            connector,
            sockets,
            status: Arc::new(status),
            stopping,
            background,
            notifier: inputs.supervisor.notifier.clone(),
        })
    }

    /// Returns the URL of every listener, the main one first.
    pub fn urls(&self) -> Vec<String> {
        let listeners = self.state.urls.listeners.iter();
        listeners.map(|listener| listener.url.clone()).collect()
    }

    /// Returns a line for every listener: its URL, and what is special about it.
    pub fn listener_lines(&self) -> Vec<String> {
        let listeners = self.state.urls.listeners.iter();
        let lines = listeners.map(|listener| match listener.summary() {
            Some(about) => format!("{} ({about})", listener.url),
            None => listener.url.clone(),
        });
        lines.collect()
    }

    /// Returns the URL of the management address.
    pub fn management_url(&self) -> String {
        format!("http://{}", self.sockets.management_address)
    }

    /// Returns the URL of the probes' address, if there is one.
    pub fn probes_url(&self) -> Option<String> {
        let (_, address) = self.sockets.probes.as_ref()?;
        Some(format!("http://{address}"))
    }

    /// Returns all addresses in one line.
    pub(super) fn addresses(&self) -> String {
        let management = self.management_url();
        let mut line = format!(
            "listening on {}; management on {management}",
            self.urls().join(", ")
        );
        if let Some(probes) = self.probes_url() {
            line.push_str("; probes on ");
            line.push_str(&probes);
        }
        line
    }

    /// Starts to look up the names that browsers will use, so that the first page has the answers.
    pub fn start_name_lookups(&self) {
        for entry in self.state.registry.snapshot().entries() {
            let name = format!("{}.localhost", entry.environment.local);
            let _not_yet = self.state.resolver.is_local(&name);
        }
    }
}

/// The open sockets.
#[derive(Debug)]
pub(super) struct SocketSet {
    pub(super) listeners: Vec<BoundListener>,
    /// The places for the connections of all listeners.
    pub(super) places: Arc<Places>,
    /// The number of worker threads: each listener has a socket for each.
    pub(super) threads: usize,
    pub(super) management: ManagementServer,
    pub(super) management_address: SocketAddr,
    pub(super) probes: Option<(ManagementServer, SocketAddr)>,
}

impl SocketSet {
    async fn bind(
        config: &Config,
        tls: Option<&TlsConfig>,
        inputs: &ExternalInputs,
    ) -> Result<Self, StartError> {
        let threads = match config.limits.threads {
            0 => available_parallelism().map_or(1, NonZeroUsize::get),
            threads => threads,
        };
        let listeners = settings::listeners(config, tls);

        // all at once, so that no socket of the service manager is left over
        let addresses = name_addresses(&listeners, config);
        let inherited = &inputs.supervisor.sockets;
        let mut inherited = inherited.assign(&addresses)?.into_iter();
        let mut next = || inherited.next().flatten();

        // a socket for each thread, so that the kernel spreads the connections (SO_REUSEPORT)
        let listeners = listeners.iter().map(|listener| match next() {
            Some(socket) => listener.inherit(socket, threads),
            None => listener.bind(threads),
        });
        let listeners = listeners.collect::<Result<Vec<_>, _>>()?;

        // after the listeners: if another gateway runs, its listener is the address to report
        let address = config.management.address;
        let failed = |source| StartError::Management { address, source };
        let management = ManagementServer::bind(address, next())
            .await
            .map_err(failed)?;
        let management_address = management.address().map_err(failed)?;

        let probes = match config.management.probes {
            None => None,
            Some(address) => {
                let failed = |source| StartError::Probes { address, source };
                let probes = ManagementServer::bind_probes(address, next())
                    .await
                    .map_err(failed)?;
                let address = probes.address().map_err(failed)?;
                Some((probes, address))
            }
        };
        Ok(Self {
            places: Places::new(config.limits.connections, listeners.len()),
            listeners,
            threads,
            management,
            management_address,
            probes,
        })
    }

    /// Returns the addresses of the listeners that are no Unix sockets.
    fn tcp_addresses(&self) -> Vec<SocketAddr> {
        let addresses = self.listeners.iter().map(|bound| &bound.address);
        let tcp = addresses.filter_map(|address| match address {
            Address::Tcp(address) => Some(*address),
            Address::Unix(..) => None,
        });
        tcp.collect()
    }

    fn listener_urls(&self, config: &Config) -> ListenerUrls {
        let url = |bound: &BoundListener| match &bound.address {
            // where both are accepted, plain HTTP needs no certificate that clients trust
            Address::Tcp(address) if !bound.accepts_plain => format!("https://{address}"),
            Address::Tcp(address) => format!("http://{address}"),
            Address::Unix(path, _) => format!("unix:{}", path.display()),
        };
        let listeners = self.listeners.iter().map(|bound| ListenerUrl {
            url: url(bound),
            policy: bound.listener.clone(),
            has_optional_tls: bound.tls.is_some() && bound.accepts_plain,
            tls_twins: settings::find_tls_twins(config, bound, &self.listeners),
        });
        ListenerUrls {
            listeners: listeners.collect(),
        }
    }
}

/// Returns each address to listen on, after the table of the configuration that names it.
fn name_addresses<'a>(
    listeners: &'a [ListenerConfig],
    config: &Config,
) -> Vec<(&'a str, Address)> {
    let listeners = listeners.iter();
    let listeners = listeners.map(|own| (own.listener.name.as_str(), own.address.clone()));
    let management = Some(config.management.address);
    let of_management = [
        ("management", management),
        ("management.probes", config.management.probes),
    ];
    let of_management = of_management.into_iter();
    let of_management =
        of_management.filter_map(|(name, address)| Some((name, Address::Tcp(address?))));
    listeners.chain(of_management).collect()
}

/// The parts that the proxy's state is built from.
struct Parts<'a> {
    config: &'a Config,
    trust: Arc<TrustStore>,
    connector: Connector,
    aws: Arc<AwsClient>,
    metrics: Arc<Metrics>,
    background: BackgroundTasks,
}

impl Parts<'_> {
    fn build_state(
        &self,
        entries: Vec<Arc<Entry>>,
        sockets: &SocketSet,
    ) -> Result<ProxyState, StartError> {
        let default = self.config.environments.iter().find(|entry| entry.default);
        let default = default.map(|entry| entry.environment.local.clone());
        let registry = Registry::new(Directory::new(entries, default.as_ref()));
        let registry = Arc::new(registry);
        let versions = VersionResolver::new(
            Arc::<AwsClient>::clone(&self.aws),
            self.background.clone(),
            self.config.limits.mint_total,
            log_release,
        );

        Ok(ProxyState {
            // a Host must name an address of ours, and port 0 has become a number by now
            admission: settings::load_admission(self.config, &sockets.tcp_addresses())?,
            discovery: self.build_discovery(default, &registry, &versions),
            credentials: self.build_credentials(),
            queues: CommandQueues::new(settings::queue(self.config), Arc::clone(&self.metrics)),
            audit: self.start_audit()?,
            urls: sockets.listener_urls(self.config),
            limits: settings::proxy_limits(self.config),
            metrics: Arc::clone(&self.metrics),
            registry,
            versions,
            login_visits: LoginVisits::default(),
            local_tokens: LocalTokens::generate(),
            reachability: Reachability::default(),
            rest_routes: RestRoutes::default(),
            refusals: RecentRefusals::default(),
            watchers: Watchers::new(settings::watchers(self.config)),
            resolver: Resolver::default(),
        })
    }

    /// Returns the search for environments, if the configuration wants one. A new environment's
    /// version is loaded at once, so that its first request need not wait.
    fn build_discovery(
        &self,
        default: Option<EnvName>,
        registry: &Arc<Registry>,
        versions: &Arc<VersionResolver>,
    ) -> Option<Arc<Discovery>> {
        if !self.config.discovers() {
            return None;
        }

        let search = DiscoverySettings {
            places: settings::discovery_places(self.config),
            default,
            limit: self.config.limits.mint_total,
        };
        let versions = Arc::clone(versions);
        Some(Discovery::new(
            Arc::<AwsClient>::clone(&self.aws),
            self.background.clone(),
            search,
            Arc::clone(registry),
            Box::new(move |entry| load_version(&versions, entry)),
        ))
    }

    fn build_credentials(&self) -> Arc<CredentialCache> {
        let login = WebLoginClient::new(
            settings::upstream(self.config),
            self.connector.clone(),
            Arc::clone(&self.trust),
        );
        CredentialCache::new(
            Arc::<AwsClient>::clone(&self.aws),
            Arc::new(login),
            settings::credentials(self.config),
            self.background.clone(),
            Arc::clone(&self.metrics),
        )
    }

    /// Opens the audit log and starts its thread, if the configuration names a file.
    fn start_audit(&self) -> Result<Option<Audit>, StartError> {
        let audit = settings::audit(self.config)
            .map(|settings| Audit::start(&settings, Arc::clone(&self.metrics)));
        Ok(audit.transpose()?)
    }
}

fn load_trust(config: &Config, entries: &[Arc<Entry>]) -> Result<Arc<TrustStore>, StartError> {
    // the entries are the configured environments, in their order
    let trust = entries
        .iter()
        .zip(&config.environments)
        .map(|(entry, configured)| {
            let trust = Trust::new(configured.ca_file.as_deref())?;
            Ok((entry.id, trust))
        });
    let own = trust.collect::<Result<_, FileError>>()?;
    Ok(Arc::new(TrustStore::new(own)))
}

/// Loads the TLS listener's certificate and key. An expired certificate is still served: the
/// clients decide, and `check` reports it.
fn load_tls(config: &Config) -> Result<Option<TlsConfig>, StartError> {
    let Some(files) = settings::tls_files(config) else {
        return Ok(None);
    };
    let certificate = files.certificate.display().to_string();
    let tls = TlsConfig::load(files)?;
    match tls.status_at(Timestamp::now().wall()) {
        CertificateStatus::Valid => {}
        CertificateStatus::Expired => {
            tracing::warn!(%certificate, "the listener's certificate has expired; clients will reject it");
        }
        CertificateStatus::NotYet => {
            tracing::warn!(%certificate, "the listener's certificate is not valid yet; clients will reject it");
        }
    }
    Ok(Some(tls))
}

/// Starts to ask AWS for the version of an environment, or logs the configured one.
pub(super) fn load_version(versions: &Arc<VersionResolver>, entry: &Arc<Entry>) {
    match entry.airflow_version() {
        Some(version) => log_release(entry, version),
        None => versions.prepare(entry),
    }
}

/// Logs which release's list of commands applies to an environment.
fn log_release(entry: &Entry, version: AirflowVersion) {
    let environment = &entry.environment.local;
    let table = find_release(version).version();
    if table == version {
        tracing::info!(%environment, %version, "commands are checked against MWAA's list for this version");
    } else {
        tracing::warn!(%environment, %version, %table, "no list for this version; commands are checked against the nearest release's list");
    }
}
