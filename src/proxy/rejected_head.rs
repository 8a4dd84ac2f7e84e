//! Heads that do not become a request: they are answered, counted and logged like any other
//! refusal, although nothing is known about them.

use crate::response;
use crate::state::ReverseProxy;
use bytes::Bytes;
use mwaa_http1::RequestError;
use mwaa_model::{Client, Code, Fault, RESTART, RequestId, code};
use mwaa_runtime::Timestamp;
use mwaa_server::BadHead;
use mwaa_telemetry::{AccessLine, RefusedRequest, RequestLabels};
use std::borrow::Cow;
use std::time::Duration;

/// Counts and logs the refusal, and returns the whole response.
pub fn reject_head(proxy: &ReverseProxy, bad_head: BadHead, client: &Client) -> Bytes {
    let id = RequestId::next();
    let fault = RejectedHead(bad_head);
    let code = fault.code();
    proxy.state.metrics.count_fault(code, None);
    let status = code.status.as_u16();
    let labels = RequestLabels {
        environment: None,
        status,
        kind: "fault",
    };
    proxy
        .metrics
        .count_request(labels, Duration::ZERO, |_none| None);

    let detail = fault.detail();
    let now = Timestamp::now();
    if proxy.access.is_on() {
        proxy.access.write(&AccessLine {
            id,
            client,
            method: "",
            path: "",
            user_agent: b"",
            environment: None,
            kind: None,
            command: None,
            status: Some(status),
            fault: Some((code.text, &detail)),
            received: 0,
            sent: 0,
            head: Duration::ZERO,
            total: Duration::ZERO,
            ended: now,
            queued: None,
            upstream: None,
            is_cut: false,
            trace: None,
        });
    } else {
        tracing::info!(%id, code = code.text, detail, "refused");
    }
    proxy.state.refusals.push(RefusedRequest {
        at: now,
        code,
        environment: None,
        // neither was read
        method: String::new(),
        path: String::new(),
        detail,
        id,
    });
    response::encode_fault(&fault, id)
}

/// The fault of a head that does not become a request.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct RejectedHead(pub(crate) BadHead);

impl Fault for RejectedHead {
    fn code(&self) -> &'static Code {
        match self.0 {
            BadHead::Http(RequestError::LineTooLong) => &code::TARGET,
            BadHead::Http(RequestError::TooLarge { .. } | RequestError::TooManyFields) => {
                &code::HEADERS
            }
            BadHead::Http(RequestError::Http2 | RequestError::Version) => &code::VERSION,
            BadHead::Stopping => &code::STOPPING,
            BadHead::Reloaded => &code::RELOADED,
            BadHead::Http(_) | BadHead::PlainOnTls | BadHead::TlsOnPlain => &code::MALFORMED,
        }
    }

    fn hint(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self.0 {
            BadHead::PlainOnTls => "use https:// in the URL",
            BadHead::TlsOnPlain => "use http:// in the URL",
            BadHead::Http(RequestError::TooManyFields) => {
                "send fewer header fields, or raise limits.header_count"
            }
            // otherwise most of it are cookies, which the code's advice is about
            BadHead::Http(RequestError::TooLarge { cookies, seen }) if cookies * 2 < seen => {
                "send fewer or shorter header fields, or raise limits.head_size"
            }
            BadHead::Http(
                RequestError::RequestLine
                | RequestError::Target
                | RequestError::LineEnd
                | RequestError::FieldName
                | RequestError::FieldValue,
            ) => {
                "send HTTP/1.1: lines that end with CR LF, spaces in the target as %20, no space \
                 before the colon of a header, no control characters"
            }
            BadHead::Http(_) | BadHead::Stopping | BadHead::Reloaded => self.code().advice,
        })
    }

    fn retry_after(&self) -> Option<Duration> {
        matches!(self.0, BadHead::Stopping).then_some(RESTART)
    }

    fn ends_connection(&self) -> bool {
        true
    }
}
