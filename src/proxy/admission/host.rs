//! The Host of a request, checked against the names of this gateway: the defence against DNS
//! rebinding. A browser does not know that a name resolves to loopback by now; only the Host header
//! shows which name it called.

use super::AdmissionError;
use http::Uri;
use http::uri::{Authority, Scheme};
use mwaa_http1::name::HOST;
use mwaa_http1::{Headers, to_str};
use mwaa_model::{EnvName, PeerAddress, split_port};
use std::borrow::Cow;
use std::net::{Ipv6Addr, SocketAddr};

/// The names by which clients may call this gateway.
#[derive(Debug, Clone, Default)]
pub struct HostFilter {
    /// Addresses that it listens on.
    addresses: Vec<ListenAddress>,
    /// More names, `name` or `name:port`, in lower case.
    extra: Vec<String>,
    /// Plain names with their ports, as nearly every client spells them: a shortcut.
    usual: Vec<String>,
}

/// An address that the gateway listens on, as a Host header spells it.
#[derive(Debug, Clone)]
struct ListenAddress {
    /// The IP address without brackets; `None` for 0.0.0.0 and ::, which are no names.
    ip: Option<String>,
    port: u16,
}

/// The name by which a client called the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostName {
    /// A plain name or address.
    Plain,
    /// `LABEL.localhost`, which names an environment.
    Environment(EnvName),
}

impl HostFilter {
    /// Creates a filter for the listening addresses and the configured names.
    pub fn new(addresses: &[SocketAddr], extra: &[String]) -> Self {
        let usual = addresses.iter().flat_map(|address| {
            let own = (!address.ip().is_unspecified()).then(|| address.to_string());
            own.into_iter()
                .chain([format!("localhost:{}", address.port())])
        });
        Self {
            usual: usual.collect(),
            addresses: addresses
                .iter()
                .map(|address| ListenAddress {
                    ip: (!address.ip().is_unspecified()).then(|| address.ip().to_string()),
                    port: address.port(),
                })
                .collect(),
            extra: extra.iter().map(|host| host.to_ascii_lowercase()).collect(),
        }
    }

    /// Returns the name by which the client called. Fails unless there is exactly one Host, equal
    /// to the authority of an absolute target (RFC 9112 section 3.2), and one of the names. It is
    /// compared as parsed name and port, never by prefix or suffix.
    ///
    /// `secure` decides the port of a Host without one (RFC 9110 section 4.2).
    pub fn check(
        &self,
        headers: &Headers,
        target: &Uri,
        peer: PeerAddress,
        secure: bool,
    ) -> Result<HostName, AdmissionError> {
        let only = headers.get_only(HOST);
        if let (Some(host), None) = (only, target.authority())
            && self.usual.iter().any(|usual| host == usual.as_bytes())
        {
            return Ok(HostName::Plain);
        }

        let host = read_host(headers)?;
        if let Some(authority) = target.authority() {
            check_authority(authority, &host)?;
            let scheme = if secure { Scheme::HTTPS } else { Scheme::HTTP };
            if target.scheme() != Some(&scheme) {
                return Err(AdmissionError::Malformed(
                    "the scheme of the target is not the one of this connection",
                ));
            }
        }
        match self.find_name(&host, peer, secure) {
            Some(name) => Ok(name),
            None => Err(AdmissionError::ForeignHost {
                host: host.into_owned(),
            }),
        }
    }

    /// Returns a host that the client called, without the prefix of an SDK. A configured name that
    /// begins so keeps its beginning.
    pub(crate) fn without_prefix<'a>(&self, host: &'a str) -> &'a str {
        let (name, _) = split_host(host);
        if self.extra.iter().any(|extra| split_host(extra).0 == name) {
            return host;
        }
        strip_sdk_prefix(host).unwrap_or(host)
    }

    fn find_name(&self, host: &str, peer: PeerAddress, secure: bool) -> Option<HostName> {
        let (name, port) = split_host(host);
        let port = port.unwrap_or(if secure { HTTPS_PORT } else { HTTP_PORT });
        if let Some(label) = name.strip_suffix(".localhost")
            && self.is_our_port(port, peer)
        {
            // `env.` and `api.` are the prefixes that AWS SDKs put before an endpoint
            return Some(match EnvName::new(label)? {
                label if matches!(label.as_str(), "env" | "api") => HostName::Plain,
                label => HostName::Environment(label),
            });
        }

        let is_plain = match peer {
            // on a Unix socket the Host protects nothing, and clients send any value
            PeerAddress::Unix => true,
            PeerAddress::Tcp(_) => {
                let mut addresses = self.addresses.iter();
                let mut extra = self.extra.iter();
                let prefixed = strip_sdk_prefix(name);
                (name == "localhost" && self.is_our_port(port, peer))
                    || addresses.any(|address| address.matches(name, port))
                    || extra.any(|extra| {
                        self.is_extra(extra, name, port, peer)
                            || prefixed
                                .is_some_and(|name| self.is_extra(extra, name, port, peer))
                    })
            }
        };
        is_plain.then_some(HostName::Plain)
    }

    /// Returns true for a port that this gateway listens on. A Unix socket has none, so that every
    /// port is ours there.
    fn is_our_port(&self, port: u16, peer: PeerAddress) -> bool {
        peer == PeerAddress::Unix || self.addresses.iter().any(|address| address.port == port)
    }

    fn is_extra(&self, extra: &str, name: &str, port: u16, peer: PeerAddress) -> bool {
        match split_host(extra) {
            (extra, Some(extra_port)) => extra == name && extra_port == port,
            (extra, None) => extra == name && self.is_our_port(port, peer),
        }
    }
}

