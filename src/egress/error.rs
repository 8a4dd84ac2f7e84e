//! The errors of a connection that was not opened, and the advice on each.
#![deny(clippy::wildcard_enum_match_arm)]

use self::ProxyErrorKind as Kind;
use super::tls::HandshakeError;
use mwaa_model::{Code, Fault, ProxyUrl, code};
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// There is no connection, and nothing was sent to the host.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The proxy gave none.
    #[error(transparent)]
    Proxy(ProxyConnectError),
    /// The tunnel gave none.
    #[error(transparent)]
    Tunnel(TunnelError),
    /// Nothing answers at the address.
    #[error("cannot connect to {address}")]
    Unreachable {
        /// The address: `host:port`.
        address: String,
        /// The system's error.
        source: io::Error,
    },
}

impl Fault for EgressError {
    fn code(&self) -> &'static Code {
        match self {
            Self::Proxy(_) => &code::UPSTREAM_PROXY,
            Self::Tunnel(_) => &code::UPSTREAM_TUNNEL,
            Self::Unreachable { .. } => &code::UPSTREAM_UNREACHABLE,
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        match self {
            Self::Proxy(error) => error.hint(),
            Self::Tunnel(error) => error.hint(),
            Self::Unreachable { address, source } => unreachable_hint(address, source),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Tunnel(error) => error.retry_after,
            Self::Proxy(_) | Self::Unreachable { .. } => None,
        }
    }
}

fn unreachable_hint(address: &str, source: &io::Error) -> Cow<'static, str> {
    // an address of this machine in connect_to is the end of a tunnel that the user starts
    let is_here = address
        .parse::<SocketAddr>()
        .is_ok_and(|address| address.ip().is_loopback());
    if is_here && source.kind() == io::ErrorKind::ConnectionRefused {
        return format!(
            "the connection to {address} was refused: start the tunnel that connect_to points \
             to, or correct connect_to"
        )
        .into();
    }

    // the resolver's errors have no kind of their own, so only the text shows them
    if source.to_string().contains("lookup") {
        return "its host name does not resolve here: for a private web server use its VPC's \
                DNS (over a VPN), a socks5h:// proxy or a tunnel"
            .into();
    }
    code::UPSTREAM_UNREACHABLE.advice.into()
}

/// A proxy gave no connection.
#[derive(Debug)]
pub struct ProxyConnectError {
    pub(super) proxy: ProxyUrl,
    /// The address that the proxy was asked for: `host:port`.
    pub(super) target: String,
    /// Set if the proxy was sent a user and password.
    pub(super) has_user: bool,
    pub(super) kind: ProxyErrorKind,
}

/// The reason why a proxy gave no connection.
#[derive(Debug)]
pub(super) enum ProxyErrorKind {
    /// User and password are longer than can be sent.
    CredentialsTooLong,
    /// It does not accept this user and password.
    CredentialsRejected,
    /// It accepts no one without a user and password.
    CredentialsRequired,
    /// It sent something that is no response.
    InvalidResponse(&'static str),
    /// The host's name was to be resolved here (`socks5`) and was not.
    NameNotResolved(io::Error),
    /// It refused, in the words of SOCKS (RFC 1928 section 6).
    Refused(String),
    /// It did not answer in time.
    TimedOut(Duration),
    /// TLS to the proxy itself failed.
    Tls(HandshakeError),
    /// It answered `CONNECT` with another status than 200.
    UnexpectedStatus {
        /// Status code and reason, as it wrote them.
        status: String,
        /// The schemes of its `Proxy-Authenticate` fields (RFC 9110 section 11.7.1).
        schemes: Vec<String>,
    },
    /// It cannot be reached.
    Unreachable(io::Error),
}

impl fmt::Display for ProxyConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { proxy, target, .. } = self;
        f.write_str(&match &self.kind {
            Kind::CredentialsTooLong => format!(
                "user and password are too long for the proxy {proxy}: SOCKS allows about 150 \
                 bytes"
            ),
            Kind::CredentialsRejected => {
                format!("the proxy {proxy} rejected the user and the password")
            }
            Kind::CredentialsRequired => {
                format!("the proxy {proxy} requires a user and a password")
            }
            Kind::InvalidResponse(reason) => {
                format!("the proxy {proxy} failed to connect to {target}: {reason}")
            }
            Kind::Refused(text) | Kind::UnexpectedStatus { status: text, .. } => {
                format!("the proxy {proxy} returned \"{text}\" for {target}")
            }
            Kind::TimedOut(limit) => {
                let limit = humantime::format_duration(*limit);
                format!("the proxy {proxy} did not connect to {target} within {limit}")
            }

            // their cause is the source
            Kind::NameNotResolved(_) => {
                format!("cannot resolve the name of {target} for the proxy {proxy}")
            }
            Kind::Tls(_) => format!("no trusted TLS connection to the proxy {proxy}"),
            Kind::Unreachable(_) => format!("cannot connect to the proxy {proxy}"),
        })
    }
}

