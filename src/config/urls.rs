//! Values that are URLs or nearly: origins of web pages, the MWAA endpoint.

use super::address::is_loopback;
use super::hosts::{ip, is_name, split_port};
use super::problems::Complaint;
use crate::names::{Proxy, ProxyChoice, ProxyUrl};
use http::Uri;

/// Reads an origin, `scheme://host[:port]`, into the form in which browsers send it: lower
/// case, and without the scheme's own port (RFC 6454 section 6.2).
pub(super) fn origin(text: &str) -> Result<String, Complaint> {
    let bad = |hint: &str| {
        Err(Complaint::new("is not an origin of the form scheme://host[:port]").hint(hint))
    };
    if text.contains('*') || text == "null" {
        return Err(Complaint::new("would let any web page in").hint("list exact origins"));
    }
    let Some((scheme, authority)) = text.split_once("://") else {
        return bad("write the scheme too, as in \"https://tool.example\"");
    };
    let known = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    if let Some((bare, _)) = authority.split_once('/') {
        return bad(&format!("leave out the path: \"{scheme}://{bare}\""));
    }
    let Some((host, port)) = split_port(authority) else {
        return bad("check the port");
    };
    if !known || !(ip(host).is_some() || is_name(host)) {
        return bad("copy it from the browser's Origin header");
    }
    let scheme = scheme.to_ascii_lowercase();
    let host = host.to_ascii_lowercase();
    Ok(match (scheme.as_str(), port) {
        ("https", Some(443)) | ("http", Some(80)) | (_, None) => format!("{scheme}://{host}"),
        (_, Some(port)) => format!("{scheme}://{host}:{port}"),
    })
}

/// Reads `endpoint_url`: https, or http on loopback only; no userinfo, query or fragment.
pub(super) fn endpoint_url(text: &str) -> Result<String, Complaint> {
    let bad = |what: &str| {
        Err(Complaint::new(what).hint(
            "write \"https://host[:port]\", or \"http://127.0.0.1:PORT\" for an emulator",
        ))
    };
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
        return bad("holds a user name; the gateway signs with AWS credentials only");
    }
    if uri.query().is_some() {
        return bad("has a query");
    }
    let host = authority.host();
    let Some((_, _)) = split_port(authority.as_str()) else {
        return bad("has no usable port");
    };
    let address = ip(host);
    if address.is_none() && !is_name(host) {
        return bad("has no usable host name");
    }
    let name = host.to_ascii_lowercase();
    let local =
        address.is_some_and(is_loopback) || name == "localhost" || name.ends_with(".localhost");
    match scheme {
        "https" => Ok(text.to_owned()),
        "http" if local => Ok(text.to_owned()),
        "http" => bad("uses plain http to another machine: tokens would travel unencrypted"),
        _ => bad("has a scheme other than https"),
    }
}

/// Reads the URL of a proxy; empty text is none. Its user and password stand in a file.
pub(super) fn proxy(text: &str) -> Result<ProxyChoice, Complaint> {
    if text.is_empty() {
        return Ok(ProxyChoice::Off);
    }
    let form = "write \"socks5h://HOST:PORT\", \"socks5://…\", \"http://…\" or \"https://…\"";
    if !text.contains("://") {
        return Err(Complaint::new("has no scheme").hint(form));
    }
    let (url, user) = ProxyUrl::parse(text).map_err(|what| Complaint::new(what).hint(form))?;
    if user.is_some() {
        return Err(Complaint::new("holds a user or a password")
            .hint("put user:password into a file of its own and name it in user_file (for an environment: proxy_user_file)"));
    }
    Ok(ProxyChoice::Through(Proxy {
        url,
        user_file: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::super::hosts::tests::{accepts, refuses};
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_do() {
        accepts(
            origin,
            &[
                ("HTTPS://Tool.example:443", "https://tool.example"),
                ("http://localhost:3000", "http://localhost:3000"),
                ("http://[::1]:80", "http://[::1]"),
                ("chrome-extension://abcdef", "chrome-extension://abcdef"),
            ],
        );
        refuses(
            origin,
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
            assert_eq!(endpoint_url(good).as_deref(), Ok(good));
        }
        refuses(
            endpoint_url,
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
