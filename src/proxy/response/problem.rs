//! A fault as a response: `application/problem+json` (RFC 9457), or a page.

use super::local::set_page_headers;
use super::set_request_id;
use super::{Response, ResponseBody};
use bytes::Bytes;
use mwaa_http1::encode;
use mwaa_http1::name::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, MWAA_GATEWAY_FAULT,
    RETRY_AFTER,
};
use mwaa_model::{Fault, RequestId};
use mwaa_pages::FaultPage;
use serde::Serialize;
use std::borrow::Cow;

/// Returns the fault as JSON.
pub fn from_fault(fault: &dyn Fault, id: RequestId) -> Response {
    make_json_response(fault, ProblemDetails::new(fault, id).to_json(), id)
}

/// Returns the same as the bytes of a whole message (RFC 9112 section 2.1), for a head that could
/// not become a request. The connection closes after it.
pub fn encode_fault(fault: &dyn Fault, id: RequestId) -> Bytes {
    let body = ProblemDetails::new(fault, id).to_json();
    let mut response = make_json_response(fault, body.clone(), id);
    let headers = &mut response.headers;
    headers.set(CONNECTION, "close");
    headers.set(CONTENT_LENGTH, body.len().to_string());

    // there is no request whose response the connection could send
    let mut message = Vec::new();
    encode::status_line(&mut message, response.status);
    response.headers.encode(&mut message, |_name| true);
    encode::end_head(&mut message);
    message.extend_from_slice(&body);
    Bytes::from(message)
}

/// Returns the fault as a page, with the same text, status and headers. `home` is the address of
/// the overview, if it can be reached from there.
pub fn render_fault_page(fault: &dyn Fault, id: RequestId, home: Option<&str>) -> Response {
    let content = mwaa_pages::render_fault(&FaultPage {
        code: fault.code(),
        detail: &fault.detail_without_links(),
        hint: &fault.hint(),
        request_id: &id.to_string(),
        retry_after: fault.retry_after(),
        links: fault.alternatives(),
        home,
    });

    let mut response = make_response(fault, content);
    set_page_headers(&mut response.headers);
    set_request_id(&mut response.headers, id);
    response
}

/// The members of a problem (RFC 9457 section 3), and ours.
#[derive(Serialize)]
pub(super) struct ProblemDetails<'a> {
    r#type: &'static str,
    code: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    hint: Cow<'a, str>,
    request_id: String,
}

impl<'a> ProblemDetails<'a> {
    pub(super) fn new(fault: &'a dyn Fault, id: RequestId) -> Self {
        let code = fault.code();
        Self {
            // the code is in a member of its own, so there is no URI for it
            r#type: "about:blank",
            code: code.text,
            title: code.title,
            status: code.status.as_u16(),
            detail: fault.detail(),
            hint: fault.hint(),
            request_id: id.to_string(),
        }
    }

    fn to_json(&self) -> Bytes {
        let mut body = serde_json::to_vec_pretty(self).unwrap_or_default();
        body.push(b'\n');
        Bytes::from(body)
    }
}

fn make_json_response(fault: &dyn Fault, body: Bytes, id: RequestId) -> Response {
    let mut response = make_response(fault, body);
    let headers = &mut response.headers;
    headers.set(CONTENT_TYPE, "application/problem+json");
    set_request_id(headers, id);
    response
}

/// Returns a response with the fault's status and headers.
fn make_response(fault: &dyn Fault, body: Bytes) -> Response {
    let code = fault.code();
    let mut response = Response::new(ResponseBody::from_bytes(body));
    response.status = code.status;
    let headers = &mut response.headers;
    // a fault may be over a moment later
    headers.set(CACHE_CONTROL, "no-store");
    headers.set(MWAA_GATEWAY_FAULT, code.text);

    if let Some(allow) = fault.allow() {
        headers.set(ALLOW, allow);
    }
    if fault.ends_connection() {
        headers.set(CONNECTION, "close");
    }
    if let Some(seconds) = get_retry_after(fault) {
        headers.set(RETRY_AFTER, seconds.to_string());
    }
    response
}

/// Returns the time after which a second request makes sense, in whole seconds.
pub(super) fn get_retry_after(fault: &dyn Fault) -> Option<u64> {
    let after = fault.retry_after()?;
    Some(after.as_secs() + u64::from(after.subsec_nanos() > 0))
}
