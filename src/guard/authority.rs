//! The form of a Host header's value (RFC 9110 section 7.2): `uri-host [ ":" port ]`.

use std::net::Ipv6Addr;

/// Whether the text is a host and perhaps a port: no user info, list, path or empty port.
pub(super) fn is_host(host: &str) -> bool {
    let (name, port) = split(host);
    let port_fits = port.is_none_or(|port| {
        (1..=5).contains(&port.len())
            && port.bytes().all(|b| b.is_ascii_digit())
            && port.parse::<u16>().is_ok()
    });
    let bracketed = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let name_fits = bracketed.map_or_else(
        || (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(inner),
        |v6| v6.parse::<Ipv6Addr>().is_ok(),
    );
    name_fits && port_fits
}

/// The name and the port, of a text that [`is_host`].
pub(super) fn split_port(host: &str) -> (&str, Option<u16>) {
    let (name, port) = split(host);
    (name, port.and_then(|port| port.parse().ok()))
}

/// Cuts at the colon before the port, which is none of those within brackets.
fn split(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    }
}

/// RFC 1035 section 2.3.4, as text.
const LONGEST_NAME: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_and_without_a_port() {
        for (host, parts) in [
            ("localhost", ("localhost", None)),
            ("localhost:8080", ("localhost", Some(8080))),
            ("[::1]", ("[::1]", None)),
            ("[::1]:80", ("[::1]", Some(80))),
        ] {
            assert!(is_host(host), "{host}");
            assert_eq!(split_port(host), parts);
        }
        for host in [
            "", ":80", "a:", "a:99999", "a:+1", "a b", "a@b", "a/b", "[::1", "[x]", "a,b",
            "::1",
        ] {
            assert!(!is_host(host), "{host}");
        }
    }
}
