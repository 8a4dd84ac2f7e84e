//! The names and addresses that a certificate is for.

use mwaa_config::{Address, Config};
use mwaa_model::{split_port, strip_brackets};
use rcgen::string::Ia5String;
use rcgen::{CidrSubnet, GeneralSubtree, SanType};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The names and addresses by which clients may call the gateway.
#[derive(Debug, Clone)]
pub(super) struct Names {
    /// The names below `localhost`.
    local: Vec<String>,
    /// Names of the configuration, and those with the prefixes of AWS SDKs.
    hosts: Vec<String>,
    addresses: Vec<IpAddr>,
}

impl Names {
    /// Returns the names of a configuration: `localhost`, its environments and those that were
    /// discovered, its listeners and `listener.hosts`.
    pub(super) fn new(config: &Config, discovered: &[String]) -> Self {
        let mut names = Self {
            local: vec!["localhost".to_owned()],
            hosts: Vec::new(),
            addresses: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        };
        // One by one: for `*.localhost`, OpenSSL matches no name, and rustls rejects the whole
        // certificate.
        let configured = config.environments.iter();
        let configured = configured.map(|entry| entry.environment.local.as_str());
        let prefixes = SDK_PREFIXES.map(|prefix| prefix.trim_end_matches('.'));
        let found = discovered.iter().map(String::as_str);
        for label in configured.chain(found).chain(prefixes) {
            add(&mut names.local, format!("{label}.localhost"));
        }

        // an address of all interfaces is no name that clients use
        for address in listen_addresses(config).filter(|ip| !ip.is_unspecified()) {
            add(&mut names.addresses, address);
        }
        for host in &config.listener.hosts {
            let (host, _port) = split_port(host);
            let host = strip_brackets(host).trim_end_matches('.');
            match host.parse() {
                Ok(address) => add(&mut names.addresses, address),
                Err(_) if is_local(host) => add(&mut names.local, host.to_owned()),
                Err(_) => {
                    let mut forms = vec![host.to_owned()];
                    forms.extend(SDK_PREFIXES.map(|prefix| format!("{prefix}{host}")));
                    // longer than any name, with a prefix (RFC 1035 section 2.3.4)
                    forms.retain(|form| form.len() <= 253);
                    for form in forms {
                        add(&mut names.hosts, form);
                    }
                }
            }
        }
        names
    }

    /// Adds names below `localhost`.
    pub(super) fn add_local(&mut self, names: Vec<String>) {
        for name in names {
            add(&mut self.local, name);
        }
    }

    /// Returns the names as text, for people.
    pub(super) fn texts(&self) -> impl Iterator<Item = String> {
        let names = self.local.iter().chain(&self.hosts).cloned();
        names.chain(self.addresses.iter().map(ToString::to_string))
    }

    /// Returns the names as a certificate has them. Fails if one is not ASCII.
    pub(super) fn alternative_names(&self) -> Result<Vec<SanType>, rcgen::Error> {
        let names = self.local.iter().chain(&self.hosts);
        let names = names.map(|name| Ia5String::try_from(name.as_str()).map(SanType::DnsName));
        let addresses = self.addresses.iter().copied().map(SanType::IpAddress);
        names.chain(addresses.map(Ok)).collect()
    }

    /// Returns what a CA may sign for these names: everything on this machine, and the names and
    /// addresses of the configuration.
    pub(super) fn subtrees(&self) -> Vec<GeneralSubtree> {
        let local = CidrSubnet::from_v4_prefix([127, 0, 0, 0], 8);
        let mut subtrees = vec![
            GeneralSubtree::DnsName("localhost".to_owned()),
            GeneralSubtree::IpAddress(local),
        ];

        // a name permits those below it
        let is_below = |host: &str, other: &str| {
            host.strip_suffix(other)
                .is_some_and(|rest| rest.ends_with('.'))
        };
        let mut hosts = self.hosts.clone();
        hosts.retain(|host| !self.hosts.iter().any(|other| is_below(host, other)));
        subtrees.extend(hosts.into_iter().map(GeneralSubtree::DnsName));

        let others = self.addresses.iter().filter(|ip| match ip {
            IpAddr::V4(ip) => !ip.is_loopback(),
            IpAddr::V6(_) => true,
        });
        subtrees.extend(others.map(|ip| {
            let bits = if ip.is_ipv4() { 32 } else { 128 };
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*ip, bits))
        }));
        subtrees
    }
}

fn listen_addresses(config: &Config) -> impl Iterator<Item = IpAddr> {
    let own = config.environments.iter();
    let own = own.filter_map(|entry| entry.listen.as_ref());
    let further = config.listeners.iter().map(|listener| &listener.address);
    let all = std::iter::once(&config.listener.address)
        .chain(own)
        .chain(further);
    all.filter_map(|address| match address {
        Address::Tcp(address) => Some(address.ip()),
        Address::Unix(_) => None,
    })
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost")
}

fn add<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// The prefixes that AWS SDKs put before the host of an endpoint.
const SDK_PREFIXES: [&str; 2] = ["env.", "api."];
