//! Heads that could not become a request: they are answered, counted and logged like any other
//! refusal, though nothing is known of them.

use super::Shared;
use crate::listener::BadHead;
use crate::names::{Code, Fault, RequestId, code};
use crate::reply;
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// Counts and logs the refusal, and makes the whole reply.
pub fn refuse_head(shared: &Shared, bad_head: BadHead) -> Bytes {
    let (id, fault) = (RequestId::next(), Refused(bad_head));
    let code = fault.code();
    shared.metrics.fault(code);
    shared
        .metrics
        .request("fault", code.status.as_u16(), Duration::ZERO);
    tracing::debug!(%id, code = code.text, detail = %fault, "refused");
    reply::fault_bytes(&fault, id)
}

#[derive(Debug)]
struct Refused(BadHead);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            BadHead::Http2 => "the client speaks HTTP/2",
            BadHead::PlainOnTls => "the client speaks plain HTTP to a port that speaks TLS",
            BadHead::TargetTooLong => "the request target is longer than limits.target_size",
            BadHead::TlsOnPlain => "the client speaks TLS to a port that speaks plain HTTP",
            BadHead::TooLarge => {
                "the head is larger than limits.head_size, or has too many header fields"
            }
            BadHead::Malformed => "the head is not that of an HTTP/1.1 request",
        })
    }
}

impl std::error::Error for Refused {}

impl Fault for Refused {
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
            BadHead::PlainOnTls => "write https:// in the URL".into(),
            BadHead::TlsOnPlain => "write http:// in the URL".into(),
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
