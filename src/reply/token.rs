//! The token that a client of Airflow 3 gets when it logs in at the gateway.

use super::page::dress;
use super::{Reply, ReplyStream, stamp};
use crate::names::RequestId;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Response, StatusCode};
use std::time::Duration;

/// A token that begins at `now` (since 1970), in the form of Airflow's `LoginResponse` and of
/// RFC 6749 section 5.1. The status is Airflow's own: 201 for a POST, else 200.
pub fn token(method: &Method, now: Duration, id: RequestId) -> Reply {
    let body = format!(
        r#"{{"access_token":"{}","token_type":"bearer","expires_in":{LIFE}}}"#,
        jwt(now.as_secs())
    );
    let mut response = Response::new(ReplyStream::Whole(Some(Bytes::from(body))));
    if *method == Method::POST {
        *response.status_mut() = StatusCode::CREATED;
    }
    let headers = response.headers_mut();
    dress(headers);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    stamp(headers, id);
    response
}

/// Clients read `exp`, so it looks like a JWT (RFC 7519). It grants nothing: the gateway drops
/// the `Authorization` of its clients. An unsecured JWT has no signature (section 6.1); this one
/// has something in its place, so that a verifier that takes `none` refuses it too.
fn jwt(now: u64) -> String {
    let claims = format!(
        r#"{{"sub":"mwaa-gateway","iat":{now},"exp":{}}}"#,
        now.saturating_add(LIFE)
    );
    [HEADER, &claims, "unsigned"]
        .map(|part| URL_SAFE_NO_PAD.encode(part))
        .join(".")
}

const HEADER: &str = r#"{"alg":"none","typ":"JWT"}"#;
/// A day, in seconds: what Airflow's `jwt_expiration_time` is by default.
const LIFE: u64 = 86_400;