impl Error for ProxyConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // not `kind` itself: its text is a part of this error's
        match &self.kind {
            Kind::NameNotResolved(error) | Kind::Unreachable(error) => Some(error),
            Kind::Tls(error) => Some(error),
            Kind::CredentialsTooLong
            | Kind::CredentialsRejected
            | Kind::CredentialsRequired
            | Kind::InvalidResponse(_)
            | Kind::Refused(_)
            | Kind::TimedOut(_)
            | Kind::UnexpectedStatus { .. } => None,
        }
    }
}

impl ProxyConnectError {
    fn hint(&self) -> Cow<'static, str> {
        match &self.kind {
            Kind::CredentialsTooLong => "use a shorter password, or an HTTP proxy",
            Kind::CredentialsRejected => WRONG_USER,
            Kind::CredentialsRequired => NEEDS_USER,
            Kind::InvalidResponse(_) => {
                "check the proxy's scheme and port: http://, https://, socks5:// or socks5h://"
            }
            Kind::NameNotResolved(_) => "use socks5h://, so that the proxy resolves the name",

            // some proxies answer like a web server to a wrong password
            Kind::UnexpectedStatus { status, schemes }
                if status.starts_with("407") || status.starts_with("401") =>
            {
                // user and password are sent as Basic only
                let is_basic = |scheme: &String| scheme.eq_ignore_ascii_case("basic");
                if !schemes.is_empty() && !schemes.iter().any(is_basic) {
                    let schemes = schemes.join(" or ");
                    return format!(
                        "it requires {schemes}, and the gateway supports only Basic: run a \
                         local proxy that authenticates for you, such as px or cntlm, and use \
                         that as the proxy"
                    )
                    .into();
                }
                if self.has_user {
                    WRONG_USER
                } else {
                    NEEDS_USER
                }
            }

            Kind::Refused(_) | Kind::UnexpectedStatus { .. } => {
                "the proxy must allow this host and port; look at its log"
            }
            Kind::TimedOut(_) | Kind::Unreachable(_) => {
                "check that the proxy is running and its address is correct; NO_PROXY or proxy \
                 = \"\" bypasses it"
            }
            Kind::Tls(_) => {
                "check the proxy's certificate; most proxies use http://, even for HTTPS"
            }
        }
        .into()
    }
}

/// A tunnel gave no connection.
#[derive(Debug, Clone)]
pub struct TunnelError {
    pub(super) program: String,
    pub(super) kind: Arc<TunnelErrorKind>,
    /// The time until the program may be started again.
    pub(super) retry_after: Option<Duration>,
}

