//! Tells when a URL's name is not found on this machine, and what to do about it.

use crate::config::{Address, Config};
use crate::runtime::resolver;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// Names that the resolver is being asked for.
#[derive(Debug)]
pub(super) struct Asked(Vec<(String, Receiver<bool>)>);

impl Asked {
    /// Asks for names, each below `localhost`, in the background.
    pub(super) fn ask<'a>(locals: impl IntoIterator<Item = &'a str>) -> Self {
        let names = locals.into_iter().map(|local| format!("{local}.localhost"));
        Self(
            names
                .map(|name| (name.clone(), resolver::ask(name)))
                .collect(),
        )
    }

    /// Asks for the name in a URL, if it is below `localhost`.
    pub(super) fn of_url(url: &str) -> Self {
        let uri = url.parse::<http::Uri>().unwrap_or_default();
        Self::ask(uri.host().and_then(|host| host.strip_suffix(".localhost")))
    }

    /// What to tell, if within the limit the resolver says that it does not know them. Of
    /// environments that stand in a configuration it tells the other way too.
    pub(super) fn advice(
        self,
        config: &Config,
        limit: Duration,
        configured: bool,
    ) -> Option<String> {
        let unknown: Vec<_> = self
            .0
            .into_iter()
            .filter(|(_, told)| told.recv_timeout(limit) == Ok(false))
            .map(|(name, _)| name)
            .collect();
        let first = unknown.first()?;
        let line = format!("{} {}", loopback(config), unknown.join(" "));
        let local = first.strip_suffix(".localhost").unwrap_or(first);
        let or = if configured {
            format!(", or give it a listener of its own, environments.{local}.listen")
        } else {
            String::new()
        };
        Some(format!(
            "note: this machine does not resolve {first}. Chrome, Firefox and curl find it by \
             themselves; for Safari and other programs add this line to /etc/hosts{or}:\n  {line}"
        ))
    }
}

/// The loopback address that the shared listener is reached at.
fn loopback(config: &Config) -> IpAddr {
    match &config.listener.address {
        Address::Tcp(address) if address.ip() == Ipv6Addr::LOCALHOST => address.ip(),
        Address::Tcp(_) | Address::Unix(_) => Ipv4Addr::LOCALHOST.into(),
    }
}

/// How long a command waits for the resolver. One that asks the network in vain is told nothing.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, Search, load};
    use std::sync::mpsc::channel;

    fn asked(answers: &[(&str, Option<bool>)]) -> Asked {
        let asked = answers.iter().map(|(name, answer)| {
            let (tell, told) = channel();
            answer.map(|answer| tell.send(answer).unwrap());
            ((*name).to_owned(), told)
        });
        Asked(asked.collect())
    }

    #[test]
    fn only_names_known_to_be_unknown_are_told() {
        let nowhere = Search {
            folder: "/nonexistent".into(),
            user: Vec::new(),
            system: "/nonexistent".into(),
        };
        let mut config = load(None, &Overrides::default(), &nowhere).unwrap();
        let silent = [("a.localhost", Some(true)), ("b.localhost", None)];
        assert_eq!(asked(&silent).advice(&config, PATIENCE, true), None);

        let two = [("a.localhost", Some(false)), ("b.localhost", Some(false))];
        let advice = asked(&two).advice(&config, PATIENCE, false).unwrap();
        assert!(
            advice.ends_with(":\n  127.0.0.1 a.localhost b.localhost"),
            "{advice}"
        );
        assert!(!advice.contains("listen"), "{advice}");

        config.listener.address = "[::1]:8080".parse().unwrap();
        let advice = asked(&two[..1]).advice(&config, PATIENCE, true).unwrap();
        assert!(
            advice.contains("environments.a.listen:\n  ::1 a.localhost"),
            "{advice}"
        );
    }

    #[test]
    fn addresses_and_bare_localhost_are_not_asked_for() {
        for url in [
            "http://localhost:8080/-/",
            "http://127.0.0.1:8081/",
            "unix:/run/g",
        ] {
            assert!(Asked::of_url(url).0.is_empty(), "{url}");
        }
        assert_eq!(
            Asked::of_url("http://prod.localhost:8080/home").0[0].0,
            "prod.localhost"
        );
    }
}
