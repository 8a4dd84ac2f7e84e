//! Connections to the outside, to web servers and to AWS: directly, through a proxy, or through a
//! tunnel. A connection is returned bare; TLS to its other end is up to the caller ([`tls`]).

mod error;
mod proxies;
mod proxy_handshake;
mod stream;
mod tcp;
pub mod tls;
mod tunnel;

pub use error::{EgressError, ProxyConnectError, TunnelError};
pub use proxies::{ProxyEnv, ProxyServer, ProxyTable};
pub use stream::Stream;
pub use tunnel::{Tunnel, TunnelGuard, TunnelHandle};

use mwaa_model::{
    EnvName, Environment, HostPort, StorePlace, error_chain, partition, split_port,
    strip_brackets,
};
use mwaa_runtime::{BackgroundTasks, Timer, boot_clock};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use stream::StreamKind;
use tokio::net::UnixStream;

/// The limits of all connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Resolving a name.
    pub dns: Duration,
    /// Connecting, to all addresses together; and the time that a proxy takes to connect further.
    pub connect: Duration,
    /// The TLS handshake with an HTTPS proxy.
    pub tls: Duration,
    /// From the start of a tunnel's program until its port is open.
    pub tunnel_start: Duration,
    /// A tunnel that is older is replaced by a new one.
    pub tunnel_age: Duration,
}

/// The route to a host. Its `Display` is for people: `through http://proxy.example:3128`.
#[derive(Debug, Clone)]
pub enum Route {
    /// By its own name and address.
    Direct,
    /// At another `host:port` (the setting `connect_to`).
    ConnectTo(Arc<str>),
    /// Through a proxy.
    Proxy(Arc<ProxyServer>),
    /// Through the tunnel of an environment.
    Tunnel(Arc<Tunnel>),
}

impl Route {
    /// Returns the words that follow "a connection to HOST" in a sentence: none for the direct
    /// route.
    pub fn suffix(&self) -> String {
        match self {
            Self::Direct => String::new(),
            other => format!(" {other}"),
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("directly"),
            Self::ConnectTo(address) => write!(f, "at {address} (connect_to)"),
            Self::Proxy(proxy) => write!(f, "through {}", proxy.url),
            Self::Tunnel(tunnel) => write!(f, "through the tunnel `{}`", tunnel.program()),
        }
    }
}

/// Opens connections. Clones share the tunnels.
#[derive(Debug, Clone)]
pub struct Connector(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    proxies: ProxyTable,
    tunnels: HashMap<EnvName, Arc<Tunnel>>,
}

