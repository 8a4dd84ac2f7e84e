//! `InvokeRestApi`: a call of Airflow's REST API in a JSON document, answered by the environment's
//! route. In its session MWAA's limits (10 s, 6 MB, 10 a second, 64 characters) do not hold.

use super::{AwsCallError, Failure};
use crate::admission::ValidatedRequest;
use crate::body;
use crate::context::RequestContext;
use crate::error::ProxyError;
use crate::response;
use crate::rest_via::{METHODS, find_base};
use crate::routing::{self, RoutingError};
use crate::state::ReverseProxy;
use crate::web;
use bytes::Bytes;
use form_urlencoded::Serializer;
use http::{Method, StatusCode, Uri};
use http_body_util::LengthLimitError;
use mwaa_http1::Headers;
use mwaa_http1::name::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use mwaa_model::{Code, Entry, Target, code};
use mwaa_policy::permit_web;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The members of the request (API reference, `InvokeRestApi`). Body and numbers stay as they are.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Call<'a> {
    path: String,
    method: String,
    #[serde(borrow)]
    query_parameters: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

impl<'a> Call<'a> {
    fn parse(document: &'a [u8]) -> Result<Self, AwsCallError> {
        serde_json::from_slice(document).map_err(|error| {
            // serde's own message repeats a part of the document
            invalid(&format!(
                "it must be an object with Path, Method and, if needed, QueryParameters and \
                 Body (line {}, column {})",
                error.line(),
                error.column()
            ))
        })
    }
}

/// Answers a call: returns the document of Airflow's response, and the exception for a status from
/// 400 on.
pub(super) async fn invoke(
    proxy: &ReverseProxy,
    entry: &Arc<Entry>,
    request: &mut ValidatedRequest,
    ctx: &RequestContext,
) -> Result<(Bytes, Option<&'static str>), Failure> {
    // 1. Read the call, and make a request of it: it has to satisfy the same rules as any other.
    let limits = &proxy.state.limits;
    let body = request.body_mut();
    let document =
        body::read(body, limits.request_body, limits.body_pace, &proxy.timer).await?;
    let call = Call::parse(&document)?;
    let method = find_method(&call.method)?;
    let version = proxy.state.versions.resolve(entry).await?;
    let base = find_base(version.major);
    let target = build_target(base, &call, proxy.state.admission.target_size)?;
    if !routing::is_rest_api(&target, &method)? {
        let path = target.path().to_owned();
        return Err(RoutingError::UnknownPath { path }.into());
    }
    let permit = permit_web(entry, ctx.listener(), &method, &target)?;

    // 2. Send it.
    // a body of GET has no meaning, and a web server may read it as another request
    let body = call
        .body
        .filter(|_| method != Method::GET)
        .map(|body| document.slice_ref(body.get().as_bytes()));
    let headers = build_headers(request.headers(), body.is_some());
    let body = body.unwrap_or_default();
    let failed = |error: ProxyError| Failure {
        may_have_acted: !method.is_safe() && is_outcome_unknown(error.fault().code()),
        error,
    };
    let answered = web::call_rest_api(proxy, &permit, &headers, body, ctx).await;
    let (status, response) = answered.map_err(failed)?;

    // 3. Wrap the response as MWAA does.
    match response {
        Ok(body) => Ok(wrap(status, &body)),
        Err(error) => Err(Failure {
            may_have_acted: !method.is_safe(),
            error: match error.downcast_ref::<LengthLimitError>() {
                Some(_) => AwsCallError::TooLong.into(),
                None => AwsCallError::Broken(error.to_string()).into(),
            },
        }),
    }
}

