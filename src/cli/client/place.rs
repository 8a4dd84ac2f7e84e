//! Where a gateway of this configuration listens, and how it is known to be ours.

use super::pin;
use crate::config::{Address, Config};
use crate::names::Secret;
use rustls::ClientConfig;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

/// A listener to try.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) address: Address,
    /// The TLS settings, which take the configuration's own certificate and no other.
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// What clients must send; told to nobody but a gateway.
    pub(super) secret: Option<Arc<Secret<String>>>,
}

/// A file that the client needs can't be used.
#[derive(Debug)]
pub(super) struct Unusable {
    file: PathBuf,
    why: String,
}

impl Unusable {
    pub(super) fn new(file: PathBuf, why: String) -> Self {
        Self { file, why }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use {}: {}", self.file.display(), self.why)
    }
}

impl std::error::Error for Unusable {}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl Place {
    /// The listener, and those of single environments that are asked for: the same process has
    /// them, but one may be reachable where the other is not.
    pub(super) fn configured(config: &Config) -> Result<Vec<Self>, Unusable> {
        let listener = &config.listener;
        let own = match config.environments.as_slice() {
            [only] => only.listen.clone(),
            _ => None,
        };
        let addresses = [Some(listener.address.clone()), own];
        let addresses: Vec<_> = addresses.into_iter().flatten().filter_map(near).collect();
        if addresses.is_empty() {
            return Ok(Vec::new());
        }
        let secret = match &listener.secret_file {
            None => None,
            Some(file) => Some(secret(file)?),
        };
        let tls = match &listener.tls {
            None => None,
            Some(files) => Some(pin::settings(&files.certificate)?),
        };
        let places = addresses.into_iter().map(|address| Self {
            tls: tls.clone().filter(|_| matches!(address, Address::Tcp(_))),
            secret: secret.clone(),
            address,
        });
        Ok(places.collect())
    }

    /// The socket of a gateway of our own.
    pub(super) fn private(socket: PathBuf) -> Self {
        Self {
            address: Address::Unix(socket),
            tls: None,
            secret: None,
        }
    }

    /// The Host that names the environment, or none in particular.
    pub(super) fn host(&self, label: Option<&str>) -> String {
        let name = label.map_or_else(
            || "localhost".to_owned(),
            |label| format!("{label}.localhost"),
        );
        match &self.address {
            Address::Tcp(address) => format!("{name}:{}", address.port()),
            Address::Unix(_) => name,
        }
    }
}

/// The address as this machine reaches it; a port that the kernel chooses is known to nobody.
fn near(address: Address) -> Option<Address> {
    let Address::Tcp(address) = address else {
        return Some(address);
    };
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    (address.port() != 0).then(|| Address::Tcp(SocketAddr::new(ip, address.port())))
}

fn secret(file: &std::path::Path) -> Result<Arc<Secret<String>>, Unusable> {
    let content = std::fs::read_to_string(file)
        .map_err(|error| Unusable::new(file.to_owned(), error.to_string()))?;
    let content = Secret::new(content);
    Ok(Arc::new(Secret::concat(&[content.reveal().trim()])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_address_is_reached_by_loopback() {
        let near = |text: &str| near(text.parse().unwrap()).map(|near| near.to_string());
        assert_eq!(near("0.0.0.0:8443").as_deref(), Some("127.0.0.1:8443"));
        assert_eq!(near("[::]:8443").as_deref(), Some("[::1]:8443"));
        assert_eq!(near("192.0.2.1:80").as_deref(), Some("192.0.2.1:80"));
        assert_eq!(near("127.0.0.1:0"), None);
        assert_eq!(near("unix:/run/g").as_deref(), Some("unix:/run/g"));
    }

    #[test]
    fn the_host_names_the_environment() {
        let place = |text: &str| Place {
            address: text.parse().unwrap(),
            tls: None,
            secret: None,
        };
        let tcp = place("127.0.0.1:8080");
        assert_eq!(tcp.host(Some("prod")), "prod.localhost:8080");
        assert_eq!(tcp.host(None), "localhost:8080");
        assert_eq!(place("unix:/run/g").host(Some("prod")), "prod.localhost");
    }
}
