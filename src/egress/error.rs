//! How the way out failed.
#![deny(clippy::wildcard_enum_match_arm)]

use super::address;
use super::tunnel::TunnelError;
use crate::names::{Code, Fault, ProxyUrl, code};
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// No connection came about, and nothing was sent to the host.
#[derive(Debug)]
#[non_exhaustive]
pub enum EgressError {
    /// The proxy gave none.
    Proxy {
        /// The proxy.
        proxy: ProxyUrl,
        /// What it was asked for: `host:port`.
        target: String,
        /// Whether it was given a user and password.
        has_user: bool,
        /// What it did.
        failure: ProxyFailure,
    },
    /// The tunnel gave none.
    Tunnel(TunnelError),
    /// Nothing answers there.
    Unreachable {
        /// What was dialled: `host:port`.
        address: String,
        /// Why.
        source: io::Error,
    },
}

/// What a proxy did instead of connecting.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProxyFailure {
    /// It answered `CONNECT` with another status than 200.
    Answered {
        /// Status code and reason, as it wrote them.
        status: String,
        /// The schemes of its `Proxy-Authenticate` fields (RFC 9110 section 11.7.1).
        wants: Vec<String>,
    },
    /// What came from it is no answer.
    Broken(&'static str),
    /// User and password are longer than can be sent.
    LongUser,
    /// The host's name was to be resolved here (`socks5`) and was not.
    NoName(io::Error),
    /// It refused, in the words of SOCKS (RFC 1928 section 6).
    Refused(String),
    /// It did not answer in time.
    Silent(Duration),
    /// TLS to the proxy itself failed.
    Tls(String),
    /// It can't be reached.
    Unreachable(io::Error),
    /// It takes no user.
    WantsNoUser,
    /// It takes nobody without a user.
    WantsUser,
    /// It does not take this user and password.
    WrongUser,
}

impl EgressError {
    pub(super) fn unreachable(host: &str, port: u16, source: io::Error) -> Self {
        Self::Unreachable {
            address: address(host, port),
            source,
        }
    }
}

impl fmt::Display for EgressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { address, source } => {
                write!(f, "cannot connect to {address}: {source}")
            }
            Self::Tunnel(error) => error.fmt(f),
            Self::Proxy {
                proxy,
                target,
                failure,
                ..
            } => match failure {
                ProxyFailure::Answered { status, .. } => write!(
                    f,
                    "the proxy {proxy} answered \"{status}\" when asked for {target}"
                ),
                ProxyFailure::Broken(how) => {
                    write!(f, "the proxy {proxy} was asked for {target}: {how}")
                }
                ProxyFailure::NoName(error) => write!(
                    f,
                    "cannot resolve the name of {target} for the proxy {proxy}: {error}"
                ),
                ProxyFailure::Refused(why) => {
                    write!(
                        f,
                        "the proxy {proxy} answered \"{why}\" when asked for {target}"
                    )
                }
                ProxyFailure::Silent(after) => write!(
                    f,
                    "the proxy {proxy} gave no connection to {target} within {}",
                    humantime::format_duration(*after)
                ),
                ProxyFailure::Tls(why) => {
                    write!(f, "no trusted TLS connection to the proxy {proxy}: {why}")
                }
                ProxyFailure::Unreachable(error) => {
                    write!(f, "cannot connect to the proxy {proxy}: {error}")
                }
                ProxyFailure::LongUser => write!(
                    f,
                    "user and password are too long for the proxy {proxy}: SOCKS has room for about 150 bytes"
                ),
                ProxyFailure::WantsNoUser => {
                    write!(f, "the proxy {proxy} takes neither a user nor nobody")
                }
                ProxyFailure::WantsUser => {
                    write!(f, "the proxy {proxy} asks for a user and a password")
                }
                ProxyFailure::WrongUser => {
                    write!(
                        f,
                        "the proxy {proxy} does not take the user and the password"
                    )
                }
            },
        }
    }
}

impl Error for EgressError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreachable { source, .. } => Some(source),
            Self::Proxy { failure, .. } => match failure {
                ProxyFailure::NoName(error) | ProxyFailure::Unreachable(error) => Some(error),
                ProxyFailure::Answered { .. }
                | ProxyFailure::Broken(_)
                | ProxyFailure::LongUser
                | ProxyFailure::Refused(_)
                | ProxyFailure::Silent(_)
                | ProxyFailure::Tls(_)
                | ProxyFailure::WantsNoUser
                | ProxyFailure::WantsUser
                | ProxyFailure::WrongUser => None,
            },
            Self::Tunnel(_) => None,
        }
    }
}

