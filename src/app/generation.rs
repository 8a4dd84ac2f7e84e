//! All that is built from one reading of the configuration. A later one takes over what still holds
//! of the one before: tokens, sessions, queues, what AWS has said, tunnels, the audit log.

use super::sockets::{listener_urls, tcp_addresses};
use super::traces::TraceExport;
use super::{ExternalInputs, StartError, settings};
use mwaa_auth::aws::discovery::DiscoverySettings;
use mwaa_auth::aws::{AwsClient, Discovery, VersionResolver};
use mwaa_auth::{CredentialCache, LocalTokens};
use mwaa_config::Config;
use mwaa_egress::Connector;
use mwaa_fleet::Fleet;
use mwaa_model::{AirflowVersion, Directory, Entry, EnvName, FileError, Registry};
use mwaa_policy::find_release;
use mwaa_proxy::queue::CommandQueues;
use mwaa_proxy::upstream::{Trust, TrustStore, WebLoginClient};
use mwaa_proxy::{ProxyState, Watchers};
use mwaa_runtime::resolver::Resolver;
use mwaa_runtime::{BackgroundTasks, Timestamp};
use mwaa_server::{CertificateStatus, ListenerConfig, TlsConfig};
use mwaa_telemetry::{Audit, Metrics};
use std::sync::Arc;

/// A configuration, and all that was built from it but the sockets.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) config: Config,
    pub(super) inputs: ExternalInputs,
    pub(super) state: Arc<ProxyState>,
    pub(super) trust: Arc<TrustStore>,
    pub(super) connector: Connector,
    /// The export of traces. It is that of the first configuration.
    pub(super) traces: Option<TraceExport>,
    /// The configured environments.
    entries: Vec<Arc<Entry>>,
    pub(super) tls: Option<TlsConfig>,
    aws: Arc<AwsClient>,
    /// The fleet, which stays as it was at the start.
    pub(super) fleet: Option<Arc<Fleet>>,
    /// The number of the pools of idle connections to web servers: another one for another route.
    pub(super) pool: u32,
}

/// A configuration with its environments and certificates. Nothing that it needs is open yet.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) config: Config,
    inputs: ExternalInputs,
    entries: Vec<Arc<Entry>>,
    trust: Arc<TrustStore>,
    pub(super) tls: Option<TlsConfig>,
}

impl Draft {
    /// Reads the certificates of a configuration, in place of those of `old`. Fails if one cannot be
    /// used, or if there is nothing to serve.
    pub(super) fn load(
        config: Config,
        inputs: ExternalInputs,
        old: Option<&Generation>,
    ) -> Result<Self, StartError> {
        let entries = match old {
            None => settings::create_entries(&config),
            Some(old) => take_over_entries(&config, &old.state.registry),
        };
        if entries.is_empty() && !config.discovers() {
            return Err(StartError::NoEnvironment);
        }

        let trust = load_trust(&config, &entries)?;
        let trust = match old {
            None => Arc::new(trust),
            Some(old) => trust.succeed(&old.trust),
        };
        let tls = load_tls(&config, old.and_then(|old| old.tls.as_ref()))?;
        tracing::debug!(tls = tls.is_some(), "certificates are loaded");
        Ok(Self {
            config,
            inputs,
            entries,
            trust,
            tls,
        })
    }
}

impl Generation {
    /// Builds all of a configuration whose listeners are open. Fails if a file that it names cannot be
    /// used. AWS is not called.
    pub(super) fn build(
        draft: Draft,
        listeners: &[ListenerConfig],
        old: Option<&Self>,
        background: &BackgroundTasks,
    ) -> Result<Self, StartError> {
        let config = &draft.config;
        let connector = settings::load_connector(config, &draft.inputs, background)?;
        let connector = match old {
            None => connector,
            Some(old) => connector.succeed(&old.connector),
        };

        // only the client: which identity we have is asked for by `serve` and by requests, because
        // a person may log in after the start
        let aws_settings = settings::aws(config, &draft.inputs, &connector);
        let aws = old.filter(|old| old.aws.has_settings(&aws_settings));
        let aws = match aws {
            Some(old) => Arc::clone(&old.aws),
            None => Arc::new(AwsClient::new(aws_settings)),
        };
        let pool = old.map_or(0, |old| {
            old.pool + u32::from(!old.has_same_routes(&draft, &connector))
        });

        let metrics = old.map_or_else(Arc::default, |old| Arc::clone(&old.state.metrics));
        let fleet = match old {
            None => join_fleet(config, &connector, &aws, background, &metrics)?,
            Some(old) => old.fleet.clone(),
        };
        let traces = match old {
            None => TraceExport::start(config, &draft.inputs, &connector, background)?,
            Some(old) => old.traces.clone(),
        };
        let parts = Parts {
            traces: traces.as_ref(),
            draft: &draft,
            connector: &connector,
            aws: &aws,
            old,
            background,
            fleet: fleet.as_ref(),
            metrics,
        };
        let state = Arc::new(parts.build_state(listeners)?);
        Ok(Self {
            config: draft.config,
            inputs: draft.inputs,
            entries: draft.entries,
            trust: draft.trust,
            tls: draft.tls,
            state,
            traces,
            connector,
            aws,
            fleet,
            pool,
        })
    }

