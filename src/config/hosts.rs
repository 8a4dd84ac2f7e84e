//! Values that name hosts: names, `host:port`, domains.

use super::problems::Complaint;
use std::net::{IpAddr, Ipv6Addr};

/// Whether the text is a host name: dot-separated labels of letters, digits, `-` and `_` (which
/// container networks use), in ASCII; one final dot is the caller's business.
pub(super) fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    text.len() <= 253 && text.split('.').all(label) && !is_numeric(text)
}

/// Whether resolvers may read the text as an IPv4 address: its last label is a number, in
/// decimal, hexadecimal or octal (WHATWG URL, "ends in a number").
fn is_numeric(text: &str) -> bool {
    let last = text.rsplit('.').next().unwrap_or(text);
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    last.bytes().all(|b| b.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Splits `host[:port]`; the host of `[::1]:80` keeps its brackets.
pub(super) fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let port = |digits: &str| {
        let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        plain.then(|| digits.parse().ok()).flatten()
    };
    match text.rsplit_once(':') {
        Some((host, digits)) if !digits.ends_with(']') => {
            port(digits).map(|number| (host, Some(number)))
        }
        _ => Some((text, None)),
    }
}

/// The address that a host is, if it is one; IPv6 in brackets, as in URLs.
pub(super) fn ip(host: &str) -> Option<IpAddr> {
    match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::from),
        None => host.parse().ok().filter(IpAddr::is_ipv4),
    }
}

/// Reads an entry of `listener.hosts`: `name` or `name:port`, made lower case.
pub(super) fn host_entry(text: &str) -> Result<String, Complaint> {
    let bad = || {
        Complaint::new("is not a host name")
            .hint("write \"name\" or \"name:port\", as clients put it into Host")
    };
    if text.contains('*') {
        return Err(
            Complaint::new("is a pattern; only exact names keep other sites out")
                .hint("list every name that clients use"),
        );
    }
    if text.contains("://") {
        return Err(Complaint::new("is a URL, not a host name").hint("leave out the scheme"));
    }
    let (host, _) = split_port(text).ok_or_else(bad)?;
    match ip(host) {
        Some(address) if address.is_unspecified() => Err(Complaint::new(
            "is an address to bind, not a name that clients use",
        )
        .hint("list the name or address that clients write into their URLs")),
        Some(_) => Ok(text.to_ascii_lowercase()),
        None if is_name(host.strip_suffix('.').unwrap_or(host)) => {
            Ok(text.to_ascii_lowercase())
        }
        None => Err(bad()),
    }
}

/// Reads `connect_to`: `host:port`.
pub(super) fn host_port(text: &str) -> Result<String, Complaint> {
    match split_port(text) {
        Some((host, Some(_))) if ip(host).is_some() || is_name(host) => Ok(text.to_owned()),
        _ => Err(Complaint::new("is not of the form host:port")
            .hint("write the tunnel's end as \"127.0.0.1:8443\"")),
    }
}

/// Reads `custom_domain`: a bare host name, made lower case.
pub(super) fn domain(text: &str) -> Result<String, Complaint> {
    const HINT: &str = "write the bare host name, as in \"airflow.corp.example\"";
    let what = if text.contains("://") || text.contains('/') {
        "is a URL, not a host name"
    } else if ip(text).is_some() || text.parse::<IpAddr>().is_ok() || is_numeric(text) {
        "is an IP address; a certificate names a host"
    } else if text.contains(':') {
        "has a port; web servers of MWAA listen on 443"
    } else if is_name(text) {
        return Ok(text.to_ascii_lowercase());
    } else {
        "is not a host name"
    };
    Err(Complaint::new(what).hint(HINT))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::config) type Reader = fn(&str) -> Result<String, Complaint>;

    pub(in crate::config) fn accepts(read: Reader, pairs: &[(&str, &str)]) {
        for (text, wanted) in pairs {
            assert_eq!(read(text).as_deref(), Ok(*wanted), "{text}");
        }
    }

    pub(in crate::config) fn refuses(read: Reader, texts: &[&str]) {
        for text in texts {
            assert!(read(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn host_entries() {
        accepts(
            host_entry,
            &[
                ("Airflow.Corp.example:8080", "airflow.corp.example:8080"),
                ("gateway", "gateway"),
                ("my_service:80", "my_service:80"),
                ("name.", "name."),
                ("10.1.2.3:8080", "10.1.2.3:8080"),
                ("[::1]:8080", "[::1]:8080"),
                ("[::1]", "[::1]"),
            ],
        );
        refuses(
            host_entry,
            &[
                "*",
                "*.corp",
                "a b",
                "",
                ":80",
                "a:",
                "a:0",
                "a:080",
                "a:70000",
                "http://a",
                "a/b",
                "u@a",
                "0.0.0.0:1",
                "[::]",
                "::1",
                "0x7f.1",
                "2130706433",
                "a..",
                "-a",
                "é.example",
                "a\n",
            ],
        );
    }

    #[test]
    fn dial_targets_and_domains() {
        accepts(
            host_port,
            &[
                ("127.0.0.1:8443", "127.0.0.1:8443"),
                ("[::1]:1", "[::1]:1"),
                ("bastion.corp:443", "bastion.corp:443"),
            ],
        );
        refuses(
            host_port,
            &["bastion", "a:0", "https://a:1", "a:1/", "u@a:1", ":1", ""],
        );
        accepts(domain, &[("Airflow.corp.example", "airflow.corp.example")]);
        refuses(
            domain,
            &[
                "https://a",
                "a:443",
                "a/b",
                "10.0.0.1",
                "::1",
                "[::1]",
                "1",
                "0x1",
                "a.",
                "",
            ],
        );
    }
}
