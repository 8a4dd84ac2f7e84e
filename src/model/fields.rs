//! The header fields of the client that are forwarded to the web server. All others are dropped,
//! so their values need no check.

use mwaa_http1::name::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_ENCODING,
    CONTENT_LANGUAGE, CONTENT_TYPE, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, PRAGMA, PREFER, RANGE, TRACEPARENT, TRACESTATE, USER_AGENT,
    X_CSRFTOKEN, X_REQUESTED_WITH,
};
use mwaa_http1::{Name, NameSet};

/// Forwarded with every request: the client's name, and its trace (W3C Trace Context).
pub const ALWAYS_FORWARDED: NameSet = NameSet::new(&[USER_AGENT, TRACEPARENT, TRACESTATE]);

/// Forwarded to the UI and the REST API too: content, negotiation (also RFC 7240), conditions, ranges,
/// and the fields of Airflow's own scripts (`X-CSRFToken`, `X-Requested-With`).
pub const FORWARDED: NameSet = NameSet::new(&[
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
    PREFER,
    RANGE,
    X_CSRFTOKEN,
    X_REQUESTED_WITH,
]);

/// Returns true if a header field of the client is forwarded to the web server.
pub fn is_forwarded(name: Name) -> bool {
    ALWAYS_FORWARDED.contains(name) || FORWARDED.contains(name)
}