    /// Returns true if all connections to web servers of this generation could have been opened by
    /// the new one.
    fn has_same_routes(&self, new: &Draft, connector: &Connector) -> bool {
        let known = self.state.registry.snapshot();
        let has_same_route = |entry: &Arc<Entry>| {
            let old = known.entries().iter().find(|old| old.id == entry.id);
            old.is_none_or(|old| old.environment.has_same_route(&entry.environment))
        };
        self.connector.is_clone_of(connector)
            && Arc::ptr_eq(&self.trust, &new.trust)
            && settings::upstream(&self.config) == settings::upstream(&new.config)
            && new.entries.iter().all(has_same_route)
    }

    /// Starts the calls to AWS for what `old` did not have. They run beside everything else, so an
    /// answer that takes long delays only the requests that need it.
    pub(super) fn start_aws_calls(&self, old: Option<&Self>) {
        let before = old.map(|old| old.state.registry.snapshot());
        let before = before.as_ref().map_or(&[][..], |before| before.entries());
        for entry in self.state.registry.snapshot().entries() {
            if !before.iter().any(|known| Arc::ptr_eq(known, entry)) {
                load_version(&self.state.versions, entry);
            }
        }

        let known = old.and_then(|old| old.state.discovery.as_ref());
        if let Some(discovery) = &self.state.discovery
            && !known.is_some_and(|known| Arc::ptr_eq(known, discovery))
        {
            discovery.start();
        }
    }

    /// Returns true if an environment of the old state has another local name now.
    pub(super) fn has_renamed(&self, old: &ProxyState) -> bool {
        let now = self.state.registry.snapshot();
        old.registry.snapshot().entries().iter().any(|old| {
            let mut same = now.entries().iter().filter(|entry| entry.id == old.id);
            same.any(|entry| entry.environment.local != old.environment.local)
        })
    }

    /// Drops the tokens and sessions that `old` has for environments that are no longer served.
    pub(super) fn forget_removed(&self, old: &Self) {
        let now = self.state.registry.snapshot();
        for entry in old.state.registry.snapshot().entries() {
            if !now.entries().iter().any(|kept| kept.id == entry.id) {
                self.state.credentials.forget(entry);
            }
        }
    }
}

/// The parts that the proxy's state is built from.
struct Parts<'a> {
    draft: &'a Draft,
    connector: &'a Connector,
    aws: &'a Arc<AwsClient>,
    old: Option<&'a Generation>,
    background: &'a BackgroundTasks,
    fleet: Option<&'a Arc<Fleet>>,
    metrics: Arc<Metrics>,
    traces: Option<&'a TraceExport>,
}

