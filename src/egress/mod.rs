//! The way out of this machine, to the web servers and to AWS: directly, through a proxy, or
//! through a tunnel. What comes back is a bare connection; TLS to its other end is the caller's.

mod addresses;
mod error;
mod handshake;
mod proxies;
mod stream;
pub mod tls;
mod tunnel;

pub use error::{EgressError, ProxyFailure};
pub use proxies::{Proxies, Surroundings};
pub use stream::Stream;
pub use tunnel::{Guard, Through, Tunnel, TunnelError};

use crate::names::{EnvName, Environment, ProxyUrl, ProxyUser, partition};
use crate::runtime::{Background, Timer};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tunnel::Tunnels;

/// The limits of the way out.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Resolving a name.
    pub dns: Duration,
    /// Connecting, to all addresses together; and what a proxy takes to connect further.
    pub connect: Duration,
    /// The TLS handshake with an HTTPS proxy.
    pub tls: Duration,
    /// A tunnel's program has its port open.
    pub tunnel_start: Duration,
    /// A tunnel that is older is replaced by a new one.
    pub tunnel_age: Duration,
}

/// How a host is reached.
#[derive(Debug, Clone)]
pub enum Way {
    /// By its own name and address.
    Direct,
    /// At another `host:port` (`connect_to`).
    Instead(Arc<str>),
    /// Through a proxy.
    Proxy(Arc<Via>),
    /// Through the tunnel of an environment.
    Tunnel(Arc<Tunnel>),
}

/// A proxy, and who we are to it.
#[derive(Debug)]
pub struct Via {
    /// Its address.
    pub url: ProxyUrl,
    pub(super) user: Option<ProxyUser>,
}

impl Way {
    /// The words that follow "a connection to HOST" in a sentence: nothing for the direct way.
    pub fn suffix(&self) -> String {
        match self {
            Self::Direct => String::new(),
            other => format!(" {other}"),
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("directly"),
            Self::Instead(address) => write!(f, "at {address} (connect_to)"),
            Self::Proxy(via) => write!(f, "through {}", via.url),
            Self::Tunnel(tunnel) => write!(f, "through the tunnel `{}`", tunnel.program()),
        }
    }
}

/// Opens connections. Clones share the tunnels.
#[derive(Debug, Clone)]
pub struct Egress(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    proxies: Proxies,
    tunnels: Tunnels,
}

impl Egress {
    /// Starts nothing yet: a tunnel's program begins when it is first needed, as a task of
    /// `background`. `environments` are those that may have one.
    pub fn new<'a>(
        settings: Settings,
        proxies: Proxies,
        environments: impl Iterator<Item = &'a Environment>,
        background: &Background,
    ) -> Self {
        let with_tunnel = environments.filter_map(|environment| {
            let tunnel = environment.tunnel.clone()?;
            Some((environment.local.clone(), tunnel))
        });
        let tunnels = tunnel::start(with_tunnel, &settings, background);
        Self(Arc::new(Inner {
            settings,
            proxies,
            tunnels,
        }))
    }

    /// How the environment's web server is reached. The most explicit setting wins: the
    /// environment's tunnel or `connect_to`, its proxy, then everybody's.
    pub fn way(&self, environment: &Environment, host: &str) -> Way {
        let inner = &self.0;
        if let Some(tunnel) = inner.tunnels.get(&environment.local) {
            return Way::Tunnel(Arc::clone(tunnel));
        }
        let proxy = match &environment.connect_to {
            // it is a way of its own, so only a proxy that is named beside it counts
            Some(address) => match inner.proxies.own(environment.proxy.as_ref()) {
                None => return Way::Instead(Arc::clone(address)),
                proxy => proxy,
            },
            None => inner.proxies.find(host, environment.proxy.as_ref()),
        };
        proxy.map_or(Way::Direct, Way::Proxy)
    }

    /// The web server and the way to it, for people.
    pub fn described(&self, environment: &Environment, host: &str) -> String {
        format!("{host}{}", self.way(environment, host).suffix())
    }

    /// How a host of AWS is reached for the environment: by its proxy, or everybody's.
    pub fn way_to_aws_host(&self, environment: &Environment, host: &str) -> Way {
        let proxy = self.0.proxies.find(host, environment.proxy.as_ref());
        proxy.map_or(Way::Direct, Way::Proxy)
    }

    /// How the MWAA API is reached for the environment, which is in `region`.
    pub fn way_to_aws(&self, environment: &Environment, region: &str) -> Way {
        let endpoint = environment.endpoint_url.as_deref();
        let uri = endpoint.and_then(|url| url.parse::<http::Uri>().ok());
        match uri {
            // only loopback is spoken to without TLS, and nothing is between
            Some(uri) if uri.scheme_str() == Some("http") => Way::Direct,
            Some(uri) => {
                let host = uri.host().unwrap_or_default();
                self.way_to_aws_host(environment, host)
            }
            None => {
                let domain = match partition(region) {
                    "aws-cn" => "amazonaws.com.cn",
                    _ => "amazonaws.com",
                };
                let host = format!("airflow.{region}.{domain}");
                self.way_to_aws_host(environment, &host)
            }
        }
    }

    /// Opens a connection to the environment's web server `host`.
    pub async fn to_web_server(
        &self,
        host: &str,
        environment: &Environment,
        way: &Way,
        timer: &impl Timer,
    ) -> Result<Stream, EgressError> {
        match (way, &environment.connect_to) {
            (Way::Proxy(via), Some(address)) => {
                let (host, port) = split(address);
                self.through(via, host, port, timer).await
            }
            _ => self.open(host, HTTPS, way, timer).await,
        }
    }

    /// Opens a connection to any host, on this way.
    pub async fn open(
        &self,
        host: &str,
        port: u16,
        way: &Way,
        timer: &impl Timer,
    ) -> Result<Stream, EgressError> {
        let settings = &self.0.settings;
        match way {
            Way::Direct => addresses::connect(host, port, settings, timer)
                .await
                .map(Stream::tcp)
                .map_err(|source| EgressError::unreachable(host, port, source)),
            Way::Instead(address) => {
                let (host, port) = split(address);
                addresses::connect(host, port, settings, timer)
                    .await
                    .map(Stream::tcp)
                    .map_err(|source| EgressError::unreachable(host, port, source))
            }
            Way::Proxy(via) => self.through(via, host, port, timer).await,
            Way::Tunnel(tunnel) => tunnel
                .connect(host, timer)
                .await
                .map_err(EgressError::Tunnel),
        }
    }

    async fn through(
        &self,
        via: &Via,
        host: &str,
        port: u16,
        timer: &impl Timer,
    ) -> Result<Stream, EgressError> {
        handshake::through(via, host, port, &self.0.settings, timer)
            .await
            .map_err(|failure| EgressError::Proxy {
                proxy: via.url.clone(),
                target: address(host, port),
                has_user: via.user.is_some(),
                failure,
            })
    }

    /// The state of the environment's tunnel, in a word or two; `None` if it has none.
    pub fn tunnel_state(&self, local: &EnvName) -> Option<String> {
        self.0.tunnels.get(local).map(|tunnel| tunnel.state())
    }
}

/// Splits `host:port`, which the configuration has checked.
fn split(address: &str) -> (&str, u16) {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    (bare.unwrap_or(host), port.parse().unwrap_or(HTTPS))
}

/// `host:port`, with an IPv6 address in brackets.
fn address(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

type ByEnvironment<T> = HashMap<EnvName, Arc<T>>;

/// Web servers listen there.
const HTTPS: u16 = 443;
