//! Builds every room. Nothing is asked of AWS here: the gateway starts without a network.

use super::run::prepare;
use super::settings;
use super::view::GatewayView;
use crate::config::Config;
use crate::control::discovery::Search;
use crate::control::{ControlPlane, Discovery, Sdk, StaticKey, Versions};
use crate::credential::Broker;
use crate::egress::{Egress, Surroundings};
use crate::gateway::{Front, Listening, Reach, Shared, Visits};
use crate::listener::{Address, BindError, Bound, Tls, TlsError, Validity};
use crate::management::Management;
use crate::names::{AirflowVersion, Directory, Entry, Known, debug_only};
use crate::policy::{Match, release_for};
use crate::queue::Queues;
use crate::runtime::resolver::Resolver;
use crate::runtime::{Background, Moment};
use crate::telemetry::{Audit, Metrics, Refusals};
use crate::upstream::{LoginDoor, Trust, TrustError, Trusts};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::available_parallelism;

/// What comes from outside the configuration.
#[derive(Default)]
pub struct Extras {
    /// More roots for AWS's API, as PEM (`AWS_CA_BUNDLE`).
    pub ca_bundle: Option<Vec<u8>>,
    /// The proxies that the environment variables name.
    pub proxies: Surroundings,
    /// Keys in place of the AWS chain: the demo's, for its own emulator.
    pub static_key: Option<StaticKey>,
}

debug_only!(Extras: proxies, static_key);

/// The gateway could not be built.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A listening socket was not opened.
    Bind(BindError),
    /// The configuration names no environment.
    NoEnvironment,
    /// The management socket was not opened.
    Management(SocketAddr, io::Error),
    /// The socket of the probes was not opened.
    Probes(SocketAddr, io::Error),
    /// A thread or its runtime was not started.
    Thread(io::Error),
    /// A file of the TLS listener can't be used.
    Tls(TlsError),
    /// A variable names a proxy that can't be used: its name, and why.
    Proxy(&'static str, &'static str),
    /// A `ca_file` can't be used.
    Trust(TrustError),
    /// A file that the configuration names can't be used.
    Unreadable(PathBuf, String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(error) => error.fmt(f),
            Self::Management(address, error) if error.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "{address}, the management address, is in use")
            }
            Self::Management(address, _) => {
                write!(f, "cannot listen on {address} for management")
            }
            Self::Probes(address, _) => write!(f, "cannot listen on {address} for probes"),
            Self::NoEnvironment => f.write_str("no environment is named"),
            Self::Proxy(variable, why) => {
                write!(f, "{variable} is no proxy that can be used: it {why}")
            }
            Self::Thread(_) => f.write_str("cannot start a worker thread"),
            Self::Tls(error) => error.fmt(f),
            Self::Trust(error) => error.fmt(f),
            Self::Unreadable(file, why) => write!(f, "cannot use {}: {why}", file.display()),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Bind(error) => error.source(),
            Self::Management(_, error) | Self::Probes(_, error) | Self::Thread(error) => {
                Some(error)
            }
            Self::NoEnvironment
            | Self::Proxy(..)
            | Self::Tls(_)
            | Self::Trust(_)
            | Self::Unreadable(..) => None,
        }
    }
}

/// A gateway whose sockets are open and which serves as soon as it runs.
#[derive(Debug)]
pub struct Built {
    pub(super) shared: Arc<Shared>,
    pub(super) trust: Arc<Trusts>,
    pub(super) egress: Egress,
    pub(super) bound: Vec<Bound>,
    pub(super) management: Management,
    pub(super) probes: Option<Management>,
    pub(super) view: Arc<GatewayView>,
    pub(super) background: Background,
    pub(super) stopping: Arc<AtomicBool>,
    pub(super) threads: usize,
    pub(super) config: Config,
}

