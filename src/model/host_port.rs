//! The text form of a host and a port, with brackets around an IPv6 address (RFC 3986 section
//! 3.2.2).

use std::fmt;

/// A host and a port. `Display` writes `host:port`, and `[host]:port` for an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostPort<'a> {
    /// A name or an address; IPv6 without brackets.
    pub host: &'a str,
    /// The port.
    pub port: u16,
}

impl<'a> HostPort<'a> {
    /// Reads `host:port`. Returns `None` if there is no port or it is not a number.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (host, port) = split_port(text);
        // `parse` alone would take a plus sign too
        let port = port.filter(|port| port.bytes().all(|b| b.is_ascii_digit()))?;
        Some(Self {
            host: strip_brackets(host),
            port: port.parse().ok()?,
        })
    }
}

impl fmt::Display for HostPort<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // a name has no colon
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Splits `host[:port]` at the colon before the port, which is none of those within brackets.
///
/// Returns the host as it is written, and the text after the colon, which may not be a number.
pub fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    }
}

/// Returns the host without the brackets of an IPv6 address.
pub fn strip_brackets(host: &str) -> &str {
    // a single bracket is part of a wrong host
    let inner = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    inner.unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_a_port_are_read_and_written() {
        for (text, host, port) in [
            ("localhost:8080", "localhost", 8080),
            ("127.0.0.1:1", "127.0.0.1", 1),
            ("[::1]:443", "::1", 443),
        ] {
            let parsed = HostPort::parse(text).unwrap();
            assert_eq!(parsed, HostPort { host, port }, "{text}");
            assert_eq!(parsed.to_string(), text);
        }
        for bad in ["", "localhost", "a:", "a:x", "a:+1", "a:99999", "[::1]"] {
            assert_eq!(HostPort::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_colon_within_brackets_does_not_start_a_port() {
        for (text, parts) in [
            ("a", ("a", None)),
            ("a:", ("a", Some(""))),
            ("a:x", ("a", Some("x"))),
            ("[::1]", ("[::1]", None)),
            ("[::1]:80", ("[::1]", Some("80"))),
        ] {
            assert_eq!(split_port(text), parts, "{text}");
        }
        for (host, bare) in [("[::1]", "::1"), ("a", "a"), ("[a", "[a"), ("", "")] {
            assert_eq!(strip_brackets(host), bare);
        }
    }
}
