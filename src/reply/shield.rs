//! Headers that keep a page of Airflow within its own origin, where Airflow sends none.

use http::HeaderMap;
use http::header::{
    HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

/// Adds what is missing. Frames of the same origin stay allowed (Airflow 3 shows the FAB
/// provider's pages in one), and the `Referer` stays (Airflow 2 compares it with the Host).
pub(super) fn add(headers: &mut HeaderMap) {
    for (name, value) in SHIELD {
        headers.entry(name).or_insert(value);
    }
}

const SHIELD: [(HeaderName, HeaderValue); 5] = [
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
