//! The gateway's sockets, and how a new configuration changes them: what is at the same address stays
//! open, with its connections.

use super::status::GatewayStatus;
use super::{ExternalInputs, StartError, settings};
use mwaa_config::Config;
use mwaa_proxy::{ListenerUrl, ListenerUrls};
use mwaa_runtime::BackgroundTasks;
use mwaa_server::management::ManagementServer;
use mwaa_server::{
    Address, BoundListener, InheritedSocket, InheritedSockets, ListenerConfig, Places,
    TlsConfig,
};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use tokio::task::AbortHandle;

/// The open sockets.
#[derive(Debug)]
pub(super) struct SocketSet {
    /// Each worker takes its socket of each. Shared with them, so that they close with the last.
    pub(super) listeners: Arc<Mutex<Vec<BoundListener>>>,
    /// The number of worker threads: each listener has a socket for each.
    pub(super) threads: usize,
    /// The places for client connections.
    pub(super) places: Arc<Places>,
    pub(super) management: ManagementSocket,
    pub(super) probes: Option<ManagementSocket>,
    inherited: InheritedSockets,
}

/// The management address or the probes' address.
#[derive(Debug)]
pub(super) struct ManagementSocket {
    configured: SocketAddr,
    pub(super) address: SocketAddr,
    /// Taken when it is served.
    pub(super) server: Option<ManagementServer>,
    /// Ends it, once it is served.
    pub(super) task: Option<AbortHandle>,
}

/// The listeners of a configuration with the addresses that they have or get, and the sockets for it
/// that were not open before.
#[derive(Debug)]
pub(super) struct SocketPlan {
    /// The listeners, the main one first.
    pub(super) listeners: Vec<ListenerConfig>,
    sockets: Vec<PlannedSocket>,
    /// Set if it is another one than before.
    management: Option<ManagementSocket>,
    probes: PlannedProbes,
}

#[derive(Debug)]
enum PlannedSocket {
    /// That of the open listener with this number.
    Keep(usize),
    Open(Box<BoundListener>),
}

#[derive(Debug)]
enum PlannedProbes {
    Keep,
    Replace(Option<ManagementSocket>),
}

impl SocketSet {
    /// Opens all sockets of the first configuration. Returns the listeners too, with their real
    /// addresses.
    pub(super) async fn bind(
        config: &Config,
        tls: Option<&TlsConfig>,
        inputs: &ExternalInputs,
    ) -> Result<(Self, Vec<ListenerConfig>), StartError> {
        let threads = match config.limits.threads {
            0 => available_parallelism().map_or(1, NonZeroUsize::get),
            threads => threads,
        };
        let inherited = inputs.supervisor.sockets.clone();
        let places = Places::new(config.limits.connections, 0);
        let opener = Opener::new(config, tls, &inherited, threads, &places)?;
        let (listeners, sockets) = opener.listeners(&[])?;

        // after the listeners: if another gateway runs, its listener is the address to report
        let management = opener.management().await?;
        let probes = opener.probes().await?;
        let mut set = Self {
            listeners: Arc::default(),
            threads,
            places: Arc::clone(&places),
            management,
            probes,
            inherited: inherited.clone(),
        };
        let plan = SocketPlan {
            listeners: listeners.clone(),
            sockets,
            management: None,
            probes: PlannedProbes::Keep,
        };
        set.apply(plan, config);
        Ok((set, listeners))
    }

    /// Starts to answer on those management addresses that do not yet.
    pub(super) fn serve_management(
        &mut self,
        status: &Arc<GatewayStatus>,
        background: &BackgroundTasks,
    ) {
        for socket in std::iter::once(&mut self.management).chain(&mut self.probes) {
            if let Some(server) = socket.server.take() {
                let status: Arc<GatewayStatus> = Arc::clone(status);
                socket.task = Some(server.serve(status, background));
            }
        }
    }

