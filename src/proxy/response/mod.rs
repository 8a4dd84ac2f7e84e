//! The responses of the gateway: those of a web server, passed on or rewritten, those to commands,
//! and our own.
#![deny(clippy::wildcard_enum_match_arm)]

mod body;
mod command;
mod events;
mod headers;
mod links;
mod local;
mod problem;
mod redact;

pub use body::ResponseBody;
pub use command::{OutputFormat, from_command, get_success, read_result};
pub use events::{Event, EventStream, LastEvent, from_events};
pub use links::{LinkRewriter, is_login_redirect};
pub use local::{create_token, from_asset, from_page, handover, redirect, see_other};
pub use mwaa_output::{CliOutput, CliResult, CommandFacts, OutputError, SuccessStatus};
pub use problem::{encode_fault, from_fault, render_fault_page};
pub use redact::RedactedBody;

use crate::context::RequestContext;
use crate::upstream::UpstreamResponse;
use http::{Method, StatusCode};
use mwaa_model::RequestId;
use mwaa_policy::WebPermit;

/// A response to the client.
pub type Response = http::Response<ResponseBody>;

/// Returns a web server's response as it is: its status, its headers less those that are not for
/// the client, its body byte for byte as it comes.
pub fn forward(upstream: UpstreamResponse, id: RequestId) -> Response {
    let (mut head, body) = upstream.into_parts();
    headers::strip(&mut head.headers);
    headers::set_request_id(&mut head.headers, id);
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
    let origin = ctx.origin();
    headers::strip(&mut head.headers);
    links::rewrite_locations(&mut head.headers, host, &origin);
    headers::add_security(&mut head.headers);
    headers::set_request_id(&mut head.headers, ctx.id());

    // a read-only client must not see the secrets that Airflow shows in some JSON documents
    if !permit.hidden().is_empty() && redact::is_json(&head.headers) {
        tracing::debug!(members = ?permit.hidden(), "redacting the response");
        let body = RedactedBody::new(body, &head.headers, permit.hidden());
        headers::remove_body_fields(&mut head.headers);
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
    headers::remove_body_fields(&mut head.headers);
    if *permit.method() == Method::HEAD {
        return Response::from_parts(head, ResponseBody::from_upstream(body));
    }
    let page = LinkRewriter::new(body, host, &origin);
    Response::from_parts(head, ResponseBody::rewritten(page))
}