impl Connector {
    /// Creates a connector; `environments` are those that may have a tunnel. Starts nothing yet:
    /// a tunnel's program is started when it is first needed, as a task of `background`.
    pub fn new<'a>(
        settings: Settings,
        proxies: ProxyTable,
        environments: impl Iterator<Item = &'a Environment>,
        background: &BackgroundTasks,
    ) -> Self {
        let tunnels = environments.filter_map(|environment| {
            let command = environment.tunnel.clone()?;
            let tunnel = Tunnel::new(command, &settings, background);
            Some((environment.local.clone(), Arc::new(tunnel)))
        });
        let tunnels = tunnels.collect();

        Self(Arc::new(Inner {
            settings,
            proxies,
            tunnels,
        }))
    }

    /// Returns the connector that takes the place of `previous`: that one itself if nothing differs;
    /// else this one, with those tunnels of the other that do not differ, so that their programs go
    /// on.
    #[must_use]
    pub fn succeed(self, previous: &Self) -> Self {
        let (old, mut new) = (&*previous.0, self.0);
        let find = |name: &EnvName, tunnel: &Tunnel| {
            let same = old.tunnels.get(name);
            same.filter(|same| same.is_same(tunnel)).map(Arc::clone)
        };
        let tunnels: HashMap<_, _> = new
            .tunnels
            .iter()
            .filter_map(|(name, tunnel)| Some((name.clone(), find(name, tunnel)?)))
            .collect();

        let is_same = new.settings == old.settings
            && new.proxies.is_same(&old.proxies)
            && new.tunnels.len() == old.tunnels.len()
            && tunnels.len() == old.tunnels.len();
        if is_same {
            return previous.clone();
        }
        // no one else has it yet
        if let Some(new) = Arc::get_mut(&mut new) {
            new.tunnels.extend(tunnels);
        }
        Self(new)
    }

    /// Returns true if both are clones of one connector.
    pub fn is_clone_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns the route to the environment's web server. The most explicit setting wins: the
    /// environment's tunnel or `connect_to`, its proxy, then the default one.
    pub fn find_route(&self, environment: &Environment, host: &str) -> Route {
        let Inner {
            proxies, tunnels, ..
        } = &*self.0;
        let own_proxy = environment.proxy.as_ref();

        if let Some(tunnel) = tunnels.get(&environment.local) {
            return Route::Tunnel(Arc::clone(tunnel));
        }

        // a route of its own, so only a proxy that is named beside it counts
        if let Some(address) = &environment.connect_to {
            return match own_proxy.and_then(|choice| proxies.resolve(choice)) {
                Some(proxy) => Route::Proxy(proxy),
                None => Route::ConnectTo(Arc::clone(address)),
            };
        }
        proxies
            .find(host, own_proxy)
            .map_or(Route::Direct, Route::Proxy)
    }

    /// Returns the route to a host of AWS for the environment: its proxy, or the default one.
    pub fn find_aws_host_route(&self, environment: &Environment, host: &str) -> Route {
        // tunnel and connect_to are for the web server only
        let proxy = self.0.proxies.find(host, environment.proxy.as_ref());
        proxy.map_or(Route::Direct, Route::Proxy)
    }

    /// Returns the route to a collector of traces: the default proxy, unless `NO_PROXY` lists the host.
    pub fn find_collector_route(&self, host: &str) -> Route {
        let proxy = self.0.proxies.find(host, None);
        proxy.map_or(Route::Direct, Route::Proxy)
    }

    /// Returns the route to the MWAA API for the environment, which is in `region`.
    pub fn find_aws_route(&self, environment: &Environment, region: &str) -> Route {
        let endpoint = environment.endpoint_url.as_deref();
        let uri = endpoint.and_then(|url| url.parse::<http::Uri>().ok());

        match uri {
            // plain HTTP is allowed to loopback only, and no proxy can be between
            Some(uri) if uri.scheme_str() == Some("http") => Route::Direct,
            Some(uri) => {
                let host = uri.host().unwrap_or_default();
                self.find_aws_host_route(environment, host)
            }

            // the SDK's own endpoint: its name counts for NO_PROXY
            None => {
                let domain = match partition(region) {
                    "aws-cn" => "amazonaws.com.cn",
                    _ => "amazonaws.com",
                };
                let host = format!("airflow.{region}.{domain}");
                self.find_aws_host_route(environment, &host)
            }
        }
    }

    /// Returns the web server and the route to it, for people.
    pub fn describe(&self, environment: &Environment, host: &str) -> String {
        format!("{host}{}", self.find_route(environment, host).suffix())
    }

    /// Returns the state of the environment's tunnel, in a word or two; `None` if it has none.
    pub fn tunnel_state(&self, local: &EnvName) -> Option<String> {
        self.0.tunnels.get(local).map(|tunnel| tunnel.state_text())
    }

    /// Opens a connection to the environment's web server `host`, on its route. Fails if the
    /// route gives no connection within the limits.
    pub async fn connect_to_web_server(
        &self,
        host: &str,
        environment: &Environment,
        timer: &impl Timer,
    ) -> Result<Stream, EgressError> {
        let route = self.find_route(environment, host);
        let (host, port) = match (&route, &environment.connect_to) {
            // the proxy connects to that address in place of us
            (Route::Proxy(_), Some(address)) => split_address(address),
            _ => (host, HTTPS_PORT),
        };
        self.connect(host, port, &route, timer).await
    }

    /// Opens a connection to the store of a fleet: through the default proxy, if there is one. Fails if
    /// that gives no connection within the limits.
    pub async fn connect_to_store(
        &self,
        place: &StorePlace,
        timer: &impl Timer,
    ) -> Result<Stream, EgressError> {
        match place {
            StorePlace::Tcp { host, port, .. } => {
                let proxy = self.0.proxies.find(host, None);
                let route = proxy.map_or(Route::Direct, Route::Proxy);
                self.connect(host, *port, &route, timer).await
            }
            StorePlace::Unix(path) => UnixStream::connect(path)
                .await
                .map(|stream| Stream::new(StreamKind::Unix(stream)))
                .map_err(|source| EgressError::Unreachable {
                    address: path.clone(),
                    source,
                }),
        }
    }

    /// Opens a connection to any host, on this route. Fails if the route gives no connection
    /// within the limits.
    pub async fn connect(
        &self,
        host: &str,
        port: u16,
        route: &Route,
        timer: &impl Timer,
    ) -> Result<Stream, EgressError> {
        // an event for failures too: a caller that tries again would hide them
        let started = boot_clock();
        let connected = self.try_connect(host, port, route, timer).await;

        let took = boot_clock().saturating_sub(started);
        let error = connected.as_ref().err().map(|error| error_chain(error));
        tracing::debug!(host, port, %route, ?took, error, "connection attempt");
        connected
    }

    async fn try_connect(
        &self,
        host: &str,
        port: u16,
        route: &Route,
        timer: &impl Timer,
    ) -> Result<Stream, EgressError> {
        let settings = &self.0.settings;
        // the address that TCP is spoken to
        let (tcp_host, tcp_port) = match route {
            Route::Direct => (host, port),
            Route::ConnectTo(address) => split_address(address),
            Route::Proxy(proxy) => {
                return proxy_handshake::connect(proxy, host, port, settings, timer)
                    .await
                    .map_err(EgressError::Proxy);
            }
            Route::Tunnel(tunnel) => {
                return tunnel
                    .connect(host, timer)
                    .await
                    .map_err(EgressError::Tunnel);
            }
        };

        tcp::connect(tcp_host, tcp_port, settings, timer)
            .await
            .map(|stream| Stream::new(StreamKind::Tcp(stream)))
            .map_err(|source| EgressError::Unreachable {
                address: HostPort {
                    host: tcp_host,
                    port: tcp_port,
                }
                .to_string(),
                source,
            })
    }
}

/// Splits a configured address; its port is that of web servers if it has none.
fn split_address(address: &str) -> (&str, u16) {
    let (host, port) = split_port(address);
    let port = port.and_then(|port| port.parse().ok());
    (strip_brackets(host), port.unwrap_or(HTTPS_PORT))
}

/// The port of web servers.
const HTTPS_PORT: u16 = 443;
