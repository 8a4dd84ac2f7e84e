//! Heads that could not become a request: they are answered, counted and logged like any other
//! refusal, although nothing is known about them.

use crate::response;
use crate::state::ReverseProxy;
use bytes::Bytes;
use mwaa_model::{Code, Fault, RequestId, code};
use mwaa_server::BadHead;
use std::borrow::Cow;
use std::time::Duration;

/// Counts and logs the refusal, and returns the whole response.
pub fn reject_head(proxy: &ReverseProxy, bad_head: BadHead) -> Bytes {
    let id = RequestId::next();
    let fault = RejectedHead(bad_head);
    let code = fault.code();
    proxy.state.metrics.count_fault(code);
    let status = code.status.as_u16();
    proxy.metrics.count_request("fault", status, Duration::ZERO);
    tracing::debug!(%id, code = code.text, detail = %fault, "refused");
    response::encode_fault(&fault, id)
}

#[derive(Debug, thiserror::Error)]
#[error("{}", match .0 {
    BadHead::Http2 => "the client uses HTTP/2",
    BadHead::PlainOnTls => "the client sent plain HTTP to a TLS port",
    BadHead::TargetTooLong => "the request target is longer than limits.target_size",
    BadHead::TlsOnPlain => "the client sent TLS to a plain HTTP port",
    BadHead::TooLarge => "the head is larger than limits.head_size, or has too many header fields",
    BadHead::Malformed => "the head is not an HTTP/1.1 request",
})]
struct RejectedHead(BadHead);

impl Fault for RejectedHead {
    fn code(&self) -> &'static Code {
        match self.0 {
            BadHead::TargetTooLong => &code::TARGET,
            BadHead::TooLarge => &code::HEADERS,
            BadHead::Http2 | BadHead::Malformed | BadHead::PlainOnTls | BadHead::TlsOnPlain => {
                &code::MALFORMED
            }
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        match self.0 {
            BadHead::Http2 => "use HTTP/1.1 (curl: --http1.1)".into(),
            BadHead::PlainOnTls => "use https:// in the URL".into(),
            BadHead::TlsOnPlain => "use http:// in the URL".into(),
            BadHead::Malformed => {
                "send HTTP/1.1: spaces in the target as %20, no space before the colon of a \
                 header, no control characters"
                    .into()
            }
            BadHead::TargetTooLong => self.code().advice.into(),
            BadHead::TooLarge => format!(
                "{}; or send fewer fields (limits.header_count)",
                self.code().advice
            )
            .into(),
        }
    }

    fn ends_connection(&self) -> bool {
        true
    }
}
