//! The URLs by which an environment is reached on this machine.

use crate::config::{Address, Config};
use crate::gateway::Front;
use crate::names::{EnvName, Environment};

/// The listeners, each as a URL: `http://IP:port`, `https://IP:port` or `unix:/path`.
#[derive(Debug, Clone)]
pub(super) struct Listeners {
    main: Option<String>,
    own: Vec<(EnvName, String)>,
}

impl Listeners {
    /// Those that the configuration asks for.
    pub(super) fn configured(config: &Config) -> Self {
        let url = |address: &Address| match address {
            Address::Tcp(address) if config.listener.tls.is_some() => {
                format!("https://{address}")
            }
            Address::Tcp(address) => format!("http://{address}"),
            Address::Unix(path) => format!("unix:{}", path.display()),
        };
        let own = config.environments.iter().filter_map(|entry| {
            Some((entry.environment.local.clone(), url(entry.listen.as_ref()?)))
        });
        Self {
            main: Some(url(&config.listener.address)),
            own: own.collect(),
        }
    }

    /// Those that are open.
    pub(super) fn open(front: &Front) -> Self {
        Self {
            main: front.listeners.first().map(|main| main.url.clone()),
            own: front
                .listeners
                .iter()
                .filter(|own| own.entrance.is_own())
                .filter_map(|own| Some((own.entrance.environment.clone()?, own.url.clone())))
                .collect(),
        }
    }

    /// The shared listener for a browser or a tool on this machine.
    pub(super) fn shared(&self) -> Option<String> {
        self.main
            .as_deref()
            .map(|main| here(main, Some("localhost")))
    }

    /// An environment's URLs, without a final `/`, the best one for a browser first: its own
    /// listener, `localhost` if it serves what names no environment, `NAME.localhost`; Unix
    /// sockets last.
    pub(super) fn of(&self, environment: &Environment, is_default: bool) -> Vec<String> {
        let local = &environment.local;
        let mut urls = Vec::new();
        if let Some((_, own)) = self.own.iter().find(|(name, _)| name == local) {
            urls.push(here(own, None));
        }
        if let Some(main) = &self.main {
            if is_default {
                urls.push(here(main, Some("localhost")));
            }
            urls.push(here(main, Some(&format!("{local}.localhost"))));
        }
        urls.dedup();
        urls.sort_by_key(|url| url.starts_with("unix:"));
        urls
    }
}

/// The listener's URL with a name that leads there from this machine: `name` where the address
/// is what `localhost` means, the address itself elsewhere.
fn here(url: &str, name: Option<&str>) -> String {
    let Some((scheme, address)) = url.split_once("://") else {
        return url.to_owned();
    };
    let Ok(address) = address.parse::<std::net::SocketAddr>() else {
        return url.to_owned();
    };
    let (ip, port) = (address.ip(), address.port());
    let port = match (scheme, port) {
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
        let listeners = Listeners {
            main: Some(main.to_owned()),
            own: own.into_iter().collect(),
        };
        listeners.of(&environment, is_default)
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
    fn sockets_come_last_and_once() {
        assert_eq!(urls("unix:/run/g", None, true), ["unix:/run/g"]);
        assert_eq!(
            urls("unix:/run/g", Some("http://[::]:8081"), true),
            ["http://localhost:8081", "unix:/run/g"]
        );
    }

    #[test]
    fn an_address_elsewhere_stands_for_itself() {
        assert_eq!(
            urls("http://192.0.2.1:80", None, true),
            ["http://192.0.2.1:80"]
        );
    }
}
