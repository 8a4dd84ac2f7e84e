//! The URLs by which an environment is reached on this machine.

use mwaa_config::{Address, Config, Transport};
use mwaa_model::{EnvName, Environment};
use mwaa_proxy::ListenerUrls;
use std::net::SocketAddr;

/// Returns the URL of the main listener on this machine, by the configuration.
pub fn main_url(config: &Config) -> Option<String> {
    LocalUrls::from_config(config).main_url()
}

/// The listeners, each as a URL: `http://IP:port`, `https://IP:port` or `unix:/path`.
#[derive(Debug, Clone)]
pub(super) struct LocalUrls {
    main: Option<String>,
    own: Vec<(EnvName, String)>,
}

impl LocalUrls {
    /// Creates the URLs of the configured listeners.
    pub(super) fn from_config(config: &Config) -> Self {
        let url = |address: &Address| match address {
            Address::Unix(path) => format!("unix:{}", path.display()),
            Address::Tcp(tcp) => match config.transport(address, None) {
                Transport::Tls => format!("https://{tcp}"),
                Transport::Plain | Transport::Both => format!("http://{tcp}"),
            },
        };
        let own = config.environments.iter().filter_map(|entry| {
            Some((entry.environment.local.clone(), url(entry.listen.as_ref()?)))
        });
        Self {
            main: Some(url(&config.listener.address)),
            own: own.collect(),
        }
    }

    /// Creates the URLs of the open listeners.
    pub(super) fn from_listeners(listeners: &ListenerUrls) -> Self {
        let listeners = &listeners.listeners;
        let own = listeners.iter().filter(|own| own.policy.is_own());
        Self {
            main: listeners.first().map(|main| main.url.clone()),
            own: own
                .filter_map(|own| Some((own.policy.environment.clone()?, own.url.clone())))
                .collect(),
        }
    }

    /// Returns the main listener's URL for a browser or a tool on this machine.
    pub(super) fn main_url(&self) -> Option<String> {
        let main = self.main.as_deref()?;
        Some(with_host(main, Some("localhost")))
    }

    /// Returns an environment's URLs, without a final `/`, the best one for a browser first: its
    /// own listener, `localhost` if it serves requests that name no environment, `NAME.localhost`;
    /// Unix sockets last.
    pub(super) fn environment_urls(
        &self,
        environment: &Environment,
        is_default: bool,
    ) -> Vec<String> {
        let local = &environment.local;
        let mut urls = Vec::new();

        // its own listener serves it by any name, and is the only URL that a tool without
        // `*.localhost` (RFC 6761) can always use
        if let Some((_, own)) = self.own.iter().find(|(name, _)| name == local) {
            urls.push(with_host(own, None));
        }
        if let Some(main) = &self.main {
            if is_default {
                urls.push(with_host(main, Some("localhost")));
            }
            urls.push(with_host(main, Some(&format!("{local}.localhost"))));
        }

        // a Unix socket's path is the same under each name
        urls.dedup();
        urls.sort_by_key(|url| url.starts_with("unix:"));
        urls
    }
}

/// Returns the listener's URL with the host `name` if its address is one of those that `localhost`
/// means; else the URL as it is. A wildcard address becomes `localhost` even without a name.
fn with_host(url: &str, name: Option<&str>) -> String {
    let Some((scheme, address)) = url.split_once("://") else {
        return url.to_owned();
    };
    let Ok(address) = address.parse::<SocketAddr>() else {
        return url.to_owned();
    };

    // a default port is not part of an origin, and browsers leave it out (RFC 6454 section 4)
    let ip = address.ip();
    let port = match (scheme, address.port()) {
        ("http", 80) | ("https", 443) => String::new(),
        (_, port) => format!(":{port}"),
    };
    if ip.is_unspecified() || (ip.is_loopback() && name.is_some()) {
        format!("{scheme}://{}{port}", name.unwrap_or("localhost"))
    } else {
        url.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(main: &str, own: Option<&str>, is_default: bool) -> Vec<String> {
        let environment = Environment::new(EnvName::new("prod").unwrap(), "prod");
        let own = own.map(|url| (environment.local.clone(), url.to_owned()));
        let local_urls = LocalUrls {
            main: Some(main.to_owned()),
            own: own.into_iter().collect(),
        };
        local_urls.environment_urls(&environment, is_default)
    }

    #[test]
    fn the_best_url_for_a_browser_comes_first() {
        let main = "http://127.0.0.1:8080";
        assert_eq!(urls(main, None, false), ["http://prod.localhost:8080"]);
        assert_eq!(
            urls(main, None, true),
            ["http://localhost:8080", "http://prod.localhost:8080"]
        );
        assert_eq!(
            urls("https://0.0.0.0:443", Some("https://127.0.0.1:8081"), true),
            [
                "https://127.0.0.1:8081",
                "https://localhost",
                "https://prod.localhost"
            ]
        );
    }

    #[test]
    fn a_unix_socket_is_listed_last_and_once() {
        assert_eq!(urls("unix:/run/g", None, true), ["unix:/run/g"]);
        assert_eq!(
            urls("unix:/run/g", Some("http://[::]:8081"), true),
            ["http://localhost:8081", "unix:/run/g"]
        );
    }

    #[test]
    fn an_address_that_is_not_loopback_is_kept() {
        assert_eq!(
            urls("http://192.0.2.1:80", None, true),
            ["http://192.0.2.1:80"]
        );
    }
}