impl Parts<'_> {
    fn build_state(&self, listeners: &[ListenerConfig]) -> Result<ProxyState, StartError> {
        let config = &self.draft.config;
        let old = self.old.map(|old| &*old.state);
        let metrics = Arc::clone(&self.metrics);

        let versions = self.build_versions();
        let (registry, discovery) = self.build_registry(&versions);
        let queues = match old {
            None => CommandQueues::new(
                settings::queue(config),
                Arc::clone(&metrics),
                self.fleet.cloned(),
            ),
            Some(old) => {
                let directory = registry.snapshot();
                let entries = directory.entries().iter().map(AsRef::as_ref);
                old.queues.succeed(settings::queue(config), entries)
            }
        };

        Ok(ProxyState {
            // a Host must name an address of ours, and port 0 has become a number by now
            admission: settings::load_admission(config, &tcp_addresses(listeners))?,
            discovery,
            credentials: self.build_credentials(&metrics),
            queues,
            audit: self.start_audit(&metrics)?,
            tracer: self.traces.map(TraceExport::tracer),
            urls: listener_urls(listeners, config),
            watchers: self.build_watchers(),
            limits: settings::proxy_limits(config),
            registry,
            versions,

            // what does not depend on the configuration
            login_visits: old.map_or_else(Arc::default, |old| Arc::clone(&old.login_visits)),
            local_tokens: old.map_or_else(
                || Arc::new(LocalTokens::generate()),
                |old| Arc::clone(&old.local_tokens),
            ),
            reachability: old.map_or_else(Arc::default, |old| Arc::clone(&old.reachability)),
            rest_routes: old.map_or_else(Arc::default, |old| Arc::clone(&old.rest_routes)),
            refusals: old.map_or_else(Arc::default, |old| Arc::clone(&old.refusals)),
            resolver: old.map_or_else(Resolver::default, |old| old.resolver.clone()),
            metrics,
        })
    }

    /// Returns the count of the overview's streams: the same one, unless their limit has changed.
    fn build_watchers(&self) -> Watchers {
        let limit = settings::watchers(&self.draft.config);
        match self.old {
            Some(old) if limit == settings::watchers(&old.config) => old.state.watchers.clone(),
            _ => Watchers::new(limit),
        }
    }

    fn build_versions(&self) -> Arc<VersionResolver> {
        let limit = self.draft.config.limits.mint_total;
        let api = Arc::<AwsClient>::clone(self.aws);
        match self.old {
            None => VersionResolver::new(
                api,
                self.background.clone(),
                limit,
                log_release,
                self.fleet.cloned(),
            ),
            Some(old) if self.is_same_aws(old) => Arc::clone(&old.state.versions),
            Some(old) => old.state.versions.succeed(api, limit),
        }
    }

    fn is_same_aws(&self, old: &Generation) -> bool {
        Arc::ptr_eq(self.aws, &old.aws)
            && self.draft.config.limits.mint_total == old.config.limits.mint_total
    }

    /// Returns the known environments, and the search for more if the configuration wants one. A new
    /// environment's version is loaded at once, so that its first request need not wait.
    fn build_registry(
        &self,
        versions: &Arc<VersionResolver>,
    ) -> (Arc<Registry>, Option<Arc<Discovery>>) {
        let config = &self.draft.config;
        let entries = &self.draft.entries;
        let default = find_default(config);
        if let Some(old) = self.old.filter(|old| self.has_same_directory(old)) {
            let state = &old.state;
            return (Arc::clone(&state.registry), state.discovery.clone());
        }

        let directory = Directory::new(entries.clone(), default.as_ref());
        let registry = Arc::new(match self.old {
            None => Registry::new(directory),
            Some(old) => old.state.registry.succeed(directory),
        });
        if !config.discovers() {
            return (registry, None);
        }

        let search = DiscoverySettings {
            places: settings::discovery_places(config),
            default,
            limit: config.limits.mint_total,
        };
        let versions = Arc::clone(versions);
        let on_new_entry = Box::new(move |entry: &Arc<Entry>| load_version(&versions, entry));
        let api = Arc::<AwsClient>::clone(self.aws);
        let known = Arc::clone(&registry);
        let old = self.old.and_then(|old| old.state.discovery.as_ref());
        let discovery = match old {
            Some(old) => old.succeed(api, search, known, on_new_entry),
            None => Discovery::new(api, self.background.clone(), search, known, on_new_entry),
        };
        (registry, Some(discovery))
    }

    /// Returns true if the environments and the places to search have not changed.
    fn has_same_directory(&self, old: &Generation) -> bool {
        let (new, entries) = (&self.draft.config, &self.draft.entries);
        let mut pairs = entries.iter().zip(&old.entries);
        self.is_same_aws(old)
            && entries.len() == old.entries.len()
            && pairs.all(|(new, old)| Arc::ptr_eq(new, old))
            && find_default(new) == find_default(&old.config)
            && new.discovers() == old.config.discovers()
            && settings::discovery_places(new) == settings::discovery_places(&old.config)
    }

    fn build_credentials(&self, metrics: &Arc<Metrics>) -> Arc<CredentialCache> {
        let config = &self.draft.config;
        let upstream = settings::upstream(config);
        let limits = settings::credentials(config);
        let is_same = |old: &&Generation| {
            self.is_same_aws(old)
                && Arc::ptr_eq(&self.draft.trust, &old.trust)
                && upstream == settings::upstream(&old.config)
                && limits == settings::credentials(&old.config)
        };
        if let Some(old) = self.old.filter(is_same) {
            return Arc::clone(&old.state.credentials);
        }

        let trust = Arc::clone(&self.draft.trust);
        let login = Arc::new(WebLoginClient::new(upstream, self.connector.clone(), trust));
        let api = Arc::<AwsClient>::clone(self.aws);
        match self.old {
            Some(old) => old.state.credentials.succeed(api, login, limits),
            None => CredentialCache::new(
                api,
                login,
                limits,
                self.background.clone(),
                Arc::clone(metrics),
                self.fleet.cloned(),
            ),
        }
    }

    /// Opens the audit log and starts its thread, if the configuration names a file that is not open.
    fn start_audit(&self, metrics: &Arc<Metrics>) -> Result<Option<Audit>, StartError> {
        let Some(settings) = settings::audit(&self.draft.config) else {
            return Ok(None);
        };
        let old = self.old.and_then(|old| old.state.audit.as_ref());
        Ok(Some(
            match old.and_then(|old| old.with_settings(&settings)) {
                Some(same_file) => same_file,
                None => Audit::start(&settings, Arc::clone(metrics))?,
            },
        ))
    }
}

