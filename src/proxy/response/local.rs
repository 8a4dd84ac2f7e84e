//! The gateway's own responses: its pages, redirects, and the token for clients that log in.

use super::set_request_id;
use super::{Response, ResponseBody};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderValue, Method, StatusCode};
use mwaa_auth::LocalTokenUse;
use mwaa_http1::Headers;
use mwaa_http1::name::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, CROSS_ORIGIN_EMBEDDER_POLICY,
    CROSS_ORIGIN_OPENER_POLICY, CROSS_ORIGIN_RESOURCE_POLICY, LOCATION, REFERRER_POLICY,
    SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use mwaa_model::RequestId;
use mwaa_pages::StaticFile;
use std::time::Duration;

/// Returns a page of our own.
pub fn from_page(content: Bytes, id: RequestId) -> Response {
    let mut response = Response::new(ResponseBody::from_bytes(content));
    set_page_headers(&mut response.headers);
    set_request_id(&mut response.headers, id);
    response
}

/// Returns a file that our pages use.
pub fn from_asset(asset: StaticFile, id: RequestId) -> Response {
    let content = Bytes::from_static(asset.text.as_bytes());
    let mut response = Response::new(ResponseBody::from_bytes(content));

    let headers = &mut response.headers;
    set_page_headers(headers);
    headers.set(CONTENT_TYPE, asset.media);
    // small and local: requested again with each page, so that none outlives an upgrade
    headers.set(CACHE_CONTROL, "no-cache");
    set_request_id(headers, id);
    response
}

/// Returns server-sent events, which come until the stream ends.
pub fn from_live(events: impl Stream<Item = Bytes> + 'static, id: RequestId) -> Response {
    let mut response = Response::new(ResponseBody::from_live(events));
    set_page_headers(&mut response.headers);
    response.headers.set(CONTENT_TYPE, "text/event-stream");
    set_request_id(&mut response.headers, id);
    // a client that does not read on has left
    response.half_close_cancels = true;
    response
}

/// Returns the response after which a browser does not ask for events again.
pub fn no_events(id: RequestId) -> Response {
    let mut response = Response::new(ResponseBody::empty());
    response.status = StatusCode::NO_CONTENT;
    response.headers.set(CACHE_CONTROL, "no-store");
    set_request_id(&mut response.headers, id);
    response
}

/// Sets the headers of our pages: they must not be framed, sniffed, cached, or read by a page in the
/// same origin.
pub(super) fn set_page_headers(headers: &mut Headers) {
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        // With the embedder policy beside it the opener policy never matches that of an environment's
        // page in the same origin (HTML standard, "matching cross-origin opener policies"): a page
        // that opens one of ours gets no access to its window.
        (CROSS_ORIGIN_EMBEDDER_POLICY, "require-corp"),
        (CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
        // our files are not for pages of other origins
        (CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
        (REFERRER_POLICY, "same-origin"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.set(name, value);
    }
}

/// Redirects to a path of ours (RFC 9110 section 15.4.3).
pub fn redirect(path: &str, id: RequestId) -> Response {
    make_redirect(StatusCode::FOUND, path.as_bytes(), "same-origin", id)
}

/// Redirects to a path of ours, which is requested with GET (RFC 9110 section 15.4.4).
pub fn see_other(path: &str, id: RequestId) -> Response {
    make_redirect(StatusCode::SEE_OTHER, path.as_bytes(), "same-origin", id)
}

/// Redirects the browser to the environment's own host. The URL has a web token in its fragment: it
/// must not be stored, or sent to another page as the referrer.
pub fn handover(url: &HeaderValue, id: RequestId) -> Response {
    make_redirect(StatusCode::SEE_OTHER, url.as_bytes(), "no-referrer", id)
}

fn make_redirect(
    status: StatusCode,
    location: &[u8],
    referrer_policy: &'static str,
    id: RequestId,
) -> Response {
    let mut response = Response::new(ResponseBody::empty());
    response.status = status;

    // a browser that cached it would not ask again
    let headers = &mut response.headers;
    headers.set(LOCATION, location);
    headers.set(CACHE_CONTROL, "no-store");
    headers.set(REFERRER_POLICY, referrer_policy);
    set_request_id(headers, id);
    response
}

/// Returns the token that a client of Airflow 3 gets when it logs in at the gateway, in the form of
/// Airflow's `LoginResponse` and of RFC 6749 section 5.1. It is valid from `now` (since 1970). The
/// status is Airflow's own: 201 for a POST, else 200.
pub fn create_token(method: &Method, now: Duration, id: RequestId) -> Response {
    let body = format!(
        r#"{{"access_token":"{}","token_type":"bearer","expires_in":{TOKEN_LIFETIME}}}"#,
        make_jwt(now.as_secs())
    );
    let mut response = Response::new(ResponseBody::from_bytes(Bytes::from(body)));
    if *method == Method::POST {
        response.status = StatusCode::CREATED;
    }

    // not cached, like our pages (RFC 6749 section 5.1)
    let headers = &mut response.headers;
    set_page_headers(headers);
    headers.set(CONTENT_TYPE, "application/json");
    set_request_id(headers, id);
    response
}

/// Returns the response to a login with a local token: a cookie of this name, which means nothing
/// elsewhere. A script cannot read it, and no page of another site can send it (RFC 6265bis).
pub fn set_local_cookie(name: &str, value: &str, secure: bool, id: RequestId) -> Response {
    let mut response = Response::new(ResponseBody::empty());
    let headers = &mut response.headers;
    let max_age = LocalTokenUse::Session.lifetime().as_secs();
    let suffix = if secure { "; Secure" } else { "" };
    let cookie =
        format!("{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{suffix}");
    headers.set(SET_COOKIE, cookie);
    headers.set(CACHE_CONTROL, "no-store");
    set_request_id(headers, id);
    response
}

/// Removes one cookie of a local login from the client.
pub fn clear_local_cookie(response: &mut Response, name: &str) {
    let cleared = format!("{name}=; Path=/; Max-Age=0");
    response.headers.append(SET_COOKIE, cleared);
}

/// Removes the cookies of local logins from the client.
pub fn clear_local_cookies(response: &mut Response) {
    for name in ["session", "_token"] {
        clear_local_cookie(response, name);
    }
}

/// Returns a token in the form of a JWT (RFC 7519), because clients read its `exp`. It grants
/// nothing: the gateway removes the `Authorization` of its clients. An unsecured JWT has no signature
/// (section 6.1); this one has a text in its place, so that a verifier that accepts `none` refuses it
/// too.
fn make_jwt(now: u64) -> String {
    let claims = format!(
        r#"{{"sub":"mwaa-gateway","iat":{now},"exp":{}}}"#,
        now.saturating_add(TOKEN_LIFETIME)
    );
    [JWT_HEADER, &claims, "unsigned"]
        .map(|part| URL_SAFE_NO_PAD.encode(part))
        .join(".")
}

const JWT_HEADER: &str = r#"{"alg":"none","typ":"JWT"}"#;
/// A day, in seconds: the default of Airflow's `jwt_expiration_time`.
const TOKEN_LIFETIME: u64 = 86_400;
/// Only our own files; forms may be sent to the environment and redirected to its real host.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; \
    script-src 'self'; connect-src 'self'; form-action 'self' https:; base-uri 'none'; \
    frame-ancestors 'none'";
