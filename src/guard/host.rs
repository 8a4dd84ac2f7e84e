//! Host and authority against the names that we answer to: the defence against DNS rebinding.
//! A browser cannot know that a name moved to loopback; only the Host header tells.

use super::GuardError;
use super::authority::{is_host, split_port};
use crate::names::{EnvName, Peer};
use http::header::HOST;
use http::request::Parts;
use std::borrow::Cow;
use std::net::SocketAddr;

/// The names that clients may call us by.
#[derive(Debug, Clone, Default)]
pub struct HostRules {
    /// Addresses that we listen on.
    addresses: Vec<Listening>,
    /// More names, `name` or `name:port`, in lower case.
    extra: Vec<String>,
}

/// An address that we listen on, as a Host header spells it.
#[derive(Debug, Clone)]
struct Listening {
    /// The IP address without brackets; none for 0.0.0.0 and ::, which name nobody.
    ip: Option<String>,
    port: u16,
}

/// How the client called us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// By a plain name or address.
    Plain,
    /// By `LABEL.localhost`: which environment is meant.
    Environment(EnvName),
}

impl HostRules {
    /// Takes the listening addresses and the configured names.
    pub fn new(addresses: Vec<SocketAddr>, extra: &[String]) -> Self {
        let addresses = addresses.into_iter().map(|address| Listening {
            ip: (!address.ip().is_unspecified()).then(|| address.ip().to_string()),
            port: address.port(),
        });
        Self {
            addresses: addresses.collect(),
            extra: extra.iter().map(|host| host.to_ascii_lowercase()).collect(),
        }
    }

    /// RFC 9112 section 3.2: exactly one Host, equal to the authority of an absolute target,
    /// and on the list. Compared as parsed name and port, never by prefix or suffix.
    /// `secure` tells what a Host without a port means (RFC 9110 section 4.2).
    pub fn check(&self, head: &Parts, peer: Peer, secure: bool) -> Result<Named, GuardError> {
        let mut hosts = head.headers.get_all(HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host,
            (None, _) => return Err(GuardError::Malformed("there is no Host header")),
            (Some(_), Some(_)) => {
                return Err(GuardError::Malformed("there are two Host headers"));
            }
        };
        let host =
            host.to_str()
                .ok()
                .filter(|host| is_host(host))
                .ok_or(GuardError::Malformed(
                    "the Host header is not a host and port",
                ))?;
        let host = if host.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(host.to_ascii_lowercase())
        } else {
            Cow::Borrowed(host)
        };
        let authority = head.uri.authority();
        if authority.is_some_and(|authority| authority.as_str().contains('@')) {
            // it may hold a password, which no reply and no log line repeats (RFC 9110 4.2.4)
            return Err(GuardError::Malformed(
                "the target contains a user name or password",
            ));
        }
        if let Some(authority) = authority
            && !authority.as_str().eq_ignore_ascii_case(&host)
        {
            return Err(GuardError::ForeignHost {
                host: authority.as_str().to_owned(),
            });
        }
        self.named(&host, peer, secure)
            .ok_or_else(|| GuardError::ForeignHost {
                host: host.into_owned(),
            })
    }

    fn named(&self, host: &str, peer: Peer, secure: bool) -> Option<Named> {
        let (name, port) = split_port(host);
        let port = port.unwrap_or(if secure { HTTPS_PORT } else { HTTP_PORT });
        if let Some(label) = name.strip_suffix(".localhost")
            && self.is_our_port(port, peer)
        {
            // `env.` and `api.` are the prefixes that AWS SDKs put before an endpoint
            return Some(match EnvName::new(label)? {
                label if matches!(label.as_str(), "env" | "api") => Named::Plain,
                label => Named::Environment(label),
            });
        }
        let plain = match peer {
            // on a Unix socket the Host protects nothing; clients send what they like
            Peer::Unix => true,
            Peer::Tcp(_) => {
                (name == "localhost" && self.is_our_port(port, peer))
                    || self
                        .addresses
                        .iter()
                        .any(|address| address.is_called(name, port))
                    || self
                        .extra
                        .iter()
                        .any(|extra| self.is_extra(extra, name, port, peer))
            }
        };
        plain.then_some(Named::Plain)
    }

    fn is_our_port(&self, port: u16, peer: Peer) -> bool {
        peer == Peer::Unix || self.addresses.iter().any(|address| address.port == port)
    }

    fn is_extra(&self, extra: &str, name: &str, port: u16, peer: Peer) -> bool {
        match split_port(extra) {
            (extra, Some(theirs)) => extra == name && theirs == port,
            (extra, None) => extra == name && self.is_our_port(port, peer),
        }
    }
}

