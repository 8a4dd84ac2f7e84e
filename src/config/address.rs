//! Addresses to listen on: a TCP address or a Unix socket.

use super::diagnostics::ValueError;
use super::values;
use mwaa_runtime::platform::LONGEST_SOCKET_PATH;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// An address to listen on: `127.0.0.1:8080`, `[::1]:8080` or `unix:/path`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A TCP address; port 0 takes any free one.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// Returns true if only this machine can reach the address. A unix socket is as local as its
    /// file.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => is_loopback(address.ip()),
            Self::Unix(_) => true,
        }
    }

    /// Returns true if both can't be bound at once: they are equal, or one is the other's
    /// wildcard.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(a), Self::Tcp(b)) => {
                let one = a.ip().to_canonical();
                let two = b.ip().to_canonical();
                // `::` takes IPv4 as well on most systems
                let wild = |any: IpAddr, one: IpAddr| {
                    any.is_unspecified() && (any.is_ipv6() || one.is_ipv4())
                };

                // port 0 is another one each time
                a.port() != 0
                    && a.port() == b.port()
                    && (one == two || wild(one, two) || wild(two, one))
            }
            (Self::Unix(a), Self::Unix(b)) => a == b,
            (Self::Tcp(_), Self::Unix(_)) | (Self::Unix(_), Self::Tcp(_)) => false,
        }
    }

    /// Returns the address with a relative socket path taken from the folder.
    pub(super) fn below(self, folder: &Path) -> Self {
        match self {
            Self::Unix(path) => Self::Unix(folder.join(path)),
            tcp @ Self::Tcp(_) => tcp,
        }
    }
}

/// Returns true if the address is loopback, also as an IPv4-mapped IPv6 address.
pub(super) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The text is not an address to listen on; its text says why, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the address {0}")]
pub struct AddressError(ValueError);

impl From<AddressError> for ValueError {
    fn from(error: AddressError) -> Self {
        error.0
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return parse_socket_path(path)
                .map(Self::Unix)
                .map_err(AddressError);
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Tcp(address));
        }

        const EXAMPLES: &str =
            "write it as \"127.0.0.1:8080\", \"[::1]:8080\" or \"unix:/path\"";
        let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
        let hint = match port.parse::<u16>() {
            Ok(port) if host.is_empty() || host == "localhost" || host == "*" => {
                format!("write the loopback address: \"127.0.0.1:{port}\"")
            }
            _ => match text.parse::<IpAddr>() {
                Ok(ip) => format!("add the port: \"{}\"", SocketAddr::new(ip, 8080)),
                Err(_) => EXAMPLES.to_owned(),
            },
        };
        let error = ValueError::new("is not an address to listen on");
        Err(AddressError(error.with_hint(hint)))
    }
}

fn parse_socket_path(path: &str) -> Result<PathBuf, ValueError> {
    const GIVE_PATH: &str = "give the socket a path: \"unix:/run/mwaa-gateway/gateway.sock\"";
    if path.starts_with(['@', '\0']) {
        let error = ValueError::new(
            "is an abstract socket, which has no file permissions: any local user could connect",
        );
        return Err(error.with_hint(GIVE_PATH));
    }
    if path.is_empty() || path.ends_with('/') || path.contains('\0') {
        return Err(ValueError::new("has no path of a socket file").with_hint(GIVE_PATH));
    }

    let path = values::expand_home(path)?;
    if path.as_os_str().len() > LONGEST_SOCKET_PATH {
        let error = ValueError::new("has a longer path than a Unix socket can have");
        return Err(error.with_hint(format!("use at most {LONGEST_SOCKET_PATH} bytes")));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints() {
        for text in [
            "127.0.0.1:8080",
            "[::1]:0",
            "unix:/run/g.sock",
            "unix:g.sock",
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.to_string(), text);
            assert!(address.is_local());
        }
        for text in [
            "0.0.0.0:1",
            "[::]:1",
            "192.168.1.2:1",
            "[::ffff:10.0.0.1]:1",
        ] {
            assert!(!text.parse::<Address>().expect(text).is_local(), "{text}");
        }
        let mapped: Address = "[::ffff:127.0.0.1]:1".parse().expect("address");
        assert!(mapped.is_local());
    }

    #[test]
    fn rejects_with_a_reason() {
        for (text, reason) in [
            ("unix:@gateway", "no file permissions"),
            ("unix:\0gateway", "no file permissions"),
            ("unix:", "has no path of a socket file"),
            ("unix:/run/", "has no path of a socket file"),
            ("unix:~you/a", "begins with ~ and a user name"),
            ("localhost:8080", "\"127.0.0.1:8080\""),
            (":9000", "\"127.0.0.1:9000\""),
            ("127.0.0.1", "add the port: \"127.0.0.1:8080\""),
            ("::1", "add the port: \"[::1]:8080\""),
            ("127.0.0.1:99999", "write it as"),
            ("", "write it as"),
        ] {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
        let long = format!("unix:/{}", "a".repeat(LONGEST_SOCKET_PATH));
        assert!(long.parse::<Address>().is_err());
    }

    #[test]
    fn overlapping_addresses_are_detected() {
        let overlaps = |a: &str, b: &str| {
            let (a, b): (Address, Address) = (a.parse().expect(a), b.parse().expect(b));
            assert_eq!(a.overlaps(&b), b.overlaps(&a));
            a.overlaps(&b)
        };
        assert!(overlaps("127.0.0.1:1", "127.0.0.1:1"));
        assert!(overlaps("127.0.0.1:1", "0.0.0.0:1"));
        assert!(overlaps("127.0.0.1:1", "[::]:1"));
        assert!(overlaps("unix:/a", "unix:/a"));
        assert!(!overlaps("127.0.0.1:1", "127.0.0.2:1"));
        assert!(!overlaps("127.0.0.1:0", "127.0.0.1:0"));
        assert!(!overlaps("[::1]:1", "0.0.0.0:1"));
        assert!(!overlaps("unix:/a", "127.0.0.1:1"));
    }
}
