//! The client's header fields that are passed on to the web server. All others stay here, so
//! their values need not be looked at.

use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_ENCODING,
    CONTENT_LANGUAGE, CONTENT_TYPE, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    IF_RANGE, IF_UNMODIFIED_SINCE, PRAGMA, RANGE, USER_AGENT,
};

/// Passed on with every request: what the client is, and its trace (W3C Trace Context).
pub const TRACED: [HeaderName; 3] = [
    USER_AGENT,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// Passed on besides, to the UI and the REST API: content, negotiation, conditions, ranges, and
/// what Airflow's own scripts send (`X-CSRFToken`, `X-Requested-With`).
pub const FORWARDED: [HeaderName; 17] = [
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
    HeaderName::from_static("prefer"),
    HeaderName::from_static("x-csrftoken"),
    HeaderName::from_static("x-requested-with"),
];

/// Whether a field of the client is passed on to the web server.
pub fn is_forwarded(name: &HeaderName) -> bool {
    TRACED.contains(name) || FORWARDED.contains(name)
}
