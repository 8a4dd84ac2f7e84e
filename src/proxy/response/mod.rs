//! The responses of the gateway: those of a web server, with their headers filtered and passed on or
//! rewritten, those to commands, and our own.
#![deny(clippy::wildcard_enum_match_arm)]

mod aws;
mod body;
mod command;
mod events;
mod links;
mod local;
mod problem;
mod redact;

pub use aws::{from_aws, from_aws_exception, from_aws_fault};
pub use body::ResponseBody;
pub use command::{OutputFormat, from_command, get_success, read_result};
pub use events::{Event, EventStream, LastEvent, from_events};
pub use links::{LinkRewriter, is_login_redirect};
pub use local::{
    clear_local_cookie, clear_local_cookies, create_token, from_asset, from_live, from_page,
    handover, no_events, redirect, see_other, set_local_cookie,
};
pub use mwaa_output::{CliOutput, CliResult, CommandFacts, OutputError, SuccessStatus};
pub use problem::{encode_fault, from_fault, render_fault_page};
pub(crate) use redact::is_json;
pub use redact::{RedactedBody, drop_nulls};

use crate::context::RequestContext;
use crate::upstream::UpstreamResponse;
use http::{Method, StatusCode};
use mwaa_auth::aws::RestApiResponse;
use mwaa_http1::name::{
    ACCEPT_RANGES, ACCESS_CONTROL_REQUEST_METHOD, ALT_SVC, CLEAR_SITE_DATA, CONNECTION,
    CONTENT_LENGTH, CONTENT_TYPE, CROSS_ORIGIN_OPENER_POLICY, CROSS_ORIGIN_RESOURCE_POLICY,
    ETAG, KEEP_ALIVE, MWAA_GATEWAY_FAULT, MWAA_GATEWAY_INVOKE, MWAA_GATEWAY_REPEATABLE,
    MWAA_GATEWAY_REPEATED, MWAA_GATEWAY_REQUEST_ID, MWAA_GATEWAY_SECRET,
    MWAA_GATEWAY_SUCCEEDED, NEL, PROXY_AUTHENTICATE, PROXY_CONNECTION, PUBLIC_KEY_PINS,
    REFERRER_POLICY, REPORT_TO, SET_COOKIE, STRICT_TRANSPORT_SECURITY, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use mwaa_http1::{Headers, Name, NameSet, ResponseHead};
use mwaa_model::RequestId;
use mwaa_policy::WebPermit;
use std::sync::LazyLock;

/// A response to the client.
pub type Response = mwaa_server::Response<ResponseBody>;

/// Returns a response with the status and the headers of the web server's. It is HTTP/1.1 with the
/// usual reason: a body without a length is then chunked, and cannot be taken for complete when it is
/// cut (RFC 9112 section 6.3).
fn from_head(head: ResponseHead, body: ResponseBody) -> Response {
    Response {
        status: head.status,
        headers: head.headers,
        body,
        half_close_cancels: false,
    }
}

/// Returns a web server's response as it is: its status, its headers less those that are not for
/// the client, its body byte for byte as it comes.
pub fn forward(upstream: UpstreamResponse, id: RequestId) -> Response {
    let (mut head, body) = upstream.into_parts();
    strip(&mut head.headers);
    set_request_id(&mut head.headers, id);
    from_head(head, ResponseBody::from_upstream(body))
}

/// Returns a response of the REST API or the UI: unchanged, except where it would lead around the
/// gateway or reveal the session. Its body is passed on as it comes. `host` is the web server.
pub fn from_web(
    upstream: UpstreamResponse,
    permit: &WebPermit,
    host: &str,
    ctx: &RequestContext,
) -> Response {
    let (mut head, body) = upstream.into_parts();
    strip(&mut head.headers);
    links::rewrite_locations(&mut head.headers, host, || ctx.origin());
    add_security(&mut head.headers);
    set_request_id(&mut head.headers, ctx.id());

    // a read-only client must not see the secrets that Airflow shows in some JSON documents
    if !permit.hidden().is_empty() && is_json(&head.headers) {
        tracing::debug!(members = ?permit.hidden(), "redacting the response");
        let body = RedactedBody::new(body, &head.headers, permit.hidden());
        remove_body_fields(&mut head.headers);
        return from_head(head, ResponseBody::redacted(body));
    }

    // a part of a page cannot be rewritten, and a body without links need not be
    let is_partial = matches!(
        head.status,
        StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED
    );
    if is_partial || !links::may_have_links(&head.headers) {
        return from_head(head, ResponseBody::from_upstream(body));
    }

    // the headers of a HEAD are those of a GET
    remove_body_fields(&mut head.headers);
    if *permit.method() == Method::HEAD {
        return from_head(head, ResponseBody::from_upstream(body));
    }
    let page = LinkRewriter::new(body, host, &ctx.origin());
    from_head(head, ResponseBody::rewritten(page))
}

/// Returns a response that came by `InvokeRestApi`.
pub fn from_rest_api(response: RestApiResponse, permit: &WebPermit, id: RequestId) -> Response {
    let body = if permit.hidden().is_empty() {
        response.body
    } else {
        // it was read as JSON, so this does not fail
        redact::redact(&response.body, permit.hidden()).unwrap_or_default()
    };

    // these have no body (RFC 9110 section 6.4.1), and AWS's document has an empty one
    let is_empty = matches!(
        response.status,
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
    );
    let mut answer = Response::new(if is_empty {
        ResponseBody::empty()
    } else {
        ResponseBody::from_bytes(body)
    });
    answer.status = response.status;

    let headers = &mut answer.headers;
    if !is_empty {
        headers.set(CONTENT_TYPE, "application/json");
    }
    add_security(headers);
    set_request_id(headers, id);
    answer
}

/// Removes hop-by-hop fields and those that `Connection` names (RFC 9110 section 7.6.1),
/// credentials, and fields that are valid only for the web server's own origin.
pub(super) fn strip(headers: &mut Headers) {
    // a length beside it is not the body's (RFC 9112 section 6.3)
    if headers.contains(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }

    // the usual options are no fields, or are removed anyway
    let nominated: Vec<_> = headers
        .get_all(CONNECTION)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|name| !matches!(*name, b"close" | b"keep-alive"))
        .map(<[u8]>::to_ascii_lowercase)
        .collect();
    headers.remove_all(REMOVED.union(OF_GATEWAY));
    if !nominated.is_empty() || headers.other_names().any(is_reserved) {
        headers.retain(|header| {
            let is_nominated = nominated.iter().any(|name| name == header.name);
            !is_nominated && (header.known.is_some() || !is_reserved(header.name))
        });
    }
}

