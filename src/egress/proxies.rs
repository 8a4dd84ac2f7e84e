//! The proxy for each host: as the configuration says, else by the variables that curl reads.

use super::HTTPS_PORT;
use hyper_util::client::proxy::matcher::Matcher;
use mwaa_model::{HostPort, ProxyChoice, ProxyConfig, ProxyUrl, ProxyUser, debug_fields};
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

/// A proxy, with the user and password that it gets.
#[derive(Debug, PartialEq, Eq)]
pub struct ProxyServer {
    /// Its address.
    pub url: ProxyUrl,
    pub(crate) user: Option<ProxyUser>,
}

/// The environment variables about proxies. Empty ones are not set.
#[derive(Clone, Default)]
pub struct ProxyEnv {
    /// `https_proxy` or `HTTPS_PROXY`: the variable's name and its value.
    pub https_proxy: Option<(&'static str, String)>,
    /// `all_proxy` or `ALL_PROXY`, where there is no proxy for HTTPS.
    pub all_proxy: Option<(&'static str, String)>,
    /// `no_proxy` or `NO_PROXY`: hosts that are reached without a proxy.
    pub no_proxy: Option<String>,
}

// a proxy's URL may hold a password
debug_fields!(ProxyEnv: no_proxy);

/// The proxies of all hosts.
#[derive(Debug)]
pub struct ProxyTable {
    /// The proxy of hosts that have none of their own.
    default: Option<Arc<ProxyServer>>,
    users: HashMap<Arc<Path>, ProxyUser>,
    /// `NO_PROXY`, and its matcher.
    no_proxy: String,
    exceptions: Matcher,
}

impl ProxyTable {
    /// Creates the table from `[proxy]` in the configuration, else from the variables. `users` is
    /// the content of every file that a proxy of the configuration names.
    ///
    /// Fails if a variable that counts cannot be used, and returns its name and the reason: a
    /// proxy that is left out in silence would be bypassed.
    pub fn new(
        configured: Option<&ProxyChoice>,
        users: HashMap<Arc<Path>, ProxyUser>,
        variables: &ProxyEnv,
    ) -> Result<Self, (&'static str, &'static str)> {
        let default = match configured {
            Some(choice) => resolve_choice(choice, &users),
            None => from_variables(variables)?,
        };

        // it counts for a default proxy of the configuration too
        let no_proxy = parse_no_proxy(variables.no_proxy.as_deref().unwrap_or_default());
        Ok(Self {
            default: default.map(Arc::new),
            users,
            exceptions: Matcher::builder()
                .all(ANY_PROXY)
                .no(no_proxy.as_str())
                .build(),
            no_proxy,
        })
    }

    /// Returns true if both have the same proxies, with the same users.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.default == other.default
            && self.users == other.users
            && self.no_proxy == other.no_proxy
    }

    /// Returns the proxy that an environment names for itself; `None` if it turns proxies off.
    pub(super) fn resolve(&self, choice: &ProxyChoice) -> Option<Arc<ProxyServer>> {
        resolve_choice(choice, &self.users).map(Arc::new)
    }

    /// Returns the proxy for `host`. One that an environment names is used for every host but
    /// loopback; the default one not for the hosts that `NO_PROXY` lists either.
    pub(super) fn find(
        &self,
        host: &str,
        own: Option<&ProxyChoice>,
    ) -> Option<Arc<ProxyServer>> {
        if is_loopback(host) {
            return None;
        }
        match own {
            Some(choice) => self.resolve(choice),
            None => self.default.clone().filter(|_| !self.is_excepted(host)),
        }
    }

    fn is_excepted(&self, host: &str) -> bool {
        // the matcher takes whole URLs, and the connections to look up are all HTTPS
        let address = HostPort {
            host,
            port: HTTPS_PORT,
        }
        .to_string();
        let uri = format!("https://{address}/").parse();
        uri.is_ok_and(|uri| self.exceptions.intercept(&uri).is_none())
    }
}

fn resolve_choice(
    choice: &ProxyChoice,
    users: &HashMap<Arc<Path>, ProxyUser>,
) -> Option<ProxyServer> {
    match choice {
        ProxyChoice::Off => None,
        ProxyChoice::Through(ProxyConfig { url, user_file }) => Some(ProxyServer {
            url: url.clone(),
            // a file that cannot be read has ended the start already
            user: user_file.as_ref().and_then(|file| users.get(file).cloned()),
        }),
    }
}

fn from_variables(
    variables: &ProxyEnv,
) -> Result<Option<ProxyServer>, (&'static str, &'static str)> {
    let https = variables.https_proxy.as_ref();
    let Some((name, value)) = https.or(variables.all_proxy.as_ref()) else {
        return Ok(None);
    };
    let (url, user) = ProxyUrl::parse(value).map_err(|reason| (*name, reason))?;
    Ok(Some(ProxyServer { url, user }))
}

/// Converts `NO_PROXY` to the form that hyper-util reads. curl splits it at spaces too, ignores a
/// dot at the end of a name, and takes `*` only if it is the whole value.
fn parse_no_proxy(no_proxy: &str) -> String {
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

/// Returns `true` for this machine itself, which no proxy could reach for us.
fn is_loopback(host: &str) -> bool {
    // the names of RFC 6761 section 6.3, whatever the resolver makes of them
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The matcher is used for its exceptions only, and needs a proxy to make them from.
const ANY_PROXY: &str = "http://proxy.invalid";

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(https: &str, all: &str, no: &str) -> ProxyEnv {
        let set = |name: &'static str, value: &str| {
            (!value.is_empty()).then(|| (name, value.to_owned()))
        };
        ProxyEnv {
            https_proxy: set("HTTPS_PROXY", https),
            all_proxy: set("ALL_PROXY", all),
            no_proxy: set("NO_PROXY", no).map(|(_, value)| value),
        }
    }

    fn proxies(configured: Option<&str>, env: &ProxyEnv) -> ProxyTable {
        let configured = configured.map(choice);
        ProxyTable::new(configured.as_ref(), HashMap::new(), env).unwrap()
    }

    fn choice(url: &str) -> ProxyChoice {
        if url.is_empty() {
            return ProxyChoice::Off;
        }
        let (url, _) = ProxyUrl::parse(url).unwrap();
        ProxyChoice::Through(ProxyConfig {
            url,
            user_file: None,
        })
    }

    fn found(proxies: &ProxyTable, host: &str, own: Option<&str>) -> Option<String> {
        let own = own.map(choice);
        let proxy = proxies.find(host, own.as_ref());
        proxy.map(|proxy| proxy.url.to_string())
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
            let table = proxies(None, &variables("http://p:1", "", no));
            assert_eq!(found(&table, HOST, None).is_none(), excepted, "{no}");
            // who names a proxy for one environment means it
            assert!(found(&table, HOST, Some("http://own:2")).is_some(), "{no}");
        }
        let network = proxies(None, &variables("http://p:1", "", "10.0.0.0/8,[::5]"));
        assert_eq!(found(&network, "10.1.2.3", None), None);
        assert!(found(&network, "11.1.2.3", None).is_some());
    }

    #[test]
    fn this_machine_is_reached_without_a_proxy() {
        let table = proxies(None, &variables("http://p:1", "", ""));
        for host in ["localhost", "a.localhost.", "127.0.0.1", "::1"] {
            assert_eq!(found(&table, host, Some("http://own:2")), None, "{host}");
        }
    }

    #[test]
    fn an_invalid_variable_is_named_without_its_value() {
        let bad = variables("socks4://me:hunter2@p:1", "", "");
        let (name, why) = ProxyTable::new(None, HashMap::new(), &bad).unwrap_err();
        assert_eq!(name, "HTTPS_PROXY");
        assert!(!why.contains("hunter2"));
        assert!(!format!("{bad:?}").contains("hunter2"));
        // and one that is not needed does no harm
        assert!(ProxyTable::new(Some(&ProxyChoice::Off), HashMap::new(), &bad).is_ok());
    }
}
