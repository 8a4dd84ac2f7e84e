//! Response hygiene: what the web server says that is not for the client.

use http::HeaderMap;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING};

/// Removes hop-by-hop fields and those that `Connection` names (RFC 9110 section 7.6.1),
/// credentials, and what holds only for the web server's own origin.
pub(super) fn strip(headers: &mut HeaderMap) {
    // a length beside it is not the body's (RFC 9112 section 6.3)
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    let nominated: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let dropped: Vec<HeaderName> = headers
        .keys()
        .filter(|name| !is_forwarded(name) || nominated.contains(name))
        .cloned()
        .collect();
    for name in dropped {
        headers.remove(name);
    }
}

/// Whether a field passes back.
fn is_forwarded(name: &HeaderName) -> bool {
    let name = name.as_str();
    let kept_here = matches!(
        name,
        "alt-svc"
            | "clear-site-data"
            | "connection"
            | "keep-alive"
            | "nel"
            | "proxy-authenticate"
            | "proxy-connection"
            | "public-key-pins"
            | "report-to"
            | "set-cookie"
            | "strict-transport-security"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "www-authenticate"
    );
    // the last are ours alone to say
    !kept_here && !name.starts_with("access-control-") && !name.starts_with("mwaa-gateway-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_for_the_client_stays() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "application/json"),
            ("connection", "close, X-Secret"),
            ("x-secret", "1"),
            ("set-cookie", "session=1"),
            ("access-control-allow-origin", "*"),
            ("mwaa-gateway-fault", "forged"),
            ("keep-alive", "timeout=5"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        strip(&mut headers);
        assert_eq!(
            headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(),
            ["content-type"]
        );
    }
}