/// Returns true for a name that only the gateway itself may send, and for `close`, which is an option of
/// the connection and no field (RFC 9110 section 18.4).
fn is_reserved(name: &[u8]) -> bool {
    let mut prefixes = RESERVED.iter();
    name == b"close" || prefixes.any(|prefix| name.starts_with(prefix.as_bytes()))
}

/// Adds the headers that keep a page of Airflow within its own origin, where Airflow sends none.
/// Frames of the same origin remain allowed (Airflow 3 shows the FAB provider's pages in one), and
/// so does the `Referer` (Airflow 2 compares it with the Host).
pub(super) fn add_security(headers: &mut Headers) {
    static ADDED: LazyLock<Headers> = LazyLock::new(|| {
        let added = ADDED_TO_PAGES.iter();
        added.map(|(name, value)| (name.as_str(), value)).collect()
    });
    headers.append_missing(&ADDED);
}

/// Removes the fields that are valid only for the body as the web server sent it.
pub(super) fn remove_body_fields(headers: &mut Headers) {
    for name in [CONTENT_LENGTH, ETAG, ACCEPT_RANGES] {
        headers.remove(name);
    }
}

/// Adds the request's id, which every response has.
pub(super) fn set_request_id(headers: &mut Headers, id: RequestId) {
    headers.set(
        MWAA_GATEWAY_REQUEST_ID,
        id.encode(&mut [0; RequestId::SIZE]),
    );
}

/// The fields of a web server that are not passed on: cookies belong to the gateway's session, and
/// the others are about the connection or the host.
pub const REMOVED: NameSet = NameSet::new(&[
    ALT_SVC,
    CLEAR_SITE_DATA,
    CONNECTION,
    KEEP_ALIVE,
    NEL,
    PROXY_AUTHENTICATE,
    PROXY_CONNECTION,
    PUBLIC_KEY_PINS,
    REPORT_TO,
    SET_COOKIE,
    STRICT_TRANSPORT_SECURITY,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    WWW_AUTHENTICATE,
]);

/// The beginnings of names that only the gateway itself may send, and the names with a constant that
/// begin so.
const RESERVED: [&str; 2] = ["access-control-", "mwaa-gateway-"];
const OF_GATEWAY: NameSet = NameSet::new(&[
    ACCESS_CONTROL_REQUEST_METHOD,
    MWAA_GATEWAY_FAULT,
    MWAA_GATEWAY_INVOKE,
    MWAA_GATEWAY_REPEATABLE,
    MWAA_GATEWAY_REPEATED,
    MWAA_GATEWAY_REQUEST_ID,
    MWAA_GATEWAY_SECRET,
    MWAA_GATEWAY_SUCCEEDED,
]);

/// The fields that pages of Airflow get where Airflow sends none, with their values.
pub const ADDED_TO_PAGES: [(Name, &str); 5] = [
    (X_FRAME_OPTIONS, "SAMEORIGIN"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "same-origin"),
    (CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
    (CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_gateway_are_reserved() {
        let all = NameSet::ALL.iter();
        let reserved = all.filter(|name| {
            RESERVED
                .iter()
                .any(|start| name.as_str().starts_with(start))
        });
        assert!(reserved.eq(OF_GATEWAY.iter()));
    }

    #[test]
    fn headers_that_are_not_for_the_client_are_removed() {
        let mut headers: Headers = [
            ("content-type", "application/json"),
            ("connection", "close, X-Secret"),
            ("x-secret", "1"),
            ("set-cookie", "session=1"),
            ("access-control-allow-origin", "*"),
            ("mwaa-gateway-fault", "forged"),
            ("keep-alive", "timeout=5"),
        ]
        .into_iter()
        .collect();
        strip(&mut headers);
        assert!(
            headers
                .iter()
                .map(|header| header.name)
                .eq([b"content-type"])
        );
    }
}
