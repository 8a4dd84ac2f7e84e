//! A fault as a response: `application/problem+json` (RFC 9457).

use super::ReplyStream;
use crate::names::{Fault, RequestId};
use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER,
};
use http::{HeaderName, HeaderValue, Response};
use serde::Serialize;
use std::borrow::Cow;

/// A fault as RFC 9457 has it.
#[derive(Serialize)]
pub(super) struct Problem<'a> {
    r#type: &'static str,
    code: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    hint: Cow<'a, str>,
    request_id: String,
}

impl<'a> Problem<'a> {
    pub(super) fn of(fault: &'a dyn Fault, id: RequestId) -> Self {
        let code = fault.code();
        Self {
            r#type: "about:blank",
            code: code.text,
            title: code.title,
            status: code.status.as_u16(),
            detail: fault.to_string(),
            hint: fault.hint(),
            request_id: id.to_string(),
        }
    }
}

pub(super) fn response(fault: &dyn Fault, id: RequestId) -> Response<ReplyStream> {
    json(fault, body(fault, id))
}

fn json(fault: &dyn Fault, body: Bytes) -> Response<ReplyStream> {
    let mut response = headed(fault, body);
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    response
}

fn body(fault: &dyn Fault, id: RequestId) -> Bytes {
    let problem = Problem::of(fault, id);
    let mut body = serde_json::to_vec_pretty(&problem).unwrap_or_default();
    body.push(b'\n');
    Bytes::from(body)
}

/// The whole message, head and body (RFC 9112 section 2.1).
pub(super) fn bytes(fault: &dyn Fault, id: RequestId) -> Bytes {
    let body = body(fault, id);
    let mut response = json(fault, body.clone());
    super::stamp(response.headers_mut(), id);
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    let mut message = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
    for (name, value) in response.headers() {
        message.extend_from_slice(name.as_str().as_bytes());
        message.extend_from_slice(b": ");
        message.extend_from_slice(value.as_bytes());
        message.extend_from_slice(b"\r\n");
    }
    message.extend_from_slice(b"\r\n");
    message.extend_from_slice(&body);
    Bytes::from(message)
}

/// Any form of a fault: its status and what its headers say.
pub(super) fn headed(fault: &dyn Fault, body: Bytes) -> Response<ReplyStream> {
    let code = fault.code();
    let mut response = Response::new(ReplyStream::Whole(Some(body)));
    *response.status_mut() = code.status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(FAULT, HeaderValue::from_static(code.text));
    if let Some(allow) = fault.allow() {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    if fault.ends_connection() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(seconds) = retry_after(fault) {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// When to ask again, in whole seconds.
pub(super) fn retry_after(fault: &dyn Fault) -> Option<u64> {
    let after = fault.retry_after()?;
    Some(after.as_secs() + u64::from(after.subsec_nanos() > 0))
}

/// The fault's code, only on replies that the gateway itself made.
const FAULT: HeaderName = HeaderName::from_static("mwaa-gateway-fault");
