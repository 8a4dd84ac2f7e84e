//! The outgoing head: made from parsed values only, from an allow-list, with the key last.

use super::dial::Outgoing;
use crate::credential::Keyed;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body_util::Full;

/// The request for `/aws_mwaa/cli`: our canonical command, one length, one Host, one key.
pub(super) fn cli(keyed: &Keyed) -> Request<Outgoing> {
    let permitted = keyed.seated().permitted();
    let mut request = Request::new(Full::new(permitted.command().clone()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static("/aws_mwaa/cli");
    let headers = request.headers_mut();
    *headers = HeaderMap::with_capacity(MOST_FIELDS);
    for name in FORWARDED {
        if let Some(value) = permitted.headers().get(&name) {
            headers.insert(name, value.clone());
        }
    }
    headers.entry(USER_AGENT).or_insert(OURS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(HOST, keyed.live().host_field().clone());
    headers.insert(AUTHORIZATION, keyed.live().authorization().clone());
    request
}

/// What passes of the client's own headers: who it is, and its trace (W3C Trace Context).
const FORWARDED: [HeaderName; 3] = [
    USER_AGENT,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// What is forwarded, what is ours and hyper's length: the map never grows.
const MOST_FIELDS: usize = 3 + 4;

/// For clients that do not say who they are.
const OURS: HeaderValue =
    HeaderValue::from_static(concat!("mwaa-gateway/", env!("CARGO_PKG_VERSION")));