impl ListenAddress {
    fn matches(&self, name: &str, port: u16) -> bool {
        let inner = name
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        port == self.port && self.ip.as_deref() == Some(inner.unwrap_or(name))
    }
}

/// Returns the Host, in lower case. Fails unless there is one, and it is a host and port.
fn read_host(headers: &Headers) -> Result<Cow<'_, str>, AdmissionError> {
    let mut hosts = headers.get_all(HOST);
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host,
        (None, _) => return Err(AdmissionError::Malformed("there is no Host header")),
        (Some(_), Some(_)) => {
            return Err(AdmissionError::Malformed("there are two Host headers"));
        }
    };

    let host = to_str(host).filter(|host| is_host(host));
    let host = host.ok_or(AdmissionError::Malformed(
        "the Host header is not a valid host and port",
    ))?;
    // nearly every client writes it in lower case, and then nothing is copied
    Ok(if host.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    })
}

/// Fails unless the authority of an absolute target is the Host.
fn check_authority(authority: &Authority, host: &str) -> Result<(), AdmissionError> {
    let authority = authority.as_str();
    // it may contain a password, which no response and no log line repeats (RFC 9110 section
    // 4.2.4)
    if authority.contains('@') {
        return Err(AdmissionError::Malformed(
            "the target contains a user name or password",
        ));
    }
    if !authority.eq_ignore_ascii_case(host) {
        return Err(AdmissionError::ForeignHost {
            host: authority.to_owned(),
        });
    }
    Ok(())
}

/// Returns true for `uri-host [ ":" port ]` (RFC 9110 section 7.2): no user info, list, path or
/// empty port.
fn is_host(host: &str) -> bool {
    let (name, port) = split_port(host);
    let is_port = port.is_none_or(|port| {
        (1..=5).contains(&port.len())
            && port.bytes().all(|b| b.is_ascii_digit())
            && port.parse::<u16>().is_ok()
    });

    // brackets are for IPv6 addresses only (RFC 3986 section 3.2.2)
    let address = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
    let is_name = match address {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            (1..=MAX_NAME).contains(&name.len())
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        }
    };
    is_name && is_port
}

/// Returns a name without the prefix that AWS SDKs put before an endpoint's host; `None` if it has
/// none.
fn strip_sdk_prefix(name: &str) -> Option<&str> {
    name.strip_prefix("env.")
        .or_else(|| name.strip_prefix("api."))
}

/// Returns the name and the port of a Host.
pub(crate) fn split_host(host: &str) -> (&str, Option<u16>) {
    let (name, port) = split_port(host);
    (name, port.and_then(|port| port.parse().ok()))
}

/// The port of a Host without one over plain HTTP.
const HTTP_PORT: u16 = 80;
/// The same over TLS.
const HTTPS_PORT: u16 = 443;
/// The longest name as text (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 253;

#[cfg(test)]
mod tests {
    use super::super::read_head;
    use super::*;
    use proptest::prelude::*;

    fn check(target: &str, hosts: &[&str]) -> Result<HostName, AdmissionError> {
        let rules = HostFilter::new(
            &[
                "127.0.0.1:8080".parse().unwrap(),
                "[::1]:8080".parse().unwrap(),
            ],
            &["Airflow.corp.example:443".to_owned(), "box".to_owned()],
        );
        let hosts: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        let head = read_head("GET", target, &hosts);
        rules.check(
            &head.headers,
            &head.target,
            PeerAddress::Tcp(([127, 0, 0, 1], 40_000).into()),
            false,
        )
    }