/// Joins the fleet, if the configuration names one. Fails if a file of it cannot be used.
fn join_fleet(
    config: &Config,
    connector: &Connector,
    aws: &Arc<AwsClient>,
    background: &BackgroundTasks,
    metrics: &Arc<Metrics>,
) -> Result<Option<Arc<Fleet>>, StartError> {
    let parts = settings::load_fleet(config, connector, aws, background)?;
    Ok(parts.map(|(store, keys, own)| {
        Fleet::join(store, keys, own, background.clone(), Arc::clone(metrics))
    }))
}

/// Returns the configured environments: with the ids, and all that belongs to them, of those that were
/// served before as the same identity.
fn take_over_entries(config: &Config, registry: &Registry) -> Vec<Arc<Entry>> {
    let before = Arc::clone(&registry.snapshot());
    let mut known: Vec<Option<&Arc<Entry>>> = before.entries().iter().map(Some).collect();
    let wanted = config.environments.iter().map(|entry| &entry.environment);
    let mut found = vec![None; config.environments.len()];

    // one that was renamed is recognized too, unless another one has the same identity
    for by_name in [true, false] {
        for (environment, found) in wanted.clone().zip(&mut found) {
            let fits = |entry: &&mut Option<&Arc<Entry>>| {
                entry.is_some_and(|entry| {
                    entry.environment.is_same_target(environment)
                        && (!by_name || entry.environment.local == environment.local)
                })
            };
            if found.is_none() {
                *found = known.iter_mut().find(fits).and_then(Option::take);
            }
        }
    }

    let entries = wanted.zip(found).map(|(environment, old)| match old {
        Some(same) if same.environment == *environment => Arc::clone(same),
        Some(old) => Arc::new(old.with_environment(environment.clone())),
        None => Arc::new(Entry::new(registry.next_id(), environment.clone())),
    });
    entries.collect()
}

/// Returns the environment that serves requests which name none, if the configuration says so.
fn find_default(config: &Config) -> Option<EnvName> {
    let default = config.environments.iter().find(|entry| entry.default);
    default.map(|entry| entry.environment.local.clone())
}

fn load_trust(config: &Config, entries: &[Arc<Entry>]) -> Result<TrustStore, StartError> {
    // the entries are the configured environments, in their order
    let trust = entries
        .iter()
        .zip(&config.environments)
        .map(|(entry, configured)| {
            let trust = Trust::new(configured.ca_file.as_deref())?;
            Ok((entry.id, trust))
        });
    let own = trust.collect::<Result<_, FileError>>()?;
    Ok(TrustStore::new(own))
}

/// Loads the TLS listener's certificate and key, if they are others than those of `old`. An expired
/// certificate is still served: the clients decide, and `check` reports it.
fn load_tls(config: &Config, old: Option<&TlsConfig>) -> Result<Option<TlsConfig>, StartError> {
    let Some(files) = settings::tls_files(config) else {
        return Ok(None);
    };
    let certificate = files.certificate.display().to_string();
    let tls = match old {
        None => TlsConfig::load(files)?,
        Some(old) => old.load_again(files)?,
    };
    if old.is_some_and(|old| old.is_clone_of(&tls)) {
        return Ok(Some(tls));
    }

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
fn load_version(versions: &Arc<VersionResolver>, entry: &Arc<Entry>) {
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
