//! Values that name hosts: names, `host:port`, domains, origins of web pages, URLs.

use super::address::is_loopback;
use super::diagnostics::ValueError;
use http::Uri;
use mwaa_model::{ProxyChoice, ProxyConfig, ProxyUrl, StoreAddress, strip_brackets};
use std::net::IpAddr;

/// Parses an entry of `listener.hosts`: `name` or `name:port`; returns it in lower case.
pub(super) fn parse_host_entry(text: &str) -> Result<String, ValueError> {
    let bad = || {
        ValueError::new("is not a host name")
            .with_hint("write \"name\" or \"name:port\", as in the client's Host header")
    };
    // DNS rebinding works with any name that matches
    if text.contains('*') {
        return Err(
            ValueError::new("is a pattern; only exact names are allowed")
                .with_hint("list each name that clients use"),
        );
    }
    if text.contains("://") {
        return Err(
            ValueError::new("is a URL, not a host name").with_hint("leave out the scheme")
        );
    }

    let (host, _) = split_port(text).ok_or_else(bad)?;
    match parse_ip(host) {
        Some(address) if address.is_unspecified() => Err(ValueError::new(
            "is a bind address, not a name that clients use",
        )
        .with_hint("list the name or address in the URLs that clients use")),
        Some(_) => Ok(text.to_ascii_lowercase()),
        // clients may write the root's dot (RFC 3986 section 3.2.2)
        None if is_host_name(host.strip_suffix('.').unwrap_or(host)) => {
            Ok(text.to_ascii_lowercase())
        }
        None => Err(bad()),
    }
}

/// Parses `connect_to`: `host:port`.
pub(super) fn parse_host_port(text: &str) -> Result<String, ValueError> {
    match split_port(text) {
        Some((host, Some(_))) if parse_ip(host).is_some() || is_host_name(host) => {
            Ok(text.to_owned())
        }
        _ => Err(ValueError::new("is not of the form host:port")
            .with_hint("write the local end of the tunnel: \"127.0.0.1:8443\"")),
    }
}

/// Parses `custom_domain`: a bare host name; returns it in lower case.
pub(super) fn parse_domain(text: &str) -> Result<String, ValueError> {
    const HINT: &str = "write only the host name: \"airflow.corp.example\"";
    let message = if text.contains("://") || text.contains('/') {
        "is a URL, not a host name"
    } else if parse_ip(text).is_some() || text.parse::<IpAddr>().is_ok() || is_numeric(text) {
        "is an IP address; a certificate names a host"
    } else if text.contains(':') {
        "has a port; MWAA's web servers listen on 443"
    } else if is_host_name(text) {
        return Ok(text.to_ascii_lowercase());
    } else {
        "is not a host name"
    };
    Err(ValueError::new(message).with_hint(HINT))
}

/// Parses an origin, `scheme://host[:port]`; returns it in the form in which browsers send it: lower
/// case, and without the scheme's own port (RFC 6454 section 6.2).
pub(super) fn parse_origin(text: &str) -> Result<String, ValueError> {
    let bad = |hint: &str| {
        Err(
            ValueError::new("is not an origin of the form scheme://host[:port]")
                .with_hint(hint),
        )
    };
    // sandboxed frames of any site send "null"
    if text.contains('*') || text == "null" {
        return Err(
            ValueError::new("would allow every web page").with_hint("list exact origins")
        );
    }

    let Some((scheme, authority)) = text.split_once("://") else {
        return bad("add the scheme: \"https://tool.example\"");
    };
    // RFC 3986 section 3.1; extensions of browsers have schemes of their own
    let in_scheme = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    let is_scheme =
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(in_scheme);
    if let Some((bare, _)) = authority.split_once('/') {
        return bad(&format!("leave out the path: \"{scheme}://{bare}\""));
    }
    let Some((host, port)) = split_port(authority) else {
        return bad("check the port");
    };
    if !is_scheme || !(parse_ip(host).is_some() || is_host_name(host)) {
        return bad("copy it from the browser's Origin header");
    }

    let scheme = scheme.to_ascii_lowercase();
    let host = host.to_ascii_lowercase();
    Ok(match (scheme.as_str(), port) {
        ("https", Some(443)) | ("http", Some(80)) | (_, None) => format!("{scheme}://{host}"),
        (_, Some(port)) => format!("{scheme}://{host}:{port}"),
    })
}

/// Parses the URL of a collector: `http` or `https`, a host, and perhaps a port and a path.
pub(super) fn parse_collector_url(text: &str) -> Result<String, ValueError> {
    let uri = text.parse::<Uri>().ok();
    let is_url = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.query().is_none()
            && uri
                .authority()
                .is_some_and(|authority| !authority.as_str().contains('@'))
    });
    if !is_url || text.contains('#') {
        return Err(ValueError::new("is not the URL of a collector").with_hint(
            "write \"http://host:4317\"; secrets belong into OTEL_EXPORTER_OTLP_HEADERS",
        ));
    }
    Ok(text.to_owned())
}

/// Parses `endpoint_url`: https, or http on loopback only; no userinfo, query or fragment.
pub(super) fn parse_endpoint_url(text: &str) -> Result<String, ValueError> {
    let bad = |what: &str| {
        Err(ValueError::new(what).with_hint(
            "write \"https://host[:port]\", or \"http://127.0.0.1:PORT\" for an emulator",
        ))
    };
    // the parser drops a fragment without an error
    if text.contains('#') {
        return bad("has a fragment");
    }
    let Ok(uri) = text.parse::<Uri>() else {
        return bad("is not a URL");
    };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return bad("is not a URL with a scheme and a host");
    };
    if authority.as_str().contains('@') {
        return bad("contains a user name; the gateway only signs with AWS credentials");
    }
    if uri.query().is_some() {
        return bad("has a query");
    }
    if split_port(authority.as_str()).is_none() {
        return bad("has no usable port");
    }

    let host = authority.host();
    let address = parse_ip(host);
    if address.is_none() && !is_host_name(host) {
        return bad("has no usable host name");
    }

    // RFC 6761 section 6.3: names below localhost are loopback too
    let name = host.to_ascii_lowercase();
    let local =
        address.is_some_and(is_loopback) || name == "localhost" || name.ends_with(".localhost");
    match scheme {
        "https" => Ok(text.to_owned()),
        "http" if local => Ok(text.to_owned()),
        "http" => bad("uses plain http to another machine: tokens would be sent unencrypted"),
        _ => bad("has a scheme other than https"),
    }
}