/// Returns Airflow's response as MWAA's document, and the exception for its status.
fn wrap(status: StatusCode, body: &Bytes) -> (Bytes, Option<&'static str>) {
    let mut document = Vec::from(r#"{"RestApiResponse":"#);
    document.extend_from_slice(&to_document(body));
    document.extend_from_slice(br#","RestApiStatusCode":"#);
    document.extend_from_slice(status.as_str().as_bytes());
    document.push(b'}');
    let exception = match status.as_u16() {
        500.. => Some("RestApiServerException"),
        400.. => Some("RestApiClientException"),
        _ => None,
    };
    (Bytes::from(document), exception)
}

/// Returns true for a fault after which the request may have taken effect.
fn is_outcome_unknown(fault: &Code) -> bool {
    matches!(
        *fault,
        code::INTERRUPTED | code::UPSTREAM_BROKEN | code::UPSTREAM_TIMEOUT
    )
}

fn find_method(name: &str) -> Result<Method, AwsCallError> {
    let found = METHODS.into_iter().find(|method| method.as_str() == name);
    found.ok_or_else(|| invalid("Method must be GET, PUT, POST, PATCH or DELETE"))
}

/// Returns the target of the request. Fails for a path that no request here may have.
fn build_target(base: &str, call: &Call<'_>, limit: usize) -> Result<Target, AwsCallError> {
    if !call.path.starts_with('/') || call.path.contains(['?', '#']) {
        return Err(invalid("Path must begin with / and have no query"));
    }
    let mut uri = format!("{base}{}", call.path);
    if let Some(parameters) = &call.query_parameters {
        let query = build_query(parameters)
            .map_err(|_error| invalid("QueryParameters must be an object"))?;
        if !query.is_empty() {
            uri = format!("{uri}?{query}");
        }
    }
    let uri: Uri = uri
        .parse()
        .map_err(|_syntax| invalid("Path has characters that must be percent-encoded"))?;
    Target::parse(&uri, limit).map_err(|error| invalid(&error.to_string()))
}

/// Returns the parameters as a query; each element of a list is one. Fails unless they are an object.
fn build_query(parameters: &RawValue) -> serde_json::Result<String> {
    let parameters: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(parameters.get())?;
    let mut query = Serializer::new(String::new());
    for (name, value) in parameters {
        let values = if value.get().starts_with('[') {
            serde_json::from_str(value.get())?
        } else {
            vec![value]
        };

        for value in values {
            match value.get() {
                "null" => {}
                text if text.starts_with('"') => {
                    query.append_pair(&name, &serde_json::from_str::<String>(text)?);
                }
                text => {
                    query.append_pair(&name, text);
                }
            }
        }
    }
    Ok(query.finish())
}

fn build_headers(client: &Headers, has_body: bool) -> Headers {
    let json = "application/json";
    let mut headers = Headers::new();
    headers.append(ACCEPT, json);
    if has_body {
        headers.append(CONTENT_TYPE, json);
    }
    if let Some(agent) = client.get(USER_AGENT) {
        headers.append(USER_AGENT, agent);
    }
    headers
}

/// Returns Airflow's response as a document. MWAA is reported to drop members that are null; that is
/// one project's word. A response that is not JSON becomes `{"detail": TEXT}`.
fn to_document(response: &Bytes) -> Bytes {
    if response.is_empty() {
        return Bytes::from_static(b"{}");
    }
    let document = serde_json::from_slice(response).ok();
    let kept = document.and_then(|json: &RawValue| response::drop_nulls(json.get().as_bytes()));
    kept.unwrap_or_else(|| {
        let text = String::from_utf8_lossy(response);
        Bytes::from(json!({ "detail": text }).to_string())
    })
}

fn invalid(reason: &str) -> AwsCallError {
    AwsCallError::Document(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_a_query() {
        let query = |text: &str| build_query(serde_json::from_str(text).unwrap());
        let text = r#"{"limit": 12345678901234567890123, "tags": ["a b", "c&d"], "only": true,
            "no": null, "\u00e9": 1e400}"#;
        let built = query(text).unwrap();
        assert_eq!(
            built,
            "limit=12345678901234567890123&only=true&tags=a+b&tags=c%26d&%C3%A9=1e400"
        );
        assert!(query("[]").is_err() && query(r#"{"a": "\ud800"}"#).is_err());
    }

    #[test]
    fn a_document_keeps_every_byte_but_nulls() {
        for (response, document) in [
            (
                r#"{"a": null, "b": [null, {"c": null, "d": 1.0}]}"#,
                r#"{ "b": [null, { "d": 1.0}]}"#,
            ),
            (r#"{"a" : 1 , "b" : null }"#, r#"{"a" : 1 }"#),
            (r#"{"a":null,"b":null}"#, "{}"),
            (
                r#"["null", ":null", {"x":"null"}]"#,
                r#"["null", ":null", {"x":"null"}]"#,
            ),
            ("12345678901234567890123", "12345678901234567890123"),
            (r#"{"a":1e400,"a":2}"#, r#"{"a":1e400,"a":2}"#),
            ("<p>", r#"{"detail":"<p>"}"#),
            ("", "{}"),
        ] {
            assert_eq!(to_document(&Bytes::from(response)), document, "{response}");
        }
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(to_document(&Bytes::from(deep.clone())), deep);
    }
}
