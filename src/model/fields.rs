//! The header fields of the client that are forwarded to the web server. All others are dropped,
//! so their values need no check.

use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_ENCODING,
    CONTENT_LANGUAGE, CONTENT_TYPE, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    IF_RANGE, IF_UNMODIFIED_SINCE, PRAGMA, RANGE, USER_AGENT,
};

/// Forwarded with every request: the client's name, and its trace (W3C Trace Context).
pub static ALWAYS_FORWARDED: [HeaderName; 3] = [
    USER_AGENT,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// Forwarded to the UI and the REST API too: content, negotiation, conditions, ranges, and the
/// fields of Airflow's own scripts (`X-CSRFToken`, `X-Requested-With`).
pub static FORWARDED: [HeaderName; 17] = [
    ACCEPT,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_TYPE,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    IF_UNMODIFIED_SINCE,
    PRAGMA,
    RANGE,
    // RFC 7240
    HeaderName::from_static("prefer"),
    HeaderName::from_static("x-csrftoken"),
    HeaderName::from_static("x-requested-with"),
];

/// Returns true if a header field of the client is forwarded to the web server.
pub fn is_forwarded(name: &HeaderName) -> bool {
    ALWAYS_FORWARDED.contains(name) || FORWARDED.contains(name)
}