/// The failure of a tunnel's program, with the last lines of its output if there are any.
#[derive(Debug, thiserror::Error)]
pub(super) enum TunnelErrorKind {
    /// A connection through it failed.
    #[error("did not connect ({reason}){}", output_text(tail.as_deref()))]
    NoConnection {
        reason: String,
        tail: Option<String>,
    },
    /// It ended.
    #[error("ended with {status}{}", output_text(tail.as_deref()))]
    Exited {
        status: String,
        tail: Option<String>,
    },
    /// It ended without an error, before anything went through it.
    #[error("ended immediately without an error{}", output_text(tail.as_deref()))]
    ExitedAtOnce { tail: Option<String> },
    /// Its port was not open in time.
    #[error(
        "did not open its port within {}{}",
        humantime::format_duration(*limit),
        output_text(tail.as_deref())
    )]
    PortNotOpen {
        limit: Duration,
        tail: Option<String>,
    },
    /// The system did not start it.
    #[error("cannot start")]
    NotStarted(#[source] io::Error),
}

fn output_text(tail: Option<&str>) -> String {
    tail.map_or_else(String::new, |tail| format!("; its output: {tail}"))
}

impl fmt::Display for TunnelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the tunnel `{}` {}", self.program, self.kind)
    }
}

impl Error for TunnelError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // not `kind` itself: its text is a part of this error's
        self.kind.source()
    }
}

impl TunnelError {
    fn hint(&self) -> Cow<'static, str> {
        match &*self.kind {
            TunnelErrorKind::NotStarted(_) => {
                format!("install `{}`, or use its full path in tunnel", self.program).into()
            }

            TunnelErrorKind::PortNotOpen { .. } => {
                "the program must open {local_port} on 127.0.0.1; if it needs more time, raise \
                 limits.tunnel_start"
                    .into()
            }
            // ssh does both: -f leaves, and ControlPath hands the forward to another process
            TunnelErrorKind::ExitedAtOnce { .. } => {
                "it must run in the foreground while the tunnel is open: do not use -f; with \
                 ssh, add -o ControlPath=none so that it does not share a connection"
                    .into()
            }

            // the last lines of its output say more than any advice
            TunnelErrorKind::NoConnection { .. } | TunnelErrorKind::Exited { .. } => {
                code::UPSTREAM_TUNNEL.advice.into()
            }
        }
    }
}

const NEEDS_USER: &str = "it requires a user and a password: write user:password into a file, and \
                          set user_file to it (for an environment: proxy_user_file)";
const WRONG_USER: &str =
    "the user or the password is wrong: correct the file that holds them, or the variable";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_fits_the_cause_of_the_failed_connection() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let dns =
            io::Error::other("failed to lookup address information: Name or service not known");
        let late = io::Error::from(io::ErrorKind::TimedOut);
        for (address, source, hint) in [
            (
                "127.0.0.1:8443",
                refused,
                "the connection to 127.0.0.1:8443 was refused: start the tunnel",
            ),
            (
                "x.airflow.amazonaws.com:8443",
                dns,
                "its host name does not resolve here",
            ),
            (
                "x.airflow.amazonaws.com:8443",
                late,
                code::UPSTREAM_UNREACHABLE.advice,
            ),
        ] {
            let address = address.to_owned();
            let error = EgressError::Unreachable { address, source };
            assert!(error.hint().starts_with(hint), "{}", error.hint());
        }
    }

    /// A client sees one line, whatever the number of errors behind it.
    #[test]
    fn the_detail_contains_the_cause_and_the_error_does_not() {
        let proxy = ProxyConnectError {
            proxy: ProxyUrl::parse("http://proxy.example:1").unwrap().0,
            target: "x.example:443".to_owned(),
            has_user: false,
            kind: ProxyErrorKind::Unreachable(io::Error::other("no route")),
        };
        let text = "cannot connect to the proxy http://proxy.example:1";
        let error = EgressError::Proxy(proxy);
        assert_eq!(error.to_string(), text);
        assert_eq!(error.detail(), format!("{text}: no route"));

        let tunnel = TunnelError {
            program: "ssh".to_owned(),
            kind: Arc::new(TunnelErrorKind::NotStarted(io::Error::other("no file"))),
            retry_after: None,
        };
        let detail = EgressError::Tunnel(tunnel).detail();
        assert_eq!(detail, "the tunnel `ssh` cannot start: no file");
    }
}
