//! The header section of a web server's response, on its way to the client.

use http::HeaderMap;
use http::header::{
    ACCEPT_RANGES, CONNECTION, CONTENT_LENGTH, ETAG, HeaderName, HeaderValue, REFERRER_POLICY,
    TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use mwaa_model::RequestId;

/// Removes hop-by-hop fields and those that `Connection` names (RFC 9110 section 7.6.1),
/// credentials, and fields that are valid only for the web server's own origin.
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

    let removed: Vec<HeaderName> = headers
        .keys()
        .filter(|name| !is_forwarded(name) || nominated.contains(name))
        .cloned()
        .collect();
    // collected first: the map cannot change while its names are read
    for name in removed {
        headers.remove(name);
    }
}

/// Returns true for a field that is passed on to the client.
fn is_forwarded(name: &HeaderName) -> bool {
    let name = name.as_str();
    // cookies belong to the gateway's session; the others are about the connection or the host
    let is_removed = matches!(
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

    // only the gateway itself may send fields of these names
    !is_removed && !name.starts_with("access-control-") && !name.starts_with("mwaa-gateway-")
}

/// Adds the headers that keep a page of Airflow within its own origin, where Airflow sends none.
/// Frames of the same origin remain allowed (Airflow 3 shows the FAB provider's pages in one), and
/// so does the `Referer` (Airflow 2 compares it with the Host).
pub(super) fn add_security(headers: &mut HeaderMap) {
    for (name, value) in SECURITY_HEADERS {
        headers.entry(name).or_insert(value);
    }
}

/// Removes the fields that are valid only for the body as the web server sent it.
pub(super) fn remove_body_fields(headers: &mut HeaderMap) {
    for name in [CONTENT_LENGTH, ETAG, ACCEPT_RANGES] {
        headers.remove(name);
    }
}

/// Adds the request's id, which every response has.
pub(super) fn set_request_id(headers: &mut HeaderMap, id: RequestId) {
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
}

const REQUEST_ID: HeaderName = HeaderName::from_static("mwaa-gateway-request-id");

const SECURITY_HEADERS: [(HeaderName, HeaderValue); 5] = [
    (X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

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
