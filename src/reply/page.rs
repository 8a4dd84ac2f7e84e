//! Our own pages as responses: nothing of them may be framed, sniffed, cached, or read by a
//! page that stands in the same origin.

use super::{Reply, ReplyStream, problem, stamp};
use crate::names::{Fault, RequestId};
use crate::pages::{self, Asset, FaultPage};
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response};

/// A page of our own.
pub fn page(content: Bytes, id: RequestId) -> Reply {
    let mut response = Response::new(ReplyStream::Whole(Some(content)));
    dress(response.headers_mut());
    stamp(response.headers_mut(), id);
    response
}

/// What a page is made of.
pub fn asset(asset: Asset, id: RequestId) -> Reply {
    let content = Bytes::from_static(asset.text.as_bytes());
    let mut response = Response::new(ReplyStream::Whole(Some(content)));
    let headers = response.headers_mut();
    dress(headers);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.media));
    // small and local: asked for again with each page, so that none outlives an upgrade
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    stamp(headers, id);
    response
}

/// A fault as a page: it says what [`fault`](super::fault) says, with the same status and
/// headers. `home` is the address of the overview, if it can be reached from there.
pub fn fault_page(fault: &dyn Fault, id: RequestId, home: Option<&str>) -> Reply {
    let content = pages::fault(&FaultPage {
        code: fault.code(),
        detail: &format!("{fault:#}"),
        hint: &fault.hint(),
        request_id: &id.to_string(),
        retry_after: fault.retry_after(),
        links: fault.elsewhere(),
        home,
    });
    let mut response = problem::headed(fault, content);
    dress(response.headers_mut());
    stamp(response.headers_mut(), id);
    response
}

pub(super) fn dress(headers: &mut HeaderMap) {
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CROSS_ORIGIN_EMBEDDER_POLICY, "require-corp"),
        (CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
        (CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
        (REFERRER_POLICY, "same-origin"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Nothing but our own files; forms may go to the environment and on to its real host.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; \
    script-src 'self'; connect-src 'self'; form-action 'self' https:; base-uri 'none'; \
    frame-ancestors 'none'";
/// With the embedder policy beside it the opener policy never matches that of an environment's
/// page in the same origin (HTML standard, "matching cross-origin opener policies"): a page that
/// opens one of ours gets no hold of its window.
const CROSS_ORIGIN_OPENER_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-opener-policy");
/// See above.
const CROSS_ORIGIN_EMBEDDER_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-embedder-policy");
/// Not for the pages of other origins.
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");