    /// Opens what a configuration has and these do not, and changes nothing else yet. Fails if one of
    /// its addresses cannot be used; all that was opened is closed then.
    pub(super) async fn plan(
        &self,
        config: &Config,
        tls: Option<&TlsConfig>,
    ) -> Result<SocketPlan, StartError> {
        let opener = Opener::new(config, tls, &self.inherited, self.threads, &self.places)?;
        let (listeners, sockets) = opener.listeners(&self.open())?;

        let management = if self.management.configured == config.management.address {
            None
        } else {
            Some(opener.management().await?)
        };
        let old_probes = self.probes.as_ref().map(|probes| probes.configured);
        let probes = if old_probes == config.management.probes {
            PlannedProbes::Keep
        } else {
            PlannedProbes::Replace(opener.probes().await?)
        };

        Ok(SocketPlan {
            listeners,
            sockets,
            management,
            probes,
        })
    }

    /// Carries out a plan. Listeners that it does not have are closed as soon as the workers know.
    /// Returns the tasks of management addresses that are to end.
    pub(super) fn apply(&mut self, plan: SocketPlan, config: &Config) -> Vec<AbortHandle> {
        let mut open = self.open();
        let mut old = std::mem::take(&mut *open);
        for (socket, listener) in plan.sockets.into_iter().zip(&plan.listeners) {
            match socket {
                PlannedSocket::Open(bound) => open.push(*bound),
                PlannedSocket::Keep(number) => {
                    let at = old.iter().position(|bound| bound.number == number);
                    let Some(mut bound) = at.map(|at| old.swap_remove(at)) else {
                        continue;
                    };
                    bound.update(listener);
                    open.push(bound);
                }
            }
        }
        let numbers: Vec<_> = open.iter().map(|bound| bound.number).collect();
        drop(open);
        self.places.resize(config.limits.connections, &numbers);

        let management = plan.management.map(|new| {
            let old = std::mem::replace(&mut self.management, new);
            old.task
        });
        let probes = match plan.probes {
            PlannedProbes::Keep => None,
            PlannedProbes::Replace(new) => {
                let old = std::mem::replace(&mut self.probes, new);
                old.map(|old| old.task)
            }
        };
        management.into_iter().chain(probes).flatten().collect()
    }

    /// Returns the numbers of the listeners, in their order.
    pub(super) fn numbers(&self) -> Vec<usize> {
        self.open().iter().map(|bound| bound.number).collect()
    }

    fn open(&self) -> MutexGuard<'_, Vec<BoundListener>> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the sockets of a configuration.
struct Opener<'a> {
    config: &'a Config,
    configs: Vec<ListenerConfig>,
    /// The service manager's socket for each listener, then for management and probes.
    inherited: Vec<Option<&'a InheritedSocket>>,
    threads: usize,
    places: &'a Places,
}

impl<'a> Opener<'a> {
    fn new(
        config: &'a Config,
        tls: Option<&TlsConfig>,
        inherited: &'a InheritedSockets,
        threads: usize,
        places: &'a Places,
    ) -> Result<Self, StartError> {
        let configs = settings::listeners(config, tls);
        // all at once, so that no socket of the service manager is left over
        let inherited = inherited.assign(&name_addresses(&configs, config))?;
        Ok(Self {
            config,
            configs,
            inherited,
            threads,
            places,
        })
    }

    /// Returns each listener with its real address, and its socket.
    fn listeners(
        &self,
        open: &[BoundListener],
    ) -> Result<(Vec<ListenerConfig>, Vec<PlannedSocket>), StartError> {
        let mut numbers: Vec<_> = open.iter().map(|bound| bound.number).collect();
        let mut views = Vec::new();
        let mut sockets = Vec::new();
        let kept = find_kept(open, &self.configs);
        let is_kept = |bound: &&BoundListener| {
            let mut kept = kept.iter().flatten();
            kept.any(|kept| kept.number == bound.number)
        };
        let leaving: Vec<_> = open.iter().filter(|bound| !is_kept(bound)).collect();

        for ((config, kept), inherited) in self.configs.iter().zip(&kept).zip(&self.inherited) {
            let (address, socket) = if let Some(kept) = kept {
                let address = match (&kept.address, &config.address) {
                    (Address::Unix(path, _), Address::Unix(_, mode)) => {
                        Address::Unix(path.clone(), *mode)
                    }
                    (real, _) => real.clone(),
                };
                (address, PlannedSocket::Keep(kept.number))
            } else {
                // a socket for each thread, so that the kernel spreads the connections
                // (SO_REUSEPORT)
                let mut bound = match inherited {
                    Some(socket) => config.inherit(socket, self.threads)?,
                    None => config.bind_in_place_of(self.threads, &leaving)?,
                };
                bound.number = self.places.free_number(&numbers);
                numbers.push(bound.number);
                (bound.address.clone(), PlannedSocket::Open(Box::new(bound)))
            };
            views.push(ListenerConfig {
                address,
                ..config.clone()
            });
            sockets.push(socket);
        }
        Ok((views, sockets))
    }

