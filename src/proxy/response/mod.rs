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
    clear_local_cookie, clear_local_cookies, create_token, from_asset, from_page, handover,
    redirect, see_other, set_local_cookie,
};
pub use mwaa_output::{CliOutput, CliResult, CommandFacts, OutputError, SuccessStatus};
pub use problem::{encode_fault, from_fault, render_fault_page};
pub(crate) use redact::is_json;
pub use redact::{RedactedBody, drop_nulls};

use crate::context::RequestContext;
use crate::upstream::UpstreamResponse;
use http::header::{
    ACCEPT_RANGES, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    REFERRER_POLICY, TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, Method, StatusCode};
use mwaa_auth::aws::RestApiResponse;
use mwaa_model::RequestId;
use mwaa_policy::WebPermit;

/// A response to the client.
pub type Response = http::Response<ResponseBody>;

/// Returns a web server's response as it is: its status, its headers less those that are not for
/// the client, its body byte for byte as it comes.
pub fn forward(upstream: UpstreamResponse, id: RequestId) -> Response {
    let (mut head, body) = upstream.into_parts();
    strip(&mut head.headers);
    set_request_id(&mut head.headers, id);
    Response::from_parts(head, ResponseBody::from_upstream(body))
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
        return Response::from_parts(head, ResponseBody::redacted(body));
    }

    // a part of a page cannot be rewritten, and a body without links need not be
    let is_partial = matches!(
        head.status,
        StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED
    );
    if is_partial || !links::may_have_links(&head.headers) {
        return Response::from_parts(head, ResponseBody::from_upstream(body));
    }

    // the headers of a HEAD are those of a GET
    remove_body_fields(&mut head.headers);
    if *permit.method() == Method::HEAD {
        return Response::from_parts(head, ResponseBody::from_upstream(body));
    }
    let page = LinkRewriter::new(body, host, &ctx.origin());
    Response::from_parts(head, ResponseBody::rewritten(page))
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
    *answer.status_mut() = response.status;

    let headers = answer.headers_mut();
    if !is_empty {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    add_security(headers);
    set_request_id(headers, id);
    answer
}

/// Removes hop-by-hop fields and those that `Connection` names (RFC 9110 section 7.6.1),
/// credentials, and fields that are valid only for the web server's own origin.
pub(super) fn strip(headers: &mut HeaderMap) {
    // a length beside it is not the body's (RFC 9112 section 6.3)
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }

    // collected first: the map cannot change while its names are read; usually there are few or none
    let mut removed: Vec<HeaderName> = Vec::new();
    removed.extend(headers.keys().filter(|name| !is_forwarded(name)).cloned());
    let nominating = headers.get_all(CONNECTION).iter();
    let nominated = nominating
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok());
    removed.extend(nominated);

    for name in removed {
        headers.remove(name);
    }
}

/// Returns true for a field that is passed on to the client.
fn is_forwarded(name: &HeaderName) -> bool {
    let name = name.as_str();
    let is_removed = REMOVED.contains(&name);

    // only the gateway itself may send fields of these names
    !is_removed && !name.starts_with("access-control-") && !name.starts_with("mwaa-gateway-")
}

/// Adds the headers that keep a page of Airflow within its own origin, where Airflow sends none.
/// Frames of the same origin remain allowed (Airflow 3 shows the FAB provider's pages in one), and
/// so does the `Referer` (Airflow 2 compares it with the Host).
pub(super) fn add_security(headers: &mut HeaderMap) {
    for (name, value) in &ADDED_TO_PAGES {
        headers.entry(name).or_insert_with(|| value.clone());
    }
}

/// Removes the fields that are valid only for the body as the web server sent it.
pub(super) fn remove_body_fields(headers: &mut HeaderMap) {
    for name in [CONTENT_LENGTH, ETAG, ACCEPT_RANGES] {
        headers.remove(name);
    }
}

/// Adds the request's id, which every response has.
pub(super) fn set_request_id(headers: &mut HeaderMap, id: RequestId) {
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
}

const REQUEST_ID: HeaderName = HeaderName::from_static("mwaa-gateway-request-id");

/// The fields of a web server that are not passed on, sorted: cookies belong to the gateway's
/// session, and the others are about the connection or the host.
pub const REMOVED: [&str; 16] = [
    "alt-svc",
    "clear-site-data",
    "connection",
    "keep-alive",
    "nel",
    "proxy-authenticate",
    "proxy-connection",
    "public-key-pins",
    "report-to",
    "set-cookie",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
];

/// The fields that pages of Airflow get where Airflow sends none, with their values.
pub static ADDED_TO_PAGES: [(HeaderName, HeaderValue); 5] = [
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_are_not_for_the_client_are_removed() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "application/json"),
            ("connection", "close, X-Secret"),
            ("x-secret", "1"),
            ("set-cookie", "session=1"),
            ("access-control-allow-origin", "*"),
            ("mwaa-gateway-fault", "forged"),
            ("keep-alive", "timeout=5"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        strip(&mut headers);
        assert_eq!(
            headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(),
            ["content-type"]
        );
    }
}