impl Fault for EgressError {
    fn code(&self) -> &'static Code {
        match self {
            Self::Proxy { .. } => &code::UPSTREAM_PROXY,
            Self::Tunnel(_) => &code::UPSTREAM_TUNNEL,
            Self::Unreachable { .. } => &code::UPSTREAM_UNREACHABLE,
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        match self {
            Self::Proxy {
                failure, has_user, ..
            } => failure.hint(*has_user),
            Self::Tunnel(error) => error.hint(),
            Self::Unreachable { address, source } => unreachable(address, source),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Tunnel(error) => error.retry_after(),
            Self::Proxy { .. } | Self::Unreachable { .. } => None,
        }
    }
}

impl ProxyFailure {
    fn hint(&self, has_user: bool) -> Cow<'static, str> {
        match self {
            // some answer like a web server to a wrong password
            Self::Answered { status, wants } if status.starts_with("407") || status.starts_with("401") => {
                let basic = |scheme: &String| scheme.eq_ignore_ascii_case("basic");
                if !wants.is_empty() && !wants.iter().any(basic) {
                    let wants = wants.join(" or ");
                    return format!(
                        "it wants {wants}, and only Basic is spoken here: run a helper that signs in for you, such \
                         as px or cntlm, and name that as the proxy"
                    )
                    .into();
                }
                if has_user { WRONG_USER } else { NEEDS_USER }
            }
            Self::Answered { .. } | Self::Refused(_) => {
                "the proxy must allow this host and port; its log says more"
            }
            Self::Broken(_) => {
                "check the proxy's scheme and port: http://, https://, socks5:// or socks5h://"
            }
            Self::LongUser => "use a shorter password, or an HTTP proxy",
            Self::NoName(_) => "write socks5h:// to let the proxy resolve names",
            Self::Silent(_) | Self::Unreachable(_) => {
                "check that the proxy runs and that its address is right; NO_PROXY or proxy = \"\" goes without it"
            }
            Self::Tls(_) => {
                "check the proxy's certificate; most proxies are spoken to as http://, also for HTTPS"
            }
            Self::WantsNoUser => "it may want a way of signing in that is not spoken here, such as GSSAPI",
            Self::WantsUser => NEEDS_USER,
            Self::WrongUser => WRONG_USER,
        }
        .into()
    }
}

const NEEDS_USER: &str = "it asks for a user and a password: put them into a file as user:password and name it in user_file (for an \
     environment: proxy_user_file)";
const WRONG_USER: &str =
    "the user or the password is wrong: correct the file that holds them, or the variable";

/// What to do where no connection came about.
fn unreachable(address: &str, source: &io::Error) -> Cow<'static, str> {
    let is_here = address
        .parse::<SocketAddr>()
        .is_ok_and(|address| address.ip().is_loopback());
    if is_here && source.kind() == io::ErrorKind::ConnectionRefused {
        return format!("nobody listens at {address}: start the tunnel that connect_to leads to, or correct it").into();
    }
    if source.to_string().contains("lookup") {
        return "its name does not resolve here: a private web server's needs its VPC's DNS (a VPN), a proxy with \
                socks5h:// or a tunnel"
            .into();
    }
    code::UPSTREAM_UNREACHABLE.advice.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_fit_how_nobody_was_reached() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let dns =
            io::Error::other("failed to lookup address information: Name or service not known");
        let late = io::Error::from(io::ErrorKind::TimedOut);
        for (host, source, told) in [
            (
                "127.0.0.1",
                refused,
                "nobody listens at 127.0.0.1:8443: start the tunnel",
            ),
            (
                "x.airflow.amazonaws.com",
                dns,
                "its name does not resolve here",
            ),
            (
                "x.airflow.amazonaws.com",
                late,
                code::UPSTREAM_UNREACHABLE.advice,
            ),
        ] {
            let error = EgressError::unreachable(host, 8443, source);
            assert!(error.hint().starts_with(told), "{}", error.hint());
        }
    }
}