    #[test]
    fn a_host_without_a_port_means_the_default_port_of_the_scheme() {
        let rules = |port| {
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            HostFilter::new(&[address], &["a.example:443".to_owned(), "box".to_owned()])
        };
        let passes = |port, host: &str, secure| {
            let head = read_head("GET", "/", &[("host", host)]);
            rules(port)
                .check(
                    &head.headers,
                    &head.target,
                    PeerAddress::Tcp(([127, 0, 0, 1], 40_000).into()),
                    secure,
                )
                .is_ok()
        };
        for host in ["localhost", "prod.localhost", "127.0.0.1", "box"] {
            assert!(passes(443, host, true), "{host}");
            assert!(!passes(443, host, false), "{host}");
            assert!(passes(80, host, false), "{host}");
            assert!(!passes(80, host, true), "{host}");
        }
        // a port that is forwarded to ours
        assert!(passes(8443, "a.example", true));
        assert!(!passes(8443, "a.example", false));
    }

    #[test]
    fn our_names_are_accepted() {
        for host in [
            "127.0.0.1:8080",
            "localhost:8080",
            "LOCALHOST:8080",
            "[::1]:8080",
            "airflow.corp.example:443",
            "box:8080",
            "env.localhost:8080",
            "api.airflow.corp.example:443",
            "env.box:8080",
        ] {
            assert_eq!(check("/", &[host]), Ok(HostName::Plain), "{host}");
        }
        let prod = HostName::Environment(EnvName::new("prod").unwrap());
        assert_eq!(check("/", &["prod.localhost:8080"]), Ok(prod));
        assert_eq!(
            check("http://localhost:8080/x", &["localhost:8080"]),
            Ok(HostName::Plain)
        );
    }

    #[test]
    fn foreign_names_are_refused() {
        for host in [
            "evil.example:8080",
            "localhost:9999",
            "localhost",
            "localhost.evil.com:8080",
            "evil.localhost.com:8080",
            "0.0.0.0:8080",
            "127.1:8080",
            "2130706433:8080",
            "127.0.0.1.:8080",
            "localhost.:8080",
            "a.b.localhost:8080",
            "box:1",
        ] {
            assert!(
                matches!(check("/", &[host]), Err(AdmissionError::ForeignHost { .. })),
                "{host}"
            );
        }
        assert!(matches!(
            check("http://169.254.169.254/latest", &["localhost:8080"]),
            Err(AdmissionError::ForeignHost { .. })
        ));
    }

    #[test]
    fn ambiguous_hosts_are_malformed() {
        for hosts in [
            &[][..],
            &["localhost:8080", "localhost:8080"],
            &["localhost, evil"],
            &[""],
            &["a@localhost:8080"],
            &["localhost:"],
            &["localhost:8080/"],
            &["[::1"],
        ] {
            assert!(
                matches!(check("/", hosts), Err(AdmissionError::Malformed(_))),
                "{hosts:?}"
            );
        }
    }

    #[test]
    fn hosts_with_and_without_a_port() {
        for (host, parts) in [
            ("localhost", ("localhost", None)),
            ("localhost:8080", ("localhost", Some(8080))),
            ("[::1]", ("[::1]", None)),
            ("[::1]:80", ("[::1]", Some(80))),
        ] {
            assert!(is_host(host), "{host}");
            assert_eq!(split_host(host), parts);
        }
        for host in [
            "", ":80", "a:", "a:99999", "a:+1", "a b", "a@b", "a/b", "[::1", "[x]", "a,b",
            "::1",
        ] {
            assert!(!is_host(host), "{host}");
        }
    }

    /// Parts of which a Host is made, and of which it must not be made.
    const PIECES: &str = "[a-z0-9]{1,3}|localhost|LocalHost|127[.]0[.]0[.]1|box|:|:8080|:80|8080|[.]\
        |-|_|@|,|/| |\\[::1\\]|\\[|\\]|%[0-9]{2}|evil[.]example|[.]localhost|prod[.]localhost|\\PC";

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        /// Never panics; what passes is one of our names, spelled out, and nothing else.
        #[test]
        fn an_accepted_host_is_one_of_our_names(pieces in proptest::collection::vec(PIECES, 0..5)) {
            let text = pieces.concat();
            if text.contains(char::is_control) { return Ok(()) }
            let head = read_head("GET", "/", &[("host", &text)]);
            let rules = HostFilter::new(
                &["127.0.0.1:8080".parse().unwrap(), "[::1]:8080".parse().unwrap()],
                &["box".to_owned()],
            );
            let Ok(name) = rules.check(&head.headers, &head.target, PeerAddress::Tcp(([127, 0, 0, 1], 40_000).into()), false) else {
                return Ok(());
            };
            let lower = text.trim().to_ascii_lowercase();
            let plain = ["127.0.0.1:8080", "[::1]:8080", "localhost:8080", "box:8080", "box"];
            match name {
                HostName::Plain => prop_assert!(
                    plain.contains(&lower.as_str())
                        || ["env.localhost:8080", "api.localhost:8080"].contains(&lower.as_str()),
                    "{}", text
                ),
                HostName::Environment(label) => {
                    prop_assert_eq!(lower, format!("{label}.localhost:8080"));
                }
            }
        }
    }
}
