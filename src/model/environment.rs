//! An MWAA environment: its names, its region, and what the configuration says of it.

use super::{AirflowVersion, ProxyChoice, TunnelCommand};
use std::fmt;
use std::sync::Arc;

/// The local name of an environment: the label in `http://NAME.localhost:8080`.
///
/// 1 to 63 of `a-z`, `0-9` and `-`, not starting or ending with `-`: a DNS label (RFC 1123).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvName(Arc<str>);

impl EnvName {
    /// Creates a name. Returns `None` if the text is not a DNS label.
    pub fn new(text: &str) -> Option<Self> {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let fits = (1..=63).contains(&text.len())
            && text.bytes().all(inner)
            && !text.starts_with('-')
            && !text.ends_with('-');
        fits.then(|| Self(text.into()))
    }

    /// Returns a placeholder for an environment that is still to be found.
    pub fn any() -> Self {
        Self("any".into())
    }

    /// Returns true if the gateway itself answers to `NAME.localhost`: AWS SDKs put `env.` and
    /// `api.` before an endpoint.
    pub fn is_reserved(&self) -> bool {
        matches!(self.as_str(), "api" | "env" | "localhost")
    }

    /// Returns the label.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EnvName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An AWS region such as `eu-west-1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(Arc<str>);

impl Region {
    /// Creates a region. Returns `None` unless the whole text has the form
    /// `[a-z]{2,3}(-[a-z]+)+-[0-9]+`, in ASCII (GHSA-g59m-gf8j-gjf5: a region becomes part of a
    /// host name).
    pub fn new(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let head = parts.next()?;
        let rest: Vec<_> = parts.collect();
        let (number, words) = rest.split_last()?;

        let letters = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_lowercase());
        let fits = (2..=3).contains(&head.len())
            && letters(head)
            && !words.is_empty()
            && words.iter().all(|word| letters(word))
            // all regions have one digit so far
            && (1..=2).contains(&number.len())
            && number.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| Self(text.into()))
    }

    /// Returns the region's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns the ARN partition that a region belongs to.
pub fn partition(region: &str) -> &'static str {
    // each partition has hosts and accounts of its own
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}

/// The way in which browsers reach an environment's UI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BrowserMode {
    /// Through the gateway.
    #[default]
    Proxy,
    /// By a redirect to the real host, with the token in the fragment.
    Redirect,
}

/// The tokens that `CreateCliToken` and `CreateWebLoginToken` return on the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AwsTokens {
    /// The gateway's own, which only the gateway accepts.
    #[default]
    Local,
    /// AWS's.
    Real,
}

/// The route of requests to the REST API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RestVia {
    /// To the web server.
    #[default]
    Direct,
    /// To the web server, or by `InvokeRestApi` if it cannot be reached.
    Auto,
    /// By `InvokeRestApi`.
    Invoke,
}

/// The built-in command policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Everything, also what MWAA does not list; the web server decides.
    All,
    /// Reads, and commands that run and pause DAGs; no changes to variables, connections, roles.
    Operator,
    /// Reads only.
    ReadOnly,
    /// Everything that MWAA supports at the environment's version.
    #[default]
    Supported,
}

impl Policy {
    /// Returns the policy's name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Operator => "operator",
            Self::ReadOnly => "read-only",
            Self::Supported => "supported",
        }
    }
}

/// One environment, as the configuration or the discovery describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// The local name.
    pub local: EnvName,
    /// MWAA's name: 1 to 80 of `[a-zA-Z][0-9a-zA-Z-_]*`.
    pub name: Arc<str>,
    /// Its region; `None` asks the AWS chain.
    pub region: Option<Region>,
    /// The AWS profile to use; `None` leaves the choice to the chain.
    pub profile: Option<Arc<str>>,
    /// The role assumed before anything else.
    pub role_arn: Option<Arc<str>>,
    /// Another place for the MWAA API.
    pub endpoint_url: Option<Arc<str>>,
    /// The version in the configuration; `None` asks `GetEnvironment`.
    pub airflow_version: Option<AirflowVersion>,
    /// Dial this `host:port` instead of the environment's own host.
    pub connect_to: Option<Arc<str>>,
    /// The proxy to it and to AWS for it; `None` is the one for all environments.
    pub proxy: Option<ProxyChoice>,
    /// The program that opens a tunnel to its host.
    pub tunnel: Option<TunnelCommand>,
    /// A web server name that is not MWAA's.
    pub custom_domain: Option<Arc<str>>,
    /// The command policy.
    pub policy: Policy,
    /// Commands added to the policy, each as words.
    pub allow: Vec<Vec<String>>,
    /// Commands removed from the policy, each as words.
    pub deny: Vec<Vec<String>>,
    /// Commands that may run at once.
    pub cli_concurrency: usize,
    /// The way in which browsers reach its UI.
    pub browser: BrowserMode,
    /// The tokens of its AWS calls on the listener.
    pub aws_tokens: AwsTokens,
    /// The route of requests to its REST API.
    pub rest_via: RestVia,
}

impl Environment {
    /// Creates an environment with every default.
    pub fn new(local: EnvName, name: impl Into<Arc<str>>) -> Self {
        Self {
            local,
            name: name.into(),

            // the AWS chain decides
            region: None,
            profile: None,
            role_arn: None,
            endpoint_url: None,
            airflow_version: None,

            // directly to the host that AWS names
            connect_to: None,
            proxy: None,
            tunnel: None,
            custom_domain: None,

            policy: Policy::default(),
            allow: Vec::new(),
            deny: Vec::new(),
            cli_concurrency: 1,
            browser: BrowserMode::default(),
            aws_tokens: AwsTokens::default(),
            rest_via: RestVia::default(),
        }
    }

    /// Returns true if both are the same environment of the same identity, whatever their local names:
    /// a token or session of one is then one of the other too.
    pub fn is_same_target(&self, other: &Self) -> bool {
        self.name == other.name
            && self.region == other.region
            && self.profile == other.profile
            && self.role_arn == other.role_arn
            && self.endpoint_url == other.endpoint_url
            // tokens and sessions were checked to be for its host
            && self.custom_domain == other.custom_domain
    }

    /// Returns true if connections to its web server are opened in the same way.
    pub fn has_same_route(&self, other: &Self) -> bool {
        self.local == other.local
            && self.connect_to == other.connect_to
            && self.proxy == other.proxy
            && self.tunnel == other.tunnel
    }

    /// Returns true if the text is a valid name of an MWAA environment (API pattern
    /// `[a-zA-Z][0-9a-zA-Z-_]*`, 1 to 80).
    pub fn is_mwaa_name(text: &str) -> bool {
        (1..=80).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_anchored() {
        for good in ["eu-west-1", "us-gov-west-1", "ap-southeast-7", "cn-north-1"] {
            assert!(Region::new(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "eu",
            "eu-west",
            "eu-west-1\n",
            "x@evil.com:443/#",
            "EU-west-1",
            "eu--1",
            "eu-west-١",
        ] {
            assert!(Region::new(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn local_names_are_dns_labels() {
        assert!(EnvName::new("prod-1").is_some());
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", &"a".repeat(64)] {
            assert!(EnvName::new(bad).is_none(), "{bad:?}");
        }
    }
}
