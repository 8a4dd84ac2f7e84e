//! Replies that lead elsewhere (RFC 9110 section 15.4).

use super::{Reply, ReplyStream, stamp};
use crate::names::RequestId;
use http::header::{CACHE_CONTROL, LOCATION, REFERRER_POLICY};
use http::{HeaderValue, Response, StatusCode};

/// Leads to a path of ours.
pub fn redirect(path: HeaderValue, id: RequestId) -> Reply {
    lead(StatusCode::FOUND, path, "same-origin", id)
}

/// Leads to a path of ours, to be asked for with GET.
pub fn see_other(path: HeaderValue, id: RequestId) -> Reply {
    lead(StatusCode::SEE_OTHER, path, "same-origin", id)
}

/// Hands the browser over to the environment's own host. The address has a web token in its
/// fragment: nobody may keep it or be told of it.
pub fn handover(address: HeaderValue, id: RequestId) -> Reply {
    lead(StatusCode::SEE_OTHER, address, "no-referrer", id)
}

fn lead(status: StatusCode, to: HeaderValue, referrer: &'static str, id: RequestId) -> Reply {
    let mut response = Response::new(ReplyStream::Whole(None));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(LOCATION, to);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static(referrer));
    stamp(headers, id);
    response
}