/// Opens the sockets and builds the rooms. Runs inside the control runtime, which mints,
/// version questions and the management address will use.
pub async fn build(config: Config, extras: &Extras) -> Result<Built, StartError> {
    let entries = settings::entries(&config);
    if entries.is_empty() && !config.discovers() {
        return Err(StartError::NoEnvironment);
    }
    let threads = match config.limits.threads {
        0 => available_parallelism().map_or(1, NonZeroUsize::get),
        threads => threads,
    };
    let trust = trust(&config, &entries)?;
    let tls = tls(&config)?;
    let bound = settings::doors(&config, tls.as_ref())
        .iter()
        .map(|door| door.bind(threads).map_err(StartError::Bind))
        .collect::<Result<Vec<_>, _>>()?;
    let management = Management::bind(config.management.address)
        .await
        .map_err(|error| StartError::Management(config.management.address, error))?;
    let management_address = management
        .address()
        .map_err(|error| StartError::Management(config.management.address, error))?;
    let probes = match config.management.probes {
        None => None,
        Some(address) => {
            let failed = |error| StartError::Probes(address, error);
            let probes = Management::bind_probes(address).await.map_err(failed)?;
            let address = probes.address().map_err(failed)?;
            Some((probes, address))
        }
    };
    let background = Background::current();
    let metrics = Arc::new(Metrics::default());
    let audit = settings::audit(&config)
        .map(|settings| Audit::start(&settings, Arc::clone(&metrics)))
        .transpose()
        .map_err(|error| StartError::Unreadable(error.file, error.source.to_string()))?;
    let egress = settings::egress(&config, extras, &background)?;
    let control = Arc::new(Sdk::new(settings::control(&config, extras, &egress)));
    let plane: Arc<dyn ControlPlane> = Arc::<Sdk>::clone(&control);
    let versions = Versions::new(
        plane,
        background.clone(),
        config.limits.mint_total,
        tell_table,
    );
    let default = config.environments.iter().find(|entry| entry.default);
    let default = default.map(|entry| entry.environment.local.clone());
    let known = Arc::new(Known::new(Directory::new(entries, default.as_ref())));
    let discovery = config.discovers().then(|| {
        let plane: Arc<dyn ControlPlane> = Arc::<Sdk>::clone(&control);
        let search = Search {
            places: settings::places(&config),
            default,
            limit: config.limits.mint_total,
        };
        let (background, known) = (background.clone(), Arc::clone(&known));
        let asked = Arc::clone(&versions);
        let welcome = Box::new(move |entry: &Arc<Entry>| prepare(&asked, entry));
        Discovery::new(plane, background, search, known, welcome)
    });
    let door = LoginDoor::new(
        settings::upstream(&config),
        egress.clone(),
        Arc::clone(&trust),
    );
    let broker = Broker::new(
        control,
        Arc::new(door),
        settings::credential(&config),
        background.clone(),
        Arc::clone(&metrics),
    );
    let tcp = bound.iter().filter_map(|bound| match &bound.address {
        Address::Tcp(address) => Some(*address),
        Address::Unix(..) => None,
    });
    let guard = settings::guard(&config, tcp.collect())
        .map_err(|error| StartError::Unreadable(error.file, error.why))?;
    let shared = Arc::new(Shared {
        guard,
        known,
        discovery,
        versions,
        queues: Queues::new(settings::queue(&config), Arc::clone(&metrics)),
        broker,
        visits: Visits::default(),
        reach: Reach::default(),
        metrics,
        audit,
        refusals: Refusals::default(),
        front: front(&bound),
        resolver: Resolver::default(),
        limits: settings::corridor(&config),
    });
    let stopping = Arc::new(AtomicBool::new(false));
    let view = Arc::new(GatewayView::new(
        Arc::clone(&shared),
        egress.clone(),
        Arc::clone(&stopping),
        management_address,
        probes.as_ref().map(|(_, address)| *address),
    ));
    Ok(Built {
        shared,
        trust,
        egress,
        bound,
        management,
        probes: probes.map(|(probes, _)| probes),
        view,
        background,
        stopping,
        threads,
        config,
    })
}

impl Built {
    /// Where the gateway listens, as URLs.
    pub fn urls(&self) -> Vec<String> {
        let listeners = self.shared.front.listeners.iter();
        listeners.map(|listening| listening.url.clone()).collect()
    }

    /// Every listener with what it lets pass, one line each: what `serve` tells.
    pub fn listeners(&self) -> Vec<String> {
        let listeners = self.shared.front.listeners.iter();
        let line = |one: &Listening| match one.entrance.summary() {
            Some(about) => format!("{} ({about})", one.url),
            None => one.url.clone(),
        };
        listeners.map(line).collect()
    }

    /// Has the resolver asked for the names that browsers will call, ahead of the first page.
    pub fn ask_for_names(&self) {
        for entry in self.shared.known.now().entries() {
            let name = format!("{}.localhost", entry.environment.local);
            let _not_yet = self.shared.resolver.knows(&name);
        }
    }

    /// Where the management address listens, as a URL.
    pub fn management_url(&self) -> Option<String> {
        self.management
            .address()
            .ok()
            .map(|address| format!("http://{address}"))
    }

    /// Where probes and metrics are answered for others, as a URL.
    pub fn probes_url(&self) -> Option<String> {
        let address = self.probes.as_ref()?.address().ok()?;
        Some(format!("http://{address}"))
    }
}

/// The TLS listener's files. One whose time is over is still served: who must connect can then
/// decide, and `check` tells.
fn tls(config: &Config) -> Result<Option<Tls>, StartError> {
    let Some(files) = settings::tls(config) else {
        return Ok(None);
    };
    let tls = Tls::load(&files).map_err(StartError::Tls)?;
    let certificate = files.certificate.display();
    match tls.validity(Moment::now().wall()) {
        Validity::Valid => {}
        Validity::Expired => {
            tracing::warn!(%certificate, "the listener's certificate has expired; clients will refuse it");
        }
        Validity::NotYet => {
            tracing::warn!(%certificate, "the listener's certificate is not valid yet; clients will refuse it");
        }
    }
    Ok(Some(tls))
}

fn front(bound: &[Bound]) -> Front {
    let url = |bound: &Bound| match &bound.address {
        Address::Tcp(address) if bound.tls.is_some() => format!("https://{address}"),
        Address::Tcp(address) => format!("http://{address}"),
        Address::Unix(path, _) => format!("unix:{}", path.display()),
    };
    let listeners = bound.iter().map(|bound| Listening {
        url: url(bound),
        entrance: bound.entrance.clone(),
    });
    Front {
        listeners: listeners.collect(),
    }
}

fn trust(config: &Config, entries: &[Arc<Entry>]) -> Result<Arc<Trusts>, StartError> {
    let trust = entries
        .iter()
        .zip(&config.environments)
        .map(|(entry, configured)| {
            Trust::new(configured.ca_file.as_deref()).map(|trust| (entry.id, trust))
        });
    let own = trust.collect::<Result<_, _>>().map_err(StartError::Trust)?;
    Ok(Arc::new(Trusts::new(own)))
}

/// Says by which table an environment's commands are judged.
pub(super) fn tell_table(entry: &Entry, version: AirflowVersion) {
    let environment = &entry.environment.local;
    let (release, how) = release_for(version);
    let table = release.version();
    match how {
        Match::Exact => {
            tracing::info!(%environment, %version, "commands are judged by MWAA's list for this version");
        }
        Match::NearestOlder | Match::Oldest => {
            tracing::warn!(%environment, %version, %table, "no list for this version; commands are judged by the nearest release's");
        }
    }
}