impl Listening {
    fn is_called(&self, name: &str, port: u16) -> bool {
        let bare = name
            .strip_prefix('[')
            .and_then(|n| n.strip_suffix(']'))
            .unwrap_or(name);
        port == self.port && self.ip.as_deref() == Some(bare)
    }
}

/// What a Host without a port means over plain HTTP.
const HTTP_PORT: u16 = 80;
/// What it means over TLS.
const HTTPS_PORT: u16 = 443;

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, Request};
    use proptest::prelude::*;

    fn verdict(target: &str, hosts: &[&str]) -> Result<Named, GuardError> {
        let rules = HostRules::new(
            vec![
                "127.0.0.1:8080".parse().unwrap(),
                "[::1]:8080".parse().unwrap(),
            ],
            &["Airflow.corp.example:443".to_owned(), "box".to_owned()],
        );
        let mut request = Request::builder().uri(target);
        for host in hosts {
            request = request.header("host", *host);
        }
        let head = request.body(()).unwrap().into_parts().0;
        rules.check(&head, Peer::Tcp(([127, 0, 0, 1], 40_000).into()), false)
    }

    #[test]
    fn a_host_without_a_port_means_the_scheme_s() {
        let rules = |port| {
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            HostRules::new(
                vec![address],
                &["a.example:443".to_owned(), "box".to_owned()],
            )
        };
        let passes = |port, host: &str, secure| {
            let head = Request::builder().header("host", host).body(()).unwrap();
            let head = head.into_parts().0;
            rules(port)
                .check(&head, Peer::Tcp(([127, 0, 0, 1], 40_000).into()), secure)
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
    fn our_names_pass() {
        for host in [
            "127.0.0.1:8080",
            "localhost:8080",
            "LOCALHOST:8080",
            "[::1]:8080",
            "airflow.corp.example:443",
            "box:8080",
            "env.localhost:8080",
        ] {
            assert_eq!(verdict("/", &[host]), Ok(Named::Plain), "{host}");
        }
        let prod = Named::Environment(EnvName::new("prod").unwrap());
        assert_eq!(verdict("/", &["prod.localhost:8080"]), Ok(prod));
        assert_eq!(
            verdict("http://localhost:8080/x", &["localhost:8080"]),
            Ok(Named::Plain)
        );
    }

    #[test]
    fn foreign_names_do_not() {
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
                matches!(verdict("/", &[host]), Err(GuardError::ForeignHost { .. })),
                "{host}"
            );
        }
        assert!(matches!(
            verdict("http://169.254.169.254/latest", &["localhost:8080"]),
            Err(GuardError::ForeignHost { .. })
        ));
    }

    #[test]
    fn unclear_names_are_malformed() {
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
                matches!(verdict("/", hosts), Err(GuardError::Malformed(_))),
                "{hosts:?}"
            );
        }
    }
    /// What a Host is made of, and what it must not be made of.
    const PIECES: &str = "[a-z0-9]{1,3}|localhost|LocalHost|127[.]0[.]0[.]1|box|:|:8080|:80|8080|[.]\
        |-|_|@|,|/| |\\[::1\\]|\\[|\\]|%[0-9]{2}|evil[.]example|[.]localhost|prod[.]localhost|\\PC";

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        /// Never panics; what passes is one of our names, spelled out, and nothing else.
        #[test]
        fn what_passes_is_one_of_our_names(pieces in proptest::collection::vec(PIECES, 0..5)) {
            let text = pieces.concat();
            let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) else { return Ok(()) };
            let mut head = Request::new(()).into_parts().0;
            head.headers.insert(HOST, value);
            let rules = HostRules::new(
                vec!["127.0.0.1:8080".parse().unwrap(), "[::1]:8080".parse().unwrap()],
                &["box".to_owned()],
            );
            let Ok(named) = rules.check(&head, Peer::Tcp(([127, 0, 0, 1], 40_000).into()), false) else {
                return Ok(());
            };
            let lower = text.trim().to_ascii_lowercase();
            let plain = ["127.0.0.1:8080", "[::1]:8080", "localhost:8080", "box:8080", "box"];
            match named {
                Named::Plain => prop_assert!(
                    plain.contains(&lower.as_str())
                        || ["env.localhost:8080", "api.localhost:8080"].contains(&lower.as_str()),
                    "{}", text
                ),
                Named::Environment(name) => {
                    prop_assert_eq!(lower, format!("{name}.localhost:8080"));
                }
            }
        }
    }
}