    async fn management(&self) -> Result<ManagementSocket, StartError> {
        let configured = self.config.management.address;
        let failed = |source| StartError::Management {
            address: configured,
            source,
        };
        let inherited = self.inherited.get(self.configs.len()).copied().flatten();
        let server = ManagementServer::bind(configured, inherited).await;
        ManagementSocket::new(configured, server).map_err(failed)
    }

    async fn probes(&self) -> Result<Option<ManagementSocket>, StartError> {
        let Some(configured) = self.config.management.probes else {
            return Ok(None);
        };
        let failed = |source| StartError::Probes {
            address: configured,
            source,
        };
        let inherited = self.inherited.get(self.configs.len() + 1).copied();
        let server = ManagementServer::bind_probes(configured, inherited.flatten()).await;
        let socket = ManagementSocket::new(configured, server).map_err(failed)?;
        Ok(Some(socket))
    }
}

impl ManagementSocket {
    fn new(
        configured: SocketAddr,
        server: std::io::Result<ManagementServer>,
    ) -> std::io::Result<Self> {
        let server = server?;
        Ok(Self {
            configured,
            address: server.address()?,
            server: Some(server),
            task: None,
        })
    }
}

/// Returns for each listener the open one whose socket it takes over: at its address, and of its name
/// if there are several, as with port 0.
fn find_kept<'a>(
    open: &'a [BoundListener],
    configs: &[ListenerConfig],
) -> Vec<Option<&'a BoundListener>> {
    let mut kept: Vec<Option<&BoundListener>> = vec![None; configs.len()];
    for by_name in [true, false] {
        for (at, config) in configs.iter().enumerate() {
            let is_taken = |bound: &BoundListener| {
                let numbers = kept.iter().flatten().map(|kept| kept.number);
                numbers.into_iter().any(|number| number == bound.number)
            };
            let fits = |bound: &&BoundListener| {
                bound.is_at(config)
                    && (!by_name || bound.listener.name == config.listener.name)
                    && !is_taken(bound)
            };

            let found = open.iter().find(fits);
            if let Some(free @ None) = kept.get_mut(at) {
                *free = found;
            }
        }
    }
    kept
}

/// Returns the addresses of the listeners that are no Unix sockets.
pub(super) fn tcp_addresses(listeners: &[ListenerConfig]) -> Vec<SocketAddr> {
    let addresses = listeners.iter().map(|listener| &listener.address);
    let tcp = addresses.filter_map(|address| match address {
        Address::Tcp(address) => Some(*address),
        Address::Unix(..) => None,
    });
    tcp.collect()
}

/// Returns the URLs of listeners with real addresses.
pub(super) fn listener_urls(listeners: &[ListenerConfig], config: &Config) -> ListenerUrls {
    let url = |bound: &ListenerConfig| match &bound.address {
        // where both are accepted, plain HTTP needs no certificate that clients trust
        Address::Tcp(address) if !bound.accepts_plain => format!("https://{address}"),
        Address::Tcp(address) => format!("http://{address}"),
        Address::Unix(path, _) => format!("unix:{}", path.display()),
    };
    let urls = listeners.iter().map(|bound| ListenerUrl {
        url: url(bound),
        policy: bound.listener.clone(),
        has_optional_tls: bound.tls.is_some() && bound.accepts_plain,
        tls_twins: settings::find_tls_twins(config, bound, listeners),
    });
    ListenerUrls {
        listeners: urls.collect(),
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
