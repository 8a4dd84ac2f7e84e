//! Which proxy leads to which host: what the configuration says, else the variables that curl
//! reads.

use super::Via;
use crate::names::{Proxy, ProxyChoice, ProxyUrl, ProxyUser, debug_only};
use hyper_util::client::proxy::matcher::Matcher;
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

/// What the environment variables say of proxies. Empty ones are not set.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// `https_proxy` or `HTTPS_PROXY`: the variable's name and its value.
    pub https_proxy: Option<(&'static str, String)>,
    /// `all_proxy` or `ALL_PROXY`, where there is no proxy for HTTPS.
    pub all_proxy: Option<(&'static str, String)>,
    /// `no_proxy` or `NO_PROXY`: hosts that are reached without a proxy.
    pub no_proxy: Option<String>,
}

// a proxy's URL may hold a password
debug_only!(Surroundings: no_proxy);

/// The proxies of all hosts.
#[derive(Debug)]
pub struct Proxies {
    /// Everybody's.
    usual: Option<Arc<Via>>,
    users: HashMap<Arc<Path>, ProxyUser>,
    except: Matcher,
}

impl Proxies {
    /// Takes what `[proxy]` says, else the variables. `users` is the content of every file that a
    /// proxy of the configuration names. The error is a variable that can't be used, and why: a
    /// proxy that is left out in silence would be bypassed.
    pub fn new(
        configured: Option<&ProxyChoice>,
        users: HashMap<Arc<Path>, ProxyUser>,
        surroundings: &Surroundings,
    ) -> Result<Self, (&'static str, &'static str)> {
        let usual = match configured {
            Some(choice) => via(choice, &users),
            None => from_variables(surroundings)?,
        };
        let except = exceptions(surroundings.no_proxy.as_deref().unwrap_or_default());
        Ok(Self {
            usual: usual.map(Arc::new),
            users,
            except: Matcher::builder().all(ANY_PROXY).no(except).build(),
        })
    }

    /// The proxy that an environment names for itself.
    pub(super) fn own(&self, choice: Option<&ProxyChoice>) -> Option<Arc<Via>> {
        via(choice?, &self.users).map(Arc::new)
    }

    /// The proxy that leads to `host`. One that an environment names is used for whatever host;
    /// everybody's is not used for loopback, nor for what `NO_PROXY` lists.
    pub(super) fn find(&self, host: &str, own: Option<&ProxyChoice>) -> Option<Arc<Via>> {
        if is_loopback(host) {
            return None;
        }
        match own {
            Some(_) => self.own(own),
            None => self.usual.clone().filter(|_| !self.is_excepted(host)),
        }
    }

    fn is_excepted(&self, host: &str) -> bool {
        let host = super::address(host, super::HTTPS);
        let uri = format!("https://{host}/").parse();
        uri.is_ok_and(|uri| self.except.intercept(&uri).is_none())
    }
}

/// `NO_PROXY` in the form that the library takes: curl splits it at spaces too, lets names end in
/// a dot, and takes `*` only where it stands alone.
fn exceptions(no_proxy: &str) -> String {
    if no_proxy == "*" {
        return no_proxy.to_owned();
    }
    let hosts = no_proxy.split(|c: char| c == ',' || c.is_whitespace());
    let hosts = hosts.map(|host| host.trim_end_matches('.'));
    let hosts: Vec<_> = hosts
        .filter(|&host| !host.is_empty() && host != "*")
        .collect();
    hosts.join(",")
}

fn via(choice: &ProxyChoice, users: &HashMap<Arc<Path>, ProxyUser>) -> Option<Via> {
    match choice {
        ProxyChoice::Off => None,
        ProxyChoice::Through(Proxy { url, user_file }) => Some(Via {
            url: url.clone(),
            user: user_file.as_ref().and_then(|file| users.get(file).cloned()),
        }),
    }
}

fn from_variables(
    surroundings: &Surroundings,
) -> Result<Option<Via>, (&'static str, &'static str)> {
    let https = surroundings.https_proxy.as_ref();
    let Some((name, text)) = https.or(surroundings.all_proxy.as_ref()) else {
        return Ok(None);
    };
    let (url, user) = ProxyUrl::parse(text).map_err(|why| (*name, why))?;
    Ok(Some(Via { url, user }))
}

/// Whether a host is this machine itself, which no proxy could reach for us.
fn is_loopback(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Only the exceptions are asked of the matcher, which needs a proxy to make them from.
const ANY_PROXY: &str = "http://proxy.invalid";

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(https: &str, all: &str, no: &str) -> Surroundings {
        let set = |name: &'static str, value: &str| {
            (!value.is_empty()).then(|| (name, value.to_owned()))
        };
        Surroundings {
            https_proxy: set("HTTPS_PROXY", https),
            all_proxy: set("ALL_PROXY", all),
            no_proxy: set("NO_PROXY", no).map(|(_, value)| value),
        }
    }

    fn proxies(configured: Option<&str>, surroundings: &Surroundings) -> Proxies {
        let configured = configured.map(choice);
        Proxies::new(configured.as_ref(), HashMap::new(), surroundings).unwrap()
    }

    fn choice(url: &str) -> ProxyChoice {
        if url.is_empty() {
            return ProxyChoice::Off;
        }
        let (url, _) = ProxyUrl::parse(url).unwrap();
        ProxyChoice::Through(Proxy {
            url,
            user_file: None,
        })
    }

    fn found(proxies: &Proxies, host: &str, own: Option<&str>) -> Option<String> {
        let own = own.map(choice);
        let via = proxies.find(host, own.as_ref());
        via.map(|via| via.url.to_string())
    }

    const HOST: &str = "x.c2.eu-west-1.airflow.amazonaws.com";

    #[test]
    fn the_most_explicit_proxy_wins() {
        let both = variables("http://https:1", "socks5://all:2", "");
        assert_eq!(
            found(&proxies(None, &both), HOST, None).unwrap(),
            "http://https:1"
        );
        let all = variables("", "socks5://all:2", "");
        assert_eq!(
            found(&proxies(None, &all), HOST, None).unwrap(),
            "socks5://all:2"
        );
        let configured = proxies(Some("http://file:3"), &both);
        assert_eq!(found(&configured, HOST, None).unwrap(), "http://file:3");
        assert_eq!(
            found(&configured, HOST, Some("https://own:4")).unwrap(),
            "https://own:4"
        );
        assert_eq!(found(&configured, HOST, Some("")), None);
        assert_eq!(found(&proxies(Some(""), &both), HOST, None), None);
        assert_eq!(
            found(&proxies(None, &variables("", "", "")), HOST, None),
            None
        );
    }

    #[test]
    fn no_proxy_is_read_as_curl_reads_it() {
        for (no, excepted) in [
            ("*", true),
            ("amazonaws.com", true),
            (".amazonaws.com", true),
            ("other.example, .airflow.amazonaws.com", true),
            (HOST, true),
            ("a.example amazonaws.com", true),
            ("amazonaws.com.", true),
            ("x.example,*", false),
            (" * ", false),
            ("zonaws.com", false),
            ("other.example", false),
            ("10.0.0.0/8", false),
        ] {
            let usual = proxies(None, &variables("http://p:1", "", no));
            assert_eq!(found(&usual, HOST, None).is_none(), excepted, "{no}");
            // who names a proxy for one environment means it
            assert!(found(&usual, HOST, Some("http://own:2")).is_some(), "{no}");
        }
        let network = proxies(None, &variables("http://p:1", "", "10.0.0.0/8,[::5]"));
        assert_eq!(found(&network, "10.1.2.3", None), None);
        assert!(found(&network, "11.1.2.3", None).is_some());
    }

    #[test]
    fn this_machine_is_reached_without_a_proxy() {
        let usual = proxies(None, &variables("http://p:1", "", ""));
        for host in ["localhost", "a.localhost.", "127.0.0.1", "::1"] {
            assert_eq!(found(&usual, host, Some("http://own:2")), None, "{host}");
        }
    }

    #[test]
    fn a_variable_that_can_not_be_used_is_told_without_its_value() {
        let bad = variables("socks4://me:hunter2@p:1", "", "");
        let (name, why) = Proxies::new(None, HashMap::new(), &bad).unwrap_err();
        assert_eq!(name, "HTTPS_PROXY");
        assert!(!why.contains("hunter2"));
        assert!(!format!("{bad:?}").contains("hunter2"));
        // and one that is not needed does no harm
        assert!(Proxies::new(Some(&ProxyChoice::Off), HashMap::new(), &bad).is_ok());
    }
}