/// Parses the address of a fleet's store. Its password belongs in a file.
pub(super) fn parse_store(text: &str) -> Result<StoreAddress, ValueError> {
    StoreAddress::parse(text)
        .map_err(|error| ValueError::new(error.reason).with_hint(error.hint))
}

/// Parses the URL of a proxy; empty text means none. Its user and password belong in a file.
pub(super) fn parse_proxy(text: &str) -> Result<ProxyChoice, ValueError> {
    if text.is_empty() {
        return Ok(ProxyChoice::Off);
    }
    let form = "write \"socks5h://HOST:PORT\", \"socks5://…\", \"http://…\" or \"https://…\"";
    // curl assumes http, which is often wrong
    if !text.contains("://") {
        return Err(ValueError::new("has no scheme").with_hint(form));
    }
    let (url, user) =
        ProxyUrl::parse(text).map_err(|what| ValueError::new(what).with_hint(form))?;

    // no secret belongs in this file
    if user.is_some() {
        return Err(ValueError::new("contains a user or a password").with_hint(
            "put user:password into a separate file and name it in user_file (for \
             an environment: proxy_user_file)",
        ));
    }
    Ok(ProxyChoice::Through(ProxyConfig {
        url,
        user_file: None,
    }))
}

/// Returns true if the text is a host name: dot-separated labels of letters, digits, `-` and `_`
/// (which container networks use), in ASCII, without a final dot.
fn is_host_name(text: &str) -> bool {
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

/// Returns true if resolvers may read the text as an IPv4 address: its last label is a number, in
/// decimal, hexadecimal or octal (WHATWG URL, "ends in a number").
fn is_numeric(text: &str) -> bool {
    // inet_aton reads `0x7f.1` and `2130706433` as 127.0.0.1
    let last = text.rsplit('.').next().unwrap_or(text);
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    last.bytes().all(|b| b.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Splits `host[:port]`; the host of `[::1]:80` keeps its brackets.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let port = |digits: &str| {
        let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        plain.then(|| digits.parse().ok()).flatten()
    };
    match mwaa_model::split_port(text) {
        (host, Some(digits)) => port(digits).map(|number| (host, Some(number))),
        (host, None) => Some((host, None)),
    }
}

/// Returns the address that a host is, if it is one; IPv6 in brackets, as in URLs.
fn parse_ip(host: &str) -> Option<IpAddr> {
    // an IPv6 address needs its brackets, an IPv4 address has none
    let bare = strip_brackets(host);
    let address: IpAddr = bare.parse().ok()?;
    (address.is_ipv6() == (bare.len() < host.len())).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Reader = fn(&str) -> Result<String, ValueError>;

    fn accepts(read: Reader, pairs: &[(&str, &str)]) {
        for (text, wanted) in pairs {
            assert_eq!(read(text).as_deref(), Ok(*wanted), "{text}");
        }
    }

    fn rejects(read: Reader, texts: &[&str]) {
        for text in texts {
            assert!(read(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn host_entries() {
        accepts(
            parse_host_entry,
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
        rejects(
            parse_host_entry,
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
            parse_host_port,
            &[
                ("127.0.0.1:8443", "127.0.0.1:8443"),
                ("[::1]:1", "[::1]:1"),
                ("bastion.corp:443", "bastion.corp:443"),
            ],
        );
        rejects(
            parse_host_port,
            &["bastion", "a:0", "https://a:1", "a:1/", "u@a:1", ":1", ""],
        );
        accepts(
            parse_domain,
            &[("Airflow.corp.example", "airflow.corp.example")],
        );
        rejects(
            parse_domain,
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

    #[test]
    fn origins_are_written_as_browsers_do() {
        accepts(
            parse_origin,
            &[
                ("HTTPS://Tool.example:443", "https://tool.example"),
                ("http://localhost:3000", "http://localhost:3000"),
                ("http://[::1]:80", "http://[::1]"),
                ("chrome-extension://abcdef", "chrome-extension://abcdef"),
            ],
        );
        rejects(
            parse_origin,
            &[
                "*",
                "null",
                "tool.example",
                "https://a/",
                "https://*.a",
                "https://a:x",
                "://a",
                "",
            ],
        );
    }

    #[test]
    fn endpoints_are_encrypted_or_local() {
        for good in [
            "https://mwaa.example",
            "https://vpce-1.example:8443/x",
            "http://127.0.0.1:4566",
            "http://localhost:1",
            "http://[::1]:1",
            "http://env.localhost:1",
        ] {
            assert_eq!(parse_endpoint_url(good).as_deref(), Ok(good));
        }
        rejects(
            parse_endpoint_url,
            &[
                "http://mwaa.example",
                "http://localhost.evil.example",
                "http://127.0.0.1.evil.example",
                "https://u:p@mwaa.example",
                "https://mwaa.example/?a=b",
                "https://mwaa.example/#a",
                "ftp://127.0.0.1",
                "mwaa.example",
                "/x",
                "",
                "https://",
                "https://a:99999",
            ],
        );
    }
}
